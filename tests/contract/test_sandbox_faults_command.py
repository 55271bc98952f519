"""`gateway dev faults`: what it prints, what it switches, and how it ends when something is wrong."""

import asyncio
import json
import socket

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.errors import CommandError, Exit
from gateway.sandbox.genie.faults import KINDS
from tests.contract.genie_client import Client


async def run(genie: Client, *arguments: str) -> Result:
    """The command, in a thread: GeNiE serves in this one."""
    command = ["dev", "faults", "--admin", genie.sandbox.admin_url, *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, command)


async def test_faults_are_set_and_cleared(genie: Client) -> None:
    """`set` adds to what is on, with parameters of every type; `clear` switches all off."""
    await genie.set_faults(latency={"share": 1, "ms": 1})
    ended = await run(
        genie, "set", "client_error=0.25,status=404,signed=false", "unavailable=1,burst_s=2.5,on=lookups", "--json"
    )
    on = {name: fault["on"] for name, fault in json.loads(ended.stdout)["faults"].items()}
    assert list(on) == ["latency", "unavailable", "client_error"]
    assert on["client_error"] == {"share": 0.25, "burst_s": 0, "on": "any", "status": 404, "signed": False}
    assert (on["unavailable"]["burst_s"], on["unavailable"]["on"]) == (2.5, "lookups")
    assert list(genie.sandbox.faults.active) == list(on)
    assert (await run(genie, "clear")).stdout == "every fault is off\n"
    assert not genie.sandbox.faults.active


async def test_every_fault_is_listed(genie: Client) -> None:
    """Each fault is there with its hits, its sentence, its parameters, and whether it is on."""
    await genie.set_faults(too_many_requests={"share": 1, "retry_after": 3})
    await genie.look_up("a")
    text = (await run(genie, "list")).stdout
    listed = json.loads((await run(genie, "list", "--json")).stdout)["faults"]
    assert list(listed) == list(KINDS)
    assert (listed["too_many_requests"]["hits"], listed["too_many_requests"]["on"]["retry_after"]) == (1, 3)
    for name, fault in listed.items():
        assert name in text
        assert fault["does"] in text
        assert all(f"- {parameter}: " in text for parameter in set(fault["parameters"]) - {"share", "burst_s", "on"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "nonsense=1"), "there is no fault 'nonsense'"),
        (("set", "unavailable=1,colour=red"), "fault unavailable takes share, "),
        (("set", "unavailable=1,retry_after"), "fault unavailable=1,retry_after: write NAME=SHARE"),
        (("set", "unavailable"), "fault unavailable: write NAME=SHARE"),
        (("set",), "`set` takes the faults"),
        (("clear", "unavailable=1"), "`set` takes the faults"),
    ],
)
async def test_wrong_use_changes_nothing(genie: Client, arguments: tuple[str, ...], message: str) -> None:
    """A wrong fault or form ends with status 2 and what is right."""
    await genie.set_faults(entry_retry={"share": 0.5})
    ended = await run(genie, *arguments)
    assert isinstance(ended.exception, CommandError)
    assert (ended.exception.status, ended.exception.message[: len(message)]) == (Exit.WRONG_USE, message)
    assert list(genie.sandbox.faults.active) == ["entry_retry"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:{free}", "nonsense", "http://[", "{url}"])
async def test_no_genie_there(genie: Client, address: str) -> None:
    """Where no admin port answers it ends with status 3 and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
    admin = address.format(free=free, url=genie.sandbox.url)
    ended = await asyncio.to_thread(CliRunner().invoke, app, ["dev", "faults", "--admin", admin, "list"])
    assert isinstance(ended.exception, CommandError)
    assert ended.exception.status is Exit.UNREACHABLE
    assert f"no GeNiE answers at {admin}" in ended.exception.message
