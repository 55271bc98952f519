"""Options that every command which talks to Kafka takes, and what becomes of its errors.

What is not given as an option comes from its variable, else from the file of GATEWAY_CONFIG, as for the gateway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.http_registry import HttpRegistry, RegistryLogin

DEFAULT_BOOTSTRAP = "localhost:9092"
DEFAULT_GROUP = "credit-gateway"
CLIENT_ID = "credit-gateway-cli"
COMPLETING = "_GATEWAY_COMPLETE"  # set while a shell asks what a line may go on with


def set_or(setting: str, default: str) -> Callable[[], str]:
    """What the file of GATEWAY_CONFIG sets, so that a command and the gateway beside it mean the same Kafka."""

    def value() -> str:
        if COMPLETING in os.environ:  # a Tab is quick, and a mistake in the settings must not print into the line
            return default
        from gateway.settings import SettingsError, found

        try:
            return found().get(setting, (default, ""))[0]
        except SettingsError as error:
            raise CommandError(Exit.WRONG_USE, str(error)) from None

    return value


Bootstrap = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_KAFKA__BOOTSTRAP_SERVERS",
        default_factory=set_or("kafka.bootstrap_servers", DEFAULT_BOOTSTRAP),
        show_default=DEFAULT_BOOTSTRAP,
        help="Brokers to start from, host:port.",
    ),
]
Prefix = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_TOPICS__PREFIX",
        default_factory=set_or("topics.prefix", ""),
        show_default=False,
        help="Put before each topic's name.",
    ),
]
Group = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_KAFKA__GROUP_ID",
        default_factory=set_or("kafka.group_id", DEFAULT_GROUP),
        show_default=DEFAULT_GROUP,
        help="The gateway's consumer group.",
    ),
]
Registry = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar="GATEWAY_SCHEMAS__REGISTRY_URL",
        default_factory=set_or("schemas.registry_url", ""),
        show_default=False,
        help="URL of the schema registry; none: the files of this release.",
    ),
]
AllowDevTopics = Annotated[
    bool,
    typer.Option(
        "--allow-dev-topics",
        envvar="GATEWAY_KAFKA__ALLOW_DEV_TOPICS",
        default_factory=lambda: set_or("kafka.allow_dev_topics", "False")() == "True",
        show_default=False,
        help="Accept one broker without replication; never in production.",
    ),
]

T = TypeVar("T")


def connect(bootstrap: str) -> KafkaConnection:
    """How to reach these brokers, with the login that the gateway beside this command has."""
    from gateway.kafka_login import kafka_connection
    from gateway.settings import SettingsError, load_kafka

    try:
        return kafka_connection(load_kafka(bootstrap_servers=bootstrap, client_id=CLIENT_ID))
    except SettingsError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None


def login_at(registry: str) -> RegistryLogin:
    """How to log in at this registry, as the gateway beside this command does; nothing is needed without one."""
    from gateway.kafka.http_registry import NOBODY
    from gateway.registry_login import registry_login
    from gateway.settings import SettingsError, load_schemas

    try:
        return registry_login(load_schemas(registry_url=registry)) if registry else NOBODY
    except SettingsError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None


def ask_kafka(call: Coroutine[Any, Any, T], refusals: tuple[type[Exception], ...] = ()) -> T:
    """Run a call to Kafka; what it raises becomes the message and exit status of the command."""
    import asyncio

    from gateway.kafka.cluster import TopicMissingError
    from gateway.kafka.connection import KafkaRefusedError, KafkaUnavailableError

    try:
        return asyncio.run(call)
    except KafkaRefusedError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
    except KafkaUnavailableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except Exception as error:
        if isinstance(error, (TopicMissingError, *refusals)):
            raise CommandError(Exit.FOUND_WRONG, str(error)) from error
        raise


def ask_registry(url: str, prefix: str, call: Callable[[HttpRegistry], Coroutine[Any, Any, T]]) -> T:
    """Run a call to the registry there; what it raises becomes the message and exit status of the command."""
    import asyncio

    from gateway.kafka.http_registry import HttpRegistry
    from gateway.kafka.names import TopicNames
    from gateway.kafka.registry import NotRegisteredError, RegistryAway
    from gateway.kafka.subjects import RefusedError

    if not re.fullmatch(r"https?://[^\s@]+", url):
        needed = "give --registry or GATEWAY_SCHEMAS__REGISTRY_URL its http or https URL, without a user"
        raise CommandError(Exit.WRONG_USE, f"no schema registry: {needed}")

    login = login_at(url)

    async def ask() -> T:
        registry = HttpRegistry.of(url, TopicNames(prefix), login)
        try:
            return await call(registry)
        finally:
            await registry.close()

    try:
        return asyncio.run(ask())
    except RegistryAway as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except (NotRegisteredError, RefusedError) as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
