"""The difference of two artifacts as a tree, and what the pane says of a line of it."""

from __future__ import annotations

from collections.abc import Callable

from inspector.browse.histogram import chart
from inspector.browse.lines import Line, Lines, beside, clean, facts, heading, paragraph
from inspector.browse.outline import Key, Node, by_layer
from inspector.browse.roles import look
from inspector.render.difference import sentences, sides
from inspector.render.pair_rows import SIGNS, brief, one_side, spelled, turned
from inspector.render.printable import shape, value
from inspector.report import Diff, DiffFact, DiffPair, DiffTensor, Explanation, Report
from inspector.words import count, number

_TITLE = 300
_SIDE_BY_SIDE = 90  # columns from which on two histograms stand side by side
_CHANGED = ("changed", "added", "removed", "unread", "unchanged")


def outline(
    report: Report, diff: Diff, keep: Callable[[DiffPair], bool] | None = None
) -> tuple[Node, ...]:
    """The tree: the two, their pairs by layer, what else is not the same. keep: which pairs."""
    held: dict[str, list[DiffPair]] = {}
    rows = _rows(report, diff)
    for pair in spelled(report, diff):
        held.setdefault(rows[one_side(pair).name, pair.a is None], []).append(pair)
    top: Key = ("difference",)
    # What changed comes first, whatever is kept of it; both halves stay in the order of the pairs.
    order = sorted(held, key=lambda row: all(one.status == "unchanged" for one in held[row]))
    kept = {row: [one for one in held[row] if keep is None or keep(one)] for row in order}
    layers = [_of_layer(layer, pairs, top) for layer, pairs in kept.items() if pairs]
    rest = _facts(diff.facts, top) if keep is None else []
    root = Node(
        top,
        "difference",
        "A → B",
        "=" if diff.same else "≠",
        "unchanged" if diff.same else "changed",
        item=diff,
        children=(*layers, *rest),
    )
    return (root,)


def _rows(report: Report, diff: Diff) -> dict[tuple[str, bool], str]:
    """(name, whether only B has it) of each pair -> the layer's row in A that it stands under.

    What only B has stands where the tensors of its layer in B have their partners; where they have
    none, under its row in B.
    """
    a, b = (
        {one.name: row or "" for row, held in by_layer(side).items() for one in held}
        for side in report.artifacts[:2]
    )
    there: dict[str, str] = {}
    for pair in diff.pairs:
        if pair.a and pair.b:
            there.setdefault(b.get(pair.b.name, ""), a.get(pair.a.name, ""))
    found: dict[tuple[str, bool], str] = {}
    for pair in diff.pairs:
        if pair.a:
            found[pair.a.name, False] = a.get(pair.a.name, "")
        elif pair.b:
            row = b.get(pair.b.name, "")
            found[pair.b.name, True] = there.get(row, row) if row else ""
    return found


def _of_layer(layer: str, pairs: list[DiffPair], top: Key) -> Node:
    key = (*top, f"layer {layer}")
    statuses = [one for one in _CHANGED if any(pair.status == one for pair in pairs)]
    return Node(
        key,
        "layer",
        clean(layer, _TITLE) or "in no layer",
        tone=statuses[0] if statuses else "",
        marks=tuple((SIGNS[one], one) for one in statuses),
        item=pairs,
        children=tuple(_pair(pair, key, layer) for pair in pairs),
    )


def _pair(pair: DiffPair, at: Key, row: str) -> Node:
    side = one_side(pair)
    return Node(
        (*at, "\0".join(side.name if side else "" for side in (pair.a, pair.b))),
        "pair",
        clean(_inside(side, row), _TITLE),
        SIGNS.get(pair.status, " "),
        pair.status,
        marks=((look(side.role).word, look(side.role).tone),),
        elements=side.elements,
        nbytes=side.nbytes,
        item=pair,
    )


def _inside(side: DiffTensor, row: str) -> str:
    """What the tensor is called below the row of its layer, or of its partner's."""
    if side.variable is None:
        return side.name
    path = "/".join(filter(None, (side.layer, side.variable)))
    if not row:
        return path
    return path.removeprefix(f"{row}/") if path.startswith(f"{row}/") else side.variable


def _facts(found: tuple[DiffFact, ...], top: Key) -> list[Node]:
    parts: dict[str, list[DiffFact]] = {}
    for fact in found:
        parts.setdefault(fact.part, []).append(fact)
    nodes = []
    for part, each in parts.items():
        key = (*top, f"part {part}")
        children = tuple(
            Node(
                (*key, f"{at} {fact.what}"),
                "fact",
                clean(fact.what, _TITLE),
                "~",
                "changed" if fact.counts else "unchanged",
                item=fact,
            )
            for at, fact in enumerate(each)
        )
        counts = any(fact.counts for fact in each)
        tone = "changed" if counts else "unchanged"
        marks = ((f"×{number(len(each))}", "dim"),)
        nodes.append(
            Node(key, "part", clean(part), "~", tone, marks=marks, item=each, children=children)
        )
    return nodes


