"""What the chart promises of a gateway in a cluster: its place in the group, its end, who reaches whom, its topics."""

import re
from collections import defaultdict

import pytest

from deploy.chart.places import MOUNTED
from gateway.kafka.acls import Acl, Kind, Operation, Role, least
from gateway.kafka.lane_driver import CLOSE_BOUND_S
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import REPLICATION, needs
from gateway.sections import KafkaSettings, LaneSettings
from tests.deploy.charts import NAMESPACE, SETS, Chart, RefusedError, Rendered, Resource

# --- its place in the group, and its end --------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_a_pod_keeps_its_name_in_the_group_and_so_its_lanes(chart: Chart, name: str) -> None:
    rendered = chart.render(name)
    variables = {each["name"]: each for each in rendered.pod["containers"][0]["env"]}
    stable = {"fieldRef": {"fieldPath": "metadata.name"}}
    assert variables["GATEWAY_KAFKA__GROUP_INSTANCE_ID"]["valueFrom"] == stable
    assert not rendered.all("Deployment")  # its pods change their names, and two could be there at once
    assert rendered.one("StatefulSet")["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("drain_ms", [None, 1_000, 25_500])
def test_kubernetes_waits_for_longer_than_the_gateway_takes_to_end(
    chart: Chart, name: str, drain_ms: int | None
) -> None:
    changes = {} if drain_ms is None else {"settings.lane.drain_ms": drain_ms}
    rendered = chart.render(name, changes)
    default = LaneSettings.model_fields["drain_ms"].default
    drain = rendered.settings.get("lane", {}).get("drain_ms", default)
    assert rendered.pod["terminationGracePeriodSeconds"] > drain / 1000 + CLOSE_BOUND_S


@pytest.mark.parametrize("name", SETS)
def test_a_pod_that_is_replaced_has_time_to_be_back_before_its_lanes_move(chart: Chart, name: str) -> None:
    kafka = chart.render(name).settings["kafka"]
    assert kafka["session_timeout_ms"] > KafkaSettings.model_fields["session_timeout_ms"].default


def test_settings_that_change_replace_the_pods_and_nothing_else_does(chart: Chart) -> None:
    def template(changes: dict[str, object]) -> Resource:
        return dict(chart.render("least", changes).one("StatefulSet")["spec"]["template"])

    assert template({"settings.lane.window": 1_000}) != template({})
    assert template({"replicas": 5, "podMonitor.enabled": True, "networkPolicy.dns.ports": [5353]}) == template({})


# --- who may do what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_no_pod_has_a_token_a_root_or_a_disk_to_write_on(chart: Chart, name: str) -> None:
    rendered = chart.render(name)
    pods = [each["spec"]["template"]["spec"] for kind in ("StatefulSet", "Job") for each in rendered.all(kind)]
    assert len(pods) >= 2  # the gateway and its test; mostly a job before it
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", SETS)
def test_nothing_secret_is_in_what_is_rendered(chart: Chart, name: str) -> None:
    """Secrets are named, and mounted as files that the gateway's group may read."""
    rendered = chart.render(name)
    assert not rendered.all("Secret")
    for volume in rendered.pod["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440
    for variable in rendered.pod["containers"][0]["env"]:
        assert "secretKeyRef" not in variable.get("valueFrom", {})


def reached(policy: Resource) -> dict[str, set[int]]:
    """Peer -> ports, of what a policy lets out."""
    out: dict[str, set[int]] = defaultdict(set)
    for rule in policy["spec"]["egress"]:
        for peer in rule["to"]:
            (kind,) = peer
            where = peer[kind].get("cidr") or peer[kind]["matchLabels"]["kubernetes.io/metadata.name"]
            out[where] |= {port["port"] for port in rule["ports"]}
    return dict(out)


def test_the_gateway_reaches_names_kafka_registry_genie_and_the_collector_alone(chart: Chart) -> None:
    names = {"kube-system": {53}}
    least_policy = chart.render("least").one("NetworkPolicy")
    assert reached(least_policy) == {**names, "10.20.0.0/24": {9093}, "192.0.2.10/32": {443}}
    operators = chart.render("operators").one("NetworkPolicy")
    assert reached(operators) == {
        **names,
        "kafka": {9093, 8081},
        "192.0.2.10/32": {8443},
        "observe": {4318},
    }
    assert operators["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_job_before_an_installation_reaches_kafka_alone_and_has_kafkas_files_alone(chart: Chart) -> None:
    rendered = chart.render("least")
    assert reached(rendered.one("NetworkPolicy", "topic-check")) == {"kube-system": {53}, "10.20.0.0/24": {9093}}
    job = rendered.one("Job", "topic-check")
    volumes = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes == {"settings", "file-kafka", "file-kafka-ca"}
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["topics", "check"]


def test_the_job_that_starts_the_lanes_reaches_the_registry_too_and_says_who_asks(chart: Chart) -> None:
    """What it writes to the audit topic has a schema; one that a registry holds is looked up there."""
    by_password = {"registry_ca_file": f"{MOUNTED}/ca/r.pem", "registry_password_file": f"{MOUNTED}/login/p"}
    registry = {"registry_url": "https://registry.kafka.svc", "registry_username": "norel", **by_password}
    files = {"files.ca": {"configMap": "ca"}, "files.login": {"secret": "login"}}
    rendered = chart.render("operators", {"settings.schemas": registry, **files})
    policy = rendered.one("NetworkPolicy", "lanes-init")
    assert reached(policy) == {"kube-system": {53}, "kafka": {9093, 443}}
    pod = rendered.one("Job", "lanes-init")["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == {"settings", "file-kafka", "file-kafka-ca", "file-ca", "file-login"}
    (container,) = pod["containers"]
    reason = "first start of the lanes of release gw in namespace lending"
    assert container["args"] == [
        *("lanes", "init", "--from", "earliest"),
        *("--operator", "yamada", "--reason", reason, "--ticket", "OPS-12"),
    ]


def test_topics_that_come_with_the_chart_are_checked_beside_the_pods(chart: Chart) -> None:
    """Not by hooks: who waits for pods would never come to them, and a topic that an upgrade brings would refuse it."""
    longest = {"topicCheck.deadlineSeconds": 3_600}
    first, other = (chart.render("operators", {**longest, "settings.lane.window": window}) for window in (8_192, 4_096))
    for component in ("topic-check", "lanes-init"):
        job, policy = first.one("Job", component), first.one("NetworkPolicy", component)
        assert "annotations" not in job["metadata"] | policy["metadata"]
        (settings,) = [each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "settings"]
        assert settings["configMap"]["name"] == first.one("ConfigMap")["metadata"]["name"]
        assert job["spec"]["backoffLimit"] > retries_within_the_deadline(job)
        assert other.one("Job", component)["metadata"]["name"] != job["metadata"]["name"]  # it can't be changed


@pytest.mark.parametrize("name", ["kafka", "registry"])
def test_jobs_that_log_in_by_a_certificate_that_comes_with_the_chart_stand_beside_the_pods(
    chart: Chart, name: str
) -> None:
    """It is there only after the release, for which a hook would wait in vain."""
    changes = {
        "settings.schemas": {"registry_url": "https://r", "registry_ca_file": f"{MOUNTED}/registry/ca.crt"},
        "networkPolicy.registry.to": [{"podSelector": {}}],
        "files.registry": {"configMap": "registry-ca"},
        "lanesInit": {"from": "earliest", "operator": "yamada"},
        f"files.{name}": {"certificate": {"issuerRef": {"name": "kafka"}, "commonName": "gateway"}},
    }
    rendered = chart.render("least", changes)
    for component in ("topic-check", "lanes-init"):
        assert "annotations" not in rendered.one("Job", component)["metadata"]


def retries_within_the_deadline(job: Resource) -> int:
    """Retries that fit into its deadline, as Kubernetes waits between them: 10 s, then doubled, at most 6 minutes."""
    waited = retries = 0
    while (waited := waited + min(10 * 2**retries, 360)) <= job["spec"]["activeDeadlineSeconds"]:
        retries += 1
    return retries


@pytest.mark.parametrize("release", ["a" * 53, f"{'b' * 41}-{'c' * 11}", "credit-gateway"])
def test_a_release_of_any_name_has_names_that_kubernetes_takes(chart: Chart, release: str) -> None:
    """Those of jobs and services become labels and names of hosts: 63 characters at most (RFC 1035)."""
    for resource in chart.render("operators", {}, release=release).resources:
        name = resource["metadata"]["name"]
        if resource["kind"] in {"Job", "Service", "StatefulSet"}:
            assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name), name
            assert len(name) <= {"StatefulSet": 52}.get(resource["kind"], 63), name


# helm itself refuses the rest
@pytest.mark.parametrize("release", ["9gw", "g.w"])
def test_a_release_whose_name_no_service_can_have_is_refused(chart: Chart, release: str) -> None:
    with pytest.raises(RefusedError, match=f"the release's name: found {release}: letters a-z"):
        chart.render("least", {}, release=release)


def test_what_an_installation_says_can_be_typed(chart: Chart) -> None:
    """Its line starts the lanes, and nothing is asked for that is set; a registry comes before."""
    said = chart.notes("operators", {"lanesInit": ...})
    assert said.index("gateway schemas register") < said.index("helm upgrade")
    (line,) = [line.split() for line in said.splitlines() if "helm upgrade" in line]
    options = line[line.index("--set") :]
    assert line[line.index("--namespace") + 1] == NAMESPACE
    job = chart.render("operators", {"lanesInit": ...}, *options).one("Job", "lanes-init")
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[:6] == ["lanes", "init", "--from", "earliest", "--operator", "WHO"]
    assert "gateway schemas register" not in chart.notes("least")
    assert "helm upgrade" not in chart.notes("operators")


def test_the_test_of_a_release_judges_settings_by_the_memory_that_pods_have(chart: Chart) -> None:
    """Not by its own: more connections are right only beside more."""
    memory = {"resources": {"limits": {"memory": "2Gi"}}, "settings.genie.connections": 1_024}
    (container,) = chart.render("least", memory).one("Job", "test")["spec"]["template"]["spec"]["containers"]
    assert {"name": "GATEWAY_MEMORY_BYTES", "value": str(2 << 30)} in container["env"]


def test_metrics_are_open_to_nobody_unless_somebody_is_named(chart: Chart) -> None:
    assert chart.render("least", {"networkPolicy.metrics.from": []}).one("NetworkPolicy")["spec"]["ingress"] == []


# --- Strimzi ------------------------------------------------------------------------------------------------


def test_strimzis_topics_are_those_that_the_gateway_checks(chart: Chart) -> None:
    rendered = chart.render("operators")
    needed = needs(TopicNames("prod."), relaxed=False)
    topics = {each["spec"]["topicName"]: each for each in rendered.all("KafkaTopic")}
    assert topics.keys() == needed.keys()
    for name, topic in topics.items():
        assert topic["spec"]["replicas"] == REPLICATION
        assert topic["spec"]["partitions"] in {1, 24}
        for need in needed[name]:
            assert need.met(topic["spec"]["config"][need.setting]), (name, need.setting)
        assert topic["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert topics["prod.lease.payments"]["spec"]["partitions"] == 24


@pytest.mark.parametrize("role", Role)
def test_strimzis_users_may_do_the_least(chart: Chart, role: Role) -> None:
    rendered = chart.render("operators")
    name = "credit-gateway" if role is Role.GATEWAY else role.value
    (user,) = [each for each in rendered.all("KafkaUser") if each["metadata"]["name"] == name]
    assert set(acls(user)) == set(least(role, TopicNames("prod."), "lending"))
    assert user["spec"]["authentication"]["type"] == "tls"


def acls(user: Resource) -> list[Acl]:
    """What Strimzi would set, in the gateway's words."""
    kinds = {
        "topic": Kind.TOPIC,
        "group": Kind.GROUP,
        "cluster": Kind.CLUSTER,
        "transactionalId": Kind.TRANSACTIONAL_ID,
    }
    words = {operation.word: operation for operation in Operation}
    return [
        Acl(
            words[word],
            kinds[rule["resource"]["type"]],
            rule["resource"].get("name", "kafka-cluster"),
            rule["resource"].get("patternType") == "prefix",
        )
        for rule in user["spec"]["authorization"]["acls"]
        for word in rule["operations"]
    ]


# --- what others look at ------------------------------------------------------------------------------------


def selected(rendered: Rendered, labels: dict[str, str]) -> bool:
    """Whether labels select the gateway's pods."""
    pod = rendered.one("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    return labels.items() <= pod.items()


@pytest.mark.parametrize(("name", "kind"), [("operators", "PodMonitor"), ("every", "Service"), ("least", "Service")])
def test_what_selects_the_gateways_pods_selects_them_and_no_job(chart: Chart, name: str, kind: str) -> None:
    rendered = chart.render(name)
    selector = rendered.one(kind)["spec"]["selector"]
    labels = selector.get("matchLabels", selector)
    assert selected(rendered, labels)
    for job in rendered.all("Job"):
        assert not labels.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_a_service_monitor_finds_the_service(chart: Chart) -> None:
    rendered = chart.render("every")
    monitor, service = rendered.one("ServiceMonitor")["spec"], rendered.one("Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_the_autoscaler_decides_how_many_only_if_it_is_on(chart: Chart) -> None:
    assert "replicas" not in chart.render("every").one("StatefulSet")["spec"]
    assert chart.render("least").one("StatefulSet")["spec"]["replicas"] == 2
    assert not chart.render("least").all("HorizontalPodAutoscaler")
