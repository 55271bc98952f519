"""What settings that are each right by themselves get wrong together: one table of bounds, one of logins.

Knows the values by the names of their settings. Must not know where they come from. A value that is wrong by itself
is not there, and nothing is said of it twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import memory
from gateway.mistakes import Problem, variable

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AtMost:
    """One setting is at most a share of another."""

    setting: str
    share: float
    other: str
    why: str


BOUNDS = (
    AtMost("genie.skew_ms", 0.5, "genie.expires_ms", "else an attempt could expire before it arrives"),
    AtMost("genie.batch", 1, "lane.window", "a batch is of one window"),
    AtMost("lane.cycle_min_ms", 1, "lane.cycle_max_ms", "the least pause is no longer than the longest"),
    AtMost(
        "lane.drain_ms",
        0.5,
        "kafka.rebalance_timeout_ms",
        "the rest is for the last transaction and the producer's end",
    ),
    AtMost("kafka.session_timeout_ms", 1, "kafka.rebalance_timeout_ms", "a rebalance would drop us before our session"),
)

REGISTRY_LOGIN = ("registry_ca_file", "registry_username", "registry_password_file")
_CERTIFICATE = ("client_cert_file", "client_key_file")
_PASSWORD = ("sasl_username", "sasl_password_file")
# What each protocol needs, and what it leaves unused. SASL_PLAINTEXT is none of them: it would show every record, and
# enough of the password to guess it, to whoever sees the network.
LOGINS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "PLAINTEXT": ((), ("ca_file", *_CERTIFICATE, "client_key_password_file", "sasl_mechanism", *_PASSWORD)),
    "SSL": (("ca_file", *_CERTIFICATE), ("sasl_mechanism", *_PASSWORD)),
    "SASL_SSL": (("ca_file", *_PASSWORD), ()),
}


def contradictions(values: Values, given: Collection[str]) -> Iterator[Problem]:
    """Everything that does not fit together; `given` are the settings that have no default's value."""
    for bound in BOUNDS:
        if bound.setting in values and bound.other in values:
            yield from _beyond(bound, values[bound.setting], values[bound.other])
    yield from _too_little_memory(values)
    yield from _tracing(values, given)
    yield from _registry(values, given)
    protocol = values.get("kafka.security_protocol")
    if protocol is not None:
        yield from _login(protocol, values, given)
        yield from _half_a_certificate(LOGINS[protocol][0], values)


def _beyond(bound: AtMost, value: float, other: float) -> Iterator[Problem]:
    if value > other * bound.share:
        found = f"found {value}: at most {other * bound.share:g}, because {bound.other} is {other} ({bound.why})"
        yield Problem(bound.setting, found, f"change {variable(bound.setting)} or {variable(bound.other)}")


def _too_little_memory(values: Values) -> Iterator[Problem]:
    size, connections = values.get("memory_bytes"), values.get("genie.connections")
    traced = values.get("tracing.endpoint") is not None
    if size is not None and connections is not None and size < memory.least_bytes(connections, traced=traced):
        beside = f"genie.connections {connections}{' and spans' if traced else ''}"
        least = f"{memory.least_bytes(connections, traced=traced)} are needed beside {beside}"
        needed = f"change {variable('memory_bytes')} or {variable('genie.connections')}"
        yield Problem("memory_bytes", f"found {size}: {least}", needed)


def _tracing(values: Values, given: Collection[str]) -> Iterator[Problem]:
    """What is set for spans that go nowhere, or an authority for a connection without TLS."""
    endpoint = values.get("tracing.endpoint", "")
    for setting in sorted(given):
        if setting.startswith("tracing.") and endpoint is None:
            found = f"found {values.get(setting)}, but without tracing.endpoint nothing is traced"
            yield Problem(setting, found, f"set {variable('tracing.endpoint')} or unset {variable(setting)}")
    if endpoint and endpoint.startswith("http://") and values.get("tracing.ca_file") is not None:
        found = f"found {values['tracing.ca_file']}, but tracing.endpoint has no TLS"
        needed = f"unset {variable('tracing.ca_file')} or begin {variable('tracing.endpoint')} with https://"
        yield Problem("tracing.ca_file", found, needed)


def _registry(values: Values, given: Collection[str]) -> Iterator[Problem]:
    """A login at no registry, half of one, or one that would cross the network readable."""
    url = values.get("schemas.registry_url", "")
    for name in REGISTRY_LOGIN:
        setting = f"schemas.{name}"
        if setting not in given or values.get(setting) is None:
            continue
        if url is None:
            found = "set, but without schemas.registry_url there is no registry"
            yield Problem(setting, found, f"set {variable('schemas.registry_url')} or unset {variable(setting)}")
        elif url.startswith("http://"):
            needed = f"unset {variable(setting)} or begin {variable('schemas.registry_url')} with https://"
            yield Problem(setting, "set, but schemas.registry_url has no TLS", needed)
    user, password = (f"schemas.{name}" for name in REGISTRY_LOGIN[1:])
    for setting, beside in ((user, password), (password, user)):
        if setting in values and values[setting] is None and values.get(beside) is not None:
            yield Problem(setting, f"missing, but {beside} is set", f"set {variable(setting)}")


def _login(protocol: str, values: Values, given: Collection[str]) -> Iterator[Problem]:
    """What a protocol lacks, and what is set although the protocol leaves it unused: one of the two is a mistake."""
    needed, unused = ([f"kafka.{name}" for name in names] for names in LOGINS[protocol])
    for setting in needed:
        if setting in values and values[setting] is None:
            why = f"missing, but kafka.security_protocol is {protocol}"
            yield Problem(setting, why, f"set {variable(setting)}")
    for setting in unused:
        if setting in given and values.get(setting) is not None:
            why = f"found {values[setting]}, but kafka.security_protocol {protocol} leaves it unused"
            yield Problem(setting, why, f"unset {variable(setting)} or change {variable('kafka.security_protocol')}")


def _half_a_certificate(needed: Collection[str], values: Values) -> Iterator[Problem]:
    for name, other in (_CERTIFICATE, _CERTIFICATE[::-1]):
        setting, beside = f"kafka.{name}", f"kafka.{other}"
        if name not in needed and setting in values and values[setting] is None and values.get(beside) is not None:
            yield Problem(setting, f"missing, but {beside} is set", f"set {variable(setting)}")
