"""What is handed to a logger is a fixed sentence, in the gateway and in aiokafka: read in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import aiokafka

import gateway
from gateway.observe import logs
from gateway.observe.logs import KEYS


def calls_of_log(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls such as log.info(...)."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger")), args=[_, *_]):
                yield node


def test_templates_of_aiokafka_are_literals() -> None:
    """At the installed version no message is formatted before it is logged, so that templates hold no data."""
    found = 0
    for path in Path(aiokafka.__file__).parent.rglob("*.py"):
        for call in calls_of_log(ast.parse(path.read_text("utf-8"))):
            if isinstance(call.args[0], ast.Name):
                continue
            assert isinstance(call.args[0], ast.Constant), f"{path.name}:{call.lineno}"
            found += 1
    assert found > 50


def test_events_of_ours_are_literals_with_allowed_keys() -> None:
    """Every call in the gateway logs a fixed sentence, and no key that would be dropped."""
    root = Path(gateway.__file__).parent
    for path in root.rglob("*.py"):
        if path.is_relative_to(root / "sandbox"):
            continue
        text = path.read_text("utf-8")
        for call in calls_of_log(ast.parse(text)):
            event, where = call.args[0], f"{path.relative_to(root)}:{call.lineno}"
            assert isinstance(event, ast.Constant), where
            if "observe.logs import" in text:
                assert logs._SENTENCE.fullmatch(event.value), where
                assert len(call.args) == 1, where
                assert {word.arg for word in call.keywords} <= {*KEYS, "exc_info"}, where
