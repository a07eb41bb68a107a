"""Puts today's output into the documents: the blocks that begin with "$ inspect ..." are real.

python scripts/make_readme.py            write README.md and what is in docs/
python scripts/make_readme.py --check    exit 1 where one of them would change
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"(?m)^```console\n\$ (inspect [^\n]*)\n.*?^```$", re.DOTALL)

# A difference, or a finding, is what is to be seen.
_SHOWN = (0, 1)


def run(command: str) -> str:
    """What the command prints when piped, from the top of the checkout; `| head -N` is known."""
    command, _, lines = command.partition(" | head -")
    done = subprocess.run(
        [sys.executable, "-m", "inspector", *command.split()[1:]],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in _SHOWN:
        raise SystemExit(f"{command}\n{done.stderr}")
    printed = done.stdout.rstrip("\n")
    return "\n".join(printed.splitlines()[: int(lines)]) if lines else printed


def rendered(text: str) -> str:
    """The text with every block's output made anew."""
    return BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{run(match[1])}\n```", text)


def update(documents: Iterable[Path], rendered: Callable[[str], str]) -> int:
    """Write the documents as they would be rendered, or with --check say which would change."""
    check = "--check" in sys.argv[1:]
    stale = []
    for document in documents:
        before = document.read_text(encoding="utf-8")
        after = rendered(before)
        if before == after:
            continue
        stale.append(document.relative_to(ROOT).as_posix())
        if not check:
            document.write_text(after, encoding="utf-8")
    if stale and check:
        print(f"not as it would be made: {', '.join(stale)}; run {sys.argv[0]}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(update(DOCUMENTS, rendered))
