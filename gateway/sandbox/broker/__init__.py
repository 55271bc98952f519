"""A real Apache Kafka node from Python packages alone: `Node` is all that others need."""

from gateway.sandbox.broker.artifacts import ArtifactError, UnreachableError, WrongArtifactError, ensure_jars
from gateway.sandbox.broker.node import Node, NodeError

__all__ = ["ArtifactError", "Node", "NodeError", "UnreachableError", "WrongArtifactError", "ensure_jars"]
