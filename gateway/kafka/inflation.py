"""A compressed batch is unpacked within a bound, whatever it holds.

The topics that we read must have compression.type=uncompressed, so that brokers refuse what unpacks to more than a
message may be (kafka/topics.py). Somebody may change that while we run: 2 KB can then become 64 MB inside aiokafka,
and 1 MB tens of gigabytes. Knows the codecs and aiokafka's record readers. Must not know topics or records.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cramjam
from aiokafka.record._crecords import default_records, legacy_records

from gateway.kafka.troubles import InflationError

MAX_INFLATED_BYTES = 16 << 20  # of one batch
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_SIZE = struct.Struct(">i")


def inflate_gzip(payload: Any) -> bytes:
    """Unpack a gzip batch."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(payload)) as packed:
            inflated = packed.read(MAX_INFLATED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InflationError(f"a damaged gzip batch: {type(error).__name__}") from None
    return _within_bound(inflated)


def inflate_zstd(payload: Any) -> bytes:
    """Unpack a zstd batch."""
    return _into_buffer(cramjam.zstd.decompress_into, payload)


def inflate_lz4(payload: Any) -> bytes:
    """Unpack an lz4 batch."""
    return _into_buffer(cramjam.lz4.decompress_into, payload)


def inflate_snappy(payload: Any) -> bytes:
    """Unpack a snappy batch, in blocks as Java's library writes it, or whole."""
    raw = bytes(payload)
    inflated = bytearray()
    try:
        for block in _snappy_blocks(raw):
            if len(inflated) + cramjam.snappy.decompress_raw_len(block) > MAX_INFLATED_BYTES:
                raise _too_far()
            inflated += bytes(cramjam.snappy.decompress_raw(block))
    except (cramjam.DecompressionError, struct.error) as error:
        raise InflationError(f"a damaged snappy batch: {type(error).__name__}") from None
    return bytes(inflated)


def _snappy_blocks(raw: bytes) -> Iterator[bytes]:
    if not raw.startswith(_XERIAL_MAGIC):
        yield raw
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(raw):
        (size,) = _SIZE.unpack_from(raw, at)
        at += _SIZE.size
        if size <= 0:
            raise InflationError("a damaged snappy batch: an empty block")
        yield raw[at : at + size]
        at += size


def _into_buffer(decompress_into: Callable[[Any, bytearray], int], payload: Any) -> bytes:
    buffer = bytearray(MAX_INFLATED_BYTES)
    try:
        size = decompress_into(payload, buffer)
    except cramjam.DecompressionError:  # it says no more of a full buffer than of damage
        raise InflationError(f"a batch that is damaged, or unpacks to more than {MAX_INFLATED_BYTES} bytes") from None
    return bytes(memoryview(buffer)[:size])


def _within_bound(inflated: bytes) -> bytes:
    if len(inflated) > MAX_INFLATED_BYTES:
        raise _too_far()
    return inflated


def _too_far() -> InflationError:
    return InflationError(f"a batch that unpacks to more than {MAX_INFLATED_BYTES} bytes")


_OURS: Mapping[str, Callable[[Any], bytes]] = {
    "gzip_decode": inflate_gzip,
    "snappy_decode": inflate_snappy,
    "lz4_decode": inflate_lz4,
    "zstd_decode": inflate_zstd,
}


def install() -> None:
    """Make it so for every record that this process reads; once is enough, more does no harm."""
    for reader in (default_records, legacy_records):
        for name in _OURS.keys() & vars(reader).keys():
            setattr(reader, name, _OURS[name])
