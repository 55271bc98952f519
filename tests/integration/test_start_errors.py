"""How `gateway serve` starts: ready once it works, else one message that names the setting or part and the remedy."""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.kafka.cluster import EARLIEST
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import create_topics
from gateway.kafka.view_store import Origin, ViewStore
from gateway.sandbox import pki as pkis
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.waiting import until

BOUND_S = 60
NOBODY = "127.0.0.1:9"  # the discard port: nothing listens there


@dataclass(frozen=True, slots=True)
class Start:
    """How a start ended."""

    status: int
    said: str

    def has(self, status: int, *words: str) -> None:
        """It ended with this status, and one message that says all of this."""
        assert self.status == status, self.said
        assert self.said.startswith("error: "), self.said
        assert "Traceback" not in self.said
        for word in words:
            assert word in self.said


class Place:
    """Topics, lanes and keys with which a gateway could start."""

    def __init__(self, kafka: str, directory: Path) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.directory = directory
        self.keys = pkis.make(directory / "pki")
        self.settings = self._settings(kafka)
        connection, names = KafkaConnection(kafka, "test"), TopicNames(self.prefix)
        asyncio.run(create_topics(connection, names, partitions=1, relaxed=True))
        asyncio.run(start_lanes(connection, names, self.prefix + "group", EARLIEST, force=False))

    def start(self, settings: Mapping[str, str]) -> Start:
        """Start it with exactly these settings, wait for its end."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        ended = subprocess.run(
            [sys.executable, "-m", "gateway", "serve"],
            env=inherited | {f"GATEWAY_{name.upper()}": value for name, value in settings.items()},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            check=False,
        )
        return Start(ended.returncode, ended.stderr)

    def start_with(self, **changes: str) -> Start:
        """Start it with these settings changed."""
        return self.start(self.settings | changes)

    def _settings(self, kafka: str) -> dict[str, str]:
        keys = self.keys
        return {
            "kafka__bootstrap_servers": kafka,
            "kafka__group_id": self.prefix + "group",
            "kafka__allow_dev_topics": "true",
            "topics__prefix": self.prefix,
            "genie__base_url": f"https://{NOBODY}",
            "genie__ca_file": str(keys.ca),
            "genie__client_cert_file": str(keys.client),
            "genie__client_key_file": str(keys.client_key),
            "genie__signing_key_file": str(keys.norel_ed25519),
            "genie__signing_key_id": pkis.NOREL_ED25519_ID,
            "genie__answer_key_files": f'{{"{pkis.GENIE_ED25519_ID}": "{pkis.public_half(keys.genie_ed25519)}"}}',
            "recipient__name": "GeNiE株式会社",
            "recipient__address": "東京都架空区架空一丁目1-1",
            "recipient__representative": "架空 受子",
            "provider__name": "株式会社 IDOM CaaS Technology",
            "provider__address": "東京都架空区架空二丁目2-2",
            "provider__representative": "架空 渡子",
            "keys__idempotency_key_file": str(keys.idempotency_key),
            "keys__pseudonym_key_file": str(keys.pseudonym_key),
            "view__path": str(self.directory / "view"),
            "observe__host": "127.0.0.1",
            "observe__port": "0",
        }


@pytest.fixture(scope="module")
def place(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One place for all starts: none of them changes it."""
    return Place(kafka, tmp_path_factory.mktemp("start"))


@fault(
    Where.SETTINGS,
    "a setting that is needed is missing",
    does="does not start; names every missing setting, its variable and what it is, in one list",
    seen="exit status 2; the list on stderr",
)
def test_without_settings_all_that_is_needed_is_named(place: Place) -> None:
    """The first start of a newcomer: every required setting, its variable, and that a file may hold them."""
    place.start({}).has(2, "GATEWAY_RECIPIENT__ADDRESS", "GATEWAY_KEYS__PSEUDONYM_KEY_FILE", "GATEWAY_CONFIG", "TOML")


def test_the_record_keeping_duty_is_no_option(place: Place) -> None:
    """Without the recipient's address and representative nothing is provided, since no record could name them."""
    left_out = {"recipient__address", "recipient__representative"}
    settings = {name: value for name, value in place.settings.items() if name not in left_out}
    place.start(settings).has(2, "missing; set GATEWAY_RECIPIENT__ADDRESS", "set GATEWAY_RECIPIENT__REPRESENTATIVE")


