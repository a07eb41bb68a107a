"""A .tflite file's tables as typed values: subgraphs, tensors, operators, buffers, signatures.

Structure is read at once, values never: a buffer is where its bytes are. Indices are as they stand
in the file, and may lead nowhere. Source: schema.fbs of LiteRT, and what its model builder does
with it (the deprecated operator code, buffers behind the flatbuffer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspector import deadline
from inspector.errors import ArtifactError, Corrupt, LimitExceeded, Truncated
from inspector.limits import DEFAULT, Limits
from inspector.storage import ByteSource
from inspector.wire.flatbuffer import Flatbuffer, Span
from inspector.wire.flatbuffer_schema import Record
from inspector.wire.once import once
from inspector.wire.tflite_operators import CUSTOM, operator_name
from inspector.wire.tflite_schema import IDENTIFIER, SCHEMA, type_name

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NONE = -1  # the index of an optional input that is left out
_VERSION = 3  # of the schema
RANK = 64  # sides of a tensor: NumPy's own bound, of which models use a tenth
_AT_HOME = 1  # Buffer.offset of bytes in the flatbuffer: 0, or 1 where the writer kept room for it


@dataclass(frozen=True, slots=True)
class Blocks:
    """Scales that are themselves tensors, one for each block of values.

    scales, zero_points: indices of tensors in the same subgraph; axes: sides that have scales of
    their own each (empty: the schema's older form, which says the shape of a block at most).
    """

    scales: int
    zero_points: int
    block_size: int
    axes: tuple[int, ...] = ()
    block_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """How integers stand for real values: scale * (value - zero_point).

    scale, zero_point: one number, or one for each index of side `axis`; all may be empty.
    minimum, maximum: of the real values, as the converter saw them. details: the name of the table
    that says more ("CustomQuantization", "number 9" for one unknown), None for none.
    """

    scale: Array
    zero_point: Array
    minimum: Array
    maximum: Array
    axis: int
    details: str | None
    blocks: Blocks | None
    offset: int

    @property
    def quantizes(self) -> bool:
        """Whether it says anything: converters write empty ones too."""
        return self.scale.size > 0 or self.details is not None


@dataclass(frozen=True, slots=True)
class VariantType:
    """What a variant tensor holds."""

    dtype: str
    shape: tuple[int, ...]
    has_rank: bool


@dataclass(frozen=True, slots=True)
class TfliteTensor:
    """One tensor of a subgraph.

    dtype: NumPy or ml_dtypes name, or "string", "resource", "variant", "type 99". shape: as it
    stands; None where the field is absent. signature: the shape with -1 for a side that is not
    fixed, None where all are. buffer: index, 0 by convention for no data. variable: it keeps its
    value from call to call. sparsity: the table for tflite_sparse. offset: of the table.
    external: id of the external buffer that has its values, 0 for none.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...] | None
    signature: tuple[int, ...] | None
    buffer: int
    variable: bool
    has_rank: bool
    quantization: Quantization | None
    sparsity: Record | None
    variants: tuple[VariantType, ...]
    external: int
    offset: int


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """An operator that the model uses. custom: the name of one that is no builtin."""

    name: str
    version: int
    custom: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """One step of a subgraph.

    code: index into TfliteModel.codes. inputs, outputs, intermediates: indices of tensors, NONE for
    one left out. options: of the builtin. custom_options: where those of a custom one are.
    """

    index: int
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: Record | None
    custom_options: Span | None
    offset: int


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A graph of operators, in the order in which they run."""

    index: int
    name: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """Where bytes are; no span: it has none at all. behind: they are not in the flatbuffer."""

    index: int
    span: Span | None
    behind: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """A named buffer of something else than tensors."""

    name: str
    buffer: int
    offset: int


@dataclass(frozen=True, slots=True)
class TfliteSignature:
    """A named way to call a subgraph. inputs, outputs: (name, index of the tensor)."""

    key: str
    subgraph: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class ExternalBuffer:
    """Values in another file. group: index of its name in TfliteModel.external_groups."""

    id: int
    group: int
    start: int
    packing: str
    offset: int


@dataclass(frozen=True, slots=True)
class TfliteModel:
    """All of a .tflite file but its values. version: of the schema, 3 for years."""

    version: int
    description: str
    codes: tuple[OperatorCode, ...]
    subgraphs: tuple[Subgraph, ...]
    buffers: tuple[Buffer, ...]
    metadata: tuple[Metadata, ...]
    signatures: tuple[TfliteSignature, ...]
    external_groups: tuple[str, ...]
    external: tuple[ExternalBuffer, ...]
    root: Record = field(repr=False)

    @property
    def source(self) -> ByteSource:
        return self.root.table.buffer.source

    def code(self, operator: TfliteOperator) -> OperatorCode:
        """What the operator does. Raises Corrupt where its code is none of the model's."""
        if not 0 <= operator.code < len(self.codes):
            raise Corrupt(
                f"operator {operator.index} has code {operator.code:,} of {len(self.codes):,}",
                self.source.path,
                operator.offset,
            )
        return self.codes[operator.code]

    def data(self, tensor: TfliteTensor) -> Span | None:
        """Where the tensor's values are; None for no data, and for a buffer that is not there."""
        if not 0 < tensor.buffer < len(self.buffers):
            return None
        return self.buffers[tensor.buffer].span


