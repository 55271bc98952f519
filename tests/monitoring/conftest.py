"""The embedded Apache Kafka of the run, for what needs one."""

from tests.integration.conftest import kafka

__all__ = ["kafka"]
