"""How a promise's test is proven able to fail: it runs once as it is, and once without each step that keeps it."""

import pytest

from gateway.sandbox.verifier import Verdict
from tests.promises.launch import PATCHES

Removed = tuple[str, ...]  # names of tests/promises/removals.py that are taken out together
PLAIN: Removed = ()


def also_without(*removals: str | Removed) -> pytest.MarkDecorator:
    """Parametrizes `removed`: as it is, then without each of these."""
    cases = [PLAIN, *((each,) if isinstance(each, str) else each for each in removals)]
    unknown = {name for case in cases for name in case} - PATCHES.keys()
    assert not unknown, unknown
    return pytest.mark.parametrize(
        "removed", cases, ids=["as it is", *(f"without {' and '.join(case)}" for case in cases[1:])]
    )


def judge(verdict: Verdict, removed: Removed, *, breaks: str) -> None:
    """As it is nothing at all is wrong; without the step, the promise's own count is not zero."""
    if removed == PLAIN:
        assert verdict.clean, verdict.examples
    else:
        assert verdict.defects[breaks], f"not noticed: {removed}; {verdict.defects}"
