"""What a reader of README.md sees first."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_two_commands_stand_at_the_top():
    top = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:6]
    assert any("make inspect" in line for line in top)
    assert any("make test" in line for line in top)
