"""Processes are asked over HTTP: whatever answers there, a command gets an answer of its own, in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka.group import Group, Member
from gateway.oncall import processes
from gateway.oncall.processes import Fleet, Process, Status, asking
from tests.oncall.process_world import Seat, seated

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def stranger(answer: bytes, *, hangs: bool = False) -> AsyncIterator[str]:
    """Something that answers so to any request; where it does."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if hangs:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        done.set()
        server.close()


def http(status: str, content: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(head).encode() + content


async def asked(at: str) -> Process:
    async with asking() as asker:
        return await asker.status(at)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (http("200 OK", b"[]"), "no gateway"),
        (http("200 OK", b"garbage"), "no gateway"),
        (http("200 OK", b'{"ready": 1, "lanes": 3}'), "no gateway"),
        (http("404 Not Found", b""), "it answers 404"),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/status"), "it answers 302"),
        (b"\x16\x03\x01\r\n\r\n", "no answer (RemoteProtocolError)"),
        (b"", "no answer (RemoteProtocolError)"),
    ],
)
async def test_what_is_no_gateway_is_told(answer: bytes, trouble: str) -> None:
    """No redirect is followed, nothing it says is believed."""
    async with stranger(answer) as at:
        process = await asked(at)
    assert process.status is None
    assert trouble in process.trouble


async def test_an_answer_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up where it passes that, however much is to come."""
    monkeypatch.setattr(processes, "MAX_ANSWER_BYTES", 1_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    async with stranger(head + b"x" * 1_001, hangs=True) as at:
        assert "more than 1,000 bytes" in (await asked(at)).trouble


async def test_an_answer_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never ends is none."""
    monkeypatch.setattr(processes, "ANSWER_WITHIN_S", 0.05)
    async with stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", hangs=True) as at:
        assert (await asked(at)).trouble == "no answer within 0.05 s"


async def test_a_closed_port_and_an_impossible_place_are_told() -> None:
    """Neither ends the command."""
    async with stranger(b"") as at:
        pass
    assert (await asked(at)).trouble == "nothing listens there, or the way is closed"
    assert (await asked("no such host:1")).status is None


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable meant for other programs must not lead the question elsewhere."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    seat = Seat("one", {})
    with seated(seat):
        process = await asked(seat.at)
    assert process.name == "one"


async def test_what_a_stranger_says_fits_a_terminal() -> None:
    """No escape sequence reaches it, and no text without end."""
    seat = Seat("one\x1b[2J" + "x" * 500, {})
    with seated(seat):
        process = await asked(seat.at)
    assert process.name == "one?[2J" + "x" * (processes.MAX_TEXT - 7)


async def test_metrics_are_read_of_those_named() -> None:
    """By their labels; of a process that does not answer there are none."""
    seat = Seat("one", {})
    seat.metrics.certificate_expiry("genie", 1_000.0)
    seat.metrics.answered("2xx", 0.1)
    with seated(seat):
        async with asking() as asker:
            found = await asker.metrics(seat.at, frozenset({"gateway_certificate_expiry_timestamp_seconds"}))
    assert found == {"gateway_certificate_expiry_timestamp_seconds": {("genie",): 1_000.0}}
    async with asking() as asker:
        assert await asker.metrics(seat.at, frozenset()) == {}


def member(name: str, host: str) -> Member:
    return Member(f"{name}-0a8f7b52-3a0e-4f5e-9a7d-0d7f3f6f8e11", host, frozenset({TopicPartition("t", 0)}))


def answered(at: str, member_id: str) -> Process:
    whole = {"ready": True, "live": True, "reasons": [], "lanes": {}, "process": {"member_id": member_id}}
    return Process(at, Status.model_validate(whole))


def test_members_that_did_not_answer_are_known() -> None:
    """By what an answer calls itself in the group; of an older release by where it is."""
    one, two, three = member("one", "10.0.0.1"), member("two", "10.0.0.1"), member("three", "::1")
    group = Group("gateway", "Stable", (one, two, three))
    fleet = Fleet(group, (answered("10.0.0.1:9464", two.member_id), Process("[::1]:9464", None, "silence")))
    assert fleet.unasked == (one, three)
    assert not fleet.all_asked
    fleet = Fleet(group, (answered("10.0.0.1:9464", two.member_id), answered("[::1]:9464", "")))
    assert fleet.unasked == (one,)
    assert [each.name for each in group.members] == ["one", "two", "three"]
    assert not Fleet(None, ()).all_asked
