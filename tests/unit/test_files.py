"""What is found in the files that settings name, before anything starts: each fault with its setting, none quoted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.files import look_at_right, look_at_view, read_files, read_login
from gateway.findings import Finding, NotReadyError, Severity
from gateway.sandbox import pki as pkis
from gateway.sections import (
    GenieSettings,
    KafkaSettings,
    KeySettings,
    ProviderSettings,
    RecipientSettings,
    ViewSettings,
)
from gateway.settings import Settings, values

NOW = datetime.now(UTC)
WHO = {"name": "見本", "address": "見本市", "representative": "見本 花子"}
CANARY = "canary-5512"
PLAIN = KafkaSettings(bootstrap_servers="b:1")


@pytest.fixture
def pki(tmp_path: Path) -> pkis.Pki:
    """Right files."""
    return pkis.make(tmp_path / "pki")


def settings(pki: pkis.Pki, *, recipient: str = "genie", key_id: str = "norel-2026-1", **more: object) -> Settings:
    return Settings.model_construct(
        policy_file=None,
        recipient=RecipientSettings(id=recipient, **WHO),
        provider=ProviderSettings(**WHO),
        genie=GenieSettings(
            base_url="https://genie.example",
            ca_file=pki.ca,
            client_cert_file=pki.client,
            client_key_file=pki.client_key,
            signing_key_file=pki.norel_ed25519,
            signing_key_id=key_id,
            answer_key_files={pkis.GENIE_ED25519_ID: pkis.public_half(pki.genie_ed25519)},
        ),
        keys=KeySettings(idempotency_key_file=pki.idempotency_key, pseudonym_key_file=pki.pseudonym_key),
        **more,
    )


def test_right_files_are_read(pki: pkis.Pki) -> None:
    """All are handed over together, and nothing is found."""
    files, findings = read_files(settings(pki))
    assert findings == []
    assert files is not None
    assert files.credentials.signing_key.id == "norel-2026-1"
    assert files.policy.recipient_id == "genie"


Spoil = Callable[[pkis.Pki], object]
KEYS = "genie.signing_key_file, genie.signing_key_id"
TLS = "genie.ca_file, genie.client_cert_file, genie.client_key_file"
WRONG: list[tuple[Spoil, str, str]] = [
    (lambda pki: pki.ca.write_text(CANARY), TLS, "ca.pem"),
    (lambda pki: pki.client.write_text(CANARY), TLS, "client.pem"),
    (lambda pki: pki.client_key.write_bytes(pki.norel_p256.read_bytes()), TLS, "do not belong together"),
    (lambda pki: pki.norel_ed25519.write_text(CANARY), KEYS, "norel-ed25519.key"),
    (lambda pki: pkis.public_half(pki.genie_ed25519).write_text(CANARY), "genie.answer_key_files", "genie-ed25519.pub"),
    (lambda pki: pki.idempotency_key.write_text(CANARY), "keys.idempotency_key_file", "base64"),
    (lambda pki: pki.pseudonym_key.write_text("c2hvcnQ="), "keys.pseudonym_key_file", "32 are needed"),
    (
        lambda pki: pki.pseudonym_key.write_bytes(pki.idempotency_key.read_bytes()),
        "keys.pseudonym_key_file",
        "the same key",
    ),
]


@pytest.mark.parametrize(("spoil", "setting", "words"), WRONG)
def test_a_wrong_file_is_named(pki: pkis.Pki, spoil: Spoil, setting: str, words: str) -> None:
    """The settings that it may come from, the file or its fault, the variables, and nothing of its content."""
    spoil(pki)
    _, (finding,) = read_files(settings(pki))
    assert (finding.severity, finding.setting) == (Severity.PROBLEM, setting)
    assert words in finding.found
    for name in setting.split(", "):
        assert f"GATEWAY_{name.replace('.', '__').upper()}" in finding.needed
    assert CANARY not in str(finding)


def test_all_wrong_files_are_named_together(pki: pkis.Pki) -> None:
    """One list, in the order of the settings; nothing is handed over."""
    for path in (pki.ca, pki.norel_ed25519, pki.idempotency_key):
        path.write_text("-")
    files, findings = read_files(settings(pki, recipient="other"))
    assert files is None
    assert [finding.setting for finding in findings] == [TLS, KEYS, "keys.idempotency_key_file", "recipient.id"]


def client_until(pki: pkis.Pki, ends: datetime) -> None:
    """The client certificate is replaced by one that expires then."""
    authority = trustme.CA()
    made = authority.issue_cert("gateway.example", not_before=NOW - timedelta(days=400), not_after=ends)
    pki.ca.write_bytes(authority.cert_pem.bytes())
    pki.client.write_bytes(made.cert_chain_pems[0].bytes())
    pki.client_key.write_bytes(made.private_key_pem.bytes())


@pytest.mark.parametrize(
    ("days", "severity"), [(-1, Severity.PROBLEM), (29, Severity.WARNING), (31, None)], ids=["past", "soon", "later"]
)
def test_a_certificate_is_judged_by_its_date(pki: pkis.Pki, days: int, severity: Severity | None) -> None:
    """Expired keeps the gateway from starting, less than 30 days is a warning."""
    ends = NOW + timedelta(days=days)
    client_until(pki, ends)
    files, findings = read_files(settings(pki))
    assert files is not None
    assert [(finding.severity, finding.setting) for finding in findings] == (
        [(severity, "genie.client_cert_file")] if severity else []
    )
    assert all(str(ends.date()) in finding.found and str(pki.client) in finding.found for finding in findings)


def test_the_login_to_kafka_is_judged_alike(pki: pkis.Pki) -> None:
    """Dates and files of Kafka's certificates are looked at as GeNiE's are."""
    client_until(pki, NOW - timedelta(days=1))
    files = {"ca_file": pki.ca, "client_cert_file": pki.client, "client_key_file": pki.client_key}
    kafka = KafkaSettings(bootstrap_servers="b:1", security_protocol="SSL", **files)  # type: ignore[arg-type]
    connection, (finding,) = read_login(settings(pki, kafka=kafka))
    assert connection is not None
    assert (finding.severity, finding.setting) == (Severity.PROBLEM, "kafka.client_cert_file")
    pki.client.write_text("-")
    assert read_login(settings(pki, kafka=kafka))[0] is None


def test_plain_text_is_for_development_alone(pki: pkis.Pki) -> None:
    """Names and addresses never cross a network readable because a setting was forgotten."""
    for allowed, count in ((True, 0), (False, 1)):
        kafka = KafkaSettings(bootstrap_servers="b:1", allow_dev_topics=allowed)
        findings = read_login(settings(pki, kafka=kafka))[1]
        assert [finding.setting for finding in findings] == ["kafka.security_protocol"] * count


def test_the_view_is_looked_at_without_being_made(tmp_path: Path) -> None:
    """A path that can be made is right and stays unmade, with nothing left beside it; one below a file is not."""
    assert look_at_view(tmp_path / "a" / "b") == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert [finding.setting for finding in look_at_view(tmp_path / "file" / "view")] == ["view.path"]


@pytest.mark.parametrize("path", [Path("/proc/view"), Path("/" + 300 * "x")], ids=["no such place", "name too long"])
def test_a_view_that_cant_be_made_is_found_by_trying(path: Path) -> None:
    """Whatever the system says to it, also where permissions would allow it: the finding says what, and what to do."""
    (finding,) = look_at_view(path)
    assert (finding.severity, finding.setting) == (Severity.PROBLEM, "view.path")
    assert finding.found.startswith(f"found {path}, which can't be made or written: ")
    assert "GATEWAY_VIEW__PATH" in finding.needed


def test_what_keeps_it_from_starting_leaves_out_warnings() -> None:
    """The error has a line for each finding but warnings, and tells whether waiting may help."""
    warning, away, problem = (Finding(severity, "a.b", severity.value) for severity in
                              (Severity.WARNING, Severity.AWAY, Severity.PROBLEM))  # fmt: skip
    error = NotReadyError([warning, away])
    assert error.only_away
    assert str(error).splitlines()[1:] == ["  a.b: away"]
    assert not NotReadyError([away, problem]).only_away


def test_files_are_looked_at_although_other_settings_are_wrong(pki: pkis.Pki, tmp_path: Path) -> None:
    """Whatever is right by itself is judged: its files, its dates, the view; what is wrong is not spoken of again."""
    pki.idempotency_key.write_text("-")
    client_until(pki, NOW - timedelta(days=1))
    (tmp_path / "file").touch()
    everything = values(settings(pki, view=ViewSettings(path=tmp_path / "file"), kafka=PLAIN))
    right = {name: value for name, value in everything.items() if name not in ("genie.signing_key_id", "recipient.id")}
    assert [finding.setting for finding in look_at_right(right)] == [
        "genie.client_cert_file", "keys.idempotency_key_file", "kafka.security_protocol", "view.path"
    ]  # fmt: skip
    without_kafka = {name: value for name, value in right.items() if name not in ("kafka.group_id", "view.path")}
    assert [finding.setting for finding in look_at_right(without_kafka)] == [
        "genie.client_cert_file", "keys.idempotency_key_file"
    ]  # fmt: skip
    assert look_at_right({}) == []


def test_our_own_key_among_genies_is_named(pki: pkis.Pki) -> None:
    """The public half of the key that we sign with can't be what GeNiE signs with."""
    pkis.public_half(pki.genie_ed25519).write_bytes(pkis.public_half(pki.norel_ed25519).read_bytes())
    (finding,) = read_files(settings(pki))[1]
    assert finding.setting == "genie.answer_key_files"
    assert pkis.GENIE_ED25519_ID in finding.found
