"""Time and chance of the whole interpreter, taken over for one run: clocks show virtual time, chance is of a seed.

Promised, inside `taken_over`: time.time and time.time_ns show the wall clock of the host that asks (virtual time plus
its skew), time.monotonic and time.perf_counter virtual time; the module `random`, SystemRandom, secrets, os.urandom and
uuid4 draw from the seed; time.sleep fails: nothing may block. All is put back afterwards. Not taken over: what C code
asks the operating system itself (datetime.now, OpenSSL's random numbers), so what depends on these must not be told.

Must not know what runs.
"""

import inspect
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock

from tests.simulation.loop import HOST, VirtualLoop

EPOCH_MS = 1_795_309_200_000  # 2026-11-22T01:00:00Z: when every run begins
LOOKED_THROUGH = ("gateway", "aiokafka")  # packages that may have kept a clock when they were loaded


def wall_ms(loop: VirtualLoop) -> int:
    """The true time, in ms since epoch; hosts may be ahead or behind."""
    return EPOCH_MS + int(loop.time() * 1000)


@contextmanager
def taken_over(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """Virtual time and seeded chance, for everybody in this interpreter."""
    chance = random.Random(seed)

    def monotonic_ns() -> int:
        return int(loop._now * 1e9)

    def time_ns() -> int:
        host = HOST.get()
        skew_ms = 0 if host is None else host.skew_ms
        return EPOCH_MS * 1_000_000 + int((loop._now * 1000 + skew_ms) * 1e6)

    replaced = {
        time: {
            "monotonic": loop.time,
            "perf_counter": loop.time,
            "monotonic_ns": monotonic_ns,
            "perf_counter_ns": monotonic_ns,
            "time": lambda: time_ns() / 1e9,
            "time_ns": time_ns,
            "sleep": _sleep,
        },
        os: {"urandom": chance.randbytes},
        random: {"_urandom": chance.randbytes},
    }
    in_place_of = {
        getattr(module, name): new for module, functions in replaced.items() for name, new in functions.items()
    }
    before = random.getstate()
    with ExitStack() as stack:
        for module, functions in replaced.items():
            stack.enter_context(mock.patch.multiple(module, **functions))
        for owner, name, value in _kept(tuple(in_place_of), len(sys.modules)):
            stack.callback(setattr, owner, name, value)
            setattr(owner, name, _exchanged(value, in_place_of))
        stack.callback(random.setstate, before)
        random.seed(seed)
        yield


Place = tuple[Any, str, Any]  # an object, the name of one of its attributes, and what that is


@lru_cache(1)
def _kept(clocks: tuple[Any, ...], _modules: int) -> tuple[Place, ...]:
    """Where one of these functions was kept when a module was loaded: by name, or as the default of an argument."""
    places: list[Place] = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in LOOKED_THROUGH:
            for found, value in list(vars(module).items()):
                if value in clocks if callable(value) else False:
                    places.append((module, found, value))
                elif getattr(value, "__module__", None) == name:
                    places.extend(_defaults(value, clocks))
    return tuple(places)


def _defaults(value: Any, clocks: tuple[Any, ...]) -> Iterator[Place]:
    functions = vars(value).values() if isinstance(value, type) else [value]
    for function in map(inspect.unwrap, filter(inspect.isfunction, functions)):
        if any(given in clocks for given in function.__defaults__ or () if callable(given)):
            yield function, "__defaults__", function.__defaults__
        if any(given in clocks for given in (function.__kwdefaults__ or {}).values() if callable(given)):
            yield function, "__kwdefaults__", function.__kwdefaults__


def _exchanged(value: Any, in_place_of: dict[Any, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(in_place_of.get(given, given) if callable(given) else given for given in value)
    if isinstance(value, dict):
        return {name: in_place_of.get(given, given) if callable(given) else given for name, given in value.items()}
    return in_place_of[value]


def _sleep(seconds: float) -> None:
    raise AssertionError(f"time.sleep({seconds}): nothing may block in the simulation")
