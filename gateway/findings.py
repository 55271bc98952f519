"""What a check before the start finds: how bad it is, where, what was found, and what is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from gateway.settings import Problem


class Severity(Enum):
    """How bad it is."""

    PROBLEM = "problem"  # nothing starts
    AWAY = "away"  # a part could not be reached, so it is not known
    WARNING = "warning"  # it starts, and somebody must act


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found."""

    severity: Severity
    setting: str
    found: str
    needed: str = ""

    def __str__(self) -> str:
        return f"{self.setting}: {self.found}{f'; {self.needed}' if self.needed else ''}"

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> list[Finding]:
        """What reading the settings found."""
        return [cls(Severity.PROBLEM, problem.setting, problem.found, problem.needed) for problem in problems]


class NotReadyError(Exception):
    """The gateway can't start; the text has a line for each finding that keeps it from it."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = [finding for finding in findings if finding.severity is not Severity.WARNING]
        super().__init__("\n".join(["the gateway can't start:", *(f"  {finding}" for finding in self.findings)]))

    @property
    def only_away(self) -> bool:
        """Whether waiting may help."""
        return all(finding.severity is Severity.AWAY for finding in self.findings)
