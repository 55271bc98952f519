"""The client against every fault of the strict GeNiE: each attempt ends in time, and means what the table says.

The table is that of the design, row by row; what a lane makes of it (when it sends again, halves a batch, parks an
entry that is unknown too often or too long) is told elsewhere.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.core.outcome import EntryOutcome, LookupReply, LookupStatus, Meaning, Stop, classify
from gateway.core.reasons import Reason
from gateway.genie import client as clients
from gateway.genie.client import GenieClient
from gateway.genie.contract import MAX_RETRY_AFTER_MS
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie import Sandbox
from gateway.sandbox.genie.faults import KINDS, Point
from tests.contract.genie_client import NOW, payment, score
from tests.integration.genie_side import genie_client, outgoing, sent

ONE = outgoing("one", payment("subject-1"))
TWO = outgoing("two", score("subject-2", 5))
BOTH = (ONE, TWO)
BOUND_S = 30  # far more than any attempt may take: only a client that hangs meets it
CLOCK = NOW + 500  # of both sides: it stands still, so that nothing depends on how fast this machine is
EXPIRES_AT = NOW + 20_000
SOON = NOW + 1_000  # an attempt that nobody answers ends after half a second

NOT_RECEIVED, UNKNOWN = Meaning.NOT_RECEIVED, Meaning.UNKNOWN
ACCEPTED, REJECTED = Reason.ACCEPTED, Reason.REJECTED_BY_GENIE
Says = Meaning | Reason


@dataclass(frozen=True)
class Row:
    """A fault, and what the answer to a batch means: for all of its entries, or one by one in any order."""

    fault: str
    means: Says | tuple[Says, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    stop: Stop | None = None
    bisect: bool = False
    retry_after_ms: int | None = None
    entries: Sequence[Any] = BOTH
    silent: bool = False  # GeNiE does not answer in time

    def __str__(self) -> str:
        said = ",".join(f"{name}={value}" for name, value in self.parameters.items() if name != "key")
        return f"{self.fault}({said}) for {len(self.entries)}"

    def wanted(self) -> dict[str, Any]:
        return {self.fault: {"share": 1, **self.parameters}}


def stops(status: int, stop: Stop) -> list[Row]:
    """Signed, GeNiE has surely not taken it; unsigned, nobody knows; either way a person must look."""
    fault = "redirect" if status < 400 else "client_error"
    return [
        Row(fault, NOT_RECEIVED if by_genie else UNKNOWN, {"status": status, "signed": by_genie}, stop)
        for by_genie in (True, False)
    ]


# --- no byte left, or a verified 429, 503 or `retry`: surely not received ----------------------------------
SURELY_NOT = [
    *(
        Row(fault, NOT_RECEIVED)
        for fault in ("handshake_refused", "wrong_authority", "expired_certificate", "wrong_host")
    ),
    Row("too_many_requests", NOT_RECEIVED, {"retry_after": 3}, retry_after_ms=3_000),
    Row("too_many_requests", NOT_RECEIVED, {"retry_after": 3, "burst_s": 60}, retry_after_ms=3_000),
    Row("unavailable", NOT_RECEIVED, {"retry_after": 100_000}, retry_after_ms=MAX_RETRY_AFTER_MS),
    Row("server_error", NOT_RECEIVED, {"status": 503, "signed": True}),
    Row("entry_retry", NOT_RECEIVED),
    Row("signature_expired", NOT_RECEIVED),  # announced again, and nobody's configuration is wrong
]
# --- verified `accepted`, whatever else is odd -------------------------------------------------------------
ACCEPTED_ALL_THE_SAME = [
    Row("latency", ACCEPTED, {"ms": 1}),
    Row("latency", ACCEPTED, {"ms": 1, "p99_ms": 2, "spread": "lognormal"}),
    Row("reordered_results", ACCEPTED),
    Row("extra_results", ACCEPTED),
    Row("wrong_content_type", ACCEPTED),  # what is signed and says `accepted` is no less true for it
    Row("wrong_date", ACCEPTED),
    Row("wrong_date", ACCEPTED, {"ahead": True}),
]
# --- `rejected`, and 400, 413, 422 of a batch --------------------------------------------------------------
PARKS_ONE = [
    Row("entry_rejected", REJECTED),
    *(
        Row("client_error", means, {"status": status}, bisect=len(entries) > 1, entries=entries)
        for status in (400, 413, 422)
        for means, entries in ((NOT_RECEIVED, BOTH), (REJECTED, (ONE,)))
    ),
    Row("client_error", UNKNOWN, {"status": 422, "signed": False}),
    Row("entry_spoils_batch", NOT_RECEIVED, {"key": ONE.idempotency_key}, bisect=True),
    Row("entry_spoils_batch", REJECTED, {"key": ONE.idempotency_key}, entries=(ONE,)),
]
# --- our configuration or theirs is wrong: the lanes stop, nothing is parked -------------------------------
STOPS = [
    *stops(401, Stop.UNAUTHENTICATED),
    *stops(403, Stop.FORBIDDEN),
    *(row for status in (404, 405, 410) for row in stops(status, Stop.WRONG_URL)),
    *stops(415, Stop.WRONG_MEDIA_TYPE),
    *stops(451, Stop.REFUSED),
    *(row for status in (301, 307, 308) for row in stops(status, Stop.REDIRECTED)),
    Row("redirect", UNKNOWN, {"to": "https://elsewhere.invalid/"}, Stop.REDIRECTED),
]
# --- everything else: unknown ------------------------------------------------------------------------------
NOBODY_KNOWS = [
    *(
        Row("client_error", UNKNOWN, {"status": status, "signed": by_genie})
        for status in (408, 409)
        for by_genie in (True, False)
    ),
    *(Row("server_error", UNKNOWN, {"status": status}) for status in (500, 502, 503, 504)),
    *(Row("server_error", UNKNOWN, {"status": status, "signed": True}) for status in (500, 502, 504)),
    Row("server_error_after_accepting", UNKNOWN, {"status": 504}),
    Row("server_error_after_accepting", UNKNOWN, {"signed": True}),
    Row("too_many_requests", UNKNOWN, {"signed": False}),
    Row("unavailable", UNKNOWN, {"signed": False}),
    Row("bad_gateway", UNKNOWN),
    Row("bad_gateway_after_accepting", UNKNOWN),
    Row("entry_breaks", UNKNOWN, {"key": ONE.idempotency_key}),
    # 2xx with a bad signature
    Row("unsigned_answer", UNKNOWN),
    Row("bad_signature", UNKNOWN),
    Row("swapped_signature", UNKNOWN),
    Row("unknown_key_id", UNKNOWN),
    Row("old_signature", UNKNOWN, stop=Stop.CLOCK),
    Row("old_signature", UNKNOWN, {"ahead": True}, Stop.CLOCK),
    Row("wrong_digest", UNKNOWN),
    # timeout
    Row("hang_before_accepting", UNKNOWN, silent=True),
    Row("timeout_after_accepting", UNKNOWN, silent=True),
    Row("entry_hangs", UNKNOWN, {"key": TWO.idempotency_key}, silent=True),
    Row("stall_after_bytes", UNKNOWN, silent=True),
    Row("slow_bytes", UNKNOWN, {"ms": 10}, silent=True),
    # reset
    Row("late_acceptance", UNKNOWN, {"seconds": 0}),
    Row("reset_before_accepting", UNKNOWN),
    Row("reset_after_accepting", UNKNOWN),
    *(Row("reset_after_bytes", UNKNOWN, {"bytes": count}) for count in (0, 100, 800)),
    # garbage
    Row("garbage_bytes", UNKNOWN),
    Row("garbage_json", UNKNOWN),
    Row("deep_json", UNKNOWN),
    Row("endless_body", UNKNOWN),
    Row("compressed_bomb", UNKNOWN, {"megabytes": 20}),
    *(Row("other_json_types", UNKNOWN, {"what": what}) for what in ("results", "result", "key", "status", "first")),
    Row("wrong_keys", UNKNOWN),
    Row("swapped_results", UNKNOWN),
    Row("missing_results", (ACCEPTED, UNKNOWN)),
    Row("repeated_results", (ACCEPTED, UNKNOWN)),
]
TABLE = [*SURELY_NOT, *ACCEPTED_ALL_THE_SAME, *PARKS_ONE, *STOPS, *NOBODY_KNOWS]
OF_LOOKUPS_ALONE = {"lookup_processing", "early_as_of"}


@pytest.fixture
async def sandbox(tmp_path: Path, pki: pkis.Pki) -> AsyncIterator[Sandbox]:
    shutil.copytree(pki.directory, tmp_path / "pki")
    async with Sandbox(tmp_path, clock=lambda: CLOCK) as genie:
        yield genie


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[GenieClient]:
    async with genie_client(sandbox.url, sandbox.pki, now_ms=lambda: CLOCK) as ours:
        yield ours


def says(entry: EntryOutcome) -> Says:
    return entry.reason if entry.reason is not None else entry.meaning


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_each_fault_means_what_the_table_says(sandbox: Sandbox, client: GenieClient, row: Row) -> None:
    """Under the fault an attempt ends as its row says; when the fault is over, the same entries are accepted."""
    if KINDS[row.fault].point is not Point.HANDSHAKE:
        await client.look_up([ONE.idempotency_key])  # a connection is there, as in a gateway that runs
    sandbox.faults.replace(row.wanted())
    remembered = [sent(entry) for entry in row.entries]
    async with asyncio.timeout(BOUND_S):
        answer = await client.send(row.entries, SOON if row.silent else EXPIRES_AT)
    outcome = classify(answer, remembered)
    expected = row.means if isinstance(row.means, tuple) else (row.means,) * len(row.entries)
    assert sorted(map(str, map(says, outcome.entries))) == sorted(map(str, expected))
    assert (outcome.stop, outcome.bisect, outcome.retry_after_ms) == (row.stop, row.bisect, row.retry_after_ms)
    assert sandbox.faults.hits[row.fault] >= 1
    sandbox.faults.replace({})
    again = classify(await client.send(row.entries, EXPIRES_AT), remembered)
    assert {says(entry) for entry in again.entries} == {ACCEPTED}


def test_the_table_knows_every_fault() -> None:
    """No fault that can strike a provision is missing from the table."""
    assert {row.fault for row in TABLE} == set(KINDS) - OF_LOOKUPS_ALONE


async def test_retry_after_is_understood_as_a_date(tmp_path: Path, pki: pkis.Pki) -> None:
    """A date far ahead is a pause too, and capped like seconds."""
    shutil.copytree(pki.directory, tmp_path / "pki")
    wanted = {"unavailable": {"share": 1, "retry_after": 100_000, "as_date": True}}
    async with Sandbox(tmp_path, faults=wanted) as genie, genie_client(genie.url, genie.pki) as ours:
        outcome = classify(await ours.send([ONE], clients.wall_ms() + 20_000), [sent(ONE)])
    assert outcome.retry_after_ms == MAX_RETRY_AFTER_MS


async def test_a_redirect_is_not_followed(tmp_path: Path, sandbox: Sandbox, client: GenieClient) -> None:
    """A GeNiE to which another one redirects gets nothing, and the redirected one gets it once."""
    shutil.copytree(sandbox.pki.directory, tmp_path / "other" / "pki")
    async with Sandbox(tmp_path / "other", clock=lambda: CLOCK) as other:
        sandbox.faults.replace({"redirect": {"share": 1, "to": f"{other.url}/v1/provision-batches"}})
        await client.send([ONE], EXPIRES_AT)
        assert not other.receipts.read_bytes()
    assert sandbox.faults.hits["redirect"] == 1


async def test_halving_ends_at_the_entry_that_spoils_the_batch(sandbox: Sandbox, client: GenieClient) -> None:
    """With one marked entry, its batch is to be halved, alone it is parked, and the other is provided."""
    sandbox.faults.replace({"entry_spoils_batch": {"share": 1, "key": ONE.idempotency_key}})
    outcomes = [
        classify(await client.send(entries, EXPIRES_AT), [sent(entry) for entry in entries])
        for entries in (BOTH, (ONE,), (TWO,))
    ]
    assert [outcome.bisect for outcome in outcomes] == [True, False, False]
    assert [says(outcome.entries[0]) for outcome in outcomes] == [NOT_RECEIVED, REJECTED, ACCEPTED]


# --- lookups ----------------------------------------------------------------------------------------------

RECEIVED, PROCESSING = LookupStatus.RECEIVED, LookupStatus.PROCESSING


def all_received(reply: LookupReply) -> bool:
    origins = {result.idempotency_key: result.first and result.first.origin for result in reply.results}
    return origins == {entry.idempotency_key: entry.origin for entry in BOTH}


def nothing(reply: LookupReply) -> bool:
    return reply.results == ()


def one(reply: LookupReply) -> bool:
    return len(reply.results) == 1 and reply.results[0].status is RECEIVED


def processing(reply: LookupReply) -> bool:
    return [result.status for result in reply.results] == [PROCESSING] * 2


def early(reply: LookupReply) -> bool:
    return all_received(reply) and reply.as_of == CLOCK - 90_000


def anothers(reply: LookupReply) -> bool:
    """Each key with what was received under the other: `first` tells the lane that this is not ours."""
    origins = {result.idempotency_key: result.first and result.first.origin for result in reply.results}
    return origins == {ONE.idempotency_key: TWO.origin, TWO.idempotency_key: ONE.origin}


LOOKUPS: list[tuple[str, dict[str, Any], Callable[[LookupReply], bool] | None]] = [
    ("lookup_processing", {}, processing),
    ("early_as_of", {"seconds": 90}, early),
    ("reordered_results", {}, all_received),
    ("extra_results", {}, all_received),
    ("missing_results", {}, one),
    ("repeated_results", {}, one),
    ("wrong_keys", {}, nothing),
    ("swapped_results", {}, anothers),
    ("other_json_types", {"what": "status"}, nothing),
    ("other_json_types", {"what": "first"}, nothing),
    ("other_json_types", {"what": "key"}, nothing),
    ("other_json_types", {"what": "result"}, nothing),
    *(
        (fault, parameters, None)
        for fault, parameters in (
            ("other_json_types", {"what": "results"}),
            ("garbage_json", {}),
            ("deep_json", {}),
            ("unsigned_answer", {}),
            ("bad_signature", {}),
            ("swapped_signature", {}),
            ("unknown_key_id", {}),
            ("old_signature", {}),
            ("wrong_digest", {}),
            ("too_many_requests", {}),
            ("unavailable", {}),
            ("server_error", {"signed": True}),
            ("client_error", {"status": 404}),
            ("redirect", {}),
            ("bad_gateway", {}),
            ("hang_before_accepting", {}),
            ("reset_before_accepting", {}),
            ("reset_after_bytes", {}),
            ("garbage_bytes", {}),
            ("endless_body", {}),
            ("compressed_bomb", {"megabytes": 20}),
        )
    ),
]


@pytest.mark.parametrize(("fault", "parameters", "holds"), LOOKUPS)
async def test_a_lookup_believes_no_more_than_is_proven(
    sandbox: Sandbox,
    client: GenieClient,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    parameters: dict[str, Any],
    holds: Callable[[LookupReply], bool] | None,
) -> None:
    """A lookup tells what a verified answer says of keys that were asked for, once each, or nothing."""
    await client.send(BOTH, EXPIRES_AT)
    if fault == "hang_before_accepting":
        monkeypatch.setattr(clients, "LOOKUP_TIMEOUT_MS", SOON - CLOCK)
    sandbox.faults.replace({fault: {"share": 1, **parameters}})
    async with asyncio.timeout(BOUND_S):
        reply = await client.look_up([entry.idempotency_key for entry in BOTH])
    assert sandbox.faults.hits[fault] >= 1
    assert reply is None if holds is None else reply is not None and holds(reply)


async def test_a_lookup_tells_nothing_to_a_stranger(sandbox: Sandbox, client: GenieClient) -> None:
    """A GeNiE with a certificate of another authority is not even asked."""
    sandbox.faults.replace({"wrong_authority": {"share": 1}})
    assert await client.look_up([ONE.idempotency_key]) is None
    assert sandbox.faults.hits["wrong_authority"] == 1
