"""Python source written for one schema or projection, compiled once: what is done for each event is done straight.

Knows lines, depth, locals and constants. Must not know Avro or bodies.
A line holds only what the generators themselves write: numbers, names of locals and constants, and quoted by repr()
the names of fields and items. Anything else that a schema or the policy says is a constant, never source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Code:
    """The body of one function while it is written; `constants` are what it may use by name."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = dict(constants)
        self._lines: list[str] = []
        self._depth = 1
        self._locals = 0

    def line(self, text: str) -> None:
        """One more line, at the present depth."""
        self._lines.append(" " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """The lines written inside it stand below this head."""
        self.line(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1

    def local(self) -> str:
        """The name of a variable that nothing else uses."""
        self._locals += 1
        return f"v{self._locals}"

    def constant(self, value: Any) -> str:
        """The name by which the function finds this value."""
        name = f"C{len(self._constants)}"
        self._constants[name] = value
        return name

    def function(self, parameter: str) -> Callable[[Any], Any]:
        """What has been written, as a function of one parameter."""
        source = "\n".join([f"def compiled({parameter}):", *self._lines])
        scope = dict(self._constants)
        exec(compile(source, "<compiled>", "exec"), scope)  # noqa: S102 - no line holds anyone's text: see above
        return scope["compiled"]  # type: ignore[no-any-return]  # the source defines it
