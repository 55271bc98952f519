"""The metrics of GeNiE's side: requests, slots, breaker, retry budget, keys and certificates. Part of metrics.py.

Knows which kinds of answers there are to count. Must not know who measures, or what an answer means for an entry.
"""

from __future__ import annotations

from gateway.core.outcome import Answer, Lost, NotSent
from gateway.observe.declared import OTHER, Declared, Series

_GENIE_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ANSWER_KINDS = ("2xx", "3xx", "4xx", "429", "503", "5xx", "unverified", "lost", "not_sent")
PARTNERS = ("genie", "kafka")
_LOOKUP_RESULTS = {True: "answered", False: "unanswered"}


def answer_kind(answer: Answer) -> str:
    """One of ANSWER_KINDS; of an answer that is not surely GeNiE's the status says nothing."""
    if isinstance(answer, NotSent):
        return "not_sent"
    if isinstance(answer, Lost):
        return "lost"
    if not answer.verified:
        return "unverified"
    return str(answer.status) if answer.status in {429, 503} else f"{answer.status // 100}xx"


class GenieMetrics(Declared):
    """To be declared by the metrics of a process."""

    def _declare_genie(self) -> None:
        self._announced = self._counter("announced_entries_total", "Entries announced, again for each new attempt.")
        self._sent = self._counter("sent_entries_total", "Entries sent, again for each new attempt.")
        self._answers = Series(
            self._histogram("genie_request_seconds", "Requests to GeNiE by how they ended.", _GENIE_S, "kind")
        )
        self._lookups = Series(
            self._histogram("genie_lookup_seconds", "Lookups at GeNiE by how they ended.", _GENIE_S, "result")
        )
        self._slots = self._gauge("genie_slots", "Requests that may be under way at once now.")
        self._slots_in_use = self._gauge("genie_slots_in_use", "Requests under way or about to be.")
        self._slot_waiters = self._gauge("genie_slot_waiters", "Lanes that wait for a slot.")
        self._breaker = self._gauge("genie_breaker_open", "1 while the circuit breaker holds requests back.")
        self._again = self._counter("genie_retries_total", "Requests that must be made again, whatever the cause.")
        self._retries = self._gauge("genie_retry_budget_per_second", "Requests a second that may be made again now.")
        self._retry_wait = self._gauge(
            "genie_retry_budget_wait_seconds",
            "How long the retry budget, used up, keeps a request from being made again.",
        )
        self._clock = self._gauge(
            "genie_clock_difference_seconds", "GeNiE's clock minus ours, as far as its signed answers prove."
        )
        self._certificates = Series(
            self._gauge(
                "certificate_expiry_timestamp_seconds",
                "When a certificate ends: ours for this partner, or (_ca) the last authority that we trust there.",
                "name",
            )
        )
        self._signing_key = self._gauge(
            "genie_signing_key_info",
            "1, with the id of the key that signs requests: keys themselves never end.",
            "key_id",
        )
        self._changes_refused = Series(
            self._gauge(
                "credential_change_refused",
                "1 while changed keys or certificates for this partner can't be used and the old ones still are.",
                "partner",
            )
        )
        self._changes = Series(
            self._counter(
                "credential_changes_total", "Times changed keys or certificates for this partner were taken.", "partner"
            )
        )
        for partner in PARTNERS:
            self.credential_change_refused(partner, refused=False)
            self._changes(partner)
        for kind in ANSWER_KINDS:
            self._answers(kind)
        for result in _LOOKUP_RESULTS.values():
            self._lookups(result)

    def announced(self, entries: int) -> None:
        """So many entries are in intents that a transaction carries."""
        self._announced.inc(entries)

    def sent(self, entries: int) -> None:
        """So many entries are on their way."""
        self._sent.inc(entries)

    def answered(self, kind: str, seconds: float) -> None:
        """A request ended so, after so long; `kind` is one of ANSWER_KINDS."""
        self._answers(kind if kind in ANSWER_KINDS else OTHER).observe(seconds)

    def lookup(self, ok: bool, seconds: float) -> None:
        """A lookup ended, with a verified answer or without."""
        self._lookups(_LOOKUP_RESULTS[ok]).observe(seconds)

    def limiter(self, limit: int, in_use: int, waiting: int, breaker_open: bool) -> None:
        """The slots as they are now."""
        self._slots.set(limit)
        self._slots_in_use.set(in_use)
        self._slot_waiters.set(waiting)
        self._breaker.set(breaker_open)

    def retried(self) -> None:
        """A request must be made again."""
        self._again.inc()

    def retry_budget(self, per_second: float, wait: float) -> None:
        """The retry budget as it is now."""
        self._retries.set(per_second)
        self._retry_wait.set(wait)

    def certificate_expiry(self, name: str, epoch_seconds: float) -> None:
        """The certificate of this name ends then."""
        self._certificates(name).set(epoch_seconds)

    def credential_change_refused(self, partner: str, *, refused: bool) -> None:
        """Whether changed keys or certificates for one of PARTNERS can't be used."""
        self._changes_refused(partner).set(refused)

    def credentials_changed(self, partner: str) -> None:
        """Changed keys or certificates for one of PARTNERS are in use."""
        self._changes(partner).inc()

    def signing_key(self, key_id: str) -> None:
        """Requests are signed by this key from now on."""
        self._signing_key.clear()
        self._signing_key.labels(key_id).set(1)

    def genie_clock(self, difference_ms: int) -> None:
        """GeNiE's clock is at least so far ahead of ours, or behind."""
        self._clock.set(difference_ms / 1000)
