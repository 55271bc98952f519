"""Was there consent? Written a second time, from the words of design.md section 3, to check the gateway's decision.

Knows consent records and the policy; `moment` is an argument. Must not know topics, receipts or the gateway's code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.verifier.policy import Policy, jst_day

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One record of a subject in the consent topic."""

    appended_at: int  # ms, by the broker's clock
    partition: int
    record: Record | None  # None: a tombstone, or a value that cannot be read


@dataclass(frozen=True, slots=True)
class Sent:
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


@dataclass(frozen=True, slots=True)
class State:
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
    return (
        _not_in_force(record, sent, policy, moment + skew, expires_at)
        or _not_covered(record, sent)
        or _too_much(record, sent, policy)
    )


def _not_in_force(record: Record, sent: Sent, policy: Policy, latest: int, expires_at: int) -> str | None:
    version = record["policy_version"]
    expiry = record["expires_at"]
    rules = (
        (record["subject_ref"] == sent.subject_ref, "the consent record is another subject's"),
        (record["recipient"] == policy.recipient_id, "the consent names another recipient"),
        (record["legal_basis"] == "consent", "the legal basis is not consent"),
        (record["status"] in {"given", "renewed"}, f"the consent is {record['status']}"),
        (version in policy.starts, "the consent cites a policy version that does not exist"),
        (version in policy.with_clause, "the cited policy version is not known to have the GeNiE clause"),
        (
            policy.in_force(jst_day(record["consented_at"])) == version,
            "consented on a day on which the cited policy version was not in force",
        ),
        (record["consented_at"] <= latest, "the consent is dated later than the decision"),
        (expiry is None or expiry > expires_at, "the consent ends before the attempt does"),
    )
    return next((why for holds, why in rules if not holds), None)


def _not_covered(record: Record, sent: Sent) -> str | None:
    since = jst_day(record["consented_at"])
    if record["history_from"] is not None:
        since = min(since, record["history_from"])
    contracts = record["contract_refs"]
    rules = (
        (all(day >= since for day in sent.days), "what was sent is older than the consent covers"),
        (contracts is None or sent.contract_ref in contracts, "the consent does not cover this contract"),
        (sent.creditor in {None, "idom_caas"}, "the payment is owed to another lessor"),
    )
    return next((why for holds, why in rules if not holds), None)


def _too_much(record: Record, sent: Sent, policy: Policy) -> str | None:
    opted_out = frozenset(record["purposes_opted_out"])
    items = sent.event_items & policy.items & frozenset(record["items"])
    rules = (
        (opted_out <= policy.opt_out_allowed, "a purpose that has no opt-out was opted out of"),
        (sent.matter in items, f"{sent.matter} is not consented to"),
        (sent.items <= items, f"items beyond the consent: {_listed(sent.items - items, policy.items)}"),
        (
            sent.purposes <= policy.purposes - opted_out,
            f"purposes beyond the consent: {_listed(sent.purposes - (policy.purposes - opted_out), policy.purposes)}",
        ),
        (
            (sent.policy_version, sent.consented_at) == (record["policy_version"], record["consented_at"]),
            "the body cites another consent than the one in force",
        ),
    )
    return next((why for holds, why in rules if not holds), None)


def _listed(names: frozenset[str], known: frozenset[str]) -> str:
    """Names of the policy; a name it does not have could be anything, so it is not repeated."""
    return ", ".join(sorted(name if name in known else "(unknown)" for name in names))
