"""The wire between a gateway and the simulated GeNiE, each trouble on it, and a GeNiE that is killed."""

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import Answer, Loss, Lost, NotSent, Reply, Unsent
from gateway.genie.client import Credentials, GenieClient
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.keys import load_answer_keys, load_signing_key
from gateway.sandbox import pki
from gateway.sandbox.pki import Pki
from tests.chaos.plan import LinkTrouble
from tests.contract.genie_client import canonical, key_of, payment
from tests.simulation import keys
from tests.simulation.clocks import taken_over, wall_ms
from tests.simulation.loop import VirtualLoop
from tests.simulation.partner import Partner

URL = "https://genie.invalid"
EXPIRES_MS = 3_000
Act = Callable[[GenieClient, Partner, Callable[[], Awaitable[Answer]]], Awaitable[None]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return keys.make(tmp_path_factory.mktemp("keys"))


def play(made: Pki, act: Act) -> Partner:
    """Play an act between one client and GeNiE; its GeNiE."""
    loop = VirtualLoop()

    async def main() -> Partner:
        partner = Partner(made, seed=1)
        transport = partner.transport("one")
        client = GenieClient(
            base_url=URL,
            transport=lambda tls: transport(URL, tls, 4),
            writer=RequestWriter(Provider("見本", "見本市", "見本 花子"), "見本", "genie"),
            credentials=Credentials(
                ssl.create_default_context(),
                load_signing_key(made.norel_ed25519, pki.NOREL_ED25519_ID),
                load_answer_keys({pki.GENIE_ED25519_ID: pki.public_half(made.genie_ed25519)}),
            ),
            skew_ms=1_000,
        )
        await client.start()
        numbers = iter(range(1_000))
        await act(client, partner, lambda: client.send([entry(next(numbers))], wall_ms(loop) + EXPIRES_MS))
        await client.close()
        return partner

    with taken_over(loop, seed=1):
        return loop.run(main())


def entry(number: int) -> OutgoingEntry:
    body = canonical(payment(f"subject {number}"))
    return OutgoingEntry(key_of(f"key {number}"), key_of("origin"), hashlib.sha256(b"source").digest(), body)


def test_it_takes_what_is_signed(made: Pki) -> None:
    """A request reaches the sandbox's own books, and its signed answer is believed."""

    async def act(client: GenieClient, partner: Partner, send: Callable[[], Awaitable[Answer]]) -> None:
        answer = await send()
        assert isinstance(answer, Reply)
        assert answer.verified
        assert answer.results is not None
        assert [result.status for result in answer.results] == ["accepted"]
        reply = await client.look_up([key_of("key 0"), key_of("key 1")])
        assert reply is not None
        assert [result.status.value for result in reply.results] == ["received", "not_received"]

    assert len(play(made, act).receipts.lines) == 1


@pytest.mark.parametrize(
    ("trouble", "became", "taken"),
    [
        (LinkTrouble.CUT, NotSent(Unsent.REFUSED), 0),
        (LinkTrouble.SILENT, NotSent(Unsent.REFUSED), 0),
        (LinkTrouble.HALF_OPEN, Lost(Loss.TIMEOUT), 1),
        (LinkTrouble.RESET_AFTER, Lost(Loss.BROKEN), 1),
    ],
)
def test_trouble_on_the_wire(made: Pki, trouble: LinkTrouble, became: Answer, taken: int) -> None:
    """What the client is told, and whether GeNiE has it all the same."""

    async def act(client: GenieClient, partner: Partner, send: Callable[[], Awaitable[Answer]]) -> None:
        wire = partner.wire("one")
        wire.hurt(trouble)
        assert await send() == became
        assert wire.struck[trouble]
        assert len(partner.receipts.lines) == taken
        wire.heal()
        assert isinstance(await send(), Reply)

    assert len(play(made, act).receipts.lines) == taken + 1


def test_a_late_acceptance(made: Pki) -> None:
    """The connection ends, and GeNiE takes the entry afterwards."""

    async def act(client: GenieClient, partner: Partner, send: Callable[[], Awaitable[Answer]]) -> None:
        partner.faults.replace({"late_acceptance": {"share": 1, "seconds": 2}})
        assert await send() == Lost(Loss.BROKEN)
        assert not partner.receipts.lines
        await asyncio.sleep(2)
        assert len(partner.receipts.lines) == 1

    play(made, act)


def test_a_killed_genie_knows_what_it_took(made: Pki) -> None:
    """Killed and started again it has its receipts, and the same entry is a duplicate."""

    async def act(client: GenieClient, partner: Partner, send: Callable[[], Awaitable[Answer]]) -> None:
        assert isinstance(await send(), Reply)
        partner.crash()
        assert await send() == NotSent(Unsent.REFUSED)
        partner.start_again()
        answer = await client.send([entry(0)], partner.now_ms() + EXPIRES_MS)
        assert isinstance(answer, Reply)
        assert answer.results is not None
        assert answer.results[0].status == "duplicate"

    play(made, act)
