"""Logs: what comes out is JSON of a closed shape, and no way of logging lets a value of a record through."""

import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson
import pytest
import structlog

from gateway.core.outcome import Stop
from gateway.observe import logs
from gateway.observe.logs import FOREIGN, KEYS, MAX_FRAMES, WITHHELD, configure, get_logger

CANARIES = ("田中太郎", "090-1234-5678", "tanaka@example.jp", "TANAKA 1985-04-01", "東京都千代田区1-1")
CANARY = " ".join(CANARIES)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is of the whole process: put everything back."""
    root, aiokafka_logger = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, level, aiokafka_level = list(root.handlers), root.level, aiokafka_logger.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    aiokafka_logger.setLevel(aiokafka_level)
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


@pytest.fixture
def lines(capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[[], list[dict[str, object]]]:
    """What was logged since last asked, after making sure that no canary is in it and nothing went elsewhere."""

    def read() -> list[dict[str, object]]:
        out, err = capsysbinary.readouterr()
        assert err == b""
        assert [canary for canary in CANARIES if canary in out.decode()] == []
        return [orjson.loads(line) for line in out.splitlines()]

    return read


def fail() -> None:
    """Raise an error whose text and cause carry data."""
    try:
        int(CANARY)
    except ValueError as error:
        raise LookupError(CANARY) from error


def test_a_line_is_json_with_time_level_and_event(lines) -> None:
    """Every line has these three first, and then the allowed keys."""
    configure("info")
    get_logger().info("lane opened", topic="lease.payments", partition=3, lane="lease.payments:3", seconds=0.25)
    (line,) = lines()
    assert list(line)[:3] == ["time", "level", "event"]
    time = datetime.fromisoformat(line.pop("time"))
    assert time.tzinfo == UTC
    assert line == {
        "level": "info",
        "event": "lane opened",
        "topic": "lease.payments",
        "partition": 3,
        "lane": "lease.payments:3",
        "seconds": 0.25,
    }


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_the_level_filters(lines, level: str, seen: int) -> None:
    """What is below the level is not written."""
    configure(level)
    log = get_logger()
    log.debug("one")
    log.info("two")
    log.warning("three")
    assert len(lines()) == seen


def test_keys_outside_the_closed_set_are_dropped_and_counted(lines) -> None:
    """A key that is not allowed leaves only its number, whatever its value."""
    configure("info")
    get_logger().info("settled", subject_ref="S-000001", name=CANARY, record={"phone": CANARY}, count=1)
    (line,) = lines()
    assert line["count"] == 1
    assert line["dropped"] == 3
    assert not {"subject_ref", "name", "record"} & set(line)


@pytest.mark.parametrize("value", [*CANARIES, CANARY, {"a": CANARY}, [CANARY], CANARY.encode(), None, 1 << 70])
def test_values_of_another_shape_are_dropped(lines, value: object) -> None:
    """Whatever the key, only values of its shape come through."""
    configure("info")
    get_logger().info("settled", **dict.fromkeys(KEYS, value))
    (line,) = lines()
    assert line.keys() == {"time", "level", "event", "dropped"}
    assert line["dropped"] == len(KEYS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("topic", "t1a2b3.lease.payments"),
        ("instance", "credit-gateway-0"),
        ("version", "0.1.0"),
        ("version", "1.2.3.dev4+g0a1b2c3"),
        ("batch_id", "lease.payments:3/1767225600000/12"),
        ("address", "127.0.0.1:9464"),
        ("seconds", 0.5),
    ],
)
def test_values_of_the_right_shape_are_kept(lines, key: str, value: object) -> None:
    """What is worth logging comes through unchanged."""
    configure("info")
    get_logger().info("settled", **{key: value})
    (line,) = lines()
    assert line[key] == value


def test_an_event_that_is_no_fixed_sentence_is_withheld(lines) -> None:
    """Data that was formatted into the event does not come out."""
    configure("info")
    log = get_logger()
    for canary in CANARIES:
        log.info(f"settled {canary}")
    log.info("settled %s", CANARY)
    assert {line["event"] for line in lines()} == {WITHHELD}


def test_of_an_exception_only_class_and_places_are_logged(lines) -> None:
    """However an exception is handed over, its text and its cause's text stay inside."""
    configure("info")
    log = get_logger()
    try:
        fail()
    except LookupError as error:
        log.exception("decoding failed")
        log.error("decoding failed", error=error)
        log.error("decoding failed", exc_info=error)
        log.error("decoding failed", exc_info=True)
        log.error("decoding failed", exc_info=(type(error), error, error.__traceback__))
    told = lines()
    assert len(told) == 5
    for line in told:
        assert line["error"] == "LookupError"
        assert line["cause"] == "ValueError"
        assert line["at"][-1].startswith("tests/unit/test_logs.py:")


