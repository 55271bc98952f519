"""The embedded Apache Kafka, for the test that runs a real gateway."""

from tests.integration.conftest import kafka

__all__ = ["kafka"]
