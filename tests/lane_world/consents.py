"""What customers and on-call said, and when it was acknowledged."""

from bisect import bisect_right
from dataclasses import replace
from random import Random

from gateway.core.consent import Consent, ConsentState, ConsentStatus
from gateway.core.holds import Hold, Holds, HoldScope
from tests.core_cases import NOW, consent
from tests.lane_world.shape import Shape

OPT_OUT = frozenset({"credit_product_marketing"})


class Consents:
    """The consent of each subject as a function of time."""

    def __init__(self, rng: Random, shape: Shape) -> None:
        subjects = [f"subject-{n}a" for n in range(shape.subjects)]
        self._times: dict[str, list[int]] = {s: [NOW - 1] for s in subjects}
        self._states: dict[str, list[ConsentState]] = {
            s: [consent(subject_ref=s) if rng.random() < 0.9 else None] for s in subjects
        }
        for at in sorted(NOW + rng.randrange(shape.troubles_ms) for _ in range(shape.consent_changes)):
            subject = rng.choice(subjects)
            self._times[subject].append(at)
            self._states[subject].append(_next(rng, subject, self._states[subject][-1]))

    def at(self, subject: str, moment: int) -> ConsentState:
        """The state as acknowledged by `moment`."""
        return self._states[subject][bisect_right(self._times[subject], moment) - 1]


def _next(rng: Random, subject: str, state: ConsentState) -> Consent:
    if not isinstance(state, Consent):
        return consent(subject_ref=subject)
    state = replace(state, version=state.version + 1, record_id=f"record-{state.version + 1}")
    match rng.choice(["withdrawn", "withdrawn", "renewed", "opted", "opted"]):
        case "withdrawn":
            return replace(state, status=ConsentStatus.WITHDRAWN)
        case "renewed":
            return replace(state, status=ConsentStatus.RENEWED)
        case _:
            opted_out = frozenset[str]() if state.opted_out else OPT_OUT
            return replace(state, status=ConsentStatus.GIVEN, opted_out=opted_out)


class HoldsOverTime:
    """The holds that are on as a function of time; all are released in the end."""

    def __init__(self, rng: Random, shape: Shape) -> None:
        self._spans: list[tuple[int, int, Hold]] = []
        for number in range(shape.holds):
            start = NOW + rng.randrange(shape.troubles_ms)
            scope = rng.choice(list(HoldScope))
            value = {
                HoldScope.ALL: None,
                HoldScope.EVENT_TYPE: "lease_payment",
                HoldScope.SUBJECT: f"subject-{rng.randrange(shape.subjects)}a",
                HoldScope.INPUT_PARTITION: "lease.payments:0",
            }[scope]
            self._spans.append((start, start + rng.randrange(8_000), Hold(f"hold-{number}", scope, value, None)))

    def at(self, moment: int) -> Holds:
        """As acknowledged by `moment`."""
        return Holds(hold for start, end, hold in self._spans if start <= moment < end)
