"""Whose the bytes of a .tflite file are that no tensor has, and the files appended to it."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Extent, Problem, Severity
from inspector.wire.archive import read_archive
from inspector.wire.flatbuffer import Span
from inspector.wire.tflite_bytes import (
    BEHIND,
    BUFFER,
    CUSTOM_OPTIONS,
    PADDING,
    QUANTIZATION,
    SPARSITY,
    UNCLAIMED,
    Range,
    ranges,
)
from inspector.wire.tflite_model import TfliteModel

_METADATA, _UNUSED = "metadata", "unused buffers"
_TABLES, _FILES, _BEHIND = "tables", "associated files", "appended data"
# What is named apart; all else of the structure is tables.
_LABELS: Mapping[str, str] = {
    CUSTOM_OPTIONS: "custom options",
    QUANTIZATION: "scales and zero points",
    SPARSITY: "sparse indices",
    PADDING: "padding",
    UNCLAIMED: "unclaimed",
}
_IN_FRONT = "zip-prepended-data"  # the model
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_ALIGNED = 64  # zeros that a writer may put in front of the zip


@dataclass(frozen=True, slots=True)
class Parts:
    """Bytes that are no tensor's, by label, and the members of the zip behind the model."""

    overhead: Mapping[str, int]
    attached: Mapping[str, int]
    problems: tuple[Problem, ...]


def parts_of(model: TfliteModel, extents: Iterable[Extent], limits: Limits = DEFAULT) -> Parts:
    """All the file less `extents`, which are the tensors'.

    Raises what `ranges` raises.
    """
    taken = _merged(extents)
    metadata = _merged(
        Extent("", *span)
        for span in (
            model.buffers[one.buffer].span
            for one in model.metadata
            if 0 <= one.buffer < len(model.buffers)
        )
        if span is not None
    )
    sizes: dict[str, int] = {}
    attached: dict[str, int] = {}
    problems: list[Problem] = []
    for part in ranges(model):
        if part.label == BUFFER:
            left = list(_outside(part, taken))
            said = sum(one.length - _length(_outside(one, metadata)) for one in left)
            found = {_METADATA: said, _UNUSED: _length(left) - said}
        elif part.label == BEHIND:
            found, attached, problems = _behind(model, part, limits)
        else:
            found = {_LABELS.get(part.label, _TABLES): part.length}
        for label, size in found.items():
            sizes[label] = sizes.get(label, 0) + size
    return Parts({one: size for one, size in sizes.items() if size}, attached, tuple(problems))


def _merged(extents: Iterable[Extent]) -> Sequence[Span]:
    """The places in order, none touching another."""
    found: list[Span] = []
    for offset, length in sorted((one.offset, one.length) for one in extents if one.length):
        if found and offset <= found[-1].offset + found[-1].length:
            start = found[-1].offset
            found[-1] = Span(
                start, max(found[-1].offset + found[-1].length, offset + length) - start
            )
        else:
            found.append(Span(offset, length))
    return found


def _outside(part: Range | Span, taken: Sequence[Span]) -> Iterator[Span]:
    """What of a part is in none of the places."""
    at, end = part.offset, part.offset + part.length
    index = bisect.bisect_right(taken, (at, end)) - 1
    for one in taken[max(index, 0) :]:
        if one.offset >= end:
            break
        if one.offset > at:
            yield Span(at, one.offset - at)
        at = max(at, one.offset + one.length)
    if at < end:
        yield Span(at, end - at)


def _length(spans: Iterable[Span]) -> int:
    return sum(one.length for one in spans)


def _behind(
    model: TfliteModel, part: Range, limits: Limits
) -> tuple[dict[str, int], dict[str, int], list[Problem]]:
    """What follows the model: (bytes by label, files in it, problems)."""
    source = model.source
    head = bytes(source.view(part.offset, min(part.length, _ALIGNED + 4)))
    front = len(head) - len(head.lstrip(b"\0"))
    if not head[front:].startswith(_ZIPS):
        last = bytes(source.view(part.offset, part.length)) if part.length <= _ALIGNED else head
        return {_BEHIND if last.strip(b"\0") else _LABELS[PADDING]: part.length}, {}, []
    at, length = part.offset + front, part.length - front
    sizes = {_LABELS[PADDING]: front, _FILES: length}
    try:
        archive = read_archive(source, limits)
    except ArtifactError as error:
        message = f"the files appended to the model cannot be read: {error.message}"
        problem = Problem("associated-files", Severity.WARNING, message, source.path, at)
        return sizes, {}, [problem]
    attached = {one.name: one.size for one in archive.members if not one.is_dir}
    return sizes, attached, [one for one in archive.problems if one.code != _IN_FRONT]
