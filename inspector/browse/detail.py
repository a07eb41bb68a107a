"""What the pane says of a tensor, and of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inspector.browse.histogram import chart
from inspector.browse.lines import Lines, clean, facts, paragraph
from inspector.browse.roles import look
from inspector.meanings import role_meaning
from inspector.render import explanation as words
from inspector.render.finding_words import details
from inspector.render.printable import value
from inspector.report import ArtifactReport, Explanation, Finding, ProblemReport, TensorReport
from inspector.words import number

_PROBLEMS = 20


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
    says, means = f"{found.symbol} {found.word}", role_meaning(one.role)
    fits = len(says) + len(means) + 2 <= width
    lines.append(((says, found.tone), (f"  {means}" if fits else "", "dim")))
    lines += [] if fits else paragraph(means, width, "dim")
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
        lines += [(), *problem_lines(known.problems, width)]
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


def problem_lines(problems: Sequence[ProblemReport], width: int) -> Lines:
    """What is wrong with an artifact, or could not be read of it."""
    lines: Lines = []
    for problem in problems[:_PROBLEMS]:
        at = "" if problem.offset is None else f" (at byte {number(problem.offset)})"
        severity = problem.severity.value
        text = f"{severity}: {clean(problem.message)}{at} [{clean(problem.code)}]"
        lines += paragraph(text, width, severity, "  ")
    more = len(problems) - _PROBLEMS
    return [*lines, ((f"... and {number(more)} more", "dim"),)] if more > 0 else lines
