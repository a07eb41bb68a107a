"""Puts what each audit rule says of itself into docs/audit.md, between two marks.

python scripts/make_audit_docs.py            write it
python scripts/make_audit_docs.py --check    exit 1 where it would change
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from make_readme import update  # noqa: E402
from reference.words import said  # noqa: E402

from inspector.auditing.rule import AuditRule, Needs  # noqa: E402
from inspector.auditing.rules import RULES  # noqa: E402

PAGE = ROOT / "docs" / "audit.md"
MADE = re.compile(r"(?ms)(^<!-- rules[^\n]*-->\n).*?(^<!-- end -->$)")

FAMILIES = {
    "leftover": "Leftovers of training",
    "sparsity": "Sparsity",
    "number": "Numbers",
    "quant": "Quantization",
    "size": "Size and cost",
    "safety": "Safety",
    "integrity": "Integrity",
}
ASKED = {
    Needs.FILE: "Asked of what cannot be read as a model, too.",
    Needs.ARTIFACT: "",
    Needs.VALUES: "Reads values: not asked with `--no-measure`.",
    Needs.ORIGINAL: "Asked with `--against ORIGINAL`.",
}


def rendered(text: str) -> str:
    """The page with the rules' part made anew."""
    body = "\n\n".join(_entries())
    return MADE.sub(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", text)


def _entries() -> Iterator[str]:
    for family, rules in groupby(_by_family(), key=lambda rule: rule.family):
        yield f"### {FAMILIES[family]}"
        for rule in rules:
            yield f"#### {rule.code}"
            yield f"**{rule.severity}**: {said(rule.summary)}"
            yield said(rule.explanation)
            yield f"*Example:* {said(rule.example)}"
            yield f"*Fix:* {said(rule.fix)}"
            if ASKED[rule.needs]:
                yield ASKED[rule.needs]


def _by_family() -> list[AuditRule]:
    order = list(FAMILIES)
    return sorted(RULES, key=lambda rule: order.index(rule.family))


if __name__ == "__main__":
    raise SystemExit(update([PAGE], rendered))
