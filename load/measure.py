"""Looks at the processes of a round from outside: their CPU time, their memory, what the gateway counts.

Knows psutil and the names of the gateway's metrics. Must not know what a round does.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import aiohttp
import psutil
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from load.result import Kind
from load.window import Counts, Sample

LOOK_SECONDS = 0.25  # between two looks at memory and at the CPU time of processes that may end
FAMILY_EVERY = 8  # looks
MEGABYTE = 1 << 20


class MeasureError(Exception):
    """Something could not be measured; the text says what."""


class Progress:
    """How many events are settled, asked of Kafka: the gateway itself would have to be kept from its work.

    Lanes commit their watermarks in the transactions that settle; what lies settled behind one that is not waits."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._group = group

    async def __aenter__(self) -> Progress:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def settled(self) -> int:
        """Input records below the watermarks; no offset of an input that is not a record is written here."""
        committed = await self._admin.list_consumer_group_offsets(self._group)
        return sum(each.offset for each in committed.values())


class Process:
    """One process and all that it started."""

    def __init__(self, kind: Kind, pid: int) -> None:
        self.kind = kind
        self.cpu_seconds = 0.0
        self.rss_mb = 0.0
        self.most_rss_mb = 0.0
        self.read_bytes = 0.0
        self._looks = 0
        self._process = psutil.Process(pid)  # type: ignore[no-untyped-call]  # psutil ships no types
        self._family = [self._process]
        self.look()

    def look(self) -> None:
        """What stands there now; of one that has ended, what stood there last."""
        if self._looks % FAMILY_EVERY == 0:
            self._find_family()
        self._looks += 1
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            times = [each.cpu_times() for each in self._family]
            spent = sum(each.user + each.system + each.children_user + each.children_system for each in times)
            self.cpu_seconds = max(self.cpu_seconds, spent)
            self.rss_mb = sum(each.memory_info().rss for each in self._family) / MEGABYTE
            self.most_rss_mb = max(self.most_rss_mb, self.rss_mb)
            if self.kind is Kind.GENIE and psutil.LINUX:
                self.read_bytes = self._process.io_counters().read_chars  # type: ignore[no-untyped-call]  # no types

    def _find_family(self) -> None:
        """Whom it has started and not lost: to find them is dear, for all processes of the machine are looked at."""
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            children = self._process.children(recursive=True)  # type: ignore[no-untyped-call]  # psutil ships no types
            self._family = [self._process, *children]


class Meter:
    """`async with Meter() as meter` looks on until it is left."""

    def __init__(self) -> None:
        self.memory: list[tuple[float, float]] = []  # minutes since the start, MB of the largest gateway
        self._processes: list[Process] = []
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10.0))
        self._looking: asyncio.Task[None] | None = None
        self._began = time.monotonic()

    async def __aenter__(self) -> Meter:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._http.close()

    def watch(self, kind: Kind, pid: int) -> None:
        """From now on."""
        self._processes.append(Process(kind, pid))

    @property
    def most_rss_mb(self) -> float:
        """Of the largest gateway, at its highest."""
        return max((each.most_rss_mb for each in self._processes if each.kind is Kind.GATEWAY), default=0.0)

    async def sample(self, metrics_urls: Sequence[str]) -> Sample:
        """This moment. Raises MeasureError."""
        try:
            texts = [await self._text(url) for url in metrics_urls]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MeasureError(
                f"a gateway does not show its metrics ({type(error).__name__}): its log says why"
            ) from error
        for process in self._processes:
            process.look()
        cpu: defaultdict[Kind, float] = defaultdict(float)
        for process in self._processes:
            cpu[process.kind] += process.cpu_seconds
        read = sum(process.read_bytes for process in self._processes)
        return Sample(time.monotonic(), dict(cpu), read, counts(texts))

    async def _text(self, url: str) -> str:
        async with self._http.get(url) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def _look(self) -> None:
        while True:
            for process in self._processes:
                process.look()
            gateways = [process.rss_mb for process in self._processes if process.kind is Kind.GATEWAY]
            if gateways:
                self.memory.append(((time.monotonic() - self._began) / 60, max(gateways)))
            await asyncio.sleep(LOOK_SECONDS)


def counts(texts: Iterable[str]) -> Counts:
    """What the metrics of all gateways say together."""
    sums: defaultdict[str, float] = defaultdict(float)
    outcomes: defaultdict[str, float] = defaultdict(float)
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "gateway_settled_total":
                    outcomes[sample.labels["outcome"]] += sample.value
                elif sample.labels.get("kind") in {None, "2xx"}:  # answers that are verified and well
                    sums[sample.name] += sample.value
    return Counts(
        settled=sums["gateway_committed_records_total"],
        fences=sums["gateway_fence_seconds_count"],
        announced=sums["gateway_announced_entries_total"],
        verified_answers=sums["gateway_genie_request_seconds_count"],
        answer_seconds=sums["gateway_genie_request_seconds_sum"],
        transactions=sums["gateway_commit_seconds_count"],
        commit_seconds=sums["gateway_commit_seconds_sum"],
        outcomes=outcomes,
    )
