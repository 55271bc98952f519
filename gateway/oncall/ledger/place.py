"""Where an index lies unless said otherwise: a SQLite file of this user, one for each ledger topic of each cluster.

Must not know which directory that is: the desk is given one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk


def usual_file(desk: Desk) -> Path | None:
    """Not made by asking; None if the desk was given no directory."""
    return None if desk.directory is None else desk.directory / f"{desk.names.ledger}.{desk.cluster_id}.sqlite"


def usual_url(desk: Desk) -> str:
    """The same, as the URL of a database; empty, which is none, without a directory."""
    file = usual_file(desk)
    return "" if file is None else f"sqlite:///{file}"
