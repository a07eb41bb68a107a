"""What README.md shows is what the tool prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_output_shown_is_todays():
    done = subprocess.run(
        [sys.executable, "scripts/make_readme.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_two_commands_stand_at_the_top():
    top = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:6]
    assert any("make inspect" in line for line in top)
    assert any("make test" in line for line in top)
