"""The drivers, and what of them is changed in this process.

Knows imported modules and their functions. Must not know tests. Functions are changed where they are, so whoever has
imported one has the changed one.
"""

from __future__ import annotations

import ast
import gc
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FunctionType

from tests.removals.sites import Site, sites

_KAFKA = (
    "lane_driver",
    "transactions",
    "strict_producer",
    "opening",
    "fence",
    "consent_view",
    "view_reader",
    "view_store",
    "source",
    "lanes",
    "membership",
    "head",
    "exact",
    "lane_recovery",
    "lane_start",
    "replay_intake",
    "intake",
    "cluster",
    "connection",
    "offsets_log",
    "scan",
    "taster",
    "http_registry",
    "authorized",
    "rebootstrap",
    "codec",
)
_GENIE = ("client", "limiter", "signing", "contract", "transport")
NAMES = (*(f"gateway.kafka.{name}" for name in _KAFKA), *(f"gateway.genie.{name}" for name in _GENIE))


class LeftOut(Enum):
    """Why a module of kafka/, genie/ or the root is none of the drivers."""

    VALUES = "it works out values from values: it waits for nothing, and keeps no order with anybody"
    FIRST = "it runs in commands and before a lane opens: what it leaves out is seen whenever it runs"
    BESIDE = "it runs beside the lanes, which go on as they were without it; it has tests of its own"
    REAL = "only tests with real brokers and processes get there, too slow to be run for each removal"


LEFT_OUT: Mapping[LeftOut, tuple[str, ...]] = {
    LeftOut.VALUES: (
        *(f"kafka.{name}" for name in ("acls", "inflation", "names", "partitioner", "registry", "remembered")),
        *(f"kafka.{name}" for name in ("outgoing", "requests", "surroundings", "troubles", "view_rows", "writer")),
        *("kafka.endings", *(f"genie.{name}" for name in ("budget", "keys", "retry"))),
        *("avro", "avro_reader", "avro_writer", "code", "schemacheck", "schemas", "findings", "memory", "mistakes"),
    ),
    LeftOut.FIRST: (
        *("address", "asyncapi", "contradictions", "docs", "files", "genie_login", "interface_pages", "kafka_login"),
        *("open_files", "pages", "registry_login", "secret_keys", "sections", "settings", "tls"),
        *("kafka.brokers", "kafka.group", "kafka.subjects"),
    ),
    LeftOut.BESIDE: ("lookout", "renewal", "kafka.lane_counts", "kafka.lane_trace"),
    LeftOut.REAL: (
        "__main__",
        "app",
        "core_dumps",
        "preflight",
        "kafka.closed_transport",
        "kafka.decoder_child",
        "kafka.topics",
    ),
}


@dataclass(frozen=True, slots=True)
class Driver:
    """A module as it was when it was imported."""

    name: str
    path: Path
    source: str

    @classmethod
    def imported(cls, name: str) -> Driver:
        """Import it."""
        path = Path(importlib.import_module(name).__file__)
        return cls(name, path, path.read_text())

    def removals(self) -> list[Removal]:
        """All that can be taken out."""
        return [Removal(self, number, site) for number, site in enumerate(sites(ast.parse(self.source)))]

    def compiled(self, by: Callable[[list[Site]], object]) -> CodeType:
        """What a changed tree compiles to."""
        tree = ast.parse(self.source)
        by(sites(tree))
        return compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)

    def change(self, by: Callable[[list[Site]], object]) -> None:
        """Put what a changed tree compiles to in place of what is there."""
        changed = dict(_functions(self.compiled(by)))
        for function in gc.get_objects():
            if isinstance(function, FunctionType) and function.__code__.co_filename == str(self.path):
                new = changed.get(_key(function.__code__))
                if new is not None:
                    function.__code__ = new


@dataclass(frozen=True, slots=True)
class Removal:
    """One thing that is taken out of one driver."""

    driver: Driver
    number: int
    site: Site

    @property
    def name(self) -> str:
        """The same as long as the function and the text are."""
        return f"{self.driver.name}.{self.site.name}"

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.driver.name}:{self.site.line}"

    @property
    def digest(self) -> str:
        """Of the driver."""
        return sha256(self.driver.source.encode()).hexdigest()

    def make(self) -> None:
        """Take it out."""
        self.driver.change(lambda found: found[self.number].take_out())


def mark_all(removals: list[Removal]) -> None:
    """Let the drivers call `__reached__` with a removal's index, where the removal would make a difference."""
    by_driver: dict[Driver, dict[int, int]] = defaultdict(dict)
    for index, removal in enumerate(removals):
        by_driver[removal.driver][removal.number] = index
    for driver, indexes in by_driver.items():
        driver.change(lambda found, indexes=indexes: [found[number].mark(index) for number, index in indexes.items()])


def _functions(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """The functions of a module and of its classes; those inside of a function are a part of it."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if const.co_flags & CO_OPTIMIZED:  # no class
                yield _key(const), const
            else:
                yield from _functions(const)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
