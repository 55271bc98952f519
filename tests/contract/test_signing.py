"""Our signature profiles against an independent library, both ways, and against the vectors of RFC 9421."""

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from gateway.genie.keys import (
    AnswerKey,
    KeyFileError,
    SigningKey,
    load_answer_key,
    load_answer_keys,
    load_signing_key,
)
from gateway.genie.signing import SignedAnswer, SignedRequest, content_digest, sign_request, signed_answer
from gateway.sandbox import pki as pkis

URI = "https://genie.example:8443/v1/provision-batches"
CONTENT = b'{"entries":[]}'
ANSWER = b'{"results":[]}'
REQUEST_COMPONENTS = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
ANSWER_COMPONENTS = (
    '"@status"',
    '"content-type"',
    '"content-digest"',
    '"signature";req',
    '"@method";req',
    '"@target-uri";req',
    '"content-digest";req',
)
NOW = datetime.now(UTC).replace(microsecond=0)
NOW_S = int(NOW.timestamp())
LIFETIME_S = 3_600  # of signatures: longer than any run of all tests, whose beginning NOW is
SKEW_MS = 5_000

# RFC 9421, appendix B.1.3, B.1.4: published test keys.
RFC_ED25519 = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
RFC_ED25519_PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
RFC_P256 = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFKbhfNZfpDsW43+0+JjUr9K+bTeuxopu653+hBaXGA7oAoGCCqGSM49
AwEHoUQDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM
4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END EC PRIVATE KEY-----
"""
RFC_P256_PUBLIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
# B.2.6 and B.2.4: published signature bases and signatures.
B26_BASE = (
    b'"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
    b'"content-type": application/json\n"content-length": 18\n'
    b'"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
    b';created=1618884473;keyid="test-key-ed25519"'
)
B26_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
B24_BASE = (
    b'"@status": 200\n"content-type": application/json\n'
    b'"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJua'
    b'hq4l5aGgfLQ==:\n"content-length": 23\n'
    b'"@signature-params": ("@status" "content-type" "content-digest" "content-length")'
    b';created=1618884473;keyid="test-key-ecc-p256"'
)
B24_SIGNATURE = "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="


def write(directory: Path, text: str) -> Path:
    path = directory / "some.key"
    path.write_text(text)
    return path


def our_request(key: SigningKey, nonce: str = "n" * 24) -> SignedRequest:
    return sign_request(key, URI, CONTENT, created=NOW_S, expires=NOW_S + LIFETIME_S, nonce=nonce)


def test_rfc_vector_ed25519(tmp_path: Path) -> None:
    """B.2.6 of RFC 9421: our Ed25519 makes exactly the published signature, and accepts it."""
    signing = load_signing_key(write(tmp_path, RFC_ED25519), "test-key-ed25519")
    accepting = load_answer_key(write(tmp_path, RFC_ED25519_PUBLIC), "test-key-ed25519")
    assert signing.sign(B26_BASE) == b64decode(B26_SIGNATURE)
    assert accepting.verify(B26_BASE, b64decode(B26_SIGNATURE))
    assert not accepting.verify(B26_BASE + b" ", b64decode(B26_SIGNATURE))


def test_rfc_vector_p256(tmp_path: Path) -> None:
    """B.2.4 of RFC 9421: our P-256 accepts the published signature, and its own."""
    signing = load_signing_key(write(tmp_path, RFC_P256), "test-key-ecc-p256")
    accepting = load_answer_key(write(tmp_path, RFC_P256_PUBLIC), "test-key-ecc-p256")
    assert accepting.verify(B24_BASE, b64decode(B24_SIGNATURE))
    assert accepting.verify(B24_BASE, signing.sign(B24_BASE))
    assert not accepting.verify(B24_BASE + b" ", b64decode(B24_SIGNATURE))
    assert not accepting.verify(B24_BASE, b"\0" * 64)


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_the_library_verifies_our_requests(pki: pkis.Pki, kind: str) -> None:
    """A request that we sign is a valid RFC 9421 signature over exactly the agreed components."""
    path, algorithm = (pki.norel_ed25519, ED25519) if kind == "ed25519" else (pki.norel_p256, ECDSA_P256_SHA256)
    signed = our_request(load_signing_key(path, "norel-1"))
    public = load_pem_public_key(pkis.public_half(path).read_bytes())
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithm,
        key_resolver=MappingKeyResolver(public_keys={"norel-1": public}, private_keys={}),
    )
    request = httpx.Request("POST", URI, headers=signed.headers, content=CONTENT)
    (result,) = verifier.verify(
        request, max_age=timedelta(seconds=LIFETIME_S), expect_tag="norel-provision-v1", expect_label="norel"
    )
    assert [name.strip('"') for name in result.covered_components][: len(REQUEST_COMPONENTS)] == list(
        REQUEST_COMPONENTS
    )
    assert result.parameters["expires"] == NOW_S + LIFETIME_S
    assert result.parameters["nonce"] == "n" * 24


def library_answer(
    pki: pkis.Pki,
    request: SignedRequest,
    *,
    status: int = 200,
    created: datetime = NOW,
    components: tuple[str, ...] = ANSWER_COMPONENTS,
    tag: str = "genie-answer-v1",
    label: str = "genie",
    key_id: str = "genie-1",
    key: Path | None = None,
    **params: object,
) -> httpx.Response:
    """An answer as the independent library signs it."""
    private = load_pem_private_key((key or pki.genie_ed25519).read_bytes(), None)
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key_id: private}),
    )
    response = httpx.Response(
        status,
        headers={"content-type": "application/json", "content-digest": content_digest(ANSWER)},
        content=ANSWER,
        request=httpx.Request("POST", request.target_uri, headers=request.headers, content=CONTENT),
    )
    signer.sign(
        response,
        key_id=key_id,
        created=created,
        label=label,
        tag=tag,
        covered_component_ids=components,
        use_existing_digest=True,
        **params,
    )
    return response


@pytest.fixture(scope="module")
def norel(pki: pkis.Pki) -> SigningKey:
    return load_signing_key(pki.norel_ed25519, "norel-1")


@pytest.fixture(scope="module")
def genie_keys(pki: pkis.Pki) -> dict[str, AnswerKey]:
    public = pkis.public_half(pki.genie_ed25519)
    return load_answer_keys({"genie-1": public, "genie-2": pkis.public_half(pki.norel_p256)})


def check(
    keys: dict[str, AnswerKey],
    request: SignedRequest,
    response: httpx.Response,
    *,
    status: int | None = None,
    content: bytes = ANSWER,
) -> str | None:
    answer = signed_answer(
        keys,
        request,
        status or response.status_code,
        response.headers,
        content,
        now_ms=NOW_S * 1000,
        skew_ms=SKEW_MS,
    )
    return answer.key_id if answer is not None and answer.fresh else None


@pytest.mark.parametrize("status", [200, 422, 503])
def test_we_verify_answers_that_the_library_signs(
    pki: pkis.Pki, norel: SigningKey, genie_keys: dict[str, AnswerKey], status: int
) -> None:
    """An answer over the agreed components by a live key is verified, and names the key."""
    request = our_request(norel)
    assert check(genie_keys, request, library_answer(pki, request, status=status)) == "genie-1"


def drop(name: str) -> Callable[[httpx.Response], None]:
    def change(response: httpx.Response) -> None:
        del response.headers[name]

    return change


def replace(name: str, old: str, new: str) -> Callable[[httpx.Response], None]:
    def change(response: httpx.Response) -> None:
        assert old in response.headers[name]
        response.headers[name] = response.headers[name].replace(old, new)

    return change


def append(name: str, value: str) -> Callable[[httpx.Response], None]:
    def change(response: httpx.Response) -> None:
        response.headers[name] += value

    return change


DEVIATIONS = {
    "no signature": drop("signature"),
    "no signature input": drop("signature-input"),
    "no digest": drop("content-digest"),
    "other media type": replace("content-type", "json", "jsom"),
    "other digest": replace("content-digest", "sha-256", "sha-512"),
    "signature of zeros": replace("signature", "genie=:", "genie=:AAAA"),
    "second signature": append("signature", ", other=:AAAA:"),
    "second input": append("signature-input", ', other=("@status")'),
    "later parameter": append("signature-input", ";expires=1"),
    "repeated parameter": append("signature-input", ";created=1"),
    "repeated in place of another": replace("signature-input", ';tag="genie-answer-v1"', ";created=1"),
    "unknown key": replace("signature-input", "genie-1", "genie-3"),
    "key of another algorithm": replace("signature-input", "genie-1", "genie-2"),
    "algorithm of another key": replace("signature-input", "ed25519", "ecdsa-p256-sha256"),
    "created is a word": replace("signature-input", f"created={NOW_S}", f'created="{NOW_S}"'),
    "created is negative": replace("signature-input", "created=", "created=-"),
    "another label": replace("signature-input", "genie=", "norel="),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_no_deviation_is_verified(
    pki: pkis.Pki, norel: SigningKey, genie_keys: dict[str, AnswerKey], deviation: str
) -> None:
    """A header that deviates from the profile in one place makes the answer unverified."""
    request = our_request(norel)
    response = library_answer(pki, request)
    DEVIATIONS[deviation](response)
    assert check(genie_keys, request, response) is None


def test_validly_signed_but_not_as_agreed_is_not_verified(
    pki: pkis.Pki, norel: SigningKey, genie_keys: dict[str, AnswerKey]
) -> None:
    """Other components, order, tag, label, key or time make a valid signature worthless to us."""
    request = our_request(norel)
    others = [
        library_answer(pki, request, components=ANSWER_COMPONENTS[:-1]),
        library_answer(pki, request, components=ANSWER_COMPONENTS[::-1]),
        library_answer(pki, request, components=(*ANSWER_COMPONENTS, '"idempotency-key";req')),
        library_answer(pki, request, tag="genie-answer-v2"),
        library_answer(pki, request, label="sig1"),
        library_answer(pki, request, key=pki.norel_ed25519),
        library_answer(pki, request, created=NOW + timedelta(seconds=6)),
        library_answer(pki, request, created=NOW - timedelta(seconds=7)),
        library_answer(pki, request, nonce="n"),
    ]
    assert [check(genie_keys, request, response) for response in others] == [None] * len(others)


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_is_far_is_told_from_a_signature_that_is_wrong(
    pki: pkis.Pki, norel: SigningKey, genie_keys: dict[str, AnswerKey], seconds: int
) -> None:
    """An answer that GeNiE surely signed, at a time far from ours, is not fresh and says when that was."""
    request = our_request(norel)
    response = library_answer(pki, request, created=NOW + timedelta(seconds=seconds))
    now_ms = NOW_S * 1000
    answer = signed_answer(genie_keys, request, 200, response.headers, ANSWER, now_ms=now_ms, skew_ms=SKEW_MS)
    assert answer == SignedAnswer("genie-1", now_ms + seconds * 1000, fresh=False)


def test_an_answer_belongs_to_one_attempt_and_one_content(
    pki: pkis.Pki, norel: SigningKey, genie_keys: dict[str, AnswerKey]
) -> None:
    """The answer to another attempt, with another status or another content, is not verified."""
    request, other = our_request(norel), our_request(norel, nonce="m" * 24)
    response = library_answer(pki, request)
    assert check(genie_keys, other, response) is None
    assert check(genie_keys, request, response, status=201) is None
    assert check(genie_keys, request, response, content=ANSWER + b" ") is None


BAD_KEY_FILES = {
    "not PEM": "hello",
    "a public key": RFC_ED25519_PUBLIC,
    "another curve": """-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAmNqYYXFPvKfw/kkCk
