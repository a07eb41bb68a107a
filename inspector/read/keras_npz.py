"""Weights that Keras kept as `.npz`: one member an object, a pickled dict of its variables.

The pickle is read as data, opcode by opcode, and never executed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from inspector.errors import ArtifactError, Corrupt
from inspector.limits import Limits
from inspector.model import Extent, Problem, Severity, Tensor
from inspector.payloads import RawPayload
from inspector.read.keras_common import logical_dtype
from inspector.read.keras_store import StoredObject, number, taken, tensors_of
from inspector.storage import ByteSource
from inspector.wire.archive import Archive, Member, read_archive
from inspector.wire.pickled import PickledVariable, npz_variables

_ROOT = "__root__"


@dataclass(frozen=True, slots=True)
class Npz:
    """The objects of an npz store, and its other bytes by label (relative to the npz itself)."""

    objects: list[StoredObject]
    overhead: Mapping[str, int]
    problems: tuple[Problem, ...]


def read_npz(source: ByteSource, limits: Limits) -> Npz:
    """Read `model.weights.npz`. A member that cannot be read is a problem. Raises ArtifactError."""
    archive = read_archive(source, limits)
    objects: list[StoredObject] = []
    problems = list(archive.problems)
    overhead = dict(archive.overhead)
    for member in archive.members:
        if archive.find(member.name) is not member:
            continue
        try:
            if not member.distinct:
                raise Corrupt("its bytes are claimed by another member too", source.path)
            objects.append(_object(archive, member, limits))
        except ArtifactError as error:
            message = f"{member.name}: {error.message}"
            problems.append(Problem("member-unreadable", Severity.ERROR, message, source.path))
    held = taken(tensors_of(objects))
    packed = sum(m.compressed for m in archive.members if m.distinct)
    overhead["npz structure"] = packed - held
    return Npz(objects, overhead, tuple(problems))


def _object(archive: Archive, member: Member, limits: Limits) -> StoredObject:
    inner = archive.open_member(member)
    path = member.name.removesuffix(".npy")
    variables = sorted(
        npz_variables(inner, 0, limits), key=lambda v: number((v.key or "0").partition("/")[0])
    )
    base = member.data_offset if member.method == "stored" else None
    # A kernel that LoRA adapts is pickled as a tensor, a call around the array: "0/0".
    keys = [(one.key or "").partition("/")[0] for one in variables]
    often = Counter(keys)
    variables = [
        replace(one, key=key) if key and often[key] == 1 else one
        for one, key in zip(variables, keys, strict=True)
    ]
    return StoredObject(
        "" if path == _ROOT else path,
        tuple(_tensor(one, path, base, archive.source.path) for one in variables),
        stored_names=tuple(one.name for one in variables),
    )


def _tensor(one: PickledVariable, path: str, base: int | None, file: str) -> Tensor:
    order = ", Fortran order" if one.fortran and len(one.shape) > 1 else ""
    return Tensor(
        name=f"{path}/{one.key}" if one.key is not None else path,
        dtype=logical_dtype(one.dtype),
        shape=one.shape,
        nbytes=one.nbytes,
        extents=() if base is None else (Extent(file, base + one.offset, one.nbytes, one.codec),),
        storage=f"in a pickled npz member{order}",
        payload=None if order else RawPayload(one.values, 0, math.prod(one.shape), one.dtype),
    )
