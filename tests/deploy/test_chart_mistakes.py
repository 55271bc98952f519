"""What a user could mistype in values beside the settings: each mistake is refused, with the line to change.

Helm names all that it finds at once, so that many mistakes are tried by one run of it.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from deploy.chart import formats
from deploy.chart.places import CHART, MOUNTED
from gateway.sections import Brokers, GenieSettings, SchemaSettings
from tests.deploy.charts import Chart, RefusedError

PEER = {"namespaceSelector": {}}


def refused(chart: Chart, changes: Mapping[str, object], name: str = "least") -> str:
    with pytest.raises(RefusedError) as error:
        chart.render(name, changes)
    return str(error.value)


# --- wrong by itself ----------------------------------------------------------------------------------------

# Path of a value, a wrong value, and where it is wrong.
WRONG: list[tuple[str, object, str]] = [
    ("settings.observe.host", "127.0.0.1", "/settings/observe/host"),  # no probe reaches it
    ("settings.kafka.bootstrap_servers", "kafka:99999", "/settings/kafka/bootstrap_servers"),
    ("settings.genie.base_url", "https://genie:99999", "/settings/genie/base_url"),
    ("settings.schemas.registry_url", "https://:443/x", "/settings/schemas/registry_url"),
    ("settings.recipient.name", "  ", "/settings/recipient/name"),
    ("settings.kafka.client_id", "\t", "/settings/kafka/client_id"),
    ("image.repository", "Registry/Bad Name", "/image/repository"),
    ("image.tag", "a b", "/image/tag"),
    ("files.keys", {"csi": {}}, "/files/keys/csi"),
    ("files.kafka", None, "/files/kafka"),
    ("files.genie-ca", {"certificate": {"issuerRef": {"name": "a"}, "commonName": " "}}, "certificate/commonName"),
    ("lanesInit.from", "2026-99-99Tfoo", "/lanesInit/from"),
    ("networkPolicy.dns.to", [], "/networkPolicy/dns/to"),
    ("networkPolicy.dns.ports", [], "/networkPolicy/dns/ports"),
    ("networkPolicy.kafka.to", [{"ipBlock": {"cidr": "999.0.2.10/99"}}], "/networkPolicy/kafka/to/0/ipBlock/cidr"),
    (
        "networkPolicy.genie.to",
        [{"ipBlock": {"cidr": "192.0.2.0/24"}, "podSelector": {}}],
        "/networkPolicy/genie/to/0': maxProperties",
    ),
    (
        "networkPolicy.tracing.to",
        [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Inn", "values": ["a"]}]}}],
        "/networkPolicy/tracing/to/0/podSelector/matchExpressions/0/operator",
    ),
    (
        "networkPolicy.registry.to",
        [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}],
        "/networkPolicy/registry/to/0/podSelector/matchExpressions/0': missing property 'values'",
    ),
    ("podLabels", {"app.kubernetes.io/component": "mine"}, "/podLabels/app.kubernetes.io~1component"),
    ("podAnnotations", {"checksum/settings": "mine"}, "/podAnnotations/checksum~1settings"),
    ("podMonitor.labels", {"helm.sh/chart": "mine"}, "/podMonitor/labels/helm.sh~1chart"),
    ("prometheusRule.labels", {"release": "a b"}, "/prometheusRule/labels/release"),
    ("nodeSelector", {"po ol": "a"}, "/nodeSelector': additional properties 'po ol'"),
    ("tolerations", [{"operator": "Exists", "key": "a", "value": "b"}], "/tolerations/0/value"),
    ("podMonitor.interval", "1s1m", "/podMonitor/interval"),
]


def test_what_is_wrong_by_itself_is_refused_with_the_line(chart: Chart) -> None:
    said = refused(chart, {path: value for path, value, _ in WRONG})
    assert [where for _, _, where in WRONG if where not in said] == []


# null has a meaning: the platform's user; no such user
NONE = {"podSecurity.runAsUser", "strimzi.users.names.gateway"}


def test_what_has_a_default_can_not_be_taken_out(chart: Chart) -> None:
    """By null, which templates could not bear: the chart's own sections, and what is in them."""
    defaults = {name: part for name, part in page().items() if name != "settings"}
    whole = {name: None for name, part in defaults.items() if part is not None}
    said = refused(chart, whole)
    assert [name for name in whole if f"'{name}'" not in said] == []
    inside = {path: None for path in _inside(defaults) if path not in NONE}
    said = refused(chart, inside)
    assert [path for path in inside if f"'{path.rpartition('.')[2]}'" not in said] == []
    assert len(inside) > 40


