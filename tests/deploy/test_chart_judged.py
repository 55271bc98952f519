"""The chart before judges that others wrote: helm's lint, Kubernetes' and the operators' schemas, a security policy."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.chart.__main__ import pages
from deploy.chart.places import CHART, ROOT
from tests.deploy import cluster_schemas
from tests.deploy.charts import SETS, Chart, RefusedError, Tool

OLDEST, NEWEST = "1.27", "1.37"
JUDGE_S = 120

# What checkov would have otherwise, and why not.
ACCEPTED = {
    "CKV_K8S_11": "no CPU limit: throttled, a process stands still and loses its session, and with it its lanes",
}
# In one value set only: what the set is there for.
ACCEPTED_IN = {
    ("every", "CKV_K8S_40"): "OpenShift chooses the user, from a range of high ones",
    ("operators", "CKV_K8S_8"): "the pod for people on call waits to be typed into: nothing in it can hang",
    ("operators", "CKV_K8S_9"): "nor be unready: no traffic goes to it",
}


def test_what_is_written_from_the_gateways_code_is_up_to_date() -> None:
    stale = [path.relative_to(ROOT).as_posix() for path, text in pages().items() if path.read_text() != text]
    assert stale == [], "run python -m deploy.chart"


@pytest.mark.parametrize("name", SETS)
def test_helm_lint_finds_nothing(chart: Chart, name: str) -> None:
    said = chart.run("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / f"{name}-values.yaml"))
    assert "[WARNING]" not in said


def test_the_chart_can_be_packaged(chart: Chart, tmp_path: Path) -> None:
    chart.run("package", str(CHART), "--destination", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["credit-gateway-0.1.0.tgz"]


@pytest.fixture(scope="module")
def manifests(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifests")
    for name in SETS:
        (folder / f"{name}.yaml").write_text(chart.render(name).text)
    return folder


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_resource_is_what_kubernetes_and_the_operators_take(
    chart: Chart, tool: Tool, manifests: Path, tmp_path: Path, version: str
) -> None:
    kinds = {cluster_schemas.kind_of(resource) for name in SETS for resource in chart.render(name).resources}
    cluster_schemas.write(tmp_path, version, kinds, tool("crds"))
    assert conform(tool, tmp_path, manifests) == []


def test_a_misspelt_field_of_each_kind_is_found(chart: Chart, tool: Tool, tmp_path: Path) -> None:
    """Else the schemas would be too lax to say anything."""
    resources = {}
    for name in SETS:
        for resource in chart.render(name).resources:
            resources[cluster_schemas.kind_of(resource)] = resource
    cluster_schemas.write(tmp_path, NEWEST, set(resources), tool("crds"))
    folder = tmp_path / "misspelt"
    folder.mkdir()
    for kind, resource in resources.items():
        inner = next((key for key in ("spec", "data") if key in resource), None)
        spelt = {**resource, inner: {**resource[inner], "misspelt": {"x": 1}}} if inner else {**resource, "misspelt": 1}
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump(spelt))
    found = {line.partition(".yaml")[0] for line in conform(tool, tmp_path, folder)}
    assert found == set(resources)


def conform(tool: Tool, schemas: Path, manifests: Path) -> list[str]:
    """What kubeconform finds: file, resource and reason."""
    command = [
        *(tool("kubeconform"), "-strict", "-output", "json"),
        *("-schema-location", f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"),
        str(manifests),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=JUDGE_S, check=False)
    return [
        f"{Path(each['filename']).name}: {each['kind']} {each['name']}: {each['msg']}"
        for each in json.loads(ended.stdout)["resources"]
    ]


def test_a_security_policy_finds_nothing_but_what_is_accepted_with_a_reason(
    tool: Tool, chart: Chart, manifests: Path, tmp_path: Path
) -> None:
    """And finds what is wrong, planted beside the rest."""
    for file in manifests.iterdir():
        shutil.copy(file, tmp_path)
    wrong = chart.render("least").text.replace("readOnlyRootFilesystem: true", "privileged: true")
    (tmp_path / "planted.yaml").write_text(wrong.replace("drop: [ALL]", "drop: []"))
    found = policy(tool, tmp_path)
    accepted = ACCEPTED_IN.keys() | {(name, check) for name in SETS for check in ACCEPTED}
    assert {each for each in found if each[0] in SETS} == accepted
    assert {"CKV_K8S_16", "CKV_K8S_22", "CKV_K8S_37"} <= {check for name, check in found if name == "planted"}


def policy(tool: Tool, manifests: Path) -> set[tuple[str, str]]:
    """(value set, check) of what checkov finds; offline, for its checks come with it."""
    command = [tool("checkov"), "--directory", str(manifests), "--framework", "kubernetes", "--output", "json"]
    ended = subprocess.run(
        [*command, "--compact", "--quiet", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=JUDGE_S,
        check=False,
    )
    failed = json.loads(ended.stdout)["results"]["failed_checks"]
    return {(Path(each["file_path"]).stem, each["check_id"]) for each in failed}


@pytest.mark.parametrize("name", SETS)
def test_a_value_set_is_refused_without_what_it_must_say(chart: Chart, name: str) -> None:
    with pytest.raises(RefusedError, match=r"settings.*genie|base_url"):
        chart.render(name, {"settings.genie.base_url": ...})
