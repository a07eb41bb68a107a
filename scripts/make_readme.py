"""Puts today's output into README.md: the blocks that begin with "$ inspect ..." are real.

python scripts/make_readme.py            write README.md
python scripts/make_readme.py --check    exit 1 where it would change
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(?m)^```console\n\$ (inspect [^\n]*)\n.*?^```$", re.DOTALL)


def run(command: str) -> str:
    """What the command prints when piped, from the top of the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "inspector", *command.split()[1:]],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip("\n")


def rendered(text: str) -> str:
    """The text with every block's output made anew."""
    return BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{run(match[1])}\n```", text)


def main() -> int:
    """Write, or check."""
    before = README.read_text(encoding="utf-8")
    after = rendered(before)
    if "--check" in sys.argv[1:]:
        if before != after:
            print("README.md does not show today's output: run scripts/make_readme.py")
            return 1
        return 0
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
