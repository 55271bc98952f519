"""The requests that the simulated brokers speak, in exactly the versions that aiokafka and the gateway send.

Knows layouts alone. What a real broker offers beyond them is not offered, so that no client picks it.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce, transaction

from gateway.kafka import requests
from tests.coordinator_offsets import StableOffsetsRequestV7
from tests.simulation.broker.wire import reader, writer

_HEADER = struct.Struct(">hhih")
_CORRELATION = struct.Struct(">i")


class Api(IntEnum):
    """Kafka's names and keys of the requests."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_CONFIGS = 32


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a request."""

    api: Api
    version: int
    correlation_id: int
    client_id: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How one version of a request is read, and its answer written."""

    read: Callable[[bytes, int], Any]
    write: Callable[[Sequence[Any]], bytes]
    flexible: bool


def _layout(request: Any) -> Layout:
    read_fields = reader(request.SCHEMA)
    write_fields = writer(request.RESPONSE_TYPE.SCHEMA)
    make = namedtuple(request.__name__, request.SCHEMA.names)._make

    def read(data: bytes, at: int) -> Any:
        return make(read_fields(data, at)[0])

    def write(answer: Sequence[Any]) -> bytes:
        parts: list[bytes] = []
        write_fields(answer, parts.append)
        return b"".join(parts)

    return Layout(read, write, request.FLEXIBLE_VERSION)


SPOKEN = (
    produce.ProduceRequest_v7,
    fetch.FetchRequest_v11,
    offset.OffsetRequest_v3,
    metadata.MetadataRequest_v5,
    requests.TopicsRequestV12,
    commit.OffsetCommitRequest_v3,
    commit.OffsetFetchRequest_v3,
    StableOffsetsRequestV7,
    coordination.FindCoordinatorRequest_v1,
    group.JoinGroupRequest_v5,
    group.HeartbeatRequest_v1,
    requests.HeartbeatRequestV3,
    group.LeaveGroupRequest_v1,
    group.SyncGroupRequest_v3,
    requests.GroupRequestV3,
    admin.ApiVersionRequest_v0,
    admin.CreateTopicsRequest_v3,
    transaction.InitProducerIdRequest_v0,
    transaction.AddPartitionsToTxnRequest_v0,
    transaction.AddOffsetsToTxnRequest_v0,
    transaction.EndTxnRequest_v0,
    transaction.TxnOffsetCommitRequest_v0,
    admin.DescribeConfigsRequest_v2,
)
LAYOUTS = {(Api(request.API_KEY), request.API_VERSION): _layout(request) for request in SPOKEN}


def _ranges() -> list[tuple[int, int, int]]:
    versions: dict[int, list[int]] = {}
    for api, version in LAYOUTS:
        versions.setdefault(api.value, []).append(version)
    return [(api, min(those), max(those)) for api, those in sorted(versions.items())]


VERSIONS = _ranges()


def read_request(frame: bytes) -> tuple[Header, Layout, Any]:
    """A request's head and body; KeyError for a version that is not offered."""
    api, version, correlation_id, client_size = _HEADER.unpack_from(frame)
    at = _HEADER.size + max(client_size, 0)
    layout = LAYOUTS[Api(api), version]
    header = Header(Api(api), version, correlation_id, frame[_HEADER.size : at].decode())
    return header, layout, layout.read(frame, at + layout.flexible)


def answer_frame(header: Header, layout: Layout, answer: Sequence[Any]) -> bytes:
    """An answer as it goes over the wire, its size first."""
    body = layout.write(answer)
    tags = b"\0" if layout.flexible else b""
    return _CORRELATION.pack(4 + len(tags) + len(body)) + _CORRELATION.pack(header.correlation_id) + tags + body
