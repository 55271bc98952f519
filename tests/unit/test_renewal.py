"""What of a change of keys and certificates is taken, and when; on real processes: test_own_trouble_keys.py."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from cryptography import x509

from gateway import renewal
from gateway.findings import Finding, Severity
from gateway.genie.client import Credentials
from gateway.kafka_login import kafka_connection
from gateway.observe.metrics import Metrics
from gateway.renewal import Renewal
from gateway.sandbox import pki as pkis
from gateway.settings import Settings, load
from tests.integration.waiting import until

BOUND_S = 10
HOST = "localhost"


class Place:
    """The files and the TOML file of a gateway that reaches GeNiE and Kafka by certificate."""

    def __init__(self, directory: Path) -> None:
        self.pki = pkis.make(directory / "pki")
        self.authority = trustme.CA()
        self.ca, self.certificate, self.key = (directory / name for name in ("kafka-ca", "kafka-cert", "kafka-key"))
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.issue()
        self.config = directory / "gateway.toml"
        self.write()

    def issue(self, authority: trustme.CA | None = None, **more: Any) -> None:
        """Our certificate for Kafka is another one from now on."""
        made = (authority or self.authority).issue_cert("gateway", **more)
        self.key.write_bytes(made.private_key_pem.bytes())
        self.certificate.write_bytes(made.cert_chain_pems[0].bytes())

    def write(self, *lines: str, **changes: str) -> None:
        """The TOML file, with these lines at its end."""
        who = ('name = "見本"', 'address = "見本市"', 'representative = "見本 花子"')
        genie = {
            "base_url": "https://genie.example",
            "ca_file": self.pki.ca,
            "client_cert_file": self.pki.client,
            "client_key_file": self.pki.client_key,
            "signing_key_file": self.pki.norel_ed25519,
            "signing_key_id": "norel-1",
            **changes,
        }
        kafka = {"ca_file": self.ca, "client_cert_file": self.certificate, "client_key_file": self.key}
        self.config.write_text(
            "\n".join(
                [
                    *("[recipient]", *who, "[provider]", *who),
                    *("[keys]", f'idempotency_key_file = "{self.pki.idempotency_key}"'),
                    f'pseudonym_key_file = "{self.pki.pseudonym_key}"',
                    *("[kafka]", 'bootstrap_servers = "broker:9093"', 'security_protocol = "SSL"'),
                    *(f'{name} = "{value}"' for name, value in kafka.items()),
                    *("[genie]", *(f'{name} = "{value}"' for name, value in genie.items())),
                    f'answer_key_files = {{ genie-1 = "{pkis.public_half(self.pki.genie_ed25519)}" }}',
                    *lines,
                ]
            )
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setenv("GATEWAY_CONFIG", str(made.config))
    monkeypatch.setattr(renewal, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(renewal, "PROVE_EVERY_S", 0.0)
    return made


class Partner:
    """GeNiE's client, and GeNiE's answer to the question that proves a set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.findings: list[Finding] = []
        self.asked = 0
        self.used: list[Credentials] = []
        monkeypatch.setattr(renewal, "ask_genie", self._ask)

    async def _ask(self, _: Settings, __: Credentials) -> list[Finding]:
        self.asked += 1
        return self.findings

    async def use(self, credentials: Credentials) -> None:
        self.used.append(credentials)


@pytest.fixture
def partner(monkeypatch: pytest.MonkeyPatch) -> Partner:
    return Partner(monkeypatch)


