"""Bad input in masses: what one bad record does is in test_outcomes.py."""

import asyncio
import os
from pathlib import Path

from tests.faults import Where, fault
from tests.integration.bad_input import BAD, SUBJECT
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import World

POISON = 10_000
KINDS = (
    *("not_avro unframed", "not_avro garbage", "not_avro truncated", "not_avro of another topic"),
    *("not_avro unknown enum", "trailing_bytes", "bad_value", "bad_value date", "bad_value amount"),
)
CPU_S = 30.0  # start and all, for what takes a few seconds: a bound against growth, not a measure of speed
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What a process has spent so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def counts_all(gateway: GatewayProcess) -> bool:
    return await gateway.value("gateway_settled_total", outcome="INVALID") == POISON


@fault(
    Where.INPUT,
    "10,000 bad records in a row",
    does="ends each as INVALID with its reason; the record behind them and the other partitions go on",
    seen='`gateway_settled_total{outcome="INVALID"}` grows by each of them',
)
async def test_ten_thousand_bad_records_in_a_row(world: World) -> None:
    """Each has its record in the ledger, the good one behind them is provided, and the time spent is bounded."""
    await world.consent(SUBJECT)
    values = [BAD[case].make() for case in KINDS]
    sends = [
        await world.producer.send(
            world.names.payments, key=SUBJECT.encode(), value=values[n % len(values)], partition=0
        )
        for n in range(POISON)
    ]
    await asyncio.gather(*sends)
    behind = await world.payment(SUBJECT)
    beside = await world.payment(SUBJECT, partition=1)
    async with world.gateway() as gateway:
        await world.settled(POISON + 2)
        spent = cpu_seconds(gateway.pid)
        await world.sees(lambda: counts_all(gateway), "all of them in the metrics")
        await gateway.end_in_order()
    assert world.has_settled(behind)
    assert world.has_settled(beside, 1)
    assert spent < CPU_S
    reasons = world.reasons()
    assert reasons.count("accepted") == len(reasons) - POISON == 2
    await world.judged()
