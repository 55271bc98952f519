"""The documentation as a site: every page is in it, every link leads somewhere, and nothing comes from another host."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from mkdocs.commands import build as builder
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, PluginError

from gateway.observe.rules import RUNBOOK

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIG = DOCS / "site" / "mkdocs.yml"
BUILD_BOUND_S = 120
PAGES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
_LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("object", "data")}
_NOT_LOADED = {"next", "prev", "canonical"}  # relations of a <link> that only name another page
_IN_A_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)")


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` does it, but into `site`. (With --quiet, MkDocs counts no warning, and so is not strict.)"""
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--config-file",
        str(config),
        "--site-dir",
        str(site),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=BUILD_BOUND_S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    made = tmp_path_factory.mktemp("site")
    ended = build(CONFIG, made)
    assert ended.returncode == 0, ended.stderr
    return made


class Links(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        if given.get("rel") not in _NOT_LOADED:
            self.loads += [value for name, value in given.items() if (tag, name) in _LOADS]
        assert "mermaid" not in given.get("class", ""), "its script would come from another host"


def html_of(page: Path) -> str:
    return page.with_name("index.html").as_posix() if page.name == "README.md" else page.with_suffix(".html").as_posix()


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """With README.md and ARCHITECTURE.md, which lie outside of docs."""
    listed = set(Links(site / "index.html").leads)
    wanted = {html_of(page) for page in PAGES if page.name != "README.md"} | {"overview.html", "architecture.html"}
    assert wanted - listed == set(), "no link in the navigation"


def test_every_link_leads_to_a_page_and_to_a_place_in_it(site: Path) -> None:
    """Of the pages as built, so those that the hooks have changed too."""
    pages = {page: Links(page) for page in site.rglob("*.html")}
    wrong = []
    for page, links in pages.items():
        for target in links.leads:
            path, _, anchor = target.partition("#")
            if "://" in path or page.name == "404.html":
                continue
            file = (page.parent / path).resolve() if path else page
            known = pages[file].ids if file in pages else set()
            if not file.is_file() or (anchor and file in pages and anchor not in known):
                wrong.append(f"{page.relative_to(site)}: {target}")
    assert wrong == []


def test_alerts_and_dashboards_lead_to_a_page_and_to_a_place_in_it(site: Path) -> None:
    """Where the site is served, as its names are there."""
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text("utf-8"))
    targets = {
        rule["annotations"]["runbook_url"] for group in alerts["groups"] for rule in group["rules"] if "alert" in rule
    }
    for file in (ROOT / "deploy" / "grafana").glob("*.json"):
        text = file.read_text("utf-8")
        (base,) = [each["query"] for each in json.loads(text)["templating"]["list"] if each["name"] == "runbook"]
        targets |= set(re.findall(r'"url": "([^"]+)"', text.replace("${runbook}", base)))
    assert len(targets) > 30
    wrong = []
    for target in targets:
        path, _, anchor = target.removeprefix(RUNBOOK.removesuffix("runbook")).partition("#")
        page = site / path
        if not page.is_file() or (anchor and anchor not in Links(page).ids):
            wrong.append(target)
    assert wrong == []


def test_nothing_comes_from_another_host(site: Path) -> None:
    """No font, script, style or picture."""
    wrong = []
    for page in site.rglob("*.html"):
        wrong += [f"{page.relative_to(site)}: {url}" for url in Links(page).loads if "//" in url]
    for style in site.rglob("*.css"):
        urls = _IN_A_STYLE.findall(style.read_text("utf-8"))
        wrong += [f"{style.relative_to(site)}: {url[:80]}" for url in urls if re.match(r"(https?:)?//", url)]
    assert wrong == []


def test_what_the_search_needs_is_there_in_both_languages(site: Path) -> None:
    """The index with all pages, and what takes Japanese text apart."""
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    assert index["config"]["lang"] == ["en", "ja"]
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {html_of(page) for page in PAGES} - found == set()
    assert any("株式会社" in entry["text"] for entry in index["docs"])
    scripts = site / "assets" / "javascripts" / "lunr"
    assert (scripts / "tinyseg.js").is_file()
    assert (scripts / "min" / "lunr.ja.min.js").is_file()


def test_what_only_the_checkout_has_is_named(site: Path) -> None:
    """A link to code or schemas would lead nowhere on the site."""
    overview = (site / "overview.html").read_text("utf-8")
    assert "<code>gateway/policies/genie.yaml</code>" in overview
    assert 'genie.yaml"' not in overview


INDEX = """# Index

[What it is](../README.md)

| kind | read it to | pages |
|---|---|---|
| How-to | get one thing done | [One](how-to/one.md) |
| Explanation | know why | [Architecture](../ARCHITECTURE.md) |
"""


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("docs/how-to/one.md", "# One\n\n[two](two.md)", "two.md"),
        ("docs/how-to/one.md", "# One\n\n[there](../runbook.md#nowhere)", "nowhere"),
        ("docs/how-to/one.md", "# One\n\n[there](/runbook.md)", "/runbook.md"),
        ("docs/how-to/one.md", "# One\n\n![picture](picture.svg)", "picture.svg"),
        ("README.md", "# What it is\n\n[gone](docs/gone.md)", "gone.md"),
        ("docs/producers.md", "# Nobody's", "producers.md: in no row of docs/README.md"),
        ("docs/api/one.md", "# Nobody's", "api/one.md: in no row of docs/README.md"),
        ("docs/how-to/one.md", "# One\n\n[`code`](two.md) and `code`", "two.md"),
        ("docs/how-to/two.md", "# Two\n\n[one](one.md)", ""),
        ("docs/how-to/one.md", "# One\n\n[`the site`](../site/mkdocs.yml), [`up`](../../README.md) and `code`", ""),
        ("docs/how-to/one.md", "# One\n\n`[code](is no link.md)`\n\n```\n[nor](this.md)\n```", ""),
    ],
    ids=lambda value: None,
)
def test_a_mistake_ends_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, text: str, said: str
) -> None:
    """A link to nowhere, a heading that is none, a page that nobody put in its place: each is named."""
    pages = {
        "README.md": "# What it is\n\n[Docs](docs/README.md)",
        "ARCHITECTURE.md": "# Architecture",
        "docs/README.md": INDEX,
        "docs/how-to/one.md": "# One",
        "docs/runbook.md": "# Runbook",
    }
    for name, content in (pages | {file: text}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    config = tmp_path / "docs" / "site" / "mkdocs.yml"
    config.parent.mkdir()
    hooks = json.dumps([str(CONFIG.with_name("pages.py"))])
    # The theme is not what is tried here, and takes longest.
    config.write_text(f"INHERIT: {CONFIG}\nhooks: {hooks}\ntheme: {{name: mkdocs}}\nplugins: []\n", "utf-8")
    loaded = load_config(str(config), site_dir=str(tmp_path / "site"))
    if not said:
        builder.build(loaded)
        return
    with pytest.raises((Abort, PluginError)) as ended:
        builder.build(loaded)
    assert said in f"{caplog.text} {ended.value}"
