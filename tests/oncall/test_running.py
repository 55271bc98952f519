"""Commands of on-call against gateways that run: held, released, watched in a terminal."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.errors import CommandError
from gateway.sandbox.genie.faults import Point
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import BOUND_S, LANES, World

LINES, COLUMNS = 40, 200
HIDE_CURSOR, ALTERNATE, PLAIN = b"\x1b[?25l", b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
async def world(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics, a strict GeNiE, and gateways to be started as processes."""
    async with World(kafka, prefix, tmp_path) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def data(self) -> dict[str, Any]:
        """Of one that was asked for JSON."""
        return json.loads(self.stdout)


class Desk:
    """A person's shell beside the gateways of a world."""

    def __init__(self, world: World, *gateways: GatewayProcess) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_KAFKA__BOOTSTRAP_SERVERS": world.kafka,
            "GATEWAY_KAFKA__GROUP_ID": world.group,
            "GATEWAY_TOPICS__PREFIX": world.prefix,
            "USER": "ann",
            "TERM": "xterm-256color",
        }
        self._gateways = gateways

    async def places(self) -> list[str]:
        """The options that name every process."""
        ports = [(await gateway.says("observing"))["port"] for gateway in self._gateways]
        return [option for port in ports for option in ("--at", f"127.0.0.1:{port}")]

    async def run(self, *arguments: str) -> Ran:
        """Run `gateway ARGUMENTS`."""
        places = await self.places()
        return await asyncio.to_thread(self._run, [*arguments, *places])

    def _run(self, arguments: list[str]) -> Ran:
        ended = CliRunner().invoke(app, arguments, env=self.environment)
        if isinstance(ended.exception, CommandError):
            return Ran(int(ended.exception.status), ended.stdout, ended.exception.message)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Ran(ended.exit_code, ended.stdout, ended.stderr)

    async def lanes(self) -> dict[str, Mapping[str, Any]]:
        """What `lanes show` says of each."""
        return {lane["lane"]: lane for lane in (await self.run("lanes", "show", "--json")).data["lanes"]}


async def consented(world: World, name: str, count: int) -> list[str]:
    """So many customers who have."""
    subjects = [f"{name}-{number}a" for number in range(count)]
    for subject in subjects:
        await world.consent(subject)
    return subjects


async def test_a_hold_stops_every_send_decided_later_in_two_processes(world: World) -> None:
    """While GeNiE hangs: acknowledged, shown by both, and nothing decided from then on leaves until the release."""
    gate = world.gate(Point.BEFORE_JUDGING)
    early, late = await consented(world, "early", 4), await consented(world, "late", 4)
    async with world.gateway(instance="one") as one, world.gateway(instance="two") as two:
        await one.serving()
        await two.serving()
        await world.sees(lambda: world.shared(one, two), "that both have lanes")
        desk = Desk(world, one, two)
        count = await world.write_to_all(early)
        await world.sees(lambda: gate.came, "that GeNiE hangs on a request")

        held = await desk.run("hold", "add", "all", "--reason", "GeNiE hangs", "--ticket", "T-1", "--json")
        assert (held.status, held.stderr) == (0, "")
        assert [process["instance"] for process in held.data["processes"] if process["shows_it"]] == ["one", "two"]
        listed = await desk.run("hold", "list", "--json")
        assert listed.status == 0
        assert listed.data["holds"][0]["shown_by"] == ["one", "two"]

        count += await world.write_to_all(late)
        gate.open()
        busy = [f"{topic}:{number}" for topic in (world.names.payments, world.names.scores) for number in range(2)]

        async def all_wait() -> bool:
            """For the release, and nothing is on its way any more."""
            lanes = await desk.lanes()
            waiting = [lanes[lane] for lane in busy]
            return all(lane["waits_for"] == "hold" and not lane["in_flight"] for lane in waiting)

        await world.sees(all_wait, "that every lane waits for the release")
        received = len(world.received())
        told = await desk.run("status", "--json")
        assert "on purpose" in json.dumps(told.data["parts"])

        released = await desk.run(
            "hold", "release", held.data["hold_id"], "--reason", "it answers", "--ticket", "T-1", "--json"
        )
        assert (released.status, released.stderr) == (0, "")
        await world.settled(count)
        assert {written["outcome"] for written in world.ledger} <= {"PROVIDED"}
        assert len(world.received()) > received

        stopped, went_on = (_ms(each.data["acknowledged_at"]) for each in (held, released))
        decided = [written["decided_at"] for written in world.ledger]
        assert not [at for at in decided if stopped < at < went_on - HOW_LATE_MS]
        late_events = [written for written in world.ledger if written["subject_ref"] in late]
        assert len(late_events) == 2 * len(late)
        assert all(written["decided_at"] > stopped for written in late_events)
        await one.end_in_order()
        await two.end_in_order()
    await world.judged()


