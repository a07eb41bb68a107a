"""The tensors of a .tflite model: constants, their bytes and readers, and what has no values."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import (
    GROUP_OF,
    Extent,
    Group,
    Naming,
    Payload,
    Quantized,
    Section,
    Sparse,
    Tensor,
    Use,
)
from inspector.tflite.flow import RETURNED, Flow
from inspector.tflite.names import Key
from inspector.tflite.ops import BASIC_LSTM, INITIAL, OPERAND, TABLE, Reading, operand_role
from inspector.tflite.reads import read_at
from inspector.wire.flatbuffer import Span
from inspector.wire.tflite_model import Quantization, Subgraph, TfliteModel, TfliteTensor
from inspector.wire.tflite_schema import TYPE_BITS
from inspector.wire.tflite_sparse import SparsePayload, Sparsity
from inspector.wire.tflite_values import Steps, centred, payload_of, steps_of, stored_bytes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NO_DATA = "no data"
# Operators whose kernels have their outputs on the first side: OI, OHWI.
_OUTPUTS_FIRST = frozenset(
    {
        *("CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "LSTM", BASIC_LSTM, "RNN"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
        *("UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"),
    }
)
_KERNELS = frozenset({"kernel", "recurrent_kernel", "projection_kernel", "auxiliary_kernel"})
# Places that take weights and settings alike.
_TAKEN = (OPERAND, TABLE, INITIAL)
# A shape that says more is no tensor's: the elements of all tensors must still be a number of 64
# bits, and no machine could hold one of these.
MOST_ELEMENTS = 1 << 43


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor belongs. weighs: an operator computes with it."""

    layer: str | None = None
    variable: str | None = None
    position: int | None = None
    weighs: bool = False
    outputs_first: bool = False


class Constants:
    """Which tensors of a model have values in the file, and who reads those."""

    def __init__(self, model: TfliteModel, flow: Flow) -> None:
        self.model = model
        self.flow = flow
        self.inputs = [frozenset(graph.inputs) for graph in model.subgraphs]
        self.uses: dict[Key, tuple[Use, ...]] = {
            (graph.index, tensor.index): flow.uses((graph.index, tensor.index))
            for graph in model.subgraphs
            for tensor in graph.tensors
            if self._is_stored(graph, tensor)
        }

    def is_input(self, key: Key) -> bool:
        """Whether a tensor is given to its subgraph."""
        return key[1] in self.inputs[key[0]]

    def _is_stored(self, graph: Subgraph, tensor: TfliteTensor) -> bool:
        """Whether a tensor has values in the file, or is a constant of none.

        Writers give tensors that are computed a buffer too, an empty one.
        """
        key, span = (graph.index, tensor.index), self.model.data(tensor)
        if (span is not None and span.length) or tensor.external:
            return True
        computed = key in self.flow.makers or self.is_input(key) or tensor.variable
        return 0 in (tensor.shape or ()) and key in self.flow.readers and not computed


def tensors_of(
    constants: Constants, limits: Limits = DEFAULT
) -> Iterator[tuple[TfliteTensor, Tensor]]:
    """Every tensor of every subgraph, in the file's order, with what the file has of it.

    Of several tensors with one buffer the first has the values; those of the same shape, dtype and
    scale `repeats` it. What does not fit together has no payload.
    """
    making = _Making(constants, limits)
    for graph in constants.model.subgraphs:
        for tensor in graph.tensors:
            yield tensor, making.tensor(graph, tensor)


