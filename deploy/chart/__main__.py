"""`python -m deploy.chart`: write what of the chart comes from the gateway; with --check, say what is not up to date.

Written are the settings in values.yaml, values.schema.json, the table in README.md, and files/ (bounds of settings,
topics, permissions, alerts, dashboards). Everything else in the chart is written by hand.
"""

import json
import re
import sys
from pathlib import Path

import yaml

from deploy.chart import kafka, readme, schema, settings
from deploy.chart.places import CHART, ROOT
from gateway.observe.rules import RUNBOOK


def pages() -> dict[Path, str]:
    """File -> what it must hold."""
    values = _between("# settings: begin", "# settings: end", CHART / "values.yaml", settings.block())
    table = readme.table(values)
    return {
        CHART / "values.yaml": values,
        CHART / "values.schema.json": _json(schema.values(yaml.safe_load(values))),
        CHART / "README.md": _between("<!-- values: begin -->", "<!-- values: end -->", CHART / "README.md", table),
        CHART / "files" / "settings.json": _json(settings.known()),
        CHART / "files" / "topics.json": _json(kafka.topics()),
        CHART / "files" / "acls.json": _json(kafka.acls()),
        CHART / "files" / "rules.yaml": _without_runbook(ROOT / "deploy" / "prometheus" / "rules.yaml"),
        **{
            CHART / "files" / "dashboards" / board.name: _without_runbook(board)
            for board in sorted((ROOT / "deploy" / "grafana").glob("*.json"))
        },
    }


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m deploy.chart [--check]\n")
        return 2
    stale = {page: text for page, text in pages().items() if not page.exists() or page.read_text() != text}
    for page, text in stale.items():
        sys.stdout.write(f"{'not up to date' if arguments else 'written'}: {page.relative_to(ROOT)}\n")
        if not arguments:
            page.write_text(text)
    return 1 if arguments and stale else 0


def _without_runbook(page: Path) -> str:
    """With RUNBOOK_URL, which templates/_monitoring.tpl replaces, where nobody's address is."""
    return page.read_text().replace(RUNBOOK, "RUNBOOK_URL")


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _between(begin: str, end: str, page: Path, text: str) -> str:
    marked = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)}\n)", re.DOTALL)
    whole = page.read_text()
    if not marked.search(whole):
        raise SystemExit(f"error: {page.relative_to(ROOT)} has no lines {begin!r} and {end!r}: put them back")
    return marked.sub(lambda _: text, whole, count=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
