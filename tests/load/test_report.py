"""Pages and pictures of load tests: the same results give the same bytes, and nothing is made up."""

from pathlib import Path

import pytest

from load import capacity, kept, report
from load.budget import LOOP, parts
from load.capacity import Measured
from load.kept import Kept
from load.report import NOTHING, UnknownSectionError
from tests.load.kept_results import KEPT, SIZES, STAGES, VIEW, result

PAGE = "# Title\n\nBefore.\n\n<!-- load:rounds -->\nold\n<!-- load:end -->\n\nBehind.\n"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The pages as they are in the repository."""
    for name in report.PAGES:
        (tmp_path / name).write_text((report.DOCS / name).read_text("utf-8"), "utf-8")
    return tmp_path


def test_the_same_results_give_the_same_pages_and_pictures(docs: Path) -> None:
    """Written twice, every file has the same bytes; so a difference in a commit is one in what was measured."""
    first = {path: path.read_bytes() for path in report.write(KEPT, docs)}
    second = {path: path.read_bytes() for path in report.write(KEPT, docs)}
    assert first == second
    assert {path.suffix for path in first} == {".md", ".svg"}


def test_every_picture_of_a_page_is_written(docs: Path) -> None:
    """No page links a picture that is not there."""
    written = {path.name for path in report.write(KEPT, docs)}
    page = (docs / "performance.md").read_text("utf-8")
    linked = {name for name in written if f"]({name})" in page and name.endswith(".svg")}
    assert linked == {name for name in written if name.endswith(".svg")}


def test_prose_stays() -> None:
    """Only what lies between the markers is written anew."""
    filled = report.filled(PAGE, KEPT)
    assert filled.startswith("# Title\n\nBefore.\n\n<!-- load:rounds -->\n")
    assert filled.endswith("<!-- load:end -->\n\nBehind.\n")
    assert "old" not in filled
    assert "| backlog | 1 | 20,000 | 40.0 | 1,000 | 1 : 25.0 |" in filled


def test_without_results_nothing_is_made_up(docs: Path) -> None:
    """What was never measured is said to be so, everywhere."""
    report.write(Kept(), docs)
    for name in report.PAGES:
        text = (docs / name).read_text("utf-8")
        assert text.count(NOTHING) == text.count("<!-- load:end -->")


def test_an_unknown_section_is_refused() -> None:
    """A marker that nothing belongs to is a slip of the pen."""
    with pytest.raises(UnknownSectionError, match="wonders"):
        report.filled(PAGE.replace("rounds", "wonders"), KEPT)


def test_of_several_rounds_the_one_in_the_middle_is_shown() -> None:
    """Neither the best nor the worst."""
    rounds = [result(gateway_cpu_us_per_event=cost) for cost in (50.0, 38.0, 41.0)]
    assert [each.gateway_cpu_us_per_event for each in report.typical(rounds)] == [41.0]


def test_the_parts_of_the_budget_add_up() -> None:
    """What lies in another stage is counted once, and what lies in none is what is left of the whole."""
    found = {part.name: part.us for part in parts(STAGES, 40.0)}
    assert found == {"decode": 12.0, "lane": 17.0, "decide": 3.0, "transaction": 5.0, LOOP: 3.0}
    assert sum(found.values()) == pytest.approx(40.0)


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    """Rounds replace those of their scenario, and stay beside those of others."""
    kept.keep_rounds([result(scenario="steady"), result()], tmp_path)
    kept.keep_rounds([result(gateway_cpu_us_per_event=39.0)], tmp_path)
    kept.keep_stages(STAGES, SIZES, tmp_path)
    kept.keep_view(VIEW, tmp_path)
    found = kept.read(tmp_path)
    assert {each.scenario: each.gateway_cpu_us_per_event for each in found.rounds} == {"steady": 40.0, "backlog": 39.0}
    assert (found.stages, found.sizes, found.views) == (STAGES, SIZES, [VIEW])


@pytest.mark.parametrize(("rate", "processes"), [(100, 2), (17_500, 2), (17_501, 3), (100_000, 7)])
def test_processes_follow_from_rate_and_cost(rate: int, processes: int) -> None:
    """At 40 µs a core gives 25,000 events a second, of which 70 percent are planned, and one process is spare."""
    assert capacity.need(rate, Measured(40.0, SIZES)).processes == processes


def test_connections_follow_from_littles_law() -> None:
    """35,000 events a second in batches of 100, each answered in 200 ms: 70 under way, and room for peaks."""
    assert capacity.connections(35_000, 0.2) == 100


def test_every_lender_finds_partitions_for_its_processes() -> None:
    """The largest rate of the page has two lanes of each topic a process."""
    for lender in capacity.LENDERS:
        need = capacity.need(lender.design_rate, Measured(40.0, SIZES))
        assert need.partitions >= capacity.LANES_A_PROCESS * need.processes
