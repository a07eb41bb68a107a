"""How a .tflite model as a whole is quantized, in words.

Told by what computes with weights: the type that a kernel is stored in, whether it is turned into
floats before it is used, and the type of what the operator makes. Biases do not count.

    float32, bfloat16 ...   floats, computed as such
    float16                 stored as float16, computed in float32
    weight-only             stored as integers, turned into floats before they are used
    dynamic range           stored as integers, the operator's input and output are floats
    full integer            stored and computed as integers
    16x8                    full integer, of 16 bits from operator to operator
    mixed                   several of these, weights that stayed float beside integers among them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from inspector.model import GROUP_OF, Group, Use
from inspector.tflite.flow import Flow
from inspector.tflite.names import Key
from inspector.tflite.ops import operand_role
from inspector.tflite.reads import read_at
from inspector.wire.tflite_model import Subgraph, TfliteTensor
from inspector.wire.tflite_schema import TYPE_BITS

MIXED = "mixed"
_FULL, _WIDE = "full integer", "16x8"
_RANGE, _ONLY, _HALF = "dynamic range", "weight-only", "float16"
_BIASES = frozenset({"bias", "projection_bias"})
_LOOKUPS = frozenset({"GATHER", "GATHER_ND", "EMBEDDING_LOOKUP", "EMBEDDING_LOOKUP_SPARSE"})
_FLOATS = ("float", "bfloat")
_INTEGERS = frozenset(one for one in TYPE_BITS if one.startswith(("int", "uint")))
_SHOWN = 3


class Weights(NamedTuple):
    """What an operator computes with.

    layer: its name; stored: type of the weights in the file; computed: type of what it makes;
    turned: the weights are made floats before.
    """

    layer: str
    stored: str
    computed: str
    turned: bool

    @property
    def kind(self) -> str:
        """One of the words above."""
        if self.stored.startswith(_FLOATS):
            return self.stored
        if self.turned:
            return _ONLY
        if self.computed.startswith(_FLOATS):
            return _RANGE
        return _WIDE if self.computed == "int16" != self.stored else _FULL


def scheme_of(flow: Flow, uses: Mapping[Key, Sequence[Use]]) -> str | None:
    """The scheme of a model; None where it has neither floats nor quantized integers.

    uses: of the constants, by subgraph and index. A model without kernels is told by what its
    operators make.
    """
    model = flow.model
    if not model.subgraphs or not model.subgraphs[0].tensors:
        return None
    weights = list(_weights(flow, uses)) or list(_results(flow))
    return in_words(weights, *_ports(model.subgraphs[0])) if weights else None


def in_words(weights: Sequence[Weights], inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """The same from what computes with weights, and the types of inputs and outputs."""
    kinds: dict[str, dict[str, None]] = {}
    for one in weights:
        kinds.setdefault(one.kind, {})[one.layer] = None
    ports = _between(inputs, outputs)
    if len(kinds) == 1:
        (kind,) = kinds
        return _named(kind, weights, ports)
    floats = [kind for kind in kinds if kind.startswith(_FLOATS) and kind != _HALF]
    others = [kind for kind in kinds if kind not in floats]
    if not others:
        return " and ".join(sorted(floats))
    if len(others) == 1 and others[0] in {_RANGE, _ONLY, _HALF} and len(floats) == 1:
        return f"{_named(others[0], weights, ports)}; {_stayed(floats[0], kinds)}"
    parts = [_named(kind, weights, ports) for kind in others]
    return f"{MIXED}: {', '.join((*parts, *(_stayed(kind, kinds) for kind in floats)))}"


def _named(kind: str, weights: Sequence[Weights], ports: str) -> str:
    """A kind with the types that are in it."""
    inside = [one for one in weights if one.kind == kind]
    stored = " and ".join(sorted({one.stored for one in inside}))
    computed = " and ".join(sorted({one.computed for one in inside}))
    if kind == _HALF and all(one.turned for one in inside):
        return f"{_HALF} weights, computed in {computed}"
    if kind == _RANGE:
        return f"{_RANGE} ({stored} weights, {computed} activations)"
    if kind == _ONLY:
        return f"{_ONLY} ({stored} weights, computed in {computed})"
    if kind == _WIDE:
        return f"{_WIDE} (int16 activations, {stored} weights), {ports}"
    if kind == _FULL:
        types = stored if stored == computed else f"{computed} activations, {stored} weights"
        return f"{_FULL} ({types}), {ports}"
    return kind


def _stayed(kind: str, kinds: Mapping[str, Mapping[str, None]]) -> str:
    """The layers that were not quantized."""
    layers = list(kinds[kind])
    more = f" and {len(layers) - _SHOWN:,} more" if len(layers) > _SHOWN else ""
    of = len({layer for inside in kinds.values() for layer in inside})
    named = ", ".join(map(_short, layers[:_SHOWN]))
    return f"{len(layers):,} of {of:,} layers {kind}: {named}{more}"


def _short(layer: str) -> str:
    """A layer's name; of the names that were joined when layers were fused, the first."""
    first, joined, _ = layer.partition(";")
    return f"{first};…" if joined else first


