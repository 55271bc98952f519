"""Was there consent? Written a second time, from the words of design.md section 3, to check the gateway's decision.

Knows consent records and the policy; `moment` is an argument. Must not know topics, receipts or the gateway's code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from gateway.sandbox.verifier.policy import Policy, jst_day

Record = Mapping[str, Any]


class Change(NamedTuple):
    """One record of a subject in the consent topic."""

    appended_at: int  # ms, by the broker's clock
    partition: int
    record: Record | None  # None: a tombstone, or a value that cannot be read


class Sent(NamedTuple):
    """What was sent of one event, and what of the event decides whether that was allowed."""

    subject_ref: str
    contract_ref: str | None  # None: the event names no contract
    creditor: str | None  # None: the event names no creditor
    days: tuple[int, ...]  # that consent must cover: of the matter, and of each score input sent
    matter: str
    event_items: frozenset[str]  # what an event of this type may carry
    items: frozenset[str]
    purposes: frozenset[str]
    policy_version: int | None  # as the body cites it
    consented_at: int | None  # as the body cites it


class State(NamedTuple):
    """What is known of a subject's consent after some changes: a record that counts, or why none does."""

    record: Record | None
    why_none: str = ""


NOTHING = State(None, "no consent record")


def states(changes: Iterable[Change]) -> Iterator[State]:
    """The state after each change. A version that goes back, or a second partition, denies until a higher one comes."""
    highest: Record | None = None
    home: int | None = None
    state = NOTHING
    for change in changes:
        moved, home = home not in {None, change.partition}, change.partition
        record = change.record
        if record is None:  # compaction may forget what it deleted, so a version may start anew
            state, highest = State(None, "the consent record was deleted"), None
        elif highest is None or record["consent_version"] > highest["consent_version"]:
            state, highest = State(record), record
        elif record["record_id"] != highest["record_id"]:
            state = State(None, "the consent version went back")
        if moved and record is not None:
            state = State(None, "the subject has consent records in two partitions")
        yield state


def objection(
    sent: Sent, changes: Sequence[Change], policy: Policy, *, moment: int, received_at: int, expires_at: int, skew: int
) -> str | None:
    """Why what was sent was not consented to at the decision; None if it was.

    What was acknowledged before `moment` had to be seen. What came until `received_at` may have been seen or not,
    so the sender has the benefit of each state since.
    """
    first: str | None = None
    current = NOTHING
    for change, state in zip(changes, states(changes), strict=True):
        if change.appended_at > received_at:
            break
        if change.appended_at >= moment:
            why = _refusal(sent, current, policy, moment=moment, expires_at=expires_at, skew=skew)
            if why is None:
                return None
            first = first or why
        current = state
    why = _refusal(sent, current, policy, moment=moment, expires_at=expires_at, skew=skew)
    return None if why is None else first or why


def _refusal(sent: Sent, state: State, policy: Policy, *, moment: int, expires_at: int, skew: int) -> str | None:
    record = state.record
    if record is None:
        return state.why_none
    objections = chain(
        _not_in_force(record, sent, policy, moment + skew, expires_at),
        _not_covered(record, sent),
        _too_much(record, sent, policy),
    )
    return next(objections, None)


def _not_in_force(record: Record, sent: Sent, policy: Policy, latest: int, expires_at: int) -> Iterator[str]:
    version, consented_at, expiry = record["policy_version"], record["consented_at"], record["expires_at"]
    if record["subject_ref"] != sent.subject_ref:
        yield "the consent record is another subject's"
    if record["recipient"] != policy.recipient_id:
        yield "the consent names another recipient"
    if record["legal_basis"] != "consent":
        yield "the legal basis is not consent"
    if record["status"] not in {"given", "renewed"}:
        yield f"the consent is {record['status']}"
    if version not in policy.starts:
        yield "the consent cites a policy version that does not exist"
    if version not in policy.with_clause:
        yield "the cited policy version is not known to have the GeNiE clause"
    if policy.in_force(jst_day(consented_at)) != version:
        yield "consented on a day on which the cited policy version was not in force"
    if consented_at > latest:
        yield "the consent is dated later than the decision"
    if expiry is not None and expiry <= expires_at:
        yield "the consent ends before the attempt does"


def _not_covered(record: Record, sent: Sent) -> Iterator[str]:
    since, contracts = jst_day(record["consented_at"]), record["contract_refs"]
    if record["history_from"] is not None:
        since = min(since, record["history_from"])
    if min(sent.days) < since:
        yield "what was sent is older than the consent covers"
    if contracts is not None and sent.contract_ref not in contracts:
        yield "the consent does not cover this contract"
    if sent.creditor not in {None, "idom_caas"}:
        yield "the payment is owed to another lessor"


def _too_much(record: Record, sent: Sent, policy: Policy) -> Iterator[str]:
    opted_out = frozenset(record["purposes_opted_out"])
    items = sent.event_items & policy.items & frozenset(record["items"])
    purposes = policy.purposes - opted_out
    if not opted_out <= policy.opt_out_allowed:
        yield "a purpose that has no opt-out was opted out of"
    if sent.matter not in items:
        yield f"{sent.matter} is not consented to"
    if not sent.items <= items:
        yield f"items beyond the consent: {_listed(sent.items - items, policy.items)}"
    if not sent.purposes <= purposes:
        yield f"purposes beyond the consent: {_listed(sent.purposes - purposes, policy.purposes)}"
    if (sent.policy_version, sent.consented_at) != (record["policy_version"], record["consented_at"]):
        yield "the body cites another consent than the one in force"


def _listed(names: frozenset[str], known: frozenset[str]) -> str:
    """Names of the policy; a name it does not have could be anything, so it is not repeated."""
    return ", ".join(sorted(name if name in known else "(unknown)" for name in names))
