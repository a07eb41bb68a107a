"""Names for what a .tflite model has only numbers for, or the same name several times.

A tensor keeps its name where nothing else has it; else "name#3" says which of the subgraph it is,
and a tensor without a name is "#3". Those of all subgraphs but the first have the subgraph's name
in front: "while_body/arg0". An operator is called after what it makes first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspector import deadline
from inspector.tflite.ops import BASIC_LSTM, signatures
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteOperator

Key = tuple[int, int]  # the subgraph's index, and that of a tensor or an operator in it


@dataclass(frozen=True, slots=True)
class Names:
    """Every name once. graphs: of the subgraphs, by index; tensors, operators: by their keys."""

    graphs: tuple[str, ...]
    tensors: dict[Key, str]
    operators: dict[Key, str]


def names_of(model: TfliteModel) -> Names:
    """The names of a model's subgraphs, tensors and operators, each unique among its kind."""
    graphs = _graphs(model)
    tensors: dict[Key, str] = {}
    operators: dict[Key, str] = {}
    taken: set[str] = set()
    called: set[str] = set()
    for graph, name in zip(model.subgraphs, graphs, strict=True):
        front = f"{name}/" if graph.index else ""
        counts = Counter(one.name for one in graph.tensors)
        for tensor in deadline.watched(graph.tensors):
            alone = tensor.name and counts[tensor.name] == 1
            wanted = tensor.name if alone else f"{tensor.name}#{tensor.index}"
            tensors[graph.index, tensor.index] = _free(front + wanted, taken)
        for operator in deadline.watched(graph.operators):
            first = next(iter(operator.outputs), None)
            made = None if first is None else tensors.get((graph.index, first))
            if made is None or made in called:
                made = f"{made or front + operator_word(model, operator)}#{operator.index}"
            operators[graph.index, operator.index] = _free(made, called)
    return Names(graphs, tensors, operators)


def _graphs(model: TfliteModel) -> tuple[str, ...]:
    counts = Counter(one.name for one in model.subgraphs)
    taken: set[str] = set()

    def name(graph: Subgraph) -> str:
        if graph.name and counts[graph.name] == 1:
            return graph.name
        return f"{graph.name}#{graph.index}" if graph.index or graph.name else "main"

    return tuple(_free(name(one), taken) for one in model.subgraphs)


def _free(wanted: str, taken: set[str]) -> str:
    """A name that is not taken: the wanted one, or with a further number behind it."""
    found = wanted
    while found in taken:
        found += "#"  # only where a tensor is itself called "name#3"
    taken.add(found)
    return found


def operator_word(model: TfliteModel, operator: TfliteOperator) -> str:
    """What an operator is called: a builtin's name, a custom one's, "FlexAddV2".

    The LSTM of five inputs, which takes other ones than that of twenty, has a word of its own; a
    custom operator that is called like a builtin is "CUSTOM ADD".
    """
    if not 0 <= operator.code < len(model.codes):
        return f"code {operator.code}"
    code = model.codes[operator.code]
    if code.custom is not None:
        clash = code.custom in signatures() or not code.custom
        return f"CUSTOM {code.custom}".strip() if clash else code.custom
    basic = code.name == "LSTM" and len(operator.inputs) == len(signatures()[BASIC_LSTM].inputs)
    return BASIC_LSTM if basic else code.name