def test_a_broker_that_is_away(place: Place) -> None:
    """Kafka can't be reached: status 3, with the address."""
    place.start_with(kafka__bootstrap_servers=NOBODY).has(3, NOBODY, "Check that the brokers are up")


def test_a_registry_that_is_away(place: Place) -> None:
    """The schema registry can't be reached: status 3, with the address."""
    place.start_with(schemas__registry_url=f"http://{NOBODY}").has(3, NOBODY, "check its URL")


@fault(
    Where.SETTINGS,
    "several settings and files are wrong at once",
    does="does not start; one list has each of them: setting, what was found, what is allowed, the variable to change",
    seen="exit status 2, or 1 of `gateway check`, which prints the same list and starts nothing",
)
def test_all_mistakes_come_in_one_list(place: Place, tmp_path: Path) -> None:
    """Misspelt, mistyped, out of range, contradictory, a secret in its file's place, wrong files: all at once."""
    (tmp_path / "empty.pem").touch()
    (tmp_path / "policy.yaml").write_text("recipient_id: genie\n")
    wrong = {
        "kafak__group_id": "x",
        "kafka__bootstrap_servers": "kafka://broker",
        "genie__base_url": "http://genie.example",
        "genie__batch": "many",
        "genie__skew_ms": "20000",
        "genie__ca_file": str(tmp_path / "empty.pem"),
        "lane__drain_ms": "59000",
        "topics__prefix": "a b",
        "keys__idempotency_key_file": "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE=",
        "view__path": str(tmp_path / "empty.pem" / "view"),
        "policy_file": str(tmp_path / "policy.yaml"),
    }
    told = (
        "GATEWAY_KAFAK__GROUP_ID: no such setting; did you mean kafka.group_id",
        "kafka.bootstrap_servers: found 'kafka://broker'; allowed: host:port",
        "genie.base_url: found 'http://genie.example'; allowed: https://host",
        "genie.batch: found 'many'; allowed: whole numbers from 1 to 500",
        "genie.skew_ms: found 20000: at most 15000, because genie.expires_ms is 30000",
        "genie.ca_file, genie.client_cert_file, genie.client_key_file: ",
        "lane.drain_ms: found 59000: at most 30000",
        "topics.prefix: found 'a b'; allowed: letters",
        "keys.idempotency_key_file: found text that names no file (not shown",
        "view.path: found ",
        f"policy_file: policy: {tmp_path / 'policy.yaml'} line 1",
    )
    ended = place.start_with(**wrong)
    ended.has(2, "can't start", *told)
    assert len(ended.said.splitlines()) == 1 + len(told), ended.said
    assert "Y2FuYXJ5" not in ended.said
    variables = {f"GATEWAY_{name.upper()}": value for name, value in (place.settings | wrong).items()}
    checked = CliRunner().invoke(app, ["check"], env=variables)
    assert checked.exit_code == 1
    assert all(f"problem: {line.strip()}" in checked.output for line in ended.said.splitlines()[1:])


@fault(
    Where.SETTINGS,
    "topics are missing, or of another prefix",
    does="does not start; names each and the command that creates them",
    seen="exit status 2; `topics: ... is missing`",
)
def test_topics_that_are_not_there(place: Place) -> None:
    """Every missing topic, and the command that creates them here."""
    bootstrap = place.settings["kafka__bootstrap_servers"]
    command = f"gateway topics create --bootstrap {bootstrap} --prefix absent. --allow-dev-topics"
    place.start_with(topics__prefix="absent.").has(2, "absent.lease.payments", "absent.consent.records", command)


@fault(
    Where.SETTINGS,
    "a topic's settings break a promise",
    does="does not start; names topic, setting, what was found and needed, and the command that mends it",
    seen="exit status 2; `topics: ... is X, needed: Y`",
)
def test_topics_of_one_node_in_production(place: Place) -> None:
    """Without the leave for development one broker is too few: the setting, what it is, what it must be."""
    ended = place.start_with(kafka__allow_dev_topics="false")
    ended.has(2, "min.insync.replicas is 1, needed: at least 2", "kafka-configs.sh")


@fault(
    Where.SETTINGS,
    "a consumer group that never started here, or a misspelt one",
    does="does not start and guesses no offset",
    seen="exit status 2; `no committed offset`, with the `gateway lanes init` command",
)
def test_lanes_without_a_start(place: Place) -> None:
    """A group that was never initialised is not guessed at."""
    command = "gateway lanes init --group never-seen --from earliest"
    place.start_with(kafka__group_id="never-seen").has(2, "no committed offset", command)


