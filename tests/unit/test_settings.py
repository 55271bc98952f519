"""Settings: what is wrong is named, with what was found and what to do; nothing wrong gets through or crashes."""

import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from gateway import memory
from gateway.cli import app
from gateway.settings import REQUIRED, Settings, SettingsError, found, load, load_kafka, reference


@pytest.fixture
def right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An environment in which everything that is required is set; the test changes variables (None: unset)."""
    for name in list(os.environ):
        if name.upper().startswith("GATEWAY_"):
            monkeypatch.delenv(name)
    file = tmp_path / "a.pem"
    file.write_text("-")
    values = {
        "KAFKA__BOOTSTRAP_SERVERS": "kafka-0:9092,kafka-1:9092",
        "GENIE__BASE_URL": "https://genie.example:8443",
        "GENIE__CA_FILE": str(file),
        "GENIE__CLIENT_CERT_FILE": str(file),
        "GENIE__CLIENT_KEY_FILE": str(file),
        "GENIE__SIGNING_KEY_FILE": str(file),
        "GENIE__SIGNING_KEY_ID": "norel-2026-1",
        "GENIE__ANSWER_KEY_FILES": orjson.dumps({"genie-2026-1": str(file)}).decode(),
        "RECIPIENT__NAME": "GeNiE株式会社",
        "RECIPIENT__ADDRESS": "東京都",
        "RECIPIENT__REPRESENTATIVE": "代表",
        "PROVIDER__NAME": "株式会社 IDOM CaaS Technology",
        "PROVIDER__ADDRESS": "東京都",
        "PROVIDER__REPRESENTATIVE": "代表",
        "KEYS__IDEMPOTENCY_KEY_FILE": str(file),
        "KEYS__PSEUDONYM_KEY_FILE": str(file),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)

    def change(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(f"GATEWAY_{name}", raising=False)
            else:
                monkeypatch.setenv(f"GATEWAY_{name}", value)

    return change


def problems() -> dict[str, str]:
    """What load() finds wrong: setting -> the rest of the message."""
    with pytest.raises(SettingsError) as refused:
        load()
    assert all(str(problem) in str(refused.value) for problem in refused.value.problems)
    return {problem.setting: f"{problem.found}; {problem.needed}" for problem in refused.value.problems}


def test_what_is_required_is_enough(right) -> None:
    """With all required settings the rest has defaults."""
    settings = load()
    assert settings.kafka.bootstrap_servers == "kafka-0:9092,kafka-1:9092"
    assert settings.genie.answer_key_files.keys() == {"genie-2026-1"}
    assert settings.observe.port == 9464


def test_every_required_setting_is_named_when_nothing_is_set(right, monkeypatch) -> None:
    """One message lists all that is missing, with the variable to set and what it is, and that a file may do it."""
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)
    told = problems()
    assert told.pop("GATEWAY_CONFIG") == "not set; it may name a TOML file that holds all of these"
    required = {setting: (variable, words) for setting, variable, default, words in reference() if default == REQUIRED}
    assert told.keys() == required.keys()
    for setting, (variable, words) in required.items():
        assert told[setting] == f"missing; set {variable} ({words.rstrip('.')})"


@pytest.mark.parametrize("variable", [row[1].removeprefix("GATEWAY_") for row in reference() if row[2] == REQUIRED])
def test_one_missing_setting_is_named_alone(right, variable: str) -> None:
    """Exactly the setting that is missing is named."""
    right(**{variable: None})
    assert list(problems()) == [variable.lower().replace("__", ".", 1)]


TEXT = "text that is not empty"
BROKERS = "host:port, or several with commas and no spaces"
FILE = "where no file is; allowed: the path of a file that is there"
WRONG = [
    ("KAFKA__BOOTSTRAP_SERVERS", "kafka-0", BROKERS),
    ("KAFKA__BOOTSTRAP_SERVERS", "kafka://kafka-0:9092", BROKERS),
    ("KAFKA__BOOTSTRAP_SERVERS", "kafka-0:9092, kafka-1:9092", BROKERS),
    ("KAFKA__BOOTSTRAP_SERVERS", "kafka-0:9092,kafka-0:9092", BROKERS),
    ("KAFKA__BOOTSTRAP_SERVERS", "kafka-0:90922", BROKERS),
    ("KAFKA__GROUP_ID", "", "no spaces"),
    ("KAFKA__GROUP_INSTANCE_ID", "one/two", "letters, digits"),
    ("KAFKA__SESSION_TIMEOUT_MS", "soon", "whole numbers from 6000 to 300000"),
    ("KAFKA__SESSION_TIMEOUT_MS", "1", "whole numbers from 6000 to 300000"),
    ("KAFKA__SESSION_TIMEOUT_MS", "90000", "at most 60000, because kafka.rebalance_timeout_ms is 60000"),
    ("KAFKA__ALLOW_DEV_TOPICS", "perhaps", "true or false"),
    ("KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT", "allowed: PLAINTEXT, SSL, SASL_SSL"),
    ("KAFKA__SASL_MECHANISM", "GSSAPI", "allowed: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"),
    ("TOPICS__PREFIX", "norel/", "letters, digits"),
    ("SCHEMAS__REGISTRY_URL", "registry:8081", "http:// or https://"),
    ("GENIE__BASE_URL", "http://genie.example", "https://host"),
    ("GENIE__BASE_URL", "https://genie.example/v1", "https://host"),
    ("GENIE__BASE_URL", "https://genie.example:99999", "https://host"),
    ("GENIE__BASE_URL", "https://genie.example?a=b", "https://host"),
    ("GENIE__CA_FILE", "/no/such/file", FILE),
    ("GENIE__CA_FILE", "/", "'/', a directory; allowed: the path of a file that is there"),
    ("GENIE__SIGNING_KEY_FILE", "/no/such/file", "where no file is; allowed: the path of a file that is there"),
    ("GENIE__ANSWER_KEY_FILES", "/no/such/file", "a key id and a file"),
    ("GENIE__ANSWER_KEY_FILES", "{}", "a key id and a file"),
    ("GENIE__SKEW_MS", "20000", "at most 15000, because genie.expires_ms is 30000"),
    ("GENIE__BATCH", "501", "whole numbers from 1 to 500"),
    ("GENIE__CONNECTIONS", "0", "whole numbers from 1 to 1024"),
    ("RECIPIENT__ADDRESS", "   ", TEXT),
    ("LANE__WINDOW", "20000", "whole numbers from 100 to 16384"),
    ("LANE__CYCLE_MIN_MS", "400", "at most 300, because lane.cycle_max_ms is 300"),
    ("LANE__DRAIN_MS", "60000", "at most 30000, because kafka.rebalance_timeout_ms is 60000"),
    ("VIEW__MAX_IDLE_MS", "86400000", "whole numbers from 60000 to 43200000"),
    ("OBSERVE__PORT", "99999", "whole numbers from 0 to 65535"),
    ("OBSERVE__LOG_LEVEL", "loud", "allowed: debug, info, warning, error"),
    ("POLICY_FILE", "/no/such/file", FILE),
]


@pytest.mark.parametrize(("variable", "value", "words"), WRONG, ids=lambda word: str(word)[:30])
def test_a_wrong_setting_is_named_with_what_was_found_and_the_remedy(right, variable, value, words) -> None:
    """The message has the setting, its variable, and what it must be."""
    right(**{variable: value})
    told = problems()
    assert list(told) == [variable.lower().replace("__", ".", 1)]
    (message,) = told.values()
    assert f"GATEWAY_{variable}" in message
    assert words in message
    assert message.startswith("found ")


LOGINS = [
    ({"SECURITY_PROTOCOL": "SSL"}, {"ca_file", "client_cert_file", "client_key_file"}),
    ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "", "CLIENT_CERT_FILE": ""}, {"client_key_file"}),
    ({"SECURITY_PROTOCOL": "SASL_SSL"}, {"ca_file", "sasl_username", "sasl_password_file"}),
    ({"SECURITY_PROTOCOL": "SASL_SSL", "CA_FILE": "", "SASL_PASSWORD_FILE": ""}, {"sasl_username"}),
    ({"SASL_USERNAME": "gateway", "CA_FILE": ""}, {"sasl_username", "ca_file"}),
    ({"SASL_MECHANISM": "PLAIN"}, {"sasl_mechanism"}),
]


@pytest.mark.parametrize(("variables", "wrong"), LOGINS, ids=lambda case: " ".join(sorted(case)))
def test_a_login_that_is_half_set_is_refused(right, tmp_path: Path, variables, wrong) -> None:
    """What the protocol lacks is named, and what it leaves unused: then the protocol itself may be the mistake."""
    file = str(tmp_path / "a.pem")
    right(**{f"KAFKA__{name}": value or file for name, value in variables.items()})
    told = problems()
    assert told.keys() == {f"kafka.{name}" for name in wrong}
    for name in wrong:
        assert f"GATEWAY_KAFKA__{name.upper()}" in told[f"kafka.{name}"]
        assert f"security_protocol {'is ' if name.upper() not in variables else ''}" in told[f"kafka.{name}"]


def test_a_client_certificate_beside_a_password_needs_its_key(right, tmp_path: Path) -> None:
    """Both or neither, where a certificate is no must."""
    file = str(tmp_path / "a.pem")
    given = {"CA_FILE": file, "SASL_PASSWORD_FILE": file, "SASL_USERNAME": "gateway", "CLIENT_CERT_FILE": file}
    right(KAFKA__SECURITY_PROTOCOL="SASL_SSL", **{f"KAFKA__{name}": value for name, value in given.items()})
    assert problems().keys() == {"kafka.client_key_file"}
    right(KAFKA__CLIENT_KEY_FILE=file)
    assert load().kafka.client_key_file == Path(file)


def test_the_kafka_section_can_be_read_alone(right, monkeypatch, tmp_path: Path) -> None:
    """A command needs none of GeNiE's settings; what it was given goes first, and a wrong variable is refused."""
    file = tmp_path / "gateway.toml"
    file.write_text('[kafka]\nbootstrap_servers = "file:1"\ngroup_id = "from-file"\n[genie]\nbatch = 0\n')
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)
    right(CONFIG=str(file), KAFKA__SASL_USERNAME=None)
    assert load_kafka().bootstrap_servers == "file:1"
    kafka = load_kafka(bootstrap_servers="given:1")
    assert (kafka.bootstrap_servers, kafka.group_id) == ("given:1", "from-file")
    right(KAFKA__SECURITY_PROTOCOL="SSL", KAFAK__GROUP_ID="x")
    with pytest.raises(SettingsError) as refused:
        load_kafka()
    assert {problem.setting for problem in refused.value.problems} == {
        "GATEWAY_KAFAK__GROUP_ID", "kafka.ca_file", "kafka.client_cert_file", "kafka.client_key_file"
    }  # fmt: skip


