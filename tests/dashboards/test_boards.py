"""Each dashboard as a whole: what is checked in is what the code says, Grafana knows it, and people can read it."""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from deploy.grafana.__main__ import main
from deploy.grafana.boards import BOARDS, as_json
from tests.dashboards.checked_in import DIRECTORY, FILES, dashboard, panels
from tests.unit.test_docs_links import ROOT, anchors

COLUMNS = 24
TITLE_PER_COLUMN = 7.5  # characters that a panel shows of it, on a screen of usual width
UNITS = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)} | {"none"}
# Of the Prometheus data source, not of Grafana's own model, which drops them.
OF_PROMETHEUS = {"titleFormat", "textFormat", "tagKeys"}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_what_is_checked_in_is_what_the_code_says(board: Any) -> None:
    """Neither is changed without the other."""
    written = (DIRECTORY / f"{board.name}.json").read_text("utf-8")
    assert written == as_json(board), "run: python -m deploy.grafana"


def test_every_file_is_one_of_the_dashboards(capsys: pytest.CaptureFixture[str]) -> None:
    """One that was renamed does not stay behind; the command agrees."""
    assert {path.stem for path in FILES} == {board.name for board in BOARDS}
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


@every_file
def test_grafana_knows_every_key(path: Path) -> None:
    """Its models drop what they don't know: read and written again, nothing is missing or different."""
    there = dashboard(path)
    texts = {f"/annotations/list/0/{key}" for key in OF_PROMETHEUS}
    assert set(lost(there, read_again(there))) == texts


@pytest.mark.parametrize(
    "route",
    [[], ["panels", 1], ["panels", 1, "options"], ["panels", 1, "targets", 0], ["templating", "list", 0]],
    ids=str,
)
def test_an_unknown_key_would_be_noticed(route: list[Any]) -> None:
    """In the dashboard, a panel, its options, a query or a variable."""
    there = where = dashboard(FILES[0])
    for step in route:
        where = where[step]
    where["mistyped"] = 1
    assert any(key.endswith("/mistyped") for key in lost(there, read_again(there)))


def read_again(there: dict[str, Any]) -> Any:
    """What is left once Grafana's models have read it and written it."""
    register_default_plugins()
    return json.loads(json.dumps(models.Dashboard.from_json(copy.deepcopy(there)), cls=JSONEncoder))


def lost(there: Any, back: Any, at: str = "") -> Iterator[str]:
    """The keys and values that are no longer what they were; what was added is no loss."""
    if isinstance(there, dict) and isinstance(back, dict):
        for key, value in there.items():
            yield from lost(value, back[key], f"{at}/{key}") if key in back else [f"{at}/{key}"]
    elif isinstance(there, list) and isinstance(back, list) and len(there) == len(back):
        for number, (one, other) in enumerate(zip(there, back, strict=True)):
            yield from lost(one, other, f"{at}/{number}")
    elif there != back:
        yield at


@every_file
def test_every_panel_says_what_it_shows(path: Path) -> None:
    """Its title, what to make of it, in which unit, and whom it asks."""
    titles = [panel["title"] for panel in panels(path)]
    assert len(titles) == len(set(titles))
    for panel in panels(path):
        title = panel["title"]
        assert 0 < len(title) <= TITLE_PER_COLUMN * panel["gridPos"]["w"], title
        assert panel["description"].endswith("."), title
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, title
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title


@every_file
def test_every_series_has_a_name(path: Path) -> None:
    """A legend in place of a list of labels; a single number may go without."""
    for panel in panels(path):
        targets = panel["targets"]
        assert [target["refId"] for target in targets] == [chr(ord("A") + n) for n in range(len(targets))]
        for target in targets:
            assert target["datasource"] == panel["datasource"]
            alone = panel["type"] == "table" or (panel["type"] == "stat" and len(targets) == 1)
            assert alone or target.get("legendFormat") or single(target["expr"]), panel["title"]


def single(expression: str) -> bool:
    """Whether its one series is named by the panel."""
    return not re.search(r"\bby \(|topk", expression)


