"""The advice to whoever is on call: whole, and about things that exist."""

import re
import tomllib
from pathlib import Path

import pytest

from gateway.core.outcome import Stop
from gateway.core.reasons import Outcome, Reason
from gateway.observe.metrics import reference as metrics
from gateway.oncall import advice
from gateway.settings import reference as settings

CODES = [*(reason.code for reason in Reason), *(stop.value for stop in Stop)]
ALL = advice.every().values()
_NAMED = re.compile(r"`([a-z_.]+)`")


def test_every_reason_and_every_stop_has_advice() -> None:
    """In the order of the closed sets; a code that is added without advice is seen here."""
    assert list(advice.every()) == CODES


def test_no_advice_is_about_what_does_not_exist() -> None:
    """What is written for a code that was taken away goes with it."""
    written = tomllib.loads(Path(advice.__file__).with_name("advice.toml").read_text("utf-8"))
    assert set(written) == set(CODES)
    assert {field for entry in written.values() for field in entry} == {"means", "check", "type", "replay", "after"}


def test_what_is_no_code_has_none() -> None:
    """A caller that asks for another word is told so."""
    with pytest.raises(KeyError):
        advice.of("no_such_reason")


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.code)
def test_advice_says_what_it_means_what_to_check_and_what_to_type(each: advice.Advice) -> None:
    """Nothing is left out, each part is a sentence, and no placeholder of ours is left in it."""
    assert each is advice.of(each.code)
    assert each.check
    assert each.type
    for sentence in (each.means, each.after, *each.check):
        assert sentence[-1] in ".?)", sentence
        assert not set("{}") & set(sentence), sentence
    for command in each.type:
        assert command.startswith("gateway "), command
        assert not set("{}") & set(command), command


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_a_replay_is_advised_only_where_one_can_help(reason: Reason) -> None:
    """Not where GeNiE has the event, and not where the bytes can never become valid; else with the commands for it."""
    given = advice.of(reason.code)
    assert not given.replay or reason.outcome in {Outcome.PARKED, Outcome.WITHHELD}
    assert any("gateway replay" in command for command in given.type) == given.replay


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_advice_and_remedy_agree_about_a_replay(reason: Reason) -> None:
    """Where the one sentence says to replay, the advice says how."""
    if re.search(r"[Rr]eplay (once|when|resolves)|then replay|and replay|by replay", reason.remedy):
        assert advice.of(reason.code).replay


def test_metrics_settings_and_codes_that_are_named_exist() -> None:
    """Nobody looks at 3 a.m. for a metric that was renamed."""
    known = {name for name, *_ in metrics()} | {setting for setting, *_ in settings()} | set(CODES)
    known |= {f"{name}_count" for name, kind, *_ in metrics() if kind == "histogram"}
    fields = {"transmitted", "expires_at", "consented_at", "history_from", "as_of", "recipient", "clause", "unknown"}
    fields |= {"subject_ref", "corrects_event_id", "items", "item", "creditor", "kind", "max.message.bytes"}
    said = {word for each in ALL for part in (each.means, each.after, *each.check) for word in _NAMED.findall(part)}
    assert said - known - fields == set()
