"""Frozen data classes for what is made once an event or more often.

A frozen data class pays about 0.2 µs for each field when it is made: 3 to 4 µs on the way of each event. Under
`value` the type checker refuses assignments as ever, and run time pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen, slots):
        """A data class that is frozen to the type checker only."""
        return dataclass(slots=slots, unsafe_hash=frozen)
