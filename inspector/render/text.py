"""The report for a person at a terminal: the answer, the table, where the bytes went."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inspector.render.blocks import LONGEST, PROSE, header, paragraphs, table_lines, wrap
from inspector.render.calls import calls
from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shorten
from inspector.render.rows import layer_table, tensor_table
from inspector.render.style import Style
from inspector.report import ArtifactReport, ProblemReport, Report
from inspector.words import count, keyless, number

PROBLEMS = 50  # of a broken file there may be a million


def render(report: Report, options: RenderOptions) -> str:
    """Text of at most `options.width` columns, one trailing newline."""
    style = Style(options.color)
    return _COMMANDS[report.command](report, options, style).rstrip("\n") + "\n"


def _show(report: Report, options: RenderOptions, style: Style) -> str:
    parts = [
        "\n".join(
            _artifact(artifact, options, style)
            if artifact.readable
            else _failed(artifact, options, style)
        )
        for artifact in report.artifacts
    ]
    return "\n\n\n".join(parts)


# The parts that other commands have are imported by those alone.


def _explain(report: Report, options: RenderOptions, style: Style) -> str:
    from inspector.render.explanation import explain

    return explain(report.explanation, options, style) if report.explanation else ""


def _reconcile(report: Report, options: RenderOptions, style: Style) -> str:
    from inspector.render import reconciliation

    return reconciliation.text(report, options, style)


def _diff(report: Report, options: RenderOptions, style: Style) -> str:
    from inspector.render import difference

    return difference.text(report, options, style)


def _audit(report: Report, options: RenderOptions, style: Style) -> str:
    from inspector.render import findings

    return findings.text(report, options, style)


_COMMANDS: Mapping[str, Callable[[Report, RenderOptions, Style], str]] = {
    "show": _show,
    "explain": _explain,
    "reconcile": _reconcile,
    "diff": _diff,
    "audit": _audit,
}


def _failed(artifact: ArtifactReport, options: RenderOptions, style: Style) -> list[str]:
    return [style.severity("error", line) for line in wrap(complaint(artifact), options.width)]


def complaint(artifact: ArtifactReport) -> str:
    """Why an artifact could not be read, in one line."""
    lines = []
    for problem in artifact.problems:
        lines.append(f"{problem.path}: {problem.message}{_at(problem)}")
    return shorten(safe("; ".join(lines)), LONGEST)


def _artifact(artifact: ArtifactReport, options: RenderOptions, style: Style) -> list[str]:
    lines = [style.bold(line) for line in wrap(header(artifact), options.width)]
    prose = min(options.width, PROSE)
    lines += [
        "",
        *paragraphs([shorten(safe(keyless(line)), LONGEST) for line in artifact.answer], prose),
    ]
    table = tensor_table(artifact) if options.tensors else layer_table(artifact)
    if table.rows:
        lines += ["", *table_lines(table, options.width, style)]
    if table.note:
        lines += ([] if table.rows else [""]) + wrap(table.note, options.width)
    if artifact.shown:
        lines += [style.dim(line) for line in wrap(filtered(artifact, options), options.width)]
    lines += ["", *wrap(f"bytes: {byte_line(artifact)}", prose)]
    called = [f"{label}: {shorten(safe(text), LONGEST)}" for label, text in calls(artifact)]
    lines += ["", *(line for text in called for line in wrap(text, prose, "  "))] if called else []
    if artifact.problems:
        lines.append("")
        for problem in artifact.problems[:PROBLEMS]:
            lines += _problem(problem, artifact, options, style)
        lines += wrap(unsaid(artifact), options.width)
    return lines


def byte_line(artifact: ArtifactReport) -> str:
    """Where the bytes are: "weights 5,416 · masks 5,120 = 10,536"."""
    parts = " · ".join(f"{safe(label)} {number(n)}" for label, n in artifact.bytes.items())
    return f"{parts or '0'} = {number(artifact.nbytes or 0)}"


def unsaid(artifact: ArtifactReport) -> str:
    """How many problems there was no room for."""
    more = len(artifact.problems) - PROBLEMS
    return f"... and {count(more, 'more problem')} (all in --format json)." if more > 0 else ""


def filtered(artifact: ArtifactReport, options: RenderOptions) -> str:
    """Which part of the rows a filter left."""
    shown = artifact.shown
    if not shown:
        return ""
    part, whole, what = (
        (shown.tensors, shown.of_tensors, "tensor")
        if options.tensors
        else (shown.layers, shown.of_layers, "layer")
    )
    return f"Filtered: {number(part)} of {count(whole, what)} shown; all counts are of the whole."


def _problem(
    problem: ProblemReport, artifact: ArtifactReport, options: RenderOptions, style: Style
) -> list[str]:
    place = "" if problem.path == artifact.path else f"{problem.path}: "
    message = shorten(safe(keyless(f"{place}{problem.message}")), LONGEST)
    severity = problem.severity.value
    lines = wrap(f"{severity}: {message}{_at(problem)} [{safe(problem.code)}]", options.width, "  ")
    return [style.severity(severity, line) for line in lines]


def _at(problem: ProblemReport) -> str:
    return "" if problem.offset is None else f" (at byte {problem.offset:,})"
