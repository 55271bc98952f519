"""Where an index lies unless said otherwise: a SQLite file of this user, one for each ledger topic of each cluster."""

from __future__ import annotations

import os
from pathlib import Path


def default_file(cluster_id: str, topic: str) -> Path:
    """Under XDG's state directory: not made by asking."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "credit-gateway" / f"{topic}.{cluster_id}.sqlite"


def default_url(cluster_id: str, topic: str) -> str:
    """The same, as the URL of a database."""
    return f"sqlite:///{default_file(cluster_id, topic)}"
