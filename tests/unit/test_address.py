"""Where health and metrics listen: whether they can is found before anything starts, with host and port told apart."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from gateway.address import look_at_address, unusable
from gateway.cli import app
from gateway.findings import Severity
from gateway.observe.health import address_error
from gateway.sandbox import pki as pkis

NOBODY = "127.0.0.1:9"  # the discard port: nothing listens there
NOT_OURS = "192.0.2.1"  # of documents: no machine has it
BOUND_S = 60


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """All that must be set, with a Kafka that is away, and an address and a view that can't be had."""
    keys = pkis.make(tmp_path / "pki")
    who = {"NAME": "見本", "ADDRESS": "見本市", "REPRESENTATIVE": "見本 花子"}
    values = {
        "KAFKA__BOOTSTRAP_SERVERS": NOBODY,
        "KAFKA__ALLOW_DEV_TOPICS": "true",
        "GENIE__BASE_URL": f"https://{NOBODY}",
        "GENIE__CA_FILE": str(keys.ca),
        "GENIE__CLIENT_CERT_FILE": str(keys.client),
        "GENIE__CLIENT_KEY_FILE": str(keys.client_key),
        "GENIE__SIGNING_KEY_FILE": str(keys.norel_ed25519),
        "GENIE__SIGNING_KEY_ID": pkis.NOREL_ED25519_ID,
        "GENIE__ANSWER_KEY_FILES": orjson.dumps(
            {pkis.GENIE_ED25519_ID: str(pkis.public_half(keys.genie_ed25519))}
        ).decode(),
        "KEYS__IDEMPOTENCY_KEY_FILE": str(keys.idempotency_key),
        "KEYS__PSEUDONYM_KEY_FILE": str(keys.pseudonym_key),
        "OBSERVE__HOST": NOT_OURS,
        "VIEW__PATH": "/proc/view",
        **{f"{part}__{name}": value for part in ("RECIPIENT", "PROVIDER") for name, value in who.items()},
    }
    return {f"GATEWAY_{name}": value for name, value in values.items()}


@pytest.mark.parametrize("host", [NOT_OURS, "a..b", "x" * 300])
def test_a_host_that_is_not_ours_is_to_blame(host: str) -> None:
    """The port may be right: the finding is about the host, says what the system said, and what to do."""
    (finding,) = look_at_address({"observe.host": host, "observe.port": 9464})
    assert (finding.severity, finding.setting) == (Severity.PROBLEM, "observe.host")
    assert finding.found.startswith(f"found {host!r}: ")
    assert "GATEWAY_OBSERVE__HOST" in finding.needed


def test_a_port_that_is_taken_is_a_warning_to_a_check(taken: int) -> None:
    """A gateway may be running there; to one that starts it is a problem, in the same words."""
    (finding,) = look_at_address({"observe.host": "127.0.0.1", "observe.port": taken})
    assert (finding.severity, finding.setting) == (Severity.WARNING, "observe.port")
    assert finding.found == f"found {taken} on 127.0.0.1: Address already in use"
    error = address_error("127.0.0.1", taken)
    assert error is not None
    started = unusable("127.0.0.1", taken, error)
    assert started.severity is Severity.PROBLEM
    assert (started.found, started.needed) == (finding.found, finding.needed)


def test_an_address_that_can_be_had_is_left_free(taken: int) -> None:
    """Nothing is found, twice in a row; of what is wrong by itself nothing more is said."""
    right = {"observe.host": "127.0.0.1", "observe.port": 0}
    assert look_at_address(right) == look_at_address(right) == []
    assert look_at_address({"observe.port": taken}) == []


def test_serve_and_check_say_it_in_one_list_with_all_else(environment: Mapping[str, str]) -> None:
    """Address, view and Kafka together, in the same words."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "gateway", "serve"]
    env = {**inherited, **environment}
    served = subprocess.run(command, env=env, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert served.returncode == 2, served.stderr
    found = [line.strip() for line in served.stderr.splitlines()[1:]]
    assert [line.partition(":")[0] for line in found] == ["view.path", "observe.host", "kafka.bootstrap_servers"]
    checked = CliRunner().invoke(app, ["check"], env=dict(environment))
    assert checked.exit_code == 1
    assert [line.partition(": ")[2] for line in checked.output.splitlines()] == found


def test_it_is_said_beside_settings_that_are_wrong(environment: Mapping[str, str]) -> None:
    """The first list is whole."""
    wrong = {**environment, "GATEWAY_GENIE__BATCH": "many"}
    checked = CliRunner().invoke(app, ["check", "--json"], env=wrong)
    assert checked.exit_code == 1
    settings = [finding["setting"] for finding in orjson.loads(checked.stdout)["findings"]]
    assert settings == ["genie.batch", "view.path", "observe.host"]
