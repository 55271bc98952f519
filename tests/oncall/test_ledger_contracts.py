"""`gateway ledger index --import-contracts`: whose a contract is, all of a list or nothing of it."""

from pathlib import Path

import pytest

from gateway.cli.errors import Exit
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.contracts import BadLinesError, read_list, subject_of_contract
from tests.oncall.desk_world import OPERATOR, DeskWorld

HEAD = "contract_ref,subject_ref\n"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def test_a_list_is_imported_once(desk_world: DeskWorld, url: str, tmp_path: Path) -> None:
    """A second time it changes nothing; a rebuild of the index leaves it; the audit has each."""
    path = tmp_path / "contracts.csv"
    path.write_text("\ufeff" + HEAD + "contract-1,subject-1\ncontract-2,subject-1\n\ncontract-3,subject-2\n", "utf-8")
    arguments = ["ledger", "index", "--import-contracts", str(path), "--index", url, *OPERATOR]
    told = [desk_world.run(arguments).stdout.partition(": ")[2] for _ in range(2)]
    assert told == [
        "3 contracts new, 0 known already, 0 given to another customer\n",
        "0 contracts new, 3 known already, 0 given to another customer\n",
    ]
    assert desk_world.run(["ledger", "index", "--once", "--rebuild", "--index", url, *OPERATOR]).status == Exit.DONE

    async def ask(desk: Desk) -> tuple[object, ...]:
        return (
            *[await subject_of_contract(desk, url, f"contract-{number}") for number in (1, 2, 3)],
            await subject_of_contract(desk, url, "contract-9"),
        )

    assert desk_world.at_desk(ask) == ("subject-1", "subject-1", "subject-2", None)
    deeds = [(record["command"], record["count"]) for record in desk_world.records(desk_world.names.audit)]
    assert deeds == [("ledger index --import-contracts", 3)] * 2 + [("ledger index --rebuild", None)]


def test_a_contract_changes_hands_only_if_asked(desk_world: DeskWorld, url: str, tmp_path: Path) -> None:
    """Else the list is refused whole, its line named."""
    path = tmp_path / "contracts.csv"
    arguments = ["ledger", "index", "--import-contracts", str(path), "--index", url, "--json", *OPERATOR]
    path.write_text(HEAD + "contract-1,subject-1\n")
    desk_world.run(arguments)
    path.write_text(HEAD + "contract-2,subject-2\ncontract-1,subject-2\n")
    refused = desk_world.run(arguments)
    assert refused.status == Exit.FOUND_WRONG
    assert "line 3: this contract is another customer's in the index: give --replace" in refused.stderr
    done = desk_world.run([*arguments, "--replace"])
    assert done.stdout.endswith('"new":1,"known":0,"replaced":1}\n')


def test_bad_lines_are_named_and_nothing_is_imported(desk_world: DeskWorld, url: str, tmp_path: Path) -> None:
    """By number, never by what stands in them."""
    path = tmp_path / "contracts.csv"
    path.write_text(
        HEAD + "contract-1,subject-1\n09012345678,subject-2\ncontract-3\n山田太郎,x\ncontract-1,subject-3\n"
    )
    refused = desk_world.run(["ledger", "index", "--import-contracts", str(path), "--index", url, *OPERATOR])
    assert refused.status == Exit.FOUND_WRONG
    assert refused.stderr.splitlines()[1:] == [
        "line 3: contract_ref is no reference: 6 to 64 letters, digits, _ and -, at least one letter",
        "line 4: 1 columns in place of 2",
        "line 5: contract_ref is no reference: 6 to 64 letters, digits, _ and -, at least one letter",
        "line 6: the contract of line 2, for another customer",
    ]
    assert not Path(url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    "text", ["", "contract-1,subject-1\n", "subject_ref,contract_ref\n", "contract_ref;subject_ref\n"]
)
def test_a_list_says_what_its_columns_are(text: str) -> None:
    """Columns the wrong way round would answer about somebody else."""
    with pytest.raises(BadLinesError, match="line 1: the first line must be contract_ref,subject_ref"):
        read_list(text.splitlines(keepends=True))


def test_many_bad_lines_are_not_all_told() -> None:
    """The first of them, and how many more."""
    with pytest.raises(BadLinesError, match="and 80 more lines"):
        read_list([HEAD, *["x,y\n"] * 100])


def test_who_imports_says_who_and_why(desk_world: DeskWorld, url: str, tmp_path: Path) -> None:
    """It decides whose data an answer holds."""
    path = tmp_path / "contracts.csv"
    path.write_text(HEAD)
    ended = desk_world.run(["ledger", "index", "--import-contracts", str(path), "--index", url, "--operator", "ann"])
    assert (ended.status, "--reason: give 1 to" in ended.stderr) == (Exit.WRONG_USE, True)
