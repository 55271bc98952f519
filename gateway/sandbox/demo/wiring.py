"""The settings that the demo's gateway runs with, as a file that a person can read and use again.

Knows the names of settings. Must not know how the gateway reads them.
"""

from __future__ import annotations

import json
from pathlib import Path

from gateway.sandbox import pki

EXPIRES_MS = 3_000
SKEW_MS = 1_000
SESSION_TIMEOUT_MS = 6_000  # so that a killed gateway's lanes are taken over soon

_HEAD = "# What the demo runs the gateway with: GATEWAY_CONFIG={path} gateway serve\n"


def write(path: Path, *, instance: str, bootstrap: str, genie_url: str, keys: pki.Pki, view: Path, port: int) -> None:
    """Write the file. Names and addresses are made up and say so."""
    sections: dict[str, dict[str, str | int | bool]] = {
        "kafka": {
            "bootstrap_servers": bootstrap,
            "group_instance_id": instance,
            "session_timeout_ms": SESSION_TIMEOUT_MS,
            "allow_dev_topics": True,
        },
        "genie": {
            "base_url": genie_url,
            "ca_file": str(keys.ca),
            "client_cert_file": str(keys.client),
            "client_key_file": str(keys.client_key),
            "signing_key_file": str(keys.norel_ed25519),
            "signing_key_id": pki.NOREL_ED25519_ID,
            "expires_ms": EXPIRES_MS,
            "skew_ms": SKEW_MS,
        },
        "genie.answer_key_files": {pki.GENIE_ED25519_ID: str(pki.public_half(keys.genie_ed25519))},
        "recipient": {
            "name": "GeNiE株式会社",
            "address": "(見本) 東京都架空区見本町1-2-3",
            "representative": "(見本) 代表取締役 架空太郎",
        },
        "provider": {
            "name": "株式会社 IDOM CaaS Technology",
            "address": "(見本) 東京都架空区見本町4-5-6",
            "representative": "(見本) 代表取締役 架空花子",
        },
        "keys": {
            "idempotency_key_file": str(keys.idempotency_key),
            "pseudonym_key_file": str(keys.pseudonym_key),
        },
        "view": {"path": str(view)},
        "observe": {"host": "127.0.0.1", "port": port},
    }
    text = _HEAD.format(path=path) + f"instance = {_toml(instance)}\n"
    for name, settings in sections.items():
        text += f"\n[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in settings.items())
    path.write_text(text, "utf-8")


def _toml(value: str | int | bool) -> str:
    """A TOML value: of these types JSON's form is TOML's too."""
    return json.dumps(value, ensure_ascii=False)
