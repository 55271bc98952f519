"""What can be asked of a fault: JSON in, a fault out, or a message with what would be right.

Knows the types of parameters. Must not know which faults there are, or what they do.
"""

from dataclasses import MISSING, Field, fields
from enum import Enum
from typing import Any

from gateway.sandbox.genie.faults.fault import Fault, FaultError

_SHARE = "share"
_SENTENCES: dict[object, str] = {
    bool: "true or false",
    int: "a whole number, 0 or more",
    float: "a number, 0 or more",
    str: "text",
}


def read(name: str, kind: type[Fault], given: object) -> Fault:
    """A fault of this kind; `name` is what it is called in the message of a FaultError."""
    known = {field.name: field for field in fields(kind)}
    required = {field.name for field in known.values() if field.default is MISSING}
    if not isinstance(given, dict) or not required <= set(given) <= set(known):
        raise FaultError(f"fault {name} takes {', '.join(known)}, and needs {', '.join(sorted(required))}")
    values: dict[str, Any] = {}
    for parameter, value in given.items():
        field = known[parameter]
        values[parameter] = _value(field, value)
        if values[parameter] is None:
            raise FaultError(f"fault {name}: {parameter} must be {takes(field)}")
    return kind(**values)


def described(kind: type[Fault]) -> dict[str, dict[str, object]]:
    """What each parameter takes, and its value where none is given (None: one must be)."""
    return {
        field.name: {"takes": takes(field), "default": None if field.default is MISSING else field.default}
        for field in fields(kind)
    }


def takes(field: Field[Any]) -> str:
    """What a parameter takes, for people."""
    kind: Any = field.type
    if field.name == _SHARE:
        return "a number from 0 to 1"
    if issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    return _SENTENCES[kind]


def _value(field: Field[Any], value: Any) -> Any:
    """The value as the parameter's type, which JSON may lack; None if it does not fit."""
    kind: Any = field.type
    if issubclass(kind, Enum):
        return next((member for member in kind if member.value == value and type(value) is not bool), None)
    if kind in (bool, str):
        return value if type(value) is kind else None
    numbers = (int,) if kind is int else (int, float)
    fits = type(value) in numbers and value >= 0 and (field.name != _SHARE or value <= 1)
    return value if fits else None
