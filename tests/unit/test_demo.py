"""The demo's own judgement: what makes a run fail, what it counts and shows. A whole run is an integration test."""

import dataclasses
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway import cli, schemas, settings
from gateway.sandbox import pki
from gateway.sandbox.demo import evidence, examples, gauges, lifetime, receipts, summary, wiring
from gateway.sandbox.demo.board import Pace, Snapshot, board, line
from gateway.sandbox.demo.children import ChildError, Crew
from gateway.sandbox.demo.evidence import Announcements
from gateway.sandbox.demo.killer import Killed
from gateway.sandbox.demo.plan import OUTCOMES, Plan, Reached
from gateway.sandbox.demo.reporting import DEFECTS, Report, report, shortcomings
from gateway.sandbox.demo.run import Finished
from gateway.sandbox.demo.stage import Stage
from gateway.sandbox.demo.tally import Tally
from gateway.sandbox.producers.population import World
from gateway.sandbox.producers.stream import PAYMENTS, SCORES, Stream

DEFAULT = Plan(events=20_000, subjects=2_000, seed=1, faults=True, kills=False)
NOW = 1_795_000_000_000


def good(plan: Plan = DEFAULT) -> Report:
    """A report of a run with which nothing is wrong."""
    verdict = {
        "produced": plan.events,
        "ledger_records": plan.events,
        "outcomes": dict.fromkeys(OUTCOMES, 1),
        "reasons": {"accepted": 1},
        "partner_received": 1,
        **dict.fromkeys(DEFECTS, 0),
    }
    return report(verdict, dict.fromkeys(Reached, 1), 650.04, {"kafka": "k", "genie": "g", "metrics": "m"})


def test_a_report_has_the_fields_that_programs_rely_on() -> None:
    """Names and nesting of the report are fixed."""
    document = good().document()
    assert set(document) == {
        *("produced", "ledger_records", "outcomes", "reasons", "partner_received", *DEFECTS),
        *("events_per_second", "reached", "endpoints"),
    }
    assert set(document["endpoints"]) == {"kafka", "genie", "metrics"}
    assert {"withdrawn_between_announce_and_decision", "lookups", "unknown_outcomes", "retries"} < set(
        document["reached"]
    )
    assert {"producer_duplicates", "kills"} < set(document["reached"])


