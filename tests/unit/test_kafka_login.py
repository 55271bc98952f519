"""From settings to a login on Kafka: every file that can't be used is named with its setting, none is quoted."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from gateway.kafka_login import kafka_connection
from gateway.sections import KafkaSettings
from gateway.settings import SettingsError
from gateway.tls import TlsFileError, authorities_end, chain_ends

SECRET = b"canary-7301"
NOW = datetime.now(UTC)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Right files for every setting; the key is encrypted."""
    authority = trustme.CA()
    made = authority.issue_cert("gateway.example", common_name="gateway")
    key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    content = {
        "ca_file": authority.cert_pem.bytes(),
        "client_cert_file": made.cert_chain_pems[0].bytes(),
        "client_key_file": key.private_bytes(*form, serialization.BestAvailableEncryption(SECRET)),
        "client_key_password_file": SECRET + b"\n",
        "sasl_password_file": SECRET + b"\r\n",
    }
    for name, text in content.items():
        (tmp_path / name).write_bytes(text)
    return {name: tmp_path / name for name in content}


def settings(files: dict[str, Path]) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers="b:1", security_protocol="SASL_SSL", sasl_username="gateway", **files  # type: ignore[arg-type]
    )  # fmt: skip


def test_right_files_make_a_connection(files: dict[str, Path]) -> None:
    """TLS with host names checked, the password without its line's end, and neither in the repr."""
    made = kafka_connection(settings(files))
    assert made.ssl_context is not None
    assert made.ssl_context.check_hostname
    assert made.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert (made.sasl_mechanism, made.sasl_username, made.sasl_password) == ("SCRAM-SHA-512", "gateway", "canary-7301")
    assert "canary" not in repr(made)


def test_without_security_nothing_is_sent_along() -> None:
    """The default for development has neither TLS nor login."""
    made = kafka_connection(KafkaSettings(bootstrap_servers="b:1"))
    assert (made.security_protocol, made.ssl_context, made.sasl_mechanism) == ("PLAINTEXT", None, None)


WRONG: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("ca_file", "ca_file", lambda _: b"no PEM"),
    ("client_cert_file", "client_cert_file", lambda _: b"no PEM"),
    ("client_key_file", "client_cert_file", lambda key: key[:-100]),
    ("client_key_password_file", "client_cert_file", lambda _: b"other"),
    ("client_key_password_file", "client_cert_file", lambda _: b"x" * 1_000),
    ("client_key_password_file", "client_key_password_file", lambda _: b""),
    ("sasl_password_file", "sasl_password_file", lambda _: b"\n"),
    ("sasl_password_file", "sasl_password_file", lambda secret: secret + secret),
    ("sasl_password_file", "sasl_password_file", lambda _: b"\xff\xfe"),
    ("sasl_password_file", "sasl_password_file", lambda _: b"x" * 2_000),
]


@pytest.mark.parametrize(("spoilt", "named", "spoil"), WRONG)
def test_a_wrong_file_is_named_with_its_setting(
    files: dict[str, Path], spoilt: str, named: str, spoil: Callable[[bytes], bytes]
) -> None:
    """The setting, the file and the remedy; never what is in it."""
    files[spoilt].write_bytes(spoil(files[spoilt].read_bytes()))
    with pytest.raises(SettingsError) as refused:
        kafka_connection(settings(files))
    (problem, *_) = refused.value.problems
    assert problem.setting == f"kafka.{named}"
    assert f"GATEWAY_KAFKA__{named.upper()}" in problem.needed
    assert str(files[named]) in problem.found
    assert "canary" not in str(refused.value)


def test_all_wrong_files_come_in_one_list(files: dict[str, Path]) -> None:
    """Mending one must not be needed to see the next."""
    for name in ("ca_file", "sasl_password_file"):
        files[name].write_bytes(b"\xff")
    with pytest.raises(SettingsError) as refused:
        kafka_connection(settings(files))
    assert [problem.setting for problem in refused.value.problems] == ["kafka.ca_file", "kafka.sasl_password_file"]


def test_an_encrypted_key_without_its_password_never_asks(files: dict[str, Path]) -> None:
    """OpenSSL would ask on the terminal, and a process without one would hang."""
    files.pop("client_key_password_file")
    with pytest.raises(SettingsError, match="another password"):
        kafka_connection(settings(files))


def test_dates_are_those_of_the_weakest_link(tmp_path: Path) -> None:
    """A chain ends with its first certificate to expire, a file of authorities with its last."""
    authority = trustme.CA()
    long, short = (
        authority.issue_cert("a.example", not_after=NOW + timedelta(days=days)).cert_chain_pems[0].bytes()
        for days in (90, 5)
    )
    (tmp_path / "both.pem").write_bytes(long + short)
    (tmp_path / "none.pem").write_bytes(b"-")
    assert round((chain_ends(tmp_path / "both.pem") - NOW) / timedelta(days=1)) == 5
    assert round((authorities_end(tmp_path / "both.pem") - NOW) / timedelta(days=1)) == 90
    with pytest.raises(TlsFileError, match=r"none\.pem"):
        chain_ends(tmp_path / "none.pem")
