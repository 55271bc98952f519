"""The tool installer: what is absent, stale or not to be had is said with its reason."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.tools import TOOLS, ToolMissing, home, path_of
from deploy.tools.home import Tool, at_home, install
from deploy.tools.recipes import Deb, GoModule


@dataclass(frozen=True)
class Writes:
    """A recipe that leaves the file it is told to."""

    file: str

    def __call__(self, pins: Path, into: Path) -> None:
        (into / self.file).write_text((pins / "pin").read_text())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(home, "HOME", tmp_path / "tools")
    monkeypatch.setattr(home, "PINS", tmp_path / "pins")
    (tmp_path / "pins" / "saw").mkdir(parents=True)
    (tmp_path / "pins" / "saw" / "pin").write_text("1")
    return tmp_path


def test_a_tool_is_installed_once_and_again_when_its_pin_changes(elsewhere: Path) -> None:
    saw = Tool("saw", Writes("saw"), "saw")
    with pytest.raises(ToolMissing, match="saw is not installed: make tools"):
        at_home(saw)
    assert install(saw)
    assert at_home(saw).read_text() == "1"
    assert not install(saw)
    (elsewhere / "pins" / "saw" / "pin").write_text("2")
    with pytest.raises(ToolMissing, match="other pins"):
        at_home(saw)
    assert install(saw)
    assert at_home(saw).read_text() == "2"


def test_a_tool_that_did_not_come_with_its_package_is_missing(elsewhere: Path) -> None:
    with pytest.raises(ToolMissing, match="axe is not in it"):
        install(Tool("saw", Writes("saw"), "axe"))
    with pytest.raises(ToolMissing, match="not installed"):
        at_home(Tool("saw", Writes("saw"), "axe"))


def test_an_install_command_that_fails_tells_what_it_said(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = elsewhere / "go"
    go.write_text("#!/bin/sh\necho the proxy is away >&2\nexit 3\n")
    go.chmod(0o700)
    monkeypatch.setenv("PATH", str(elsewhere), prepend=":")
    with pytest.raises(ToolMissing, match=r"(?s)failed with status 3.*the proxy is away"):
        GoModule("example.org/saw")(elsewhere, elsewhere)


def test_a_machine_without_the_client_says_which(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(ToolMissing, match="no apt-get on this machine"):
        Deb("prometheus", "2.42.0")(elsewhere, elsewhere)


@pytest.mark.parametrize("name", sorted({tool.name for tool in TOOLS.values() if not isinstance(tool.recipe, Deb)}))
def test_every_pin_names_exact_content_and_no_host(name: str) -> None:
    """Debian's packages are checked by apt instead; npm's lock has links to its authors, but to no archive."""
    pins = {path.name: path.read_text() for path in (home.PINS / name).iterdir()}
    assert "resolved" not in pins.get("package-lock.json", "")
    if isinstance(TOOLS[name].recipe, GoModule):
        assert "h1:" in pins["go.sum"]
    elif "requirements.txt" in pins:
        assert "--hash=sha256:" in pins["requirements.txt"]
        assert "://" not in pins["requirements.txt"]
    else:
        assert '"integrity": "sha512-' in pins["package-lock.json"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        path_of("chainsaw")


def test_without_its_tool_a_test_is_skipped_and_fails_in_ci(
    tool: Callable[[str], Path], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="prometheus is not installed: make tools"):
        tool("promtool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no apt-get on this machine"):
        tool("promtool")