def test_the_class_of_an_exception_may_be_given(lines) -> None:
    """A name of a class is taken, a text is not."""
    configure("info")
    get_logger().error("failing", error="KafkaError")
    get_logger().error("failing", error=str(ValueError(CANARY)))
    first, second = lines()
    assert first["error"] == "KafkaError"
    assert second["dropped"] == 1


def test_of_a_group_the_first_is_logged(lines) -> None:
    """A group of exceptions is told by the first in it."""
    configure("info")
    get_logger().error("failing", error=ExceptionGroup(CANARY, [ExceptionGroup(CANARY, [KeyError(CANARY)])]))
    (line,) = lines()
    assert line["error"] == "KeyError"


def test_the_places_of_an_exception_are_bounded(lines) -> None:
    """A deep recursion does not make a long line."""
    configure("info")

    def sink(depth: int) -> None:
        if depth == 0:
            fail()
        sink(depth - 1)

    try:
        sink(50)
    except LookupError:
        get_logger().exception("decoding failed")
    (line,) = lines()
    assert len(line["at"]) == MAX_FRAMES


def test_a_remedy_comes_from_the_closed_sets(lines) -> None:
    """The sentences of stops and reasons may be logged; no other text may."""
    configure("info")
    get_logger().error("lane stopped", code=Stop.FORBIDDEN.value, remedy=Stop.FORBIDDEN.sentence)
    (line,) = lines()
    assert line["code"] == "genie_forbidden"
    assert line["remedy"] == Stop.FORBIDDEN.sentence


def test_messages_of_aiokafka_keep_their_template_only(lines) -> None:
    """The template, the class of an error among the arguments and the place come out; arguments never do."""
    configure("info")
    logging.getLogger("aiokafka.consumer.fetcher").error("Failed fetch messages from %s: %s", CANARY, OSError(CANARY))
    logging.getLogger("aiokafka").warning("Topic %(name)s is bad", {"name": CANARY})
    first, second = lines()
    assert first["event"] == "Failed fetch messages from %s: %s"
    assert first["logger"] == "aiokafka.consumer.fetcher"
    assert first["error"] == "OSError"
    assert first["at"][0].startswith("tests/unit/test_logs.py:")
    assert second["event"] == "Topic %(name)s is bad"


@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_aiokafka_never_says_what_it_says_at_debug(lines, level: str) -> None:
    """Its DEBUG prints keys and values: no level of ours, and no level of one of its loggers, lets that out."""
    configure(level)
    child = logging.getLogger("aiokafka.producer.sender")
    child.setLevel(logging.DEBUG)
    try:
        child.debug("Sending %s", CANARY)
    finally:
        child.setLevel(logging.NOTSET)
    assert lines() == []
    assert not logging.getLogger("aiokafka.conn").isEnabledFor(logging.DEBUG)


def test_aiokafka_is_quiet_until_something_is_wrong(lines) -> None:
    """Templates without their arguments, dozens of them at each start, would bury what the gateway says."""
    configure("info")
    logging.getLogger("aiokafka.producer.sender").info("Discovered coordinator %s for transactional id %s", "a", "b")
    assert lines() == []
    configure("debug")
    logging.getLogger("aiokafka.producer.sender").info("Discovered coordinator %s for transactional id %s", "a", "b")
    assert len(lines()) == 1


