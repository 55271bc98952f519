"""Whole gateway processes, interrupted where it hurts; every verdict is the independent verifier's.

A kill -9 between GeNiE's 2xx and the settling is tests/integration/promises/test_promise_3.py.
"""

import signal
import struct

import pytest

from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.kafka_proxy import END_TXN, FIND_COORDINATOR, INIT_PRODUCER_ID, KafkaProxy

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
UNREACHABLE = 3
COORDINATOR_LOADS, COORDINATOR_AWAY, COORDINATOR_MOVED = 14, 15, 16


@fault(
    Where.KAFKA,
    "a transaction on the consent topic is left open",
    does="holds: no lane sends anything that the open transaction might forbid; goes on by itself once it has ended",
    seen="log line `consent fence waits for the view, nothing is sent` with the partition; "
    "`gateway_fence_failures_total` grows",
)
async def test_a_consent_transaction_left_open(world: World) -> None:
    """Past the fence's bound nothing has left, and nothing is settled or parked for it."""
    await world.consent(ANN)
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        async with world.open_consent_transaction():
            await world.payment(ANN)
            said = await gateway.says("consent fence waits for the view, nothing is sent")
            assert (said["topic"], said["partition"]) == (world.names.consents, 0)
            await world.sees(lambda: gateway.value("gateway_fence_failures_total"), "a fence that failed")
            assert world.received() == world.ledger == world.parked == []
        await world.settled(1)
        await gateway.end_in_order()
    assert world.reasons() == ["accepted"]
    await world.judged()


async def test_withdrawal_between_announcement_and_sending(world: World) -> None:
    """What was announced with consent is not sent once the withdrawal is acknowledged."""
    await world.consent(ANN)
    async with world.gateway() as gateway:
        await gateway.ready(lanes=1)
        async with world.open_consent_transaction():  # the fence waits for its end
            await world.payment(ANN)
            await world.sees(lambda: world.intents, "the announcement")
            await world.withdraw(ANN)
        await world.settled(1)
        await gateway.end_in_order()
    assert world.reasons() == ["consent_withdrawn"]
    assert world.received() == []
    await world.judged()


async def test_coordinator_away_while_a_lane_opens(world: World, kafka: str) -> None:
    """A group whose coordinator can't be found is no group without offsets."""
    await world.consent(ANN)
    await world.payment(ANN)
    async with KafkaProxy(kafka) as proxy:
        codes = (COORDINATOR_LOADS, COORDINATOR_AWAY, COORDINATOR_MOVED) * LANES
        proxy.answer(FIND_COORDINATOR, 1, *map(no_coordinator, codes))
        async with world.gateway(kafka__bootstrap_servers=proxy.address) as gateway:
            await world.payment(ANN)
            await world.settled(2)
            await gateway.ready(LANES)
            await gateway.end_in_order()
        assert proxy.answered[FIND_COORDINATOR] == len(codes)
    verdict = await world.judged()
    assert verdict.ledger_records == 2


async def test_a_connection_lost_while_a_lane_takes_over(world: World, kafka: str) -> None:
    """The opening is done again: the process does not end for one broken connection."""
    await world.consent(ANN)
    await world.payment(ANN)
    async with KafkaProxy(kafka) as proxy:
        proxy.lose_answer(INIT_PRODUCER_ID)
        async with world.gateway(kafka__bootstrap_servers=proxy.address) as gateway:
            await world.settled(1)
            await gateway.ready(LANES)
            await gateway.end_in_order()
        assert proxy.lost[INIT_PRODUCER_ID] == 1
    await world.judged()


