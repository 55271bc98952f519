"""Faults of answers: exactly the wrong thing under a signature that holds, or a signature that does not."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest
from http_message_signatures import HTTPMessageSignaturesException

from tests.contract.genie_client import NOW, Client, Reply, entry, key_of, payment, verify

KEYS = [key_of(name) for name in "abc"]


async def provided(genie: Client) -> Reply:
    return await genie.provide(*(entry(name, payment(name)) for name in "abc"))


def keys(reply: Reply) -> list[str]:
    return [result["idempotency_key"] for result in reply.json["results"]]


Holds = Callable[[Reply], bool]

RESULTS: dict[str, Holds] = {
    "missing_results": lambda reply: len(keys(reply)) == 2 and set(keys(reply)) < set(KEYS),
    "extra_results": lambda reply: keys(reply)[:3] == KEYS and len(set(keys(reply))) == 4,
    "repeated_results": lambda reply: (
        keys(reply)[:3] == KEYS and len(keys(reply)) == 4 and set(keys(reply)) == set(KEYS)
    ),
    "reordered_results": lambda reply: keys(reply) == KEYS[::-1],
    "swapped_results": lambda reply: keys(reply) == [*KEYS[1:], KEYS[0]],
    "wrong_keys": lambda reply: len(set(keys(reply))) == 3 and not set(keys(reply)) & set(KEYS),
}


@pytest.mark.parametrize("fault", RESULTS)
async def test_results_are_wrong(genie: Client, fault: str) -> None:
    """Provisions and lookups alike tell too little, too much, or in another order, and are signed."""
    await genie.set_faults(**{fault: {"share": 1}})
    for reply in (await provided(genie), await genie.look_up(*"abc")):
        assert reply.status_code == 200
        verify(reply, genie.sandbox)
        assert RESULTS[fault](reply)
    await genie.set_faults()
    assert (await genie.look_up(*"abc")).statuses == ["received"] * 3


async def test_swapped_results_keep_their_place(genie: Client) -> None:
    """Of swapped results only the keys have changed places: what was received under each is another entry's."""
    await provided(genie)
    honest = (await genie.look_up(*"abc")).json["results"]
    await genie.set_faults(swapped_results={"share": 1})
    swapped = (await genie.look_up(*"abc")).json["results"]
    assert [result["receipt_id"] for result in swapped] == [result["receipt_id"] for result in honest]


TYPES: dict[str, Callable[[Any], bool]] = {
    "results": lambda told: isinstance(told, dict),
    "result": lambda told: all(isinstance(each, str) for each in told),
    "key": lambda told: all(isinstance(each["idempotency_key"], int) for each in told),
    "status": lambda told: all(isinstance(each["status"], list) for each in told),
    "first": lambda told: all(isinstance(each["first"], list) for each in told),
}


@pytest.mark.parametrize("what", TYPES)
async def test_other_json_types(genie: Client, what: str) -> None:
    """The member that was asked for has another type."""
    await genie.set_faults(other_json_types={"share": 1, "what": what})
    reply = await provided(genie)
    verify(reply, genie.sandbox)
    assert TYPES[what](reply.json["results"])


@pytest.mark.parametrize("fault", ["garbage_json", "deep_json"])
async def test_content_that_is_no_json_to_anybody(genie: Client, fault: str) -> None:
    """The content cannot be read, although it is signed and called JSON."""
    await genie.set_faults(**{fault: {"share": 1}})
    reply = await provided(genie)
    verify(reply, genie.sandbox)
    assert reply.headers["Content-Type"] == "application/json"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(reply.content)


async def test_another_content_type(genie: Client) -> None:
    """The media type is another one, and signed."""
    await genie.set_faults(wrong_content_type={"share": 1})
    reply = await provided(genie)
    verify(reply, genie.sandbox)
    assert reply.headers["Content-Type"] == "text/plain"
    assert keys(reply) == KEYS


