"""All that a report is written from, which nobody measured."""

from dataclasses import replace
from typing import Any

from hdrh.histogram import HdrHistogram

from load.kept import Kept
from load.result import Result
from load.stages.sizes import Sizes
from load.stages.stage import Stage
from tests.load.results import SOUND

SIZES = Sizes(input=400.0, intent=400.0, ledger=800.0, request=1_400.0, consent=250.0)
VIEW = {
    "subjects": 1_000_000.0,
    "catch_up_cpu_s": 15.0,
    "catch_up_us": 15.0,
    "file_mb": 600.0,
    "rss_mb": 90.0,
    "mapped_mb": 80.0,
    "warm_rss_mb": 120.0,
    "restart_ms": 20.0,
    "get_us": 2.0,
    "get_hot_us": 0.5,
    "fence_us": 500.0,
}


def histogram() -> str:
    """A thousand events, each a millisecond later than the one before."""
    values = HdrHistogram(1, 60_000, 3)
    for value in range(1, 1_001):
        values.record_value(value)
    return values.encode().decode()


def result(**changes: Any) -> Result:
    """A round in which nothing went wrong."""
    waited = SOUND.latency_ms
    return replace(SOUND, **{"latency_ms": waited and replace(waited, histogram=histogram())} | changes)


def stage(name: str, us: float, within: str | None = None) -> Stage:
    """A stage, on a machine whose yard is a microsecond."""
    return Stage(name, f"what {name} does", within, True, us, us, us, us, 9, 4_000)


STAGES = [stage("decode", 12.0), stage("lane", 20.0), stage("decide", 3.0, "lane"), stage("transaction", 5.0)]
KEPT = Kept([result()], STAGES, SIZES, [VIEW])
