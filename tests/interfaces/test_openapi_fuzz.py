"""GeNiE's OpenAPI document against the sandbox that enforces it: Schemathesis makes the contents, we sign them.

What the document allows is taken, or refused by a rule that no schema can say; what it forbids is refused; and every
answer is one that the document describes. Contents are the same in each run: bounds of the members from both sides, and
some that are drawn by a fixed seed.
"""

import asyncio
import copy
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import rfc8785
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.genie.keys import load_signing_key
from gateway.genie.signing import content_digest, sign_request
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie import Sandbox
from gateway.sandbox.genie.contract import document
from tests.contract.genie_client import Message, Reply, key_of, verify

OPERATIONS = ("provideBatch", "provideOne", "lookUp")
EXAMPLES = 12  # of each kind of batch
FEWEST_EDGES, MOST_EDGES = 8, 200  # of each operation
ANSWER_S = 20
LIFE_S = 30
# What a content that fits the schema may still break: the document says these in words.
BEYOND_SCHEMAS = {"recipient-wrong", "purposes-not-sorted", "body-not-canonical"}
CONFORMS: Any = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
same_each_time = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # they judge by time, and by how much a strict schema filters out
)
OPENAPI = schemathesis.openapi.from_dict(document())
# Texts that must have both a pattern and a format, or 43 characters of an alphabet, are drawn too slowly; answers are
# judged by the whole document.
SHORT_LISTS = {
    "Digest": [key_of(name) for name in "abcd"],
    "Uuid": ["0b7c1d0e-0000-4000-8000-000000000001", "0b7c1d0e-0000-4000-8000-000000000002"],
    "Date": ["2026-10-27", "1900-01-01"],
    "Time": ["2026-11-20T01:02:03.004Z", "1970-01-01T00:00:00.000Z"],
    "Decimal": ["-0.5", "712.50", "0"],
    "RecipientId": ["genie", "somebody-else"],
}


def lighter() -> BaseSchema:
    """The document to draw contents from: without the headers, which we write ourselves, and with short lists."""
    made = copy.deepcopy(document())
    for path in made["paths"].values():
        del path["post"]["parameters"]
    made["components"]["schemas"] |= {name: {"enum": texts} for name, texts in SHORT_LISTS.items()}
    return schemathesis.openapi.from_dict(made)


CONTENTS = lighter()


class Signer:
    """Posts contents to a sandbox, signed as the gateway signs, and checks what comes back against the document."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._key = load_signing_key(sandbox.pki.norel_ed25519, pkis.NOREL_ED25519_ID)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(sandbox.pki.ca)
        self._session.cert = (str(sandbox.pki.client), str(sandbox.pki.client_key))
        self._nonces = itertools.count(1)

    def post(self, operation: str, content: bytes) -> requests.Response:
        """The answer, which conforms to the document and is signed by GeNiE."""
        path = OPENAPI.find_operation_by_id(operation).path
        url, now = self._sandbox.url + path, int(time.time())
        nonce = f"nonce-{next(self._nonces):012d}"
        headers = sign_request(self._key, url, content, created=now, expires=now + LIFE_S, nonce=nonce).headers
        response = self.send("POST", operation, content, headers)
        sent = Message("POST", url, {name.title(): value for name, value in headers.items()}, content)
        verify(Reply(response.status_code, response.headers, response.content, sent), self._sandbox)
        return response

    def send(self, method: str, operation: str, content: bytes, headers: Mapping[str, str]) -> requests.Response:
        """The answer to these headers, which conforms to the document."""
        described = OPENAPI.find_operation_by_id(operation)
        url = self._sandbox.url + described.path
        response = self._session.request(
            method, url, data=content, headers=dict(headers), timeout=ANSWER_S, allow_redirects=False
        )
        described.Case(body={}, media_type="application/json").validate_response(response, checks=CONFORMS)
        return response


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    """A strict GeNiE in a thread: Schemathesis asks from outside of any loop."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever, daemon=True)
    running.start()
    sandbox = Sandbox(tmp_path_factory.mktemp("genie"))
    asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(ANSWER_S)
    yield Signer(sandbox)
    asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(ANSWER_S)
    loop.call_soon_threadsafe(loop.stop)
    running.join(ANSWER_S)
    loop.close()