def _inside(part: Mapping[str, Any], way: str = "") -> Iterator[str]:
    """Paths of values that are no sections."""
    for name, value in part.items():
        if isinstance(value, Mapping) and value:
            yield from _inside(value, f"{way}{name}.")
        elif value is not None and way:
            yield f"{way}{name}"


def page() -> dict[str, Any]:
    return copy.deepcopy(dict(yaml.safe_load((CHART / "values.yaml").read_text())))


# --- the same as the gateway says ---------------------------------------------------------------------------

HOSTS = ["k", "k.example.jp", "192.0.2.1", "[::1]", "", " ", "a b", "a@b"]
PORTS = ["", ":1", ":443", ":65535", ":0", ":65536", ":99999", ":x"]
PLACES = [f"{host}{port}" for host in HOSTS for port in PORTS]


@pytest.mark.parametrize(
    ("pattern", "of_gateway", "texts"),
    [
        (formats.BROKERS, Brokers, [*PLACES, "a:1,b:2", "a:1,", "a:1, b:2", "a:1,b"]),
        (
            formats.HTTPS_HOST,
            get_type_hints(GenieSettings, include_extras=True)["base_url"],
            [f"https://{place}{path}" for place in PLACES for path in ("", "/x")] + ["http://k"],
        ),
        (
            formats.HTTP_URL,
            get_type_hints(SchemaSettings, include_extras=True)["registry_url"],
            [
                f"{scheme}://{place}{path}"
                for scheme in ("http", "ftp")
                for place in PLACES
                for path in ("", "/x", "?x")
            ],
        ),
    ],
    ids=["brokers", "GeNiE", "registry"],
)
def test_a_place_is_right_for_the_chart_if_it_is_for_the_gateway(
    pattern: str, of_gateway: Any, texts: list[str]
) -> None:
    taken = [text for text in texts if re.search(pattern, text)]
    assert taken == [text for text in texts if _taken(of_gateway, text)]
    assert 0 < len(taken) < len(texts)


def _taken(of_gateway: Any, text: str) -> bool:
    try:
        TypeAdapter(of_gateway).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (
            formats.NETWORK,
            ["0.0.0.0/0", "192.0.2.10/32", "2001:db8::/32", "::/0", "::1/128", "1:2:3:4:5:6:7:8/64"],
            ["256.0.0.0/8", "10.0.0.0/33", "10.0.0/8", "10.0.0.0", "::1/129", "1::2::3/64", "1:2:3/64", "g::/8"],
        ),
        (
            formats.TIME,
            ["earliest", "latest", "2026-04-01T00:00:00+09:00", "2026-12-31T23:59Z", "2026-04-01T00:00:00.5Z"],
            ["2026-04-01T00:00:00", "2026-13-01T00:00Z", "2026-04-01T24:00Z", "2026-04-01", "2h", "earlist"],
        ),
        (
            formats.IMAGE,
            ["gateway", "registry.example.jp:5000/lending/credit-gateway", "a/b__c/d-e.f"],
            ["Gateway", "a/B", "a:1", "a//b", "a b", "registry:99999/x", "a@sha256:0"],
        ),
        (formats.DURATION, ["15s", "1h30m", "2160h"], ["15", "s", "1.5h", "0s", "1m1h"]),
        (formats.KEY, ["a", "example.jp/a_b.c"], ["", "/a", "a/", "A b", "a/b/c", "-a"]),
        (formats.SUBDOMAIN, ["a", "a-b.c"], ["", "A", "a..b", "-a", "a.", "a_b"]),
    ],
    ids=["network", "time", "image", "duration", "key", "name"],
)
def test_a_format_takes_what_is_right_and_nothing_else(pattern: str, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right + wrong if re.search(pattern, text)] == right


# --- wrong beside others ------------------------------------------------------------------------------------


