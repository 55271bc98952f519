"""What `gateway lanes init` says of each lane."""

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli import lanes as command
from gateway.kafka.lane_start import LaneStart, Started

SET = LaneStart("lease.payments", 3, 483_716, Started.REPLACED, before=7, unrecorded=482_716, ignored=5)


def test_what_is_passed_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much nobody may ever have taken, and what to do about it; and what was left out as another log's."""
    monkeypatch.setattr(command, "_from_ledger", lambda *_, **__: [SET])
    printed = CliRunner().invoke(app, ["lanes", "init", "--from", "ledger", "--force", "--dry-run"]).stdout
    assert "passed over, without a ledger record: 482716" in printed
    assert "traces of an earlier log, left out: 5" in printed
    assert "--from a time, with --force and --lane" in printed
