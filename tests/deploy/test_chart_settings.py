"""The gateway's settings in values: each can be set, the gateway takes what is rendered, and a wrong one is refused."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.chart.places import CHART, DEFAULTS, MOUNTED, OWN
from gateway import settings as gateway_settings
from gateway.settings import SettingsError
from tests.deploy.charts import SETS, Chart, RefusedError, changed

# A value other than the default, for each setting: it must arrive.
OTHER: Mapping[str, object] = {
    "policy_file": f"{MOUNTED}/public/policy.yaml",
    "kafka.bootstrap_servers": "k:9094,[::1]:9095",
    "kafka.ca_file": f"{MOUNTED}/public/a.pem",
    "kafka.client_cert_file": f"{MOUNTED}/store/c.pem",
    "kafka.client_key_file": f"{MOUNTED}/store/k.pem",
    "kafka.client_key_password_file": f"{MOUNTED}/store/p",
    "kafka.group_id": "lending",
    "kafka.client_id": "lending gateway",
    "kafka.session_timeout_ms": 20_000,
    "kafka.rebalance_timeout_ms": 90_000,
    "kafka.allow_dev_topics": True,
    "topics.prefix": "prod.",
    "schemas.registry_url": "https://registry.example.jp:8443/apis/ccompat/v7",
    "schemas.registry_ca_file": f"{MOUNTED}/public/n.pem",
    "schemas.registry_username": "norel",
    "schemas.registry_password_file": f"{MOUNTED}/store/o",
    "genie.base_url": "https://genie.example.jp:8443",
    "genie.ca_file": f"{MOUNTED}/public/b.pem",
    "genie.client_cert_file": f"{MOUNTED}/store/d.pem",
    "genie.client_key_file": f"{MOUNTED}/store/e.pem",
    "genie.signing_key_file": f"{MOUNTED}/store/f.pem",
    "genie.signing_key_id": 'a "quoted" \\ id',
    "genie.answer_key_files": {"a.b-c": f"{MOUNTED}/public/g.pub", "2": f"{MOUNTED}/public/h.pub"},
    "genie.expires_ms": 20_000,
    "genie.skew_ms": 1_000,
    "genie.batch": 7,
    "genie.connections": 9,
    "recipient.id": "other",
    "recipient.name": "株式会社\n<&>",
    "recipient.address": "東京都 'x'",
    "recipient.representative": "代表 #1",
    "provider.name": "p = 1",
    "provider.address": "[q]",
    "provider.representative": "山田",
    "provider.acquisition": "申込書",
    "keys.idempotency_key_file": f"{MOUNTED}/store/i",
    "keys.pseudonym_key_file": f"{MOUNTED}/store/j",
    "lane.window": 1_000,
    "lane.window_bytes": 2_097_152,
    "lane.cycle_max_ms": 50,
    "lane.cycle_min_ms": 0,
    "lane.drain_ms": 5_000,
    "view.max_idle_ms": 60_000,
    "observe.host": "::",
    "observe.port": 8_080,
    "observe.log_level": "debug",
    "tracing.endpoint": "https://collector.example.jp:4318/v1/traces",
    "tracing.ca_file": f"{MOUNTED}/public/l.pem",
    "tracing.ratio": 0.125,
    "tracing.trust_producers": True,
}
# a login is by certificate or by password, so these are set beside another protocol
BY_PASSWORD: Mapping[str, object] = {
    "kafka.security_protocol": "SASL_SSL",
    "kafka.sasl_mechanism": "SCRAM-SHA-256",
    "kafka.sasl_username": "norel",
    "kafka.sasl_password_file": f"{MOUNTED}/store/m",
}
PEERS = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}


def test_every_setting_can_be_set_or_has_one_right_value_in_a_pod() -> None:
    known = {name for name, *_ in gateway_settings.reference()}
    assert OTHER.keys() | BY_PASSWORD.keys() | OWN.keys() == known


def test_every_setting_arrives(chart: Chart) -> None:
    given = {f"settings.{name}": value for name, value in {**OTHER, **BY_PASSWORD}.items()}
    open_policy = {"networkPolicy.registry": PEERS, "networkPolicy.tracing": PEERS}
    rendered = chart.render("every", {**given, **open_policy, "terminationGracePeriodSeconds": ...}).settings
    for name, value in {**OTHER, **BY_PASSWORD}.items():
        section, _, inner = name.rpartition(".")
        assert (rendered[section] if section else rendered)[inner] == value, name


@pytest.mark.parametrize("name", SETS)
def test_the_gateway_takes_what_is_rendered(
    chart: Chart, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same variables that the pod sets, and files where the pod has its mounts."""
    rendered = chart.render(name)
    toml = rendered.one("ConfigMap")["data"]["gateway.toml"].replace(MOUNTED, str(tmp_path))
    for path in _paths(rendered.settings):
        file = Path(path.replace(MOUNTED, str(tmp_path)))
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "gateway.toml").write_text(toml)
    variables = {each["name"]: each for each in rendered.pod["containers"][0]["env"]}
    memory = rendered.pod["containers"][0]["resources"]["limits"]["memory"]
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "gateway.toml"))
    monkeypatch.setenv("GATEWAY_INSTANCE", "gw-credit-gateway-0")
    monkeypatch.setenv("GATEWAY_KAFKA__GROUP_INSTANCE_ID", "gw-credit-gateway-0")
    monkeypatch.setenv("GATEWAY_MEMORY_BYTES", str(int(memory.removesuffix("Gi")) << 30))
    monkeypatch.setenv("GATEWAY_VIEW__PATH", variables["GATEWAY_VIEW__PATH"]["value"])
    settings = gateway_settings.load()
    assert settings.kafka.group_instance_id == settings.instance
    assert set(variables) == {
        "GATEWAY_CONFIG",
        *(f"GATEWAY_{own.replace('.', '__').upper()}" for own in OWN),
    }


