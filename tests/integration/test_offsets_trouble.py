"""Logs that move under committed offsets: truncated, deleted, made anew, full of gaps; and a window at its limit."""

import re
import signal

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.chosen_records import a_payment
from tests.integration.deleted_topics import make_anew
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.lost_offsets import delete_offset, empty_group, lanes_init
from tests.integration.waiting import log_ends_at, until

ANN, BOB = "subject-ann", "subject-bob"
FOUND_WRONG, WRONG_USE = 1, 2
WINDOW = 100  # the least that may be set
BOUND_S = 30
DYNAMIC = {"kafka__group_instance_id": None}  # leaves the group when it ends, so that nobody waits for its session


@fault(
    Where.KAFKA,
    "records that are not settled are deleted from an input topic",
    does="ends, and refuses to start until `gateway lanes init --from ledger --force` accepts that they are gone",
    seen="exit status 1 while it runs, 2 at the start; the message names the lane, its offset and the log's bounds",
)
async def test_a_log_truncated_past_the_watermark(world: World, admin: AIOKafkaAdminClient) -> None:
    """It neither skips what is gone nor waits for it; what is left of the log is settled once a person has looked."""
    lane, deleted, left = TopicPartition(world.names.payments, 0), 100, 5
    await world.consent(ANN)
    async with world.gateway(**DYNAMIC) as gateway:
        await gateway.ready(LANES)
        await world.payment(ANN)
        await world.settled(1)
        gateway.signal(signal.SIGSTOP)
        for _ in range(10):  # the fetch that waits at the broker takes some of these, and a frozen process asks no more
            await world.payment(ANN)
        await world.payments(ANN, deleted + left - 11)
        await admin.delete_records({lane: RecordsToDelete(deleted)})
        gateway.signal(signal.SIGCONT)
        assert await gateway.end_status() == FOUND_WRONG, gateway.end()
    assert f"lane {lane.topic}:0: its next offset has left the log" in gateway.end()
    await refused(world, rf"lane {lane.topic}:0: the committed offset \d+ is outside the log \({deleted} to ")
    await empty_group(world)
    answered = len(world.ledger)  # with those that were on their way when the process was frozen
    status, answer = await lanes_init(world, "--from", "ledger", "--force", f"--lane={lane.topic}:0")
    (init,) = answer["lanes"]
    assert (status, init["offset"], init["gone"]) == (0, deleted, deleted - answered)
    await settle_all(world, answered + left)
    verdict = await world.verdict()  # which has nothing left to compare with what GeNiE got of the deleted records
    counts = (verdict.lost, verdict.unrecorded, verdict.unconsented, verdict.duplicated, verdict.out_of_order)
    assert counts == (0, 0, 0, 0, 0), verdict.examples


@fault(
    Where.KAFKA,
    "an input topic is deleted while its lanes are open, or made anew",
    does="ends; refuses to start until a person says where the lanes of the new topic start",
    seen="exit status 1; the message names the topic and whether it was deleted or made anew",
)
async def test_an_input_topic_deleted_and_made_anew(world: World, admin: AIOKafkaAdminClient) -> None:
    """Offsets of the old topic mean nothing in the new one."""
    payments = world.names.payments
    await world.consent(ANN)
    async with world.gateway(**DYNAMIC) as gateway:
        await gateway.ready(LANES)
        await world.payment(ANN)
        await world.settled(1)
        await admin.delete_topics([payments])
        assert await gateway.end_status() == FOUND_WRONG, gateway.end()
    assert f"{payments}: the topic was deleted while its lanes were open" in gateway.end()
    await refused(world, f"{payments}: topic is missing")
    await make_anew(world)
    await refused(world, rf"lane {payments}:\d: .* no committed offset|outside the log")
    await empty_group(world)
    lanes = [f"--lane={payments}:{number}" for number in range(PARTITIONS)]
    assert (await lanes_init(world, "--from", "earliest", "--force", *lanes))[0] == 0
    async with world.gateway(**DYNAMIC) as second:
        await second.ready(LANES)
        gate = world.gate(Point.AFTER_ACCEPTING)
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "a payment at GeNiE")
        await admin.delete_topics([payments])
        await make_anew(world)
        await world.payments(ANN, 5)
        gate.open()
        status = await second.end_status()
    # Or the group has given the lanes out again before they noticed: Kafka has deleted the old topic's offsets.
    assert status == FOUND_WRONG or "has no committed offset" in second.end(), second.end()
    if status == FOUND_WRONG:
        assert f"{payments}: the topic was made anew" in second.end()
        await refused(world, rf"lane {payments}:\d: offset 0 was not committed by a gateway")
        status, answer = await lanes_init(world, "--from", "ledger", "--force", lanes[0])
        assert (status, "the topic was made" in answer["message"]) == (1, True)
    assert (await lanes_init(world, "--from", "earliest", "--force", *lanes))[0] == 0
    before = len(world.ledger)
    await settle_all(world, before + 5)


