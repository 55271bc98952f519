"""`gateway dev genie`: a strict GeNiE on this machine, with faults on request."""

import asyncio
import gc
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.fault_options import faults_of

if TYPE_CHECKING:
    from gateway.sandbox.genie import Sandbox

# Documents are trees that end by reference counting; the collector would walk each of them and find nothing.
_GARBAGE_EVERY = 100_000


def genie(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for the gateway; 0 takes a free one.")] = 0,
    admin_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for counts and faults; 0 takes a free one.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Directory for keys and receipts; a temporary one if not given.")
    ] = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="Mean time that GeNiE takes to judge.")] = 20.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SHARE[,PARAMETER=VALUE ..], such as unavailable=0.01; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which requests are struck follows from it.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a strict GeNiE until Ctrl-C, and print where it listens once it serves.

    Example: gateway dev genie --port 8443 --data genie --fault unavailable=0.01
    """
    try:
        import uvloop

        from gateway.sandbox.genie import Sandbox
        from gateway.sandbox.genie.faults import FaultError
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE,
            f"the package {error.name} is missing: install the gateway with its extra `sandbox`",
        ) from error
    with ExitStack() as stack:
        directory = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genie-")))
        try:
            faults = _faults(latency_ms, fault or [])
            sandbox = Sandbox(directory, port=port, admin_port=admin_port, faults=faults, seed=seed)
            uvloop.run(_serve(sandbox, as_json=as_json))
        except FaultError as error:
            raise CommandError(Exit.WRONG_USE, str(error)) from error
        except OSError as error:
            raise CommandError(Exit.FOUND_WRONG, f"GeNiE cannot run in {directory}: {error}") from error


async def _serve(sandbox: "Sandbox", *, as_json: bool) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    gc.set_threshold(_GARBAGE_EVERY)
    async with sandbox:
        pki = sandbox.pki.directory
        answer(
            f"GeNiE serves at {sandbox.url} (keys in {pki}, admin at {sandbox.admin_url}); Ctrl-C ends it",
            {
                "url": sandbox.url,
                "admin": sandbox.admin_url,
                "pki": str(pki),
                "receipts": str(sandbox.receipts),
            },
            as_json=as_json,
        )
        await ended.wait()


def _faults(latency_ms: float, wanted: list[str]) -> dict[str, object]:
    """The faults of the command line, in the form of `PUT /faults`; their names are checked there."""
    latency: dict[str, object] = {"latency": {"share": 1, "ms": latency_ms}} if latency_ms else {}
    return latency | faults_of(wanted)