def test_a_place_that_repeats_itself_is_heard_now_and_then(lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place with the same error writes one line in REPEAT_S; with another error it is heard at once."""
    now = [1_000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    configure("info")

    def complain(error: Exception) -> None:
        logging.getLogger("aiokafka").error("Unable connect to node with id %s: %s", 1, error)

    for error in (*[OSError()] * 100, TimeoutError()):
        complain(error)
    assert [line["error"] for line in lines()] == ["OSError", "TimeoutError"]
    now[0] += logs.REPEAT_S
    complain(OSError())
    assert len(lines()) == 1


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "pyreqwest", "hyper_util.client", "asyncio"])
def test_other_libraries_are_reduced(lines, name: str) -> None:
    """Others speak from WARNING on, and only who and where comes out: their messages may be ready-made texts."""
    configure("debug")
    logger = logging.getLogger(name)
    logger.info("HTTP Request: POST %s", CANARY)
    assert lines() == []
    logger.warning(f"body: {CANARY}")
    logger.error("body: %s", CANARY, exc_info=ValueError(CANARY))
    logger.log(35, CANARY)
    first, second, third = lines()
    assert (first["event"], first["logger"], first["level"]) == (FOREIGN, name, "warning")
    assert second["error"] == "ValueError"
    assert third["level"] == "warning"


def test_a_broken_logging_call_prints_nothing(lines) -> None:
    """Arguments that do not fit their template are not printed by the standard library's error report."""
    configure("info")
    template = "two %s %s"
    logging.getLogger("aiokafka").error(template, CANARY)
    (line,) = lines()
    assert line["event"] == template


def test_warnings_are_reduced(lines) -> None:
    """Python warnings go the same way."""
    configure("info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(CANARY, stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"


def test_an_uncaught_exception_of_a_thread_tells_no_text(lines) -> None:
    """The standard report of a thread's end would print the text."""
    configure("info")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["level"], line["event"], line["error"]) == ("critical", "uncaught exception", "LookupError")


@pytest.mark.parametrize(
    "end",
    [
        "raise ValueError('090-1234-5678')",
        "import asyncio\nasync def main():\n    raise ValueError('090-1234-5678')\nasyncio.run(main())",
    ],
)
def test_an_uncaught_exception_of_the_process_tells_no_text(end: str) -> None:
    """The process ends with status 1 and one line, and standard error stays empty."""
    program = f"from gateway.observe.logs import configure\nconfigure('info')\n{end}\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == b""
    (line,) = ended.stdout.splitlines()
    assert orjson.loads(line)["error"] == "ValueError"
    assert b"090" not in line


def test_an_exception_in_a_task_nobody_awaits_tells_no_text() -> None:
    """asyncio's report of it holds the exception's text; ours does not."""
    program = """
import asyncio, gc
from gateway.observe.logs import configure
configure("info")
async def fail():
    raise ValueError("090-1234-5678")
async def main():
    asyncio.get_running_loop().create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr == b""
    (line,) = ended.stdout.splitlines()
    assert orjson.loads(line)["logger"] == "asyncio"
    assert b"090" not in line


def test_before_configuring_only_warnings_are_written_in_the_same_form(lines) -> None:
    """A part that logs before the settings are read can't print data either."""
    log = get_logger()
    log.info("one")
    log.warning("two", name=CANARY)
    (line,) = lines()
    assert line["event"] == "two"
    assert line["dropped"] == 1


def test_a_logger_taken_early_follows_the_configuration(lines) -> None:
    """Modules take their logger on import, before the level is known."""
    log = get_logger()
    log.warning("one")
    configure("debug")
    log.debug("two")
    assert [line["event"] for line in lines()] == ["one", "two"]