def edges(operation: str, mode: GenerationMode) -> list[Case]:
    """The bounds of the members, from inside or from outside: as many as take a few seconds, evenly from all."""
    found = CONTENTS.iter_coverage_cases(
        CONTENTS.find_operation_by_id(operation),
        generation_modes=[mode],
        generation_config=CONTENTS.config.generation,
    )
    by_content = {
        repr(case.body): case for case in found if case.method == "POST" and "Content-Type" not in (case.headers or {})
    }
    all_of_them = list(by_content.values())
    return all_of_them[:: 1 + len(all_of_them) // MOST_EDGES]


def drawn(operation: str, mode: GenerationMode) -> st.SearchStrategy[Case]:
    return CONTENTS.find_operation_by_id(operation).as_strategy(generation_mode=mode)


def taken_or_told_why(signer: Signer, operation: str, case: Case) -> bool:
    """Whether it was taken; if not, it breaks a rule beyond schemas and is told by its own problem."""
    response = signer.post(operation, rfc8785.dumps(case.body))
    if response.status_code != 200:
        assert response.json()["type"].rpartition(":")[2] in BEYOND_SCHEMAS, case.meta
    return response.status_code == 200


def refused(signer: Signer, operation: str, case: Case) -> None:
    """Signed all the same: the content alone is wrong."""
    assert signer.post(operation, as_it_is(case.body)).status_code in {400, 422}, case.meta


def as_it_is(body: Any) -> bytes:
    """What is no JSON is sent all the same."""
    if isinstance(body, bytes):
        return body
    return b"" if body is NOT_SET else json.dumps(body).encode()


@pytest.mark.parametrize("operation", ["provideOne", "lookUp"])
def test_bounds_are_taken_from_inside(signer: Signer, operation: str) -> None:
    """Signed and written canonically."""
    results = [taken_or_told_why(signer, operation, case) for case in edges(operation, GenerationMode.POSITIVE)]
    assert len(results) >= FEWEST_EDGES
    assert any(results)


@pytest.mark.parametrize("operation", ["provideOne", "lookUp"])
def test_bounds_are_refused_from_outside(signer: Signer, operation: str) -> None:
    """One thing wrong with each content, and each is found."""
    cases = edges(operation, GenerationMode.NEGATIVE)
    assert len(cases) >= FEWEST_EDGES
    for case in cases:
        refused(signer, operation, case)


@same_each_time
@given(data=st.data())
def test_any_batch_that_the_document_allows_is_taken(signer: Signer, data: st.DataObject) -> None:
    """Of any number of entries, with any of the members that may be left out."""
    taken_or_told_why(signer, "provideBatch", data.draw(drawn("provideBatch", GenerationMode.POSITIVE)))


@same_each_time
@given(data=st.data())
def test_any_batch_that_the_document_forbids_is_refused(signer: Signer, data: st.DataObject) -> None:
    """Wherever in it the mistake is."""
    refused(signer, "provideBatch", data.draw(drawn("provideBatch", GenerationMode.NEGATIVE)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_our_signature_nothing_opens(signer: Signer, operation: str) -> None:
    """Whatever of the four headers is there: a documented problem, and nothing is taken."""
    content = b"{}"
    digest = content_digest(content)
    plain = {"content-type": "application/json"}
    named = plain | {"content-digest": digest, "idempotency-key": f'"{key_of("a")}"'}
    for headers in ({}, plain, plain | {"content-digest": digest}, named, named | {"signature-input": "norel=()"}):
        assert signer.send("POST", operation, content, headers).status_code in {400, 401, 415}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_answered(signer: Signer, method: str) -> None:
    """By the documented problem, with the method that there is."""
    response = signer.send(method, "lookUp", b"", {})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
