"""What changed from one artifact to another."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from inspector.report.numbers import Extreme
from inspector.report.pictures import DiffPicture


class DiffSummary(Struct, frozen=True):
    """Tensors of two artifacts, paired.

    added: only B has them; removed: only A has them; unread: paired, and the values of one could
    not be read; ignored: left out as asked for.
    """

    added: int
    removed: int
    changed: int
    unchanged: int
    unread: int = 0
    ignored: int = 0


class DiffTensor(Struct, frozen=True):
    """One side of a pair."""

    name: str
    layer: str | None
    variable: str | None
    role: str
    trainable: bool | None
    dtype: str
    shape: tuple[int, ...] | None
    elements: int
    nbytes: int


class DiffValues(Struct, frozen=True):
    """How the values of B differ from those of A, once A's went through the pair's conversion.

    differing: elements of other value (NaN is NaN, -0.0 is 0.0), past the tolerances where there
    are any. largest, mean: of the absolute differences, the mean over all elements. relative_norm:
    norm of the difference over the norm of A's values; cosine: of the angle between both. Null
    where nothing can be subtracted. sign_flips: elements whose sign turned; zeros_gained: 0 in B
    alone; zeros_lost: 0 in A alone. ulps: largest difference in units of the last place of the
    dtype cast to; in_scale_units: in steps of the quantized side; clipped: elements past its range.
    same_bits: not one bit differs.
    """

    elements: int
    differing: int
    same_bits: bool
    largest: Extreme
    mean: Extreme
    relative_norm: Extreme
    cosine: float | None
    sign_flips: int
    zeros_a: int
    zeros_b: int
    zeros_gained: int
    zeros_lost: int
    ulps: Extreme = None
    in_scale_units: Extreme = None
    clipped: int = 0


class DiffPair(Struct, frozen=True):
    """A tensor of A and the one of B that it is; one of them is null where the other has none.

    status: "unchanged", "changed", "added" (only B has it), "removed" (only A), "unread". why: what
    told that the two are one, or why the other side has none; basis: one word of it. changes: what
    kinds there are ("values", "retyped", "reshaped", "transposed", "role", "trainable", "sparsity",
    "quantization", "renamed"); words: the same for people. conversion: what A's values went through
    before they were compared. values: null where they were not compared. counts: whether it makes
    the two artifacts differ; what only the formats' ways of storing do does not. clauses: of each
    of `changes` what the words say of it, "" where its name says all.
    """

    status: str
    a: DiffTensor | None
    b: DiffTensor | None
    why: str
    basis: str
    changes: tuple[str, ...]
    words: str
    conversion: str | None
    values: DiffValues | None
    counts: bool
    clauses: tuple[str, ...] = ()


class DiffFact(Struct, frozen=True):
    """Anything else that is not the same in both, or is only said of one.

    part: "totals", "roles", "bytes", "layers", "config", "training-config", "signatures",
    "operators", "producer", "format", "patterns" ...; what: of it ("count_params",
    "dense.activation"); a, b: as each has it, null where one has none; words: the same in a
    sentence. counts: as of pairs.
    """

    part: str
    what: str
    a: Any
    b: Any
    words: str
    counts: bool


class DiffPlace(Struct, frozen=True):
    """Bytes that differ: `length` of them at `offset` of A's file `a` and of B's `b`.

    what: whose bytes they are. A file, or an end of one, that only one of the two has is null in
    the other.
    """

    a: str | None
    b: str | None
    offset: int
    length: int
    what: str


class Diff(Struct, frozen=True):
    """The difference between two artifacts.

    same: they say the same, whatever their bytes. answer: the difference in words. pairs: every
    tensor of both, that which changed most first, unchanged ones last. places: where the bytes
    differ; pictures: of pairs whose values changed most; where they were asked for.
    """

    summary: DiffSummary
    pairs: tuple[DiffPair, ...]
    same: bool = True
    answer: tuple[str, ...] = ()
    facts: tuple[DiffFact, ...] = ()
    places: tuple[DiffPlace, ...] | UnsetType = UNSET
    pictures: tuple[DiffPicture, ...] | UnsetType = UNSET
