"""A large artifact measured in parts, by tasks that know nothing of each other.

`survey` says which tensors make a part, `measure_part` measures those of one, and `gathered` puts
together what came of them, for whoever examines the whole. What comes from a task is held against
types, and against the artifact: nothing it says of a tensor may be impossible.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Self

from msgspec import Meta, Struct

from inspector._version import __version__
from inspector.allowance import in_time
from inspector.errors import Changed, Crashed, UsageError
from inspector.examine import Progress, Silent, measure_tensors
from inspector.limits import DEFAULT, MIB, Limits
from inspector.masked import masks_of
from inspector.measure import WORTH_THREADS
from inspector.measured import Measured, value_bytes
from inspector.model import Artifact, Detail, Measurement, Pattern, Problem, Tensor
from inspector.payloads import FilledPayload
from inspector.placed import place
from inspector.read import read
from inspector.report.numbers import Extreme
from inspector.storage import File, LocalFile, noting

# Opening an artifact costs each task up to 2 MiB of far reads and some tenths of a second: next to
# nothing beside so many bytes of values, of which 50 GB make 200 parts, and a lost one costs
# seconds.
PART_BYTES = 256 * MIB

Count = Annotated[int, Meta(ge=0)]
Sha = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
_PATTERN = re.compile(r"[0-9]{1,3}[:x][0-9]{1,3}")
_AXES = frozenset({"input", "output", "block"})


class Portion(Struct, frozen=True):
    """Tensors to be measured together. nbytes: of their values, once decoded."""

    names: tuple[str, ...]
    nbytes: Count


class Survey(Struct, frozen=True):
    """In which parts an artifact can be measured; each of its tensors is in one of them.

    state: what the artifact is now; a part measured of another one is refused.
    """

    state: str
    parts: tuple[Portion, ...]


class MeasuredTensor(Struct, frozen=True):
    """A Measurement as JSON carries it: exactly, infinities too."""

    zeros: Count
    minimum: Extreme
    maximum: Extreme
    nan: Count
    inf: Count
    distinct: Count | None
    patterns: tuple[Pattern, ...]
    detail: Detail

    @classmethod
    def of(cls, found: Measurement) -> Self:
        """Of a thorough measurement. Its digest has a place of its own."""
        return cls(
            found.zeros,
            _told(found.minimum),
            _told(found.maximum),
            found.nan,
            found.inf,
            found.distinct,
            found.patterns,
            found.detail or Detail(),
        )

    def measurement(self, digest: str | None) -> Measurement:
        """What it is of."""
        return Measurement(
            self.zeros,
            _number(self.minimum),
            _number(self.maximum),
            self.nan,
            self.inf,
            self.distinct,
            self.patterns,
            self.detail,
            digest,
        )


class MeasuredPart(Struct, frozen=True):
    """What came of a part. state: of the artifact that it was read from; the rest by the tensors'
    names, as `Measured` has it.
    """

    state: str
    names: tuple[str, ...]
    found: dict[str, MeasuredTensor]
    problems: dict[str, Problem]
    digests: dict[str, Sha | None]


def survey(
    path: str | os.PathLike[str], *, part_bytes: int = PART_BYTES, limits: Limits = DEFAULT
) -> Survey:
    """The parts that an artifact can be measured in, as its bytes lie; no value is read.

    A part has at most `part_bytes` of values, but for a tensor that has more, or a weight and its
    mask that have: they are a part alone. What must be inflated to be read is one part, since each
    task would inflate it all. Raises ArtifactError.
    """
    if part_bytes < 1:
        raise UsageError(f"{part_bytes} bytes are no part")
    from inspector.classify import classify

    with in_time(limits, path), noting() as files, read(os.fspath(path), limits) as opened:
        artifact = opened.artifact
        masks = masks_of(artifact.tensors, classify(artifact).verdicts)
        parts = _portions(artifact.tensors, masks, part_bytes)
        return Survey(state_of(artifact, files), tuple(parts))


def _portions(tensors: Sequence[Tensor], masks: Mapping[str, str], most: int) -> Iterator[Portion]:
    """The parts; those of small tensors go on past large ones."""
    inflated = [tensor for tensor in tensors if _is_inflated(tensor)]
    if inflated:
        yield _portion(inflated)
    some: list[Tensor] = []
    held = 0
    for unit in _units([tensor for tensor in tensors if not _is_inflated(tensor)], masks):
        nbytes = sum(map(_read_bytes, unit))
        if nbytes > most:
            yield _portion(unit)
            continue
        if held + nbytes > most:
            yield _portion(some)
            some, held = [], 0
        some += unit
        held += nbytes
    if some:
        yield _portion(some)


def _units(tensors: Sequence[Tensor], masks: Mapping[str, str]) -> Iterator[list[Tensor]]:
    """Tensors as their bytes lie, a weight with its mask."""
    by_name = {tensor.name: tensor for tensor in tensors}
    with_weights = {mask for weight, mask in masks.items() if weight in by_name}
    for tensor in sorted(tensors, key=place):
        if tensor.name not in with_weights:
            mask = by_name.get(masks.get(tensor.name, ""))
            yield [tensor] if mask is None else [mask, tensor]


def _portion(tensors: Sequence[Tensor]) -> Portion:
    return Portion(tuple(tensor.name for tensor in tensors), sum(map(_read_bytes, tensors)))


def _is_inflated(tensor: Tensor) -> bool:
    """Whether its values lie in no place of the files: they are in a deflated member."""
    return not tensor.extents and _read_bytes(tensor) > 0


def _read_bytes(tensor: Tensor) -> int:
    return 0 if isinstance(tensor.payload, FilledPayload) else value_bytes(tensor)


def measure_part(
    path: str | os.PathLike[str],
    names: Collection[str],
    *,
    digest: bool = False,
    threads: int | None = None,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> MeasuredPart:
    """What is to be measured of some tensors for an audit of the artifact, and of no others.

    digest: with their digests. threads: how many measure, None for as many as there are
    processors. Raises ArtifactError where the artifact cannot be read, Changed where it has no such
    tensors; what cannot be read of their values is among the problems.
    """
    from inspector.classify import classify

    with in_time(limits, path), noting() as files, read(os.fspath(path), limits) as opened:
        artifact = opened.artifact
        state = state_of(artifact, files)
        wanted = frozenset(names)
        tensors = [tensor for tensor in artifact.tensors if tensor.name in wanted]
        if len(tensors) < len(wanted):
            raise _other(artifact)
        if sum(tensor.nbytes for tensor in tensors) < WORTH_THREADS:
            threads = None
        seen = measure_tensors(
            tensors,
            limits,
            threads,
            progress or Silent(),
            thorough=True,
            digests=digest,
            masks=masks_of(tensors, classify(artifact).verdicts),
        )
        return MeasuredPart(
            state,
            tuple(tensor.name for tensor in tensors),
            {name: MeasuredTensor.of(one) for name, one in seen.found.items()},
            dict(seen.problems),
            dict(seen.digests),
        )


def gathered(artifact: Artifact, parts: Iterable[MeasuredPart], files: Iterable[File]) -> Measured:
    """What was measured in parts of an artifact that is open. files: of it, those that are open.

    Raises Changed where a part is of another state of it, Crashed where one says what cannot be.
    """
    known = Measured()
    state = state_of(artifact, files)
    tensors = {tensor.name: tensor for tensor in artifact.tensors}
    for part in parts:
        if part.state != state:
            raise _other(artifact)
        if not _fits(part, tensors):
            raise Crashed("what measured a part of it says what cannot be of it", artifact.path)
        found = {name: one.measurement(part.digests.get(name)) for name, one in part.found.items()}
        known = known.beside(Measured(frozenset(part.names), found, part.problems, part.digests))
    return known


def state_of(artifact: Artifact, files: Iterable[File]) -> str:
    """What tells an artifact as it is now from what it may become, on any machine that reads it."""
    opened = sorted((file.path, *_version(file)) for file in files if not file.closed)
    tensors = [
        (one.name, one.dtype, one.shape, [(e.file, e.offset, e.length) for e in one.extents])
        for one in artifact.tensors
    ]
    sizes = [(file.path, file.nbytes) for file in artifact.files]
    said = json.dumps([__version__, sizes, opened, tensors])
    return hashlib.sha256(said.encode()).hexdigest()


def _version(file: File) -> tuple[str, ...]:
    # A device and an inode are those of one machine.
    known = file.identity() or ()
    return tuple(map(str, known[-2:] if isinstance(file, LocalFile) else known))


def _fits(part: MeasuredPart, tensors: Mapping[str, Tensor]) -> bool:
    """Whether it speaks of tensors that it names, and says of each what can be of its shape."""
    names = frozenset(part.names)
    told = [*part.names, *part.found, *part.problems, *part.digests]
    if not all(name in names and name in tensors for name in told):
        return False
    return all(_can_be(one, tensors[name]) for name, one in part.found.items())


def _can_be(found: MeasuredTensor, tensor: Tensor) -> bool:
    elements, shape, detail = tensor.elements, tensor.shape or (), found.detail
    counts = (
        found.zeros,
        found.nan,
        found.inf,
        found.distinct or 0,
        detail.denormals or 0,
        detail.leaked or 0,
    )
    counted = all(0 <= one <= elements for one in (*counts, *(detail.ends or ())))
    zeros, spans = detail.zero_slices, detail.spans
    # Rules ask for a position by its number.
    sliced = zeros is None or len(zeros) == len(shape)
    spanned = spans is None or (
        tensor.quantized is not None and len(spans) == tensor.quantized.count
    )
    patterns = all(
        _PATTERN.fullmatch(one.name) and one.axis in _AXES and 0 <= one.held <= one.groups
        for one in found.patterns
    )
    return counted and sliced and spanned and patterns


def _other(artifact: Artifact) -> Changed:
    return Changed("it is not what it was when its parts were made: measure it anew", artifact.path)


def _told(value: float | None) -> Extreme:
    if value is None or not math.isinf(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"


def _number(value: Extreme) -> int | float | None:
    return float(value) if isinstance(value, str) else value