async def test_lost_answer_to_a_commit(world: World, kafka: str) -> None:
    """Whether the commit happened (its answer is lost) or not (it is lost itself), each record is settled once."""
    for subject in (ANN, BOB, CAROL):
        await world.consent(subject)
    async with (
        KafkaProxy(kafka) as proxy,
        world.gateway(kafka__bootstrap_servers=proxy.address) as gateway,
    ):
        await gateway.ready(LANES)
        for partition, (subject, lose) in enumerate(((ANN, proxy.lose_answer), (BOB, proxy.lose_request))):
            gate = world.gate(Point.AFTER_ACCEPTING, first=1)
            await world.payment(subject, partition)
            await world.sees(lambda gate=gate: gate.came, "the payment at GeNiE")
            lose(END_TXN)
            gate.open()
            await world.settled(partition + 1)
        last = await world.payment(CAROL, 0)
        await world.sees(lambda: world.has_settled(last), "the last payment settled")
        assert proxy.lost[END_TXN] == 2
        assert b'gateway_doubtful_commits_total{step="commit"} 2.0' in await gateway.metrics()
        await gateway.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == 3


@fault(
    Where.OWN,
    "SIGTERM while requests are under way",
    does="takes no more, settles what is with GeNiE within `lane.drain_ms`, lets go of its lanes",
    seen="log line `stopping`, then `lane closed` for each lane; exit status 0",
)
async def test_sigterm_drains_and_the_next_start_goes_on(world: World) -> None:
    """What is with GeNiE is settled before the process ends; what came later waits for the next one."""
    await world.consent(ANN)
    await world.consent(BOB)
    gate = world.gate(Point.AFTER_ACCEPTING, first=1)
    async with world.gateway() as first:
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "the payment at GeNiE")
        first.terminate()
        await first.says("stopping")
        await world.payment(BOB)
        gate.open()
        assert await first.end_status() == 0
    assert lanes_in(first, "lane closed") == lanes_in(first, "lane open") != set()
    await world.settled(1)
    async with world.gateway() as second:
        await world.settled(2)
        await second.end_in_order()
    await world.judged()
    assert [entry["status"] for entry in world.received()] == ["accepted", "accepted"], "nothing had to be sent again"


KILLED = fault(
    Where.OWN,
    "a process is killed while requests of all its lanes are under way",
    does="its lanes move to the others after the group's session, and what it had sent is sent again or asked about",
    seen="`gateway_lane_openings_total` of the others grows, and `gateway_lane_lag_records` until then",
)
FROZEN = fault(
    Where.OWN,
    "a process is frozen for longer than the group's session while requests are under way",
    does="its lanes move to the others; awake again it is fenced off, even if its watchdog does not end it",
    seen="`gateway_lane_openings_total` of the others grows",
)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(signal.SIGKILL, marks=KILLED, id="killed"),
        pytest.param(signal.SIGSTOP, marks=FROZEN, id="frozen"),
    ],
)
async def test_two_processes_share_lanes(world: World, trouble: signal.Signals) -> None:
    """When one of two is silent its lanes move to the other; awake again it can't write anything any more."""
    subjects = [f"subject-{number:03d}" for number in range(20)]
    for subject in subjects:
        await world.consent(subject)
    one, two = world.gateway("no_watchdog", instance="one"), world.gateway(instance="two")
    async with one, two:
        await world.sees(lambda: world.shared(one, two), "lanes on both")
        gate = world.gate(Point.AFTER_ACCEPTING)
        await world.write_to_all(subjects)
        await world.sees(lambda: gate.came >= 2 * PARTITIONS, "requests of every busy lane at GeNiE")
        one.signal(trouble)
        gate.open()
        await world.write_to_all(subjects)
        await world.settled(2 * 2 * len(subjects))
        if trouble is signal.SIGSTOP:
            one.signal(signal.SIGCONT)
            await world.sees(lambda: one.ended or world.shared(one, two), "its end, or lanes on both again")
            assert not one.ended or await one.end_status() == UNREACHABLE
        await two.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 2 * 2 * len(subjects)


def lanes_in(gateway: GatewayProcess, event: str) -> set[str]:
    """The lanes of which the log says this."""
    return {line["lane"] for line in gateway.lines() if line["event"] == event}


def no_coordinator(code: int) -> bytes:
    """A FindCoordinator answer, version 1, that names no broker and this error."""
    throttle_ms, no_message, no_node, no_host, no_port = 0, -1, -1, 0, -1
    return struct.pack(">ihhihi", throttle_ms, code, no_message, no_node, no_host, no_port)
