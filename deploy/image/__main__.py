"""`python -m deploy.image`: write the images' lock files, parts of requirements.lock; with --check, say what is stale.

pip takes hashes only where every package has one, and requirements.lock also holds what tests need: each image gets
the packages of its extras and what these need, with the same versions and hashes. Knows packages as installed in this
environment, which is what requirements.lock says. Must not know the Dockerfile.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
HEAD = "# Written by `python -m deploy.image` from requirements.lock and pyproject.toml: change those.\n"
# What an image is for: its processor is not ours, but it is always Linux with CPython.
PLATFORMS = [{"platform_machine": machine, "sys_platform": "linux"} for machine in ("x86_64", "aarch64")]

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<rest>(?:.*\\\n)*.*\n)", re.MULTILINE)


def locks() -> dict[Path, str]:
    """File -> what it must hold."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    core = project["project"]["dependencies"]
    wanted = {
        "build": project["build-system"]["requires"],
        "gateway": [*core, *extras["tracing"]],
        "desk": [*core, *extras["tracing"], *extras["desk"]],
        "sandbox": [*core, *extras["tracing"], *extras["sandbox"]],
    }
    entries = _entries((ROOT / "requirements.lock").read_text())
    return {HERE / f"{name}.lock": HEAD + _part(entries, lines) for name, lines in wanted.items()}


def _entries(lock: str) -> dict[str, str]:
    """Package -> its lines; some have one version for each of several Pythons."""
    entries: dict[str, str] = {}
    for each in _ENTRY.finditer(lock):
        name = canonicalize_name(each["name"])
        entries[name] = entries.get(name, "") + each[0]
    return entries


def _part(entries: dict[str, str], wanted: list[str]) -> str:
    names = {name for line in wanted for name in _closure(Requirement(line), set())}
    return "".join(entries[name] for name in sorted(names))


def _closure(wanted: Requirement, seen: set[tuple[str, str]]) -> Iterator[str]:
    """The package, and all that it needs on any of the platforms, with the extras that are asked for."""
    name = canonicalize_name(wanted.name)
    yield name
    for extra in ("", *sorted(wanted.extras)):
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in requires(name) or ():
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({**platform, "extra": extra}) for platform in PLATFORMS):
                yield from _closure(needed, seen)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m deploy.image [--check]\n")
        return 2
    stale = {lock: text for lock, text in locks().items() if not lock.exists() or lock.read_text() != text}
    for lock, text in stale.items():
        sys.stdout.write(f"{'not up to date' if arguments else 'written'}: {lock.relative_to(ROOT)}\n")
        if not arguments:
            lock.write_text(text)
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
