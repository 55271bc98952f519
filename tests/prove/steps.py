"""The steps of the lane protocol and the promises that they keep. Knows no code."""

from tests.coded import Coded


class Promise(Coded):
    """What the gateway promises, by its number."""

    sentence: str
    in_the_model: tuple[str, ...]  # what the model checker says when it is broken
    in_a_story: tuple[str, ...]  # with which words what the simulation says then begins

    LOST = (1, "nothing is lost", ("nothing is lost", "what the ledger says GeNiE has, it has"), ("lost",))
    UNCONSENTED = (
        2,
        "nothing leaves without valid consent",
        (
            "nothing leaves without consent that was acknowledged before fence and announcement",
            "a body carries the purposes that are permitted now",
            "what is on hold is not sent",
            "a lane on hold sends nothing",
        ),
        ("unconsented", "sent while held"),
    )
    UNRECORDED = (
        3,
        "no provision goes unrecorded",
        ("no provision goes unrecorded", "the ledger names the body that GeNiE has"),
        ("unrecorded",),
    )
    DOUBLED = (
        4,
        "exactly one ledger record",
        ("exactly one ledger record", "an event is provided once"),
        ("duplicated",),
    )
    OUT_OF_ORDER = (5, "a subject's order", ("a subject's provisions keep their order",), ("out_of_order",))
    LEAKED = (6, "only allow-listed items leave", (), ("leaked_fields",))
    UNBOUNDED = (7, "memory stays bounded", (), ())
    BLOCKED = (8, "poison never blocks a partition", (), ("not settled",))


class Step(Coded):
    """One step, by the letter that it has in ARCHITECTURE.md and in the code."""

    letter: str
    sentence: str

    OPEN_ORDER = ("open order", "a", "take over, and only then read what is committed")
    ONE_ID = ("one id", "a", "one transactional id for each partition")
    MARKERS = ("markers", "a", "wait for the markers of the last transaction")
    OFFSETS_LOG = ("offsets' log", "a", "read what is committed in its log, not as a coordinator remembers it")
    PLACE = ("place", "a", "refuse an offset that is not ours, or not in the log")
    EXACT = ("exact", "a", "read live intents where they lie, whatever else is open there")
    MISSING_INTENT = ("missing intent", "a", "refuse to open over a live intent that is gone")
    OPENINGS = ("openings", "a", "count openings in vain before a record is read")
    KEYS = ("key stability", "b", "the idempotency key depends on the event alone")
    BODIES = ("body stability", "b", "the body depends on event, scope and mapping version alone")
    ITEMS = ("items", "b", "only what policy and consent name goes into bodies, logs and records")
    SETTLE = ("settle", "c", "ledger records and offset in one transaction")
    WATERMARK = ("watermark", "c", "commit the first unsettled delivered offset")
    GAPS = ("gaps", "c", "gaps count as settled")
    SETTLED_SET = ("settled set", "c", "commit what is settled beyond the offset")
    LIVE_INTENTS = ("live intents", "c", "commit which intents may have been sent")
    INTENT = ("intent before send", "c", "no durable intent, no send")
    EXPIRES = ("expires", "c", "take expires before the announcement is written, and sign that one")
    SLOT = ("slot", "c", "hold an HTTP slot before announcing")
    FUTURES = ("awaited futures", "c", "look at every write before the commit")
    ENDTXN = ("EndTxn once", "c", "send what ends or moves a transaction once")
    FENCE = ("fence", "d", "a consent fence before every final decision")
    FENCE_AFTER = ("fence after", "d", "the fence begins after the announcement")
    FENCE_ENDS = ("fence ends", "d", "its ends are those of all partitions that there are, read uncommitted")
    FENCE_CLOCK = ("fence clock", "d", "its clock is read before the ends, and its decisions get old")
    AS_ANNOUNCED = ("as announced", "d", "send the body that was announced, or announce anew")
    REDECIDE = ("re-decision", "e", "a retry is a new decision")
    WAIT = ("wait before withholding", "f", "an unknown outcome is waited out and looked up before any other end")
    SAME_BODY = ("same body", "f", "what may have been received goes again only as it was")
    AS_OF = ("as_of", "f", "a lookup counts only past the last expires and the skew")
    SIGNED = ("signed answers", "f", "only what GeNiE signed says what became of a record")
    RESULTS = ("results", "f", "an entry ends as GeNiE's own result says, and else not")
    REPLAY = ("replay", "f", "a replay asks before it sends")
    REPLAY_AFTER = ("replay after", "f", "a replay comes when its record's own lane is through with it")
    BISECT = ("bisect", "f", "halve a batch that GeNiE can't read")
    REOPEN = ("reopening on doubt", "g", "a doubtful commit opens the lane anew")
    MEMBERSHIP = ("membership", "g", "only as a member that the group still knows")
    TWICE = ("twice", "g", "a second doubt within a minute ends the process")
    DROP = ("drop", "g", "let a producer go without writing any more")
    ORDER = ("one subject in flight", "h", "a subject's entries wait for each other")
    POISON = ("poison", "i", "record and pass what can't be decoded; wait while it can't be known")
    HOLDS = ("holds", "i", "a hold pauses the lane, or parks a subject's records")
    WINDOW = ("window", "j", "bound the window and live intents by what the metadata can say")
    BYTES = ("bytes", "j", "bound by bytes what is kept in memory")
    DRAIN = ("drain", "k", "settle what is in flight before the lane closes")
