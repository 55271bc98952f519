"""What the producers know of the privacy policy: its last versions, and the score's inputs from its data.

The versions are written down a second time, so that a slip in the policy data shows as a wrong outcome.
Must not know what the gateway decides.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

import gateway
from gateway.sandbox.producers.days import day

RECIPIENT = "genie"
ITEMS = ("name", "address", "phone", "birth_date", "payment_history", "norel_score", "norel_score_inputs")
MARKETING = "credit_product_marketing"  # purpose 7, the only one that a customer may decline
OTHER_PURPOSE = "market_research_and_product_development"

CLAUSE_FROM = day(2026, 2, 25)  # the only version that is known to name GeNiE
OLDER_VERSIONS = (day(2025, 6, 19), day(2025, 8, 29), day(2025, 11, 14), day(2026, 1, 29), day(2026, 2, 5))
NO_VERSION = day(2026, 1, 1)  # no version starts on this day

MODEL = "norel_score"


@cache
def registered_inputs() -> dict[str, dict[str, str]]:
    """By model version: the source of each score input that the policy data registers."""
    file = Path(gateway.__file__).parent / "policies" / "genie.yaml"
    versions: dict[str, dict[str, str]] = yaml.safe_load(file.read_text("utf-8"))["score_inputs"][MODEL]
    return versions
