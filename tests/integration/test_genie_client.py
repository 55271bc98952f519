"""The client against the strict GeNiE: each attempt ends in an Answer, and means what GeNiE said."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.outcome import (
    LookupStatus,
    Loss,
    Lost,
    Meaning,
    NotSent,
    Reply,
    Stop,
    Unsent,
    classify,
)
from gateway.core.reasons import Reason
from gateway.genie.client import GenieClient, wall_ms
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie import Sandbox
from tests.contract.genie_client import payment, score
from tests.integration.genie_side import (
    credentials,
    genie_client,
    outgoing,
    sent,
    soon,
)
from tests.integration.waiting import until

ONE = outgoing("one", payment("subject-1"))
TWO = outgoing("two", score("subject-2", 5))
BOUND_S = 30  # far more than any attempt may take: only a client that hangs meets it


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path) as genie:
        yield genie


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[GenieClient]:
    async with genie_client(sandbox.url, sandbox.pki) as ours:
        yield ours


async def test_a_batch_is_accepted_and_then_known(client: GenieClient) -> None:
    """What we send is accepted with a receipt; sent again it is our own duplicate; a lookup finds it."""
    for _ in range(2):
        answer = await client.send([ONE, TWO], soon())
        outcome = classify(answer, [sent(ONE), sent(TWO)])
        assert [entry.reason for entry in outcome.entries] == [Reason.ACCEPTED, Reason.ACCEPTED]
        assert all(entry.receipt for entry in outcome.entries)
    stranger = outgoing("never sent", payment())
    reply = await client.look_up([ONE.idempotency_key, stranger.idempotency_key])
    assert reply is not None
    received, unknown = reply.results
    assert (received.status, received.first) == (LookupStatus.RECEIVED, outcome.entries[0].first)
    assert received.receipt is not None
    assert outcome.entries[0].receipt is not None
    assert received.receipt.id == outcome.entries[0].receipt.id
    assert unknown.status is LookupStatus.NOT_RECEIVED


async def test_the_words_of_genie_are_understood(client: GenieClient) -> None:
    """Duplicates of others, other scopes, other contents and stale scores end as the table says."""
    await client.send([ONE, TWO], soon())
    narrower = payment("subject-1")
    del narrower["items"]["phone"]
    others = [
        outgoing("one", payment("subject-1"), origin="another record"),
        outgoing("one", narrower),
        outgoing("stale", score("subject-2", 4)),
    ]
    reasons = []
    for other in others:
        answer = await client.send([other], soon())
        reasons.append(classify(answer, [sent(other)]).entries[0].reason)
    assert reasons == [Reason.SAME_EVENT, Reason.SAME_EVENT_OTHER_SCOPE, Reason.NEWER_AT_GENIE]


async def test_p256_signs_as_well(sandbox: Sandbox) -> None:
    """With a P-256 key the same request is accepted."""
    async with genie_client(
        sandbox.url, sandbox.pki, signing=sandbox.pki.norel_p256, key_id=pkis.NOREL_P256_ID
    ) as client:
        outcome = classify(await client.send([ONE], soon()), [sent(ONE)])
    assert outcome.entries[0].reason is Reason.ACCEPTED


@pytest.mark.parametrize("fault", ["too_many_requests", "unavailable"])
async def test_pushback_is_believed(sandbox: Sandbox, client: GenieClient, fault: str) -> None:
    """A signed 429 or 503 says: not received, come back after Retry-After."""
    sandbox.faults.replace({fault: {"share": 1, "retry_after": 3}})
    outcome = classify(await client.send([ONE], soon()), [sent(ONE)])
    assert outcome.entries[0].meaning is Meaning.NOT_RECEIVED
    assert outcome.retry_after_ms == 3_000


@pytest.mark.parametrize(
    ("fault", "was_taken"),
    [
        ({"bad_gateway": {"share": 1}}, False),
        ({"bad_gateway_after_accepting": {"share": 1}}, True),
        ({"reset_before_accepting": {"share": 1}}, False),
        ({"reset_after_accepting": {"share": 1}}, True),
        ({"timeout_after_accepting": {"share": 1}}, True),
    ],
)
async def test_a_lost_answer_is_unknown_and_resolved(
    sandbox: Sandbox, client: GenieClient, fault: dict[str, Any], was_taken: bool
) -> None:
    """Without a verified answer the outcome is unknown; a lookup and another attempt both resolve it."""
    sandbox.faults.replace(fault)
    async with asyncio.timeout(BOUND_S):
        answer = await client.send([ONE], soon(2_000))
    assert classify(answer, [sent(ONE)]).entries[0].meaning is Meaning.UNKNOWN
    sandbox.faults.replace({})
    reply = await client.look_up([ONE.idempotency_key])
    assert reply is not None
    assert (reply.results[0].status is LookupStatus.RECEIVED) == was_taken
    again = classify(await client.send([ONE], soon()), [sent(ONE)])
    assert again.entries[0].reason is Reason.ACCEPTED


async def test_wrong_keys_stop_the_lanes(sandbox: Sandbox, client: GenieClient) -> None:
    """A key id that GeNiE does not know, and a key that is not ours, are configuration, not the entries' fault."""
    await client.use(credentials(sandbox.pki, key_id="norel-unknown"))
    assert classify(await client.send([ONE], soon()), [sent(ONE)]).stop is Stop.FORBIDDEN
    await client.use(credentials(sandbox.pki, signing=sandbox.pki.genie_ed25519))
    assert classify(await client.send([ONE], soon()), [sent(ONE)]).stop is Stop.UNAUTHENTICATED


