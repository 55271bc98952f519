"""Consents that change while replays of the customer's events are under way. Must not know what becomes of these."""

from __future__ import annotations

from gateway.sandbox.producers import consents
from gateway.sandbox.producers.consents import Case, Change, Record

_GIVEN_LATER = frozenset({Case.WITHDRAWN, Case.EXPIRED, Case.UNKNOWN})  # who may consent again


class Book(consents.Book):
    """One in which a customer can be looked up."""

    def end_or_begin(self, number: int, now: int) -> Record | None:
        """The consent that stands is withdrawn, one that ended is given again; None if this customer's is neither."""
        if self.may_change(number):
            return self._next(Change.WITHDRAW, number, now)
        if number in self._last or consents.case_of(self._world, number) in _GIVEN_LATER:
            if number in self._withdrawn:
                self._withdrawn.remove(number)
            return self._next(Change.RENEW, number, now)
        return None