def summary(report: Report, diff: Diff, width: int) -> Lines:
    """The difference in words, and how many tensors it is of."""
    lines = [line for text in sides(report) for line in paragraph(text, width, "title", "   ")]
    for sentence in sentences(diff):
        lines += [(), *paragraph(sentence, width)]
    lines += heading("Tensors")
    for status in ("changed", "added", "removed", "unread", "unchanged"):
        many = getattr(diff.summary, status)
        if many or status in ("changed", "added", "removed"):
            lines.append(((f"{SIGNS[status]} {status:<10}", status), (f"{number(many):>9}", "")))
    return lines


def of_many(node: Node, width: int) -> Lines:
    """The words of all pairs of a layer, or of all facts of a part."""
    lines = paragraph(node.title, width, "title")
    for one in node.children:
        text = one.item.words or (one.item.why if isinstance(one.item, DiffPair) else "")
        lines += [(), *paragraph(f"{one.symbol} {one.title}", width, one.tone, "  ")]
        lines += paragraph(f"  {clean(text)}", width, "", "  ") if text else []
    return lines


def fact(found: DiffFact, width: int) -> Lines:
    """What is not the same, as each has it."""
    lines = paragraph(f"{found.part}: {clean(found.what)}", width, "title")
    lines += [(), *paragraph(found.words, width), ()]
    lines += facts([("A", _said(found.a)), ("B", _said(found.b))], width)
    return lines if found.counts else [*lines, (), *_uncounted(width)]


def _said(given: object) -> str:
    if given is None:
        return "-"
    return number(given) if isinstance(given, int) and not isinstance(given, bool) else str(given)


def _uncounted(width: int) -> Lines:
    return paragraph("It does not count: the two say the same all the same.", width, "dim")


def pair(
    found: DiffPair,
    width: int,
    *,
    before: Explanation | None = None,
    after: Explanation | None = None,
    state: str = "",
    failures: tuple[str, ...] = (),
) -> Lines:
    """Both sides of a pair; before, after: what reading them told, None where it was not."""
    names = [side.name for side in (found.a, found.b) if side]
    lines = paragraph(turned(*map(clean, names)), width, "title")
    status = f"{SIGNS.get(found.status, ' ')} {found.status}"
    lines += [((status, found.status),), (), *paragraph(found.words or found.why, width)]
    if found.status not in ("unchanged", "unread") and not found.counts:
        lines += [(), *_uncounted(width)]
    for failure in failures:
        lines += [(), *paragraph(failure, width, "error")]
    if state:
        lines += [(), ((state, "dim"),)]
    lines += _drawn(before, after, width)
    rows = [("conversion", found.conversion), ("paired by", found.why if len(names) > 1 else "")]
    told = [(label, text) for label, text in rows if text] + _values(found)
    if told:
        lines += heading("How they differ") if found.values else [()]
        lines += facts(told, width, 13)
    for title, side in (("Before (A)", found.a), ("After (B)", found.b)):
        lines += heading(title)
        lines += facts(_side(side), width) if side else [(("not there", "dim"),)]
    return lines


def _drawn(before: Explanation | None, after: Explanation | None, width: int) -> Lines:
    wide = width >= _SIDE_BY_SIDE and before is not None and after is not None
    each = (width - 2) // 2 if wide else width
    blocks: list[Lines] = []
    for title, one in (("Before (A)", before), ("After (B)", after)):
        if one is None:
            continue
        blocks.append([((title, "title"), *_measured(one)), *chart(one.histogram, each)])
    if not blocks:
        return []
    if wide and len(blocks) == 2:
        return [(), *beside(blocks[0], blocks[1], width)]
    return [line for block in blocks for line in [(), *block]]


def _measured(one: Explanation) -> Line:
    """How many zeros, from where to where; of one value, that value."""
    measure = one.tensor.measure
    if measure is None:
        return ((" · not measured", "dim"),)
    ends = dict.fromkeys((value(measure.min), value(measure.max)))
    zeros = f"{count(measure.zeros, 'zero')} · " if one.tensor.elements > 1 else ""
    return ((f" · {zeros}{' to '.join(ends)}", ""),)


def _values(found: DiffPair) -> list[tuple[str, str]]:
    values = found.values
    if values is None:
        return []
    pairs = [
        ("differing", f"{number(values.differing)} of {count(values.elements, 'element')}"),
        ("zeros", f"{number(values.zeros_a)} in A, {number(values.zeros_b)} in B"),
    ]
    if values.differing:
        pairs += [
            ("largest", brief(values.largest)),
            ("mean", brief(values.mean)),
            ("rel. norm", brief(values.relative_norm)),
            ("sign flips", number(values.sign_flips)),
            ("zeros gained", number(values.zeros_gained)),
            ("zeros lost", number(values.zeros_lost)),
        ]
    elif not values.same_bits:
        pairs.append(("bits", "not all the same; the values are"))
    return [(label, text) for label, text in pairs if text]


def _side(side: DiffTensor) -> list[tuple[str, str]]:
    trains = {True: "yes", False: "no", None: "unknown"}[side.trainable]
    return [
        ("name", side.name),
        ("role", side.role),
        ("trainable", trains),
        ("values", f"{count(side.elements, 'element')}, {side.dtype}, {shape(side.shape)}"),
        ("stored", count(side.nbytes, "byte")),
    ]