@fault(
    Where.KAFKA,
    "transactional producers leave markers and aborted records in an input topic",
    does="counts them as settled; the watermark passes them, also at the end of the log and after lost offsets",
    seen="`gateway_lane_lag_records` is 0 when all is settled",
)
async def test_gaps_in_the_log(world: World) -> None:
    """At the beginning, in the middle and at the end; a lane that is started by the ledger alone passes them again."""
    lane = TopicPartition(world.names.payments, 0)
    await world.consent(ANN)
    await in_transaction(world, 2, commit=False)
    await in_transaction(world, 3, commit=True)
    await world.payment(ANN)
    await in_transaction(world, 2, commit=True)
    await in_transaction(world, 2, commit=False)
    end = 2 + 1 + 3 + 1 + 1 + 2 + 1 + 2 + 1

    async with world.gateway(**DYNAMIC) as first:
        await first.ready(LANES)
        await world.settled(6)
        await until(lambda: shows(first, lane, watermark=end), BOUND_S, "the watermark at the end of the log")
        await world.sees(lambda: has_no_lag(first), "no lag")
        await first.end_in_order()
    await empty_group(world)
    await delete_offset(world, lane)
    status, answer = await lanes_init(world, "--from", "ledger")
    assert (status, "the offsets 0 to 2: " in answer["message"]) == (FOUND_WRONG, True)
    status, answer = await lanes_init(world, "--from", "ledger", "--force", f"--lane={lane.topic}:0")
    assert status == 0
    (found,) = [each for each in answer["lanes"] if each["started"] == "set"]
    assert (found["offset"], found["settled_beyond"]) == (0, 6)
    await world.payment(ANN)
    await settle_all(world, 7)
    await world.judged()


@fault(
    Where.BOUNDS,
    "one record hangs while those behind it are settled, up to the window",
    does="takes no more than the window beyond it; a kill -9 then settles none of them twice",
    seen="`gateway_lane_window_span_offsets` at `lane.window`",
)
async def test_a_settled_set_at_the_limit(world: World) -> None:
    """The lane waits with a full window, dies, and its next owner reads the settled set from the commit."""
    await world.consent(ANN)
    await world.consent(BOB)
    async with world.gateway(lane__window=str(WINDOW), genie__expires_ms="20000", genie__batch="10") as first:
        await first.ready(LANES)
        gate = world.gate(Point.AFTER_ACCEPTING, first=1)
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "the first payment at GeNiE")
        await world.payments(BOB, 2 * WINDOW)
        await world.settled(WINDOW - 1)
        lane = TopicPartition(world.names.payments, 0)
        await until(lambda: shows(first, lane, watermark=0, window_span=WINDOW), BOUND_S, "a full window")
        await world.sees(lambda: has_span(first, lane, WINDOW), "the full window in the metrics")
        first.kill()
        await first.end_status()
    gate.open()
    await settle_all(world, 2 * WINDOW + 1, lane__window=str(WINDOW))
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 2 * WINDOW + 1


async def refused(world: World, why: str) -> None:
    """A gateway does not start, and says why."""
    async with world.gateway() as gateway:
        assert await gateway.end_status() == WRONG_USE, gateway.end()
    assert re.search(why, gateway.end()), gateway.end()


async def settle_all(world: World, count: int, **settings: str) -> None:
    """A gateway settles so many records in all, and ends in order."""
    async with world.gateway(**settings) as gateway:
        await gateway.ready(LANES)
        await world.settled(count)
        await gateway.end_in_order()


async def in_transaction(world: World, count: int, *, commit: bool) -> None:
    """So many payments in one transaction."""
    values = [schemas.encode("LeasePaymentEvent", a_payment(ANN)) for _ in range(count)]
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka, transactional_id=f"{world.prefix}billing")
    async with producer:
        await producer.begin_transaction()
        for value in values:
            last = await producer.send_and_wait(world.names.payments, key=ANN.encode(), value=value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    await log_ends_at(world.kafka, world.names.payments, 0, last.offset + 2)


async def shows(gateway: GatewayProcess, lane: TopicPartition, **numbers: int) -> bool:
    """Whether these are among the numbers of a lane in /status."""
    view = (await gateway.status())["lanes"][f"{lane.topic}:{lane.partition}"]
    return numbers.items() <= view.items()


async def has_span(gateway: GatewayProcess, lane: TopicPartition, span: int) -> bool:
    shown = await gateway.value("gateway_lane_window_span_offsets", topic=lane.topic, partition=str(lane.partition))
    return shown == span


async def has_no_lag(gateway: GatewayProcess) -> bool:
    """Of any lane, once it is measured."""
    return "gateway_lane_lag_records{" in (await gateway.metrics()).decode() and not await gateway.value(
        "gateway_lane_lag_records"
    )