class _Making:
    def __init__(self, constants: Constants, limits: Limits) -> None:
        self.model = constants.model
        self.flow = constants.flow
        self.constants = constants
        self.names = constants.flow.names
        self.uses = constants.uses
        self.limits = limits
        # What has the bytes already, by their place.
        self.known: dict[Span, dict[Hashable, str]] = {}
        self.serves = _serves(self.model, self.names.tensors)

    def tensor(self, graph: Subgraph, tensor: TfliteTensor) -> Tensor:
        key = (graph.index, tensor.index)
        if key in self.uses:
            return self._constant(graph, tensor, self.uses[key])
        maker = self.flow.makers.get(key)
        layer = None if maker is None else self.names.operators[maker[:2]]
        return Tensor(
            name=self.names.tensors[key],
            dtype=tensor.dtype,
            shape=shape_of(tensor),
            nbytes=0,
            storage=NO_DATA,
            section=Section.GRAPH,
            layer=layer,
            stored_name=tensor.name or None,
            uses=self.flow.direct(key),
            made=self._made(graph, tensor, layer),
            quantized=quantized_of(tensor, graph, self.names.tensors),
            stored=0,
        )

    def _made(self, graph: Subgraph, tensor: TfliteTensor, layer: str | None) -> str:
        """What makes a tensor when the model runs, in words."""
        key = (graph.index, tensor.index)
        maker = self.flow.makers.get(key)
        if maker is not None:
            return f"made by {self.flow.words[maker[:2]]} {layer}"
        if tensor.variable:
            return "a variable, kept from call to call"
        if self.constants.is_input(key):
            of = f"subgraph {self.names.graphs[graph.index]}" if graph.index else "the model"
            return f"an input of {of}"
        return "nothing makes it"

    def _constant(self, graph: Subgraph, tensor: TfliteTensor, uses: tuple[Use, ...]) -> Tensor:
        name = self.names.tensors[graph.index, tensor.index]
        span = self.model.data(tensor) or Span(0, 0)
        payload, sparsity = self._payload(tensor)
        place = _place(tensor, uses)
        quantized = quantized_of(tensor, graph, self.names.tensors)
        shape = shape_of(tensor, constant=True)
        first = self._first(span, name, (tensor.dtype, shape, _comparable(quantized)))
        return Tensor(
            name=name,
            dtype=tensor.dtype,
            shape=shape,
            nbytes=span.length,
            extents=self._extents(span, tensor),
            storage=self._storage(tensor, sparsity),
            section=Section.GRAPH,
            layer=place.layer,
            variable=place.variable or self.serves.get(name, (None, None))[1],
            naming=Naming.NODES if uses else Naming.NONE,
            serves=self.serves.get(name, (None, None))[0],
            stored_name=tensor.name or None,
            repeats=first,
            owner=place.layer if place.weighs else None,
            position=place.position,
            uses=uses,
            quantized=quantized,
            outputs_first=place.outputs_first,
            sparse=None if sparsity is None else _sparse(tensor, sparsity, span),
            stored=self._stored(tensor, span, name, payload),
            payload=payload,
            centred=None if payload is None else centred(payload, tensor),
            real=None if payload is None else self._real(graph, tensor),
        )

    def _real(self, graph: Subgraph, tensor: TfliteTensor) -> Steps | None:
        try:
            return steps_of(self.model, graph, tensor)
        except ArtifactError:
            return None

    def _payload(self, tensor: TfliteTensor) -> tuple[Payload | None, Sparsity | None]:
        """The values and the sparsity; none where something does not fit, which `faults` tells."""
        try:
            found = payload_of(self.model, tensor, self.limits)
        except ArtifactError:
            return None, None
        return found, found.sparsity if isinstance(found, SparsePayload) else None

    def _stored(
        self, tensor: TfliteTensor, span: Span, name: str, payload: Payload | None
    ) -> int | None:
        """Values to count as stored, where those are not as many as the shape says."""
        if not span.length or next(iter(self.known[span].values())) != name:
            return 0
        bits = TYPE_BITS.get(tensor.dtype)
        return None if payload is not None or not bits else span.length * 8 // bits

    def _first(self, span: Span, name: str, values: Hashable) -> str | None:
        """The first tensor with the same bytes that are the same values; None for the first."""
        if not span.length:
            return None
        found = self.known.setdefault(span, {}).setdefault(values, name)
        return None if found == name else found

    def _extents(self, span: Span, tensor: TfliteTensor) -> tuple[Extent, ...]:
        path = self.model.source.path
        return (Extent(path, *span, _codec(tensor)),) if span.length else ()

    def _storage(self, tensor: TfliteTensor, sparsity: Sparsity | None) -> str:
        """How the values are kept, in words."""
        if tensor.external:
            group = {one.id: one.group for one in self.model.external}.get(tensor.external, -1)
            groups = self.model.external_groups
            named = f": {groups[group]}" if 0 <= group < len(groups) else ""
            return f"in another file{named}"
        words = "contiguous"
        if sparsity is not None:
            dense = prod(tensor.shape or ())
            words = f"{sparsity.format}, {sparsity.stored:,} of {dense:,} values"
        elif tensor.dtype == "string":
            words = "text"
        elif TYPE_BITS.get(tensor.dtype, 8) < 8:
            words = f"packed, {8 // TYPE_BITS[tensor.dtype]} values a byte"
        behind = self.model.data(tensor) is not None and self.model.buffers[tensor.buffer].behind
        return f"{words}, behind the flatbuffer" if behind else words


def shape_of(tensor: TfliteTensor, *, constant: bool = False) -> tuple[int, ...] | None:
    """A tensor's shape; None where it has none, or not one that a tensor can have.

    A constant without a shape is a single value.
    """
    shape = tensor.shape
    if shape is None:
        return () if constant or tensor.has_rank else None
    return None if any(side < 0 for side in shape) or prod(shape) > MOST_ELEMENTS else shape


