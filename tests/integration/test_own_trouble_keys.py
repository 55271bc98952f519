"""Keys and certificates that change under a gateway at work: no request fails, and what is unfit is not taken."""

import asyncio
import random
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.genie.client import LOOKUP_PATH
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie.answer import Wire
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World

SUBJECT = "subject-ann"
NEXT_GENIE_ID = "genie-2027-1"
NEXT_NOREL_ID = "norel-2027-1"
REFUSED, CHANGES = "gateway_credential_change_refused", "gateway_credential_changes_total"
HOSTS = ("localhost", "127.0.0.1")


class Witness:
    """A fault that does no harm: it notes who signed the last batch, and by which certificate it came."""

    point, share, burst_s = Point.BEFORE_JUDGING, 1.0, 0.0

    def __init__(self) -> None:
        self.key_id = ""
        self.serial = 0

    async def act(self, wire: Wire, chance: random.Random) -> None:
        if wire.head.path != LOOKUP_PATH:
            self.key_id = re.search(r'keyid="([^"]+)"', wire.head.headers["signature-input"])[1]  # type: ignore[index]
            self.serial = int(wire._request.transport.get_extra_info("peercert")["serialNumber"], 16)


class Keys:
    """The files of a gateway, named by a TOML file that may change too."""

    def __init__(self, world: World) -> None:
        self.directory = world.directory / "own-keys"
        shutil.copytree(world.genie.pki.directory, self.directory)
        self.ours = pkis.Pki(self.directory)
        self.config = world.directory / "gateway.toml"
        self.signing, self.signing_id = self.ours.norel_ed25519, pkis.NOREL_ED25519_ID
        self.answers = {pkis.GENIE_ED25519_ID: pkis.public_half(self.ours.genie_ed25519)}
        self.write_config()

    def write_config(self) -> None:
        answers = ", ".join(f'"{key_id}" = "{path}"' for key_id, path in self.answers.items())
        lines = [
            "[genie]",
            f'ca_file = "{self.ours.ca}"',
            f'client_cert_file = "{self.ours.client}"',
            f'client_key_file = "{self.ours.client_key}"',
            f'signing_key_file = "{self.signing}"',
            f'signing_key_id = "{self.signing_id}"',
            f"answer_key_files = {{ {answers} }}",
        ]
        self.config.write_text("\n".join(lines))

    def sign_with(self, path: Path, key_id: str) -> None:
        self.signing, self.signing_id = path, key_id
        self.write_config()

    def believe(self, answers: dict[str, Path]) -> None:
        self.answers = answers
        self.write_config()

    def gateway(self, world: World) -> GatewayProcess:
        """With the names of keys in the file, where they may change, instead of the environment."""
        made = world.gateway("looks_often")
        for line in self.config.read_text().splitlines()[1:]:
            del made.environment[f"GATEWAY_GENIE__{line.partition(' ')[0].upper()}"]
        made.environment["GATEWAY_CONFIG"] = str(self.config)
        return made


def new_key(path: Path) -> Path:
    pkis.make_signing_key(path, ed25519.Ed25519PrivateKey.generate())
    return path


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[None]:
    """Payment after payment, each settled before the next."""
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            offset = await world.payment(SUBJECT)
            await world.sees(lambda offset=offset: world.has_settled(offset), "the payment settled")

    working = asyncio.create_task(work())
    yield
    stop.set()
    await working


class Scene:
    """A gateway at work and what is around it."""

    def __init__(self, world: World, gateway: GatewayProcess, keys: Keys, witness: Witness) -> None:
        self.world, self.gateway, self.keys, self.witness = world, gateway, keys, witness

    async def shows(self, metric: str, value: float, partner: str = "genie") -> None:
        line = f'{metric}{{partner="{partner}"}} {float(value)}'.encode()

        async def so() -> bool:
            return line in await self.gateway.metrics()

        await self.world.sees(so, f"{metric} {value}")

    async def sees(self, condition: Any, what: str) -> None:
        await self.world.sees(condition, what)


async def signing_key_changes(scene: Scene) -> None:
    """Another key under another id, of another kind."""
    scene.keys.sign_with(scene.keys.ours.norel_p256, pkis.NOREL_P256_ID)
    await scene.shows(CHANGES, 1)
    await scene.sees(lambda: scene.witness.key_id == pkis.NOREL_P256_ID, "a batch signed by the new key")


async def an_unfit_key_is_not_taken(scene: Scene) -> None:
    """A file that is no key, then a key that GeNiE does not know yet; the old one signs meanwhile."""
    world, keys = scene.world, scene.keys
    path = keys.directory / "next.key"
    path.write_text("no key")
    keys.sign_with(path, NEXT_NOREL_ID)
    await scene.shows(REFUSED, 1)
    new_key(path)
    await scene.sees(lambda: refused_by(scene, "genie"), "the change refused by GeNiE's answer")
    settled = len(world.ledger)
    await world.settled(settled + 3)
    assert scene.witness.key_id == pkis.NOREL_P256_ID
    agreed = {pkis.NOREL_P256_ID: keys.ours.norel_p256, NEXT_NOREL_ID: path}
    world.genie.agree({key_id: pkis.public_half(key) for key_id, key in agreed.items()})
    await scene.shows(CHANGES, 2)
    await scene.shows(REFUSED, 0)
    await scene.sees(lambda: scene.witness.key_id == NEXT_NOREL_ID, "a batch signed by the new key")
    world.genie.agree({NEXT_NOREL_ID: pkis.public_half(path)})


