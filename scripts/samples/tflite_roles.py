"""What constants of a .tflite model are for, by the operators that read them.

The places are those that the documentation of LiteRT's operators gives its inputs; which of a
model's own custom operators take weights, the model's maker says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as litert

Key = tuple[int, int]
"""A tensor: its subgraph, and its index there."""

LEARNED: Mapping[str, frozenset[int]] = {
    "CONV_2D": frozenset({1, 2}),  # input, filter, bias
    "DEPTHWISE_CONV_2D": frozenset({1, 2}),
    "CONV_3D": frozenset({1, 2}),
    "FULLY_CONNECTED": frozenset({1, 2}),  # input, weights, bias
    "TRANSPOSE_CONV": frozenset({1, 3}),  # output shape, weights, input, bias
    "PRELU": frozenset({1}),  # input, alpha
    "GATHER": frozenset({0}),  # params, indices
    "BATCH_MATMUL": frozenset({0, 1}),
    "ADD": frozenset({0, 1}),
    "SUB": frozenset({0, 1}),
    "MUL": frozenset({0, 1}),
    # input; 4 input weights; 4 recurrent ones; 3 of peepholes; 4 biases; projection and its bias;
    # 2 states; 4 of layer normalization
    "UNIDIRECTIONAL_SEQUENCE_LSTM": frozenset({*range(1, 18), *range(20, 24)}),
    "ASSIGN_VARIABLE": frozenset({1}),  # resource, value: what a variable starts with
}

TABLES: Mapping[str, frozenset[int]] = {"HASHTABLE_IMPORT": frozenset({1, 2})}  # keys, values

# What they put out has the values of their first input.
PASSING = frozenset({"DEQUANTIZE", "DENSIFY", "RESHAPE", "TRANSPOSE"})

LOOP = "first value of a loop's variable"


def names(enumeration: type) -> dict[int, str]:
    """Number -> word of one of the schema's enumerations."""
    return {number: word for word, number in vars(enumeration).items() if word[0] != "_"}


OPERATORS = names(litert.BuiltinOperator)


def operator(model: Any, one: Any) -> str:
    """An operator's builtin name, or its custom code."""
    code = model.operatorCodes[one.opcodeIndex]
    # Files of before the 128th operator have its number in the old field only.
    name = OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return code.customCode.decode() if name == "CUSTOM" else name


def role(model: Any, key: Key, learned: Mapping[str, frozenset[int]]) -> str:
    """The role of a constant. learned: of custom operators, the inputs that take weights."""
    tensors = model.subgraphs[key[0]].tensors
    if any(key[1] in _parameters(one) for one in tensors):
        return "quant_param"
    tensor = tensors[key[1]]
    read = set(uses(model, key))
    if any(place in TABLES.get(name, ()) for name, place in read):
        return "lookup"
    integer = tensor.type in (litert.TensorType.INT32, litert.TensorType.INT64)
    quantized = tensor.quantization is not None and tensor.quantization.scale is not None
    if integer and not quantized:
        return "constant"
    takes = {**LEARNED, **learned}
    weight = any(place in takes.get(name, ()) for name, place in read)
    return "weight" if weight else "constant"


def _parameters(tensor: Any) -> tuple[int, ...]:
    """The tensors that hold the scales and zero points of one that is quantized in blocks."""
    details = None if tensor.quantization is None else tensor.quantization.details
    if not isinstance(details, litert.BlockwiseQuantizationT):
        return ()
    return details.scales, details.zeroPoints


def uses(model: Any, key: Key) -> Iterator[tuple[str, int]]:
    """The operators that read a tensor, and at which input, through those that hand it on."""
    subgraph = model.subgraphs[key[0]]
    for one in subgraph.operators:
        name = operator(model, one)
        for place, read in enumerate(one.inputs):
            if read != key[1]:
                continue
            if name in PASSING and place == 0:
                yield from uses(model, (key[0], one.outputs[0]))
            elif name == "WHILE":
                yield from _in_loop(model, one.builtinOptions, place)
            elif name == "IF" and place > 0:
                options = one.builtinOptions
                for branch in (options.thenSubgraphIndex, options.elseSubgraphIndex):
                    inside = model.subgraphs[branch].inputs[place - 1]
                    yield from uses(model, (branch, inside))
            else:
                yield name, place


def _in_loop(model: Any, options: Any, place: int) -> Iterator[tuple[str, int]]:
    """A loop's variable keeps its first value only where the body hands it on as it came."""
    body = model.subgraphs[options.bodySubgraphIndex]
    if body.inputs[place] != body.outputs[place]:
        yield LOOP, place
        return
    for inside in (options.condSubgraphIndex, options.bodySubgraphIndex):
        yield from uses(model, (inside, model.subgraphs[inside].inputs[place]))
