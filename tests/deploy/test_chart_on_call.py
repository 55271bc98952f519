"""The pod that people on call type into: what it has, whom it reaches, who reaches it; and that nothing else is said to
work."""

import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from deploy.chart.places import MOUNTED
from tests.deploy.charts import Chart, RefusedError, Rendered, Resource

COMPONENT = "on-call"
END_S = 20
BY_PASSWORD = {
    "oncall": {
        "enabled": True,
        "kafka": {"sasl_username": "on-call", "sasl_password_file": f"{MOUNTED}/kafka-on-call/password"},
        "files": {"kafka-on-call": {"secret": "on-call"}},
    }
}


def pod_of(rendered: Rendered) -> Resource:
    return dict(rendered.one("StatefulSet", COMPONENT)["spec"]["template"]["spec"])


def settings_of(rendered: Rendered) -> str:
    return str(rendered.one("ConfigMap", COMPONENT)["data"]["gateway.toml"])


def test_there_is_none_unless_it_is_wanted(chart: Chart) -> None:
    components = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in chart.render("least").resources}
    assert COMPONENT not in components


@pytest.mark.parametrize("name", ["least", "operators"])
def test_it_logs_in_as_itself_and_has_no_key_of_the_gateways(chart: Chart, name: str) -> None:
    """Whoever may open it can't sign, name or prove anything: such files are not there."""
    rendered = chart.render(name, BY_PASSWORD if name == "least" else {})
    toml, own = settings_of(rendered), set(rendered.settings)
    sections = set(re.findall(r"^\[(\w+)\]$", toml, re.MULTILINE))
    assert {"kafka"} <= sections <= {"kafka", "topics", "schemas", "observe"}
    assert sections < own
    theirs = {
        "least": ('sasl_username = "on-call"', f'"{MOUNTED}/kafka-on-call/password"'),
        "operators": (f'"{MOUNTED}/on-call/user.crt"', f'"{MOUNTED}/on-call/user.key"'),
    }
    assert all(part in toml for part in theirs[name])
    assert f"{MOUNTED}/kafka/" not in toml  # the gateway's login
    files = {volume["name"] for volume in pod_of(rendered)["volumes"]} - {"settings", "work", "tmp"}
    assert files == {f"file-{file}" for file in re.findall(f"{MOUNTED}/([a-z-]+)/", toml)}
    ours = {volume["name"] for volume in rendered.pod["volumes"]}
    assert not {"file-on-call", "file-kafka-on-call"} & ours


def test_it_reaches_names_kafka_the_registry_and_gateways_and_only_it_is_let_in_beside_prometheus(
    chart: Chart,
) -> None:
    rendered = chart.render("operators")
    policy = rendered.one("NetworkPolicy", COMPONENT)["spec"]
    *others, (gateways, ports) = [(rule["to"], rule["ports"]) for rule in policy["egress"]]
    places = [
        each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for to, _ in others for each in to
    ]
    assert places == ["kube-system", "kafka", "kafka"]
    assert policy["ingress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (served,) = rendered.pod["containers"][0]["ports"]
    assert ports == [{"protocol": "TCP", "port": served["containerPort"]}]
    gateway, people = (labels_of(rendered, each) for each in ("gateway", COMPONENT))
    (asked,) = [each["podSelector"]["matchLabels"] for each in gateways]
    assert asked.items() <= gateway.items()
    let_in = [each for rule in rendered.one("NetworkPolicy")["spec"]["ingress"] for each in rule["from"]]
    (asking,) = [each["podSelector"]["matchLabels"] for each in let_in if "podSelector" in each]
    assert asking.items() <= people.items()
    assert not asking.items() <= gateway.items()
    for selecting in ("Service", "PodDisruptionBudget"):
        selector = rendered.one(selecting)["spec"]["selector"]
        assert not selector.get("matchLabels", selector).items() <= people.items()


def labels_of(rendered: Rendered, component: str) -> dict[str, str]:
    return dict(rendered.one("StatefulSet", component)["spec"]["template"]["metadata"]["labels"])


def test_gateways_let_it_in_where_nobody_else_is(chart: Chart) -> None:
    rendered = chart.render("least", {**BY_PASSWORD, "networkPolicy.metrics": {"from": []}})
    (rule,) = rendered.one("NetworkPolicy")["spec"]["ingress"]
    assert [list(each) for each in rule["from"]] == [["podSelector"]]


def test_its_process_ends_when_it_is_told_to(chart: Chart) -> None:
    """As the first process of a container it would else be killed at the end of its grace."""
    (container,) = pod_of(chart.render("operators"))["containers"]
    python, *arguments = container["command"]
    assert python == "python"
    # it says when it waits, so that nothing is told it earlier
    *before, script = arguments
    told = "\nprint(1, flush=True)\nsignal.sigwait("
    process = subprocess.Popen(
        [sys.executable, *before, script.replace("\nsignal.sigwait(", told)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0
    finally:
        process.kill()
        process.communicate()


WRONG: list[tuple[str, object, str]] = [
    ("oncall.kafka.sasl_username", ..., "oncall.kafka.sasl_username: missing: give Kafka's login of the role on-call"),
    ("oncall.kafka.sasl_username", "credit-gateway", "oncall.kafka.sasl_username: found credit-gateway, which is the"),
    ("oncall.kafka.client_cert_file", f"{MOUNTED}/kafka-on-call/c", "oncall.kafka.client_key_file: missing, but"),
    ("oncall.kafka.sasl_password_file", "/etc/password", "/oncall/kafka/sasl_password_file': '/etc/password' does not"),
    ("oncall.files", {}, "password, but there is no oncall.files.kafka-on-call: say there which secret"),
    ("oncall.files.keys", {"secret": "x"}, "oncall.files.keys: files.keys is there too: give one of them another name"),
    ("oncall.kafka.bootstrap_servers", "k:9092", "'/oncall/kafka': additional properties 'bootstrap_servers'"),
    ("oncall.enable", True, "'/oncall': additional properties 'enable'"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG, ids=lambda each: str(each)[:40])
def test_a_mistake_is_refused_with_the_line_to_change(chart: Chart, path: str, value: object, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render("least", {**with_login(), path: value})
    assert said in str(refused.value)


def test_a_login_that_the_protocol_does_not_use_is_refused(chart: Chart) -> None:
    with pytest.raises(RefusedError, match=r"oncall\.kafka\.sasl_username: found x, but settings\.kafka"):
        chart.render("operators", {"oncall.kafka.sasl_username": "x"})


def with_login() -> dict[str, Any]:
    """As dotted paths, so that one can be changed."""
    inner = BY_PASSWORD["oncall"]
    return {f"oncall.{key}": dict(value) if isinstance(value, dict) else value for key, value in inner.items()}


def test_an_installation_names_only_what_works_where_it_says(chart: Chart) -> None:
    """The gateway's login may not read what `gateway status` asks."""
    for changes, expected in (
        ({}, {("gw-credit-gateway-0", "check")}),
        (BY_PASSWORD, {("gw-credit-gateway-0", "check"), ("gw-credit-gateway-on-call-0", "status")}),
    ):
        said = set(re.findall(r"exec (?:-it )?(\S+) -- gateway (\w+)", chart.notes("least", changes)))
        assert said == expected
        sets = {each["metadata"]["name"] for each in chart.render("least", changes).all("StatefulSet")}
        assert {pod.removesuffix("-0") for pod, _ in said} <= sets
