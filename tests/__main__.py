"""`python -m tests [pytest arguments]`: every test, on one embedded Apache Kafka shared by the workers."""

import os
import subprocess
import sys

from gateway.sandbox.broker import ArtifactError, Node, NodeError

# A file stays on one worker, so that what its tests share is built once. Three on two cores: tests wait a lot.
WORKERS = ["-n", "3", "--dist", "loadfile"]


def run(arguments: list[str]) -> int:
    try:
        with Node() as node:
            environment = {**os.environ, "TEST_KAFKA": node.bootstrap}
            command = [sys.executable, "-m", "pytest", *WORKERS, *arguments]
            return subprocess.run(command, env=environment, check=False).returncode
    except (ArtifactError, NodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 3


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
