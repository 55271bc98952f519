"""How committed offsets lie in their internal topic: in which partition a group's are, and the bytes of its records.

Knows the layouts of Apache Kafka 4.3: OffsetCommitKey 1, OffsetCommitValue 4, GroupMetadataKey 2, GroupMetadataValue 4.
Nothing here is the gateway's, which reads them in its own way. Must not know what counts, or who remembers it.
"""

from __future__ import annotations

import struct
from functools import cache
from uuid import UUID

NAME = "__consumer_offsets"
PARTITIONS = 4
CONFIG = {"cleanup.policy": "compact", "compression.type": "producer", "message.timestamp.type": "CreateTime"}
_OFFSET_KEY, _OFFSET_VALUE = 1, 4
_GROUP_KEY, _GROUP_VALUE = 2, 4
_NO_LEADER_EPOCH = -1
_NO_TAGS, _NO_MEMBERS = b"\x00", b"\x01"
_TAGGED_ID = b"\x01\x00\x10"  # one tag, its number, its length
_SIGN, _RANGE = 1 << 31, 1 << 32


@cache
def partition_of(group: str, partitions: int = PARTITIONS) -> int:
    """By String.hashCode, without its sign; the one number that has no counterpart counts as 0."""
    encoded = group.encode("utf-16-le")
    units = struct.unpack(f"<{len(encoded) // 2}H", encoded)
    hashed = sum(unit * pow(31, place, _RANGE) for place, unit in enumerate(reversed(units))) % _RANGE
    return min(hashed, _RANGE - hashed) % _SIGN % partitions


def offset_key(group: str, topic: str, number: int) -> bytes:
    """Of the offset that a group has committed of a partition."""
    return struct.pack(">h", _OFFSET_KEY) + _text(group) + _text(topic) + struct.pack(">i", number)


def offset_value(offset: int, metadata: str, now: int, topic_id: UUID | None) -> bytes:
    """That offset, committed at a time in ms; of a commit outside of transactions with the topic's id."""
    head = struct.pack(">hqi", _OFFSET_VALUE, offset, _NO_LEADER_EPOCH)
    tags = _NO_TAGS if topic_id is None else _TAGGED_ID + topic_id.bytes
    return head + _compact(metadata) + struct.pack(">q", now) + tags


def group_key(group: str) -> bytes:
    """Of what is kept of a group's members."""
    return struct.pack(">h", _GROUP_KEY) + _text(group)


def group_value(protocol_type: str, generation: int, protocol: str, leader: str, now: int) -> bytes:
    """What is kept of a group at a time in ms, but for its members: no reader of offsets looks into it."""
    head = struct.pack(">h", _GROUP_VALUE) + _compact(protocol_type) + struct.pack(">i", generation)
    return head + _compact(protocol) + _compact(leader) + struct.pack(">q", now) + _NO_MEMBERS + _NO_TAGS


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _compact(text: str) -> bytes:
    """Behind its length plus one, seven bits at a time."""
    data = text.encode()
    size, left = bytearray(), len(data) + 1
    while left > 0x7F:
        size.append(0x80 | left & 0x7F)
        left >>= 7
    return bytes([*size, left]) + data
