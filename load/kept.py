"""What was measured last, as files beside the code: rounds, stages, the consent view.

Knows where they lie and their JSON. Must not know how anything was measured, or what is written about it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.result import Result
from load.stages.sizes import Sizes
from load.stages.stage import Stage

RESULTS = Path(__file__).parent / "results"
_ROUNDS, _STAGES, _VIEWS = "rounds.json", "stages.json", "views.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """All of it; what was never measured is empty."""

    rounds: Sequence[Result] = ()
    stages: Sequence[Stage] = ()
    sizes: Sizes | None = None
    views: Sequence[Mapping[str, float]] = ()  # of load/view.py, one for each count of subjects


def read(where: Path = RESULTS) -> Kept:
    """What lies there."""
    measured = _read(where / _STAGES, {})
    sizes = measured.get("bytes")
    return Kept(
        rounds=[Result.from_json(each) for each in _read(where / _ROUNDS, [])],
        stages=[Stage.from_json(each) for each in measured.get("stages", [])],
        sizes=None if sizes is None else Sizes(**sizes),
        views=_read(where / _VIEWS, []),
    )


def keep_rounds(rounds: Sequence[Result], where: Path = RESULTS) -> None:
    """In place of earlier rounds of the same scenarios."""
    again = {each.scenario for each in rounds}
    all_rounds = [each for each in read(where).rounds if each.scenario not in again] + list(rounds)
    _write(where / _ROUNDS, [each.to_json() for each in sorted(all_rounds, key=lambda each: each.scenario)])


def keep_stages(stages: Sequence[Stage], sizes: Sizes, where: Path = RESULTS) -> None:
    """In place of all earlier ones."""
    _write(where / _STAGES, {"bytes": sizes.to_json(), "stages": [each.to_json() for each in stages]})


def keep_view(view: Mapping[str, float], where: Path = RESULTS) -> None:
    """In place of the earlier one for as many subjects."""
    others = [each for each in read(where).views if each["subjects"] != view["subjects"]]
    _write(where / _VIEWS, sorted([*others, dict(view)], key=lambda each: each["subjects"]))


def _read(path: Path, nothing: Any) -> Any:
    return json.loads(path.read_text("utf-8")) if path.exists() else nothing


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
