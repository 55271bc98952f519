"""Answers to the requests of transactional producers.

Knows their layouts, and which coordinator each is for. Must not know how transactions work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.broker.answers_groups import committed_in
from tests.simulation.broker.api import Header
from tests.simulation.broker.cluster_state import ClusterState
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.node import Answer, Node

# What a group's coordinator says when the transaction's could not tell whether the offsets are in the transaction.
_ASK_AGAIN = {Error.CONCURRENT_TRANSACTIONS, Error.COORDINATOR_NOT_AVAILABLE}


def _trouble(state: ClusterState, node: Node, transactional_id: str) -> Error:
    return state.coordinators.trouble(Kind.TRANSACTION, transactional_id, node.node_id)


def init_producer_id(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """An id for a producer; of a transactional one the next epoch."""
    if request.transactional_id is None:
        answer((0, Error.NONE, state.transactions.new_producer_id(), 0))
        return
    if error := _trouble(state, node, request.transactional_id):
        answer(refuse_init_producer_id(request, error))
        return
    answer((0, *state.transactions.init_producer_id(request.transactional_id, request.transaction_timeout_ms)))


def refuse_init_producer_id(_request: Any, error: Error) -> Sequence[Any]:
    """No id."""
    return 0, error, -1, -1


def add_partitions_to_txn(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Partitions that will be written to."""
    if error := _trouble(state, node, request.transactional_id):
        answer(refuse_add_partitions_to_txn(request, error))
        return
    places = [(topic, number) for topic, numbers in request.topics for number in numbers]
    errors = state.transactions.add_partitions(
        request.transactional_id, request.producer_id, request.producer_epoch, places
    )
    rows = [(topic, [(number, errors[topic, number]) for number in numbers]) for topic, numbers in request.topics]
    answer((0, rows))


def refuse_add_partitions_to_txn(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return 0, [(topic, [(number, error) for number in numbers]) for topic, numbers in request.topics]


def add_offsets_to_txn(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """A group whose offsets will be committed."""
    error = _trouble(state, node, request.transactional_id) or state.transactions.add_group(
        request.transactional_id, request.producer_id, request.producer_epoch, request.group_id
    )
    answer((0, error))


def txn_offset_commit(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Offsets that are committed with the transaction."""
    error = state.coordinators.trouble(Kind.GROUP, request.group_id, node.node_id)
    if not error:
        error = state.verify(request.transactional_id, request.producer_id, request.producer_epoch, request.group_id)
        error = Error.COORDINATOR_LOAD_IN_PROGRESS if error in _ASK_AGAIN else error
    if error:
        answer(refuse_txn_offset_commit(request, error))
        return
    offsets, errors = committed_in(state, request)
    errors |= state.offsets.hold(request.group_id, request.producer_id, request.producer_epoch, offsets)
    answer((0, [(topic, [(row[0], errors[topic, row[0]]) for row in rows]) for topic, rows in request.topics]))


def refuse_txn_offset_commit(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return 0, [(topic, [(number, error) for number, *_ in rows]) for topic, rows in request.topics]


def end_txn(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Commit or abort."""
    error = _trouble(state, node, request.transactional_id) or state.transactions.end(
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        commit=request.transaction_result,
    )
    answer((0, error))


def refuse_code(_request: Any, error: Error) -> Sequence[Any]:
    """For answers that are one error code."""
    return 0, error
