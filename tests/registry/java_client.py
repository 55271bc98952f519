"""docs/examples/SendPayment.java, run as it stands by a Java that can compile, with the real client libraries."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from gateway.sandbox.broker.artifacts import ensure_jars, locked_jars

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "SendPayment.java"
LOCK = Path(__file__).with_name("avro.lock.toml")
RUN_S = 90.0


async def send_payment(kafka: str, registry: str, topic: str, subject: str) -> str:
    """Where it says that the payment lies."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        if os.environ.get("CI"):
            raise AssertionError("no JDK: install Java 17 or later with its compiler")
        pytest.skip("no JDK: the example in Java needs Java 17 or later with its compiler")
    jars = [*ensure_jars(), *ensure_jars(jars=locked_jars(LOCK), what="Apache Avro")]
    process = await asyncio.create_subprocess_exec(
        java,
        "-XX:TieredStopAtLevel=1",
        "-cp",
        ":".join(map(str, jars)),
        str(EXAMPLE),
        kafka,
        registry,
        topic,
        subject,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_S):
            said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complained.decode()
    return said.decode().strip()