class Running:
    """A renewal at work."""

    def __init__(self, partner: Partner) -> None:
        settings = load()
        self.metrics = Metrics("", "")
        self.connection = kafka_connection(settings.kafka)
        self.partner = partner
        self._renewal = Renewal(settings, self.metrics)

    def value(self, metric: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"gateway_{metric}", labels)

    async def sees(self, name: str, value: float, partner: str) -> None:
        await until(lambda: self.value(name, partner=partner) == value, BOUND_S, f"{name} {value} of {partner}")

    async def looks(self, times: int = 5, before: Callable[[int], object] = lambda _: None) -> None:
        """Wait until it has looked so often; `before` each look something may happen."""
        seen = 0
        plain: Callable[[], Any] = self._renewal._look

        def look() -> Any:
            nonlocal seen
            before(seen)
            seen += 1
            return plain()

        self._renewal._look = look  # type: ignore[method-assign]
        await until(lambda: seen >= times, BOUND_S, "some looks")
        self._renewal._look = plain  # type: ignore[method-assign]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Running"]:
        task = asyncio.create_task(self._renewal.run(self.partner, self.connection))  # type: ignore[arg-type]
        await self.looks(2)
        yield self
        assert not task.done(), task
        task.cancel()


Start = Callable[[], Any]


@pytest.fixture
def start(place: Place, partner: Partner) -> Start:
    return lambda: Running(partner).at_work()


async def test_nothing_that_stays_the_same_is_taken(start: Start, partner: Partner) -> None:
    """GeNiE is not asked, and the ends of all four certificates are shown."""
    async with start() as running:
        await running.looks()
        shown = {name: running.value("certificate_expiry_timestamp_seconds", name=name) for name in
                 ("genie", "genie_ca", "kafka", "kafka_ca")}  # fmt: skip
    assert None not in shown.values()
    assert (partner.asked, partner.used) == (0, [])


async def test_a_new_key_id_in_the_file_is_taken_once(start: Start, place: Place, partner: Partner) -> None:
    """After GeNiE's answer has proven it; other settings of the file wait for a restart."""
    async with start() as running:
        place.write("connections = 7", signing_key_id="norel-2", signing_key_file=str(place.pki.norel_p256))
        await running.sees("credential_changes_total", 1, "genie")
        await running.looks()
    assert [used.signing_key.id for used in partner.used] == ["norel-2"]
    assert partner.asked == 1


async def test_what_genie_refuses_is_asked_about_again(
    start: Start, place: Place, partner: Partner, capfd: pytest.CaptureFixture[str]
) -> None:
    """The old set stays, one log line names the setting, and the set is taken as soon as GeNiE knows it."""
    partner.findings = [Finding(Severity.PROBLEM, "genie", "refused")]
    async with start() as running:
        place.write(signing_key_id="norel-2")
        await until(lambda: partner.asked >= 3, BOUND_S, "asked again and again")
        await running.sees("credential_change_refused", 1, "genie")
        assert partner.used == []
        partner.findings = []
        await running.sees("credential_changes_total", 1, "genie")
        await running.sees("credential_change_refused", 0, "genie")
    lines = [orjson.loads(line) for line in capfd.readouterr().out.splitlines()]
    (told,) = [line for line in lines if line["level"] == "error"]
    assert (told["kind"], told["setting"]) == ("genie", "genie")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda place: place.config.write_text("[genie"),
        lambda place: place.write("no_such_setting = 1"),
        lambda place: place.pki.norel_ed25519.unlink(),
        lambda place: place.pki.client_key.write_bytes(place.pki.norel_p256.read_bytes()),
        lambda place: place.pki.ca.write_text(""),
    ],
    ids=["no TOML", "unknown setting", "no file", "no pair", "empty"],
)
async def test_what_can_not_be_used_is_refused_until_it_can(
    start: Start, place: Place, partner: Partner, spoil: Callable[[Place], object]
) -> None:
    """GeNiE is not even asked; put back as it was, nothing has changed."""
    kept = {path: path.read_bytes() for path in (place.config, *place.pki.directory.iterdir())}
    async with start() as running:
        spoil(place)
        await running.sees("credential_change_refused", 1, "genie")
        for path, content in kept.items():
            if not path.exists() or path.read_bytes() != content:
                part = path.with_name("part")
                part.write_bytes(content)
                part.replace(path)
        await running.sees("credential_change_refused", 0, "genie")
    assert (partner.asked, partner.used) == (0, [])


