"""Hypothesis' settings for all property tests: HYPOTHESIS_PROFILE names them."""

import os

from hypothesis import Phase, settings

settings.register_profile("suite", deadline=None)  # how long one example takes says nothing on a busy machine
settings.register_profile(  # for tests/mutants: the same few examples each time, and nobody reads which one failed
    "few",
    deadline=None,
    max_examples=15,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
