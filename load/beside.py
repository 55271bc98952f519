"""The naive baseline beside a round: on the same Kafka, with the same events, towards a partner that takes as long as
GeNiE does in most rounds.

Knows how its two processes are started. Must not know what it does with an event.
"""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.sandbox.producers.stream import PAYMENTS
from load.result import Baseline
from load.scenario import GENIE_MS
from load.stage import START_SECONDS, Stage

EVENTS = 2_000
PARTITIONS = 6
WARM_UP_FACTOR = 1.3  # what it reads, over what it measures
MEASURE_SECONDS = 120.0


async def baseline(stage: Stage, payments: int) -> Baseline | None:
    """What it needs for some of so many payments that lie there; None if these are too few to say anything."""
    events = min(EVENTS, int(payments / WARM_UP_FACTOR))
    if events < EVENTS // 10:
        return None
    partner = stage.crew.start(
        "plain-partner",
        *("--certificate", str(stage.pki.server), "--delay-ms", str(GENIE_MS)),
        module="load.plain_partner",
    )
    ledger = f"{stage.prefix}baseline"
    await _create(stage.kafka.bootstrap, ledger)
    url = (await partner.says("url", START_SECONDS))["url"]
    child = stage.crew.start(
        "baseline",
        *("--bootstrap", stage.kafka.bootstrap, "--topic", stage.prefix + PAYMENTS, "--ledger", ledger),
        *("--url", url, "--ca", str(stage.pki.ca), "--events", str(events)),
        module="load.baseline",
    )
    await child.succeeds(MEASURE_SECONDS)
    partner.terminate()
    measured = child.said("cpu_us_per_event")
    if measured is None:
        raise child.failure("measured nothing")
    return Baseline(**measured)


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()
