"""An honest Kafka for one lane: what is committed, and transactions that only the newest owner can end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core import facts
from gateway.core.metadata import MAX_METADATA_BYTES, CommitMetadata, IntentRef

INTENTS_PARTITION = 3


@dataclass(slots=True)
class Staged:
    """A transaction that is open."""

    epoch: int
    ledger: list[Mapping[str, Any]]
    parked: list[facts.Parked]
    intents: list[IntentRef]


@dataclass(slots=True)
class Kafka:
    """Topics as a read_committed reader sees them, and the group's offset."""

    offset: int = 0
    metadata: CommitMetadata = field(default_factory=CommitMetadata)
    epoch: int = 0
    ledger: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)  # by input offset
    parked: list[facts.Parked] = field(default_factory=list)
    intents: dict[IntentRef, Mapping[str, Any]] = field(default_factory=dict)  # committed ones
    commits: int = 0
    _written: dict[IntentRef, Mapping[str, Any]] = field(default_factory=dict)
    _staged: Staged | None = None

    def take_over(self) -> int:
        """A new owner: the older one's open transaction is aborted and it can commit nothing more."""
        self.epoch += 1
        self._staged = None
        return self.epoch

    def produce(self, epoch: int, command: facts.Produce) -> list[IntentRef] | None:
        """Open a transaction and write; None if a newer owner is there."""
        if epoch != self.epoch:
            return None
        first = len(self._written)
        refs = [IntentRef(INTENTS_PARTITION, first + n) for n in range(len(command.intents))]
        self._written.update(zip(refs, command.intents, strict=True))
        self._staged = Staged(epoch, list(command.ledger), list(command.parked), refs)
        return refs

    def commit(self, epoch: int, command: facts.Commit) -> bool:
        """End the open transaction; False if a newer owner is there."""
        staged = self._staged
        if epoch != self.epoch or staged is None:
            return False
        assert len(command.metadata) <= MAX_METADATA_BYTES
        self._staged = None
        self.offset, self.metadata = command.offset, CommitMetadata.decode(command.metadata, command.offset)
        for record in staged.ledger:
            self.ledger.setdefault(record["input"]["offset"], []).append(record)
        self.parked.extend(staged.parked)
        self.intents.update((ref, self._written[ref]) for ref in staged.intents)
        self.commits += 1
        return True

    def live_intents(self) -> list[Mapping[str, Any]]:
        """Those that the committed metadata names."""
        return [self.intents[ref] for ref in self.metadata.intents]

    def records(self) -> Iterator[Mapping[str, Any]]:
        """All ledger records."""
        for records in self.ledger.values():
            yield from records


@dataclass(slots=True)
class Slots:
    """The HTTP slots of one process, first come first served."""

    free: int
    _waiting: list[tuple[int, Any]] = field(default_factory=list)

    def acquire(self, upto: int, then: Any) -> None:
        """Call `then` with what is granted, as soon as there is one."""
        self._waiting.append((upto, then))
        self._serve()

    def release(self, count: int) -> None:
        """Give back."""
        self.free += count
        self._serve()

    def _serve(self) -> None:
        while self.free and self._waiting:
            upto, then = self._waiting.pop(0)
            granted = min(upto, self.free)
            self.free -= granted
            then(granted)
