"""Faults that refuse do so as they say: status, signature, what is taken; marked entries drag their batches down."""

from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.genie.faults import Faults
from gateway.sandbox.genie.faults.refusals import ClientStatus, ServerStatus
from tests.contract.genie_client import BATCHES, Client, Reply, entry, key_of, payment, provision, verify

GIVE_UP = aiohttp.ClientTimeout(total=0.3)  # how long a client waits for an answer that never comes

BEFORE: list[tuple[str, dict[str, Any], int, bool]] = [
    ("too_many_requests", {"retry_after": 7}, 429, True),
    ("too_many_requests", {"retry_after": 7, "signed": False}, 429, False),
    ("unavailable", {"retry_after": 7}, 503, True),
    ("unavailable", {"retry_after": 7, "signed": False}, 503, False),
    *(
        ("server_error", {"status": status, "signed": signed}, status, signed)
        for status in ServerStatus
        for signed in (True, False)
    ),
    ("bad_gateway", {}, 502, False),
    *(("client_error", {"status": status}, status, True) for status in ClientStatus),
    ("client_error", {"status": 401, "signed": False}, 401, False),
    ("signature_expired", {}, 401, True),
    ("redirect", {}, 307, False),
    ("redirect", {"status": 308, "signed": True}, 308, True),
]


def assert_signed(reply: Reply, genie: Client, *, signed: bool) -> None:
    """GeNiE's own problem, signed, or the page of a stranger."""
    if signed:
        verify(reply, genie.sandbox)
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json["status"] == reply.status_code
    else:
        assert not {"Signature", "Signature-Input", "Content-Digest"} & set(reply.headers)
        assert reply.headers["Content-Type"] == "text/html"


@pytest.mark.parametrize(("fault", "parameters", "status", "signed"), BEFORE)
async def test_a_refusal_takes_nothing(
    genie: Client, fault: str, parameters: dict[str, Any], status: int, signed: bool
) -> None:
    """The answer has the status that was asked for, is signed or not, and nothing was taken."""
    await genie.set_faults(**{fault: {"share": 1, **parameters}})
    reply = await genie.provide(entry("a"))
    assert reply.status_code == status
    assert_signed(reply, genie, signed=signed)
    assert reply.headers.get("Retry-After") == ("7" if "retry_after" in parameters else None)
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == ["not_received"]


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "signed"),
    [
        ("bad_gateway_after_accepting", {}, 502, False),
        ("server_error_after_accepting", {"status": 504}, 504, False),
        ("server_error_after_accepting", {"signed": True}, 500, True),
    ],
)
async def test_a_failure_after_accepting_hides_that_it_was_taken(
    genie: Client, fault: str, parameters: dict[str, Any], status: int, signed: bool
) -> None:
    """The answer says failure, and the entry is durable."""
    await genie.set_faults(**{fault: {"share": 1, **parameters}})
    reply = await genie.provide(entry("a"))
    assert reply.status_code == status
    assert_signed(reply, genie, signed=signed)
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == ["received"]


async def test_retry_after_may_be_a_date(genie: Client) -> None:
    """As a date, Retry-After lies as many seconds after GeNiE's Date."""
    await genie.set_faults(unavailable={"share": 1, "retry_after": 1000, "as_date": True})
    headers = (await genie.provide(entry("a"))).headers
    wait = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert 995 <= wait.total_seconds() <= 1005


@pytest.mark.parametrize(
    ("to", "located"), [("", "{url}/v1/provision-batches"), ("https://elsewhere.invalid/v1", "{to}")]
)
async def test_a_redirect_leads_round_or_elsewhere(genie: Client, to: str, located: str) -> None:
    """Location is the request's own URL, or the one that was given."""
    await genie.set_faults(redirect={"share": 1, "to": to})
    assert (await genie.provide(entry("a"))).headers["Location"] == located.format(url=genie.sandbox.url, to=to)


@pytest.mark.parametrize(("fault", "status"), [("entry_retry", "retry"), ("entry_rejected", "rejected")])
async def test_single_entries_are_refused(genie: Client, fault: str, status: str) -> None:
    """A new entry is refused and leaves nothing; one that was taken before is still a duplicate."""
    await genie.provide(entry("a", payment("one")))
    await genie.set_faults(**{fault: {"share": 1}})
    reply = await genie.provide(entry("a", payment("one")), entry("b", payment("two")), entry("c", payment("two")))
    assert reply.statuses == ["duplicate", status, "retry"]
    await genie.set_faults()
    assert (await genie.look_up("b")).statuses == ["not_received"]
    assert (await genie.stats())["faults"][fault] == 1


# --- marked entries ---------------------------------------------------------------------------------------

NAMES = [f"entry {number}" for number in range(40)]


def marked(faults: Faults, fault: str) -> set[str]:
    kind = faults.active[fault]
    return {name for name in NAMES if kind.marks(key_of(name), faults.seed)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "signed"),
    [
        ("entry_spoils_batch", {}, 422, True),
        ("entry_spoils_batch", {"status": 400}, 400, True),
        ("entry_spoils_batch", {"status": 413}, 413, True),
        ("entry_breaks", {}, 500, False),
        ("entry_breaks", {"signed": True}, 500, True),
    ],
)
async def test_halving_finds_the_marked_entries(
    genie: Client, fault: str, parameters: dict[str, Any], status: int, signed: bool
) -> None:
    """A batch fails whenever it holds a marked entry, is taken whenever it does not, and lookups always work."""
    await genie.set_faults(**{fault: {"share": 0.1, **parameters}})
    wanted = marked(genie.sandbox.faults, fault)
    assert 1 <= len(wanted) <= 10

    async def find(names: list[str]) -> set[str]:
        reply = await genie.provide(*(entry(name, payment(name)) for name in names))
        if reply.status_code == 200:
            assert set(reply.statuses) == {"accepted"}
            return set()
        assert reply.status_code == status
        assert_signed(reply, genie, signed=signed)
        half = len(names) // 2
        return await find(names[:half]) | await find(names[half:]) if half else set(names)

    assert await find(NAMES) == wanted
    found = dict(zip(NAMES, (await genie.look_up(*NAMES)).statuses, strict=True))
    assert {name for name, state in found.items() if state == "not_received"} == wanted


async def test_an_entry_that_hangs_hangs_every_batch_that_holds_it(genie: Client) -> None:
    """With `key` exactly that entry is marked: no answer comes where it is, others are served."""
    await genie.set_faults(entry_hangs={"share": 1, "key": key_of("b")})
    assert (await genie.provide(entry("a"))).statuses == ["accepted"]
    message = genie.request(BATCHES, provision(entry("c"), entry("b")))
    with pytest.raises(TimeoutError):
        await genie.session.post(message.url, data=message.content, headers=message.headers, timeout=GIVE_UP)
    await genie.stats_until(lambda stats: stats["in_flight"] == 0)
    await genie.set_faults()
    assert (await genie.look_up("b", "c")).statuses == ["not_received"] * 2


def test_marks_follow_from_the_seed_and_the_share() -> None:
    """Another seed marks other keys, a larger share more of them, and two faults do not mark the same ones."""

    def of(seed: int, share: float, fault: str = "entry_breaks") -> set[str]:
        faults = Faults(seed)
        faults.replace({fault: {"share": share}})
        return marked(faults, fault)

    assert of(1, 0.3) == of(1, 0.3) != of(2, 0.3)
    assert of(1, 0.3) != of(1, 0.3, "entry_hangs")
    assert of(1, 0) == set() < of(1, 0.3) < of(1, 0.6) < of(1, 1) == set(NAMES)