@fault(
    Where.SETTINGS,
    "a key or certificate file is empty, cut short or of the wrong kind",
    does="does not start; names setting, file and what it must be, and shows nothing of what is in it",
    seen="exit status 2; a line for each file",
)
@pytest.mark.parametrize(
    ("setting", "content", "words"),
    [
        ("keys__idempotency_key_file", b"%%%", "one line of base64"),
        ("keys__pseudonym_key_file", b"c2hvcnQ=", "at least 32 are needed"),
        ("genie__signing_key_file", b"not PEM", "PEM private key"),
        ("genie__ca_file", b"not PEM", "PEM certificates"),
    ],
)
def test_a_wrong_key_file_is_named_with_its_setting(
    place: Place, tmp_path: Path, setting: str, content: bytes, words: str
) -> None:
    """The setting, the file, and what it must be; never what is in it."""
    file = tmp_path / "wrong.key"
    file.write_bytes(content)
    ended = place.start_with(**{setting: str(file)})
    ended.has(2, setting.replace("__", "."), str(file), words)
    assert content.decode() not in ended.said


def test_a_private_key_where_a_public_one_belongs(place: Place) -> None:
    """The setting, and what kind of key is expected."""
    wrong = f'{{"{pkis.GENIE_ED25519_ID}": "{place.keys.genie_ed25519}"}}'
    place.start_with(genie__answer_key_files=wrong).has(2, "genie.answer_key_files", "PEM public key")


def test_a_key_where_the_policy_belongs_is_not_shown(place: Place) -> None:
    """Whatever file is named by mistake, no message quotes it."""
    key = place.keys.pseudonym_key
    ended = place.start_with(policy_file=str(key))
    ended.has(2, "policy_file", "found")
    assert key.read_text("ascii").strip() not in ended.said


async def test_ready_means_that_lanes_are_open(place: Place, tmp_path: Path) -> None:
    """The first yes of /ready comes when the group has assigned lanes and all of them work."""
    settings = {f"GATEWAY_{name.upper()}": value for name, value in place.settings.items()}
    async with GatewayProcess(settings, tmp_path / "gateway.log") as gateway:
        port = (await gateway.says("observing"))["port"]

        async def ready() -> bool:
            return await asyncio.to_thread(_says_yes, port)

        await until(ready, BOUND_S, "ready")
        lanes = (await gateway.status())["lanes"]
    assert len(lanes) == 3
    assert all("watermark" in view for view in lanes.values())


def _says_yes(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


@fault(
    Where.SETTINGS,
    "the policy file is about another recipient than the settings",
    does="does not start",
    seen="exit status 2; `recipient.id: found ..., but the policy is about ...`",
)
def test_a_policy_about_somebody_else(place: Place) -> None:
    """The recipient of the settings is the policy's, or nothing starts."""
    place.start_with(recipient__id="other").has(2, "recipient.id", "other", "GATEWAY_POLICY_FILE")


@pytest.fixture
def taken_port() -> Iterator[str]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@fault(
    Where.SETTINGS,
    "the port of metrics and health is taken",
    does="does not start",
    seen="exit status 2; `observe.port: found ...`",
)
def test_a_port_that_is_taken(place: Place, taken_port: str) -> None:
    """The port, and the setting that changes it."""
    place.start_with(observe__port=taken_port).has(2, taken_port, "GATEWAY_OBSERVE__PORT")


@fault(
    Where.SETTINGS,
    "the directory of the consent view can't be written",
    does="does not start",
    seen="exit status 2; `view.path: found ...`",
)
def test_a_view_that_can_not_be_written(place: Place, tmp_path: Path) -> None:
    """The setting and the path."""
    file = tmp_path / "file"
    file.touch()
    place.start_with(view__path=str(file)).has(2, "view.path", str(file))


@fault(
    Where.SETTINGS,
    "two processes are given one directory for the view",
    does="the second does not start",
    seen="exit status 2; `view.path: another process uses the consent view`",
)
def test_a_view_of_another_process(place: Place, tmp_path: Path) -> None:
    """Two processes never share a view."""
    store = ViewStore.open(tmp_path / "view", Origin("cluster", {}), now=0, max_idle_ms=60_000)
    try:
        place.start_with(view__path=str(tmp_path / "view")).has(2, "view.path", "a directory of its own")
    finally:
        store.close()
