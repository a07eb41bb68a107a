"""Makes docs/reference/ of what the code says of itself.

python scripts/make_reference.py            write it
python scripts/make_reference.py --check    exit 1 where it would change
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from make_readme import update  # noqa: E402
from reference import around, commands, python_api, report_json, results, rules  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
PAGES = {
    "commands.md": commands.render,
    "environment.md": around.render_environment,
    "rules.md": rules.render,
    "audit-rules.md": rules.render_audit,
    "json.md": report_json.render,
    "results.md": results.render,
    "python.md": python_api.render,
    "formats.md": around.render_formats,
    "limits.md": around.render_limits,
}


def main() -> int:
    """Write the pages, or with --check say which are not as they would be made."""
    code = 0
    for name, render in PAGES.items():
        document = FOLDER / name
        if not document.exists():
            document.touch()
        code |= update([document], lambda _, render=render: render())
    return code


if __name__ == "__main__":
    raise SystemExit(main())
