"""Replaces parts of the gateway in its own process, and fails when a part is no longer there."""

import sys
from collections.abc import Callable
from typing import Any

Patch = Callable[[], None]


class Named(dict[str, Patch]):
    """Patches by the names of the functions that make them."""

    def __call__(self, patch: Patch) -> Patch:
        self[patch.__name__] = patch
        return patch


def replace(owner: Any, name: str, new: Any) -> Any:
    """Put `new` in the place of what is there, and return that; AttributeError if nothing is."""
    plain = getattr(owner, name)
    setattr(owner, name, new)
    return plain


def replace_everywhere(function: Any, new: Any) -> None:
    """Put `new` in the place of a function in every room that imported it."""
    users = [module for name, module in sys.modules.items() if name.startswith("gateway.")]
    for module in users:
        for name in [name for name, value in vars(module).items() if value is function]:
            setattr(module, name, new)
