"""Texts that Kubernetes, Kafka and the gateway take, as patterns: helm's (RE2) and Python's alike.

Knows how each is written. Must not know which value it is.
"""

from typing import Any

MONTHS_DAYS = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# ISO 8601 with a zone, as `gateway lanes init --from` takes it; the days of each month are counted by the templates
TIME = rf"^(earliest|latest|20[0-9]{{2}}-{MONTHS_DAYS}T{CLOCK}(:[0-5][0-9](\.[0-9]{{1,6}})?)?(Z|[+-]{CLOCK}))$"

_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_NAME_OF_HOST = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_HOST = rf"({_NAME_OF_HOST}|\[[0-9A-Fa-f:.]+\])"
_BROKER = f"{_HOST}:{_PORT}"
BROKERS = f"^{_BROKER}(,{_BROKER})*$"
HTTPS_HOST = f"^https://{_HOST}(:{_PORT})?$"
HTTP_URL = rf"^https?://{_HOST}(:{_PORT})?(/[^?#@\s\\]*)?$"
PAGES = rf"^https://{_HOST}(:{_PORT})?(/[^/?#@\s\\]+)+$"  # a folder, without a slash at its end

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"^{_LABEL}(\.{_LABEL})*$"  # RFC 1123, which most names of Kubernetes' follow
_KEY_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
KEY = rf"^({_LABEL}(\.{_LABEL})*/)?{_KEY_NAME}$"  # of labels and annotations
LABEL_VALUE = f"^({_KEY_NAME})?$"

_PATH_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = f"({_NAME_OF_HOST}(:{_PORT})?/)?"
IMAGE = f"^{_REGISTRY}{_PATH_PART}(/{_PATH_PART})*$"
TAG = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"({_OCTET}\.){{3}}{_OCTET}/(3[0-2]|[12]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_SHORTENED = "|".join(f"({_GROUP}:){{1,{before}}}(:{_GROUP}){{1,{7 - before}}}" for before in range(1, 7))
_ENDS = f"({_GROUP}:){{1,7}}:|:(:{_GROUP}){{1,7}}|::"
_V6 = f"(({_GROUP}:){{7}}{_GROUP}|{_SHORTENED}|{_ENDS})/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
NETWORK = f"^({_V4}|{_V6})$"

_MOST = "[1-9][0-9]*"
DURATION = f"^({_MOST}h)?({_MOST}m)?({_MOST}s)?({_MOST}ms)?$"  # in this order Prometheus' operator takes it, too

# What a release's things are told apart by: a second one of the same key would be no YAML.
OWN_KEYS = r"^(app\.kubernetes\.io|helm\.sh)/"


def labels(*, further: bool) -> dict[str, Any]:
    """A map of labels; `further` ones stand beside those that the chart gives."""
    return _map({"type": "string", "pattern": LABEL_VALUE}, OWN_KEYS if further else None)


def annotations(own: str) -> dict[str, Any]:
    """A map of annotations beside this one, which the chart gives."""
    return _map({"type": "string"}, f"^{own}$")


def _map(value: dict[str, Any], forbidden: str | None) -> dict[str, Any]:
    """Not by `propertyNames`, of which helm says no line."""
    patterns: dict[str, Any] = {KEY: value} | ({forbidden: False} if forbidden else {})
    return {"type": "object", "patternProperties": patterns, "additionalProperties": False}
