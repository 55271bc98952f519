"""From the [schemas] settings to a login at the registry: the one place that reads the files they name.

Knows which setting a file comes from. Must not know what the registry is asked.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.kafka.http_registry import RegistryLogin
from gateway.secret_keys import SecretKeyError, read_password
from gateway.sections import SchemaSettings
from gateway.settings import PREFIX, Problem, SettingsError
from gateway.tls import TlsFileError, trusting


def registry_login(schemas: SchemaSettings) -> RegistryLogin:
    """Whom we trust there and who we are; raises SettingsError with every file that can't be used."""
    problems: list[Problem] = []
    context = password = None
    if schemas.registry_ca_file is not None:
        try:
            context = trusting(schemas.registry_ca_file, ssl.SSLContext)
        except TlsFileError as error:
            problems.append(_problem("registry_ca_file", error))
    if schemas.registry_password_file is not None:
        password = _password(schemas.registry_password_file, problems)
    if problems:
        raise SettingsError(problems)
    return RegistryLogin(context, schemas.registry_username, password)


def _password(path: Path, problems: list[Problem]) -> str | None:
    try:
        return read_password(path)
    except SecretKeyError as error:
        problems.append(_problem("registry_password_file", error))
    return None


def _problem(name: str, error: Exception) -> Problem:
    return Problem(f"schemas.{name}", str(error), f"correct the file or change {PREFIX}SCHEMAS__{name.upper()}")
