"""What does not fit together in a .tflite model that can be read all the same.

LiteRT's interpreter refuses most of it, or fails once the operator runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.tflite.ops import CALLS
from inspector.wire.tflite_model import (
    NONE,
    Quantization,
    Subgraph,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
)
from inspector.wire.tflite_values import elements, payload_of


class Fault(NamedTuple):
    """Something wrong, and where in the file the table is that says so."""

    code: str
    message: str
    offset: int


def faults(model: TfliteModel, limits: Limits = DEFAULT) -> Iterator[Fault]:
    """Everything wrong with a model, table by table; of what is missing, nothing a second time."""
    if not model.subgraphs:
        yield Fault("no-subgraph", "the model has no subgraph", model.root.offset)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            yield from _tensor(model, graph, tensor, limits)
        yield from _operators(model, graph)
    for one in model.metadata:
        if not 0 <= one.buffer < len(model.buffers):
            message = f"metadata {one.name!r} is in buffer {one.buffer:,} of {len(model.buffers):,}"
            yield Fault("no-such-buffer", message, one.offset)
    yield from _signatures(model)
    for external in model.external:
        if not 0 <= external.group < len(model.external_groups):
            message = f"external buffer {external.id} is in group {external.group}, which is none"
            yield Fault("no-such-buffer", message, external.offset)
    yield from _circles(model)


def _tensor(
    model: TfliteModel, graph: Subgraph, tensor: TfliteTensor, limits: Limits
) -> Iterator[Fault]:
    if tensor.buffer >= max(len(model.buffers), 1):
        message = f"{_named(tensor)} is in buffer {tensor.buffer:,} of {len(model.buffers):,}"
        yield Fault("no-such-buffer", message, tensor.offset)
    if tensor.external and all(one.id != tensor.external for one in model.external):
        message = f"{_named(tensor)} is in external buffer {tensor.external}, which is none"
        yield Fault("no-such-buffer", message, tensor.offset)
    if any(side < 0 for side in tensor.shape or ()):
        message = f"{_named(tensor)} has shape {list(tensor.shape or ())}"
        yield Fault("negative-shape", message, tensor.offset)
    try:
        payload_of(model, tensor, limits)
    except ArtifactError as error:
        where = tensor.offset if error.offset is None else error.offset
        yield Fault("data-does-not-fit", f"{_named(tensor)}: {error.message}", where)
    if tensor.quantization is not None:
        yield from _quantization(graph, tensor, tensor.quantization)


def _named(tensor: TfliteTensor) -> str:
    return f"tensor {tensor.index} {tensor.name!r}"


def _quantization(graph: Subgraph, tensor: TfliteTensor, found: Quantization) -> Iterator[Fault]:
    import numpy as np

    code, shape = "quantization-does-not-fit", tensor.shape or ()
    scales = found.scale.size
    if found.zero_point.size not in (0, scales):
        message = f"{_named(tensor)} has {scales} scales and {found.zero_point.size} zero points"
        yield Fault(code, message, found.offset)
    if scales > 1 and not (0 <= found.axis < len(shape) and shape[found.axis] == scales):
        message = f"{_named(tensor)} has {scales} scales on side {found.axis} of {list(shape)}"
        yield Fault(code, message, found.offset)
    if not bool(np.all(np.isfinite(found.scale) & (found.scale >= 0))):
        message = f"{_named(tensor)} has a scale that is no positive number"
        yield Fault(code, message, found.offset)
    if found.blocks is not None:
        given = (found.blocks.scales, found.blocks.zero_points)
        if not 0 <= given[0] < len(graph.tensors) or not NONE <= given[1] < len(graph.tensors):
            message = (
                f"{_named(tensor)} has its scales in tensor {given[0]}, zero points {given[1]}"
            )
            yield Fault(code, message, found.offset)


def _operators(model: TfliteModel, graph: Subgraph) -> Iterator[Fault]:
    count = len(graph.tensors)
    made = {*graph.inputs, *(one.index for one in graph.tensors if _is_given(model, one))}
    for name, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        # A subgraph cannot leave out any of its own.
        if any(not 0 <= one < count for one in indices):
            message = f"subgraph {graph.index} has {name} {_few(indices)} of {count:,} tensors"
            yield Fault("no-such-tensor", message, graph.offset)
    for operator in graph.operators:
        where = f"operator {operator.index} of subgraph {graph.index}"
        if not 0 <= operator.code < len(model.codes):
            message = f"{where} has code {operator.code:,} of {len(model.codes):,}"
            yield Fault("no-such-code", message, operator.offset)
        else:
            yield from _calls(model, operator, where)
        for name, indices in (
            ("inputs", operator.inputs),
            ("outputs", operator.outputs),
            ("intermediates", operator.intermediates),
        ):
            if any(not NONE <= one < count for one in indices):
                message = f"{where} has {name} {_few(indices)} of {count:,} tensors"
                yield Fault("no-such-tensor", message, operator.offset)
        early = [one for one in operator.inputs if 0 <= one < count and one not in made]
        if early:
            message = f"{where} reads tensors {_few(early)} before anything makes them"
            yield Fault("read-before-made", message, operator.offset)
        made.update(operator.outputs, operator.intermediates)


def _is_given(model: TfliteModel, tensor: TfliteTensor) -> bool:
    """Whether a tensor has values before any operator has run."""
    span = model.data(tensor)
    held = span is not None and (span.length > 0 or elements(tensor) == 0)
    return held or tensor.variable or tensor.external != 0 or tensor.buffer >= len(model.buffers)


def _few(indices: Sequence[int]) -> str:
    more = ", …" if len(indices) > 8 else ""
    return f"({', '.join(map(str, indices[:8]))}{more})"


def _named_subgraphs(model: TfliteModel, operator: TfliteOperator) -> tuple[int, ...]:
    call, options = CALLS.get(model.code(operator).name), operator.options
    if call is None or options is None:
        return ()
    found: list[int] = []
    for name in call.fields:
        fields = options.schema.fields(options.kind)
        if name in fields:
            found += options.numbers(name) if fields[name].many else [options[name]]
    return tuple(found)


def _calls(model: TfliteModel, operator: TfliteOperator, where: str) -> Iterator[Fault]:
    indices, count = _named_subgraphs(model, operator), len(model.subgraphs)
    # A composite need not say what it is made of.
    least = NONE if model.code(operator).name == "STABLEHLO_COMPOSITE" else 0
    if any(not least <= one < count for one in indices):
        message = f"{where} runs subgraphs {_few(indices)} of {count:,}"
        yield Fault("no-such-subgraph", message, operator.offset)


def _signatures(model: TfliteModel) -> Iterator[Fault]:
    for one in model.signatures:
        if not 0 <= one.subgraph < len(model.subgraphs):
            message = (
                f"signature {one.key!r} is of subgraph {one.subgraph:,} of {len(model.subgraphs):,}"
            )
            yield Fault("no-such-subgraph", message, one.offset)
            continue
        count = len(model.subgraphs[one.subgraph].tensors)
        indices = [index for _, index in (*one.inputs, *one.outputs)]
        if any(not 0 <= index < count for index in indices):
            message = f"signature {one.key!r} has tensors {_few(indices)} of {count:,}"
            yield Fault("no-such-tensor", message, one.offset)


def _circles(model: TfliteModel) -> Iterator[Fault]:
    """Subgraphs that run themselves, at the end of a chain of others or at once."""
    calls: list[dict[int, None]] = []
    for graph in model.subgraphs:
        known = [one for one in graph.operators if 0 <= one.code < len(model.codes)]
        inner = [index for one in known for index in _named_subgraphs(model, one)]
        calls.append(dict.fromkeys(one for one in inner if 0 <= one < len(model.subgraphs)))
    # What is left once those that run none but finished ones are taken away, again and again.
    callers: list[list[int]] = [[] for _ in calls]
    for index, inner_ones in enumerate(calls):
        for one in inner_ones:
            callers[one].append(index)
    left = [len(one) for one in calls]
    waiting = [index for index, count in enumerate(left) if not count]
    while waiting:
        for caller in callers[waiting.pop()]:
            left[caller] -= 1
            if not left[caller]:
                waiting.append(caller)
    for index, count in enumerate(left):
        if count:
            message = f"subgraph {index} runs itself, or one that does"
            yield Fault("subgraph-runs-itself", message, model.subgraphs[index].offset)
