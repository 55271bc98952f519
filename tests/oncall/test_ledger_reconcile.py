"""`gateway ledger reconcile`: every kind of difference once, what other records explain, and how asking ends."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pexpect
import pytest
from aiokafka import TopicPartition

from gateway.core.identity import b64url
from gateway.kafka import scan
from gateway.oncall.ledger import questions, steps
from tests.integration.gateway_world import gateway_settings
from tests.oncall import golden
from tests.oncall.desk_world import T0, DeskWorld, Result, terminal_environment
from tests.oncall.genie_beside import GenieBeside
from tests.oncall.ledger_story import UNKNOWN, Story
from tests.oncall.test_holds import GROUP, commits

FOUND_WRONG, WRONG_USE, UNREACHABLE, BROKEN_OFF = 1, 2, 3, 130
LATER = T0 + 60_000
TRIES_MAX = 30
BOUND_S = 60
BODY = bytes([1]) * 32


def key(name: int) -> str:
    return b64url(sha256(f"event {name}".encode()).digest())


@pytest.fixture(scope="module")
def genie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GenieBeside]:
    with GenieBeside(tmp_path_factory.mktemp("genie")) as running:
        yield running


@pytest.fixture(scope="module")
def story(desk_world: DeskWorld, genie: GenieBeside) -> Story:
    """Each kind of difference once, beside what looks like one and is explained by another record."""
    told = Story(desk_world)
    names = desk_world.names
    p = [told.payment() for _ in range(16)]
    receipt = {"id": "receipt-0000000001", "received_at": T0 + 400, "answer_digest": bytes(32), "key_id": "genie-1"}

    def provided(number: int, at_genie: dict[str, Any] | None, **changes: Any) -> None:
        usual = {"idempotency_key": key(number), "body_digest": BODY, "receipt": receipt}
        told.provided(p[number], **(usual | changes))
        if at_genie is not None:
            record = {"source_digest": told.digest(p[number]), "body_digest": BODY, "receipt": receipt}
            genie.keep(key(number), record, **at_genie)

    def at_genie(number: int) -> None:
        record = {"source_digest": bytes(32), "body_digest": BODY, "receipt": receipt}
        genie.keep(key(number), record)

    provided(0, {})
    provided(1, None)
    provided(2, {"body_digest": b64url(bytes([2]) * 32)})
    provided(3, {"seq": 2})
    told.withheld(p[4], idempotency_key=key(4))
    at_genie(4)
    desk_world.add_intent(f"{names.payments}:0", [{"offset": p[4][2], "idempotency_key": key(4)}])
    told.withheld(p[5], "consent_withdrawn", idempotency_key=key(0), at=LATER)
    unknown = {**UNKNOWN, "body_digest": BODY}
    told.parked(p[6], "outcome_unknown", **unknown, idempotency_key=key(6))
    at_genie(6)
    told.parked(p[7], "outcome_unknown", **unknown, idempotency_key=key(7))
    told.parked(p[8], idempotency_key=key(8))
    told.parked(p[9], "rejected_by_genie", transmitted="yes", body_digest=BODY, idempotency_key=key(9))
    told.provided(p[10], outcome="DUPLICATE", reason="same_event_other_scope", idempotency_key=key(0))
    told.withheld(p[11], idempotency_key=key(11))
    at_genie(11)
    desk_world.add_intent(f"{names.replays}:0", [{"offset": 1, "idempotency_key": key(11)}])
    told.withheld(p[12], "not_avro", outcome="INVALID", idempotency_key=None)
    told.parked(p[13], "outcome_unknown", **unknown, idempotency_key=key(13))
    at_genie(13)
    told.replayed(p[13], idempotency_key=key(13), body_digest=BODY, receipt=receipt, source_digest=bytes(32), at=LATER)
    provided(14, {"source_digest": b64url(bytes(32))})
    provided(15, None)
    genie.judge(key(15))
    desk_world.add(names.ledger, "subject-1", b"no record", at=T0 + 1_000)
    told.committed((names.payments, 0), 16)
    told.committed((names.replays, 0), 1)
    return told


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between questions as short as they get."""
    monkeypatch.setattr(questions, "LONGEST_WAIT_S", 0.001)


def settings(story: Story, genie: GenieBeside, directory: Path) -> dict[str, str]:
    own = gateway_settings(story.world.kafka, genie.sandbox.url, genie.sandbox.pki, directory, "desk")
    return own | {"GATEWAY_KAFKA__GROUP_ID": story.group}


def run(story: Story, genie: GenieBeside, directory: Path, *options: str, **changes: str) -> Result:
    where = settings(story, genie, directory) | changes
    result = story.world.run(["ledger", "reconcile", "--per-second", "100", *options], **where)
    # When it was asked, by its own clock
    stdout = re.sub(r"(had not received it at) [^;]*;", r"\1 (when it was asked);", result.stdout)
    return Result(
        re.sub(r'(had not received it at) [^"]*"', r'\1 (when it was asked)"', stdout), result.stderr, result.status
    )


