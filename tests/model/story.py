"""What happens, in plain sentences, a line for each action. Knows which process is meant by which place."""

from __future__ import annotations

import re


class Telling:
    """Gathers the lines of a story; processes are numbered as they start."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._sentences: list[str] = []
        self._numbers: list[int] = []
        self._started = 0
        self._about: int | None = None

    def start(self) -> None:
        """One more process."""
        self._started += 1
        self._numbers.append(self._started)

    def end(self, place: int) -> None:
        """The process at this place is gone."""
        del self._numbers[place]

    def tell(self, sentence: str, place: int | None) -> None:
        """Something more that happens in this line; `it` is the process at this place."""
        if place is not None and place != self._about:
            self._about = place
            sentence = re.sub(
                r"^it(s?) ", lambda it: f"process {self._numbers[place]}{it[1] and chr(39)}{it[1]} ", sentence
            )
        self._sentences.append(sentence)

    def end_line(self) -> None:
        """The action is over."""
        self.lines.append("; ".join(self._sentences))
        self._sentences, self._about = [], None