def _between(inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """The types at the model's ends: "int8 input and output"."""
    into, out = (" and ".join(sorted(set(one))) or "no" for one in (inputs, outputs))
    return f"{into} input and output" if into == out else f"{into} input, {out} output"


def _ports(graph: Subgraph) -> tuple[list[str], list[str]]:
    tensors = graph.tensors
    inputs, outputs = (
        [tensors[one].dtype for one in indices if 0 <= one < len(tensors)]
        for indices in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def _weights(flow: Flow, uses: Mapping[Key, Sequence[Use]]) -> Iterator[Weights]:
    """The kernels of a model's operators, and tables that they look values up in."""
    operators = {name: key for key, name in flow.names.operators.items()}
    for key, of_key in uses.items():
        tensor = flow.model.subgraphs[key[0]].tensors[key[1]]
        for use in of_key:
            if use.node in operators and _is_kernel(tensor, use):
                computed = _computed(flow, operators[use.node], use.op) or tensor.dtype
                turned = "DEQUANTIZE" in use.through
                yield Weights(use.node, tensor.dtype, computed, turned)


def _is_kernel(tensor: TfliteTensor, use: Use) -> bool:
    found = read_at(use.op, use.input)
    if found is None or found.variable in _BIASES:
        return False
    if found.role is not None:
        return GROUP_OF[found.role] is Group.WEIGHT
    role = operand_role(tensor.dtype, tensor.shape or (), quantized=_is_quantized(tensor))
    return use.op in _LOOKUPS and GROUP_OF[role] is Group.WEIGHT


def _is_quantized(tensor: TfliteTensor) -> bool:
    return tensor.quantization is not None and tensor.quantization.quantizes


def _made(flow: Flow, operator: Key) -> TfliteTensor | None:
    """What an operator makes first."""
    tensors = flow.model.subgraphs[operator[0]].tensors
    first = next(iter(flow.operator(operator).outputs), None)
    return tensors[first] if first is not None and 0 <= first < len(tensors) else None


def _computed(flow: Flow, operator: Key, word: str) -> str | None:
    """The type of what an operator makes: rows of a table only once they are turned into floats."""
    made = _made(flow, operator)
    if made is None or word not in _LOOKUPS:
        return None if made is None else made.dtype
    readers = [one[:2] for one in flow.readers.get((operator[0], made.index), ())]
    if readers and all(flow.words[one] == "DEQUANTIZE" for one in readers):
        turned = _made(flow, readers[0])
        return made.dtype if turned is None else turned.dtype
    return made.dtype


def _results(flow: Flow) -> Iterator[Weights]:
    """What the operators make, in the place of weights: floats, and quantized integers."""
    for key, word in flow.words.items():
        made = _made(flow, key)
        if made is None or word in {"QUANTIZE", "DEQUANTIZE"}:
            continue
        if made.dtype.startswith(_FLOATS) or (_is_quantized(made) and made.dtype in _INTEGERS):
            yield Weights(flow.names.operators[key], made.dtype, made.dtype, turned=False)
