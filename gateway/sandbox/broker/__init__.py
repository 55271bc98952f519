"""A real Apache Kafka from Python packages alone: a `Node`, or a `Cluster` of them, is all that others need."""

from gateway.sandbox.broker.artifacts import ArtifactError, UnreachableError, WrongArtifactError, ensure_jars
from gateway.sandbox.broker.cluster import Cluster
from gateway.sandbox.broker.node import Node, NodeError

__all__ = ["ArtifactError", "Cluster", "Node", "NodeError", "UnreachableError", "WrongArtifactError", "ensure_jars"]