def test_a_bound_that_follows_from_another_setting_counts_for_defaults_too(right) -> None:
    """Shortening expires_ms alone leaves the default skew too large, and that is said."""
    right(GENIE__EXPIRES_MS="2000")
    assert "at most 1000, because genie.expires_ms is 2000" in problems()["genie.skew_ms"]


def test_a_contradiction_is_found_beside_any_other_mistake(right) -> None:
    """What is wrong by itself hides nothing that two right values get wrong together, not even in its section."""
    right(KAFKA__GROUP_ID="", LANE__WINDOW="soon", LANE__DRAIN_MS="50000", GENIE__BASE_URL="", RECIPIENT__NAME=None)
    assert problems().keys() == {
        "kafka.group_id", "lane.window", "lane.drain_ms", "genie.base_url", "recipient.name"
    }  # fmt: skip


def test_nothing_is_said_twice_of_a_wrong_value(right) -> None:
    """A setting that is wrong by itself is not compared with others."""
    right(LANE__WINDOW="99", GENIE__BATCH="500")
    assert problems().keys() == {"lane.window"}
    right(LANE__WINDOW="100")
    assert "at most 100, because lane.window is 100" in problems()["genie.batch"]


def test_all_problems_come_in_one_message(right) -> None:
    """Missing, wrong and misspelt settings are named together."""
    right(RECIPIENT__ADDRESS=None, GENIE__BATCH="0", KAFKA__BOOTSTRAP="x", KAFAK__GROUP_ID="x")
    assert problems().keys() == {"recipient.address", "genie.batch", "kafka.bootstrap", "GATEWAY_KAFAK__GROUP_ID"}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("KAFAK__GROUP_ID", "kafka.group_id (GATEWAY_KAFKA__GROUP_ID)"),
        ("kafak__group_id", "kafka.group_id (GATEWAY_KAFKA__GROUP_ID)"),
        ("KAFKA_GROUP_ID", "kafka.group_id (GATEWAY_KAFKA__GROUP_ID)"),
        ("KAFKA__CA_FIEL", "kafka.ca_file (GATEWAY_KAFKA__CA_FILE)"),
        ("LANE__BATCH", "genie.batch (GATEWAY_GENIE__BATCH)"),
        ("RECIPENT", "recipient (GATEWAY_RECIPIENT)"),
        ("INSTANCE__NAME", "provider.name (GATEWAY_PROVIDER__NAME)"),
        ("KAFKA__X", ""),
        ("KAFKA__TIMEOUT", ""),
        ("ZZZ", ""),
    ],
)
def test_a_variable_that_names_no_setting_is_refused(right, variable: str, meant: str) -> None:
    """A misspelt variable is an error, not a setting that silently keeps its default; the nearest name is told."""
    right(**{variable: "x"})
    (message,) = problems().values()
    assert message == f"no such setting; {f'did you mean {meant}? ' if meant else ''}see `gateway settings`"


