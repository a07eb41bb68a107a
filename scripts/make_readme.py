"""Puts today's output into the documents: the blocks that begin with "$ inspect ..." are real.

python scripts/make_readme.py            write README.md and what is in docs/
python scripts/make_readme.py --check    exit 1 where one of them would change

A block has one command or several. "| head -N" keeps the first lines, "| tail -N" the last,
"; echo $?" says the exit code. The commands of one document run in one folder, where
sample_models/ is and where files that they write stay until its end.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from inspector.cli.environment import Environment  # noqa: E402
from inspector.cli.main import run as run_inspect  # noqa: E402

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"(?m)^```console\n(?=\$ inspect )(.*?)^```$", re.DOTALL)
COMMAND = re.compile(
    r"^\$ inspect (?P<arguments>.*?)( \| (?P<end>head|tail) -(?P<lines>\d+))?"
    r"(?P<code>; echo \$\?)?$"
)

# A difference, or a finding, is what is to be seen; another code has to be asked for.
_SHOWN = (0, 1)


def run(command: str) -> str:
    """The line of a prompt, and what the command prints when it is piped."""
    found = COMMAND.match(command)
    if found is None:
        raise SystemExit(f"no command of a document: {command}")
    out, errors = io.StringIO(), io.StringIO()
    code = run_inspect(
        shlex.split(found["arguments"]), Environment(out, errors, {"COLUMNS": "100"})
    )
    if code not in _SHOWN and not found["code"]:
        raise SystemExit(f"{command}\n{errors.getvalue()}")
    printed = (errors.getvalue() + out.getvalue()).rstrip("\n").splitlines()
    if found["lines"]:
        count = int(found["lines"])
        printed = printed[:count] if found["end"] == "head" else printed[-count:]
    if found["code"]:
        printed.append(str(code))
    return "\n".join((command, *printed)) + "\n"


def rendered(text: str) -> str:
    """The text with every block's output made anew."""
    with _scratch():
        return BLOCK.sub(lambda match: f"```console\n{_block(match[1])}```", text)


def _block(text: str) -> str:
    return "\n".join(map(run, re.findall(r"(?m)^\$ inspect .*$", text)))


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """A folder to work in, with the samples in it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.symlink(ROOT / "sample_models", "sample_models")
        yield


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
