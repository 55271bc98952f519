"""What ledger records of one event say together, case by case; and what no document may do with odd data."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pypdf
import pytest

from gateway.oncall.disclosure import answer
from gateway.oncall.disclosure.forms import csv_of
from gateway.oncall.disclosure.gathering import with_sending
from gateway.oncall.disclosure.handing_out import Form, formed
from gateway.oncall.disclosure.in_flight import InFlight
from gateway.oncall.disclosure.provisions import Books, sort_out
from gateway.oncall.disclosure.words import Kind, circled, moment
from gateway.oncall.ledger.source import LedgerEntry
from gateway.policies import load
from tests.oncall.desk_world import GATEWAY, GIVEN_AT, NOW, RECIPIENT, T0, number_id

TOPIC, REPLAYS = "lease.payments", "genie.replay.requests"
ITEMS, PURPOSES = ["name", "payment_history"], ["inquiry_handling"]
PROVIDER = answer.Provider("株式会社 IDOM CaaS Technology", "東京都架空区見本町二丁目2番2号", "代表取締役 見本 花子")

Case = Mapping[str, Any]

SENT: Case = {}
NOT_SENT: Case = {"transmitted": "no", "items": [], "permitted_purposes": [], "receipt": None}
UNKNOWN: Case = {"outcome": "PARKED", "reason": "outcome_unknown", "transmitted": "unknown", "receipt": None}
RECEIVED_AS_WHAT: Case = UNKNOWN | {"transmitted": "yes", "items": [], "permitted_purposes": []}
DUPLICATE: Case = {"outcome": "DUPLICATE", "reason": "same_event"}
OTHER_SCOPE: Case = {"outcome": "DUPLICATE", "reason": "same_event_other_scope"}
SUPERSEDED: Case = {"outcome": "SUPERSEDED", "reason": "newer_at_genie"}
REFUSED: Case = {"outcome": "PARKED", "reason": "rejected_by_genie", "receipt": None}
WITHHELD: Case = NOT_SENT | {"outcome": "WITHHELD", "reason": "consent_withdrawn"}
CORRECTION: Case = NOT_SENT | {"outcome": "WITHHELD", "reason": "correction_after_withdrawal"}
HELD: Case = NOT_SENT | {"outcome": "PARKED", "reason": "held"}
UNREAD: Case = NOT_SENT | {"outcome": "PARKED", "reason": "unknown_schema_id", "idempotency_key": None}


def replayed(case: Case) -> Case:
    return case | {"replay_of": {"topic": TOPIC, "partition": 0, "offset": 0, "request_id": number_id(7)}}


FOUND = replayed(DUPLICATE | {"items": [], "permitted_purposes": [], "consent": None})
NEVER_ASKED = replayed(NOT_SENT | {"outcome": "PARKED", "reason": "outcome_unknown"})
TARGET_GONE = replayed(NOT_SENT | {"outcome": "PARKED", "reason": "replay_target_missing", "idempotency_key": None})


def entry(at: int, **changes: Any) -> LedgerEntry:
    """A minute after the one before; of the same event, from another input record unless it is a replay."""
    settled_at = T0 + at * 60_000
    topic = REPLAYS if changes.get("replay_of") else TOPIC
    record = {
        "input": {"cluster_id": "c", "topic": topic, "partition": 0, "offset": at, "timestamp": T0},
        "event_type": "lease_payment",
        "subject_ref": "S-0000001a",
        "outcome": "PROVIDED",
        "reason": "accepted",
        "transmitted": "yes",
        "recipient": RECIPIENT,
        "consent": {
            "record_id": number_id(1),
            "consent_version": 1,
            "policy_version": 20_509,
            "consented_at": GIVEN_AT,
        },
        "items": ITEMS,
        "permitted_purposes": PURPOSES,
        "idempotency_key": "key",
        "body_digest": bytes(32),
        "receipt": {"id": f"receipt-{at}", "received_at": settled_at - 500, "answer_digest": b"", "key_id": "g"},
        "attempts": 1,
        "decided_at": settled_at - 800,
        "announced_at": settled_at - 700,
        "settled_at": settled_at,
        "replay_of": None,
        "gateway": GATEWAY,
    }
    return LedgerEntry(0, at, settled_at + 50, record | changes)


def books(*cases: Case) -> Books:
    return sort_out([entry(at, **case) for at, case in enumerate(cases)])


@pytest.mark.parametrize(
    ("cases", "sent", "unsettled"),
    [
        ([SENT], ["provided"], []),
        ([SENT, DUPLICATE], ["provided", "duplicate"], []),
        ([SENT, OTHER_SCOPE], ["provided", "duplicate"], []),
        ([SUPERSEDED], ["superseded"], []),
        ([REFUSED], ["refused"], []),
        ([REFUSED, replayed(SENT)], ["refused", "provided"], []),
        ([WITHHELD], [], []),
        ([CORRECTION], [], []),
        ([UNKNOWN], [], ["outcome_unknown"]),
        ([UNKNOWN, SENT], ["provided"], []),
        ([UNKNOWN, DUPLICATE], ["provided", "duplicate"], []),
        ([UNKNOWN, DUPLICATE, UNKNOWN], ["provided", "duplicate"], []),
        ([UNKNOWN, DUPLICATE | {"body_digest": bytes([1]) * 32}], ["duplicate"], ["body_unknown"]),
        ([UNKNOWN, OTHER_SCOPE], ["duplicate"], ["body_unknown"]),
        ([UNKNOWN, replayed(DUPLICATE)], ["provided", "duplicate"], []),
        ([UNKNOWN, replayed(WITHHELD), DUPLICATE], ["duplicate"], []),
        ([DUPLICATE, UNKNOWN], ["duplicate"], []),
        ([UNKNOWN, FOUND], ["provided"], []),
        ([UNKNOWN, replayed(SENT)], ["provided"], []),
        ([UNKNOWN, replayed(WITHHELD)], [], []),
        ([UNKNOWN, replayed(HELD)], [], []),
        ([UNKNOWN, WITHHELD], [], ["outcome_unknown"]),
        ([UNKNOWN, NEVER_ASKED], [], ["outcome_unknown"]),
        ([UNKNOWN, TARGET_GONE], [], ["outcome_unknown"]),
        ([UNKNOWN, NEVER_ASKED, FOUND], ["provided"], []),
        ([UNKNOWN, replayed(UNKNOWN)], [], ["outcome_unknown"]),
        ([UNKNOWN, replayed(UNKNOWN), replayed(WITHHELD)], [], []),
        ([UNKNOWN, replayed(REFUSED)], ["refused"], []),
        ([RECEIVED_AS_WHAT], [], ["body_unknown"]),
        ([RECEIVED_AS_WHAT, FOUND], [], ["body_unknown"]),
        ([UNREAD, replayed(SENT)], ["provided"], []),
        ([UNREAD], [], []),
        ([UNKNOWN | {"idempotency_key": None}, FOUND], ["provided"], []),
        ([HELD, FOUND], ["duplicate"], []),
        ([SENT, FOUND], ["provided"], []),
    ],
)
def test_records_of_one_event_are_read_together(cases: Sequence[Case], sent: list[str], unsettled: list[str]) -> None:
    """What was answered is listed, what a replay found out counts, and a doubt is told once or not at all."""
    told = books(*cases)
    assert [each.kind.value for each in told.provisions] == sent
    assert [each.doubt.value for each in told.unsettled] == unsettled


def test_what_was_confirmed_later_has_the_items_of_the_attempt_and_the_date_of_genie() -> None:
    """The replay that found it sent nothing, so it has none."""
    (found,) = books(UNKNOWN, FOUND).provisions
    assert (found.confirmed_later, found.receipt_id, found.at) == (True, "receipt-1", T0 + 59_500)
    assert found.record["items"] == ITEMS


def test_a_duplicate_is_dated_by_us() -> None:
    """Its receipt tells of the first time."""
    _, again = books(SENT, DUPLICATE).provisions
    assert (again.at, again.receipt_id) == (T0 + 60_000, None)


def test_a_correction_that_was_provided_after_a_new_consent_is_not_withheld() -> None:
    """Nor is one told twice that was replayed in vain."""
    assert len(books(CORRECTION, replayed(CORRECTION)).corrections_withheld) == 1
    assert books(CORRECTION, replayed(SENT)).corrections_withheld == ()


def test_events_do_not_settle_each_other() -> None:
    """Each has its own key, or no key and its own place."""
    other = {"idempotency_key": "another"}
    assert len(books(UNKNOWN, SENT | other).unsettled) == 1
    keyless = UNKNOWN | {"idempotency_key": None}
    assert len(books(keyless, keyless).unsettled) == 2


def test_the_same_place_in_another_cluster_is_another_event() -> None:
    """The cluster was made anew, and counts its records from 0 again."""
    keyless = UNKNOWN | {"idempotency_key": None}
    old = entry(0, **keyless)
    anew = entry(0, **keyless, input=old.record["input"] | {"cluster_id": "anew"})
    told = sort_out([old, anew])
    assert len(told.unsettled) == 2
    attempt = replace(told.unsettled[0], cluster_id="anew")
    sending = InFlight((attempt, replace(attempt, cluster_id="c")), known=True)
    added = with_sending(Books((), (), ()), sending, [old], None)
    assert [each.cluster_id for each in added.unsettled] == ["anew"]
    (sent,) = books(SENT).noting(frozenset({("anew", TOPIC, 0, 0)})).provisions
    assert sent.kind is Kind.PROVIDED


@pytest.mark.parametrize("case", [SENT, DUPLICATE, OTHER_SCOPE, SUPERSEDED])
def test_whatever_genie_holds_was_provided(case: Case) -> None:
    """Also where the record of the first time is out of reach."""
    document = _document(books(case))
    assert document["provided"]
    assert document["headline"].endswith("下記の提供先に個人データを提供しました。")
    assert {each["code"] for each in document["items"]} == set(ITEMS)


@pytest.mark.parametrize(
    ("cases", "unreadable", "told"),
    [
        ([REFUSED], 0, "送信しましたが提供先が受け入れなかったものが、"),
        ([UNKNOWN], 0, "受領の有無または受領した内容が確定していないものが、"),
        ([WITHHELD], 1, "台帳には読み取ることのできない記録があり、"),
        ([REFUSED, UNKNOWN | {"idempotency_key": "another"}], 1, "台帳には読み取ることのできない記録があり、"),
    ],
)
def test_none_is_not_said_while_something_speaks_against_it(cases: list[Case], unreadable: int, told: str) -> None:
    """And the items of what was refused or is not settled are not those that were provided."""
    document = _document(books(*cases), unreadable)
    assert not document["provided"]
    assert "第三者に提供した記録は、ありませんでした" not in document["headline"]
    assert told in document["headline"]
    assert document["items"] == []


def test_none_is_said_of_what_was_only_withheld() -> None:
    """Nothing speaks against it."""
    assert _document(books(WITHHELD))["headline"] == "お客さまの個人データを第三者に提供した記録は、ありませんでした。"


def test_what_genie_received_as_we_know_not_what_is_not_denied() -> None:
    """It said that it has it."""
    assert "ありませんでした" not in _document(books(RECEIVED_AS_WHAT))["headline"]


def test_a_table_is_no_program() -> None:
    """Whatever a cell begins with; what is quoted comes back as it was."""
    cells = ["=1+1", "+81", "-1", "@x", "\tx", "a,b", 'a"b', "行\n末", None, 3]
    read = next(csv.reader(io.StringIO(csv_of(cells[:0], [cells]).decode("utf-8-sig").lstrip("\r\n"))))
    assert read == ["'=1+1", "'+81", "'-1", "'@x", "'\tx", "a,b", 'a"b', "行\n末", "", "3"]


def test_markup_in_data_is_text_and_long_names_stay_on_the_page() -> None:
    """Nothing of the data is interpreted; several recipients and hundreds of rows are told apart."""
    odd = '#panic("x") $x$ *b* _i_ @ref <label> \\ // [c] {d} `e`'
    long = "R" * 64
    rows = [SENT | {"idempotency_key": f"key-{at}", "receipt": _receipt(at, long)} for at in range(150)]
    moved = SENT | {"recipient": RECIPIENT | {"address": odd}, "idempotency_key": "moved"}
    strange = SENT | {"items": ["a_new_item"], "permitted_purposes": ["a_new_purpose"], "idempotency_key": "strange"}
    reading = answer.Reading(NOW, T0, 0, in_flight_known=True, corrections_known=False)
    document = answer.disclosure("S" * 64, odd, books(*rows, moved, strange), reading, PROVIDER, load())
    assert [each["address"] for each in document["recipients"]] == [RECIPIENT["address"], odd]
    pages = pypdf.PdfReader(io.BytesIO(formed(document, Form.PDF))).pages
    texts = ["".join(page.extract_text().split()) for page in pages]
    whole = "".join(texts)
    for told in (odd, "a_new_item", "a_new_purpose", "S" * 64):
        assert "".join(told.split()) in whole
    with_rows = [text for text in texts if long in text]
    assert len(with_rows) > 5
    assert all("番号提供日時区分項目利用目的同意受領番号" in text for text in with_rows)
    assert max(_starts(pages[1])) < float(pages[1].mediabox.width) - 50


def test_numbers_and_times_are_japanese() -> None:
    """As the policy numbers its purposes; the day is Japan's."""
    assert [circled(number) for number in (1, 10, 20, 21)] == ["①", "⑩", "⑳", "(21)"]
    assert moment(T0 + 15 * 3_600_000) == "2026年5月2日 00時00分00秒"


def _document(told: Books, unreadable: int = 0) -> dict[str, Any]:
    reading = answer.Reading(NOW, T0, unreadable, in_flight_known=True, corrections_known=True)
    return answer.disclosure("S-0000001a", "T-1", told, reading, PROVIDER, load())


def _receipt(at: int, receipt_id: str) -> dict[str, Any]:
    return {"id": receipt_id, "received_at": T0 + at, "answer_digest": b"", "key_id": "g"}


def _starts(page: Any) -> list[float]:
    """Where texts begin from the left: one that left the page would begin behind its margin."""
    found: list[float] = []

    def visit(text: str, _: Any, matrix: Any, *rest: Any) -> None:
        if text.strip():
            found.append(float(matrix[4]))

    page.extract_text(visitor_text=visit)
    return found
