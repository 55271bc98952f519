"""`gateway topics ...`: the eight topics, created and checked."""

from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import Exit
from gateway.cli.kafka_options import (
    CLIENT_ID,
    AllowDevTopics,
    Bootstrap,
    Prefix,
    ask_kafka,
)

app = typer.Typer(help="The topics on Kafka: create them, check their settings.", no_args_is_help=True)


@app.command()
def create(
    *,
    bootstrap: Bootstrap,
    prefix: Prefix,
    partitions: Annotated[int, typer.Option(min=1, max=1_000, help="Of each busy topic; the others get one.")] = 6,
    allow_dev_topics: AllowDevTopics,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing, with the settings that the promises need. Changes none that exists.

    Example: gateway topics create --partitions 12
    """
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.names import TopicNames
    from gateway.kafka.topics import CreateError, create_topics

    created, existing = ask_kafka(
        create_topics(
            KafkaConnection(bootstrap, CLIENT_ID),
            TopicNames(prefix),
            partitions=partitions,
            relaxed=allow_dev_topics,
        ),
        (CreateError,),
    )
    lines = [f"created {topic}" for topic in created] + [f"there already: {topic}" for topic in existing]
    answer("\n".join(lines), {"created": created, "existing": existing}, as_json=as_json)


@app.command()
def check(
    *,
    bootstrap: Bootstrap,
    prefix: Prefix,
    allow_dev_topics: AllowDevTopics,
    as_json: AsJson = False,
) -> None:
    """Say which settings of topics and brokers break a promise, and the command that mends each.

    Example: gateway topics check --bootstrap kafka-1:9092
    """
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.names import TopicNames
    from gateway.kafka.topics import check_topics

    connection = KafkaConnection(bootstrap, CLIENT_ID)
    findings = ask_kafka(check_topics(connection, TopicNames(prefix), relaxed=allow_dev_topics))
    lines = [str(finding) for finding in findings] or [f"{bootstrap}: nothing wrong"]
    answer("\n".join(lines), {"findings": [asdict(finding) for finding in findings]}, as_json=as_json)
    if findings:
        raise typer.Exit(Exit.FOUND_WRONG)
