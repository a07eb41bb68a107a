"""An audit as workflow commands, of which GitHub makes annotations of a pull request.

Source: "Workflow commands for GitHub Actions" in GitHub's documents.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.render.finding_words import NOWHERE_ELSE, in_full, shown, summary
from inspector.render.options import RenderOptions
from inspector.report import Finding, Report
from inspector.words import count

_COMMANDS: Mapping[str, str] = {"error": "error", "warning": "warning", "info": "notice"}
# Annotations of each command that GitHub shows of a step; of ten notices one is the verdict.
_ROOM: Mapping[str, int] = {"error": 10, "warning": 10, "notice": 9}


def render(report: Report, _options: RenderOptions) -> str:
    """A line a finding, the worst first, then the verdict; "" for a report that is of no audit."""
    audit = report.audit
    if not audit:
        return ""
    findings = report.findings or ()
    room = dict(_ROOM)
    commands = []
    for finding in findings:
        command = _COMMANDS[finding.severity.value]
        if room[command]:
            room[command] -= 1
            commands.append(_line(command, finding))
    rest = len(findings) - len(commands)
    verdict = shown(summary(report, audit))
    if rest:
        verdict += f". {count(rest, 'more finding')} without an annotation: {NOWHERE_ELSE}"
    return "\n".join([*commands, f"::notice title=inspect audit::{_data(verdict)}"]) + "\n"


def _line(command: str, finding: Finding) -> str:
    file, title = _property(shown(finding.path)), _property(finding.code)
    told = _data("\n".join(in_full(finding)))
    return f"::{command} file={file},title={title}::{told}"


def _data(text: str) -> str:
    """What stands behind the last "::", escaped as the runner reads it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
