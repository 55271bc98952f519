"""Everything that is looked at before a lane opens, in one list: files, Kafka, permissions, topics, lanes, schemas.

`gateway check` prints the list, `gateway serve` starts only if nothing in it keeps it from it. Nothing is left written,
and nothing sent but questions. Must not know how to mend what it finds, beyond the words of whoever found it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from aiokafka.client import AIOKafkaClient

from gateway import open_files
from gateway.address import look_at_address
from gateway.core.identity import b64url
from gateway.core.outcome import Answer, LookupReply, Loss, Lost, Reply, Unsent, classify
from gateway.files import Files, look_at_right, look_at_tracing, look_at_view, read_files, read_login
from gateway.findings import Finding, NotReadyError, Severity
from gateway.genie.client import Credentials, wall_ms
from gateway.genie_login import genie_client
from gateway.kafka.acls import Role, commands, least
from gateway.kafka.authorized import lacking
from gateway.kafka.cluster import describe
from gateway.kafka.connection import (
    ClientLibraryError,
    KafkaConnection,
    KafkaRefusedError,
    KafkaUnavailableError,
    check_client_library,
)
from gateway.kafka.http_registry import registry_at
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import foresee
from gateway.kafka.registry import NotRegisteredError, RegistryAway
from gateway.kafka.topics import check_topics
from gateway.registry_login import registry_login
from gateway.sections import KafkaSettings
from gateway.settings import PREFIX, Settings, SettingsError, load
from gateway.tls import subject

WRITTEN_KINDS = ("ProvisionRecord", "ParkedEvent", "ProvisionIntent")
_DIGEST_BYTES = 32


def settings_in_full() -> Settings:
    """The settings; raises NotReadyError with all that is wrong with them, and with the files that the others name."""
    try:
        return load()
    except SettingsError as error:
        of_files, of_address = look_at_right(error.right), look_at_address(error.right)
        raise NotReadyError([*Finding.of(error.problems), *of_files, *of_address]) from None


async def look(
    settings: Settings, of_address: Sequence[Finding], *, genie: bool = False
) -> tuple[Files | None, list[Finding]]:
    """Look at everything; at GeNiE only if wanted, by asking it about one key that nobody has. Whoever serves has found
    out about the address already."""
    files, of_files = read_files(settings)
    connection, of_login = read_login(settings)
    findings = [*_library(), *of_files, *of_login, *look_at_view(settings.view.path), *of_address]
    findings += look_at_tracing(settings)
    if connection is not None:
        findings += await _kafka(settings, connection)
    findings += await _schemas(settings)
    if genie and files is not None:
        findings += await ask_genie(settings, files.credentials)
    return files, findings


async def passed(settings: Settings, of_address: Sequence[Finding]) -> tuple[Files, list[Finding]]:
    """What the files hold, and the warnings; raises NotReadyError if anything keeps the gateway from starting."""
    files, findings = await look(settings, of_address)
    if files is None or any(finding.severity is not Severity.WARNING for finding in findings):
        raise NotReadyError(findings)
    return files, findings


def _library() -> list[Finding]:
    try:
        check_client_library()
    except ClientLibraryError as error:
        return [Finding(Severity.PROBLEM, "aiokafka", str(error))]
    return []


# --- Kafka ------------------------------------------------------------------------------------------------


async def _kafka(settings: Settings, connection: KafkaConnection) -> list[Finding]:
    names = TopicNames(settings.topics.prefix)
    try:
        async with connection.client() as client:
            # What is not allowed can't be looked at, so the rest waits until it is.
            return await _permissions(settings.kafka, names, client) or [
                *await _topics(settings.kafka, names, connection),
                *await _lanes(settings, names, client),
            ]
    except KafkaRefusedError as error:
        return [Finding(Severity.PROBLEM, "kafka", str(error))]
    except KafkaUnavailableError as error:
        return [Finding(Severity.AWAY, "kafka.bootstrap_servers", str(error))]


async def _permissions(kafka: KafkaSettings, names: TopicNames, client: AIOKafkaClient) -> list[Finding]:
    setting, user = _user(kafka)
    missing = await lacking(client, least(Role.GATEWAY, names, kafka.group_id))
    return [
        Finding(Severity.PROBLEM, setting, f"{user} may not {acl}", commands([acl], user, kafka.bootstrap_servers)[0])
        for acl in missing
    ]


def _user(kafka: KafkaSettings) -> tuple[str, str]:
    """Who we are to Kafka, unless the brokers map certificates to other names, and by which setting."""
    if kafka.sasl_username is not None:
        return "kafka.sasl_username", kafka.sasl_username
    if kafka.client_cert_file is not None:
        return "kafka.client_cert_file", subject(kafka.client_cert_file)
    return "kafka.security_protocol", "ANONYMOUS"


async def _topics(kafka: KafkaSettings, names: TopicNames, connection: KafkaConnection) -> list[Finding]:
    broken = await check_topics(connection, names, relaxed=kafka.allow_dev_topics)
    return [Finding(Severity.PROBLEM, "topics", str(finding)) for finding in broken]


async def _lanes(settings: Settings, names: TopicNames, client: AIOKafkaClient) -> list[Finding]:
    """Whether each lane knows where it goes on; another gateway of the group may own it and be writing that now."""
    group = settings.kafka.group_id
    cluster = await describe(client, (names.payments, names.scores, names.replays))
    partitions = [partition for topic in cluster.topics.values() for partition in topic.partitions]
    refusals = await foresee(client, group, partitions)
    more = f" (and {len(refusals) - 1} more lanes)" if len(refusals) > 1 else ""
    return [
        *_open_files(settings.genie.connections, len(partitions), len(cluster.brokers)),
        *(Finding(Severity.PROBLEM, "kafka.group_id", f"{refusal}{more}") for refusal in refusals[:1]),
    ]


def _open_files(connections: int, lanes: int, brokers: int) -> list[Finding]:
    count = open_files.needed(genie_connections=connections, lanes=lanes, brokers=brokers)
    limit = open_files.make_room(count)
    if limit is None:
        return []
    found = f"this process may open {limit} files, but may need {count} ({lanes} lanes, {brokers} brokers, GeNiE)"
    needed = f"raise the limit (`ulimit -Hn {count}`, LimitNOFILE={count} of a service) or lower genie.connections"
    return [Finding(Severity.PROBLEM, "open files", found, needed)]


# --- schemas and GeNiE ------------------------------------------------------------------------------------


async def _schemas(settings: Settings) -> list[Finding]:
    names, findings = TopicNames(settings.topics.prefix), []
    try:
        registry = registry_at(settings.schemas.registry_url, names, registry_login(settings.schemas))
    except SettingsError as error:
        return Finding.of(error.problems)
    try:
        for kind in WRITTEN_KINDS:
            try:
                await registry.id_of(kind)
            except NotRegisteredError as error:
                findings.append(Finding(Severity.PROBLEM, "schemas.registry_url", str(error)))
    except RegistryAway as error:
        findings.append(Finding(Severity.AWAY, "schemas.registry_url", str(error)))
    finally:
        await registry.close()
    return findings


async def ask_genie(settings: Settings, credentials: Credentials) -> list[Finding]:
    """A lookup changes nothing there, and its answer proves certificates, both signatures, recipient and clocks."""
    client = genie_client(settings, credentials)
    await client.start()
    try:
        before = wall_ms()
        answer = await client.try_look_up([b64url(secrets.token_bytes(_DIGEST_BYTES))])
        after = wall_ms()
    finally:
        await client.close()
    skew = settings.genie.skew_ms
    if isinstance(answer, LookupReply):
        return [] if before - skew <= answer.as_of <= after + skew else [_far(answer.as_of - after, skew)]
    if answer == Lost(Loss.CLOCK):
        return [_far(client.clock_difference_ms, skew)]
    return [_no_lookup(answer)]


def _far(difference: int, skew: int) -> Finding:
    found = f"GeNiE's clock differs from ours by {difference} ms, more than {skew}"
    return Finding(Severity.PROBLEM, "genie.skew_ms", found, "set the clocks, or agree on more with GeNiE")


def _no_lookup(answer: Answer) -> Finding:
    if not isinstance(answer, Reply):
        failed = answer.detail is Unsent.TLS_FAILED
        needed = "check GATEWAY_GENIE__BASE_URL, and the certificates of both sides"
        return Finding(Severity.PROBLEM if failed else Severity.AWAY, "genie.base_url", answer.detail.value, needed)
    stop = classify(answer, ()).stop
    if stop is not None:
        return Finding(Severity.PROBLEM, "genie", stop.sentence)
    if answer.verified:
        return Finding(Severity.AWAY, "genie", f"GeNiE answers a lookup with status {answer.status}", "ask GeNiE")
    needed = f"check {PREFIX}GENIE__ANSWER_KEY_FILES and the clocks"
    return Finding(
        Severity.PROBLEM, "genie.answer_key_files", f"an answer {answer.status} without a valid signature", needed
    )