def _paths(settings: Any) -> list[str]:
    if isinstance(settings, dict):
        return [path for value in settings.values() for path in _paths(value)]
    return [settings] if isinstance(settings, str) and settings.startswith(MOUNTED) else []


# --- what is refused ----------------------------------------------------------------------------------------

# Path of a value, a wrong value, and what helm says of it; helm names all of them at once.
WRONG_BY_ITSELF: list[tuple[str, object, str]] = [
    # misspelt, or none of ours
    ("settings.kafka.bootstrap_server", "k:9092", "'bootstrap_server'"),
    ("settings.kafak", {}, "'/settings': additional properties 'kafak'"),
    ("replica", 3, "at '': additional properties 'replica'"),
    ("podDisruptionBudget.maxUnavailabel", 1, "additional properties 'maxUnavailabel'"),
    ("files.keys.secretName", "x", "additional properties 'secretName'"),
    ("settings.kafka.group_instance_id", "x", "'group_instance_id'"),
    # wrong by itself
    ("settings.kafka.bootstrap_servers", "kafka", "/settings/kafka/bootstrap_servers': 'kafka' does not match"),
    ("settings.kafka.security_protocol", "SASL_PLAINTEXT", "/settings/kafka/security_protocol': value must be one of"),
    ("settings.genie.base_url", "http://genie", "/settings/genie/base_url'"),
    ("settings.genie.batch", 501, "/settings/genie/batch': maximum: got 501, want 500"),
    ("settings.genie.batch", "100", "/settings/genie/batch': got string, want"),
    ("settings.genie.batch", 1.5, "/settings/genie/batch': got number, want"),
    ("settings.genie.answer_key_files", {}, "/settings/genie/answer_key_files': minProperties"),
    ("settings.observe.port", 0, "/settings/observe/port': minimum"),
    ("settings.recipient.name", ..., "'/settings/recipient': missing property 'name'"),
    ("settings.kafka.security_protocol", ..., "'/settings/kafka': missing property 'security_protocol'"),
    ("resources.limits.memory", "1G", "/resources/limits/memory': '1G' does not match"),
    ("image.digest", "sha256:12", "/image/digest'"),
    ("files.genie-ca", {"secret": "a", "configMap": "b"}, "/files/genie-ca': maxProperties: got 2, want 1"),
    ("networkPolicy.genie.to", [{"ipBlock": {"cidr": "192.0.2.1"}}], "/cidr': '192.0.2.1' does not match"),
    ("lanesInit.from", "earlist", "/lanesInit/from'"),
    ("lanesInit.operator", " ", "/lanesInit/operator': ' ' does not match"),
]
WRONG_BESIDE_OTHERS: list[tuple[str, object, str]] = [
    (
        "settings.lane.drain_ms",
        31_000,
        "settings.lane.drain_ms: found 31000: at most 30000, because settings.kafka.reb",
    ),
    ("settings.genie.skew_ms", 20_000, "settings.genie.skew_ms: found 20000: at most 15000"),
    ("settings.lane.cycle_min_ms", 400, "settings.lane.cycle_min_ms: found 400: at most 300"),
    ("settings.kafka.session_timeout_ms", 60_001, "settings.kafka.session_timeout_ms: found 60001: at most 60000"),
    (
        "settings.kafka.sasl_username",
        ...,
        "settings.kafka.sasl_username: missing, but settings.kafka.security_protocol",
    ),
    ("settings.kafka.security_protocol", "SSL", "settings.kafka.sasl_username: found credit-gateway, but"),
    (
        "files.kafka-ca",
        ...,
        "settings.kafka.ca_file: found /etc/credit-gateway/kafka-ca/ca.crt, but there is no files.k",
    ),
    (
        "settings.genie.ca_file",
        "/etc/ssl/ca.pem",
        "settings.genie.ca_file: found /etc/ssl/ca.pem: files are mounted as",
    ),
    ("resources.limits.memory", "256Mi", "resources.limits.memory: found 256Mi: at least 296Mi are needed"),
    (
        "terminationGracePeriodSeconds",
        69,
        "terminationGracePeriodSeconds: found 69: at least 70, because settings.lane",
    ),
    ("networkPolicy.kafka.to", [], "networkPolicy.kafka.to: empty: list the peers where kafka-1.example.jp:9093"),
    ("settings.schemas.registry_url", "http://registry:8081", "networkPolicy.registry.to: empty"),
    ("settings.tracing", {"ratio": 0.5}, "settings.tracing.ratio: found 0.5, but without settings.tracing.endpoint"),
    ("settings.schemas", {"registry_username": "x"}, "settings.schemas.registry_username: found x, but without"),
    ("settings.tracing", {"endpoint": "http://c:4318/v1/traces", "ca_file": f"{MOUNTED}/keys/ca"}, "has no TLS: begin"),
    (
        "settings.kafka.client_cert_file",
        f"{MOUNTED}/kafka/c",
        "settings.kafka.client_key_file: missing, but settings.k",
    ),
    ("lanesInit.from", "latest", "lanesInit.operator: missing, but lanesInit.from is latest: say who starts the lanes"),
    ("strimzi.topics.enabled", True, "strimzi.cluster: missing"),
    ("autoscaling", {"enabled": True, "minReplicas": 9}, "autoscaling.minReplicas: found 9: at most"),
]


