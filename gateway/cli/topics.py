"""`gateway topics ...`: the nine topics, created and checked, and who may do what with them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import AllowDevTopics, Bootstrap, Group, Prefix, ask_kafka, connect

app = typer.Typer(
    help="The topics on Kafka: create them, check their settings, say who may use them.", no_args_is_help=True
)


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
    from gateway.kafka.names import TopicNames
    from gateway.kafka.topics import CreateError, create_topics

    created, existing = ask_kafka(
        create_topics(
            connect(bootstrap),
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
    from gateway.kafka.names import TopicNames
    from gateway.kafka.topics import check_topics

    findings = ask_kafka(check_topics(connect(bootstrap), TopicNames(prefix), relaxed=allow_dev_topics))
    lines = [str(finding) for finding in findings] or [f"{bootstrap}: nothing wrong"]
    answer("\n".join(lines), {"findings": [asdict(finding) for finding in findings]}, as_json=as_json)
    if findings:
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def acls(
    *,
    users: Annotated[
        list[str] | None, typer.Option("--user", help="role=user of one who is called otherwise than the role.")
    ] = None,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    as_json: AsJson = False,
) -> None:
    """Print the least that each part must be allowed on Kafka, as commands for an administrator. Changes nothing.

    Example: gateway topics acls --user gateway=credit-gateway --user billing=billing-prod
    """
    from gateway.kafka.acls import Role, commands, least
    from gateway.kafka.names import TopicNames

    named = _users(users or ())
    lines, rows = [], []
    for role in Role:
        allowed, user = least(role, TopicNames(prefix), group), named.get(role.value, role.value)
        lines += [f"# {user}: {role.sentence}", *commands(allowed, user, bootstrap), ""]
        rows += [
            {
                "role": role.value,
                "user": user,
                "operation": acl.operation.word,
                "resource": acl.kind.name.lower(),
                "name": acl.name,
                "prefixed": acl.prefixed,
            }
            for acl in allowed
        ]
    answer("\n".join(lines).rstrip("\n"), {"acls": rows}, as_json=as_json)


def _users(given: Iterable[str]) -> dict[str, str]:
    from gateway.kafka.acls import Role

    named = dict(each.partition("=")[::2] for each in given)
    roles = [role.value for role in Role]
    for role, user in named.items():
        if role not in roles or not user:
            raise CommandError(Exit.WRONG_USE, f"--user {role}={user}: give role=user, role one of {', '.join(roles)}")
    return named
