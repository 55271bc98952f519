"""What the embedded node is told: server properties and logging. Knows no process and no file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
CONTROLLER = 1  # the id of a cluster's controller; a node that is alone has it too

LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a node is in a cluster of several: the controller, or one of `brokers` brokers."""

    cluster_id: str
    number: int
    controller_port: int
    brokers: int

    @property
    def is_controller(self) -> bool:
        """The first node decides, and serves no clients."""
        return self.number == CONTROLLER

    def properties(self, port: int) -> dict[str, str]:
        """What differs from a node that is alone: every internal topic lies on every broker."""
        controller = f"{HOST}:{self.controller_port}"
        shared = {
            "node.id": str(self.number),
            "controller.quorum.voters": f"{CONTROLLER}@{controller}",
            "offsets.topic.replication.factor": str(self.brokers),
            "transaction.state.log.replication.factor": str(self.brokers),
            "min.insync.replicas": "1",
        }
        role = "controller" if self.is_controller else "broker"
        listener = f"CONTROLLER://{controller}" if self.is_controller else f"CLIENTS://{HOST}:{port}"
        return {**shared, "process.roles": role, "listeners": listener, "advertised.listeners": listener}


def server_properties(data: Path, port: int, controller_port: int, extra: Mapping[str, str]) -> str:
    """One combined broker and controller that listens on this machine only; `extra` has the last word."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"CLIENTS://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"CLIENTS://{HOST}:{port}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "log.dirs": str(data / "log"),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        # A killed node may register again only after the session of its former life has ended.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    return "".join(f"{name}={value}\n" for name, value in {**properties, **extra}.items())