def test_a_line_of_the_file_that_names_no_setting_is_refused(right, tmp_path: Path) -> None:
    """Misspelt, in the wrong section, or in none: each with the name that is meant."""
    file = tmp_path / "gateway.toml"
    file.write_text('grup_id = "x"\n[kafka]\nsesion_timeout_ms = 1\n[lane]\nskew_ms = 1\n[recipent]\nname = "x"\n')
    right(CONFIG=str(file))
    told = problems()
    meant = {name: message.partition("did you mean ")[2].partition(" ")[0] for name, message in told.items()}
    assert meant == {
        "grup_id": "kafka.group_id",
        "kafka.sesion_timeout_ms": "kafka.session_timeout_ms",
        "lane.skew_ms": "genie.skew_ms",
        "recipent": "recipient",
    }


@pytest.mark.parametrize("value", ["true", '"many"', "1.5", "[1]", "{ a = 1 }"])
def test_a_number_of_another_type_in_the_file_is_refused(right, tmp_path: Path, value: str) -> None:
    """TOML has types, and Python's truth is no number."""
    file = tmp_path / "gateway.toml"
    file.write_text(f"[genie]\nbatch = {value}\n")
    right(CONFIG=str(file))
    assert "allowed: whole numbers from 1 to 500" in problems()["genie.batch"]


