"""Time and chance of the whole interpreter, taken over for one run: clocks show virtual time, chance is of a seed.

Promised, inside `taken_over`: time.time and time.time_ns show the wall clock of the host that asks (virtual time plus
its skew), time.monotonic and time.perf_counter virtual time; the module `random`, SystemRandom, secrets, os.urandom and
uuid4 draw from the seed; time.sleep fails: nothing may block. All is put back afterwards. Not taken over: what C code
asks the operating system itself (datetime.now, OpenSSL's random numbers), so what depends on these must not be told.

Must not know what runs.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tests.simulation.loop import HOST, VirtualLoop

EPOCH_MS = 1_795_309_200_000  # 2026-11-22T01:00:00Z: when every run begins


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
    before = random.getstate()
    patches = [mock.patch.multiple(module, **functions) for module, functions in replaced.items()]
    for patch in patches:
        patch.start()
    try:
        random.seed(seed)
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()
        random.setstate(before)


def _sleep(seconds: float) -> None:
    raise AssertionError(f"time.sleep({seconds}): nothing may block in the simulation")
