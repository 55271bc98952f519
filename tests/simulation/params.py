"""Which story is meant: a seed, and what is left out of its story. A command line says the same.

Knows names of parts that may be left out. Must not know what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.simulation.shape import Shape, draw

# What may be left out of a story, and how its shape then looks.
OFF = {
    "changes": {"changes_per_s": 0.0},
    "holds": {"holds": 0},
    "replays": {"replays": 0},
    "usual": {"usual": 0.0},
    "drift": {"drift_ms": 0},
    "lag": {"lag_ms": 0},
    "static": {"static": False},
}


@dataclass(frozen=True, slots=True)
class Params:
    """One story; None leaves to the seed what it draws."""

    seed: int
    events: int | None = None
    hosts: int | None = None
    faults: tuple[int, ...] | None = None  # numbers of those that happen
    inputs: tuple[int, ...] | None = None  # numbers of what flows in: bursts, changes, replays, holds
    off: tuple[str, ...] = ()
    without: str | None = None  # a step taken out of the gateway
    told: bool = False  # whether it is told even if all is well

    @property
    def drawn(self) -> Shape:
        """As the seed has it: faults are planned for it, so that they stay what they are when gateways are left out."""
        return draw(self.seed)

    @property
    def shape(self) -> Shape:
        shape = draw(self.seed)
        for name in self.off:
            shape = replace(shape, **OFF[name])  # type: ignore[arg-type]  # each names fields with their values
        return replace(
            shape,
            events=shape.events if self.events is None else self.events,
            hosts=shape.hosts if self.hosts is None else self.hosts,
        )

    @property
    def less(self) -> str:
        """What is left of the faults and inputs, for people."""
        kept = {"faults": self.faults, "inputs": self.inputs}
        return "".join(f"; only {name} {_listed(some)}" for name, some in kept.items() if some is not None)

    @property
    def command(self) -> str:
        """What replays it."""
        parts = [f"python -m tests.simulation --seed {self.seed}"]
        numbers = {"events": self.events, "hosts": self.hosts}
        parts += [f"--{name} {number}" for name, number in numbers.items() if number is not None]
        kept = {"faults": self.faults, "inputs": self.inputs}
        parts += [f"--{name} {_listed(some)}" for name, some in kept.items() if some is not None]
        if self.off:
            parts.append(f"--off {','.join(self.off)}")
        if self.without:
            parts.append(f"--without {self.without}")
        return " ".join(parts)


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers)) or "none"