SECRETS = ["QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=", "canary-password", "-----BEGIN PRIVATE KEY-----\ncanary"]


@pytest.mark.parametrize("value", SECRETS, ids=["base64", "password", "pem"])
def test_a_secret_in_the_place_of_its_file_is_not_shown(right, value: str) -> None:
    """Whoever sets the secret itself is told so, and no message and no command repeats it."""
    names = ["KEYS__IDEMPOTENCY_KEY_FILE", "GENIE__SIGNING_KEY_FILE", "KAFKA__SASL_PASSWORD_FILE"]
    right(**dict.fromkeys(names, value))
    with pytest.raises(SettingsError) as refused:
        load()
    assert len(refused.value.problems) == len(names)
    assert str(refused.value).count("not shown") == len(names)
    for said in (str(refused.value), CliRunner().invoke(app, ["settings"]).output):
        assert value.splitlines()[-1] not in said


@pytest.mark.parametrize("value", ["garbage", "[1]", "null"])
def test_a_section_that_is_no_object_is_named(right, value: str) -> None:
    """A variable for a whole section that is not JSON of an object is one problem, not a crash."""
    right(KAFKA__BOOTSTRAP_SERVERS=None, KAFKA=value)
    told = problems()
    assert list(told) in (["kafka"], ["kafka.bootstrap_servers"])


def test_a_key_file_that_is_missing_is_named_by_its_key_id(right) -> None:
    """Of several answer keys the message says which one."""
    right(GENIE__ANSWER_KEY_FILES='{"genie-2027-1": "/no/such/file"}')
    assert "GATEWAY_GENIE__ANSWER_KEY_FILES" in problems()["genie.answer_key_files.genie-2027-1"]


