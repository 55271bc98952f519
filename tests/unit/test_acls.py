"""Who may do what on Kafka: what is given is the least, and the commands say exactly that."""

import shlex

import orjson
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.kafka.acls import CLUSTER_NAME, REPLAY_TRANSACTIONS, Acl, Kind, Operation, Role, commands, least
from gateway.kafka.names import TopicNames

NAMES = TopicNames("p.")
GROUP = "the-group"


def parsed(command: str) -> set[tuple[str, Acl]]:
    """What a kafka-acls.sh command allows: (principal, operation on resource)."""
    words = shlex.split(command)
    assert words[0] == "kafka-acls.sh"
    pairs = list(zip(words, [*words[1:], ""], strict=True))
    principal = next(value for option, value in pairs if option == "--allow-principal")
    operation = next(each for each in Operation for option, value in pairs if (option, value) == _op(each))
    prefixed = ("--resource-pattern-type", "prefixed") in pairs
    kinds = {kind.option: kind for kind in Kind}
    return {
        (principal, Acl(operation, kind, CLUSTER_NAME if kind is Kind.CLUSTER else value, prefixed))
        for option, value in pairs
        if (kind := kinds.get(option)) is not None
    }


def _op(operation: Operation) -> tuple[str, str]:
    return "--operation", operation.word


@pytest.mark.parametrize("role", Role)
def test_the_commands_allow_exactly_what_is_least(role: Role) -> None:
    """Read back, the printed commands are the data, for a user whose name a shell would take apart too."""
    user = "CN=some one,O=x"
    acls = least(role, NAMES, GROUP)
    allowed = [pair for command in commands(acls, user, "b:1") for pair in parsed(command)]
    assert set(allowed) == {(f"User:{user}", acl) for acl in acls}
    assert len(allowed) == len(acls)


def test_nobody_but_its_owner_writes_to_a_topic() -> None:
    """Each topic has one writer at most; but that the audit is written by all who are watched by it."""
    writers: dict[str, list[Role]] = {}
    for role in Role:
        for acl in least(role, NAMES, GROUP):
            if acl.operation is Operation.WRITE and acl.kind is Kind.TOPIC:
                writers.setdefault(acl.name, []).append(role)
    assert writers == {
        NAMES.payments: [Role.BILLING],
        NAMES.scores: [Role.SCORING],
        NAMES.consents: [Role.CONSENTS],
        NAMES.intents: [Role.GATEWAY],
        NAMES.ledger: [Role.GATEWAY],
        NAMES.parked: [Role.GATEWAY],
        NAMES.replays: [Role.ON_CALL],
        NAMES.controls: [Role.ON_CALL],
        NAMES.audit: [Role.GATEWAY, Role.ON_CALL, Role.AUDITOR],
    }


def test_only_the_gateway_and_on_call_read_inputs() -> None:
    """Names, addresses and birth dates are in the inputs: the auditor can not read them, on-call shows them masked."""
    readers = {
        role
        for role in Role
        for acl in least(role, NAMES, GROUP)
        if acl.operation is Operation.READ and acl.name in (NAMES.payments, NAMES.scores)
    }
    assert readers == {Role.GATEWAY, Role.ON_CALL}


def test_the_command_prints_them_for_other_names() -> None:
    """`gateway topics acls` takes users, prefix and group, prints commands or JSON, and needs no Kafka."""
    run = CliRunner().invoke
    options = ["topics", "acls", "--bootstrap", "b:1", "--prefix", "p.", "--group", GROUP]
    printed = run(app, [*options, "--user", "billing=bill-1"])
    assert printed.exit_code == 0
    assert "User:bill-1 --operation Write --topic p.lease.payments" in printed.stdout
    rows = orjson.loads(run(app, [*options, "--json"]).stdout)["acls"]
    assert {row["role"] for row in rows} == {role.value for role in Role}
    ids, replays = [row for row in rows if row["resource"] == "transactional_id"]
    assert (ids["operation"], ids["name"], ids["prefixed"]) == ("Write", f"{GROUP}-", True)
    assert (replays["role"], replays["name"], replays["prefixed"]) == ("on-call", REPLAY_TRANSACTIONS, True)


@pytest.mark.parametrize("user", ["nobody=x", "billing=", "billing"])
def test_a_role_that_does_not_exist_is_refused(user: str) -> None:
    """A misspelt role is no role that silently keeps its default."""
    ended = CliRunner().invoke(app, ["topics", "acls", "--user", user])
    assert ended.exit_code != 0
    assert "billing, scoring" in str(ended.exception)
