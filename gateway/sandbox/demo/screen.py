"""Where the demo shows itself: a live board on a terminal, plain lines anywhere else, and a picture.

Knows rich. Must not know the run.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.terminal_theme import DIMMED_MONOKAI

from gateway.sandbox.demo.board import WIDTH, Snapshot, board, line

LINE_SECONDS = 5.0
BOARD_SECONDS = 0.5
_FRAMES_A_SECOND = 4
# rich's own frame, without the fonts that it would have a browser load from elsewhere
_PICTURE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
 line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Screen:
    """Shows a run on standard output; on standard error where that belongs to JSON."""

    def __init__(self, *, live: bool, as_json: bool) -> None:
        out = sys.stderr if as_json else sys.stdout
        self._console = Console(file=out, width=None if out.isatty() else WIDTH, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=_FRAMES_A_SECOND) if live and out.isatty() else None
        self._last: Snapshot | None = None

    @property
    def pause_seconds(self) -> float:
        """Between two looks at the run: each costs the gateway a little."""
        return BOARD_SECONDS if self._live else LINE_SECONDS

    def say(self, text: str) -> None:
        """One line for people."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, now: Snapshot, *, final: bool = False) -> None:
        """The run as it is now."""
        self._last = now
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(board(now))
            if final:
                self._live.stop()
        else:
            self.say(line(now))

    def print(self, *parts: RenderableType) -> None:
        """Tables and panels, with space around each."""
        for part in parts:
            self._console.print()
            self._console.print(part)

    def close(self) -> None:
        """Leave the terminal as it was found."""
        if self._live is not None and self._live.is_started:
            self._live.stop()

    def picture(self, path: Path, *parts: RenderableType) -> None:
        """Write the last board and what follows it as SVG."""
        canvas = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        for part in (board(self._last), *parts) if self._last else parts:
            canvas.print(part)
        svg = canvas.export_svg(title="gateway demo", theme=DIMMED_MONOKAI, code_format=_PICTURE, unique_id="demo")
        path.write_text(svg, "utf-8")
