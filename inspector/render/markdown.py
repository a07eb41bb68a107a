"""The report as Markdown that pastes into a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence

from inspector.render import difference, findings, reconciliation
from inspector.render.blocks import header
from inspector.render.calls import calls
from inspector.render.explanation import bars, facts
from inspector.render.finding_words import Group, by_artifact, in_full, shown, summary
from inspector.render.fleet_words import fleet_line
from inspector.render.options import RenderOptions
from inspector.render.printable import safe
from inspector.render.rows import Table, layer_table, tensor_table
from inspector.render.stat import stat
from inspector.render.text import PROBLEMS, byte_line, filtered, unsaid
from inspector.report import (
    ArtifactReport,
    AuditReport,
    Diff,
    Explanation,
    Finding,
    Reconciliation,
    Report,
)
from inspector.words import count, keyless

_BARS = 80  # columns of a histogram
_LONG = 20  # rows of a difference that are folded away
_FINDINGS = 30  # of a severity: a comment on a pull request has 65,536 characters
# An underscore inside a word is no markup.
_MARKUP = re.compile(r"([\\`*{}\[\]<>#|~&@]|(?<!\w)_|_(?!\w))")
# Who is mentioned, numbers of issues, addresses.
_LINKED = re.compile(r"@(?=\w)|#(?=\d)|:(?=//)|www(?=\.)", re.IGNORECASE)


def render(report: Report, options: RenderOptions) -> str:
    """GitHub-flavoured Markdown, one trailing newline."""
    return _COMMANDS[report.command](report, options) + "\n"


def _show(report: Report, options: RenderOptions) -> str:
    return "\n\n".join(_artifact(artifact, options) for artifact in report.artifacts)


def _explain(report: Report, _options: RenderOptions) -> str:
    return _explanation(report.explanation) if report.explanation else ""


def _reconcile(report: Report, _options: RenderOptions) -> str:
    return _reconciliation(report, report.reconciliation) if report.reconciliation else ""


def _diff(report: Report, options: RenderOptions) -> str:
    return _difference(report, report.diff, options) if report.diff else ""


def _audit(report: Report, _options: RenderOptions) -> str:
    return _findings(report, report.audit) if report.audit else ""


_COMMANDS: Mapping[str, Callable[[Report, RenderOptions], str]] = {
    "show": _show,
    "explain": _explain,
    "reconcile": _reconcile,
    "diff": _diff,
    "audit": _audit,
}


def code(text: str) -> str:
    """A name as a code span that no name can leave, fit for a table cell."""
    clean = safe(text)
    if not clean.strip():
        return ""
    fence = "`" * (_longest_run([clean]) + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{pad}{clean}{pad}{fence}".replace("|", "\\|")


def _longest_run(texts: Sequence[str]) -> int:
    """Backticks side by side at most."""
    return max((len(run) for text in texts for run in re.findall("`+", text)), default=0)


def prose(text: str) -> str:
    """Text that means itself: markup characters escaped, and what is none but becomes a link."""
    return _unlinked(_MARKUP.sub(r"\\\1", safe(keyless(text))))


def _unlinked(text: str) -> str:
    # GitHub looks for these in what is rendered, where no escape is left.
    return _LINKED.sub("\\g<0><!-- -->", text)


def _artifact(artifact: ArtifactReport, options: RenderOptions) -> str:
    if not artifact.readable:
        return "\n\n".join(
            f"**{prose(problem.path)}**: {prose(problem.message)}" for problem in artifact.problems
        )
    table = tensor_table(artifact) if options.tensors else layer_table(artifact)
    blocks = [
        f"### {prose(header(artifact))}",
        "\n".join(prose(line) for line in artifact.answer),
        grid(table) if table.rows else "",
        prose(table.note),
        prose(filtered(artifact, options)),
        prose(f"bytes: {byte_line(artifact)}"),
        "\n".join(f"- {prose(label)}: {prose(text)}" for label, text in calls(artifact)),
        "\n".join(
            f"- **{problem.severity.value}**: {prose(problem.message)} ({code(problem.code)})"
            for problem in artifact.problems[:PROBLEMS]
        ),
        prose(unsaid(artifact)),
    ]
    return "\n\n".join(block for block in blocks if block)


def _reconciliation(report: Report, found: Reconciliation) -> str:
    blocks = [
        *(f"### {prose(header(artifact))}" for artifact in report.artifacts),
        "\n".join(prose(line) for line in reconciliation.sentences(found)),
        *map(grid, reconciliation.tables(found)),
        f"**{prose(reconciliation.balance(found))}**",
        "\n".join(f"- {prose(line)}" for line in reconciliation.oddities(found)),
        prose(reconciliation.size_line(found)),
    ]
    return "\n\n".join(block for block in blocks if block)


def _difference(report: Report, diff: Diff, options: RenderOptions) -> str:
    """The summary, then the tables; what is long or does not count is folded away."""
    if options.stat:
        lines = [*stat(report, diff, options, difference.PLAIN)]
        fence = "`" * max(3, 1 + _longest_run(lines))
        return "\n".join([fence, *lines, fence])
    blocks = [
        "\n".join(f"- {prose(line)}" for line in difference.sides(report)),
        "\n".join(prose(line) for line in difference.sentences(diff)),
    ]
    for section in difference.sections(report, diff, options.all):
        tables = [block for one in section.tables for block in (grid(one), prose(one.note))]
        rows = sum(len(one.rows) for one in section.tables)
        title = prose(section.title.rstrip(":")) or count(rows, "change")
        if section.quiet or rows > _LONG:
            blocks += [f"<details><summary>{title}</summary>", *tables, "</details>"]
        else:
            blocks += [f"**{title}**" if section.title else "", *tables]
    return "\n\n".join(block for block in blocks if block)


def _findings(report: Report, audit: AuditReport) -> str:
    """The verdict, a row a finding, then for each artifact what was seen and what to do."""
    table = findings.table(report, _FINDINGS)
    groups = [group for group in by_artifact(report) if group.findings]
    blocks = [
        f"**{prose(summary(report, audit))}**",
        prose(fleet_line(report)),
        grid(table) if table.rows else "",
        prose(table.note),
        *map(_details, groups[:_FINDINGS]),
        prose(findings.clean(report)),
        "\n".join(f"- {prose(shown(note))}" for note in audit.notes),
    ]
    return "\n\n".join(block for block in blocks if block)


def _details(group: Group) -> str:
    kept, rest = findings.few(group)
    return "\n\n".join(
        (
            # Markdown means nothing in the line of a tag.
            f"<details><summary>{_unlinked(html.escape(findings.title(group)))}</summary>",
            "\n".join(_item(one) for one in kept),
            *([prose(rest)] if rest else []),
            "</details>",
        )
    )


def _item(finding: Finding) -> str:
    """An item of a list: the message, then the rest in lines of its own beneath."""
    message, *others = map(prose, in_full(finding))
    head = f"**{finding.severity.value}** {message} ({code(finding.code)})"
    return f"- {'<br>'.join((head, *others))}"


def grid(table: Table) -> str:
    """A table; names in it are code, and numbers stand to the right."""
    names = [column.least > 0 and not column.said for column in table.columns]
    words = [column.words for column in table.columns]
    lines = [
        _line([column.head for column in table.columns]),
        _line(["---" if word else "---:" for word in words]),
    ]
    for row in table.rows:
        lines.append(
            _line(
                [code(cell) if name else prose(cell) for cell, name in zip(row, names, strict=True)]
            )
        )
    for row in table.footer:
        lines.append(_line([f"**{prose(cell)}**" if cell else "" for cell in row]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _explanation(explanation: Explanation) -> str:
    lines = [f"### {code(explanation.tensor.name)}", "", "| | |", "| --- | --- |"]
    lines += [_line([label, prose(text)]) for label, text in facts(explanation)]
    if explanation.histogram:
        lines += ["", "```", *bars(explanation, _BARS), "```"]
    if explanation.rule:
        lines += ["", prose(explanation.rule.explanation)]
    for problem in explanation.problems:
        lines += ["", f"**{problem.severity.value}**: {prose(problem.message)}"]
    return "\n".join(lines)
