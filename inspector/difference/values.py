"""Whether the values of a pair are the same, by whatever of them there is to look at.

Two open artifacts are compared value by value. A saved report has at best a digest of each tensor,
else what was measured of it: the number of zeros, the range. What nobody could look at is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inspector import filesystem
from inspector.changed import changed
from inspector.difference.nouns import Subject
from inspector.digests import tensor_digest
from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Tensor
from inspector.pairing import Agreement, Pair, Tolerance, agreement
from inspector.report import MeasureReport

_MEASURED = ("zeros", "min", "max", "nan", "inf")
# What words say of a pair of which only the digests were compared.
EQUAL = "the digests are the same"
_UNEQUAL = "the values differ; the saved report has only their digest"
_ALIKE = "zeros and range are the same; the values themselves were not compared"
_UNREAD_TEXTS = "the strings were not compared"
_CONVERTED = "the values were not compared, since digests do not tell of converted ones"
_UNKNOWN = "the values were not compared, since the saved report has no digest of them"


@dataclass(frozen=True, slots=True)
class Values:
    """What was found out.

    differ: whether they do; None where nobody could tell. found: of values that were held against
    each other. unread: the file has them, and they could not be read. words: how it is known where
    not by looking at the values, or why it is not known.
    """

    differ: bool | None = None
    found: Agreement | None = None
    unread: bool = False
    words: str = ""

    @property
    def unknown(self) -> bool:
        """Nobody could tell, and not for want of a shape that fits."""
        return self.differ is None and not self.unread and bool(self.words)


@dataclass(frozen=True, slots=True)
class Known:
    """One of the two, and what was measured of its tensors, by name."""

    subject: Subject
    measures: Mapping[str, MeasureReport | None]


def known(subject: Subject) -> Known:
    """What the report measured of one of the two."""
    return Known(subject, {entry.name: entry.measure for entry in subject.report.tensors})


def compare_values(
    pair: Pair,
    a: Known,
    b: Known,
    tolerance: Tolerance,
    limits: Limits = DEFAULT,
    already: Agreement | None = None,
) -> Values:
    """Hold the values of a pair against each other, or what is known of them.

    already: how they agree, where both were read together before.
    """
    if a.subject.saved or b.subject.saved:
        return _by_report(pair, a, b, limits)
    if pair.a.payload is None and pair.b.payload is None and not (_kept(pair.a) or _kept(pair.b)):
        return Values(differ=False)
    if not comparable(pair):
        return Values()
    try:
        if _is_text(pair.a) and _is_text(pair.b):
            return _texts(pair, limits, hdf5=_is_hdf5(a) or _is_hdf5(b))
        for tensor, of in ((pair.a, "A"), (pair.b, "B")):
            if tensor.payload is None:
                return Values(unread=True, words=f"the values are not in {of}")
        # Whether values are 0 where their mask is does not differ from one to the other.
        found = already or agreement(changed(pair, mask=None), limits, tolerance)
    except ArtifactError as error:
        return Values(unread=True, words=error.message)
    if not found.agrees and not found.differing and _is_plain(pair):
        return Values(unread=True, words=found.why_not or "its values could not be read")
    return Values(differ=not found.agrees and found.differing > 0, found=found)


def comparable(pair: Pair) -> bool:
    """Whether the pair's change gives both the same shape."""
    before, after = (pair.a, pair.b)
    if pair.change is not None and pair.change.backwards:
        before, after = after, before
    change = pair.change
    made = change.shape if change is not None and change.shape is not None else before.shape
    return made == after.shape


def _kept(tensor: Tensor) -> bool:
    """Whether the file should have values of it."""
    return tensor.made is None and tensor.stored_elements > 0


def _is_text(tensor: Tensor) -> bool:
    """Whether it is strings, of which nothing reads the values."""
    return tensor.payload is None and tensor.dtype == "string" and tensor.shape is not None


def _is_hdf5(known: Known) -> bool:
    return known.subject.artifact.format.startswith("keras-")


def _texts(pair: Pair, limits: Limits, *, hdf5: bool) -> Values:
    """Strings are the same where their bytes are, as far as those are the strings themselves."""
    a, b = pair.a, pair.b
    if hdf5 and (_is_elsewhere(a) or _is_elsewhere(b)):
        return Values(words=_UNREAD_TEXTS)
    pieces = zip(_pieces(a, limits), _pieces(b, limits), strict=False)
    same = a.nbytes == b.nbytes and all(one == other for one, other in pieces)
    if not same and [one.codec for one in a.extents] != [one.codec for one in b.extents]:
        return Values(words=_UNREAD_TEXTS)
    return Values(differ=not same, words="" if same else "the strings differ")


def _is_elsewhere(tensor: Tensor) -> bool:
    """Whether the bytes of HDF5 may only say where the strings are: it keeps 16 a string of no
    fixed length, its length and its place in a heap (HDF5 file format, "Global Heap ID").
    """
    return any(extent.codec for extent in tensor.extents) or tensor.nbytes == 16 * tensor.elements


def _pieces(tensor: Tensor, limits: Limits) -> Iterator[bytes]:
    """The bytes of a tensor, in pieces that do not depend on where they lie."""
    rest = b""
    for extent in tensor.extents:
        with filesystem.opened(extent.file) as source:
            for at in range(0, extent.length, limits.slice_bytes):
                size = min(limits.slice_bytes, extent.length - at)
                rest += bytes(source.view(extent.offset + at, size))
                while len(rest) >= limits.slice_bytes:
                    yield rest[: limits.slice_bytes]
                    rest = rest[limits.slice_bytes :]
    yield rest


def _is_plain(pair: Pair) -> bool:
    return pair.change is None or pair.change.expected


def _by_report(pair: Pair, a: Known, b: Known, limits: Limits) -> Values:
    """By digests, else by what was measured."""
    if not (_kept(pair.a) or _kept(pair.b)):
        return Values(differ=False)
    if not comparable(pair):
        return Values()
    if "string" in (pair.a.dtype, pair.b.dtype):
        return Values(words=_UNREAD_TEXTS)  # which have no digest
    if pair.change is not None:
        return Values(words=_CONVERTED)
    try:
        digests = _digest(a, pair.a, limits), _digest(b, pair.b, limits)
    except ArtifactError as error:
        return Values(unread=True, words=error.message)
    if None not in digests:
        same = digests[0] == digests[1]
        return Values(differ=not same, words=EQUAL if same else _UNEQUAL)
    return _by_measures(a.measures[pair.a.name], b.measures[pair.b.name])


def _digest(known: Known, tensor: Tensor, limits: Limits) -> str | None:
    if known.subject.saved:
        return known.subject.digests.get(tensor.name)
    return tensor_digest(tensor, limits)


def _by_measures(one: MeasureReport | None, other: MeasureReport | None) -> Values:
    if one is None or other is None:
        return Values(words=_UNKNOWN)
    told = [
        f"{name} {_spelled(before)} -> {_spelled(after)}"
        for name in _MEASURED
        if (before := getattr(one, name)) != (after := getattr(other, name))
    ]
    if not told:
        return Values(words=_ALIKE)
    return Values(differ=True, words=f"the values differ: {', '.join(told)}")


def _spelled(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value or "none")
