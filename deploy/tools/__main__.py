"""`python -m deploy.tools [NAME...]`: install the pinned tools that are missing. Status 1 if one can't be had."""

import sys
import time

from deploy.tools import TOOLS, ToolMissing
from deploy.tools.home import install


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in TOOLS]:
        sys.stderr.write(f"error: no tool named {', '.join(unknown)}; there are {', '.join(TOOLS)}\n")
        return 2
    missing = 0
    for name in names or TOOLS:
        began = time.monotonic()
        try:
            if install(TOOLS[name]):
                sys.stdout.write(f"{name}: installed in {time.monotonic() - began:.0f} s\n")
                sys.stdout.flush()
        except ToolMissing as error:
            missing = 1
            sys.stderr.write(f"{name}: missing: {error}\n")
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
