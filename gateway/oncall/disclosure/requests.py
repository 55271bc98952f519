"""What the privacy desk is asked for, from the audit to the document.

Knows that each is written down before it is made. Must not know in which form it is handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.core.consent import Consent, ConsentState, ConsentStatus, Denied
from gateway.core.identity import Identity
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.oncall.audit import Deed, Operator, audited
from gateway.oncall.consents import history
from gateway.oncall.desk import Desk
from gateway.oncall.disclosure.answer import Provider, disclosure
from gateway.oncall.disclosure.contracts import Whose, customer
from gateway.oncall.disclosure.gathering import Gathered, gather
from gateway.oncall.disclosure.notice import stop_notice


@dataclass(frozen=True, slots=True)
class Asked:
    """What both documents need. `group` is the gateway's: its offsets tell what is being sent."""

    whose: Whose
    operator: Operator
    index_url: str
    group: str
    provider: Provider
    policy: Policy


@dataclass(frozen=True, slots=True)
class Keys:
    """The secret keys of the names that GeNiE knows."""

    idempotency: bytes
    pseudonym: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """A document, and what the operator may want to know of it."""

    document: Mapping[str, Any]
    subject_ref: str
    audit_id: str
    gathered: Gathered


class NotWithdrawnError(Exception):
    """There is nothing to give notice of, or nothing yet."""


async def answer_customer(desk: Desk, asked: Asked) -> Made:
    """The answer to a request for the records of provision (APPI art. 33(5)).

    Raises ContractsError, and what `gather` raises.
    """
    subject_ref = await customer(desk, asked.index_url, asked.whose)
    audit_id = await audited(desk, asked.operator, Deed("ledger disclose", subject_ref=subject_ref))
    gathered = await gather(desk, asked.index_url, asked.group, subject_ref)
    document = disclosure(
        subject_ref, asked.operator.ticket, gathered.books, gathered.reading, asked.provider, asked.policy
    )
    return Made(document, subject_ref, audit_id, gathered)


async def notify_genie(desk: Desk, asked: Asked, keys: Keys) -> Made:
    """The notice of what GeNiE holds of a customer who withdrew (art. 35).

    Raises NotWithdrawnError, ContractsError, and what `gather` raises.
    """
    subject_ref = await customer(desk, asked.index_url, asked.whose)
    audit_id = await audited(desk, asked.operator, Deed("ledger disclose --stop-notice", subject_ref=subject_ref))
    consent = await history(desk, subject_ref)
    _refuse_unless_withdrawn(consent.state)
    gathered = await gather(desk, asked.index_url, asked.group, subject_ref)
    recipient = gathered.recipient
    if recipient is None or gathered.books.empty:
        raise _nothing_to_tell(gathered)

    @cache
    def names(cluster_id: str) -> Identity:
        return Identity(keys.idempotency, keys.pseudonym, asked.policy.recipient_id, cluster_id)

    document = stop_notice(
        subject_ref,
        isinstance(consent.state, Consent),
        consent.status_since,
        asked.operator.ticket,
        gathered.books,
        {place: payment.corrects for place, payment in gathered.corrections.items()},
        gathered.reading,
        asked.provider,
        recipient,
        asked.policy,
        names,
        desk.cluster_id,
    )
    return Made(document, subject_ref, audit_id, gathered)


def _nothing_to_tell(gathered: Gathered) -> NotWithdrawnError:
    """For good only if nothing can be under way to GeNiE or beyond reading."""
    reading = gathered.reading
    if gathered.books.unsettled:
        return NotWithdrawnError("a send to GeNiE is under way and not yet in the ledger: ask again in a minute")
    if not reading.in_flight_known:
        return NotWithdrawnError(
            "a send to GeNiE may be under way, what is being sent could not be seen: check --group and the gateway's "
            "lanes (gateway lanes show), then ask again"
        )
    if reading.unreadable:
        return NotWithdrawnError(
            f"the ledger has nothing of this customer that can be read, but {reading.unreadable} of its records can't "
            "be: find out whose they are (gateway ledger verify), then ask again"
        )
    return NotWithdrawnError("nothing of this customer was ever sent: there is nothing to give notice of")


def _refuse_unless_withdrawn(state: ConsentState) -> None:
    """Withdrawn, or erased after that; of anything else the next event might go to GeNiE after the notice."""
    if state is None or (isinstance(state, Denied) and state.reason is Reason.NO_CONSENT):
        return
    found = state.status.value if isinstance(state, Consent) else f"denied: {state.reason.code}"
    if found != ConsentStatus.WITHDRAWN.value:
        raise NotWithdrawnError(
            f"the customer's consent is not withdrawn ({found}): have the consent service write a withdrawn record "
            "first, which stops provision; then make the notice"
        )
