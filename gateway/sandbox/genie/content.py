"""Reads a request's content: strict JSON, the schema of its operation, canonical bodies.

Knows the form of content; must not know headers, or what was received before.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.sandbox.genie import contract
from gateway.sandbox.genie.problems import Refusal, Rule

_START = 32  # bytes that tell the beginning of a body from everything else


class Entry(NamedTuple):
    """One entry, with what its body says about order. A tuple, since a frozen dataclass is slow to make."""

    idempotency_key: str
    origin: str
    source_digest: str
    body: bytes  # canonical
    body_digest: str
    subject_key: str
    sequence: int | None  # of a score


def read(component: str, content: bytes) -> dict[str, Any]:
    """The document, if it is JSON that fits the schema `component` and names no member twice."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:  # its text quotes the content
        raise Refusal(Rule.MALFORMED_JSON, "the content must be JSON in UTF-8") from None
    if violation := contract.violation(component, document):
        raise Refusal(Rule.SCHEMA_VIOLATED, violation)
    # Written again it is the same, byte for byte: then nothing is there twice. Else look properly.
    if orjson.dumps(document) != content:
        _refuse_duplicates(content)
    read_document: dict[str, Any] = document
    return read_document


def entries(document: Mapping[str, Any], content: bytes) -> list[Entry]:
    """The entries of a provision, if each body is written canonically in `content`."""
    found = []
    position = 0
    for index, entry in enumerate(document["entries"]):
        body = entry["body"]
        canonical = _canonical(body, index)
        # Quotes in strings are escaped and bodies do not nest: what starts like a body is the next body. (To look
        # for the whole body at once would cost ten times as much.)
        position = content.find(canonical[:_START], position)
        if position < 0 or not content.startswith(canonical, position):
            raise Refusal(Rule.BODY_NOT_CANONICAL, f"at /entries/{index}/body: not in the form of RFC 8785")
        position += len(canonical)
        purposes = body["permitted_purposes"]
        if purposes != sorted(purposes):
            raise Refusal(Rule.PURPOSES_NOT_SORTED, f"at /entries/{index}/body/permitted_purposes")
        found.append(
            Entry(
                idempotency_key=entry["idempotency_key"],
                origin=entry["origin"],
                source_digest=entry["source_digest"],
                body=canonical,
                body_digest=digest(canonical),
                subject_key=body["subject_key"],
                sequence=_matter(body["items"]).get("sequence"),
            )
        )
    return found


def digest(content: bytes) -> str:
    """base64url(SHA-256) without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _canonical(body: Mapping[str, Any], index: int) -> bytes:
    """RFC 8785 for what the schema lets pass: sorted ASCII names, strings and safe integers."""
    # JSON Schema takes 2.0 for an integer; its canonical form is 2.
    if float in map(type, _matter(body["items"]).values()):
        raise Refusal(Rule.BODY_NOT_CANONICAL, f"at /entries/{index}/body: an integer is written as a fraction")
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def _matter(items: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item that the event is about: the only one with numbers."""
    matter: Mapping[str, Any] = items.get("payment_history") or items["norel_score"]
    return matter


def _refuse_duplicates(content: bytes) -> None:
    def unique(members: Sequence[tuple[str, Any]]) -> None:
        if len({name for name, _ in members}) != len(members):
            raise Refusal(Rule.DUPLICATE_MEMBER, "every member of an object has its own name")

    try:
        json.loads(content, object_pairs_hook=unique)
    except RecursionError:  # the schema is flat: only a hidden member can be that deep
        raise Refusal(Rule.DUPLICATE_MEMBER, "every member of an object has its own name") from None
