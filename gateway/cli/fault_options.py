"""How faults are written on a command line: NAME=SHARE[,PARAMETER=VALUE ..].

Knows the form; must not know which faults there are: GeNiE refuses what does not exist.
"""

from collections.abc import Iterable

from gateway.cli.errors import CommandError, Exit

_WORDS = {"true": True, "false": False}


def faults_of(items: Iterable[str]) -> dict[str, dict[str, object]]:
    """The faults as GeNiE's admin port takes them."""
    return dict(map(_fault, items))


def _fault(item: str) -> tuple[str, dict[str, object]]:
    first, *rest = item.split(",")
    name, _, share = first.partition("=")
    pairs = [part.partition("=") for part in rest]
    try:
        parameters: dict[str, object] = {"share": float(share)}
    except ValueError:
        parameters = {}
    if not parameters or not all(parameter and sign for parameter, sign, _ in pairs):
        raise CommandError(
            Exit.WRONG_USE,
            f"fault {item}: write NAME=SHARE[,PARAMETER=VALUE ..], such as unavailable=0.01,retry_after=5",
        )
    return name, parameters | {parameter: _value(value) for parameter, _, value in pairs}


def _value(text: str) -> object:
    """Numbers and truth as JSON has them; everything else is text."""
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
