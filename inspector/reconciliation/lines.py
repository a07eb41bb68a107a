"""One artifact as lines that add up: each element that is stored, in one line and no other.

The lines' elements add up to what the file stores, their counts to what Keras counts, and what is
left of those to what stripping leaves. An element that no line takes, or two do, is the residual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.bytes_once import bytes_once
from inspector.count import Counted
from inspector.layer_rows import Extra, keras_elements
from inspector.model import GROUP_OF, Artifact, Group, Role, Tensor, Verdict
from inspector.words import ROLE_LABELS, listing

# Groups whose tensors are variables of a Keras model: one that is not counted has a line apart.
_OF_MODEL = frozenset({Group.WEIGHT, Group.PRUNING, Group.CLUSTERING, Group.QUANTIZATION})


@dataclass(frozen=True, slots=True)
class Line:
    """Tensors of one kind. Sizes are elements, nbytes the bytes of the files that hold them.

    role: None where no tensor stands for the line. each: elements of every tensor, where all have
    as many. counted: elements that count_params has, left: those that stripping leaves; both None
    where the artifact cannot say. basis: what its rules looked at, in words.
    """

    label: str
    role: Role | None
    tensors: int
    elements: int
    nbytes: int
    each: int | None
    counted: int | None
    left: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Odd:
    """Elements that do not fit: of which tensor (None: of the whole), how many, and why."""

    tensor: str | None
    elements: int
    message: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one artifact, and what they leave over."""

    lines: tuple[Line, ...]
    odd: tuple[Odd, ...] = ()

    @property
    def residual(self) -> int:
        """Elements that do not fit: 0 where the arithmetic balances."""
        return sum(one.elements for one in self.odd)


def lines_of(artifact: Artifact, verdicts: Mapping[str, Verdict], counted: Counted) -> Lines:
    """The lines of an artifact, those of the model first."""
    stored = bytes_once(artifact, verdicts)
    groups: dict[tuple[Role, str], list[Tensor]] = {}
    odd: list[Odd] = []
    for tensor in artifact.tensors:
        role = verdicts[tensor.name].role
        if role is Role.UNKNOWN:
            odd.append(Odd(tensor.name, tensor.stored_elements, "no rule explains it"))
        elif tensor.stored_elements or not tensor.elements:
            odd += _twice(tensor, stored[tensor.name])
            groups.setdefault((role, _label(artifact, tensor, role, counted)), []).append(tensor)
    order = {role: at for at, role in enumerate(Role)}
    lines = [
        _line(label, role, groups[role, label], verdicts, counted, stored)
        for role, label in sorted(groups, key=lambda key: (order[key[0]], len(key[1])))
    ]
    lines += _made(counted)
    odd += _count_gap(lines, counted)
    return Lines(tuple(lines), tuple(odd))


def _label(artifact: Artifact, tensor: Tensor, role: Role, counted: Counted) -> str:
    label = ROLE_LABELS[role]
    is_apart = (
        artifact.uncounted is None
        and counted.totals.count_params is not None
        and GROUP_OF[role] in _OF_MODEL
        and tensor.name not in counted.counted
    )
    return f"{label} that Keras does not count" if is_apart else label


def _line(
    label: str,
    role: Role,
    tensors: list[Tensor],
    verdicts: Mapping[str, Verdict],
    counted: Counted,
    stored: Mapping[str, int],
) -> Line:
    sizes = {tensor.stored_elements for tensor in tensors}
    params = [tensor for tensor in tensors if tensor.name in counted.counted]
    left = [tensor for tensor in params if tensor.name not in counted.stripped]
    totals = counted.totals
    return Line(
        label=label,
        role=role,
        tensors=len(tensors),
        elements=sum(tensor.stored_elements for tensor in tensors),
        nbytes=sum(stored[tensor.name] for tensor in tensors),
        each=sizes.pop() if len(sizes) == 1 else None,
        counted=None if totals.count_params is None else sum(map(keras_elements, params)),
        left=None if totals.after_strip is None else sum(map(keras_elements, left)),
        basis=listing(sorted({verdicts[tensor.name].basis for tensor in tensors})),
    )


def _made(counted: Counted) -> list[Line]:
    """Variables that loading makes, in a line each kind: none is stored."""
    if counted.totals.count_params is None:
        return []
    kinds = {"made by loading": False, "read again for another variable": True}
    result = []
    for label, referred in kinds.items():
        extras: list[Extra] = [one for one in counted.extras if one.referred is referred]
        if extras:
            size = sum(one.elements for one in extras)
            result.append(Line(label, None, len(extras), 0, 0, None, size, size, "config"))
    return result


def _twice(tensor: Tensor, own_bytes: int) -> list[Odd]:
    """Elements whose bytes were taken by another tensor before."""
    length = sum(extent.length for extent in tensor.extents)
    if not length or own_bytes == length:
        return []
    elements = tensor.stored_elements - tensor.stored_elements * own_bytes // length
    return [Odd(tensor.name, elements, "its bytes are another tensor's too, and count twice")]


def _count_gap(lines: list[Line], counted: Counted) -> list[Odd]:
    """What the lines' counts miss of the count, and of what stripping leaves."""
    totals = counted.totals
    found = []
    for name, total, parts in (
        ("count_params", totals.count_params, [line.counted for line in lines]),
        ("after_strip", totals.after_strip, [line.left for line in lines]),
    ):
        taken = sum(part or 0 for part in parts)
        if total is not None and taken != total:
            message = f"{name} is {total:,}, its lines add up to {taken:,}"
            found.append(Odd(None, abs(total - taken), message))
    return found