def test_a_good_run_has_no_shortcoming() -> None:
    """Where nothing is wrong and everything was reached, nothing is said."""
    assert list(shortcomings(DEFAULT, good())) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_fails_the_run(defect: str) -> None:
    """A single defect of any kind is named."""
    found = list(shortcomings(DEFAULT, dataclasses.replace(good(), **{defect: 1})))
    assert found == [f"{defect}: 1"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_that_never_came_fails_the_run(outcome: str) -> None:
    """A verdict over nothing is no verdict."""
    found = list(shortcomings(DEFAULT, dataclasses.replace(good(), outcomes=dict.fromkeys(OUTCOMES, 1) | {outcome: 0})))
    assert len(found) == 1 and outcome in found[0]


@pytest.mark.parametrize("kind", Reached)
def test_what_a_killed_default_run_must_reach_fails_it_when_missing(kind: Reached) -> None:
    """With faults, kills and enough events every kind is required."""
    plan = dataclasses.replace(DEFAULT, kills=True)
    reached = {each.value: int(each is not kind) for each in Reached}
    found = list(shortcomings(plan, dataclasses.replace(good(plan), reached=reached)))
    assert len(found) == 1 and kind.value in found[0]


def test_a_run_requires_only_what_it_exercises() -> None:
    """No kills without --kill, no trouble without faults, and hardly anything of a few events."""
    nothing = dict.fromkeys((kind.value for kind in Reached), 0)
    quiet = dataclasses.replace(DEFAULT, faults=False)
    missing = list(shortcomings(quiet, dataclasses.replace(good(quiet), reached=nothing)))
    assert [text.split()[0] for text in missing] == ["producer_duplicates", "consent_changes"]
    few = dataclasses.replace(DEFAULT, events=50)
    assert list(shortcomings(few, dataclasses.replace(good(few), reached=nothing, outcomes={"PROVIDED": 30}))) == []
    assert list(shortcomings(few, dataclasses.replace(good(few), outcomes={})))


def test_events_that_never_came_to_kafka_fail_the_run() -> None:
    """Producers that fall short are no success."""
    (found,) = shortcomings(DEFAULT, dataclasses.replace(good(), produced=19_999))
    assert "19,999 of 20,000" in found


@pytest.mark.parametrize(("wrong", "status"), [((), 0), (("lost: 1",), 1)])
def test_the_exit_status_follows_the_verdict(monkeypatch, wrong, status) -> None:
    """Something wrong ends the command with status 1."""
    monkeypatch.setattr(lifetime, "perform", lambda *_: Finished(good(), wrong, ""))
    result = CliRunner().invoke(cli.app, ["demo", "--json"])
    assert result.exit_code == status
    assert '"produced":20000' in result.stdout


def ledger(offset: int, outcome: str, reason: str, **more: object) -> dict:
    """A ledger record, as far as the tally looks at it."""
    at = {"topic": PAYMENTS, "partition": 0, "offset": offset}
    base = {"input": at, "outcome": outcome, "reason": reason, "idempotency_key": f"key-{offset}", "attempts": 0}
    return base | {"subject_ref": "cust-1", "decided_at": 2_000, "transmitted": "no"} | more


def test_the_tally_tells_records_from_inputs_and_knows_the_pace() -> None:
    """Two records of one input are one settled input; speed is from the first to the last record."""
    tally = Tally(remember_keys=True)
    for offset, at in ((0, 1_000), (1, 2_000), (1, 3_000)):
        tally.add(ledger(offset, "PROVIDED", "accepted"), at)
    assert (tally.records, tally.settled) == (3, 2)
    assert tally.events_per_second == 1.5
    assert tally.settled_at == {"key-0": 1_000, "key-1": 3_000}


def announced_once(at: int) -> Announcements:
    found = Announcements()
    entry = {"offset": 7, "idempotency_key": "key-7"}
    found.add_intent({"lane": f"{PAYMENTS}:0", "announced_at": at, "entries": [entry]})
    return found


def withheld(**more: object) -> Tally:
    tally = Tally(remember_keys=False)
    tally.add(ledger(7, "WITHHELD", "consent_withdrawn", **more), 3_000)
    return tally


def test_a_withdrawal_between_announcement_and_decision_is_found() -> None:
    """Announced, then a consent record, then the decision, and GeNiE never heard of it."""
    found = announced_once(1_000)
    found.add_consent("cust-1", 1_500)
    assert found.withdrawn_in_gap(withheld(), {}) == [(PAYMENTS, 0, 7)]


@pytest.mark.parametrize("changed_at", [999, 2_001])
def test_a_withdrawal_outside_the_gap_does_not_count(changed_at: int) -> None:
    """Before the announcement, or after the decision."""
    found = announced_once(1_000)
    found.add_consent("cust-1", changed_at)
    assert found.withdrawn_in_gap(withheld(), {}) == []


def test_what_was_sent_after_its_announcement_does_not_count() -> None:
    """Whether GeNiE's books or the ledger say so."""
    found = announced_once(1_000)
    found.add_consent("cust-1", 1_500)
    assert found.withdrawn_in_gap(withheld(), {"key-7": 1_200}) == []
    assert found.withdrawn_in_gap(withheld(attempts=1), {}) == []


def test_a_kill_counts_only_if_the_ledger_shows_a_later_settlement() -> None:
    """An event that GeNiE had, settled after the kill, is the proof."""
    kill = Killed(5_000, frozenset({"a", "b"}))
    assert kill.hit({"a": 4_000, "b": 6_000})
    assert not kill.hit({"a": 4_000, "c": 6_000})


def test_what_a_run_came_upon_is_counted_from_its_sources() -> None:
    """Each number comes from the part that knows it."""
    tally = withheld()
    tally.add(ledger(8, "DUPLICATE", "same_event"), 3_000)
    found = announced_once(1_000)
    found.add_intent({"lane": f"{PAYMENTS}:0", "announced_at": 1_800, "entries": [{"offset": 7}]})
    genie = {
        "lookups": {"received": 2, "not_received": 3},
        "faults": {"latency": 99, "bad_gateway": 4, "entry_retry": 1},
    }
    produced = {"kinds": {"change.withdraw": 5, "consent.plain": 50}, "aborted": 6}
    reached = evidence.reached(found, [(PAYMENTS, 0, 7)], tally, genie, produced, [Killed(1)])
    assert reached == {
        Reached.WITHDRAWN_IN_GAP: 1,
        Reached.LOOKUPS: 5,
        Reached.UNKNOWN_OUTCOMES: 4,
        Reached.RETRIES: 1,
        Reached.PRODUCER_DUPLICATES: 1,
        Reached.CONSENT_CHANGES: 5,
        Reached.ABORTED_INPUTS: 6,
        Reached.KILLS: 1,
        Reached.KILLS_UNSETTLED: 0,
    }


def test_receipts_are_read_on_line_by_line(tmp_path) -> None:
    """What was there before and half a line are left out; an entry that GeNiE did not take is none."""
    path = tmp_path / "receipts.jsonl"
    path.write_text('{"idempotency_key":"old","status":"accepted"}\n')
    reader = receipts.Receipts(path)
    with path.open("a") as file:
        file.write('{"idempotency_key":"a","status":"accepted"}\n{"idempotency_key":"b","status":"rejected"}\n{"idem')
    assert reader.newly_taken() == {"a"}
    with path.open("a") as file:
        file.write('potency_key":"c","status":"superseded"}\n')
    assert reader.newly_taken() == {"c"}


def test_gauges_are_summed_over_lanes() -> None:
    """Other metrics, other labels and comments are passed over."""
    text = """# HELP gateway_lane_records where
gateway_lane_records{partition="0",state="in_flight",topic="a"} 3.0
gateway_lane_records{partition="1",state="in_flight",topic="a"} 4.0
gateway_lane_records{partition="1",state="ready",topic="a"} 100.0
gateway_lane_unsettled_records{partition="0",topic="a"} 9.0
"""
    assert (gauges.in_flight(text), gauges.taken(text)) == (7, 9)
    assert gauges.in_flight("") == 0


def sound(topic: str) -> tuple[str, dict]:
    """A well-formed event of a topic."""
    stream = Stream(World(3, 50, NOW), poison=False)
    made = next(made for made in iter(stream.next, None) if made.topic == topic)
    return schemas.decode(made.value)


def test_an_example_lays_what_was_sent_beside_what_came_in() -> None:
    """A field of an item stands beside its value, an internal one beside nothing, a reference beside its pseudonym."""
    kind, event = sound(PAYMENTS)
    body = {
        "event_type": "lease_payment",
        "envelope": {"event_id": event["event_id"]},
        "subject_key": "pseudonym",
        "items": {"name": {"name": event["customer"]["name"]}},
        "permitted_purposes": ["inquiry_handling"],
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T00:00:00.000Z"},
    }
    found = examples.example(ledger(1, "PROVIDED", "accepted"), kind, event, body)
    rows = {row.field: row for row in found.rows}
    assert rows["customer.name"].sent == rows["customer.name"].value == event["customer"]["name"]
    assert rows["subject_ref"].sent == "pseudonym"
    assert rows["vehicle.vehicle_id"].sent == rows["customer.phone"].sent == ""
    assert rows["due_date"].value.count("-") == 2
    assert ("permitted_purposes", "inquiry_handling") in found.besides


def test_score_inputs_are_found_by_their_id() -> None:
    """GeNiE may get fewer inputs than came in."""
    kind, event = sound(SCORES)
    last = event["inputs"][-1]
    body = {
        "event_type": "norel_score_update",
        "envelope": {},
        "subject_key": "pseudonym",
        "items": {"norel_score_inputs": [{"input_id": last["input_id"], "value": last["value"]}]},
        "permitted_purposes": [],
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T00:00:00.000Z"},
    }
    sent = {row.field: row.sent for row in examples.example(ledger(1, "PROVIDED", "accepted"), kind, event, body).rows}
    assert sent[f"inputs[{len(event['inputs']) - 1}].value"] == last["value"]
    assert all(sent[f"inputs[{index}].value"] == "" for index in range(len(event["inputs"]) - 1))


def shown(part: object) -> str:
    """What a person reads."""
    console = Console(width=110, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(part)
    return captured.get()


def test_the_board_and_the_line_show_the_run() -> None:
    """Counts, pace, trouble and what is left."""
    now = Snapshot(
        seconds=12.0,
        doing="events flow",
        events=20_000,
        produced=8_000,
        settled=5_000,
        produced_rate=667.0,
        settled_rate=500.0,
        outcomes={"PROVIDED": 4_321},
        in_flight=77,
        faults={"latency": 5, "bad_gateway": 13},
        kills=2,
    )
    text = shown(board(now))
    for part in ("about 30 s left", "8,000 of 20,000", "4,321", "bad gateway", "13", "77"):
        assert part in text
    assert "latency" not in text
    assert "3,000 behind" in line(now) and "killed 2x" in line(now)


def test_the_verdict_names_what_is_wrong() -> None:
    """A failed run says so, with an example; a good one says what did not happen."""
    assert "Nothing lost" in shown(summary.verdict(good(), [], []))
    failed = shown(summary.verdict(dataclasses.replace(good(), lost=3), ["lost: 3"], ["lost: lease.payments:1:2"]))
    assert "FAILED" in failed and "lease.payments:1:2" in failed and "Nothing lost" not in failed


def test_every_reason_is_shown_with_its_sentence() -> None:
    """A count, its reason, and what it means."""
    text = shown(summary.outcomes({("WITHHELD", "no_consent"): 1_234}, {"no_consent": "Nobody asked."}))
    assert "WITHHELD" in text and "1,234" in text and "Nobody asked." in text


def test_pace_is_that_of_late() -> None:
    """One sample has no pace, and old samples are forgotten."""
    pace = Pace()
    assert pace.rate(1.0, 100) == 0.0
    assert pace.rate(3.0, 500) == 200.0
    assert pace.rate(60.0, 500) < 20.0
    assert pace.rate(66.0, 1_100) == 100.0


def test_the_gateway_accepts_the_settings_that_the_demo_writes(tmp_path, monkeypatch) -> None:
    """The file is complete and without a setting that does not exist."""
    file = tmp_path / "gateway.toml"
    keys = pki.make(tmp_path / "pki")
    wiring.write(
        file,
        instance="demo-1",
        bootstrap="127.0.0.1:1",
        genie_url="https://localhost:2",
        keys=keys,
        view=tmp_path / "view",
        port=3,
    )
    monkeypatch.setenv("GATEWAY_CONFIG", str(file))
    loaded = settings.load()
    assert (loaded.genie.expires_ms, loaded.genie.skew_ms) == (3_000, 1_000)
    assert loaded.kafka.allow_dev_topics and loaded.kafka.group_instance_id == loaded.instance


async def test_a_child_that_ends_by_itself_ends_the_run_with_its_log(tmp_path) -> None:
    """The error holds the end of the child's log."""
    crew = Crew(tmp_path)
    crew.start("serve", "serve", watched=True)  # no settings: it refuses
    with pytest.raises(ChildError, match=r"(?s)serve ended by itself \(exit status 2\).*GATEWAY_RECIPIENT__ADDRESS"):
        await crew.watch()
    await crew.end()


def test_what_stays_up_is_found_by_every_command() -> None:
    """The first line to copy names the settings, without which commands would look for another Kafka."""
    genie = SimpleNamespace(admin="http://a", receipts="r")
    gateway = SimpleNamespace(settings="demo/gateway-1.toml")
    stage = SimpleNamespace(genie=genie, gateways=[gateway], gateway_logs=["l"], prometheus_url="")
    told = lifetime._to_try(good(), cast("Stage", stage)).splitlines()
    assert told[2] == "  export GATEWAY_CONFIG=demo/gateway-1.toml"
    assert {"  gateway status", "  gateway lanes show --watch", "  gateway parked stats"} <= set(told)
