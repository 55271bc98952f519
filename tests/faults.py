"""The faults that the gateway is put through: what goes wrong, what it does, what an operator sees.

A test says it of itself, or a case of a test in its `marks`:

    @fault(Where.GENIE, "GeNiE takes the request and never answers", does="...", seen="...")

`make edges` runs exactly these tests, and docs/faults.md is written from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import pytest


class Where(Enum):
    """Whose trouble it is, in the order of the document."""

    GENIE = "GeNiE"
    KAFKA = "Kafka"
    REGISTRY = "The schema registry"
    OWN = "The gateway's own machine"
    INPUT = "Bad input"
    SECURITY = "Kafka logins and rights"
    SETTINGS = "Settings"
    BOUNDS = "Too much of everything"
    RELEASES = "One release back and forth"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `name` is unlike any other's."""

    where: Where
    name: str  # what goes wrong, as a noun phrase or a short sentence without its full stop
    does: str  # what the gateway does, one sentence
    seen: str  # what an operator sees: metric, health field, log line, exit status


def fault(where: Where, name: str, *, does: str, seen: str) -> pytest.MarkDecorator:
    """Mark a test as the proof of what happens under one fault."""
    return pytest.mark.fault(Fault(where, name, does, seen))


def proven_by(items: Iterable[pytest.Item]) -> dict[Fault, list[str]]:
    """The tests of each fault, by node id."""
    proofs: dict[Fault, list[str]] = {}
    for item in items:
        for mark in item.iter_markers("fault"):
            proofs.setdefault(mark.args[0], []).append(item.nodeid)
    return proofs


class Collected:
    """A pytest plugin that keeps what was collected."""

    def __init__(self) -> None:
        self.proofs: dict[Fault, list[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.proofs = proven_by(session.items)


_HEAD = """\
# What can go wrong, and what happens then

Written from the tests by `python -m tests.edges --write`; `make edges` runs each test that is named here. Nearly all of
them put a real gateway process between a real Apache Kafka and a strict GeNiE over TLS, and end with a verifier that
shares no code with the gateway and finds nothing lost, doubled, out of order or without consent. Where it has nothing
to compare (the gateway does not start, the records are deleted, Kafka wants a login that it does not know) the test
looks at what is said and at the exit status. A few lines are proven by tests of one part.

Faults that the gateway treats alike share a row. It resumes by itself once the cause is gone, unless a row says that
the process ends: then whatever runs it starts it again, and it goes on where it was.
"""

_COLUMNS = ("what goes wrong", "what the gateway does", "what an operator sees", "proven by")


def document(proofs: dict[Fault, list[str]]) -> str:
    """docs/faults.md."""
    return "\n".join([_HEAD, *_sections(proofs)])


def _sections(proofs: dict[Fault, list[str]]) -> Iterator[str]:
    for where in Where:
        rows: dict[tuple[str, str], list[Fault]] = {}
        for fault in sorted((each for each in proofs if each.where is where), key=lambda each: each.name):
            rows.setdefault((fault.does, fault.seen), []).append(fault)
        if not rows:
            continue
        yield f"## {where.value}\n"
        yield f"| {' | '.join(_COLUMNS)} |"
        yield "|---" * len(_COLUMNS) + "|"
        for (does, seen), alike in rows.items():
            names = "<br>".join(fault.name for fault in alike)
            tests = sorted({_link(test) for fault in alike for test in proofs[fault]})
            yield f"| {names} | {does} | {seen} | {', '.join(tests)} |"
        yield ""


def _link(test: str) -> str:
    """The test's name without its cases, linked."""
    path, _, name = test.partition("::")
    return f"[{name.partition('[')[0]}](../{path})"
