"""A request or an answer lost at each step of a lane's transaction, between the gateway and the broker."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.kafka_proxy import (
    ADD_OFFSETS,
    ADD_PARTITIONS,
    END_TXN,
    INIT_PRODUCER_ID,
    PRODUCE,
    TXN_OFFSET_COMMIT,
    KafkaProxy,
)
from tests.integration.waiting import until

SUBJECT = "subject-ann"
BOUND_S = 20.0
UNREACHABLE = 3
REPEATABLE = (ADD_PARTITIONS, PRODUCE, ADD_OFFSETS)
DOUBTFUL = (TXN_OFFSET_COMMIT, END_TXN)


@dataclass(frozen=True, slots=True)
class Trial:
    """A gateway behind the proxy, and the one event at a time that goes through it."""

    world: World
    proxy: KafkaProxy
    gateway: GatewayProcess

    async def settles(
        self, write: Callable[..., object], partition: int, lose: Callable[[int], None], api: int
    ) -> None:
        """An event is settled although the next request of this kind, or its answer, is lost on the way."""
        before, lost = len(self.world.ledger), self.proxy.lost[api]
        lose(api)
        await write(SUBJECT, partition)
        await self.world.settled(before + 1)
        assert self.proxy.lost[api] == lost + 1

    async def counted(self, metric: str) -> int:
        """What a counter shows; 0 before it first counts."""
        found = re.search(rf"^{re.escape(metric)} (\S+)$", (await self.gateway.metrics()).decode(), re.MULTILINE)
        return int(float(found[1])) if found else 0


@fault(
    Where.KAFKA,
    "a request of a transaction, or the answer to it, is lost: InitProducerId, AddPartitionsToTxn, Produce, "
    "AddOffsetsToTxn, TxnOffsetCommit, EndTxn",
    does="asks again where a second copy does no harm; where it could (the last two), drops the producer and opens the "
    "lane again",
    seen='`gateway_doubtful_commits_total{step="commit"}`; log `doubtful commit, the lane opens again`',
)
@fault(
    Where.KAFKA,
    "the commits of a lane are in doubt twice within a minute",
    does="ends the process; the next one goes on from what is committed",
    seen="exit status 3, `a second doubtful commit within 60 s`",
)
async def test_each_step_of_a_transaction(world: World, kafka: str) -> None:
    """Each record is settled once, whichever step fails; a lane outlives one doubt a minute."""
    await world.consent(SUBJECT)
    async with KafkaProxy(kafka) as proxy:
        ways = (proxy.lose_request, proxy.lose_answer)
        for lose in ways:
            lose(INIT_PRODUCER_ID)
        async with world.gateway(kafka__bootstrap_servers=proxy.address) as gateway:
            trial = Trial(world, proxy, gateway)
            await gateway.ready(LANES)
            await until(lambda: first_commits(trial), BOUND_S, "the first commit of every lane")
            assert proxy.lost[INIT_PRODUCER_ID] == 2
            for api in REPEATABLE:
                for lose in ways:
                    await trial.settles(world.payment, 0, lose, api)
            assert await trial.counted('gateway_doubtful_commits_total{step="commit"}') == 0
            assert await trial.counted('gateway_doubtful_commits_total{step="produce"}') == 0

            for api, write in zip(DOUBTFUL, (world.payment, world.score), strict=True):
                for partition, lose in enumerate(ways):
                    await trial.settles(write, partition, lose, api)
            assert await trial.counted('gateway_doubtful_commits_total{step="commit"}') == 4

            gate = world.gate(Point.AFTER_ACCEPTING)
            await world.payment(SUBJECT, 0)
            await world.sees(lambda: gate.came, "the payment at GeNiE")
            proxy.lose_answer(END_TXN)
            gate.open()
            assert await gateway.end_status() == UNREACHABLE
            assert "a second doubtful commit within 60 s" in gateway.end()
    async with world.gateway() as second:
        await second.ready(LANES)
        await world.payment(SUBJECT, 0)
        written = len(REPEATABLE) * 2 + len(DOUBTFUL) * 2 + 2
        await world.settled(written)
        await second.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == written


async def first_commits(trial: Trial) -> bool:
    return await trial.counted("gateway_commit_seconds_count") >= LANES