def rounds(wrong: list[tuple[str, object, str]]) -> Iterator[list[tuple[str, object, str]]]:
    """Each path once in each."""
    left = wrong
    while left:
        first = {path: (path, value, said) for path, value, said in reversed(left)}
        yield list(first.values())
        left = [each for each in left if each not in first.values()]


@pytest.mark.parametrize("wrong", list(rounds(WRONG_BY_ITSELF)))
def test_what_is_misspelt_or_wrong_by_itself_is_refused(chart: Chart, wrong: list[tuple[str, object, str]]) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render("least", {path: value for path, value, _ in wrong})
    assert [said for _, _, said in wrong if said not in str(refused.value)] == []


@pytest.mark.parametrize(("path", "value", "said"), WRONG_BESIDE_OTHERS, ids=lambda each: str(each)[:40])
def test_a_mistake_is_refused_with_the_line_to_change(chart: Chart, path: str, value: object, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render("least", {path: value})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"lane.drain_ms": 31_000},
        {"genie.skew_ms": 20_000},
        {"kafka.sasl_username": ...},
        {"kafka.security_protocol": "SSL"},
        {"kafka.client_key_file": f"{MOUNTED}/kafka/k"},
        {"tracing.trust_producers": True},
        {"tracing.endpoint": "http://c:4318", "tracing.ca_file": f"{MOUNTED}/kafka/k"},
        {"schemas.registry_url": "http://r", "schemas.registry_username": "x"},
        {"schemas.registry_url": "https://r", "schemas.registry_username": "x"},
    ],
    ids=" ".join,
)
def test_what_the_gateway_finds_contradictory_helm_refuses(
    chart: Chart, change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by the same table, or by two that must agree."""
    changes = {f"settings.{name}": value for name, value in change.items()}
    new = changed("least", {**changes, "settings.kafka.session_timeout_ms": 45_000})
    with pytest.raises(RefusedError) as by_helm:
        chart.render("least", {**changes, "networkPolicy.registry": PEERS, "networkPolicy.tracing": PEERS})
    monkeypatch.setenv("GATEWAY_CONFIG", str(_file(new["settings"], tmp_path)))
    with pytest.raises(SettingsError) as by_gateway:
        gateway_settings.load()
    for problem in by_gateway.value.problems:
        assert f"settings.{problem.setting}: " in str(by_helm.value)


def _file(settings: dict[str, Any], folder: Path) -> Path:
    """As a TOML file, with the paths that the chart's defaults name."""
    text = ""
    for section in {*settings, "genie", "keys"}:
        given = dict(settings.get(section, {}))
        for name, value in DEFAULTS.items():
            if name.startswith(f"{section}."):
                given.setdefault(name.partition(".")[2], value)
        text += f"[{section}]\n" + "".join(f"{name} = {_toml(value, folder)}\n" for name, value in given.items())
    (folder / "gateway.toml").write_text(text)
    return folder / "gateway.toml"


def _toml(value: object, folder: Path) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each, folder)}" for key, each in value.items()) + "}"
    if isinstance(value, str) and value.startswith(MOUNTED):
        file = Path(value.replace(MOUNTED, str(folder)))
        file.parent.mkdir(exist_ok=True)
        file.touch()
        value = str(file)
    return json.dumps(value, ensure_ascii=False)


def test_several_contradictions_come_in_one_list(chart: Chart) -> None:
    changes = {"settings.lane.drain_ms": 31_000, "networkPolicy.kafka.to": [], "podMonitor.enabled": True}
    with pytest.raises(RefusedError) as refused:
        chart.render("least", {**changes, "serviceMonitor.enabled": True})
    for said in ("settings.lane.drain_ms:", "networkPolicy.kafka.to:", "podMonitor.enabled, serviceMonitor.enabled:"):
        assert said in str(refused.value)


def test_the_charts_defaults_are_right_for_the_gateway() -> None:
    """Each by its bounds: what helm would refuse in a user's values is not in ours."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    for name, value in DEFAULTS.items():
        section, _, inner = name.rpartition(".")
        part = schema[section]["properties"][inner]
        assert isinstance(value, str | int)
        assert part.get("minimum", value) <= value <= part.get("maximum", value)