@every_file
def test_numbers_that_may_be_bad_have_a_colour_for_it(path: Path) -> None:
    """The first row is read at a glance."""
    first = list(itertools.takewhile(lambda panel: panel["type"] != "row", dashboard(path)["panels"][1:]))
    assert first
    for panel in first:
        assert panel["type"] == "stat"
    shown = [panel["fieldConfig"]["defaults"] for panel in first]
    coloured = [each for each in shown if len(each["thresholds"]["steps"]) > 1 or each.get("mappings")]
    assert len(coloured) >= len(first) - 1


def test_the_first_row_says_whose_it_is() -> None:
    """Us, Kafka or GeNiE: each has a number."""
    titles = " ".join(panel["title"] for panel in itertools.islice(panels(DIRECTORY / "operations.json"), 6))
    assert all(part in titles for part in ("Us", "Kafka", "GeNiE"))


@every_file
def test_every_column_of_a_table_has_its_name_and_unit(path: Path) -> None:
    """Grafana calls a single value "Value" and several "Value #A", "Value #B"; formats go by the names given here."""
    for panel in panels(path):
        if panel["type"] != "table":
            continue
        letters = [target["refId"] for target in panel["targets"]]
        values = [f"Value #{letter}" for letter in letters] if len(letters) > 1 else ["Value"]
        (names,) = (t["options"]["renameByName"] for t in panel["transformations"] if t["id"] == "organize")
        assert set(values) < set(names)
        formatted = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
        assert formatted == {names[value] for value in values}


@every_file
def test_panels_neither_overlap_nor_leave_holes(path: Path) -> None:
    """Every cell of the grid belongs to one panel, and rows are full."""
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard(path)["panels"]:
        at = panel["gridPos"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken.get(cell)}"
            taken[cell] = panel["title"]
    height = max(y for _, y in taken) + 1
    assert taken.keys() == set(itertools.product(range(COLUMNS), range(height)))


@every_file
def test_panels_are_numbered(path: Path) -> None:
    """Links to one panel stay right."""
    assert [panel["id"] for panel in dashboard(path)["panels"]] == [*range(1, len(dashboard(path)["panels"]) + 1)]


@every_file
def test_every_link_leads_to_a_page_of_the_runbook(path: Path) -> None:
    """The page is there, and the heading on it."""
    urls = [link["url"] for panel in panels(path) for link in panel.get("links", [])]
    assert len(urls) > len(list(panels(path))) / 2
    for url in urls:
        page, _, anchor = url.removeprefix("${").partition("#")
        file = ROOT / "docs" / page.replace("}", "").replace(".html", ".md")  # as the site of the docs has it
        assert file.is_file(), url
        assert not anchor or anchor in anchors(file), url


@every_file
def test_every_variable_exists_and_is_used(path: Path) -> None:
    """And what may be chosen begins with everything."""
    text = path.read_text("utf-8")
    variables = {each["name"]: each for each in dashboard(path)["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", text))
    assert used == set(variables)
    for name in used - {"datasource", "runbook"}:
        assert variables[name]["multi"] and variables[name]["includeAll"] and variables[name]["allValue"]
    runbook = variables["runbook"]
    assert (runbook["type"], runbook["query"]) == ("textbox", runbook["current"]["value"])  # people say where it is
    assert runbook["query"].startswith("https://") and not runbook["query"].endswith("/")


@every_file
def test_dashboards_lead_to_each_other(path: Path) -> None:
    """With the same choices and the same time, by a tag that all have."""
    read = dashboard(path)
    (siblings,) = (link for link in read["links"] if link["type"] == "dashboards")
    assert set(siblings["tags"]) <= set(read["tags"])
    assert siblings["includeVars"] and siblings["keepTime"]


def test_addresses_are_unlike_each_other() -> None:
    """Grafana keeps one dashboard for each uid."""
    uids = [dashboard(path)["uid"] for path in FILES]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 for uid in uids)  # Grafana's limit


def test_grafana_is_provisioned_with_what_dashboards_ask() -> None:
    """A Prometheus as default, and a place for the files; one not to be edited where nothing would keep it."""
    provisioning = DIRECTORY / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text("utf-8"))["datasources"]
    assert source["type"] == "prometheus" and source["isDefault"] is True
    (provider,) = yaml.safe_load((provisioning / "dashboards/credit-gateway.yaml").read_text("utf-8"))["providers"]
    assert provider["type"] == "file" and Path(provider["options"]["path"]).is_absolute()
    assert provider["allowUiUpdates"] is False
