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
        raise PolicyError(str(path), "a readable YAML file in UTF-8", str(error)) from error
    return from_mapping(data)
