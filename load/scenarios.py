"""The closed set of rounds, one sentence each.

Knows their figures. Must not know how a round is run.
"""

from __future__ import annotations

from dataclasses import replace

from load.result import Mode
from load.scenario import Outage, Scenario
from load.schedule import Schedule, Stretch

STEADY_RATE = 2_000.0  # events a second, if nothing says otherwise
STEADY_SECONDS = 30.0
BURST = 10  # times the rate, for BURST_SECONDS
BURST_SECONDS = 10.0
BACKLOG = 200_000
MILLION = 1_000_000
SINGLE_CONNECTIONS = 192  # a transaction is shared by what is under way: the more that is, the less each event costs
SOAK_RATE = 1_000.0  # the verifier reads all of it afterwards
SOAK_SECONDS = 1_800.0


def _at(rate: float, seconds: float = STEADY_SECONDS) -> Schedule:
    return Schedule((Stretch(rate, seconds),))


_ALL = (
    Scenario(
        name="steady",
        sentence="Events arrive at an even rate: 70 % of what the backlogs before it came to, or --rate.",
        schedule=_at(STEADY_RATE),
        capacity_share=0.7,
    ),
    Scenario(
        name="quiet",
        sentence="A hundred events a second: nothing waits, so this is the shortest way through.",
        schedule=_at(100.0),
    ),
    Scenario(
        name="burst",
        sentence="Ten times as much for ten seconds, then as before, until all is settled.",
        schedule=Schedule((Stretch(1_000.0, 10.0), Stretch(1_000.0 * BURST, BURST_SECONDS), Stretch(1_000.0, 30.0))),
    ),
    Scenario(
        name="backlog",
        sentence="A backlog comes at once: as fast as the gateway can.",
        backlog=BACKLOG,
    ),
    Scenario(
        name="million",
        sentence="A backlog of a million comes at once.",
        backlog=MILLION,
    ),
    Scenario(
        name="single",
        sentence="One by one: each event is a request of its own.",
        backlog=30_000,
        mode=Mode.SINGLE,
        connections=SINGLE_CONNECTIONS,
    ),
    Scenario(
        name="slow",
        sentence="GeNiE takes 200 ms for an answer.",
        schedule=_at(STEADY_RATE),
        genie_ms=200.0,
    ),
    Scenario(
        name="slower",
        sentence="GeNiE takes 2 s for an answer.",
        schedule=_at(STEADY_RATE),
        genie_ms=2_000.0,
    ),
    Scenario(
        name="refusals",
        sentence="GeNiE refuses 5 % of the requests: half with 429, half with 503, each with Retry-After.",
        schedule=_at(STEADY_RATE),
        faults={"too_many_requests": 0.025, "unavailable": 0.025},
    ),
    Scenario(
        name="outage",
        sentence="GeNiE is away for 60 s, then comes back to what has gathered.",
        schedule=_at(STEADY_RATE / 2, 90.0),
        outage=Outage(10.0, 60.0),
    ),
    Scenario(
        name="join",
        sentence="A second process joins in the middle of a backlog and takes half of the partitions.",
        backlog=BACKLOG * 3 // 2,
        joins_after=8.0,
    ),
    Scenario(
        name="partitions",
        sentence="96 partitions in place of 6: sixteen times as many lanes with a sixteenth each.",
        backlog=BACKLOG,
        partitions=96,
    ),
    Scenario(
        name="few-subjects",
        sentence="Ten thousand subjects in the consent view.",
        backlog=BACKLOG,
        subjects=10_000,
    ),
    Scenario(
        name="many-subjects",
        sentence="Ten million subjects in the consent view.",
        backlog=BACKLOG,
        subjects=10_000_000,
        patience=600.0,
    ),
    Scenario(
        name="hot",
        sentence="One subject has a tenth of all events, and their order is kept.",
        backlog=BACKLOG,
        hot_share=0.1,
    ),
    Scenario(
        name="withdrawals",
        sentence="A thousand customers a second withdraw while events flow.",
        schedule=_at(STEADY_RATE),
        withdrawals=1_000.0,
    ),
    Scenario(
        name="big",
        sentence="Each payment carries a memo of 64 KB, which never leaves.",
        schedule=_at(400.0),
        memo_bytes=64 * 1024,
    ),
    Scenario(
        name="soak",
        sentence="Half an hour at an even rate: memory stays where it is.",
        schedule=_at(SOAK_RATE, SOAK_SECONDS),
        memory_trend=True,
    ),
)

SCENARIOS = {scenario.name: scenario for scenario in _ALL}


def at(scenario: Scenario, rate: float | None, minutes: float | None) -> Scenario:
    """The same, at another rate or for longer: every stretch by the same factor."""
    if scenario.schedule is None:
        return scenario
    stretches = scenario.schedule.stretches
    faster = 1.0 if rate is None else rate / stretches[0].rate
    longer = 1.0 if minutes is None else minutes * 60 / scenario.schedule.seconds
    scaled = tuple(Stretch(stretch.rate * faster, stretch.seconds * longer) for stretch in stretches)
    share = scenario.capacity_share if rate is None else 0.0
    return replace(scenario, schedule=Schedule(scaled), capacity_share=share)