def read_model(
    source: ByteSource, limits: Limits = DEFAULT, identifier: bytes | None = IDENTIFIER
) -> TfliteModel:
    """The model in a whole source. identifier: None where it need not have one.

    Raises UnknownFormat for another identifier, Truncated and Corrupt for what leads out of the
    file, and LimitExceeded (`tensors`; `nodes`, for operators and all that is listed).
    """
    root = Record(Flatbuffer(source, limits).root(identifier), "Model", SCHEMA)
    return once(lambda: _model(root, source, limits), source, source.size, "model", limits)


def _model(root: Record, source: ByteSource, limits: Limits) -> TfliteModel:
    spent = _Spent(limits, source.path)
    return TfliteModel(
        version=root["version"],
        description=root["description"] or "",
        codes=tuple(_code(one) for one in spent.nodes(root.records("operator_codes"))),
        subgraphs=tuple(
            _subgraph(one, index, spent)
            for index, one in enumerate(spent.nodes(root.records("subgraphs")))
        ),
        buffers=tuple(
            _buffer(one, index) for index, one in enumerate(spent.nodes(root.records("buffers")))
        ),
        metadata=tuple(
            Metadata(one["name"] or "", one["buffer"], one.offset)
            for one in spent.nodes(root.records("metadata"))
        ),
        signatures=tuple(
            TfliteSignature(
                one["signature_key"] or "",
                one["subgraph_index"],
                _ports(spent.nodes(one.records("inputs"))),
                _ports(spent.nodes(one.records("outputs"))),
                one.offset,
            )
            for one in spent.nodes(root.records("signature_defs"))
        ),
        external_groups=tuple(
            one["name"] or "" for one in spent.nodes(root.records("external_buffer_groups"))
        ),
        external=tuple(
            ExternalBuffer(one["id"], one["group"], one["offset"], one["packing"] or "", one.offset)
            for one in spent.nodes(root.records("external_buffers"))
        ),
        root=root,
    )


def is_model(source: ByteSource, limits: Limits = DEFAULT) -> bool:
    """Whether a source without an identifier is a model all the same.

    Its tables lead nowhere else, and it has what every model has: the version that runtimes read,
    operators, tensors and buffers.
    """
    try:
        root = Record(Flatbuffer(source, limits).root(None), "Model", SCHEMA)
        if root["version"] != _VERSION:  # before anything is read whole
            return False
        model = read_model(source, limits, None)
    except ArtifactError:
        return False
    operators = any(one.operators and one.tensors for one in model.subgraphs)
    return operators and bool(model.buffers) and bool(model.codes)


class _Spent:
    """What has been listed so far: one table may be in many lists."""

    def __init__(self, limits: Limits, path: str) -> None:
        self.limits = limits
        self.path = path
        self.of = {"nodes": 0, "tensors": 0}

    def take(self, records: Sequence[Record], limit: str) -> Sequence[Record]:
        self.of[limit] += len(records)
        most = getattr(self.limits, limit)
        if self.of[limit] > most:
            raise LimitExceeded(limit, self.of[limit], most, self.path)
        return records

    def nodes(self, records: Sequence[Record]) -> Sequence[Record]:
        return self.take(records, "nodes")


def _ports(records: Sequence[Record]) -> tuple[tuple[str, int], ...]:
    return tuple((one["name"] or "", one["tensor_index"]) for one in records)


