"""The names of the nine topics, behind one prefix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Every topic of the gateway; `prefix` comes before each name."""

    prefix: str = ""

    @property
    def payments(self) -> str:
        """LeasePaymentEvent, by subject_ref."""
        return f"{self.prefix}lease.payments"

    @property
    def scores(self) -> str:
        """NorelScoreUpdate, by subject_ref."""
        return f"{self.prefix}norel.scores"

    @property
    def consents(self) -> str:
        """ConsentRecord, by subject_ref, compacted."""
        return f"{self.prefix}consent.records"

    @property
    def intents(self) -> str:
        """ProvisionIntent, by lane."""
        return f"{self.prefix}genie.provision.intents"

    @property
    def ledger(self) -> str:
        """ProvisionRecord, by subject_ref."""
        return f"{self.prefix}genie.provision.ledger"

    @property
    def parked(self) -> str:
        """ParkedEvent, by the position of the original, compacted."""
        return f"{self.prefix}genie.provision.parked"

    @property
    def replays(self) -> str:
        """ReplayRequest, by subject_ref."""
        return f"{self.prefix}genie.replay.requests"

    @property
    def controls(self) -> str:
        """Control, by hold_id, compacted."""
        return f"{self.prefix}genie.gateway.controls"

    @property
    def audit(self) -> str:
        """AuditRecord, by operator."""
        return f"{self.prefix}genie.gateway.audit"

    def record_kinds(self) -> dict[str, str]:
        """Topic -> the record kind in it."""
        return {
            self.payments: "LeasePaymentEvent",
            self.scores: "NorelScoreUpdate",
            self.consents: "ConsentRecord",
            self.intents: "ProvisionIntent",
            self.ledger: "ProvisionRecord",
            self.parked: "ParkedEvent",
            self.replays: "ReplayRequest",
            self.controls: "Control",
            self.audit: "AuditRecord",
        }
