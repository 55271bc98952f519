"""The tool that takes statements out of the drivers: what it finds, and that a function is changed where it is."""

import ast
import builtins
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gateway
from tests.removals import __main__ as command
from tests.removals import judge
from tests.removals.drivers import LEFT_OUT, NAMES, Driver, mark_all
from tests.removals.sites import REACHED, sites

PACKAGE = Path(gateway.__file__).parent

SOURCE = """
from contextlib import suppress

class Noted(list):
    def note(self, what):
        self.append(what)

    async def later(self, what):
        self.note(what)

    async def do(self, number):
        if number == 1:
            return "left"
        if number == 2:
            self.note("two")
        await self.later("awaited")
        with suppress(ZeroDivisionError):
            1 / (number - 3)
        try:
            1 / (number - 4)
        except ZeroDivisionError:
            self.note("caught")
        finally:
            self.note("finally")
        assert number != 5
        while number == 7:
            number = 8
            self.note("seven")
        match number:
            case 10:
                raise KeyError(number)
        return "six" if number == 6 and self else [n for n in (1, 2) if n != number]
"""
PLAIN = {
    1: ("left", []),
    2: ([1], ["two", "awaited", "finally"]),
    4: ([1, 2], ["awaited", "caught", "finally"]),
    6: ("six", ["awaited", "finally"]),
}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A module of its own, imported anew for each test."""
    name = f"noted_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return Driver.imported(name)


async def done(driver: Driver, number: int) -> tuple[object, list[str]]:
    noted = __import__(driver.name).Noted()
    return await noted.do(number), list(noted)


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [
        ("guard: if number == 1", 1, ([2], ["awaited", "finally"])),
        ("check: if number == 2", 6, ("six", ["two", "awaited", "finally"])),
        ("await: await self.later('awaited')", 2, ([1], ["two", "finally"])),
        ("with: with suppress(ZeroDivisionError)", 3, ZeroDivisionError),
        ("handler: except ZeroDivisionError: self.note('caught')", 4, ZeroDivisionError),
        ("finally: finally: self.note('finally')", 4, ([1, 2], ["awaited", "caught"])),
        ("assert: assert number != 5", 5, ([1, 2], ["awaited", "finally"])),
        ("while: while number == 7", 7, ([1, 2], ["awaited", "finally"])),
        ("raise: raise KeyError(number)", 10, ([1, 2], ["awaited", "finally"])),
        ("part: number == 6 in number == 6 and self", 2, ("six", ["two", "awaited", "finally"])),
        ("part: self in number == 6 and self", 6, ("six", ["awaited", "finally"])),
        ("first: 'six' if number == 6 and self else [n for n in (1, 2) if n != number]", 4, "six"),
        ("second: 'six' if number == 6 and self else [n for n in (1, 2) if n != number]", 6, [1, 2]),
        ("filter: n != number", 2, ([1, 2], ["two", "awaited", "finally"])),
    ],
)
async def test_each_kind_is_taken_out_where_it_is(driver: Driver, text: str, number: int, expected: object) -> None:
    """Nothing else changes; whoever has imported the function has the changed one."""
    (removal,) = (removal for removal in driver.removals() if removal.site.name == f"Noted.do: {text}")
    for known, plain in PLAIN.items():
        assert await done(driver, known) == plain
    removal.make()
    if isinstance(expected, type):
        with pytest.raises(expected):
            await done(driver, number)
    else:
        got = await done(driver, number)
        assert expected in (got, got[0])


async def test_a_mark_tells_where_a_removal_would_make_a_difference(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard where it leaves, a check where it keeps out, a handler where it catches."""
    here: set[int] = set()
    monkeypatch.setattr(builtins, REACHED, here.add, raising=False)
    removals = driver.removals()
    mark_all(removals)
    assert await done(driver, 1) == PLAIN[1]
    assert [removals[index].site.kind.name for index in here] == ["GUARD"]
    here.clear()
    assert await done(driver, 2) == PLAIN[2]
    kinds = {removals[index].site.kind.name for index in here}
    assert {"AWAIT", "WITH", "ASSERT", "FINALLY", "PART", "FILTER", "FIRST", "SECOND"} == kinds


def test_what_a_guard_raises_goes_with_the_guard() -> None:
    """And what repeats for ever has no condition to take out."""
    found = sites(ast.parse("def f(n):\n while True:\n  if n:\n   raise KeyError\n  else:\n   raise ValueError"))
    assert [site.name for site in found] == ["f: guard: if n", "f: raise: raise ValueError"]


def test_each_module_is_a_driver_or_left_out_for_a_reason() -> None:
    """None is forgotten, and none is named that is gone."""
    named = sorted(f"gateway.{name}" for names in LEFT_OUT.values() for name in names) + list(NAMES)
    there = [path for room in (".", "kafka", "genie") for path in (PACKAGE / room).glob("*.py")]
    modules = [".".join(("gateway", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in there]
    assert sorted(named) == sorted(module for module in modules if not module.endswith("__init__"))


def test_each_removal_has_a_name_of_its_own() -> None:
    """accepted.toml speaks of them by it; and what is marked compiles."""
    drivers = [Driver.imported(name) for name in NAMES]
    names = [removal.name for driver in drivers for removal in driver.removals()]
    assert len(set(names)) == len(names)
    for driver in drivers:
        driver.compiled(lambda found: [site.mark(0) for site in found])


@pytest.mark.parametrize(
    ("answers", "noticed"),
    [
        ([""], ""),
        (["first"], "first"),
        ([None, "", ""], ""),
        ([None, "", None], "second"),
        ([None, "", "second"], "second"),
    ],
)
def test_to_be_slow_together_is_not_to_be_caught(
    answers: list[str | None], noticed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests that together pass the bound, or die, are tried alone."""
    monkeypatch.setattr(judge, "_forked", lambda call, bound_s: answers.pop(0))
    items: Any = [SimpleNamespace(nodeid=name) for name in ("first", "second")]
    removal: Any = None
    assert judge.Judge([], lambda _: True, print)._noticed(removal, items) == noticed
    assert not answers


def test_a_driver_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before any test runs, with the names of those that are."""
    with pytest.raises(SystemExit) as ended:
        command.main(["taster", "nope"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "'nope'" in said
    assert all(name in said for name in NAMES)
