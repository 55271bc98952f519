"""What the consent view costs: `python -m load.view --subjects 1000000` ends with one line of JSON.

An embedded Kafka holds that many consents. One process reads them all, one begins again on what the first left.
Knows the view and the fence as the gateway starts them; no lane, no event, no GeNiE.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from random import Random

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway import schemas
from gateway.app import GARBAGE_EVERY
from gateway.core.consent import Consent
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.consent_view import ConsentView
from gateway.kafka.fence import Fence
from gateway.kafka.registry import FileRegistry
from gateway.sandbox.broker import Node

CONSENTS, CONTROLS = "consent.records", "genie.gateway.controls"
PARTITIONS = 6
BATCH_BYTES = 256 * 1024
CATCH_UP_TIMEOUT_S = 3_600.0
IDLE_MS = 7 * 86_400_000
FETCH = 300  # records that a lane takes at once, about
FETCHES = 200
FENCES = 300
MIB = 1 << 20
_PLACE_ID, _PLACE_REF = str(uuid.UUID(int=0)), f"cust-{uuid.UUID(int=1)}"
_TEMPLATE = {
    "record_id": _PLACE_ID,
    "consent_version": 1,
    "subject_ref": _PLACE_REF,
    "recipient": "genie",
    "status": "given",
    "status_updated_at": 1_772_000_000_000,
    "policy_version": 20_509,
    "consented_at": 1_772_000_000_000,
    "expires_at": None,
    "history_from": 19_800,
    "items": ["name", "address", "phone", "birth_date", "payment_history", "norel_score", "norel_score_inputs"],
    "purposes_opted_out": [],
    "collection_method": "web",
    "consent_actor": "self",
    "contract_refs": None,
    "legal_basis": "consent",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the consents lie, and where the view keeps them."""

    bootstrap: str
    directory: Path
    subjects: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What it took to read every consent once, and what it costs to look up from then on."""

    catch_up_cpu_s: float
    catch_up_us: float  # CPU, a consent
    rss_mb: float  # what the process grew by; of this
    mapped_mb: float  # the kernel may take back
    file_mb: float
    get_us: float  # CPU, a subject: as a fetch and the fence behind it ask, any subject as likely as any other
    get_first_us: float  # of this, what the fetch pays
    get_again_us: float  # and the fence
    get_hot_us: float  # both, with a tenth of the subjects, at most 10,000, in use
    warm_rss_mb: float
    fence_us: float  # CPU, a fence, with what the network costs


@dataclass(frozen=True, slots=True)
class Restarted:
    """What it took to be ready again."""

    restart_ms: float
    restart_cpu_ms: float


def subject(number: int) -> str:
    """The reference of one of them: a UUID, so that neighbours in the topic are none in the view."""
    digits = blake2b(number.to_bytes(8, "big"), digest_size=16).hexdigest()
    return f"cust-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


async def fill(place: Place) -> None:
    """Write one consent for each subject."""
    connection = KafkaConnection(place.bootstrap, "filler")
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
    await admin.start()
    compacted = {"cleanup.policy": "compact"}
    await admin.create_topics(
        [
            NewTopic(CONSENTS, PARTITIONS, 1, topic_configs=compacted),
            NewTopic(CONTROLS, 1, 1, topic_configs=compacted),
        ]
    )
    await admin.close()
    async with AIOKafkaProducer(**connection.kwargs(), acks="all", max_batch_size=BATCH_BYTES) as producer:
        batches = [producer.create_batch() for _ in range(PARTITIONS)]
        for number, (key, value) in enumerate(consents(place.subjects)):
            partition = number % PARTITIONS
            if batches[partition].append(timestamp=None, key=key, value=value) is None:
                await producer.send_batch(batches[partition], CONSENTS, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=value)
        for partition, batch in enumerate(batches):
            await producer.send_batch(batch, CONSENTS, partition=partition)
        await producer.flush()


def consents(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each, made of one by putting in other references: quicker than to encode each."""
    template, ref, number = schemas.encode("ConsentRecord", _TEMPLATE), _PLACE_REF.encode(), _PLACE_ID.encode()
    for each in range(count):
        key = subject(each).encode()
        yield key, template.replace(ref, key).replace(number, key[-len(number) :])


