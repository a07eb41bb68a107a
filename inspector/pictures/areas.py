"""Whose all the bytes of an artifact are: a bounded number of areas that add up to each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from inspector.bytes_once import bytes_once
from inspector.model import Artifact, Verdict
from inspector.report import AreaReport
from inspector.words import ROLE_LABELS

MOST_AREAS = 400  # no map shows more


class _Whose(NamedTuple):
    """What an area is of. role, layer: None where the bytes are no tensors'. rest: of all layers
    that have no area of their own.
    """

    label: str
    role: str | None = None
    layer: str | None = None
    rest: bool = False


def areas_of(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    labels: Mapping[str, int],
    most: int = MOST_AREAS,
) -> tuple[AreaReport, ...]:
    """The areas of all bytes, by the order of their labels, the largest of each first.

    labels: bytes by label, as the report has them. most: of so many layers' areas each is given;
    what the others of a label and role have is in one.
    """
    sizes: dict[_Whose, list[int]] = {}
    stored = bytes_once(artifact, verdicts)
    for tensor in artifact.tensors:
        if stored[tensor.name]:
            role = verdicts[tensor.name].role
            whose = _Whose(ROLE_LABELS[role], role.value, tensor.layer)
            _add(sizes, whose, stored[tensor.name], 1)
    folded: Counter[_Whose] = Counter()
    for whose in sorted(sizes, key=lambda one: -sizes[one][0])[most:]:
        if whose.layer is not None:
            rest = whose._replace(layer=None, rest=True)
            _add(sizes, rest, *sizes.pop(whose))
            folded[rest] += 1
    left = dict(labels)
    for whose, (nbytes, _) in sizes.items():
        left[whose.label] -= nbytes
    # What no tensor has of a label is the file's own.
    for label, nbytes in left.items():
        if nbytes:
            sizes[_Whose(label)] = [nbytes, 0]
    order = {label: at for at, label in enumerate(labels)}
    return tuple(
        AreaReport(whose.label, whose.role, whose.layer, nbytes, tensors, folded.get(whose))
        for whose, (nbytes, tensors) in sorted(
            sizes.items(), key=lambda item: (order[item[0].label], -item[1][0])
        )
    )


def _add(sizes: dict[_Whose, list[int]], whose: _Whose, nbytes: int, tensors: int) -> None:
    row = sizes.setdefault(whose, [0, 0])
    row[0] += nbytes
    row[1] += tensors
