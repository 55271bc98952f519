"""All dashboards, and their text.

Knows that there are these four. Must not know what is on them.
"""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import consent, genie, lanes, operations
from deploy.grafana.board import Board

BOARDS: tuple[Board, ...] = (operations.BOARD, genie.BOARD, consent.BOARD, lanes.BOARD)


def as_json(board: Board) -> str:
    """What is checked in: sorted, so that a change shows as what it is."""
    return json.dumps(board.build(), cls=JSONEncoder, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