@asynccontextmanager
async def _view(place: Place) -> AsyncIterator[tuple[ConsentView, Fence]]:
    """The view, proven fresh once."""
    connection = KafkaConnection(place.bootstrap, "view")
    async with connection.client() as client:
        view = ConsentView(
            connection,
            Codec(FileRegistry(), {CONSENTS: "ConsentRecord", CONTROLS: "Control"}),
            consents=CONSENTS,
            controls=CONTROLS,
            directory=place.directory,
            max_idle_ms=IDLE_MS,
        )
        await view.start(client)
        fence = Fence(client, view, timeout=CATCH_UP_TIMEOUT_S)
        try:
            await fence.reach()
            yield view, fence
        finally:
            await fence.close()
            await view.close()


async def _catch_up(place: Place) -> CaughtUp:
    gc.set_threshold(GARBAGE_EVERY)  # as the gateway does
    before, began = _memory(), time.process_time()
    async with _view(place) as (view, fence):
        spent, after = time.process_time() - began, _memory()
        if view.subjects() != place.subjects:
            raise RuntimeError(f"the view holds {view.subjects()} subjects instead of {place.subjects}")
        first, again = await _look_up(view, place.subjects)
        hot_first, hot_again = await _look_up(view, max(1, min(10_000, place.subjects // 10)))
        warm = _memory()
        began = time.process_time()
        for _ in range(FENCES):
            await fence.reach()
        fence_s = time.process_time() - began
    return CaughtUp(
        catch_up_cpu_s=round(spent, 2),
        catch_up_us=round(spent / place.subjects * 1e6, 1),
        rss_mb=round((after[0] - before[0]) / MIB, 1),
        mapped_mb=round((after[1] - before[1]) / MIB, 1),
        file_mb=round(sum(path.stat().st_size for path in place.directory.iterdir()) / MIB, 1),
        get_us=round((first + again) / 2, 2),
        get_first_us=round(first, 2),
        get_again_us=round(again, 2),
        get_hot_us=round((hot_first + hot_again) / 2, 2),
        warm_rss_mb=round((warm[0] - before[0]) / MIB, 1),
        fence_us=round(fence_s / FENCES * 1e6, 1),
    )


async def _look_up(view: ConsentView, among: int) -> tuple[float, float]:
    """CPU µs a subject: when a fetch brings it, and when the fence behind that asks again."""
    rng, spent = Random(among), [0.0, 0.0]
    for fetch in range(2 * FETCHES):
        if fetch == FETCHES:  # it is warm
            spent = [0.0, 0.0]
        wanted = [subject(rng.randrange(among)) for _ in range(FETCH)]
        for turn in range(2):
            began = time.process_time()
            states = view.get_many(wanted)
            spent[turn] += time.process_time() - began
            if not all(isinstance(state, Consent) for state in states.values()):
                raise RuntimeError("a subject's consent is not there")
    return spent[0] / FETCHES / FETCH * 1e6, spent[1] / FETCHES / FETCH * 1e6


async def _restart(place: Place) -> Restarted:
    began, cpu = time.monotonic(), time.process_time()
    async with _view(place):
        return Restarted(
            restart_ms=round((time.monotonic() - began) * 1e3, 1),
            restart_cpu_ms=round((time.process_time() - cpu) * 1e3, 1),
        )


def _memory() -> tuple[int, int]:
    """Resident bytes, and how many of them map a file."""
    memory = psutil.Process().memory_info()  # type: ignore[no-untyped-call]  # psutil ships no types
    return memory.rss, memory.shared


def catch_up(place: Place) -> CaughtUp:
    """In a process of its own."""
    return asyncio.run(_catch_up(place))


def restart(place: Place) -> Restarted:
    """In a process of its own."""
    return asyncio.run(_restart(place))


def measure(subjects: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as directory, Node(fast_start=False) as node:
        place = Place(node.bootstrap, Path(directory) / "view", subjects)
        asyncio.run(fill(place))
        figures: dict[str, float] = {"subjects": subjects}
        steps: Sequence[Callable[[Place], CaughtUp | Restarted]] = (catch_up, restart)
        for step in steps:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                figures |= asdict(process.submit(step, place).result())
    return figures


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m load.view", description=__doc__)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    print(json.dumps(measure(parser.parse_args().subjects)))


if __name__ == "__main__":
    main()
