"""What the pane says of the selected line, as lines of a given width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inspector.browse.histogram import chart, strip
from inspector.browse.lines import Line, Lines, bounded, clean, facts, fit, heading, paragraph
from inspector.browse.outline import Node, by_layer
from inspector.browse.roles import look
from inspector.render import explanation as words
from inspector.render.blocks import header
from inspector.render.calls import calls
from inspector.render.finding_words import details
from inspector.render.printable import optional, shape, value
from inspector.report import (
    ArtifactReport,
    Explanation,
    Finding,
    LayerReport,
    ProblemReport,
    TensorReport,
)
from inspector.words import ROLE_LABELS, count, number, percent

_ROWS = 60  # of a list in the pane
_PROBLEMS = 20
_BAR = 24  # columns of a bar at most
_TOTALS = (
    ("as Keras counts", "count_params"),
    ("trainable", "trainable"),
    ("not trainable", "non_trainable"),
    ("after stripping", "after_strip"),
    ("not zero", "nonzero"),
    ("stored", "stored_elements"),
)
_LABELS = {
    "config": "The model's layers and how they hang together, as JSON.",
    "training config": "How the model was compiled: optimizer, loss, metrics.",
    "names": "Names of layers and weights.",
    "HDF5 structure": "Headers, groups and indices of the file's format.",
    "slack": "Space that the format reserved or freed, and nothing claims.",
    "padding": "Space between values, so that they begin at even addresses.",
    "zip headers": "What the archive says of its members.",
    "graph": "Operators and how they are joined, without the values of constants.",
    "functions": "Functions of the graph, without the values of constants.",
    "object graph": "The objects that hold the variables, and under which names.",
    "index": "Which tensor lies where in the shards.",
}


def artifact(
    shown: ArtifactReport, width: int, *, hint: str = "", findings: Sequence[Finding] | None = None
) -> Lines:
    """The answer, the totals, roles, bytes; the findings where they were asked for (None: not).

    hint: what could still be asked, "" for nothing.
    """
    lines = paragraph(header(shown), width, "title")
    if not shown.readable:
        return [*lines, (), *_problems(shown.problems, width)]
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
        lines += [(), *_problems(shown.problems, width)]
    return lines


def _totals(shown: ArtifactReport, width: int) -> Lines:
    lines = heading("Elements")
    numbers = {field: getattr(shown.totals, field) for _, field in _TOTALS}
    room = max(len(optional(one)) for one in numbers.values())
    for label, field in _TOTALS:
        lines.append(((f"{label:<16}", "dim"), (f"{optional(numbers[field]):>{room}}", "")))
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
        text = f"{look(node.item).meaning} These lie in no layer."
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
    text = _LABELS.get(str(node.item))
    return lines + ([(), *paragraph(text, width)] if text else [])


def unread(tensor: TensorReport, shown: ArtifactReport) -> Explanation:
    """What is known of a tensor before it is read: all that the report of its artifact has."""
    kind = shown.kind or ""
    return Explanation(shown.path, shown.format or "", kind, tensor, None, (), (), None, None, ())


def tensor(
    known: Explanation,
    width: int,
    *,
    threshold: float | None = None,
    state: str = "",
    failure: str = "",
    findings: Sequence[Finding] = (),
) -> Lines:
    """All that is known of a tensor. threshold: of its mask, marked in the histogram; state: what
    is going on ("reading ..."); failure: why it could not be read.
    """
    one = known.tensor
    found = look(one.role)
    lines = paragraph(one.name, width, "title")
    says = f"{found.symbol} {found.word}"
    fits = len(says) + len(found.meaning) + 2 <= width
    lines.append(((says, found.tone), (f"  {found.meaning}" if fits else "", "dim")))
    lines += [] if fits else paragraph(found.meaning, width, "dim")
    for each in findings:
        lines += [(), *finding_line(each, width)]
    lines.append(())
    if failure:
        lines += [*paragraph(failure, width, "error"), ()]
    if state:
        lines += [((state, "dim"),), ()]
    lines += _drawn(known, width, threshold)
    lines += facts([*_said(known), *_quantization(one.quantization)], width)
    if known.rule:
        lines += [(), *paragraph(known.rule.explanation, width, "dim")]
    if known.problems:
        lines += [(), *_problems(known.problems, width)]
    return lines


def _said(known: Explanation) -> Iterable[tuple[str, str]]:
    """The facts, those first that a person asks for: what the values are like."""
    pairs = words.facts(known)
    first = ("zeros", "range", "distinct", "not finite", "pattern", "mask")
    yield from (pair for pair in pairs if pair[0] in first)
    yield from (pair for pair in pairs if pair[0] not in first)


def marked(known: Explanation, threshold: float | None) -> float | None:
    """The threshold, where it was held against each value: not where whole blocks were pruned."""
    schedule = known.schedule
    if threshold is None or schedule is None or schedule.m_by_n:
        return None
    return threshold if schedule.block_size in (None, [1, 1], (1, 1)) else None


def _drawn(known: Explanation, width: int, threshold: float | None) -> Lines:
    mark = marked(known, threshold)
    lines = chart(known.histogram, width, threshold=mark)
    if threshold is not None and mark is None:
        text = f"threshold {value(threshold)}, which was for whole blocks"
        lines += paragraph(text, width, "dim")
    return [*lines, ()] if lines else []


def _quantization(found: Mapping[str, Any] | None) -> Iterable[tuple[str, str]]:
    for key, given in (found or {}).items():
        if given is None or given == {}:
            continue
        if key == "parameters" and isinstance(given, Mapping):
            yield from (("quantized", f"{name}: {one}") for name, one in given.items())
        else:
            yield "quantized", f"{key.replace('_', ' ')}: {_plain(given)}"


def _plain(given: Any) -> str:
    if isinstance(given, (list, tuple)):
        least_and_most = [value(one) for one in given]
        return " to ".join(dict.fromkeys(least_and_most))
    if isinstance(given, bool):
        return "yes" if given else "no"
    return value(given) if isinstance(given, (int, float)) else str(given)


def finding_line(found: Finding, width: int) -> Lines:
    """A finding with what was seen and what to do."""
    severity = found.severity.value
    lines = paragraph(f"{severity}: {found.message} [{found.code}]", width, severity, "  ")
    for text in details(found):
        lines += paragraph(f"  {text}", width, "", "  ")
    if found.fix:
        lines += paragraph(f"  Fix: {found.fix}", width, "title", "  ")
    return lines


def finding(found: Finding, place: int, of: int, width: int) -> Lines:
    """One of all findings, at the top of the pane."""
    title = f"Finding {number(place)} of {number(of)}"
    return [((title, "title"),), *finding_line(found, width), (("─" * width, "dim"),)]


def _problems(problems: Sequence[ProblemReport], width: int) -> Lines:
    lines: Lines = []
    for problem in problems[:_PROBLEMS]:
        at = "" if problem.offset is None else f" (at byte {number(problem.offset)})"
        severity = problem.severity.value
        text = f"{severity}: {clean(problem.message)}{at} [{clean(problem.code)}]"
        lines += paragraph(text, width, severity, "  ")
    more = len(problems) - _PROBLEMS
    return [*lines, ((f"... and {number(more)} more", "dim"),)] if more > 0 else lines
