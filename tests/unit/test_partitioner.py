"""Our murmur2 against the one that aiokafka ships."""

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from gateway.kafka.partitioner import murmur2, partition_of


@given(st.binary(max_size=80))
def test_the_hash_is_the_one_of_kafkas_clients(data: bytes) -> None:
    """Any key hashes as every Kafka client hashes it."""
    assert murmur2(data) == reference(data)


def test_a_key_always_has_a_partition() -> None:
    """Keys spread over all partitions and never fall outside them."""
    used = {partition_of(f"subject-{number}".encode(), 7) for number in range(200)}
    assert used == set(range(7))
