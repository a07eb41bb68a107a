"""The page of a difference: what changed from A to B."""

from __future__ import annotations

from inspector.render import difference
from inspector.render.drawing.bars import byte_bars
from inspector.render.drawing.shapes import NARROW, WIDE
from inspector.render.fact_rows import bytes_table, counts, fact_changes, is_count, place_table
from inspector.render.html.changes import all_pairs, changes, zeros_of_layers
from inspector.render.html.figure import Figure
from inspector.render.html.page import Page
from inspector.render.html.verdict import Count, Verdict, contents
from inspector.render.options import RenderOptions
from inspector.render.pair_rows import matters
from inspector.render.rows import Table
from inspector.report import Diff, DiffFact, DiffSummary, Report
from inspector.words import count, listing

_FACTS = 2_000  # rows
_NOTHING = Diff(DiffSummary(0, 0, 0, 0), ())


def page(report: Report, _options: RenderOptions) -> Page:
    """The answer, what changed most as pictures, the numbers side by side, every pair."""
    diff = report.diff or _NOTHING
    facts = [fact for fact in diff.facts if not is_count(fact)]
    shown = changes(report, diff)
    values = {
        "sides": difference.sides(report),
        "verdict": _verdict(diff),
        "sentences": difference.sentences(diff),
        "summary": _summary(diff),
        "changes": shown,
        "changes_of": sum(1 for pair in diff.pairs if pair.values and pair.values.differing),
        "numbers": [table for table in counts(report, diff) if table.rows],
        "bytes": _bytes(report),
        "zeros": zeros_of_layers(report, diff),
        "facts": _facts([fact for fact in facts if fact.counts]),
        "quiet": _facts([fact for fact in facts if not fact.counts]),
        "pairs": all_pairs(report, diff),
        "places": place_table(diff.places or (), everything=False),
    }
    return Page("diff.html", "Difference · inspect", values, contents(_PARTS, values))


_PARTS = (
    ("values", "changes", "What changed most"),
    ("totals", "numbers", "Counts and bytes, before and after"),
    ("zeros", "zeros", "What is zero in each layer"),
    ("facts", "facts", "What else differs"),
    ("quiet", "quiet", "Differs, and does not count"),
    ("tensors", "pairs", "Every tensor"),
    ("places", "places", "Bytes that differ"),
)


def _verdict(diff: Diff) -> Verdict:
    """Same or not, and how much of it counts."""
    if diff.same:
        return Verdict("The same", "", good=True)
    tensors = sum(matters(pair) for pair in diff.pairs if pair.status != "unchanged")
    facts = sum(fact.counts for fact in diff.facts if not is_count(fact))
    parts = [
        *([count(tensors, "tensor")] if tensors else []),
        *([f"{count(facts, 'fact')} around them"] if facts else []),
    ]
    return Verdict("Not the same", f"{listing(parts)} differ" if parts else "", good=False)


def _summary(diff: Diff) -> list[Count]:
    """Pairs by what became of them."""
    found = diff.summary
    every = (
        Count("changed", found.changed, "in both, and not the same"),
        Count("only in A", found.removed, "gone in B"),
        Count("only in B", found.added, "new in B"),
        Count("unchanged", found.unchanged, "the same in both"),
    )
    odd = (
        Count("unread", found.unread, "in both, and the values of one could not be read"),
        Count("ignored", found.ignored, "left out, as asked for"),
    )
    return [*every, *(one for one in odd if one.value)]


def _facts(facts: list[DiffFact]) -> Table:
    """A row a fact, named first; which of the two has it is seen from what they have."""
    made = fact_changes(facts[:_FACTS], everything=True)
    _, part, what, *sides = made.columns
    rows = tuple((row[2], row[1], *row[3:]) for row in made.rows)
    left = len(facts) - _FACTS
    note = f"... and {count(left, 'more fact')} (all in --format json)." if left > 0 else ""
    return Table((what, part, *sides), rows, (), note)


def _bytes(report: Report) -> Figure | None:
    """Bytes of each label, before and after."""
    if len(report.artifacts) < 2:
        return None
    a, b = (one.bytes for one in report.artifacts[:2])
    wide = byte_bars(a, b, WIDE)
    words = "Bytes by what they are of: A above, B below."
    return (
        Figure("Bytes", words, wide, byte_bars(a, b, NARROW), bytes_table(report))
        if wide.height
        else None
    )
