"""A strict GeNiE in a thread of its own, for commands that run in the test's; and what is in its books."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from gateway.core.identity import b64url
from gateway.sandbox.genie import Sandbox
from gateway.sandbox.genie.answer import Wire
from gateway.sandbox.genie.books import First, Status
from gateway.sandbox.genie.faults import Point
from tests.integration.gateway_world import Gate


class GenieBeside:
    """`with GenieBeside(directory) as genie:` runs it."""

    def __init__(self, directory: Path) -> None:
        self.sandbox = Sandbox(directory)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="genie")
        self._open = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open.enter_async_context(self.sandbox))
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._open.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def keep(self, key: str, record: dict[str, Any], **changes: Any) -> None:
        """Put into the books what this ledger record says, but for the changes."""
        receipt = record["receipt"] or {"received_at": record["settled_at"]}
        told = {
            "seq": 1,
            "status": Status.ACCEPTED,
            "origin": b64url(bytes(32)),
            "source_digest": b64url(record["source_digest"]),
            "body_digest": b64url(record["body_digest"] or bytes(32)),
            "received_at_ms": receipt["received_at"],
        }
        books(self.sandbox)[key] = First(**(told | changes))

    def judge(self, key: str) -> None:
        """It has read this key in a request and will never have judged it."""
        running(self.sandbox).books._in_progress.append(frozenset([key]))

    @contextmanager
    def holding_lookups(self) -> Iterator[threading.Event]:
        """No lookup is answered meanwhile; the event tells that one has come."""
        gate = _Gate()
        self.sandbox.faults.active = {"gate": gate}
        try:
            yield gate.reached
        finally:
            self._loop.call_soon_threadsafe(gate.open)
            self.sandbox.faults.active = {}

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


class _Gate(Gate):
    def __init__(self) -> None:
        super().__init__(Point.BEFORE_JUDGING)
        self.reached = threading.Event()

    async def act(self, wire: Wire, chance: random.Random) -> None:
        self.reached.set()
        await super().act(wire, chance)


def books(sandbox: Sandbox) -> dict[str, First]:
    """What it took under each key, to be changed behind everybody's back."""
    return running(sandbox).books._kept


def running(sandbox: Sandbox) -> Any:
    """The parts of it, while it runs."""
    assert sandbox._running is not None
    return sandbox._running
