"""The client's connections, over a transport that the test plays: when they are closed, and that answers always are."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import LookupReply, Loss, Lost, NotSent, Unsent
from gateway.genie import client as client_module
from gateway.genie.client import BATCH_PATH, SINGLE_PATH, Credentials, GenieClient
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.keys import SigningKey
from gateway.genie.signing import SignedAnswer
from gateway.genie.transport import BrokenError, HttpAnswer, NotConnectedError, TlsRefusedError, TooLargeError

NOW_MS = 1_772_000_000_000
SOON_MS = NOW_MS + 60_000


class Transport:
    """Each request waits until it is answered."""

    def __init__(self) -> None:
        self.requests: list[asyncio.Future[HttpAnswer]] = []
        self.paths: list[str] = []
        self.closed = 0

    async def post(self, path: str, headers: Mapping[str, str], content: bytes) -> HttpAnswer:
        self.requests.append(asyncio.get_running_loop().create_future())
        self.paths.append(path)
        return await self.requests[-1]

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


def credentials(key_id: str = "norel-1") -> Credentials:
    return Credentials(ssl.create_default_context(), SigningKey(key_id, "ed25519", lambda message: b"s" * 64), {})


class World:
    """A client, and the transports that it made."""

    def __init__(self) -> None:
        self.transports: list[Transport] = []
        self.client = GenieClient(
            base_url="https://genie.example",
            transport=self._made,
            writer=RequestWriter(Provider("a", "b", "c"), "how", "genie"),
            credentials=credentials(),
            skew_ms=1_000,
            now_ms=lambda: NOW_MS,
        )

    def _made(self, tls: ssl.SSLContext) -> Transport:
        self.transports.append(Transport())
        return self.transports[-1]

    async def sent(self, transport: int = 0, expires_at: int = SOON_MS) -> tuple[asyncio.Task[Any], Any]:
        """A request that is under way, and what answers it."""
        task = asyncio.create_task(self.client.send([], expires_at))
        await turns()
        return task, self.transports[transport].requests[-1]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def plain(content: bytes = b"", status: int = 200, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, headers, content)


@pytest.fixture
async def world() -> World:
    made = World()
    await made.client.start()
    return made


async def test_a_client_that_is_closed_sends_nothing(world: World) -> None:
    """Its connections are closed; closing it again does nothing."""
    await world.client.close()
    await world.client.close()
    assert world.transports[0].closed == 1
    assert await world.client.send([], SOON_MS) == NotSent(Unsent.CLOSED)


async def test_credentials_that_come_before_the_start_make_no_connections() -> None:
    """They are those that it starts with."""
    world = World()
    await world.client.use(credentials("norel-2"))
    assert world.transports == []
    await world.client.start()
    assert len(world.transports) == 1


async def test_what_is_under_way_ends_with_the_old_set(world: World) -> None:
    """Its connections are closed once the last of it has ended, and only then is the change done."""
    (first, answer), (second, other) = await world.sent(), await world.sent()
    changing = asyncio.create_task(world.client.use(credentials("norel-2")))
    await turns()
    third, newer = await world.sent(1)
    answer.set_result(plain())
    await first
    await turns()
    assert (world.transports[0].closed, changing.done()) == (0, False)
    other.set_result(plain())
    await second
    await changing
    assert world.transports[0].closed == 1
    newer.set_result(plain())
    await third
    assert world.transports[1].closed == 0


async def test_a_change_that_is_broken_off_leaves_no_old_connections(world: World) -> None:
    """The process ends: nobody waits for what is under way."""
    under_way, _ = await world.sent()
    changing = asyncio.create_task(world.client.use(credentials("norel-2")))
    await turns()
    changing.cancel()
    await asyncio.wait({changing})
    assert world.transports[0].closed == 1
    under_way.cancel()


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (TlsRefusedError(), NotSent(Unsent.TLS_FAILED)),
        (NotConnectedError(), NotSent(Unsent.REFUSED)),
        (TooLargeError(), Lost(Loss.TOO_LARGE)),
        (BrokenError(), Lost(Loss.BROKEN)),
        (TimeoutError(), Lost(Loss.TIMEOUT)),
        (RuntimeError("whatever a library may raise"), Lost(Loss.BROKEN)),
    ],
)
async def test_every_failure_is_an_answer(world: World, failed: Exception, expected: Any) -> None:
    """Whatever is raised below."""
    task, answer = await world.sent()
    answer.set_exception(failed)
    assert await task == expected


async def test_a_compressed_answer_is_none(world: World) -> None:
    """It was ruled out, and to undo it may cost any amount of memory."""
    task, answer = await world.sent()
    answer.set_result(plain(**{"content-encoding": "gzip"}))
    assert await task == Lost(Loss.ENCODED)


@pytest.mark.parametrize(("entries", "path"), [(1, SINGLE_PATH), (2, BATCH_PATH)])
async def test_one_entry_goes_by_itself(world: World, entries: int, path: str) -> None:
    """A batch of one has a path of its own."""
    entry = OutgoingEntry("key", "origin", b"s" * 32, b"{}")
    task = asyncio.create_task(world.client.send([entry] * entries, SOON_MS))
    await turns()
    assert world.transports[0].paths == [path]
    task.cancel()


@pytest.mark.parametrize(("status", "is_reply"), [(200, True), (503, False)])
async def test_only_a_200_tells_what_became_of_keys(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, is_reply: bool
) -> None:
    """Whatever else a signed answer says."""
    monkeypatch.setattr(client_module, "signed_answer", lambda *_, **__: SignedAnswer("genie-1", NOW_MS, True))
    looking = asyncio.create_task(world.client.look_up([]))
    await turns()
    response = plain(b'{"as_of":"2026-11-22T01:02:03.004Z","results":[]}', status=status)
    world.transports[0].requests[-1].set_result(response)
    assert isinstance(await looking, LookupReply) is is_reply


@pytest.mark.parametrize(
    ("created_ms", "difference"),
    [(NOW_MS, 0), (NOW_MS - 999, 0), (NOW_MS + 7_000, 7_000), (NOW_MS - 8_000, -7_000)],
)
async def test_the_clocks_differ_by_what_a_signed_answer_proves(
    world: World, monkeypatch: pytest.MonkeyPatch, created_ms: int, difference: int
) -> None:
    """It names whole seconds, so a difference below that proves nothing."""
    monkeypatch.setattr(client_module, "signed_answer", lambda *_, **__: SignedAnswer("genie-1", created_ms, True))
    task, answer = await world.sent()
    answer.set_result(plain())
    await task
    assert world.client.clock_difference_ms == difference
