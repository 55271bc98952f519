"""`python -m deploy.grafana`: write every dashboard as JSON beside this file; with --check only say what differs."""

import sys
from pathlib import Path

from deploy.grafana.boards import BOARDS, as_json

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """The exit status: 1 if --check finds a file that the code would write otherwise."""
    check = "--check" in arguments
    stale = False
    for board in BOARDS:
        path, text = HERE / f"{board.name}.json", as_json(board)
        if not path.is_file() or path.read_text("utf-8") != text:
            stale = True
            if not check:
                path.write_text(text, "utf-8")
            sys.stdout.write(f"deploy/grafana/{path.name}: {'stale' if check else 'written'}\n")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
