"""What the pane says of an artifact, a layer, a group of tensors, bytes that are none."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.browse.detail import finding_line, problem_lines
from inspector.browse.histogram import strip
from inspector.browse.lines import Line, Lines, bounded, clean, facts, fit, heading, paragraph
from inspector.browse.outline import Node, by_layer
from inspector.browse.roles import look
from inspector.meanings import TOTAL_LABELS, meaning, role_meaning
from inspector.render.blocks import header
from inspector.render.calls import calls
from inspector.render.printable import optional, shape
from inspector.report import ArtifactReport, Finding, LayerReport, TensorReport
from inspector.words import ROLE_LABELS, count, number, percent

_ROWS = 60  # of a list in the pane
_BAR = 24  # columns of a bar at most


def artifact(
    shown: ArtifactReport, width: int, *, hint: str = "", findings: Sequence[Finding] | None = None
) -> Lines:
    """The answer, the totals, roles, bytes; the findings where they were asked for (None: not).

    hint: what could still be asked, "" for nothing.
    """
    lines = paragraph(header(shown), width, "title")
    if not shown.readable:
        return [*lines, (), *problem_lines(shown.problems, width)]
    for sentence in shown.answer:
        lines += [(), *paragraph(sentence, width)]
    if hint:
        lines += [(), *paragraph(hint, width, "dim")]
    lines += _totals(shown, width)
    lines += _roles(shown)
    lines += _bytes(shown, width)
    if findings is not None:
        lines += heading(f"Findings ({number(len(findings))})")
        each = [line for one in findings for line in finding_line(one, width)]
        lines += bounded(each, _ROWS, "... and {:,} more lines: f goes through all.")
    called = calls(shown)
    if called:
        lines += heading("Calls")
        lines += facts(called, width)
    if shown.problems:
        lines += [(), *problem_lines(shown.problems, width)]
    return lines


def _totals(shown: ArtifactReport, width: int) -> Lines:
    lines = heading("Elements")
    numbers = {field: getattr(shown.totals, field) for field in TOTAL_LABELS}
    room = max(len(optional(one)) for one in numbers.values())
    for field, label in TOTAL_LABELS.items():
        lines.append(((f"{label:<21}", "dim"), (f"{optional(numbers[field]):>{room}}", "")))
        why = shown.totals_reasons.get(field)
        if numbers[field] is None and why:
            lines += paragraph(f"  {clean(why)}", width, "dim", "  ")
    return lines


def _roles(shown: ArtifactReport) -> Lines:
    """A row a role: tensors and elements, as the report has them."""
    rows = [(role, number(one.tensors), number(one.elements)) for role, one in shown.roles.items()]
    if not rows:
        return []
    tensors = max(7, *(len(row[1]) for row in rows))
    elements = max(8, *(len(row[2]) for row in rows))
    lines = heading("Roles")
    lines.append(((f"{'':<20}{'tensors':>{tensors}}  {'elements':>{elements}}", "dim"),))
    for role, many, stored in rows:
        found = look(role)
        label = fit(ROLE_LABELS.get(role, role), 18)
        lines.append(
            (
                (f"{found.symbol} ", found.tone),
                (label, ""),
                (f"{many:>{tensors}}  {stored:>{elements}}", ""),
            )
        )
    return lines


def _bytes(shown: ArtifactReport, width: int) -> Lines:
    """Where the bytes are, each label with a bar: its share of the file."""
    if not shown.bytes:
        return []
    tones = {ROLE_LABELS.get(role, role): look(role).tone for role in shown.roles}
    room = max(len(number(shown.nbytes or 0)), 5)
    most = max(shown.bytes.values())
    bar = min(max(width - 20 - room - 2, 0), _BAR)
    lines = heading("Bytes")
    for label, nbytes in shown.bytes.items():
        drawn = strip(nbytes, most, bar) if bar > 3 else ""
        lines.append(
            (
                (fit(clean(label), 20), ""),
                (f"{number(nbytes):>{room}}  ", ""),
                (drawn, tones.get(label, "dim")),
            )
        )
    lines.append(((f"{'all':<20}{number(shown.nbytes or 0):>{room}}", "title"),))
    return lines


def layer(row: LayerReport, shown: ArtifactReport, width: int) -> Lines:
    """The layer's row, and its tensors in short."""
    lines = paragraph(row.name or "(the model)", width, "title")
    trains = {True: "yes", False: "no", None: "unknown"}[row.trainable]
    weights = row.weights
    pairs = [
        ("class", row.class_name + (f" around {row.wraps}" if row.wraps else "")),
        ("trainable", trains),
        ("params", f"{optional(row.count_params)} as Keras counts them"),
        ("overhead", f"{number(row.overhead)} of them go when it is stripped"),
        *(
            [("zeros", _share(weights.zeros, weights.elements, "of its weights"))]
            if weights
            else []
        ),
        *([("cost", f"{count(row.macs, 'multiply-accumulate')} a call")] if row.macs else []),
    ]
    lines += [(), *facts(pairs, width)]
    lines += heading("Elements by role")
    for role, elements in row.roles.items():
        found = look(role)
        lines.append(
            (
                (f"{found.symbol} ", found.tone),
                (fit(ROLE_LABELS.get(role, role), 22), ""),
                (f"{number(elements):>10}", ""),
            )
        )
    lines += heading("Tensors")
    held = by_layer(shown).get(row.name, [])
    return lines + bounded(list(map(_short, held)), _ROWS, "... and {:,} more.")


def _share(part: int, whole: int, of: str) -> str:
    return f"{number(part)} of {number(whole)} {of} ({percent(part, whole)})"


def _short(tensor: TensorReport) -> Line:
    found = look(tensor.role)
    name = clean(tensor.variable or tensor.name, 40)
    return ((f"{found.symbol} ", found.tone), (f"{name} {tensor.dtype} {shape(tensor.shape)}", ""))


def group(node: Node, width: int) -> Lines:
    """Tensors of one role that lie in no layer, or the bytes that are no tensors."""
    lines = paragraph(node.title, width, "title")
    if node.kind == "bytes":
        text = "Bytes of the artifact that hold no tensor's values."
    else:
        text = f"{role_meaning(str(node.item))} These lie in no layer."
    lines += [(), *paragraph(text, width), ()]
    numbers = [("bytes", f"{node.about}{number(node.nbytes or 0)}")]
    if node.elements is not None:
        numbers.insert(0, ("elements", number(node.elements)))
    return lines + facts(numbers, width)


def label(node: Node, shown: ArtifactReport, width: int) -> Lines:
    """Bytes of one label."""
    part = node.nbytes or 0
    share = percent(part, shown.nbytes or 0)
    lines = paragraph(node.title, width, "title")
    lines += [(), *facts([("bytes", f"{number(part)}, {share} of the artifact")], width)]
    text = meaning(str(node.item))
    return lines + ([(), *paragraph(text, width)] if text else [])
