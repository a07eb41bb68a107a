"""Which bytes of a .tflite file are what, each byte once, to the last one.

A buffer's bytes come before all else that claims them; of the rest, what begins first does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from inspector.limits import KIB
from inspector.storage import ByteSource
from inspector.wire.flatbuffer import OFFSET_BYTES
from inspector.wire.flatbuffer_schema import Claim, claims
from inspector.wire.tflite_model import TfliteModel

BUFFER = "buffer"
CUSTOM_OPTIONS = "custom options"
QUANTIZATION = "quantization"
SPARSITY = "sparsity index"
PADDING = "padding"  # zeros between two other parts
UNCLAIMED = "unclaimed"  # anything else that no table leads to
BEHIND = "behind"  # from the last part to the end of the file: a zip of associated files, mostly

# Vectors by their tables, where they are more than structure.
_LABELS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "QuantizationParameters",
            "CustomQuantization",
            "BlockwiseQuantization",
            "MultiAxisQuantization",
        ),
        QUANTIZATION,
    ),
    **dict.fromkeys(("SparsityParameters", "Int32Vector", "Uint16Vector", "Uint8Vector"), SPARSITY),
}
_WHATS: Mapping[str, str] = {
    "root": "header",
    "vtable": "vtables",
    "table": "tables",
    "string": "strings",
    "numbers": "vectors",
    "offsets": "vectors",
}


class Range(NamedTuple):
    """Bytes of the file.

    label: one of the words above; buffer: index of the one whose data they are, else None.
    """

    offset: int
    length: int
    label: str
    buffer: int | None = None


def ranges(model: TfliteModel) -> Iterator[Range]:
    """The whole file in order, every byte in one range.

    Raises what `claims` raises.
    """
    source = model.source
    reached = 0
    for found in _partition(_buffers(model), _structure(model)):
        if found.offset > reached:
            yield _gap(source, reached, found.offset - reached)
        yield found
        reached = found.offset + found.length
    if reached < source.size:
        yield Range(reached, source.size - reached, BEHIND)


def totals(model: TfliteModel) -> dict[str, int]:
    """Bytes by label; they add up to the file."""
    found: dict[str, int] = {}
    for one in ranges(model):
        found[one.label] = found.get(one.label, 0) + one.length
    return found


def _buffers(model: TfliteModel) -> Iterator[Range]:
    for one in model.buffers:
        if one.span is not None:
            yield Range(*one.span, BUFFER, one.index)


def _structure(model: TfliteModel) -> Iterator[Range]:
    for claim in claims(model.root):
        if (claim.table, claim.field) == ("Buffer", "data"):
            yield Range(claim.offset, OFFSET_BYTES, "vectors")
        elif (claim.table, claim.field) == ("Operator", "custom_options"):
            yield Range(claim.offset, claim.length, CUSTOM_OPTIONS)
        else:
            yield Range(claim.offset, claim.length, _label(claim))
    for graph in model.subgraphs:
        for one in graph.operators:
            if one.custom_options is not None:
                yield Range(*one.custom_options, CUSTOM_OPTIONS)


def _label(claim: Claim) -> str:
    named = _LABELS.get(claim.table) if claim.what == "numbers" else None
    return named or _WHATS[claim.what]


def _partition(buffers: Iterable[Range], rest: Iterable[Range]) -> Iterator[Range]:
    """All parts in order, none over another: of the rest, only what buffers leave of it."""
    taken = list(_apart(buffers))
    index = 0
    for part in _apart(rest):
        at, end = part.offset, part.offset + part.length
        while index < len(taken) and taken[index].offset < end:
            buffer = taken[index]
            if buffer.offset > at:
                yield _cut(part, at, buffer.offset)
            at = max(at, buffer.offset + buffer.length)
            if at > end:  # it reaches into the next part too
                break
            yield buffer
            index += 1
        if at < end:
            yield part if at == part.offset else _cut(part, at, end)
    yield from taken[index:]


def _cut(part: Range, start: int, end: int) -> Range:
    return Range(start, end - start, part.label, part.buffer)


def _apart(parts: Iterable[Range]) -> Iterator[Range]:
    """The parts by offset, each without what those before it take."""
    reached = 0
    # Of those that begin at one place, the longest.
    for part in sorted(parts, key=lambda one: (one.offset, -one.length)):
        end = part.offset + part.length
        if end <= reached:
            continue
        yield part if part.offset >= reached else _cut(part, reached, end)
        reached = end


def _gap(source: ByteSource, offset: int, length: int) -> Range:
    for start in range(offset, offset + length, 64 * KIB):
        # Byte by byte in Python a gap of a GiB would take a minute.
        part = bytes(source.view(start, min(64 * KIB, offset + length - start)))
        if part != bytes(len(part)):
            return Range(offset, length, UNCLAIMED)
    return Range(offset, length, PADDING)
