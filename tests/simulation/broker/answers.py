"""Which function answers which request, and what an error of each looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.broker import answers_cluster as cluster
from tests.simulation.broker import answers_data as data
from tests.simulation.broker import answers_groups as groups
from tests.simulation.broker import answers_transactions as transactions
from tests.simulation.broker.api import Api, Header
from tests.simulation.broker.cluster_state import ClusterState
from tests.simulation.broker.errors import Error
from tests.simulation.broker.node import Answer, Node

Serve = Callable[[ClusterState, Node, Header, Any, Answer], None]
Refuse = Callable[[Any, Error], Sequence[Any]]

ANSWERS: dict[Api, tuple[Serve, Refuse]] = {
    Api.PRODUCE: (data.produce, data.refuse_produce),
    Api.FETCH: (data.fetch, data.refuse_fetch),
    Api.LIST_OFFSETS: (data.list_offsets, data.refuse_list_offsets),
    Api.METADATA: (cluster.metadata, cluster.refuse_metadata),
    Api.OFFSET_COMMIT: (groups.offset_commit, groups.refuse_offset_commit),
    Api.OFFSET_FETCH: (groups.offset_fetch, groups.refuse_offset_fetch),
    Api.FIND_COORDINATOR: (cluster.find_coordinator, cluster.refuse_find_coordinator),
    Api.JOIN_GROUP: (groups.join_group, groups.refuse_join_group),
    Api.HEARTBEAT: (groups.heartbeat, transactions.refuse_code),
    Api.LEAVE_GROUP: (groups.leave_group, transactions.refuse_code),
    Api.SYNC_GROUP: (groups.sync_group, groups.refuse_sync_group),
    Api.DESCRIBE_GROUPS: (groups.describe_groups, groups.refuse_describe_groups),
    Api.API_VERSIONS: (cluster.api_versions, lambda _request, error: (error, [])),
    Api.CREATE_TOPICS: (cluster.create_topics, cluster.refuse_create_topics),
    Api.INIT_PRODUCER_ID: (transactions.init_producer_id, transactions.refuse_init_producer_id),
    Api.ADD_PARTITIONS_TO_TXN: (transactions.add_partitions_to_txn, transactions.refuse_add_partitions_to_txn),
    Api.ADD_OFFSETS_TO_TXN: (transactions.add_offsets_to_txn, transactions.refuse_code),
    Api.END_TXN: (transactions.end_txn, transactions.refuse_code),
    Api.TXN_OFFSET_COMMIT: (transactions.txn_offset_commit, transactions.refuse_txn_offset_commit),
    Api.DESCRIBE_CONFIGS: (cluster.describe_configs, cluster.refuse_describe_configs),
}


def answers_of(state: ClusterState) -> tuple[Callable[..., None], Callable[..., Sequence[Any]]]:
    """What a connection calls: to serve a request, and to refuse it."""

    def serve(node: Node, header: Header, request: Any, answer: Answer) -> None:
        ANSWERS[header.api][0](state, node, header, request, answer)

    def refuse(_node: Node, header: Header, request: Any, error: Error) -> Sequence[Any]:
        return ANSWERS[header.api][1](request, error)

    return serve, refuse
