"""Resolves the jars of Apache Kafka anew into the lock file: `python -m gateway.sandbox.broker.lock`.

Run by a person who changes a version below; nothing else resolves.
"""

import tempfile
from pathlib import Path

from jgo.env import LockFile
from jgo.maven import MavenContext

from gateway.sandbox.broker.artifacts import LOCK

# "!" takes each artifact's own POM as it is: without it log4j's managed versions put old
# kafka-clients and jackson under Kafka.
COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.3.0!",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!",
    "org.apache.logging.log4j:log4j-core:2.24.3!",
)
HEAD = """\
# The jars of the embedded Apache Kafka, as Maven resolves them.
# Written by `python -m gateway.sandbox.broker.lock`.
"""


def resolve() -> str:
    """The text of the lock file, without the time of writing, so that resolving twice changes nothing."""
    with tempfile.TemporaryDirectory() as repository:
        context = MavenContext(repo_cache=Path(repository))
        inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in COORDINATES])
        locked = LockFile.from_resolved_dependencies(inputs + transitive).dependencies
    entries = sorted((entry.to_dict() for entry in locked), key=lambda entry: (entry["groupId"], entry["artifactId"]))
    return HEAD + "".join(
        "\n[[dependencies]]\n" + "".join(f'{name} = "{value}"\n' for name, value in entry.items()) for entry in entries
    )


if __name__ == "__main__":
    LOCK.write_text(resolve(), encoding="utf-8")
