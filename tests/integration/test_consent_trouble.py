"""Consent and control records that contradict each other or can't be read: each denies, or holds everything."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway import schemas
from tests.faults import Where, fault
from tests.integration.chosen_records import a_consent
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World

COUNTED = re.compile(r'gateway_consent_view_records_total{kind="(\w+)"} (\S+)')
NOT_CONSENT = schemas.frame(3, b"\xff" * 40)


async def went_back(world: World, subject: str) -> None:
    await world.consent(subject, consent_version=2)
    await world.consent(subject, consent_version=1)


async def in_two_partitions(world: World, subject: str) -> None:
    await world.consent(subject, consent_version=1)
    await consent_in_partition_1(world, subject, 2)


async def erased_after_withdrawal(world: World, subject: str) -> None:
    await world.consent(subject)
    await world.withdraw(subject)
    await world.write(world.names.consents, subject, None)


async def erased(world: World, subject: str) -> None:
    await world.consent(subject)
    await world.write(world.names.consents, subject, None)


async def unreadable(world: World, subject: str) -> None:
    await world.consent(subject)
    await world.write(world.names.consents, subject, NOT_CONSENT)


async def under_another_key(world: World, subject: str) -> None:
    await world.consent(subject)
    value = schemas.encode("ConsentRecord", a_consent(subject, consent_version=2, status="withdrawn"))
    await world.write(world.names.consents, "subject-somebody-else", value)


async def consent_in_partition_1(world: World, subject: str, version: int) -> None:
    value = schemas.encode("ConsentRecord", a_consent(subject, consent_version=version))
    await world.write(world.names.consents, subject, value, 1)


@dataclass(frozen=True, slots=True)
class Case:
    """What goes wrong with a subject's records, the reason, and what is counted."""

    what: str
    happens: Callable[[World, str], Awaitable[None]]
    reason: str
    kind: str


CASES: Mapping[str, Case] = {
    "went back": Case(
        "a consent record whose version is lower than the one before",
        went_back,
        "consent_superseded_version",
        "went_back",
    ),
    "two partitions": Case(
        "a customer's consent records in two partitions",
        in_two_partitions,
        "consent_superseded_version",
        "in_two_partitions",
    ),
    "erased after withdrawal": Case(
        "a tombstone after the withdrawal that it erases", erased_after_withdrawal, "no_consent", "tombstones"
    ),
    "erased": Case("a tombstone without a withdrawal before it", erased, "no_consent", "tombstones"),
    "unreadable": Case("a consent record that can't be read", unreadable, "consent_unknown", "unreadable_consents"),
    "another key": Case(
        "a consent record under another customer's key", under_another_key, "consent_unknown", "unreadable_consents"
    ),
}


@dataclass
class Run:
    """What is left for the tests to look at."""

    denied: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, str] = field(default_factory=dict)
    counted: dict[str, float] = field(default_factory=dict)
    settled_while_held: bool = True
    after_the_hold: str = ""


def subject_of(case: str) -> str:
    return f"subject-{case.replace(' ', '-')}"


async def everything(kafka: str, directory: Path) -> Run:
    run = Run()
    world = World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory)
    async with world, world.gateway() as gateway:
        await gateway.ready(LANES)
        run.denied = await provide_each(world, lambda case: CASES[case].happens(world, subject_of(case)))
        run.allowed = await provide_each(world, lambda case: higher_version(world, case))
        await hold_everything(world, run, gateway)
        await world.save_metrics(gateway)
        await gateway.end_in_order()
        await world.judged()
    return run


async def provide_each(world: World, first: Callable[[str], Awaitable[None]]) -> dict[str, str]:
    """Let something happen to each subject, then write a payment of each: how these end."""
    for case in CASES:
        await first(case)
    at = {case: await world.payment(subject_of(case)) for case in CASES}
    await world.sees(lambda: all(map(world.has_settled, at.values())), "all payments settled")
    return {case: reason_at(world, offset) for case, offset in at.items()}


async def higher_version(world: World, case: str) -> None:
    """What mends each: a record with a version higher than any before, in the partition of the newest one."""
    if case == "two partitions":
        await consent_in_partition_1(world, subject_of(case), 9)
    else:
        await world.consent(subject_of(case), consent_version=9)


async def hold_everything(world: World, run: Run, gateway: GatewayProcess) -> None:
    """A control record that can't be read, and the tombstone that ends it."""
    subject = subject_of("went back")
    await world.write(world.names.controls, "hold-1", b"no control record")

    async def held() -> bool:
        return b'\ngateway_holds{scope="all"} 1.0\n' in await gateway.metrics()

    await world.sees(held, "everything held")
    run.counted = {kind: float(count) for kind, count in COUNTED.findall((await gateway.metrics()).decode())}
    offset = await world.payment(subject)
    fences = await gateway.value("gateway_fence_seconds_count")

    async def asked_again() -> bool:
        return await gateway.value("gateway_fence_seconds_count") >= fences + 2

    await world.sees(asked_again, "the paused lane asks again whether it may go on")
    run.settled_while_held = world.has_settled(offset)
    await world.write(world.names.controls, "hold-1", None)
    await world.sees(lambda: world.has_settled(offset), "a payment after the hold")
    run.after_the_hold = reason_at(world, offset)


def reason_at(world: World, offset: int) -> str:
    (record,) = [written for written in world.ledger if written["input"]["offset"] == offset]
    return record["reason"]


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run, once; without a clean verdict no fault of it has passed."""
    return asyncio.run(everything(kafka, tmp_path_factory.mktemp("consents")))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            name,
            marks=fault(
                Where.INPUT,
                case.what,
                does=f"withholds the customer's events as {case.reason} until a record with a higher version comes",
                seen=f'`gateway_consent_view_records_total{{kind="{case.kind}"}}` grows',
            ),
        )
        for name, case in CASES.items()
    ],
)
def test_a_subject_is_denied(run: Run, case: str) -> None:
    """Its events are withheld with the reason, it is counted, and a higher version mends it."""
    assert run.denied[case] == CASES[case].reason
    assert run.allowed[case] == "accepted"
    assert run.counted[CASES[case].kind] >= 1


@fault(
    Where.INPUT,
    "a control record that can't be read",
    does="holds everything, for it may have been meant to, until a tombstone or a readable record has the same key",
    seen='`gateway_holds{scope="all"}` is 1; `gateway_consent_view_records_total{kind="unreadable_controls"}`',
)
def test_everything_is_held(run: Run) -> None:
    """Nothing is provided or withheld meanwhile; it goes on once the record is gone."""
    assert run.counted["unreadable_controls"] == 1
    assert not run.settled_while_held
    assert run.after_the_hold == "accepted"
