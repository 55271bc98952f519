"""What must happen sometimes: every kind of fault and every rare path, over a run of many stories.

Knows which paths there are and by what each is seen. Must not know how to bring any about.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.reasons import Outcome, Reason
from gateway.kafka.names import TopicNames
from tests.chaos.points import Point
from tests.coded import Coded
from tests.simulation.evidence import Evidence
from tests.simulation.faults import names as fault_names

ENOUGH_SEEDS = 500  # of a run: what it never reaches is then no bad luck (of 300 two were missing)

Seen = Callable[[Evidence], int]
_FENCE_WAITS = "consent fence waits for the view, nothing is sent"
_DOUBT = "doubtful commit, the lane opens again"


def _reason(code: str) -> Seen:
    return lambda evidence: evidence.reasons[code]


def _log(sentence: str) -> Seen:
    return lambda evidence: evidence.logs[sentence]


def _end(error: str) -> Seen:
    return lambda evidence: evidence.ends[error]


def _joined(what: str) -> Seen:
    return lambda evidence: evidence.joined[what]


def _genie(what: str) -> Seen:
    return lambda evidence: evidence.genie[what]


def _seen(what: str) -> Seen:
    return lambda evidence: evidence.seen[what]


def _brokers(what: str) -> Seen:
    return lambda evidence: evidence.brokers[what]


class Rare(Coded):
    """A path: (code, sentence, by what it is seen).

    Of what brokers count two are not here. No gateway asks twice for the end of a transaction ("EndTxn of an ended
    transaction"): what does is a removal, `endtxn_is_repeated`. And none holds the instance id of another that lives
    ("static member fenced"): in a seat the next process starts when the last one has ended.
    """

    sentence: str
    seen: Seen

    # --- how records end
    PROVIDED = ("provided", "GeNiE accepts a record", _reason("accepted"))
    RESOLVED_RECEIVED = ("resolved_received", "a lookup says that GeNiE has it", _reason("resolved_by_lookup"))
    RESOLVED_NOT_RECEIVED = (
        *("resolved_not_received", "a lookup says that GeNiE does not have it"),
        _genie("lookup not_received"),
    )
    LOOKUP_PROCESSING = ("lookup_processing", "a lookup finds it still in progress", _genie("lookup_processing"))
    DUPLICATE_OF_OURS = (
        *("duplicate_of_ours", "GeNiE calls our own repeated attempt a duplicate"),
        _joined("duplicate of our own"),
    )
    DUPLICATE_OF_ANOTHER = ("duplicate_of_another", "GeNiE has it from another record", _reason("same_event"))
    DUPLICATE_OTHER_SCOPE = (
        *("duplicate_other_scope", "GeNiE has it from another record, under another scope"),
        _reason("same_event_other_scope"),
    )
    SUPERSEDED = ("superseded", "GeNiE has a newer score", _reason("newer_at_genie"))
    EVENT_ID_REUSED = ("event_id_reused", "an event id comes with other content", _reason("event_id_reused"))
    REJECTED = ("rejected", "GeNiE rejects a record", _reason("rejected_by_genie"))
    GENIE_FAILS = ("genie_fails", "GeNiE fails on one record again and again", _reason("genie_fails_on_entry"))
    HELD = ("held", "a hold parks a record", _reason("held"))
    TARGET_MISSING = ("target_missing", "a replay asks for what is not there", _reason("replay_target_missing"))
    UNDECODABLE = ("undecodable", "a record can't be decoded", _reason("not_avro"))
    UNKNOWN_SCHEMA = ("unknown_schema", "nobody knows a record's schema", _reason("unknown_schema_id"))
    BAD_KEY = ("bad_key", "a record's key is no subject", _reason("bad_key"))
    MISMATCH = ("mismatch", "a record's key is another subject", _reason("subject_mismatch"))

    # --- replays
    REPLAY_PROVIDED = ("replay_provided", "a replay provides a record", _joined("replay PROVIDED"))
    REPLAY_WITHDRAWN = (
        *("replay_withdrawn", "a withdrawal races a replay, and it is withheld"),
        _joined("a replay withheld after a withdrawal that raced it"),
    )
    REPLAY_CONSENTED = (
        *("replay_consented", "a consent races a replay, and it is provided"),
        _joined("a replay provided after a consent that raced it"),
    )
    REPLAY_OF_PROVIDED = (
        *("replay_of_provided", "a replay finds that its record was provided already"),
        _joined("a replay of what was provided"),
    )
    REPLAYED_TWICE = ("replayed_twice", "one plan is applied twice", _joined("a request applied twice"))
    REPLAYS_AT_ONCE = (
        *("replays_at_once", "a record is asked for again while its replay is under way"),
        _joined("replays of one record at once"),
    )
    REPLAY_KILLED = (
        *("replay_killed", "who has announced a replay is killed"),
        _joined("a replay in flight across a kill"),
    )
    REPLAY_MOVED = (
        *("replay_moved", "a lane moves to another process with a replay that is announced"),
        _joined("a replay in flight across a rebalance"),
    )
    REPLAY_RESOLVES = ("replay_resolves", "a replay resolves a parked record", _joined("a parked record resolved"))

    # --- between announcement and settlement
    WITHHELD_ANNOUNCED = (
        *("withheld_announced", "consent goes between announcement and decision"),
        _joined("withheld after it was announced"),
    )
    WITHHELD_SENT = (
        *("withheld_sent", "consent goes after an attempt that GeNiE did not take"),
        _joined("withheld after it was sent and not received"),
    )
    OTHER_BODY = (
        *("other_body", "a scope changes, and the record is announced anew"),
        _joined("announced anew with another body"),
    )
    AGAIN = ("again", "a record is announced again", _joined("announced again"))
    BISECTED = ("bisected", "a batch is sent again in smaller ones", _joined("a batch became smaller"))
    TAKEN_OVER = (
        *("taken_over", "one process announces, another settles"),
        _joined("announced by one process, settled by another"),
    )
    TAKEN_OVER_LOOKUP = (
        *("taken_over_lookup", "one process sends, another learns by lookup that it arrived"),
        _joined("an intent of another process resolved by lookup"),
    )

    # --- transactions and owners
    DOUBT = ("doubt", "a commit is doubtful, and the lane opens again", _log(_DOUBT))
    ZOMBIE = ("zombie", "an older owner is fenced off", _log(f"{_DOUBT}/NEWER_OWNER"))
    COMMITTED_IN_DOUBT = (
        *("committed_in_doubt", "a commit was carried out, and its answer never came"),
        _log(f"{_DOUBT}/ANSWER_LOST"),
    )
    ABORTED_BY_NEXT = (
        *("aborted_by_next", "the next owner ends a transaction that was never committed"),
        _brokers("take-over aborts a transaction"),
    )
    WAITS_FOR_MARKERS = (
        *("waits_for_markers", "the next owner waits until a transaction's markers are written"),
        _brokers("take-over waits for markers"),
    )
    ZOMBIE_REFUSED = ("zombie_refused", "brokers refuse an older owner", _brokers("zombie refused"))
    PRODUCED_AGAIN = ("produced_again", "a batch comes twice, and is kept once", _brokers("batch produced again"))
    LOST_WITH_LEADER = (
        *("lost_with_leader", "what no follower had goes with its leader"),
        _brokers("records lost with a leader"),
    )
    COORDINATOR_LOADS = ("coordinator_loads", "a new coordinator reads its state", _brokers("coordinator loading"))
    COORDINATOR_REVERTS = (
        *("coordinator_reverts", "a coordinator that has read its state goes back to an older one"),
        _brokers("coordinator reverted"),
    )
    TXN_TIMED_OUT = (
        *("txn_timed_out", "brokers end a transaction that was open too long"),
        _brokers("transaction timed out"),
    )
    MARKER_LOST = ("marker_lost", "a marker goes with its leader", _brokers("marker lost with its leader"))
    MARKER_WAITS = ("marker_waits", "a marker waits for a leader", _brokers("marker waits for a leader"))
    MISSED_REBALANCE = (
        *("missed_rebalance", "a member joins too late, and is no longer one"),
        _brokers("member missed a rebalance"),
    )
    STATIC_CAME_BACK = ("static_came_back", "a static member comes back", _brokers("static member came back"))
    SECOND_DOUBT = ("second_doubt", "a lane gives up: the process ends", _end("LaneFailedError"))
    NO_MEMBER = ("no_member", "the group no longer confirms a process: it ends", _end("MembershipLostError"))
    LIVE_AT_OPENING = ("live_at_opening", "a lane opens with live intents", _seen("live intents at opening"))
    SETTLED_AT_OPENING = (
        *("settled_at_opening", "a lane opens with offsets settled beyond the watermark"),
        _seen("settled set at opening"),
    )
    WINDOW_FULL = ("window_full", "a lane's window is full", _seen("window full"))
    PAUSED = ("paused", "a hold pauses a lane that has records", _seen("paused"))
    CLOSES_UNDER_WAY = (
        *("closes_under_way", "a lane closes while records are under way"),
        _seen("closes with records under way"),
    )
    DRAINING = ("draining", "a lane drains", _seen(f"at {Point.DRAINING.value}"))

    # --- consent view, fence, registry
    FENCE_SLOW = (
        "fence_slow",
        "a fence waits for the view in vain",
        _log(_FENCE_WAITS),
    )
    FENCE_FOR_HOLD = ("fence_for_hold", "a fence waits for a hold", _log(f"{_FENCE_WAITS}/{TopicNames().controls}"))
    FENCE_FAILED = ("fence_failed", "the view can't be proven fresh", _seen("a fence failed"))
    VIEW_REBUILT = ("view_rebuilt", "the consent view is built anew", _log("consent view is built anew"))
    REGISTRY_AWAY = (
        *("registry_away", "the schema registry is asked in vain"),
        _seen("the registry was asked in vain"),
    )

    # --- GeNiE
    BREAKER = ("breaker", "the breaker opens", _log("GeNiE fails, requests are held back"))
    CLOCK_FAR = (
        *("clock_far", "GeNiE's clock is further away than allowed"),
        _log("clock is far from GeNiE's, nothing it says is believed"),
    )
    STOPPED = ("stopped", "lanes stop because GeNiE blames us", _log("lane stopped"))
    CLOCK_SET = ("clock_set", "a gateway whose clock was set ends", _end("ClockSetError"))


# Records are withheld for each of these in some story, whatever else the ledger may say there.
WITHHELD = tuple(reason.value for reason in Reason if reason.outcome is Outcome.WITHHELD)


def never(evidence: Evidence) -> list[str]:
    """What was never reached: faults by name, reasons for withholding, and paths."""
    faults = [f"fault {name}" for name in fault_names() if not evidence.done[name]]
    reasons = [f"reason {code}" for code in WITHHELD if not evidence.reasons[code]]
    return faults + reasons + [f"path {rare.value}" for rare in Rare if not rare.seen(evidence)]