async def test_an_answer_by_a_key_that_is_not_accepted_is_no_answer(sandbox: Sandbox, client: GenieClient) -> None:
    """GeNiE takes the entry, but with other keys of GeNiE's in our settings its word is not believed."""
    await client.use(credentials(sandbox.pki, answering=sandbox.pki.norel_ed25519))
    answer = await client.send([ONE], soon())
    assert isinstance(answer, Reply)
    assert (answer.status, answer.verified, answer.results) == (200, False, None)
    assert await client.look_up([ONE.idempotency_key]) is None


async def test_credentials_change_under_a_request(sandbox: Sandbox, client: GenieClient) -> None:
    """What is under way ends with the old set and is waited for; the next request goes with the new one."""
    sandbox.faults.replace({"latency": {"share": 1, "ms": 300}})
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(client.send([ONE], soon()))
        await until(lambda: client._link._under_way, BOUND_S, "the request under way")
        group.create_task(client.use(credentials(sandbox.pki, signing=sandbox.pki.norel_p256, key_id="unknown")))
        await until(lambda: client._credentials.signing_key.id == "unknown", BOUND_S, "the new set")
        assert not sending.done()
        refused = group.create_task(client.send([TWO], soon()))
    assert classify(sending.result(), [sent(ONE)]).entries[0].reason is Reason.ACCEPTED
    assert classify(refused.result(), [sent(TWO)]).stop is Stop.FORBIDDEN


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_far_from_genies_stops_the_lanes(sandbox: Sandbox, hours: int) -> None:
    """What GeNiE surely said at another time is not believed, and how far its clock is from ours is known."""
    async with genie_client(sandbox.url, sandbox.pki, now_ms=lambda: wall_ms() + hours * 3_600_000) as client:
        answer = await client.send([ONE], soon(20_000 + hours * 3_600_000))
    assert answer == Lost(Loss.CLOCK)
    assert classify(answer, [sent(ONE)]).stop is Stop.CLOCK
    assert -2 < client.clock_difference_ms / 1000 + hours * 3_600 < 2


async def test_an_expired_announcement_is_not_sent(sandbox: Sandbox, client: GenieClient) -> None:
    """Past its announcement's `expires` a batch never leaves; nor does it from a closed client."""
    assert await client.send([ONE], wall_ms()) == NotSent(Unsent.EXPIRED)
    await client.close()
    assert await client.send([ONE], soon()) == NotSent(Unsent.CLOSED)
    assert await client.look_up([ONE.idempotency_key]) is None
    assert not sandbox.receipts.read_bytes()


async def test_no_proxy_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables of the environment change nothing."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with genie_client(sandbox.url, sandbox.pki) as client:
        outcome = classify(await client.send([ONE], soon()), [sent(ONE)])
    assert outcome.entries[0].reason is Reason.ACCEPTED