def test_each_difference_is_found_once(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """With its input and what to do; what nobody knew is told as GeNiE says it."""
    result = run(story, genie, tmp_path)
    golden.check("ledger_reconcile.txt", result.stdout)
    assert (result.stderr, result.status) == ("", FOUND_WRONG)


def test_a_program_gets_the_same(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """One JSON object."""
    result = run(story, genie, tmp_path, "--json")
    golden.check("ledger_reconcile.json", json.dumps(json.loads(result.stdout), indent=1, ensure_ascii=False) + "\n")


def test_what_cannot_be_read_is_no_agreement(kafka: str, genie: GenieBeside, tmp_path: Path) -> None:
    """Though GeNiE agrees with all that could be read: a finding, with its place."""
    told = Story(DeskWorld(kafka))
    told.world.add(told.world.names.ledger, "subject-1", b"no record")
    told.committed((told.world.names.payments, 0), 0)
    result = run(told, genie, tmp_path)
    assert f"{told.world.scrubbed(told.world.names.ledger)}:0:0" in result.stdout
    assert result.stdout.endswith("\nno difference in what could be read\n")
    assert result.status == FOUND_WRONG
    assert not json.loads(run(told, genie, tmp_path, "--json").stdout)["clean"]


def test_records_before_and_after_the_time_explain(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """A record withheld later, of an event provided before; an outcome unknown then, and resolved since."""
    result = run(story, genie, tmp_path, "--since", "2026-05-01T00:01:00Z")
    golden.check("ledger_reconcile_since.txt", result.stdout)
    assert (result.stderr, result.status) == ("", 0)
    times = ("--since", "2026-05-01T00:01:00Z", "--until", "2026-05-02T09:00:00+09:00")
    told = json.loads(run(story, genie, tmp_path, *times, "--json").stdout)
    assert (told["since"], told["until"]) == ("2026-05-01T00:01:00.000Z", "2026-05-02T00:00:00.000Z")


def test_it_goes_on_where_it_was_broken_off(
    story: Story, genie: GenieBeside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever question that is at: the answer is the same, and at the end the file is gone."""
    whole, state = run(story, genie, tmp_path), tmp_path / "state"
    monkeypatch.setattr(scan, "POLL_RECORDS", 3)
    answer = questions.Questions._answer
    left = 0

    async def breaking(self: questions.Questions, keys: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return await answer(self, keys)

    monkeypatch.setattr(questions.Questions, "_answer", breaking)
    for breaks in range(TRIES_MAX):
        left = breaks  # what is asked twice, because it was broken off, is asked on the way to further questions
        ended = run(story, genie, tmp_path, "--state", str(state))
        if ended.status != BROKEN_OFF:
            break
        assert state.exists()
    assert (ended.stdout, ended.status) == (whole.stdout, whole.status)
    assert breaks > 3
    assert not state.exists()


def test_ctrl_c_in_a_terminal_breaks_it_off(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """While it waits for an answer: status 130, one line that says how to go on, and going on gives the same answer."""
    state = tmp_path / "state"
    where = settings(story, genie, tmp_path) | terminal_environment(story.world)
    with genie.holding_lookups() as reached:
        arguments = ["-m", "gateway", "ledger", "reconcile", "--state", str(state)]
        child = pexpect.spawn(sys.executable, arguments, env=where, encoding="utf-8", timeout=BOUND_S)
        assert reached.wait(BOUND_S)
        child.sendintr()
        child.expect(f"broken off; the same command goes on from {state}")
        child.expect(pexpect.EOF)
        child.close()
    assert (child.exitstatus, state.exists()) == (BROKEN_OFF, True)
    gone_on = run(story, genie, tmp_path, "--state", str(state))
    assert gone_on.stdout == run(story, genie, tmp_path).stdout
    assert not state.exists()


def test_a_genie_that_is_away_is_said_so(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """Status 3, after some tries; the state file is kept."""
    state = tmp_path / "state"
    away = run(story, genie, tmp_path, "--state", str(state), GATEWAY_GENIE__BASE_URL="https://localhost:1")
    assert (away.stdout, away.status) == ("", UNREACHABLE)
    assert "no connection to GeNiE could be opened" in away.stderr
    assert f"goes on from {state}" in away.stderr
    assert run(story, genie, tmp_path, "--state", str(state)).stdout == run(story, genie, tmp_path).stdout


def test_a_mistyped_group_hides_nothing(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """What GeNiE has and the ledger lacks would count as under way for ever; and without offsets nothing is."""
    refused = run(story, genie, tmp_path, "--group", f"{story.group}x")
    assert (refused.stdout, refused.status) == ("", FOUND_WRONG)
    assert "Kafka has no group prefixed1.gatewayx, so what its lanes have settled is not known" in refused.stderr
    assert "there is prefixed1.gateway" in refused.stderr
    asyncio.run(commits(story.world.kafka, TopicPartition(story.world.names.scores, 0)))
    found = json.loads(run(story, genie, tmp_path, "--group", GROUP, "--json").stdout)
    assert found["under_way"] == 0
    assert found["findings"]["not_recorded"]["count"] == 2


def test_a_state_that_can_not_be_kept_is_told_before_anything_is_asked(
    story: Story, genie: GenieBeside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after hours of asking."""

    async def read(*_: object, **__: object) -> None:
        raise AssertionError("it began")

    monkeypatch.setattr(steps.Steps, "read", read)
    refused = run(story, genie, tmp_path, "--state", str(tmp_path / "nowhere" / "state"))
    assert (refused.stdout, refused.status) == ("", WRONG_USE)
    assert "can't be written" in refused.stderr


def test_a_genie_that_refuses_us_is_said_so(story: Story, genie: GenieBeside, tmp_path: Path) -> None:
    """Asking again would not help: status 1, at once."""
    refused = run(story, genie, tmp_path, GATEWAY_GENIE__SIGNING_KEY_ID="unknown-key")
    assert (refused.stdout, refused.status) == ("", FOUND_WRONG)
    assert "(403): check the key id" in refused.stderr


def test_without_the_gateways_settings_it_does_not_start(story: Story) -> None:
    """It says which are missing."""
    result = story.world.run(["ledger", "reconcile"], GATEWAY_KAFKA__GROUP_ID=story.group)
    assert (result.stdout, result.status) == ("", WRONG_USE)
    assert "genie.base_url" in result.stderr.lower()
