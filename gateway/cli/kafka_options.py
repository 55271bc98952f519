"""Options that every command which talks to Kafka takes, and what becomes of its errors."""

from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from gateway.cli.errors import CommandError, Exit

Bootstrap = Annotated[
    str, typer.Option(envvar="GATEWAY_KAFKA__BOOTSTRAP_SERVERS", help="Brokers to start from, host:port.")
]
Prefix = Annotated[str, typer.Option(envvar="GATEWAY_TOPICS__PREFIX", help="Put before each topic's name.")]
Group = Annotated[str, typer.Option(envvar="GATEWAY_KAFKA__GROUP_ID", help="The gateway's consumer group.")]
AllowDevTopics = Annotated[
    bool,
    typer.Option(
        "--allow-dev-topics",
        envvar="GATEWAY_KAFKA__ALLOW_DEV_TOPICS",
        help="Accept one broker without replication; never in production.",
    ),
]
DEFAULT_BOOTSTRAP = "localhost:9092"
DEFAULT_GROUP = "credit-gateway"
CLIENT_ID = "credit-gateway-cli"

T = TypeVar("T")


def ask_kafka(call: Coroutine[Any, Any, T], refusals: tuple[type[Exception], ...] = ()) -> T:
    """Run a call to Kafka; what it raises becomes the message and exit status of the command."""
    import asyncio

    from gateway.kafka.cluster import TopicMissingError
    from gateway.kafka.connection import KafkaUnavailableError

    try:
        return asyncio.run(call)
    except KafkaUnavailableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except Exception as error:
        if isinstance(error, (TopicMissingError, *refusals)):
            raise CommandError(Exit.FOUND_WRONG, str(error)) from error
        raise