def quantized_of(
    tensor: TfliteTensor, graph: Subgraph, names: Mapping[Key, str]
) -> Quantized | None:
    """How its integers stand for real values; None where the file says nothing of it."""
    found = tensor.quantization
    if found is None or not found.quantizes:
        return None
    if found.blocks is not None:
        blocks = found.blocks
        parts = {"scales": blocks.scales, "zero_points": blocks.zero_points}
        inside = {word: names.get((graph.index, one)) for word, one in parts.items()}
        named = {word: name for word, name in inside.items() if name is not None}
        return Quantized(
            scheme="blockwise",
            axis=found.axis,
            block=blocks.block_size or None,
            symmetric=None if "zero_points" in named else True,
            tensors=named,
        )
    many = found.scale.size > 1
    scheme = found.details or ("per-channel" if many else "per-tensor")
    return Quantized(
        scheme=scheme if found.scale.size or found.details else "per-tensor",
        count=int(found.scale.size),
        scale=_range(found.scale, float),
        zero_point=_range(found.zero_point, int),
        axis=found.axis if many else None,
        symmetric=_symmetric(tensor.dtype, found),
    )


def _comparable(quantized: Quantized | None) -> Hashable:
    """What two tensors must have in common for equal integers to be equal values."""
    if quantized is None:
        return None
    numbers = (getattr(quantized, one.name) for one in dataclasses.fields(quantized))
    return tuple(tuple(one.items()) if isinstance(one, Mapping) else one for one in numbers)


def _range(numbers: Array, kind: type) -> Any:
    """(least, most) of some numbers; None of none, and where one of them is no number."""
    import numpy as np

    if not numbers.size or not bool(np.all(np.isfinite(numbers))):
        return None
    return kind(numbers.min()), kind(numbers.max())


def _symmetric(dtype: str, found: Quantization) -> bool:
    """Whether 0 is in the middle of the integers."""
    unsigned = dtype.startswith("u") and dtype in TYPE_BITS
    middle = 1 << (TYPE_BITS[dtype] - 1) if unsigned else 0
    points = found.zero_point
    return bool((points == middle).all()) if points.size else middle == 0


def _serves(model: TfliteModel, names: Mapping[Key, str]) -> dict[str, tuple[str, str]]:
    """Tensors with scales or zero points -> (the first tensor that they are for, the word)."""
    found: dict[str, tuple[str, str]] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            blocks = None if tensor.quantization is None else tensor.quantization.blocks
            if blocks is None:
                continue
            for word, index in (("scales", blocks.scales), ("zero_points", blocks.zero_points)):
                name = names.get((graph.index, index))
                if name is not None:
                    found.setdefault(name, (names[graph.index, tensor.index], word))
    return found


def _place(tensor: TfliteTensor, uses: Sequence[Use]) -> _Place:
    """The operator that computes with a constant, else the first that reads it."""
    of_operators = [use for use in uses if use.op != RETURNED]
    for use in of_operators:
        found = read_at(use.op, use.input)
        if _weighs(tensor, found):
            variable = None if found is None else found.variable
            first = use.op in _OUTPUTS_FIRST and "TRANSPOSE" not in use.through
            return _Place(use.node, variable, use.input, True, first and variable in _KERNELS)
    return _Place(of_operators[0].node if of_operators else None)


def _weighs(tensor: TfliteTensor, found: Reading | None) -> bool:
    """Whether an operator computes with what it reads there, or looks values up in it.

    Of one that is not known, any array of real numbers may be its weights.
    """
    if found is not None and found.role is not None:
        return found.variable is not None
    quantized = tensor.quantization is not None and tensor.quantization.quantizes
    role = operand_role(tensor.dtype, tensor.shape or (), quantized=quantized)
    return (found is None or found in _TAKEN) and GROUP_OF[role] is Group.WEIGHT


def _codec(tensor: TfliteTensor) -> str | None:
    if tensor.sparsity is not None:
        return "sparse"
    if tensor.dtype == "string":
        return "text"
    return f"{tensor.dtype} packed" if TYPE_BITS.get(tensor.dtype, 8) < 8 else None


def _sparse(tensor: TfliteTensor, sparsity: Sparsity, span: Span) -> Sparse:
    return Sparse(
        format=sparsity.format.split(" ")[0] if sparsity.block is None else "block CSR",
        stored=sparsity.stored,
        dense=prod(tensor.shape or ()),
        saved=(stored_bytes(tensor) or 0) - span.length - sparsity.index_bytes,
        block=sparsity.block,
    )
