"""docs/producers.md as a developer of billing follows it: every line as it stands, on a gateway that provides."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

from typer.testing import CliRunner

from gateway.cli import app
from tests.integration.gateway_world import World
from tests.producer.event_documents import payment

PAGE = (Path(__file__).parents[2] / "docs" / "producers.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RUN_S = 60.0


def block(kind: str, holds: str) -> str:
    """The one block of the page that holds this."""
    (found,) = [text for each, text in BLOCKS if each == kind and holds in text]
    return found


async def run(command: list[str], directory: Path, environment: dict[str, str]) -> str:
    """What a program prints, once it has ended well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RUN_S):
        said, complained = await process.communicate()
    assert process.returncode == 0, (said + complained).decode()
    return said.decode()


async def test_the_first_event_of_a_newcomer_is_provided(world: World, tmp_path: Path) -> None:
    """Its three lines, then its Python: consent is there, so both payments are provided."""
    own_commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "PATH": own_commands,
        "GATEWAY_KAFKA__BOOTSTRAP_SERVERS": world.kafka,
        "GATEWAY_TOPICS__PREFIX": world.prefix,
    }
    directory = tmp_path / "newcomer"
    directory.mkdir()
    program = block("python", "gateway.producer").replace(
        'Producer("localhost:9092", service="billing")',
        f'Producer("{world.kafka}", service="billing", prefix="{world.prefix}")',
    )
    assert world.prefix in program
    async with world.gateway() as gateway:
        consent = "gateway dev send --example consent > consent.json\ngateway dev send consent.json\n"
        lines = consent + block("", "--example payment > payment.json")
        said = await run(["sh", "-ec", lines], directory, environment)
        assert "1 event, nothing wrong; nothing was sent" in said
        (place,) = re.findall(rf"payment\.json:1: ({re.escape(world.names.payments)}:\d+:\d+)\n", said)
        assert f"gateway explain --offset {place}" in said
        printed = await run([sys.executable, "-c", program], directory, environment)
        assert re.fullmatch(rf"{re.escape(world.names.payments)}:\d+:\d+\n", printed)
        await world.settled(2)
        await gateway.end_in_order()
    assert [written["reason"] for written in world.ledger] == ["accepted", "accepted"]
    await world.judged()


def test_mistakes_are_told_as_the_page_shows(tmp_path: Path) -> None:
    """The lines of the page are what the command prints for such a file."""
    broken = json.dumps(payment(due_date=20_780, customer__phone=...), indent=2, ensure_ascii=False)
    (tmp_path / "payment.json").write_text(broken, "utf-8")
    refused = CliRunner().invoke(app, ["dev", "send", str(tmp_path / "payment.json"), "--dry-run"])
    told = refused.stdout.replace(f"{tmp_path}/", "")
    assert told == block("", "2 mistakes, 0 events")