def test_what_does_not_fit_together_is_refused_with_the_line(chart: Chart) -> None:
    certificate = {"issuerRef": {"name": "a"}, "commonName": "a", "duration": "1h30m", "renewBefore": "90m"}
    said = refused(
        chart,
        {
            "resources": {"requests": {"cpu": "1.5", "memory": "1Gi"}, "limits": {"cpu": "1200m", "memory": "1023Mi"}},
            "oncall.resources.limits.memory": "64Mi",
            "settings.kafka.bootstrap_servers": "a:1,b:2,a:1",
            "lanesInit": {"from": "2026-02-29T00:00:00+09:00", "operator": "yamada"},
            "networkPolicy.metrics.from": [],
            "podMonitor.enabled": True,
            "files.genie-tls": {"certificate": certificate},
        },
    )
    for line in (
        "resources.requests.memory: found 1Gi: at most resources.limits.memory, 1023Mi",
        "resources.requests.cpu: found 1.5: at most resources.limits.cpu, 1200m",
        "oncall.resources.requests.memory: found 128Mi: at most oncall.resources.limits.memory, 64Mi",
        "settings.kafka.bootstrap_servers: found a:1,b:2,a:1: a broker is there twice",
        "lanesInit.from: found 2026-02-29T00:00:00+09:00: there is no such day",
        "networkPolicy.metrics.from: empty, but podMonitor.enabled is true",
        "files.genie-tls.certificate.renewBefore: found 90m: less than duration, 1h30m",
    ):
        assert f"\n  {line}" in said, line


STRIMZI = {"strimzi.cluster": "production", "strimzi.users.enabled": True}


def test_users_of_strimzis_that_could_not_log_in_are_refused(chart: Chart) -> None:
    """They have passwords for one mechanism, and names of their own."""
    names = {"gateway": "gw", "billing": "one", "scoring": "one", "on-call": "desk"}
    on_call = {"enabled": True, "kafka": {"sasl_username": "yamada", "sasl_password_file": f"{MOUNTED}/kafka/p"}}
    wrong = {"strimzi.users.names": names, "settings.kafka.sasl_mechanism": "PLAIN", "oncall": on_call}
    said = refused(chart, {**STRIMZI, **wrong})
    for line in (
        "settings.kafka.sasl_mechanism: found PLAIN, but Strimzi's users",
        "strimzi.users.names.gateway: found gw, but the gateway logs in as settings.kafka.sasl_username, cre",
        "strimzi.users.names.on-call: found desk, but its pod logs in as oncall.kafka.sasl_username, yamada",
        "strimzi.users.names.scoring: found one, which is billing's too",
    ):
        assert f"\n  {line}" in said, line
    open_to_all = {"settings.kafka": {"bootstrap_servers": "k:9092", "security_protocol": "PLAINTEXT"}}
    assert "strimzi.users.enabled: true, but by settings.kafka.security_protocol PLAINTEXT" in refused(
        chart, {**STRIMZI, **open_to_all}
    )


def test_users_of_strimzis_by_password_are_those_that_log_in(chart: Chart) -> None:
    (user,) = chart.render("least", STRIMZI).all("KafkaUser")
    assert (user["metadata"]["name"], user["spec"]["authentication"]["type"]) == ("credit-gateway", "scram-sha-512")


def test_a_topic_of_any_prefix_has_a_name_that_kubernetes_takes(chart: Chart) -> None:
    """The resource's is made from the topic's, which may have more letters."""
    topics = chart.render("operators", {"settings.topics": {"prefix": "_X..b_-."}}).all("KafkaTopic")
    names = {topic["metadata"]["name"] for topic in topics}
    assert [name for name in names if not re.search(formats.SUBDOMAIN, name)] == []
    assert "x.b.lease.payments" in names
    assert len(names) == len(topics)
    assert "_X..b_-.lease.payments" in {topic["spec"]["topicName"] for topic in topics}


# --- right, though it is little -----------------------------------------------------------------------------


def test_as_much_memory_is_set_aside_as_may_be_used_unless_it_is_said(chart: Chart) -> None:
    def memory(changes: Mapping[str, object]) -> tuple[str, str]:
        (container,) = chart.render("least", changes).pod["containers"]
        resources = container["resources"]
        return resources["requests"]["memory"], resources["limits"]["memory"]

    assert memory({"resources.limits.memory": "512Mi"}) == ("512Mi", "512Mi")
    assert memory({"resources.limits.memory": "4Gi", "resources.requests.memory": "2Gi"}) == ("2Gi", "4Gi")
    on_call = chart.render("operators", {"oncall.resources": {"requests": {"memory": None}}}).one(
        "StatefulSet", "on-call"
    )
    assert on_call["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] == "1Gi"


def test_a_file_without_a_source_is_refused_wherever_it_is(chart: Chart) -> None:
    on_call = {"enabled": True, "files": {"x": {"csi": {}}}, "kafka": {"sasl_password_file": f"{MOUNTED}/x/p"}}
    assert "'/oncall/files/x/csi': missing property 'driver'" in refused(chart, {"oncall": on_call})
