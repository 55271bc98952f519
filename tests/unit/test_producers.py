"""Producers: what they write is believable, follows from the seed, and goes wrong in every way that it names."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from gateway import schemas
from gateway.sandbox.producers import consents, faults, policy
from gateway.sandbox.producers.consents import Case, Change
from gateway.sandbox.producers.days import DAY_MS, day, day_of, start_of
from gateway.sandbox.producers.faults import Fault
from gateway.sandbox.producers.payments import Status
from gateway.sandbox.producers.population import World, WorldError
from gateway.sandbox.producers.shares import Shares, evenly
from gateway.sandbox.producers.stream import PAYMENTS, SCORES, Input, Stream

NOW = start_of(day(2026, 11, 22)) + 11 * 3_600_000
SUBJECTS = 700
EVENTS = 10_000


@pytest.fixture(scope="module")
def world() -> World:
    return World(7, SUBJECTS, NOW)


@pytest.fixture(scope="module")
def inputs(world: World) -> list[Input]:
    stream = Stream(world)
    return [stream.next() for _ in range(EVENTS)]


def records(inputs: list[Input], topic: str) -> list[tuple[int, dict]]:
    """(customer, record) of the sound events of a topic."""
    return [
        (made.about, schemas.decode(made.value)[1]) for made in inputs if made.about is not None and made.topic == topic
    ]


def test_same_seed_same_bytes(inputs: list[Input]) -> None:
    """A seed and a moment give the same records, byte for byte, in another process too."""
    again = Stream(World(7, SUBJECTS, NOW))
    assert [again.next() for _ in range(2_000)] == inputs[:2_000]


def test_another_seed_makes_other_customers() -> None:
    """No value that identifies a customer under one seed comes back under the next."""
    one, two = (World(seed, 50, NOW) for seed in (1, 2))
    assert not {one.subject(n).ref for n in range(50)} & {two.subject(n).ref for n in range(50)}
    assert not {one.subject(n).customer["phone"] for n in range(50)} & {
        two.subject(n).customer["phone"] for n in range(50)
    }


def test_every_kind_occurs(inputs: list[Input]) -> None:
    """Each way to pay, each order of scores and each fault has events in a run of ten thousand."""
    kinds = {made.kind for made in inputs}
    expected = {f"fault.{fault.value}" for fault in Fault} | {f"payment.{status.value}" for status in Status}
    assert kinds == expected | {"payment.to_partner", "score.in_order", "score.out_of_order"}


def test_sound_records_follow_their_schema(inputs: list[Input]) -> None:
    """What is not a fault decodes to the same bytes again and carries its subject_ref as key."""
    sound = [made for made in inputs if made.about is not None]
    assert len(sound) > EVENTS * 0.95
    for made in sound:
        name, record = schemas.decode(made.value)
        assert name == {PAYMENTS: "LeasePaymentEvent", SCORES: "NorelScoreUpdate"}[made.topic]
        assert record["subject_ref"].encode() == made.key
        assert schemas.encode(name, record) == made.value


def test_without_poison_every_record_is_sound_or_sent_twice(world: World) -> None:
    """Switching poison off leaves duplicates and reused ids, nothing else that is wrong."""
    stream = Stream(world, poison=False)
    faulty = {kind for kind in (stream.next().kind for _ in range(3_000)) if kind.startswith("fault.")}
    assert faulty == {"fault.duplicate", "fault.reused_id"}


def test_duplicates_are_earlier_records_and_reused_ids_are_not(inputs: list[Input]) -> None:
    """A duplicate has the bytes of an earlier record; a reused id comes with other bytes."""
    seen: set[bytes] = set()
    ids: set[str] = set()
    for made in inputs:
        if made.kind == "fault.duplicate":
            assert made.value in seen
        elif made.kind == "fault.reused_id":
            record = schemas.decode(made.value)[1]
            assert made.value not in seen
            assert record.get("event_id", record.get("score_id")) in ids
        elif made.about is not None:
            record = schemas.decode(made.value)[1]
            seen.add(made.value)
            ids.add(record.get("event_id", record.get("score_id")))


def test_poison_is_poison(world: World, inputs: list[Input]) -> None:
    """Every poison record is wrong in the way that its kind says."""
    poison = {made.kind.removeprefix("fault."): made for made in inputs if made.kind.startswith("fault.")}
    assert poison["null_value"].value is None
    assert poison["no_key"].key is None
    assert poison["phone_as_key"].key.replace(b"-", b"").isdigit()
    assert poison["other_key"].key.decode() != schemas.decode(poison["other_key"].value)[1]["subject_ref"]
    assert len(poison["too_large"].value) > faults.TOO_LARGE_BYTES
    assert schemas.unframe(poison["unknown_schema"].value)[0] == faults.UNKNOWN_SCHEMA_ID
    future = schemas.decode(poison["future"].value)[1]
    assert future.get("occurred_at", future.get("computed_at")) > NOW + 20 * DAY_MS
    name, record = schemas.decode(poison["trailing_bytes"].value)
    assert len(schemas.encode(name, record)) < len(poison["trailing_bytes"].value)
    with pytest.raises(schemas.NotFramedError):
        schemas.unframe(poison["junk"].value)


def test_what_identifies_a_customer_is_distinct() -> None:
    """Of 5,000 customers no two share a value that the verifier looks for where it must not be."""
    world = World(3, 100_000, NOW)
    people = [world.subject(number * 17).customer for number in range(5_000)]
    for field in ("name", "address", "postal_code", "phone", "email", "bank_account", "licence_no", "memo"):
        values = [person[field] for person in people if person[field] is not None]
        assert len(values) > 1_500
        assert len(set(values)) == len(values), field


def test_every_case_of_consent_occurs_in_its_share(world: World) -> None:
    """Each case of the table has customers, and three of four consent plainly."""
    cases = Counter(consents.case_of(world, number) for number in range(SUBJECTS))
    assert set(cases) == set(Case)
    plain = sum(cases[case] for case in (Case.PLAIN, Case.RENEWED, Case.ENDS_LATER, Case.NO_MARKETING))
    assert 0.7 < plain / SUBJECTS < 0.8


def test_consent_records_follow_their_schema(world: World) -> None:
    """Every record of every history decodes again; versions grow but where the case is that they do not."""
    for number in range(SUBJECTS):
        history = consents.history(world, number)
        for record in history:
            assert schemas.decode(schemas.encode("ConsentRecord", record)) == ("ConsentRecord", record)
        versions = [record["consent_version"] for record in history]
        if consents.case_of(world, number) is Case.VERSION_BACK:
            assert versions[0] > versions[-1]
        else:
            assert versions == list(range(1, len(history) + 1))


@pytest.mark.parametrize("today", [day(2026, 2, 26), day(2026, 5, 1), day(2026, 11, 22), day(2029, 1, 3)])
def test_plain_consent_covers_its_events_on_any_day(today: int) -> None:
    """Whatever the date, consent of the plain cases is valid now and covers every payment and score."""
    now = start_of(today) + 10 * 3_600_000
    world = World(5, 300, now)
    plain = {number: consents.history(world, number)[-1] for number in range(300) if _is_plain(world, number)}
    for consent in plain.values():
        assert day_of(consent["consented_at"]) >= policy.CLAUSE_FROM
        assert consent["consented_at"] <= now
    stream = Stream(world, poison=False)
    made = [stream.next() for _ in range(1_500)]
    for number, record in records(made, PAYMENTS):
        if number in plain:
            assert _since(plain[number]) <= record["due_date"] <= today
            assert record["occurred_at"] <= record["recorded_at"] <= now
    for number, record in records(made, SCORES):
        if number in plain:
            assert _since(plain[number]) <= day_of(record["as_of"])
            assert record["as_of"] <= record["computed_at"] <= now


def _is_plain(world: World, number: int) -> bool:
    return consents.case_of(world, number) in {Case.PLAIN, Case.RENEWED}


def _since(consent: dict) -> int:
    history_from = consent["history_from"]
    return day_of(consent["consented_at"]) if history_from is None else history_from


def test_payments_add_up(inputs: list[Input]) -> None:
    """What is paid and what is past due make the amount due; corrections name an earlier event."""
    paid = records(inputs, PAYMENTS)
    known = {record["event_id"] for _, record in paid}
    corrected = [record for _, record in paid if record["status"] == "corrected"]
    assert corrected
    assert sum(record["corrects_event_id"] in known for record in corrected) > len(corrected) * 0.9
    for _, record in paid:
        assert record["amount_paid_jpy"] + record["amount_past_due_jpy"] == record["amount_due_jpy"]
        assert (record["corrects_event_id"] is not None) == (record["status"] == "corrected")


def test_scores_arrive_out_of_order_and_with_inputs_that_must_stay(inputs: list[Input]) -> None:
    """Some scores have a sequence below an earlier one; no input of location or bureau is a registered one."""
    highest: Counter[int] = Counter()
    stale = 0
    sources = Counter()
    registered = {name for version in policy.registered_inputs().values() for name in version}
    for number, record in records(inputs, SCORES):
        stale += record["sequence"] < highest[number]
        highest[number] = max(highest[number], record["sequence"])
        for part in record["inputs"]:
            sources[part["source"]] += 1
            assert part["input_id"] not in registered or part["source"] not in {"location", "bureau"}
    assert stale > 10
    assert {"location", "bureau", "payment_record"} <= set(sources)


def test_changes_of_consent_follow_the_last_record(world: World) -> None:
    """Each change has the next version and its own id; who withdrew may consent again and nothing else."""
    book = consents.Book(world, Random(1))
    last: dict[str, dict] = {}
    changes = Counter()
    for number in [n for n in range(SUBJECTS) if _is_plain(world, n)] * 2:
        if not book.may_change(number):
            continue
        change, record = book.change(number, NOW)
        changes[change] += 1
        before = last.get(record["subject_ref"])
        if before is not None:
            assert record["consent_version"] == before["consent_version"] + 1
            assert record["record_id"] != before["record_id"]
            assert (change is Change.RENEW) == (before["status"] == "withdrawn")
        last[record["subject_ref"]] = schemas.decode(schemas.encode("ConsentRecord", record))[1]
    assert set(changes) == set(Change)


def test_shares_never_exceed_one() -> None:
    """A table whose shares add up to more than everything is refused."""
    for table in (Case, Change, Status, Fault):
        assert sum(row.share for row in table) <= 1 + 1e-9
        assert Shares(table).pick(0.0) is next(iter(table))
    with pytest.raises(ValueError, match="more than 1"):
        Shares([*Case, *Change])


def test_rare_rows_come_evenly() -> None:
    """Numbers drawn evenly leave no gap in which a row of half a percent could be missed."""
    drawn = sorted(evenly(number, 12) for number in range(700))
    assert max(after - before for before, after in pairwise(drawn)) < 0.005


def test_impossible_worlds_are_refused() -> None:
    """No customers, too many, or a clock before the policy: each is an error, not an empty run."""
    for count, now in ((0, NOW), (10**8, NOW), (10, start_of(policy.CLAUSE_FROM))):
        with pytest.raises(WorldError):
            World(1, count, now)
