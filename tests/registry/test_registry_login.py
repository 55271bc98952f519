"""The files of a login at the registry: each that can't be used is named, and `gateway check` says so too."""

from pathlib import Path

import pytest

from gateway import preflight
from gateway.findings import Severity
from gateway.kafka.http_registry import NOBODY
from gateway.registry_login import registry_login
from gateway.sandbox import pki as pkis
from gateway.sections import SchemaSettings
from gateway.settings import Settings, SettingsError

URL = "https://registry:8081"


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def unfit(tmp_path: Path) -> SchemaSettings:
    """An authority that is none, and a password that is empty."""
    return SchemaSettings(
        registry_url=URL,
        registry_ca_file=written(tmp_path / "ca.pem", "no certificate"),
        registry_username="gateway",
        registry_password_file=written(tmp_path / "password", ""),
    )


def test_without_files_nobody_logs_in() -> None:
    """As for a registry that is open to whoever reaches it."""
    assert registry_login(SchemaSettings(registry_url=URL)) == NOBODY


def test_a_login_is_what_its_files_hold_and_shows_no_password(pki: pkis.Pki, tmp_path: Path) -> None:
    """One line; the end of the line is none of it."""
    login = registry_login(
        SchemaSettings(
            registry_url=URL,
            registry_ca_file=pki.ca,
            registry_username="gateway",
            registry_password_file=written(tmp_path / "password", "correct horse\n"),
        )
    )
    assert (login.username, login.password) == ("gateway", "correct horse")
    assert login.ssl_context is not None
    assert "correct horse" not in repr(login)


def test_every_file_that_cannot_be_used_is_named(unfit: SchemaSettings) -> None:
    """Both at once, each with its variable."""
    with pytest.raises(SettingsError) as refused:
        registry_login(unfit)
    assert [problem.setting for problem in refused.value.problems] == [
        "schemas.registry_ca_file",
        "schemas.registry_password_file",
    ]
    assert "GATEWAY_SCHEMAS__REGISTRY_CA_FILE" in str(refused.value)


async def test_the_check_before_a_start_names_them_and_asks_nobody(unfit: SchemaSettings) -> None:
    """The same problems, as findings that keep the gateway from starting."""
    settings = Settings.model_construct(schemas=unfit, topics=Settings.model_fields["topics"].default)
    findings = await preflight._schemas(settings)
    assert [(each.severity, each.setting) for each in findings] == [
        (Severity.PROBLEM, "schemas.registry_ca_file"),
        (Severity.PROBLEM, "schemas.registry_password_file"),
    ]
