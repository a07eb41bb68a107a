"""An audit as SARIF 2.1.0, the way GitHub's code scanning reads it.

Sources: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0 Plus Errata 01;
what GitHub takes of it, and how much: "SARIF support for code scanning" in its documents.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from inspector.render.finding_words import NOWHERE_ELSE, in_full, shown
from inspector.render.markdown import prose
from inspector.render.options import RenderOptions
from inspector.render.printable import shorten
from inspector.report import (
    ArtifactReport,
    AuditReport,
    AuditRuleReport,
    Finding,
    Report,
    Suppressed,
)
from inspector.words import count

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
# GitHub's: of a rule that is no matter of security ...
_PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
# ... and of one that is: from 7.0 on "high", from 4.0 on "medium", else "low".
_SECURITY = {"error": "8.0", "warning": "5.0", "info": "2.0"}
_SAFETY = "safety"  # the family of such rules
# GitHub refuses a run with more results, and a description that is longer.
_MOST = 25_000
_LONGEST = 1_024

# In a message "{0}" stands for an argument, and "[words](1)" for a link.
_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
_LINK = re.compile(r"\[(?=[^\]]*\]\()")

Node = dict[str, Any]


def render(report: Report, options: RenderOptions) -> str:
    """One run, as JSON of two columns an indent; "" for a report that is of no audit."""
    audit = report.audit
    if not audit:
        return ""
    found = [(one, None) for one in report.findings or ()]
    taken = [(one.finding, one) for one in audit.suppressed]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [_run(report, audit, [*found, *taken], options.root)],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _run(
    report: Report,
    audit: AuditReport,
    findings: Sequence[tuple[Finding, Suppressed | None]],
    root: str,
) -> Node:
    indices = {rule.code: at for at, rule in enumerate(audit.explained)}
    times: Counter[tuple[str, str]] = Counter()
    notes = list(audit.notes)
    if len(findings) > _MOST:
        rest = count(len(findings) - _MOST, "more finding")
        notes.append(f"{rest} than a run may have: {NOWHERE_ELSE}")
    return {
        "tool": {
            "driver": {
                "name": report.tool.name,
                "semanticVersion": report.tool.version,
                "rules": [_rule(rule) for rule in audit.explained],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": _plain(note)}} for note in notes
                ],
            }
        ],
        "artifacts": [_artifact(artifact, root) for artifact in report.artifacts],
        "results": [
            _result(finding, suppressed, indices, times, root)
            for finding, suppressed in findings[:_MOST]
        ],
    }


def _rule(rule: AuditRuleReport) -> Node:
    """A reportingDescriptor: with it, GitHub explains each alert."""
    severity = rule.severity.value
    safety = rule.family == _SAFETY
    properties: Node = {"tags": [rule.family, *(["security"] if safety else [])]}
    if safety:
        properties["security-severity"] = _SECURITY[severity]
    else:
        properties["problem.severity"] = _PROBLEMS[severity]
    parts = [("", rule.explanation), ("Example: ", rule.example), ("Fix: ", rule.fix)]
    return {
        "id": rule.code,
        "shortDescription": {"text": shorten(rule.summary, _LONGEST)},
        "fullDescription": {"text": shorten(rule.explanation, _LONGEST, head=_LONGEST - 1)},
        "help": {
            "text": "\n\n".join(f"{label}{text}" for label, text in parts),
            "markdown": "\n\n".join(
                f"**{label.strip()}** {prose(text)}" if label else prose(text)
                for label, text in parts
            ),
        },
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": properties,
    }


def _artifact(artifact: ArtifactReport, root: str) -> Node:
    node: Node = {"location": _location(artifact.path, root), "roles": ["analysisTarget"]}
    if artifact.nbytes is not None:
        node["length"] = artifact.nbytes
    return node


def _result(
    finding: Finding,
    suppressed: Suppressed | None,
    indices: Mapping[str, int],
    times: Counter[tuple[str, str]],
    root: str,
) -> Node:
    region: Node = {"startLine": 1}  # GitHub shows nothing that has no line
    if finding.offset is not None:
        region["byteOffset"] = finding.offset
    location: Node = {
        "physicalLocation": {
            "artifactLocation": _location(finding.path, root),
            "region": region,
        }
    }
    logical = [*_logical("layer", finding.layer), *_logical("tensor", finding.tensor)]
    if logical:
        location["logicalLocations"] = logical
    node: Node = {
        "ruleId": finding.code,
        **({"ruleIndex": indices[finding.code]} if finding.code in indices else {}),
        "level": _LEVELS[finding.severity.value],
        "message": {"text": "\n".join(map(_plain, in_full(finding)))},
        "locations": [location],
    }
    if finding.fingerprint is not None:
        # All findings are on line 1: without the second one, GitHub takes them for one.
        times[finding.path, finding.fingerprint] += 1
        nth = times[finding.path, finding.fingerprint]
        node["partialFingerprints"] = {
            "inspectFinding/v1": finding.fingerprint,
            "primaryLocationLineHash": f"{finding.fingerprint[:16]}:{nth}",
        }
    if suppressed is not None:
        node["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": shown(suppressed.why)}
        ]
    return node


def _logical(kind: str, name: str | None) -> Iterable[Node]:
    if name:
        path = shown(name)
        yield {"fullyQualifiedName": path, "name": path.rpartition("/")[2] or path, "kind": kind}


def _plain(text: str) -> str:
    """A text of a message that means itself: no argument, no link."""
    return _LINK.sub(r"\\[", _PLACEHOLDER.sub(r"{{\1}}", shown(text)))


def _location(path: str, root: str) -> Node:
    """A path under `root` relative to it; any other one whole, as a file's URI, or its own."""
    if _URL.match(path):
        return {"uri": quote(path.encode("utf-8", "backslashreplace"), safe="/:?=&@!+,;~%")}
    full = os.path.normpath(os.path.join(root, path))
    near = os.path.relpath(full, root) if root and os.path.isabs(full) else full
    if os.path.isabs(near) or (near.split(os.sep)[0] == os.pardir and os.path.isabs(full)):
        return {"uri": f"file:///{_quoted(full, ':').lstrip('/')}"}
    return {"uri": _quoted(near), "uriBaseId": _ROOT}


def _quoted(path: str, kept: str = "") -> str:
    """A path as a part of a URI; what is no text in it becomes an escape."""
    return quote(path.replace(os.sep, "/").encode("utf-8", "backslashreplace"), safe=f"/{kept}")