-----END PRIVATE KEY-----
""",
}


@pytest.mark.parametrize("what", BAD_KEY_FILES)
def test_a_bad_key_file_is_named_and_not_quoted(tmp_path: Path, what: str) -> None:
    """The error of an unusable key names the file and what was expected, and nothing of its content."""
    path = write(tmp_path, BAD_KEY_FILES[what])
    with pytest.raises(KeyFileError) as caught:
        load_signing_key(path, "norel-1")
    message = str(caught.value)
    assert str(path) in message
    assert "expected" in message
    assert not any(line in message for line in BAD_KEY_FILES[what].splitlines())


def test_a_missing_key_and_a_bad_key_id_are_named(tmp_path: Path) -> None:
    """The error of a missing file says so; a key id that would break a header is refused."""
    with pytest.raises(KeyFileError, match="No such file"):
        load_answer_key(tmp_path / "absent.pub", "genie-1")
    with pytest.raises(KeyFileError, match="key id"):
        load_signing_key(write(tmp_path, RFC_ED25519), 'norel"1')
    with pytest.raises(KeyFileError, match="no key of GeNiE's"):
        load_answer_keys({})


@pytest.mark.parametrize(
    ("key_id", "algorithm", "tag", "is_signed"),
    [
        ("genie-1", "ed25519", "genie-answer-v1", True),
        ("genie-3", "ed25519", "genie-answer-v1", False),
        ("genie-1", "ecdsa-p256-sha256", "genie-answer-v1", False),
        ("genie-1", "ed25519", "genie-answer-v2", False),
    ],
)
def test_what_a_signature_says_of_itself_must_be_so(
    norel: SigningKey, key_id: str, algorithm: str, tag: str, is_signed: bool
) -> None:
    """Even if it verifies: key, algorithm and tag are those of the profile."""
    believing = AnswerKey("genie-1", "ed25519", lambda base, signature: True)
    components = f"({' '.join(ANSWER_COMPONENTS)})"
    headers = {
        "content-digest": content_digest(ANSWER),
        "signature-input": f'genie={components};created={NOW_S};keyid="{key_id}";alg="{algorithm}";tag="{tag}"',
        "signature": f"genie=:{'A' * 86}==:",
    }
    answer = signed_answer(
        {"genie-1": believing}, our_request(norel), 200, headers, ANSWER, now_ms=NOW_S * 1000, skew_ms=SKEW_MS
    )
    assert (answer is not None) is is_signed
