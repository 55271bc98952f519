"""A Kafka node with TLS, logins and an authorizer, and an administrator who gives and takes permissions."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from gateway.cli.lanes_audit import auditing
from gateway.kafka.acls import Acl, Role, least
from gateway.kafka.authorized import lacking
from gateway.kafka.cluster import EARLIEST
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import create_topics
from gateway.kafka_login import kafka_connection
from gateway.oncall.audit import Operator
from gateway.sandbox.broker import Node
from gateway.sandbox.broker.secured import Secured
from gateway.sections import KafkaSettings
from tests.integration.waiting import until

PASSWORDS = {role.value: f"canary-{role.value}" for role in Role}
BY_CERTIFICATE = "gateway-by-certificate"
BOUND_S = 20
_ALLOW, _LITERAL, _PREFIXED, _ANY_HOST = 3, 3, 4, "*"


class Guarded:
    """The node, what a user of it needs, and its administrator."""

    def __init__(self, node: Node, secured: Secured, prefix: str) -> None:
        self.node = node
        self.secured = secured
        self.names = TopicNames(prefix)
        self.group = f"{prefix}gateway"
        self.mtls = f"127.0.0.1:{node.mtls_port}"
        for user, password in PASSWORDS.items():
            self.password_file(user).write_text(f"{password}\n")

    def password_file(self, user: str) -> Path:
        return self.secured.directory / f"{user}.password"

    @property
    def admin(self) -> KafkaConnection:
        """The super user."""
        return KafkaConnection(self.mtls, "admin", "SSL", self.secured.tls)

    def connection(self, settings: Mapping[str, str]) -> KafkaConnection:
        """As a gateway or a command with these settings."""
        return kafka_connection(
            KafkaSettings(**{name.removeprefix("kafka__"): each for name, each in settings.items()})
        )

    def by_password(self, user: str) -> Mapping[str, str]:
        """The settings of a gateway that logs in by password."""
        return {
            "kafka__bootstrap_servers": self.node.bootstrap,
            "kafka__security_protocol": "SASL_SSL",
            "kafka__ca_file": str(self.secured.ca),
            "kafka__sasl_username": user,
            "kafka__sasl_password_file": str(self.password_file(user)),
        }

    def by_certificate(self, name: str) -> Mapping[str, str]:
        """The settings of one that logs in by certificate."""
        return {
            "kafka__bootstrap_servers": self.mtls,
            "kafka__security_protocol": "SSL",
            "kafka__ca_file": str(self.secured.ca),
            "kafka__client_cert_file": str(self.secured.certificate(name)),
            "kafka__client_key_file": str(self.secured.key(name)),
        }

    def least(self, role: Role) -> tuple[Acl, ...]:
        """What a role needs here."""
        return least(role, self.names, self.group)

    async def prepare(self) -> None:
        """Make the topics, give every role the least, and start the lanes as the gateway's own user."""
        await create_topics(self.admin, self.names, partitions=1, relaxed=True)
        for role in Role:
            await self.allow(role.value, self.least(role))
        await self.allow(BY_CERTIFICATE, self.least(Role.GATEWAY))
        as_gateway = self.connection(self.by_password("gateway"))
        async with as_gateway.client() as client:
            await lacks(client, self.least(Role.GATEWAY), [])
        async with auditing(as_gateway, self.names, "", Operator("ann", "test", "T-1")) as note:
            await start_lanes(as_gateway, self.names, self.group, EARLIEST, force=False, note=note)

    async def allow(self, user: str, acls: Iterable[Acl]) -> None:
        """Give permissions."""
        async with self.admin.client() as client:
            for acl in acls:
                answer = await client.send(client.get_random_node(), CreateAclsRequest(*_entry(user, acl)))
                assert [code for code, _ in answer.creation_responses] == [0]

    async def forbid(self, user: str, acl: Acl) -> None:
        """Take one away."""
        async with self.admin.client() as client:
            answer = await client.send(client.get_random_node(), DeleteAclsRequest(*_entry(user, acl)))
            assert [(code, len(matched)) for code, _, matched in answer.filter_responses] == [(0, 1)]


async def lacks(client: AIOKafkaClient, acls: Iterable[Acl], missing: list[Acl]) -> None:
    """Wait until a user lacks exactly these: brokers apply a change a moment after the controller has it."""
    wanted = list(acls)

    async def so() -> bool:
        return await lacking(client, wanted) == missing

    await until(so, BOUND_S, f"lacking exactly {[str(acl) for acl in missing]}")


def _entry(user: str, acl: Acl) -> tuple[int, str, int, str, str, int, int]:
    pattern = _PREFIXED if acl.prefixed else _LITERAL
    return acl.kind.value, acl.name, pattern, f"User:{user}", _ANY_HOST, acl.operation.value, _ALLOW
