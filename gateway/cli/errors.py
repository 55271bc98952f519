"""How a command ends: the exit statuses and the one error that becomes a message instead of a traceback."""

import sys
from enum import IntEnum

import orjson


class Exit(IntEnum):
    """What the exit status of every command means."""

    DONE = 0
    FOUND_WRONG = 1
    WRONG_USE = 2
    UNREACHABLE = 3


class CommandError(Exception):
    """Ends a command with one message: what happened, where, what to do. It must carry no personal data."""

    def __init__(self, status: Exit, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def show(self, *, as_json: bool) -> None:
        """Print the message: as JSON where JSON was asked for, else for a person."""
        if as_json:
            error = {"status": int(self.status), "kind": self.status.name.lower(), "message": self.message}
            print(orjson.dumps({"error": error}).decode(), flush=True)
        else:
            print(f"error: {self.message}", file=sys.stderr, flush=True)
