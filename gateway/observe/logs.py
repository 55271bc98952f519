"""JSON lines on standard output that can hold no personal data: a fixed sentence, and keys of a closed set.

Knows which keys may be logged and what their values look like; all else is dropped and counted. Of an exception it
logs the class and the places it passed, never its text. Of a library's message it logs at most the template, never
the arguments. Must not know what the process does.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from gateway.core.outcome import Stop
from gateway.core.reasons import Reason

MAX_FRAMES = 8  # places of an exception that are logged, the innermost last
REPEAT_S = 10.0  # how often a place of a library is heard with the same error
MAX_PLACES = 1_000  # of libraries, remembered
WITHHELD = "an event without a fixed sentence"
FOREIGN = "message of a library"

_SENTENCE = re.compile(r"[A-Za-z][A-Za-z ,.:;'()/_-]{0,119}")  # no digits: no phone, date or amount fits
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,248}")
_IDENTIFIER = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # with a letter: no phone or postal code
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){1,3}([+.-]?[a-z0-9]{1,40}){0,3}")
_CLASS = re.compile(r"[A-Za-z_]{1,64}")
_LANE = re.compile(r"[A-Za-z0-9._-]{1,249}:\d{1,10}")
_BATCH = re.compile(_LANE.pattern + r"(/\d{1,19}){1,3}")
_ADDRESS = re.compile(r"[A-Za-z0-9.\[\]:-]{1,253}:\d{1,5}")
_PACKAGE_PARENTS = ("site-packages/", f"{Path(__file__).parents[2].as_posix()}/")

# The loggers whose templates are known to be literals: ours, and aiokafka's at the pinned version (a test reads both).
_LITERAL = ("gateway", "aiokafka")
_REMEDIES = frozenset({*(stop.sentence for stop in Stop), *(reason.remedy for reason in Reason)})


def _number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)  # as far as JSON goes


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_NUMBERS = (
    *("partition", "offset", "count", "seconds", "port", "status", "attempt", "records", "entries", "bytes"),
    *("limit", "lag", "subjects", "holds", "lanes", "epoch", "generation", "node"),
)
_NAMES = (
    *("topic", "outcome", "reason", "code", "step", "kind", "state", "signal", "setting", "logger"),
    *("group", "record_kind"),
)
_IDENTIFIERS = ("instance", "key_id")
KEYS: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_NAMES, _matches(_NAME)),
    **dict.fromkeys(_IDENTIFIERS, _matches(_IDENTIFIER)),
    "lane": _matches(_LANE),
    "batch_id": _matches(_BATCH),
    "address": _matches(_ADDRESS),
    "error": _matches(_CLASS),
    "remedy": lambda value: isinstance(value, str) and value in _REMEDIES,
    "version": _matches(_VERSION),
}
"""What may be logged beside the event, and what its value must look like.

`error` also takes an exception, like `exc_info`: then its class and the places it passed are logged.
"""


class _Literal(str):
    """A sentence that is known to come from source code."""

    __slots__ = ()


def configure(level: str) -> None:
    """Log from now on at `level` and above; standard logging and uncaught exceptions end in the same lines."""
    least = logging.getLevelNamesMapping()[level.upper()]
    _install(least, lasting=True)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(logging.WARNING)  # httpx, aiohttp and others tell nothing below it that we need
    # Its DEBUG prints keys and values; its INFO, of which only the templates are left, says a hundred times nothing.
    logging.getLogger("aiokafka").setLevel(logging.INFO if least <= logging.DEBUG else logging.WARNING)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def get_logger() -> FilteringBoundLogger:
    """The logger; before `configure` it writes warnings and errors, in the same form."""
    if not structlog.is_configured():
        _install(logging.WARNING, lasting=False)
    return cast(FilteringBoundLogger, structlog.get_logger())


def _install(least: int, *, lasting: bool) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _line,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: structlog.BytesLogger(sys.stdout.buffer),
        cache_logger_on_first_use=lasting,
    )


def _line(logger: object, method: str, given: EventDict) -> EventDict:
    """Only what is allowed, the same keys first."""
    line = {"time": given.pop("time"), "level": given.pop("level"), "event": _sentence(given.pop("event", None))}
    caught = _caught(given.pop("exc_info", None))
    if isinstance(given.get("error"), BaseException):
        caught = given.pop("error")
    at = given.pop("at", None)
    dropped = 0
    for key, value in given.items():
        if key in KEYS and KEYS[key](value):
            line[key] = value
        else:
            dropped += 1
    if isinstance(at, _Literal):
        line["at"] = [at]
    if caught is not None:
        line |= _told(caught)
    if dropped:
        line["dropped"] = dropped
    return line


def _sentence(event: object) -> str:
    if isinstance(event, _Literal):
        return str(event)
    return event if isinstance(event, str) and _SENTENCE.fullmatch(event) else WITHHELD


def _render(logger: object, method: str, line: EventDict) -> bytes:
    return orjson.dumps(line)


# --- exceptions -------------------------------------------------------------------------------------------


def _caught(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        exc_info = sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def _told(error: BaseException) -> dict[str, Any]:
    """Its class, where it passed, and the class of its cause; of a group, of the first in it."""
    places = list(_places(error.__traceback__))
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        places.extend(_places(error.__traceback__))
    told: dict[str, Any] = {"error": type(error).__name__}
    if places:
        told["at"] = places[-MAX_FRAMES:]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told["cause"] = type(cause).__name__
    return told


def _places(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield _place(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next


def _place(filename: str, line: int) -> _Literal:
    """Without the directories of the machine."""
    for parent in _PACKAGE_PARENTS:
        _, found, inside = filename.rpartition(parent)
        if found:
            return _Literal(f"{inside}:{line}")
    return _Literal(f"{Path(filename).name}:{line}")


def _uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:  # the standard hooks would print the text
    get_logger().critical("uncaught exception", error=error or kind())


# --- standard logging -------------------------------------------------------------------------------------


class _Bridge(logging.Handler):
    """Writes the records of standard logging as our lines. What it can't trust it reduces to who said it, and where.

    A place that says the same again and again is heard once in REPEAT_S: while Kafka is away, aiokafka writes a
    hundred lines a second.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)  # nobody's DEBUG, whatever level its logger got
        self._spoke_at: dict[tuple[str, int, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless its place has just been heard."""
        if not self._is_news(record):
            return
        literal = record.name.partition(".")[0] in _LITERAL and isinstance(record.msg, str)
        get_logger().log(
            min(max(record.levelno // 10 * 10, logging.INFO), logging.CRITICAL),  # one of the five that we know
            _Literal(record.msg) if literal else FOREIGN,
            logger=record.name,
            at=_place(record.pathname, record.lineno),
            exc_info=_caught(record.exc_info) or _exception_among(record.args),
        )

    def _is_news(self, record: logging.LogRecord) -> bool:
        error = _caught(record.exc_info) or _exception_among(record.args)
        place, now = (record.pathname, record.lineno, type(error).__name__), time.monotonic()
        if now - self._spoke_at.get(place, -REPEAT_S) < REPEAT_S:
            return False
        if len(self._spoke_at) >= MAX_PLACES:
            self._spoke_at.clear()
        self._spoke_at[place] = now
        return True


def _exception_among(arguments: object) -> BaseException | None:
    """Many templates end in the error that they are about."""
    if not isinstance(arguments, tuple):
        return None
    return next((argument for argument in arguments if isinstance(argument, BaseException)), None)
