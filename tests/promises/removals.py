"""The steps that keep the promises, each taken out of the gateway by one function: its promise's test must then fail.

Patches for the gateway's own process (launch.py), or for that of a test which drives a part of it (tests/prove). What
core/ does is taken out in core_removals.py, what the lane's drivers do in driver_removals.py.
"""

import dataclasses
import logging
from typing import Any

from gateway import memory
from gateway.core import records
from gateway.core.entry import Entry
from gateway.kafka import intake
from gateway.kafka.codec import Codec, Undecodable
from gateway.observe import logs
from tests.promises import core_removals, driver_removals
from tests.promises.patching import Named, replace

NAMED = Named({**core_removals.NAMED, **driver_removals.NAMED})
NO_BOUND = 1 << 40

# --- 6: only allow-listed items leave -----------------------------------------------------------------------


@NAMED
def library_logs() -> None:
    """Libraries log what they want, as they want."""

    def configure(level: str) -> None:
        logging.basicConfig(level=logging.DEBUG)

    replace(logs, "configure", configure)


@NAMED
def unchecked_keys() -> None:
    """A record's key is copied although it is no subject_ref."""

    def failed(identity: Any, raw: Any, reason: Any) -> Any:
        return dataclasses.replace(plain_failed(identity, raw, reason), subject_ref=(raw.key or b"").decode())

    def provision_record(origin: Any, entry: Entry, *arguments: Any) -> Any:
        return {**plain_record(origin, entry, *arguments), "subject_ref": entry.record.subject_ref}

    plain_failed = replace(intake, "failed", failed)
    plain_record = replace(records, "provision_record", provision_record)


# --- 7: memory stays bounded --------------------------------------------------------------------------------


@NAMED
def no_byte_bounds() -> None:
    """Window and feed are bounded in records alone."""
    replace(memory, "share", lambda *_, **__: memory.Share(window=NO_BOUND, feed=NO_BOUND))


# --- 8: poison never blocks ---------------------------------------------------------------------------------


@NAMED
def poison_raises() -> None:
    """A value that can't be decoded is an exception."""

    def decode(self: Codec, topic: str, value: bytes | None) -> Any:
        decoded = plain(self, topic, value)
        if isinstance(decoded, Undecodable):
            raise ValueError("undecodable")
        return decoded

    plain = replace(Codec, "decode", decode)
