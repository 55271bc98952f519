"""What the shell offers behind an option, with a sentence on each: closed sets alone, so a Tab never asks Kafka.

To be named at an option: `typer.Option("--reason", autocompletion=completions.reasons)`. Typer keeps those that begin
as what is typed does. Commands and options need nothing here: the shell is offered them anyway.
"""

from __future__ import annotations

Offer = list[tuple[str, str]]  # the word, and what it means


def reasons() -> Offer:
    """Every reason of the ledger."""
    from gateway.core.reasons import Reason

    return [(reason.code, reason.sentence) for reason in Reason]


def parked_reasons() -> Offer:
    """The reasons that park."""
    from gateway.core.reasons import Outcome, Reason

    return [(reason.code, reason.sentence) for reason in Reason if reason.outcome is Outcome.PARKED]


def outcomes() -> Offer:
    """Every outcome, with how many reasons it has."""
    from gateway.core.reasons import Outcome, Reason

    counts = {outcome: sum(reason.outcome is outcome for reason in Reason) for outcome in Outcome}
    return [(outcome.code, f"{count} reasons" if count > 1 else "1 reason") for outcome, count in counts.items()]


def transmitted() -> Offer:
    """Whether GeNiE has it."""
    from gateway.core.reasons import Transmitted

    means = {
        Transmitted.YES: "The body reached GeNiE.",
        Transmitted.NO: "It did not.",
        Transmitted.UNKNOWN: "It may have.",
    }
    return [(each.code, means[each]) for each in Transmitted]


def event_types() -> Offer:
    """Every event type, with the item that it is about."""
    from gateway.core.events import EventType

    return [(kind.code, f"About the item {kind.matter.value}.") for kind in EventType]


def hold_scopes() -> Offer:
    """What a hold can hold back."""
    from gateway.core.holds import HoldScope

    means = {
        HoldScope.ALL: "Everything waits.",
        HoldScope.EVENT_TYPE: "Events of one type wait.",
        HoldScope.SUBJECT: "One customer's events are parked.",
        HoldScope.INPUT_PARTITION: "One lane, topic:partition, waits.",
    }
    return [(scope.value, means[scope]) for scope in HoldScope]


def starts() -> Offer:
    """Where `gateway lanes init` lets lanes start, beside a time."""
    return [
        ("earliest", "At the first record that the topic still has."),
        ("latest", "Behind the last record."),
        ("ledger", "Where the ledger says that it went on: for lost offsets."),
    ]
