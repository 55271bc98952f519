"""The gateway's settings as the chart shows them: the block in values.yaml, its JSON Schema, and what contradicts what.

Knows gateway.settings. Must not know Kubernetes.
"""

import json
from collections.abc import Iterator
from typing import Any

from deploy.chart import formats
from deploy.chart.places import DEFAULTS, OWN, REQUIRED_HERE
from gateway import memory
from gateway.contradictions import BOUNDS, LOGINS
from gateway.kafka.lane_driver import CLOSE_BOUND_S
from gateway.settings import REQUIRED, Settings, reference

AFTER_LANES_S = 15  # consumer, view, fence, GeNiE's connections, health: each is given up after 2 s

# Settings that say how another part is reached: without the setting of where it is, nothing uses them, and those that
# end so need a connection with TLS.
PARTS = {"tracing.": "tracing.endpoint", "schemas.registry_": "schemas.registry_url"}
OF_TLS = ("_ca_file", ".ca_file", "_username", "_password_file")
# One is of no use without the other.
PAIRS = [
    ("kafka.client_cert_file", "kafka.client_key_file"),
    ("schemas.registry_username", "schemas.registry_password_file"),
]

# What the gateway checks by code, as far as a pattern can say it.
PATTERNS = {
    "kafka.bootstrap_servers": formats.BROKERS,
    "genie.base_url": formats.HTTPS_HOST,
    "schemas.registry_url": formats.HTTP_URL,
    "tracing.endpoint": formats.HTTP_URL,
}
# A pod is asked for its health, and scraped, by its own address.
ONE_OF = {"observe.host": ["0.0.0.0", "::"]}  # noqa: S104 - the pod's own network


def block() -> str:
    """The part of values.yaml."""
    lines = ["settings:"]
    section = ""
    for name, _, default, sentence in reference():
        if name in OWN:
            continue
        of, _, inner = name.rpartition(".")
        if of != section:
            section = of
            lines.append(f"  {section}:")
        indent = "    " if of else "  "
        required = name not in DEFAULTS and (default == REQUIRED or name in REQUIRED_HERE)
        lines.append(f"{indent}# -- {'(required) ' if required else ''}{sentence}")
        lines.append(f"{indent}{inner}:{_written(name)}")
    return "\n".join(lines) + "\n"


def _written(name: str) -> str:
    """What the chart sets; what the gateway has as default is said beside it, for a value that is set may be refused
    where another leaves it unused."""
    if name in DEFAULTS:
        return f" {json.dumps(DEFAULTS[name])}"
    default = _default(name)
    return "" if default is None or name in REQUIRED_HERE else f" # {json.dumps(default, ensure_ascii=False)}"


def schema() -> dict[str, Any]:
    """JSON Schema of that part."""
    known = Settings.model_json_schema()
    properties: dict[str, Any] = {}
    for name, part in known["properties"].items():
        if "$ref" in part:
            section = known["$defs"][part["$ref"].rpartition("/")[2]]
            inside = dict(_properties(section["properties"], f"{name}."))
            required = [inner for inner in inside if _is_required(f"{name}.{inner}", section.get("required", ()))]
            properties[name] = _closed(inside, required)
        else:
            properties |= dict(_properties({name: part}, ""))
    return _closed(properties, [name for name, part in properties.items() if "required" in part])


def known() -> dict[str, Any]:
    """What templates compare settings by."""
    return {
        "bounds": [
            {"setting": bound.setting, "share": bound.share, "other": bound.other, "why": bound.why}
            for bound in BOUNDS
            if not {bound.setting, bound.other} & OWN.keys()
        ],
        "logins": {
            protocol: {
                "needed": [f"kafka.{name}" for name in needed],
                "unused": [f"kafka.{name}" for name in unused],
            }
            for protocol, (needed, unused) in LOGINS.items()
        },
        "needs": list(_needs()),
        "pairs": [pair for pair in PAIRS if set(pair) <= dict(_flat()).keys()],
        "defaults": {name: part["default"] for name, part in _flat() if part.get("default") is not None},
        "files": sorted(name for name, part in _flat() if "file-path" in json.dumps(part)),
        "memory": {
            "process": memory.PROCESS_BYTES + memory.LEAST_FOR_LANES_BYTES,
            "connection": memory.CONNECTION_BYTES,
            "tracing": memory.TRACING_BYTES,
        },
        "closing_s": int(CLOSE_BOUND_S) + AFTER_LANES_S,
    }


def _needs() -> Iterator[dict[str, object]]:
    for name, _ in _flat():
        for prefix, place in PARTS.items():
            if name.startswith(prefix) and name != place:
                yield {"setting": name, "other": place, "tls": name.endswith(OF_TLS)}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    closed: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    return closed | ({"required": required} if required else {})


def _is_required(name: str, required: list[str]) -> bool:
    return name.rpartition(".")[2] in required or name in REQUIRED_HERE


def _properties(parts: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for inner, part in parts.items():
        name = prefix + inner
        if name not in OWN:
            nullable = not _is_required(name, []) and ("anyOf" in part or "default" in part)
            yield inner, _converted(name, part, nullable=nullable)


def _converted(name: str, part: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Pydantic writes bounds in its own words where a validator stands before them, and a file's path as a format."""
    kind = next((each for each in part.get("anyOf", ()) if each.get("type") != "null"), part)
    new: dict[str, Any] = {"type": [kind["type"], "null"] if nullable else kind["type"]}
    for theirs, ours in (("ge", "minimum"), ("le", "maximum")):
        if (bound := kind.get(theirs, kind.get(ours))) is not None:
            new[ours] = bound
    for key in ("minLength", "maxLength", "pattern", "minProperties"):
        if key in kind:
            new[key] = kind[key]
    if one_of := ONE_OF.get(name, kind.get("enum")):
        new["enum"] = [*one_of, *([None] if nullable else [])]
    if new.get("minLength") and "pattern" not in new:
        new["pattern"] = r"\S"  # the gateway takes blanks off first
    if kind.get("format") in {"file-path", "path"}:
        new["pattern"] = "^/"
    if "additionalProperties" in kind:
        new["additionalProperties"] = {"type": "string", "pattern": "^/"}
    if name in PATTERNS:
        new["pattern"] = PATTERNS[name]
    if name == "observe.port":
        new["minimum"] = 1  # a free one would be unknown to probes and Prometheus
    return new | {"description": part["description"]}


def _flat() -> Iterator[tuple[str, dict[str, Any]]]:
    known = Settings.model_json_schema()
    for name, part in known["properties"].items():
        if "$ref" in part:
            section = known["$defs"][part["$ref"].rpartition("/")[2]]
            yield from ((f"{name}.{inner}", each) for inner, each in section["properties"].items())
        else:
            yield name, part


def _default(name: str) -> object:
    return dict(_flat())[name].get("default")