async def test_what_makes_a_library_fail_is_refused(
    start: Start, place: Place, partner: Partner, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows all that a library may raise: a healthy gateway goes on with the old set."""

    def fail(_: Settings) -> None:
        raise LookupError("a surprise")

    with monkeypatch.context() as failing:
        for reader in ("read_credentials", "read_login"):
            failing.setattr(renewal, reader, fail)
        async with start() as running:
            place.write(signing_key_id="norel-2")
            place.issue()
            for name in ("genie", "kafka"):
                await running.sees("credential_change_refused", 1, name)
            failing.undo()
            for name in ("genie", "kafka"):
                await running.sees("credential_changes_total", 1, name)
    lines = [orjson.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert "LookupError" in {line.get("error") for line in lines}
    assert "surprise" not in str(lines)
    assert [used.signing_key.id for used in partner.used] == ["norel-2"]


async def test_what_was_judged_is_what_is_taken(
    start: Start, place: Place, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that change once more just then are judged anew, and no authority stays trusted that was taken out."""
    other, judge = trustme.CA(), renewal.read_login

    def judged(settings: Settings) -> Any:
        found = judge(settings)
        place.certificate.write_bytes(b"half a certificate")
        return found

    async with start() as running:
        context = running.connection.ssl_context
        place.ca.write_bytes(other.cert_pem.bytes())
        place.issue(other)
        new = serial(place.certificate)
        monkeypatch.setattr(renewal.Seen, "is_past", lambda *_: False)
        monkeypatch.setattr(renewal, "read_login", judged)
        await running.sees("credential_changes_total", 1, "kafka")
        assert handshake(context, broker(other)) == new
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(context, broker(place.authority, other))


async def test_files_may_be_replaced_one_by_one(start: Start, place: Place, partner: Partner) -> None:
    """While something still changes nothing is judged, so half a change is no alarm."""
    partner.findings = [Finding(Severity.PROBLEM, "genie", "refused")]
    async with start() as running:
        await running.looks(20, before=lambda number: place.write(signing_key_id=f"norel-{number}"))
        assert partner.asked == 0
        assert running.value("credential_change_refused", partner="genie") == 0
        await running.sees("credential_change_refused", 1, "genie")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> int:
    """The serial number of the certificate that the client showed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (ours, theirs):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {ours, theirs}
    return int(theirs.getpeercert()["serialNumber"], 16)  # type: ignore[index, arg-type]


def broker(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authorities[0].issue_cert(HOST).configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    for authority in authorities:
        authority.configure_trust(context)
    return context


async def test_new_connections_to_kafka_use_the_new_certificate(start: Start, place: Place, partner: Partner) -> None:
    """One context serves all clients: it proves who we are by the new files, and trusts the new authority too."""
    other = trustme.CA()
    async with start() as running:
        context = running.connection.ssl_context
        assert handshake(context, broker(place.authority)) == serial(place.certificate)
        place.ca.write_bytes(place.authority.cert_pem.bytes() + other.cert_pem.bytes())
        place.issue(other)
        await running.sees("credential_changes_total", 1, "kafka")
        assert handshake(context, broker(other, place.authority)) == serial(place.certificate)
        kept = serial(place.certificate)
        place.issue(other, not_after=datetime.now(UTC) - timedelta(days=1))
        await running.sees("credential_change_refused", 1, "kafka")
        assert handshake(context, broker(place.authority, other)) == kept
    assert partner.asked == 0, "GeNiE's are as they were"


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_a_certificate_that_ends_soon_is_warned_of_again(
    start: Start, place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process runs for months: the warning at its start is long forgotten."""
    place.issue(not_after=datetime.now(UTC) + timedelta(days=29))
    monkeypatch.setattr(renewal, "WARN_EVERY_S", 0.0)
    async with start() as running:
        await running.looks()
    lines = [orjson.loads(line) for line in capfd.readouterr().out.splitlines()]
    warned = {line["setting"] for line in lines if line["event"] == "a certificate ends soon"}
    assert warned == {"kafka.client_cert_file"}
