"""Asks a Kafka broker, in its own protocol, whether it serves, and whom. Knows bytes and one socket only."""

import contextlib
import socket
import ssl
import struct

_METADATA = 3
_VERSION = 2
_MAX_ANSWER = 64 * 1024


def cluster_served(host: str, port: int, timeout: float, tls: ssl.SSLContext | None = None) -> str | None:
    """The cluster id, once a metadata request is answered with a live broker and a controller."""
    body = struct.pack(">hhihi", _METADATA, _VERSION, 1, -1, 0)  # correlation id 1, no client id, no topics
    try:
        with contextlib.ExitStack() as opened:
            connection = opened.enter_context(socket.create_connection((host, port), timeout))
            if tls is not None:
                connection = opened.enter_context(tls.wrap_socket(connection, server_hostname=host))
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as answers:
                (size,) = struct.unpack(">i", answers.read(4))
                return _served(answers.read(min(size, _MAX_ANSWER)))
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def accepts(host: str, port: int, timeout: float) -> bool:
    """Whether anything listens there."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return False
    return True


def _served(answer: bytes) -> str | None:
    _, brokers = struct.unpack_from(">ii", answer)
    at = 8
    for _ in range(brokers):
        (host_size,) = struct.unpack_from(">h", answer, at + 4)
        at += 4 + 2 + host_size + 4
        (rack_size,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack_size, 0)
    (id_size,) = struct.unpack_from(">h", answer, at)
    cluster = answer[at + 2 : at + 2 + max(id_size, 0)].decode()
    (controller,) = struct.unpack_from(">i", answer, at + 2 + max(id_size, 0))
    return cluster if brokers > 0 and controller >= 0 else None
