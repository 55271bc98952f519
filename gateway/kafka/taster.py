"""Finds out whether the decoder survives a record, in a child process that may die in its stead.

Knows the child, and its bounds in time, memory and output. Must not know why a lane is wary, or what becomes of a
record. Costs nothing until a lane is wary: only then is the child started, and it ends when nobody asks any more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Protocol

from gateway.core.events import EventType
from gateway.kafka.codec import Codec
from gateway.kafka.decoder_child import ALIVE, Request

COMMAND = (sys.executable, "-m", "gateway.kafka.decoder_child")
START_BOUND_S = 30.0
TASTE_BOUND_S = 10.0  # for what takes well under a millisecond
TRIES = 2  # fresh children: what else may kill one, as a machine short of memory, is no fault of the record
IDLE_S = 30.0


class TasterFailedError(Exception):
    """No child process could be started: nothing is known about the record."""


class Tasted(Protocol):
    """What is read of a consumed record."""

    topic: str
    key: bytes | None
    value: bytes | None


class Taster:
    """One child at a time, for the topics of one codec."""

    def __init__(self, codec: Codec, event_type: EventType | None = None) -> None:
        self._codec = codec
        self._event_type = None if event_type is None else event_type.code
        self._one_at_a_time = asyncio.Lock()  # lanes of a topic share it
        self._child: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def dies_of(self, raw: Tasted) -> bool:
        """Whether a child dies of decoding it, or goes past a bound; raises RegistryAway, TasterFailedError."""
        source = await self._codec.source(raw.value)
        if source is None or raw.value is None:
            return False
        try:
            text = json.dumps(source)
        except RecursionError:
            return False  # a schema nested so deep is refused before any value of it is decoded
        line = Request(self._codec.kind(raw.topic), self._event_type, text, raw.key, raw.value).line()
        async with self._one_at_a_time:
            for _ in range(TRIES):
                if await self._survives(line):
                    return False
        return True

    async def close(self) -> None:
        """End the child, if there is one, and wait for its end."""
        child = self._child
        self._end()
        if child is not None:
            await child.communicate()  # to the end of what it said, which frees the pipes

    async def _survives(self, line: bytes) -> bool:
        try:
            child = self._child or await self._start()
            survived = await _answers(child, line, TASTE_BOUND_S)
        except BaseException:  # a lane that lets go: the answer still to come would be taken for the next record's
            self._end()
            raise
        if survived:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._end)
            return True
        await self.close()
        return False

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()

    async def _start(self) -> Process:
        path = os.pathsep.join(sys.path)  # and nothing else: what the environment says of secrets stays here
        try:
            child = await asyncio.create_subprocess_exec(
                *COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"PYTHONPATH": path}
            )
        except OSError as error:
            raise TasterFailedError(f"no child process for decoding: {error.strerror}") from None
        self._child = child
        if not await _answers(child, b"", START_BOUND_S):
            await self.close()
            raise TasterFailedError(
                f"the child process for decoding did not start within {START_BOUND_S:g} s: "
                "check memory and process limits of this machine"
            )
        return child


async def _answers(child: Process, line: bytes, bound_s: float) -> bool:
    """Whether the child gives its one byte within the bound."""
    if child.stdin is None or child.stdout is None:
        raise AssertionError("started with pipes")
    try:
        async with asyncio.timeout(bound_s):
            child.stdin.write(line)
            await child.stdin.drain()
            return await child.stdout.readexactly(1) == ALIVE
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return False
