"""The named worlds: each asks one question of the protocol, with the troubles that might answer it wrongly."""

from __future__ import annotations

from gateway.core.holds import HoldScope
from tests.model.shape import Shape, Trouble, hold, opts_out, release, renews, subject, then_one_arrives, withdraws

T = Trouble

ALL = (
    Shape(
        "one event",
        "one event alone, and a withdrawal: kills, frozen owners, doubt, answers that are lost or late",
        ("a1",),
        {T.KILL: 1, T.LOST: 1, T.DOUBT: 1, T.TAKE_OVER: 1, T.SLOW: 1},
        (withdraws("a", 2),),
    ),
    Shape(
        "window and settled set",
        "records that end out of order, few live intents and a narrow window, across owners",
        ("a1", "-", "b2", "a3"),
        {T.KILL: 1, T.LOST: 1, T.DOUBT: 1, T.SLOW: 1},
        limits={"live_intents": 2, "window": 3, "fetch": 2},
    ),
    Shape(
        "batches of two subjects",
        "one answer, one intent and one fence for records of two customers, of whom one withdraws",
        ("a1", "b2", "a3"),
        {T.KILL: 1, T.LOST: 1, T.RETRY: 1},
        (withdraws("a", 2),),
        limits={"batch": 3},
    ),
    Shape(
        "a batch across a change",
        "two records of one customer in one batch: announced under one consent, or each under another",
        ("a1", "a2"),
        {T.LOST: 1, T.RETRY: 1, T.KILL: 1, T.SLOW: 1},
        (then_one_arrives(opts_out("a", 2)), withdraws("a", 3)),
        limits={"batch": 2},
    ),
    Shape(
        "a batch that GeNiE chokes on",
        "batches are halved until the entry that is at fault is alone",
        ("a1", "b2"),
        {T.CHOKED: 2, T.REJECTED: 1, T.LOST: 1, T.KILL: 1},
        (withdraws("b", 2),),
        limits={"batch": 2},
    ),
    Shape(
        "scope changes",
        "the customer opts out, then withdraws, at any moment between announcement, decision and answer",
        ("a1", "a2"),
        {T.KILL: 1, T.LOST: 2, T.SLOW: 1, T.VIEW: 1, T.FENCE: 1},
        (opts_out("a", 2), withdraws("a", 3)),
    ),
    Shape(
        "refusals after an unknown attempt",
        "GeNiE refuses, rejects or stops what it may have taken before",
        ("a1", "a2"),
        {T.LOST: 1, T.PROXY: 1, T.REFUSED: 1, T.REJECTED: 1, T.STOP: 1, T.RETRY: 1, T.KILL: 1},
        (withdraws("a", 2),),
    ),
    Shape(
        "processing",
        "lookups that say nothing yet, are lost or speak of the past",
        ("a1", "b2"),
        {T.LOST: 1, T.PROCESSING: 1, T.STALE: 1, T.KILL: 1},
        (opts_out("a", 2),),
    ),
    Shape(
        "lookups of the past",
        "one event alone that is withdrawn, and lookups that speak of a moment before it was received",
        ("a1",),
        {T.LOST: 2, T.STALE: 2, T.PROCESSING: 1, T.LOOKUP_LOST: 1, T.KILL: 1, T.SLOW: 1},
        (withdraws("a", 2),),
    ),
    Shape(
        "given up",
        "what stays unknown for an hour is parked as unknown",
        ("a1", "a2"),
        {T.LOST: 2, T.PROCESSING: 2, T.LOOKUP_LOST: 1, T.KILL: 1, T.SLOW: 1},
        (withdraws("a", 2),),
        limits={"failed_attempts": 2},
        hour=3,
    ),
    Shape(
        "replay",
        "requests to provide again what GeNiE may have or not have",
        ("a1", "a2", "a1"),
        {T.KILL: 1, T.LOST: 2, T.PROCESSING: 1, T.SLOW: 1},
        (opts_out("a", 2), withdraws("a", 3)),
        replays=True,
        had_before=("a2",),
    ),
    Shape(
        "two requests for one record",
        "a second, identical apply beside the first; the customer withdraws, and consents again",
        ("a1", "a1", "b2"),
        {T.KILL: 1, T.TAKE_OVER: 1, T.LOST: 1},
        (withdraws("a", 2), renews("a", 3)),
        limits={"batch": 3},
        replays=True,
    ),
    Shape(
        "holds",
        "on-call holds everything, then one customer, and releases",
        ("a1", "b2"),
        {T.KILL: 1, T.LOST: 1},
        (hold(HoldScope.ALL), release(), hold(HoldScope.SUBJECT, subject("a"))),
    ),
    Shape(
        "producer's duplicates",
        "an event that was produced twice, once in other words, and its consent changes between",
        ("a1", "a1'", "a1"),
        {T.KILL: 1, T.LOST: 2, T.SLOW: 1},
        (opts_out("a", 2),),
    ),
    Shape(
        "zombies",
        "an owner that was frozen anywhere goes on beside the next one",
        ("a1", "a2"),
        {T.TAKE_OVER: 1, T.LOST: 1, T.STUBBORN: 1},
        (opts_out("a", 2), withdraws("a", 3)),
    ),
    Shape(
        "doubtful commits",
        "commits that arrive or not and nobody hears of it, with late markers, and owners that come and go",
        ("a1", "b2"),
        {T.DOUBT: 2, T.MARKERS: 2, T.TAKE_OVER: 1, T.KILL: 1, T.LOST: 1},
        limits={"batch": 2},
    ),
    Shape(
        "closing",
        "a process is told to close while something is on its way",
        ("a1", "b2", "a3"),
        {T.CLOSE: 1, T.LOST: 1, T.KILL: 1},
        (withdraws("a", 2),),
    ),
    Shape(
        "newer scores and lost records",
        "GeNiE knows a newer score; a record can't be decoded any more by the next owner",
        ("a1", "?", "a2"),
        {T.SUPERSEDED: 1, T.UNREADABLE: 1, T.KILL: 1, T.LOST: 1, T.VIEW: 1},
        (withdraws("a", 2), renews("a", 3)),
    ),
)