def refused_by(scene: Scene, setting: str) -> bool:
    refusals = [
        line for line in scene.gateway.lines() if line["event"].startswith("changed keys or certificates can't")
    ]
    return any(line["setting"] == setting for line in refusals)


async def answer_key_changes(scene: Scene) -> None:
    """Two ids are live, GeNiE changes over, the old id goes."""
    world, keys = scene.world, scene.keys
    path = new_key(keys.directory / "genie-next.key")
    keys.believe({**keys.answers, NEXT_GENIE_ID: pkis.public_half(path)})
    await scene.shows(CHANGES, 3)
    world.genie.sign_with(path, NEXT_GENIE_ID)
    await scene.sees(lambda: world.ledger[-1]["receipt"]["key_id"] == NEXT_GENIE_ID, "a receipt by the new key")
    keys.believe({NEXT_GENIE_ID: pkis.public_half(path)})
    await scene.shows(CHANGES, 4)


async def certificates_change(scene: Scene) -> None:
    """Both authorities are trusted, both sides get certificates by the new one, the old authority goes."""
    world, ours, authority = scene.world, scene.keys.ours, trustme.CA()
    old, new = ours.ca.read_bytes(), authority.cert_pem.bytes()
    ours.ca.write_bytes(old + new)
    await scene.shows(CHANGES, 5)
    world.genie.trust(ours.ca)
    server = world.directory / "next-server.pem"
    server.write_bytes(authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.bytes())
    world.genie.show(server)
    ends = datetime.now(UTC) + timedelta(days=400)
    client = authority.issue_cert("gateway.norel.invalid", not_after=ends)
    # One file after the other, as people do it.
    ours.client_key.write_bytes(client.private_key_pem.bytes())
    ours.client.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
    await scene.shows(CHANGES, 6)
    await scene.sees(lambda: scene.witness.serial == serial_of(ours.client), "a batch by the new certificate")
    ours.ca.write_bytes(new)
    await scene.shows(CHANGES, 7)
    shown = re.search(
        rb'gateway_certificate_expiry_timestamp_seconds\{name="genie"\} (\S+)', await scene.gateway.metrics()
    )
    assert abs(float(shown[1]) - ends.timestamp()) < 2  # type: ignore[index]


def serial_of(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def an_expired_certificate_is_not_taken(scene: Scene) -> None:
    """The file is right but for its date."""
    ours, authority = scene.keys.ours, trustme.CA()
    kept = ours.client.read_bytes(), ours.client_key.read_bytes()
    late = authority.issue_cert("gateway.norel.invalid", not_after=datetime.now(UTC) - timedelta(days=1))
    ours.client_key.write_bytes(late.private_key_pem.bytes())
    ours.client.write_bytes(b"".join(part.bytes() for part in late.cert_chain_pems))
    await scene.shows(REFUSED, 1)
    assert refused_by(scene, "genie.client_cert_file")
    for path, content in zip((ours.client, ours.client_key), kept, strict=True):
        path.write_bytes(content)
    await scene.shows(REFUSED, 0)


@fault(
    Where.OWN,
    "the signing key and its id change while it runs",
    does="proves the new key by a question to GeNiE, then signs with it; no request fails",
    seen='`gateway_credential_changes_total{partner="genie"}`, log line `changed keys and certificates are in use`',
)
@fault(
    Where.OWN,
    "GeNiE changes the key of its answers",
    does="believes both ids while both are in the settings; no restart, no request fails",
    seen='`gateway_credential_changes_total{partner="genie"}`, the new key id in the ledger\'s receipts',
)
@fault(
    Where.OWN,
    "client certificate, its key and the authority change while it runs",
    does="opens new connections with them and lets requests under way end on the old ones",
    seen='`gateway_credential_changes_total{partner="genie"}`, `gateway_certificate_expiry_timestamp_seconds`',
)
@fault(
    Where.OWN,
    "a changed key or certificate is unfit: no key, unknown to GeNiE, expired, not a pair",
    does="keeps the old ones in use and tries the new ones again and again",
    seen="`gateway_credential_change_refused` is 1, log line `changed keys or certificates can't be used`",
)
async def test_keys_and_certificates_change_under_a_gateway_at_work(world: World) -> None:
    """Each is changed as an operator would, in the midst of payments: every request is answered with 2xx."""
    await world.consent(SUBJECT)
    keys, witness = Keys(world), Witness()
    async with keys.gateway(world) as gateway:
        await gateway.ready(LANES)
        world.genie.faults.active = {"witness": witness}
        scene = Scene(world, gateway, keys, witness)
        async with at_work(world):
            await signing_key_changes(scene)
            await an_unfit_key_is_not_taken(scene)
            await answer_key_changes(scene)
            await certificates_change(scene)
            await an_expired_certificate_is_not_taken(scene)
        counts = re.findall(rb'gateway_genie_request_seconds_count\{kind="(\w+)"\} (\S+)', await gateway.metrics())
        assert {kind for kind, count in counts if float(count)} == {b"2xx"}
        await gateway.end_in_order()
    verdict = await world.judged()
    assert len(world.received()) == verdict.produced, "no entry was sent twice"
