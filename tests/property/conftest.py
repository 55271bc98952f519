"""Hypothesis' settings for all property tests."""

from hypothesis import settings

settings.register_profile("suite", deadline=None)  # how long one example takes says nothing on a busy machine
settings.load_profile("suite")
