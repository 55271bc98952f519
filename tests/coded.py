"""Closed sets whose members carry more than their value."""

from enum import Enum
from typing import Any, Self


class Coded(Enum):
    """A member is written (value, ...): what follows are the attributes that its class annotates, in that order."""

    def __new__(cls, value: Any, *told: Any) -> Self:
        member = object.__new__(cls)
        member._value_ = value
        for name, what in zip(cls.__annotations__, told, strict=True):
            setattr(member, name, what)
        return member
