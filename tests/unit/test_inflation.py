"""Compressed batches: what fits is unpacked, what does not is refused before it takes the memory."""

import tracemalloc
from collections.abc import Iterator

import pytest
from aiokafka import codec
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from gateway.kafka import inflation
from gateway.kafka.troubles import InflationError

CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
ENCODERS = {
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "snappy whole": lambda payload: codec.snappy_encode(payload, xerial_compatible=False),
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}
BOMB_BYTES = 4 * inflation.MAX_INFLATED_BYTES
decoders = {name: getattr(inflation, f"inflate_{name.split()[0]}") for name in ENCODERS}


@pytest.fixture
def installed() -> Iterator[None]:
    """The gateway's readers, taken back afterwards."""
    before = {(m, n): getattr(m, n) for m in (default_records, legacy_records) for n in dir(m) if n.endswith("_decode")}
    inflation.install()
    yield
    for (module, name), plain in before.items():
        setattr(module, name, plain)


@pytest.mark.parametrize("name", ENCODERS)
def test_what_fits_is_unpacked(name: str) -> None:
    """Every codec gives back what was packed, to the last byte that is allowed."""
    for size in (0, 1, 100_000, inflation.MAX_INFLATED_BYTES):
        payload = bytes(index % 251 for index in range(min(size, 10_000))) * (size // 10_000 or 1)
        payload = payload.ljust(size, b"x")[:size]
        assert decoders[name](ENCODERS[name](payload)) == payload


@pytest.mark.parametrize("name", ENCODERS)
def test_a_bomb_is_refused_in_bounded_memory(name: str) -> None:
    """What unpacks to more is refused, and never takes as much memory as it would have."""
    bomb = ENCODERS[name](bytes(BOMB_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(InflationError):
            decoders[name](bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < BOMB_BYTES


@pytest.mark.parametrize("name", ENCODERS)
def test_damage_is_refused(name: str) -> None:
    """Half of a batch, or none of its codec, is an error of Kafka's like any other."""
    whole = bytes(ENCODERS[name](b"some payload that is long enough" * 100))
    for damaged in (whole[: len(whole) // 2], b"\xff\xff\xff\xffgarbage"):
        with pytest.raises(InflationError):
            decoders[name](damaged)


@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.usefixtures("installed")
def test_aiokafka_reads_by_it(kind: int) -> None:
    """A batch of either sort goes through aiokafka's own reader: one that no longer asks us turns this red."""
    for size, fits in ((1_000, True), (BOMB_BYTES, False)):
        builder = DefaultRecordBatchBuilder(2, kind, 0, -1, -1, 0, size + 1_000)
        builder.append(0, timestamp=0, key=b"k", value=bytes(size), headers=[])
        batches = MemoryRecords(bytes(builder.build()))
        if fits:
            assert [len(record.value) for record in batches.next_batch()] == [size]
        else:
            with pytest.raises(InflationError):
                list(batches.next_batch())
