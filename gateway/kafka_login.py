"""From the [kafka] settings to a connection: the one place that reads the files they name.

Knows which setting a file comes from. Must not know what the connection is for.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.kafka.connection import KafkaConnection, RenewableContext
from gateway.secret_keys import SecretKeyError, read_password
from gateway.sections import KafkaSettings
from gateway.settings import PREFIX, Problem, SettingsError
from gateway.tls import TlsFileError, prove, trusting


def kafka_connection(kafka: KafkaSettings) -> KafkaConnection:
    """How to reach Kafka and log in there; raises SettingsError with every file that can't be used."""
    problems: list[Problem] = []
    sasl = kafka.security_protocol == "SASL_SSL"
    connection = KafkaConnection(
        bootstrap=kafka.bootstrap_servers,
        client_id=kafka.client_id,
        security_protocol=kafka.security_protocol,
        ssl_context=_tls(kafka, problems),
        sasl_mechanism=kafka.sasl_mechanism if sasl else None,
        sasl_username=kafka.sasl_username,
        sasl_password=_password("sasl_password_file", kafka.sasl_password_file, problems),
    )
    if problems:
        raise SettingsError(problems)
    return connection


def _tls(kafka: KafkaSettings, problems: list[Problem]) -> RenewableContext | None:
    if kafka.ca_file is None:
        return None
    try:
        context = trusting(kafka.ca_file, RenewableContext)
    except TlsFileError as error:
        problems.append(_problem("ca_file", error))
        return None
    _prove(context, kafka, problems)
    return context


def _prove(context: ssl.SSLContext, kafka: KafkaSettings, problems: list[Problem]) -> None:
    password = _password("client_key_password_file", kafka.client_key_password_file, problems)
    if kafka.client_cert_file is not None and kafka.client_key_file is not None:
        try:
            prove(context, kafka.client_cert_file, kafka.client_key_file, password or "")
        except TlsFileError as error:
            problems.append(_problem("client_cert_file", error))


def _password(name: str, path: Path | None, problems: list[Problem]) -> str | None:
    if path is None:
        return None
    try:
        return read_password(path)
    except SecretKeyError as error:
        problems.append(_problem(name, error))
    return None


def _problem(name: str, error: Exception) -> Problem:
    return Problem(f"kafka.{name}", str(error), f"correct the file or change {PREFIX}KAFKA__{name.upper()}")
