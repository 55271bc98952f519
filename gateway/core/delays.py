"""Why a lane's oldest unsettled record is not settled yet: a closed set, each with a sentence for people.

Knows where a record can be on its way, and what keeps it there. Must not know how long is too long.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.core.entry import State


class Delay(StrEnum):
    """What a record waits for: (code, sentence for people)."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Delay:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    HOLD = ("hold", "A hold pauses the lane.")
    STOP = ("stop", "The lane stopped: a configuration is wrong, ours or GeNiE's.")
    CLOSING = ("closing", "The lane drains: another process or the next start goes on.")
    INTENTS = ("intents", "So many announced batches are unsettled that no more can be named.")
    SLOT = ("slot", "No request may be made now: the breaker is open, or all slots are taken.")
    COMMIT = ("commit", "The next transaction announces or settles it.")
    FENCE = ("fence", "The consent view must first be proven fresh.")
    ANSWER = ("answer", "It is on its way to GeNiE.")
    RETRY = ("retry", "GeNiE did not take it; it goes again.")
    LOOKUP_TIME = ("lookup_time", "GeNiE may have it: asked once it can no longer be accepted.")
    LOOKUP = ("lookup", "GeNiE is being asked whether it has it.")


BY_STATE = {
    State.CHECKING: Delay.FENCE,
    State.ANNOUNCED: Delay.FENCE,
    State.SENDING: Delay.ANSWER,
    State.RETRYING: Delay.RETRY,
    State.LOOKUP_WAIT: Delay.LOOKUP_TIME,
    State.LOOKING_UP: Delay.LOOKUP,
}
