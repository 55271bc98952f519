"""A bad story becomes a short one, and its command line says which."""

from tests.simulation.params import Params
from tests.simulation.shape import draw
from tests.simulation.shrink import MOST_TRIES, shrink


def test_only_what_matters_is_left() -> None:
    """Of ten faults the two that are needed together, the bursts that are needed, one gateway, and no part more."""

    def bad(params: Params) -> bool:
        return {3, 7} <= set(params.faults or ()) and {2, 30} <= set(params.inputs or ()) and params.shape.replays > 0

    seed = next(seed for seed in range(100) if draw(seed).replays and draw(seed).events < 500)
    found = shrink(Params(seed), 10, 40, bad)
    assert bad(found)
    assert found.faults == (3, 7)
    assert found.inputs == (2, 30)
    assert found.shape.hosts == 1
    assert "replays" not in found.off
    assert "changes" in found.off
    assert f"--seed {seed} --hosts 1 --faults 3,7 --inputs 2,30 --off changes" in found.command


def test_what_was_not_counted_is_kept() -> None:
    """A story that broke off has said nothing of its inputs: none of them is left out."""
    assert shrink(Params(1), 4, 0, lambda _: True).inputs is None


def test_it_ends() -> None:
    """After so many tries what was found is good enough."""
    tried = []

    def bad(params: Params) -> bool:
        tried.append(params)
        return len(tried) % 3 == 0

    shrink(Params(1), 500, 500, bad)
    assert len(tried) <= MOST_TRIES
