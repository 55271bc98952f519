"""Where writer schemas come from, and the ids under which our own are registered.

Knows what a registry is asked for, and the registry that is a directory of files.
Must not know how a value is decoded or what happens to it.
"""

from __future__ import annotations

from typing import Any, Protocol

from gateway import schemas


class RegistryAway(Exception):  # noqa: N818 - a condition to wait out, not an error of the caller
    """The registry gave no answer to build on: wait and ask again, park nothing."""


class NotRegisteredError(Exception):
    """One of our own schemas is not in the registry."""


class Registry(Protocol):
    """Looks schemas up; whoever asks remembers the answers."""

    async def writer_schema(self, schema_id: int) -> Any | None:
        """The schema's JSON; None if the id is known to be absent.

        Raises RegistryAway, or avro.SchemaError for what is registered but can be no schema of ours.
        """

    async def id_of(self, name: str) -> int:
        """The id of one of our record kinds; raises RegistryAway or NotRegisteredError."""

    async def close(self) -> None:
        """Let go."""


class FileRegistry:
    """The schemas that this release was built with, by the ids in ids.json."""

    async def writer_schema(self, schema_id: int) -> Any | None:
        known = schemas.own().by_id.get(schema_id)
        return None if known is None else known.source

    async def id_of(self, name: str) -> int:
        return schemas.schema_id(name)

    async def close(self) -> None:
        return
