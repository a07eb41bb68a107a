"""What could run, read or write when the artifact is loaded or unpacked: told from bytes alone."""

from __future__ import annotations

from inspector.auditing.rule import AuditRule
from inspector.auditing.rules import (
    safety_files,
    safety_graph,
    safety_keras,
    safety_paths,
    safety_zip,
)

RULES: tuple[AuditRule, ...] = (
    *safety_keras.RULES,
    *safety_paths.RULES,
    *safety_graph.RULES,
    *safety_files.RULES,
    *safety_zip.RULES,
)
