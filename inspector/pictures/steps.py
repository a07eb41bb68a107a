"""From what a model counts alone to everything that is stored, a step for each kind of tensor."""

from __future__ import annotations

from inspector.assemble_reconciliation import line_report
from inspector.bytes_once import bytes_once
from inspector.examine import Known
from inspector.layer_rows import keras_elements
from inspector.model import Role
from inspector.reconciliation import lines_of
from inspector.report import ReconciliationLine
from inspector.words import ROLE_LABELS


def steps_of(known: Known) -> tuple[ReconciliationLine, ...]:
    """The lines of `reconcile`: first what stripping leaves, then what else count_params has, then
    what is stored besides; tensors that no rule explains are the last one.

    Their elements add up to stored_elements. There are none where count_params is not known.
    """
    artifact, classified, counted = known[:3]
    if counted.totals.count_params is None:
        return ()
    lines = map(line_report, lines_of(artifact, classified.verdicts, counted).lines)
    return (*sorted(lines, key=_place), *_unexplained(known))


def _place(line: ReconciliationLine) -> int:
    return 0 if line.after_strip else 1 if line.count_params else 2


def _unexplained(known: Known) -> tuple[ReconciliationLine, ...]:
    """The line that `reconcile` has not: there these tensors are the residual."""
    artifact, classified, counted = known[:3]
    verdicts = classified.verdicts
    tensors = [one for one in artifact.tensors if verdicts[one.name].role is Role.UNKNOWN]
    if not tensors:
        return ()
    stored = bytes_once(artifact, verdicts)
    params = [one for one in tensors if one.name in counted.counted]
    left = [one for one in params if one.name not in counted.stripped]
    line = ReconciliationLine(
        label=ROLE_LABELS[Role.UNKNOWN],
        elements=sum(one.stored_elements for one in tensors),
        basis="no rule explains them",
        role=Role.UNKNOWN.value,
        tensors=len(tensors),
        nbytes=sum(stored[one.name] for one in tensors),
        count_params=sum(map(keras_elements, params)),
        after_strip=None if counted.totals.after_strip is None else sum(map(keras_elements, left)),
    )
    return (line,)
