"""`gateway dev kafka`: a real Apache Kafka node on this machine."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit


def kafka(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port for clients; a free one if not given.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory that keeps the data; a temporary one if not given.")
    ] = None,
    fetch_only: Annotated[bool, typer.Option(help="Download and verify Apache Kafka, then end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a real Apache Kafka node until Ctrl-C, and print its address once it serves.

    Example: gateway dev kafka --port 9092 --data kafka
    """
    try:
        from gateway.sandbox.broker import ArtifactError, NodeError, UnreachableError
    except ImportError as error:
        raise _extra_missing(error) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in order
    try:
        if fetch_only:
            _fetch(as_json=as_json)
        else:
            _run(port, data, as_json=as_json)
    except KeyboardInterrupt:
        return
    except UnreachableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except (ArtifactError, NodeError) as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
    except OSError as error:
        message = f"{error.strerror}: {error.filename}. Name a directory that can be written to with "
        message += "--data (for downloads: with XDG_CACHE_HOME)"
        raise CommandError(Exit.WRONG_USE, message) from error
    except ImportError as error:
        raise _extra_missing(error) from error


def _fetch(*, as_json: bool) -> None:
    from gateway.sandbox.broker import ensure_jars

    jars = ensure_jars()
    directory = jars[0].parent
    answer(
        f"Apache Kafka is complete: {len(jars)} verified jars in {directory}",
        {"jars": len(jars), "directory": str(directory)},
        as_json=as_json,
    )


def _run(port: int | None, data: Path | None, *, as_json: bool) -> None:
    from gateway.sandbox.broker import Node

    with Node(data, port=port) as node:
        answer(
            f"Apache Kafka serves at {node.bootstrap} (data in {node.data}); Ctrl-C ends it",
            {"bootstrap": node.bootstrap, "pid": node.pid, "data": str(node.data)},
            as_json=as_json,
        )
        node.wait()


def _extra_missing(error: ImportError) -> CommandError:
    return CommandError(
        Exit.WRONG_USE, f"the package {error.name} is missing: install the gateway with its extra `sandbox`"
    )
