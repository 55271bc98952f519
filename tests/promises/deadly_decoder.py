"""`python -m tests.promises.deadly_decoder`: the gateway's decoder child, with records that it does not survive."""

import os
import signal
from typing import Any

from gateway.kafka import decoder_child
from gateway.kafka.codec import Codec
from tests.promises.patching import replace

ENDS_PROCESS, HANGS, TAKES_MEMORY, TALKS = b"ends-the-process", b"hangs", b"takes-memory", b"talks"


def die_of_marked_records() -> None:
    """Decoding a value with one of the marks in it does what the mark says."""

    def decode(self: Codec, topic: str, value: bytes | None) -> Any:
        if value is not None and ENDS_PROCESS in value:
            os.kill(os.getpid(), signal.SIGSEGV)
        if value is not None and HANGS in value:
            signal.pause()
        if value is not None and TAKES_MEMORY in value:
            bytearray(decoder_child.MEMORY_BYTES)
        if value is not None and TALKS in value:
            while True:
                os.write(1, b"x" * 65_536)
        return plain(self, topic, value)

    plain = replace(Codec, "decode", decode)


if __name__ == "__main__":
    die_of_marked_records()
    decoder_child.main()
