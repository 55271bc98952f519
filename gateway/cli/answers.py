"""What a command prints: text for a person, or one JSON value where --json asks for it."""

from collections.abc import Mapping
from typing import Annotated

import orjson
import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def answer(text: str, data: Mapping[str, object], *, as_json: bool) -> None:
    """Print `data` as one line of JSON, or `text`; at once, since another program may wait for it."""
    print(orjson.dumps(data).decode() if as_json else text, flush=True)
