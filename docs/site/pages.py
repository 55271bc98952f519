"""Hooks of MkDocs: which pages the site has, in which order, and where their links lead.

Knows that docs/README.md is the index: each row of its table is a kind of page, with the pages of that kind in order.
A page that lies in a folder of the kind's name is taken up although the table leaves it out; any other page that nobody
has put in its place ends the build. README.md and ARCHITECTURE.md lie outside of docs and are pages all the same. Must
not know what pages say.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

INDEX = "README.md"
RUNBOOK = "runbook"
DOCS = "docs"
OUTSIDE = {"README.md": "overview.md", "ARCHITECTURE.md": "architecture.md"}  # beside docs -> page of the site
ALERTS = "Alerts"  # pages of the runbook whose heading names nothing behind the code

_ROW = re.compile(r"^\| *([A-Z][^|]*?) *\|.*?\|(.*)\|$", re.MULTILINE)
# Code is found too, so that nothing in it is taken for a link; a label may hold code.
_LINK_OR_CODE = re.compile(
    r"^ *```.*?^ *```|(?P<opening>!?\[)(?P<label>[^\]]*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^# (?:.*: )?(.+)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation, by kind."""
    docs = Path(config.docs_dir)
    there = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md") if path.parent.name != "site")
    kinds = dict(_kinds(docs / INDEX))
    placed = {page for pages in kinds.values() for page in pages}
    nav: list[Any] = [{"Home": INDEX}, {"Overview": OUTSIDE["README.md"]}]
    for kind, pages in kinds.items():
        folder = kind.lower()
        nav.append({kind: [*pages, *(page for page in there if page.startswith(f"{folder}/") and page not in placed)]})
    nav.append({"Runbook": _runbook(docs, there)})
    named = set(_flat(nav))
    if lost := [page for page in there if page not in named]:
        raise PluginError(f"{', '.join(lost)}: in no row of docs/{INDEX}, and in no folder of a kind; add it to a row")
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages from outside of docs."""
    for source, page in OUTSIDE.items():
        content = Path(config.docs_dir).with_name(source).read_text("utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """With links that lead somewhere on the site; what is only in the checkout is named, not linked."""
    own = page.file.src_uri
    source = next((source for source, made in OUTSIDE.items() if made == own), f"{DOCS}/{own}")
    root = Path(config.docs_dir).parent

    def lead(found: re.Match[str]) -> str:
        target = found["target"]
        if not target or "://" in target:  # code, a heading of this page, or another site
            return found.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))  # from the checkout's root
        made = OUTSIDE.get(path) or path.removeprefix(f"{DOCS}/")
        if (root / path).is_dir() or (made == path and (root / path).exists()):
            label = found["label"].strip("`")
            return f"`{path}`" if label.rstrip("/") == path else f"{label} (`{path}`)"
        there = posixpath.relpath(made, posixpath.dirname(own) or ".")
        return f"{found['opening']}{found['label']}]({there}{found['anchor'] or ''})"

    return _LINK_OR_CODE.sub(lead, markdown)


def _kinds(index: Path) -> Iterator[tuple[str, list[str]]]:
    """Each kind of page, and those that the index puts there."""
    for kind, row in _ROW.findall(index.read_text("utf-8")):
        targets = [link["target"] or "" for link in _LINK_OR_CODE.finditer(row)]
        yield kind, [OUTSIDE.get(each.removeprefix("../"), each) for each in targets if each.endswith(".md")]


def _runbook(docs: Path, there: Sequence[str]) -> list[Any]:
    """The page of all first, then those of single codes, by what their headings say that they are."""
    groups: dict[str, list[str]] = {}
    for page in there:
        if page.startswith(f"{RUNBOOK}/"):
            heading = _HEADING.search((docs / page).read_text("utf-8"))
            named = heading[1] if heading and ": " in heading[0] else ALERTS
            groups.setdefault(named[0].upper() + named[1:], []).append(page)
    return [
        f"{RUNBOOK}.md",
        *({group: groups[group]} for group in sorted(groups, key=lambda name: (name != ALERTS, name))),
    ]


def _flat(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for inner in nav.values() if isinstance(nav, dict) else nav:
            yield from _flat(inner)
