"""Which partition a key belongs to: the hash that Kafka's own clients use.

Knows murmur2. Must not know topics. aiokafka's own goes byte by byte and costs more than all else that is
done to produce a record; this one goes by words and remembers keys.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_U32 = 0xFFFFFFFF
KEYS_REMEMBERED = 16_384


@lru_cache(maxsize=KEYS_REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that every Kafka client with the default partitioner puts this key into."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """murmur2 as in org.apache.kafka.common.utils.Utils."""
    h = _SEED ^ len(data)
    whole = len(data) // 4
    for word in _words(whole).unpack_from(data):
        k = word * _M & _U32
        h = (h * _M & _U32) ^ ((k ^ k >> 24) * _M & _U32)
    if tail := data[4 * whole :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _U32
    h = (h ^ h >> 13) * _M & _U32
    return h ^ h >> 15


@cache  # keys are at most a few hundred words long
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")
