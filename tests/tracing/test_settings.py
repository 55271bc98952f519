"""Settings of tracing: what is wrong is named, with what was found and what to change."""

import os
import sys
from pathlib import Path

import pytest

from gateway import memory
from gateway.files import look_at_tracing
from gateway.mistakes import Problem
from gateway.sandbox import pki as pkis
from gateway.sections import TracingSettings
from gateway.settings import Settings, SettingsError, load

ENDPOINT = "http://otel-collector:4318/v1/traces"


@pytest.fixture
def problems(pki: pkis.Pki, monkeypatch: pytest.MonkeyPatch):
    """What load() finds wrong with variables of [tracing] beside right ones of the rest."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    right = {
        "KAFKA__BOOTSTRAP_SERVERS": "kafka-0:9092",
        "GENIE__BASE_URL": "https://genie.example",
        "GENIE__CA_FILE": str(pki.ca),
        "GENIE__CLIENT_CERT_FILE": str(pki.client),
        "GENIE__CLIENT_KEY_FILE": str(pki.client_key),
        "GENIE__SIGNING_KEY_FILE": str(pki.norel_ed25519),
        "GENIE__SIGNING_KEY_ID": "norel-2026-1",
        "GENIE__ANSWER_KEY_FILES": f'{{"genie-2026-1": "{pki.ca}"}}',
        "KEYS__IDEMPOTENCY_KEY_FILE": str(pki.idempotency_key),
        "KEYS__PSEUDONYM_KEY_FILE": str(pki.pseudonym_key),
    }
    right |= {
        f"{who}__{what}": "見本" for who in ("RECIPIENT", "PROVIDER") for what in ("NAME", "ADDRESS", "REPRESENTATIVE")
    }

    def found(**variables: str) -> dict[str, Problem]:
        for name, value in (right | variables).items():
            monkeypatch.setenv(f"GATEWAY_{name}", value)
        try:
            load()
        except SettingsError as error:
            return {problem.setting: problem for problem in error.problems}
        return {}

    return found


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("ENDPOINT", "otel-collector:4317", "http:// or https://, host, and the path"),
        ("ENDPOINT", "grpc://otel-collector:4317", "http:// or https://, host, and the path"),
        ("RATIO", "1.5", "a number from 0 to 1"),
        ("RATIO", "-0.1", "a number from 0 to 1"),
        ("RATIO", "nan", "a number from 0 to 1"),
        ("RATIO", "all", "a number from 0 to 1"),
        ("CA_FILE", "/nowhere/ca.pem", "the path of a file that is there"),
        ("TRUST_PRODUCERS", "perhaps", "true or false"),
    ],
)
def test_a_wrong_value_is_named(problems, variable: str, value: str, allowed: str) -> None:
    """With the values that it takes, and the variable to change."""
    found = problems(**{"TRACING__ENDPOINT": ENDPOINT, f"TRACING__{variable}": value})
    (problem,) = found.values()
    assert problem.setting == f"tracing.{variable.lower()}"
    assert f"allowed: {allowed}" in problem.needed
    assert f"GATEWAY_TRACING__{variable}" in problem.needed


def test_what_is_set_for_spans_that_go_nowhere_is_a_mistake(problems) -> None:
    """Somebody believes that there are traces."""
    (problem,) = problems(TRACING__RATIO="0.5").values()
    assert problem.found == "found 0.5, but without tracing.endpoint nothing is traced"
    assert problem.needed == "set GATEWAY_TRACING__ENDPOINT or unset GATEWAY_TRACING__RATIO"


def test_an_authority_for_a_connection_without_tls_is_a_mistake(problems, pki: pkis.Pki) -> None:
    """Somebody believes that it is encrypted."""
    (problem,) = problems(TRACING__ENDPOINT=ENDPOINT, TRACING__CA_FILE=str(pki.ca)).values()
    assert problem.found == f"found {pki.ca}, but tracing.endpoint has no TLS"
    assert "GATEWAY_TRACING__CA_FILE" in problem.needed


def test_spans_have_their_share_of_the_memory_budget(problems) -> None:
    """The least that can be set is more with them."""
    least = memory.least_bytes(64)
    variables = {"MEMORY_BYTES": str(least), "GENIE__CONNECTIONS": "64"}
    assert problems(**variables) == {}
    (problem,) = problems(**variables, TRACING__ENDPOINT=ENDPOINT).values()
    assert str(least + memory.TRACING_BYTES) in problem.found


def settings(**tracing: object) -> Settings:
    return Settings.model_construct(tracing=TracingSettings.model_validate(tracing))


def test_what_is_right_is_let_through(pki: pkis.Pki) -> None:
    """Off, and on with and without TLS."""
    assert look_at_tracing(settings()) == []
    assert look_at_tracing(settings(endpoint=ENDPOINT)) == []
    assert look_at_tracing(settings(endpoint="https://otel-collector/v1/traces", ca_file=pki.ca)) == []


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts, by `check` and by `serve`."""
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "gateway.observe.tracing"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    (finding,) = look_at_tracing(settings(endpoint=ENDPOINT))
    assert finding.setting == "tracing.endpoint"
    assert "install credit-gateway[tracing]" in finding.needed


def test_an_authority_that_is_none_is_found(tmp_path: Path) -> None:
    """Nothing of the file is quoted."""
    file = tmp_path / "ca.pem"
    file.write_text("canary-5512")
    (finding,) = look_at_tracing(settings(endpoint="https://otel-collector/v1/traces", ca_file=file))
    assert finding.setting == "tracing.ca_file"
    assert "canary" not in str(finding)
