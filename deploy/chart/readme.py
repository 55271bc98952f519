"""The table of values in the chart's README, from values.yaml and the comments in it that begin with `# --`."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_][\w-]*):(?: # (?P<left_to_gateway>.+))?")


def table(text: str) -> str:
    """A row for each value that a comment explains, in the page's order."""
    values = yaml.safe_load(text)
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, sentence, left_to_gateway in _explained(text):
        default = _at(values, path)
        words = left_to_gateway or ("" if default is None else json.dumps(default, ensure_ascii=False))
        shown = f"`{words}`" if words else ""
        rows.append(f"| `{'.'.join(path)}` | {shown} | {sentence.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def _explained(text: str) -> Iterator[tuple[list[str], str, str | None]]:
    """(path, sentence, the default that a comment behind it names)."""
    path: list[str] = []
    sentence: list[str] = []
    for line in text.splitlines():
        comment = line.strip().removeprefix("#").strip()
        if line.strip().startswith("# --"):
            sentence = [comment.removeprefix("--").strip()]
        elif line.strip().startswith("#"):
            if sentence:
                sentence.append(comment)
        elif matched := _LINE.match(line):
            path = [*path[: len(matched["indent"]) // 2], matched["key"]]
            if sentence:
                yield path, " ".join(sentence), matched["left_to_gateway"]
            sentence = []
        else:
            sentence = []


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = (values or {}).get(key)
    return values