@pytest.mark.parametrize(("ahead", "sign"), [(False, -1), (True, 1)])
async def test_the_date_is_far_off(genie: Client, ahead: bool, sign: int) -> None:
    """GeNiE's Date is behind or ahead by so many seconds; the rest is right."""
    await genie.set_faults()
    honest = parsedate_to_datetime((await provided(genie)).headers["Date"])
    await genie.set_faults(wrong_date={"share": 1, "seconds": 5000, "ahead": ahead})
    reply = await provided(genie)
    verify(reply, genie.sandbox)
    off = parsedate_to_datetime(reply.headers["Date"]) - honest
    assert 4990 <= sign * off.total_seconds() <= 5010


async def test_a_lookup_says_processing(genie: Client) -> None:
    """Even what was received is `processing`; provisions are answered as ever."""
    await genie.set_faults(lookup_processing={"share": 1})
    assert (await provided(genie)).statuses == ["accepted"] * 3
    reply = await genie.look_up("a", "nobody")
    verify(reply, genie.sandbox)
    assert reply.statuses == ["processing"] * 2
    assert all("first" not in result for result in reply.json["results"])


async def test_a_lookup_tells_of_long_ago(genie: Client) -> None:
    """as_of lies so many seconds before GeNiE's clock."""
    await genie.set_faults(early_as_of={"share": 1, "seconds": 90})
    reply = await genie.look_up("a")
    verify(reply, genie.sandbox)
    assert datetime.fromisoformat(reply.json["as_of"]).timestamp() * 1000 == NOW - 90_000


# --- signatures -------------------------------------------------------------------------------------------


async def test_an_unsigned_answer(genie: Client) -> None:
    """The answer is right and carries no signature."""
    await genie.set_faults(unsigned_answer={"share": 1})
    for reply in (await provided(genie), await genie.look_up(*"abc")):
        assert keys(reply) == KEYS
        assert not {"Signature", "Signature-Input", "Content-Digest"} & set(reply.headers)


async def test_a_signature_that_does_not_verify(genie: Client) -> None:
    """Everything is there and has its form, and the signature does not hold."""
    await genie.set_faults(bad_signature={"share": 1})
    reply = await provided(genie)
    with pytest.raises(HTTPMessageSignaturesException):
        verify(reply, genie.sandbox)
    assert len(reply.headers["Signature"]) == len("genie=::") + 88


async def test_a_signature_for_another_request(genie: Client) -> None:
    """The signature holds, but for a request with another signature than ours."""
    await genie.set_faults(swapped_signature={"share": 1})
    reply = await provided(genie)
    with pytest.raises(HTTPMessageSignaturesException):
        verify(reply, genie.sandbox)
    headers = {**reply.request.headers, "Signature": f"norel=:{'A' * 86}==:"}
    verify(replace(reply, request=replace(reply.request, headers=headers)), genie.sandbox)


async def test_a_key_id_that_nobody_knows(genie: Client) -> None:
    """The signature names a key that was never agreed."""
    await genie.set_faults(unknown_key_id={"share": 1})
    assert 'keyid="genie-unknown"' in (await provided(genie)).headers["Signature-Input"]


@pytest.mark.parametrize(("ahead", "created"), [(False, NOW // 1000 - 900), (True, NOW // 1000 + 900)])
async def test_a_signature_of_another_time(genie: Client, ahead: bool, created: int) -> None:
    """The signature holds and was created long ago, or is yet to be."""
    await genie.set_faults(old_signature={"share": 1, "seconds": 900, "ahead": ahead})
    reply = await provided(genie)
    verify(reply, genie.sandbox)
    assert f";created={created};" in reply.headers["Signature-Input"]


async def test_a_digest_of_another_content(genie: Client) -> None:
    """The signature holds over a Content-Digest that is not that of the content."""
    await genie.set_faults(wrong_digest={"share": 1})
    reply = await provided(genie)
    with pytest.raises(HTTPMessageSignaturesException):
        verify(reply, genie.sandbox)
    verify(replace(reply, content=reply.content + b" "), genie.sandbox)
    digest = base64.b64encode(hashlib.sha256(reply.content).digest()).decode()
    assert digest not in reply.headers["Content-Digest"]


async def test_what_is_not_signed_anyway_stays_so(genie: Client) -> None:
    """A stranger's answer does not become GeNiE's by a fault of GeNiE's signature."""
    await genie.set_faults(bad_gateway={"share": 1}, bad_signature={"share": 1})
    assert "Signature" not in (await provided(genie)).headers