HOW_LATE_MS = 1_000  # a release is in force from a moment before its acknowledgement comes back


def _ms(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Terminal:
    """A command in a terminal of its own; `screen` is what a person sees there."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self.raw = b""
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        command = f"{sys.executable} -m gateway {' '.join(arguments)}; echo ended with $?; stty -a; echo typed"
        self._child = pexpect.spawn("bash", ["-c", command], env=dict(environment), dimensions=(LINES, COLUMNS))

    def until(self, text: str) -> None:
        """Take what comes until the screen shows this."""
        while text not in "\n".join(self.screen.display):
            self._take()

    def count(self, sequence: bytes, times: int) -> None:
        """Take what comes until this was sent so often."""
        while self.raw.count(sequence) < times:
            self._take()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._child.sendintr()

    def _take(self) -> None:
        part = self._child.read_nonblocking(65_536, timeout=BOUND_S)
        self.raw += part
        self._stream.feed(part)

    def close(self) -> None:
        self._child.close(force=True)


async def test_lanes_are_found_through_the_group_and_watched(world: World) -> None:
    """The screen is drawn again and again; Ctrl-C leaves the terminal as it was, with what was seen last."""
    port = free_port()
    async with world.gateway(observe__port=str(port)) as gateway:
        await gateway.ready(LANES)
        desk = Desk(world)
        desk.environment["GATEWAY_OBSERVE__PORT"] = str(port)
        (subject,) = await consented(world, "subject", 1)
        await world.payment(subject)
        await world.settled(1)
        status = await desk.run("status", "--json")
        assert (status.status, status.data["verdict"]) == (0, "All is well."), status.stdout
        assert {part["level"] for part in status.data["parts"]} == {"ok"}
        lane = f"{world.names.payments}:0"

        async def caught_up() -> bool:
            return (await desk.lanes())[lane]["lag"] == 0

        await world.sees(caught_up, "that the process shows what it has settled")
        lanes = await desk.lanes()
        assert {lane["owner"] for lane in lanes.values()} == {"one"}
        assert lanes[lane]["committed_ms"] is not None

        terminal = Terminal(desk.environment, "lanes", "show", "--watch", "--every", "0.2")
        try:
            await asyncio.to_thread(terminal.until, "Ctrl-C ends it")
            assert HIDE_CURSOR in terminal.raw
            assert terminal.raw.count(ALTERNATE) == 1
            await asyncio.to_thread(terminal.count, b"Ctrl-C ends it", 3)
            shown = "\n".join(terminal.screen.display)
            assert f"{world.names.scores}:1" in shown
            assert terminal.screen.cursor.hidden
            terminal.interrupt()
            await asyncio.to_thread(terminal.until, "typed")
        finally:
            terminal.close()
        after = terminal.raw[terminal.raw.index(PLAIN) :].decode()
        assert "ended with 130" in after
        assert f"{world.names.scores}:1" in after  # what was seen last
        assert "Traceback" not in after
        assert not terminal.screen.cursor.hidden
        assert " echo " in after
        assert " icanon " in after
        await gateway.end_in_order()

    gone = await desk.run("lanes", "show", "--json")
    assert gone.status == 3  # a static member: the group counts on its return
    assert {lane["state"] for lane in gone.data["lanes"]} == {"not asked"}
    assert all(lane["watermark"] is not None for lane in gone.data["lanes"])


async def test_where_nobody_watches_each_look_is_a_line(world: World) -> None:
    """For a program: one object a line, until it is interrupted."""
    desk = Desk(world)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "lanes", "show", "--watch", "--every", "0.2", "--json"),
        env=desk.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(BOUND_S):
        looks = [json.loads(await process.stdout.readline()) for _ in range(2)]
        process.send_signal(2)
        assert await process.wait() == 130
    assert [len(look["lanes"]) for look in looks] == [LANES, LANES]
