"""The verifier does not believe a ledger that says GeNiE has what it never took."""

from pathlib import Path

import pytest

from gateway.sandbox import verifier
from gateway.sandbox.verifier.history import History
from gateway.sandbox.verifier.receipts import read
from tests.verifier_story import Story, only, right_story

AT_GENIE = [("PROVIDED", "accepted"), ("DUPLICATE", "same_event"), ("SUPERSEDED", "newer_at_genie")]


@pytest.fixture
def story() -> Story:
    """A right history, to plant a defect in."""
    return right_story()


@pytest.mark.parametrize(("outcome", "reason"), AT_GENIE)
@pytest.mark.parametrize("complete", [False, True])
def test_said_to_be_at_genie_and_never_sent(story: Story, outcome: str, reason: str, complete: bool) -> None:
    """A record that says GeNiE has the event is untrue without a receipt."""
    payment = story.payment()
    story.announce(payment)
    story.settle(payment, outcome=outcome, reason=reason)
    verdict = story.verdict(complete=complete)
    assert only(verdict, lost=1) == f"the ledger says {outcome.lower()}, GeNiE never took it"
    assert verdict.examples["lost"][0].where == payment.where


@pytest.mark.parametrize("status", ["rejected", "retry"])
def test_said_to_be_provided_and_refused(story: Story, status: str) -> None:
    """An entry that GeNiE judged and did not take is not there."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment, status=status)
    story.settle(payment)
    assert "never took it" in only(story.verdict(complete=True), lost=1)


def test_each_untrue_record_counts(story: Story) -> None:
    """Two records of one key that GeNiE never had are two, whichever input they name."""
    for outcome, reason in AT_GENIE[:2]:
        payment = story.payment(event_id="0b5e55ed-0000-4000-8000-000000000001", occurred_at=story.at)
        story.settle(payment, outcome=outcome, reason=reason)
    only(story.verdict(complete=True), lost=2)


def test_a_rejection_claims_nothing(story: Story) -> None:
    """A record parked as rejected was transmitted, and GeNiE has not got it."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment, status="rejected")
    story.settle(payment, outcome="PARKED", reason="rejected_by_genie")
    only(story.verdict(complete=True))


def test_taken_while_the_ledger_was_read(story: Story) -> None:
    """What GeNiE took after reading began may be in the ledger already, and need not."""
    settled, under_way = story.payment(), story.payment()
    story.announce(settled)
    story.receive(settled)
    story.settle(settled)
    story.announce(under_way)
    story.receive(under_way)
    verdict = story.verdict(later=2)
    only(verdict)
    assert verdict.partner_received == 2


def test_a_later_refusal_is_no_acceptance(story: Story) -> None:
    """Of later receipts too, only those count that say GeNiE took the event."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment, status="retry")
    story.settle(payment)
    only(story.verdict(later=1), lost=1)


def test_later_receipts_begin_where_the_others_end(story: Story, tmp_path: Path) -> None:
    """A line that was cut short at first is among the later ones, under its own number."""
    path = tmp_path / "receipts.jsonl"
    first, second = story.lines()
    path.write_bytes(first + second)
    for size in (len(first), len(first) + 1):
        assert [receipt.where for receipt in read(path, size)] == ["receipts.jsonl:1"]
        later = read(path, path.stat().st_size, since=size)
        assert [receipt.where for receipt in later] == ["receipts.jsonl:2"]
    assert not list(read(path, path.stat().st_size, since=path.stat().st_size))


def test_receipts_are_read_beyond_the_ledger(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GeNiE writes on while the topics are read: the ledger is judged by what is there when it has been read."""
    path = tmp_path / "receipts.jsonl"
    first, second = story.lines()
    path.write_bytes(first)

    async def slowly(history: History, *_: object) -> None:
        path.write_bytes(first + second)
        for topic, raw in story.in_order():
            history.add(topic, raw)

    monkeypatch.setattr(verifier, "_read", slowly)
    verdict = verifier.verify("nowhere", path)
    only(verdict)
    assert verdict.partner_received == 1
