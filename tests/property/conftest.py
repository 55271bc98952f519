"""Hypothesis' settings for all property tests: HYPOTHESIS_PROFILE names them."""

import os

from hypothesis import settings

settings.register_profile("suite", deadline=None)  # how long one example takes says nothing on a busy machine
settings.register_profile("few", deadline=None, max_examples=15, derandomize=True, database=None)  # tests/mutants
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
