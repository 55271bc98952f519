"""The library that the sandbox is tested with passes RFC 9421's test vectors; both algorithms and both keys work."""

import pytest
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureAlgorithm, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from gateway.sandbox import pki
from tests.contract.genie_client import BATCHES, Client, Message, Reply, entry, lookup, provision, verify

ED25519_KEY = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
P256_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""


def b26() -> Message:
    """RFC 9421, B.2.6: a request signed by Ed25519."""
    headers = {
        "Host": "example.com",
        "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "Content-Type": "application/json",
        "Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwE"
        "mTHWXvJwew==:",
        "Content-Length": "18",
        "Signature-Input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "Signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WP"
        "pBKRCw==:",
    }
    return Message("POST", "https://example.com/foo?param=Value&Pet=dog", headers, b'{"hello": "world"}')


def b24() -> Reply:
    """RFC 9421, B.2.4: a response signed by ECDSA P-256."""
    headers = {
        "Date": "Tue, 20 Apr 2021 02:07:56 GMT",
        "Content-Type": "application/json",
        "Content-Digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuah"
        "q4l5aGgfLQ==:",
        "Content-Length": "23",
        "Signature-Input": 'sig-b24=("@status" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-ecc-p256"',
        "Signature": "sig-b24=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+3"
        "2oiasw==:",
    }
    return Reply(200, headers, b'{"message": "good dog"}', b26())


VECTORS = [
    pytest.param(b26, ED25519, "test-key-ed25519", ED25519_KEY, id="B.2.6"),
    pytest.param(b24, ECDSA_P256_SHA256, "test-key-ecc-p256", P256_KEY, id="B.2.4"),
]


@pytest.mark.parametrize(("vector", "algorithm", "key_id", "key"), VECTORS)
def test_vector(vector: object, algorithm: type[HTTPSignatureAlgorithm], key_id: str, key: bytes) -> None:
    """The library verifies the RFC's own example, and refuses it with one header changed."""
    assert callable(vector)
    resolver = MappingKeyResolver(public_keys={key_id: key}, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=resolver)
    message = vector()
    assert len(verifier.verify(message, max_age=None, body=None)) == 1
    message.headers["Content-Type"] = "application/jsom"
    with pytest.raises(InvalidSignature):
        verifier.verify(message, max_age=None)


@pytest.mark.parametrize("key_id", [pki.NOREL_ED25519_ID, pki.NOREL_P256_ID])
async def test_two_keys_are_live(genie: Client, key_id: str) -> None:
    """Either agreed key signs requests."""
    genie.key_id = key_id
    assert (await genie.provide(entry("a"))).statuses == ["accepted"]


async def test_answers_are_signed_for_their_request(genie: Client) -> None:
    """An answer verifies for the request it answers, and for no other."""
    one = await genie.provide(entry("a"))
    two = await genie.provide(entry("b"))
    verify(one, genie.sandbox)
    verify(two, genie.sandbox)
    one.request, two.request = two.request, one.request
    for swapped in (one, two):
        with pytest.raises(InvalidSignature):
            verify(swapped, genie.sandbox)


async def test_an_answer_changed_on_the_way_does_not_verify(genie: Client) -> None:
    """Status and content are covered."""
    reply = await genie.post("/v1/provision-lookups", lookup("a"))
    verify(reply, genie.sandbox)
    reply.content = reply.content.replace(b"not_received", b"received")
    with pytest.raises(InvalidSignature):
        verify(reply, genie.sandbox)
    problem = await genie.post("/v1/nowhere", provision(entry("a")))
    verify(problem, genie.sandbox)
    problem.status_code = 200
    with pytest.raises(InvalidSignature):
        verify(problem, genie.sandbox)


async def test_the_target_is_covered(genie: Client) -> None:
    """A request signed for one path is refused at another."""
    message = genie.request("/v1/provisions", provision(entry("a")))
    message.url = genie.sandbox.url + BATCHES
    assert (await genie.send(message)).problem == "signature-invalid"
