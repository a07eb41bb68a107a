"""All audit rules. A new rule is a function and a row in a family's file.

The order is the one in which findings of one severity are listed.
"""

from __future__ import annotations

from inspector.auditing.rule import AuditRule
from inspector.auditing.rules import (
    integrity,
    leftover,
    number,
    quantization,
    safety,
    size,
    sparsity,
    unreadable,
)

RULES: tuple[AuditRule, ...] = (
    *leftover.RULES,
    *sparsity.RULES,
    *number.RULES,
    *quantization.RULES,
    *size.RULES,
    *safety.RULES,
    *integrity.RULES,
    *unreadable.RULES,
)

__all__ = ["RULES"]
