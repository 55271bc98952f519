"""Faults of what an answer says, under a signature that is right: GeNiE itself talks nonsense.

Knows the JSON of the contract's answers; must not know signatures or bytes on the wire.
"""

import base64
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import formatdate
from enum import StrEnum
from typing import Any

import orjson

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.books import rfc3339
from gateway.sandbox.genie.faults.fault import Operation, Point, RequestFault

_DEPTH = 100_000  # of a document that recursive parsers do not survive

Document = dict[str, Any]
Results = list[Document]


class AnswerFault(RequestFault):
    """Changes an answer before it is signed; leaves refusals as they are."""

    point = Point.ON_ANSWERING

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        if wire.answer is None or wire.answer.status != 200:
            return None
        return self.change(wire.answer, chance)

    def change(self, answer: Answer, chance: random.Random) -> Answer:
        """What is said instead."""
        document = orjson.loads(answer.content)
        self.falsify(document, chance)
        return replace(answer, content=orjson.dumps(document))

    def falsify(self, document: Document, chance: random.Random) -> None:
        """Make the document wrong."""
        raise NotImplementedError


# --- any answer -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GarbageJson(AnswerFault):
    sentence = "the content is half a JSON document"

    def change(self, answer: Answer, chance: random.Random) -> Answer:
        return replace(answer, content=answer.content[: len(answer.content) // 2])


@dataclass(frozen=True, kw_only=True)
class DeepJson(AnswerFault):
    sentence = "the content is JSON nested so deep that recursive parsers die of it"

    def change(self, answer: Answer, chance: random.Random) -> Answer:
        return replace(answer, content=b"[" * _DEPTH + b"]" * _DEPTH)


@dataclass(frozen=True, kw_only=True)
class WrongContentType(AnswerFault):
    sentence = "the content is right, but called text/plain"

    def change(self, answer: Answer, chance: random.Random) -> Answer:
        return replace(answer, media_type="text/plain")


@dataclass(frozen=True, kw_only=True)
class WrongDate(AnswerFault):
    sentence = "GeNiE's Date is far behind the truth, or ahead of it"
    seconds: int = 3600
    ahead: bool = False

    def change(self, answer: Answer, chance: random.Random) -> Answer:
        date = formatdate(time.time() + (self.seconds if self.ahead else -self.seconds), usegmt=True)
        return replace(answer, headers={**answer.headers, "Date": date})


# --- its results ------------------------------------------------------------------------------------------


class Misshapen(StrEnum):
    """What has another JSON type than it should."""

    RESULTS = "results"  # an object instead of a list
    RESULT = "result"  # a string instead of an object
    KEY = "key"  # a number
    STATUS = "status"  # a list
    FIRST = "first"  # a list


_MISSHAPE: Mapping[Misshapen, Callable[[Document], object]] = {
    Misshapen.RESULTS: lambda document: document.update(results={"0": document["results"]}),
    Misshapen.RESULT: lambda document: document.update(
        results=[orjson.dumps(each).decode() for each in document["results"]]
    ),
    Misshapen.KEY: lambda document: [
        each.update(idempotency_key=index) for index, each in enumerate(document["results"])
    ],
    Misshapen.STATUS: lambda document: [each.update(status=[each["status"]]) for each in document["results"]],
    Misshapen.FIRST: lambda document: [each.update(first=[each.get("first")]) for each in document["results"]],
}


@dataclass(frozen=True, kw_only=True)
class OtherJsonTypes(AnswerFault):
    sentence = "a member of the answer has another JSON type"
    what: Misshapen = Misshapen.STATUS

    def falsify(self, document: Document, chance: random.Random) -> None:
        _MISSHAPE[self.what](document)


@dataclass(frozen=True, kw_only=True)
class MissingResults(AnswerFault):
    sentence = "one result is left out"

    def falsify(self, document: Document, chance: random.Random) -> None:
        results: Results = document["results"]
        results.pop(chance.randrange(len(results)))


@dataclass(frozen=True, kw_only=True)
class ExtraResults(AnswerFault):
    sentence = "there is a result for a key that was not in the request"

    def falsify(self, document: Document, chance: random.Random) -> None:
        results: Results = document["results"]
        results.append(results[-1] | {"idempotency_key": _stranger(chance)})


@dataclass(frozen=True, kw_only=True)
class RepeatedResults(AnswerFault):
    sentence = "one result is there twice"

    def falsify(self, document: Document, chance: random.Random) -> None:
        results: Results = document["results"]
        results.append(chance.choice(results))


@dataclass(frozen=True, kw_only=True)
class ReorderedResults(AnswerFault):
    sentence = "the results come in the reverse order"

    def falsify(self, document: Document, chance: random.Random) -> None:
        document["results"].reverse()


@dataclass(frozen=True, kw_only=True)
class SwappedResults(AnswerFault):
    sentence = "each result stands under the key of its neighbour"

    def falsify(self, document: Document, chance: random.Random) -> None:
        results: Results = document["results"]
        keys = [result["idempotency_key"] for result in results]
        for result, key in zip(results, [*keys[1:], keys[0]], strict=True):
            result["idempotency_key"] = key


@dataclass(frozen=True, kw_only=True)
class WrongKeys(AnswerFault):
    sentence = "every result stands under a key that was not in the request"

    def falsify(self, document: Document, chance: random.Random) -> None:
        for result in document["results"]:
            result["idempotency_key"] = _stranger(chance)


# --- lookups ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LookupProcessing(AnswerFault):
    sentence = "a lookup says `processing` of every key"
    on: Operation = Operation.LOOKUPS

    def falsify(self, document: Document, chance: random.Random) -> None:
        document["results"] = [
            {"idempotency_key": result["idempotency_key"], "status": "processing"} for result in document["results"]
        ]


@dataclass(frozen=True, kw_only=True)
class EarlyAsOf(AnswerFault):
    sentence = "a lookup tells of a time long past"
    seconds: int = 3600
    on: Operation = Operation.LOOKUPS

    def falsify(self, document: Document, chance: random.Random) -> None:
        if "as_of" in document:
            at = datetime.fromisoformat(document["as_of"]).timestamp() - self.seconds
            document["as_of"] = rfc3339(round(at * 1000))


def _stranger(chance: random.Random) -> str:
    """A key that nobody sent."""
    return base64.urlsafe_b64encode(chance.randbytes(32)).rstrip(b"=").decode()
