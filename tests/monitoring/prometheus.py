"""A real Prometheus that scrapes gateways and evaluates rules, every second."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gateway.sandbox.broker.node import free_port
from gateway.sandbox.leash import popen
from tests.integration.waiting import until

EVERY = "1s"
START_S = 30.0
FIRES_S = 60.0  # far above what any alert takes
ASK_S = 5.0
LOOK_S = 0.3

Firing = tuple[str, str, str]  # job, alert, severity


class Prometheus:
    """`async with` starts and ends it; `targets` are HOST:PORT by job."""

    def __init__(self, program: Path, rules: str, targets: Mapping[str, str], directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._address = f"127.0.0.1:{free_port()}"
        self.seen: dict[Firing, dict[str, Any]] = {}  # every alert that ever fired, as it was first shown
        self.firing: set[Firing] = set()  # at the last look
        (directory / "rules.yaml").write_text(rules, "utf-8")
        scraped = [
            {
                "job_name": job,
                "static_configs": [{"targets": [target], "labels": {"namespace": "test", "instance": job}}],
            }
            for job, target in targets.items()
        ]
        times = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
        settings = {"global": times, "rule_files": ["rules.yaml"], "scrape_configs": scraped}
        (directory / "prometheus.yaml").write_text(json.dumps(settings), "utf-8")  # YAML takes all of JSON

    async def __aenter__(self) -> Self:
        with (self._directory / "prometheus.log").open("wb") as log:
            command = [
                *(self._program, f"--config.file={self._directory / 'prometheus.yaml'}"),
                *(f"--storage.tsdb.path={self._directory / 'data'}", f"--web.listen-address={self._address}"),
            ]
            self._process = popen(command, output=log)
        await until(self._look, START_S, f"Prometheus: {self._directory / 'prometheus.log'}")
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def fires(self, job: str, alert: str, severity: str) -> None:
        """Wait until it has fired."""
        expected = (job, alert, severity)
        await until(lambda: expected in self.seen, FIRES_S, f"{expected} fires; seen: {sorted(self.seen)}")

    async def settles(self, expected: set[Firing]) -> None:
        """Wait until exactly these fire."""
        try:
            await until(lambda: self.firing == expected, FIRES_S, "exactly the expected alerts fire")
        except AssertionError as error:
            raise AssertionError(f"{error}: {sorted(self.firing)}") from None

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> bool:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            alerts = (await asyncio.to_thread(self._ask))["data"]["alerts"]
            firing = {_name(alert["labels"]): alert for alert in alerts if alert["state"] == "firing"}
            self.firing = set(firing)
            self.seen = firing | self.seen
            return True
        return False

    def _ask(self) -> Any:
        with urllib.request.urlopen(f"http://{self._address}/api/v1/alerts", timeout=ASK_S) as answer:
            return json.loads(answer.read())


def _name(labels: Mapping[str, str]) -> Firing:
    return labels.get("job", ""), labels["alertname"], labels["severity"]
