"""Reads the privacy policy, which is data, from its file."""

from __future__ import annotations

from pathlib import Path

import yaml

from gateway.core.policy import Policy, PolicyError, from_mapping

GENIE = Path(__file__).with_name("genie.yaml")


def load(path: Path | None = None) -> Policy:
    """The policy in `path`, or the one that comes with the gateway. Raises PolicyError."""
    path = path or GENIE
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        # The library's own text quotes the file, and this may be the wrong one: a key, say.
        raise PolicyError(str(path), "a readable YAML file in UTF-8", _where(error)) from None
    return from_mapping(data)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"no YAML at line {mark.line + 1}"
    return error.strerror or "no file" if isinstance(error, OSError) else "no YAML in UTF-8"