def _code(record: Record) -> OperatorCode:
    # Writers fill both fields; the older one, of 8 bits, stays at its largest for newer operators.
    code = max(record["builtin_code"], record["deprecated_builtin_code"])
    custom = (record["custom_code"] or "") if code == CUSTOM else None
    return OperatorCode(operator_name(code), record["version"], custom, record.offset)


def _subgraph(record: Record, index: int, spent: _Spent) -> Subgraph:
    tensors = spent.take(record.records("tensors"), "tensors")
    operators = spent.nodes(record.records("operators"))
    return Subgraph(
        index=index,
        name=record["name"] or "",
        tensors=tuple(_tensor(one, at, spent) for at, one in enumerate(deadline.watched(tensors))),
        operators=tuple(_operator(one, at) for at, one in enumerate(deadline.watched(operators))),
        inputs=record.numbers("inputs"),
        outputs=record.numbers("outputs"),
        offset=record.offset,
    )


def _tensor(record: Record, index: int, spent: _Spent) -> TfliteTensor:
    quantization = record.record("quantization")
    return TfliteTensor(
        index=index,
        name=record["name"] or "",
        dtype=type_name(record["type"]),
        shape=_shape(record, "shape") if record.has("shape") else None,
        signature=_shape(record, "shape_signature") or None,
        buffer=record["buffer"],
        variable=record["is_variable"],
        has_rank=record["has_rank"],
        quantization=None if quantization is None else _quantization(quantization),
        sparsity=record.record("sparsity"),
        variants=tuple(
            VariantType(type_name(one["type"]), _shape(one, "shape"), one["has_rank"])
            for one in spent.nodes(record.records("variant_tensors"))
        ),
        external=record["external_buffer"],
        offset=record.offset,
    )


def _shape(record: Record, name: str) -> tuple[int, ...]:
    place = record.vector(name)
    if place is not None and place.items > RANK:
        path = record.table.buffer.path
        raise Corrupt(f"a tensor has {place.items:,} sides", path, place.offset)
    return record.numbers(name)


def _quantization(record: Record) -> Quantization:
    scale, zero_point = record.array("scale"), record.array("zero_point")
    record.table.buffer.look(scale.nbytes + zero_point.nbytes, record.offset)
    details, number = record.record("details"), record.choice("details")
    unknown = f"number {number}" if number else None
    return Quantization(
        scale=scale,
        zero_point=zero_point,
        minimum=record.array("min"),
        maximum=record.array("max"),
        axis=record["quantized_dimension"],
        details=unknown if details is None else details.kind,
        blocks=None if details is None else _blocks(details),
        offset=record.offset,
    )


def _blocks(record: Record) -> Blocks | None:
    if record.kind == "CustomQuantization":
        return None
    multi = record.kind == "MultiAxisQuantization"
    return Blocks(
        record["scales"],
        record["zero_points"],
        record["block_size"],
        axes=_shape(record, "quantized_dimensions") if multi else (),
        block_shape=() if multi else _shape(record, "block_shape"),
    )


def _operator(record: Record, index: int) -> TfliteOperator:
    options = record.record("builtin_options")
    return TfliteOperator(
        index=index,
        code=record["opcode_index"],
        inputs=record.numbers("inputs"),
        outputs=record.numbers("outputs"),
        intermediates=record.numbers("intermediates"),
        options=options if options is not None else record.record("builtin_options2"),
        custom_options=_outside(
            record, "custom_options", "large_custom_options_offset", "large_custom_options_size"
        ),
        offset=record.offset,
    )


def _buffer(record: Record, index: int) -> Buffer:
    span = _outside(record, "data", "offset", "size")
    behind = span is not None and not record.has("data")
    return Buffer(index, span, behind, record.offset)


def _outside(record: Record, vector: str, offset: str, size: str) -> Span | None:
    """Bytes in a vector of the flatbuffer or, where it has none, at an offset of the file."""
    place = record.vector(vector)
    if place is not None:
        return Span(place.offset, place.nbytes)
    start, length = record[offset], record[size]
    if start <= _AT_HOME:
        return None
    source = record.table.buffer.source
    if start + length > source.size:
        raise Truncated(
            f"{record.kind.lower()} data takes bytes {start:,} to {start + length:,} of "
            f"{source.size:,}: the file is cut short, or its {offset} is wrong",
            source.path,
            record.offset,
        )
    return Span(start, length)