@pytest.mark.parametrize("variable", ["GENIE__BASE_URL", "SCHEMAS__REGISTRY_URL"])
def test_a_password_in_a_url_is_refused_and_not_shown(right, variable: str) -> None:
    """Secrets are never settings, and one that got there by mistake is not printed."""
    right(**{variable: "https://user:canary@host:1"})
    assert "***@host" in next(iter(problems().values()))
    with pytest.raises(SettingsError) as refused:
        load()
    assert "canary" not in str(refused.value)
    assert "canary" not in CliRunner().invoke(app, ["settings"]).output


def test_the_environment_wins_over_the_file(right, tmp_path: Path) -> None:
    """A setting in both is taken from the environment; the others from the file."""
    file = tmp_path / "gateway.toml"
    file.write_text('[kafka]\nbootstrap_servers = "other:9092"\ngroup_id = "from-file"\n[lane]\nwindow = 200\n')
    right(CONFIG=str(file))
    settings = load()
    assert settings.kafka.bootstrap_servers == "kafka-0:9092,kafka-1:9092"
    assert (settings.kafka.group_id, settings.lane.window) == ("from-file", 200)
    assert found()["kafka.bootstrap_servers"] == ("kafka-0:9092,kafka-1:9092", "environment")
    assert found()["kafka.group_id"] == ("from-file", "file")
    assert "kafka.client_id" not in found()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a = = 1", "is not TOML"), (b"a = '\xff'", "is not UTF-8"), (None, "no file")],
    ids=["toml", "utf-8", "missing"],
)
def test_a_file_that_can_not_be_read_is_named(right, tmp_path: Path, content: bytes | None, words: str) -> None:
    """The variable that names the file, the file, and what is wrong with it."""
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_bytes(content)
    right(CONFIG=str(file))
    message = problems()["GATEWAY_CONFIG"]
    assert str(file) in message
    assert words in message


def test_the_reference_names_every_setting_once_with_a_sentence() -> None:
    """No setting is without a sentence, and the variables are those that are read."""
    rows = list(reference())
    assert len({row[0] for row in rows}) == len(rows)
    assert {row[0].partition(".")[0] for row in rows} == set(Settings.model_fields)
    for setting, variable, default, sentence in rows:
        assert variable == f"GATEWAY_{setting.replace('.', '__')}".upper()
        assert default
        assert sentence.endswith("."), setting


def test_gateway_settings_prints_the_reference(right) -> None:
    """Each variable with its default, and what is set here and by what."""
    output = CliRunner().invoke(app, ["settings"]).output
    for _, variable, _, sentence in reference():
        assert variable in output
        assert sentence in output
    assert "GATEWAY_OBSERVE__PORT  (default: 9464; not set)" in output
    assert "(default: required; set by the environment: kafka-0:9092,kafka-1:9092)" in output


def test_gateway_settings_prints_json(right) -> None:
    """The same for programs."""
    ended = CliRunner().invoke(app, ["settings", "--json"])
    rows = {row["setting"]: row for row in orjson.loads(ended.output)["settings"]}
    assert ended.exit_code == 0
    assert rows.keys() == {row[0] for row in reference()}
    assert rows["genie.signing_key_id"]["value"] == "norel-2026-1"
    assert rows["genie.signing_key_id"]["set_by"] == "environment"
    assert rows["observe.port"]["value"] is None


def test_gateway_settings_works_where_settings_are_wrong(right) -> None:
    """The reference is what one needs when something is wrong."""
    right(GENIE__BATCH="many", RECIPIENT__ADDRESS=None)
    ended = CliRunner().invoke(app, ["settings"])
    assert ended.exit_code == 0
    assert "set by the environment: many" in ended.output


def test_a_memory_budget_that_leaves_nothing_for_lanes_is_refused(right) -> None:
    """Many connections need more of it; the message says how much."""
    right(MEMORY_BYTES=str(256 << 20), GENIE__CONNECTIONS="64")
    assert str(memory.least_bytes(64)) in problems()["memory_bytes"]
    right(GENIE__CONNECTIONS="0")
    assert problems().keys() == {"genie.connections"}
    right(MEMORY_BYTES=str(memory.least_bytes(8)), GENIE__CONNECTIONS="8")
    assert load().memory_bytes == memory.least_bytes(8)
