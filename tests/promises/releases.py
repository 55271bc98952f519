"""What a later release would do differently, for a gateway's own process: see docs/explanation/releases.md."""

import base64

from gateway import app
from gateway.core.metadata import FORMAT, CommitMetadata
from gateway.kafka import view_store
from tests.promises.patching import Named, replace

NAMED = Named()


@NAMED
def next_release() -> None:
    """It keeps its view in another format, and writes what this release reads."""
    replace(app, "__version__", "99.0.0")
    replace(view_store, "FORMAT", view_store.FORMAT + 1)


@NAMED
def release_after_next() -> None:
    """It commits metadata that the release before it reads, and this one does not."""
    next_release()

    def encode(self: CommitMetadata, offset: int) -> str:
        return _with_format(plain_encode(self, offset), FORMAT + 1)

    def decode(cls: type[CommitMetadata], text: str, offset: int) -> CommitMetadata:
        return plain_decode(_with_format(text, FORMAT), offset)

    plain_encode = replace(CommitMetadata, "encode", encode)
    plain_decode = replace(CommitMetadata, "decode", classmethod(decode))


def _with_format(text: str, number: int) -> str:
    raw = bytearray(base64.b64decode(text + "=" * (-len(text) % 4)))
    raw[0] = number
    return base64.b64encode(raw).rstrip(b"=").decode()
