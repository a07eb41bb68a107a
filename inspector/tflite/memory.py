"""Memory that the activations of a .tflite model take, by a static plan.

The rule: a tensor lives from the operator that makes it (an input of the subgraph: from the start)
to the last one that reads it (an output: to the end), and the peak is the largest sum of what lives
during one operator. What lives throughout: variables, and constants that an operator turns into
another form once (DEQUANTIZE, DENSIFY), as LiteRT keeps those. While an operator runs subgraphs,
the largest of those is on top. No layout in an arena, no alignment and no scratch memory of
kernels is in it, so that a runtime needs at least this much, unless it works in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inspector.tflite.ops import CALLS
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteOperator
from inspector.wire.tflite_values import stored_bytes

RULE = "largest sum of tensors that live during one operator"
_EXPANDING = frozenset({"DEQUANTIZE", "DENSIFY"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subgraph needs, bytes.

    peak: all that lives at once, at most; operator: during which (None: it has none). constant:
    the part of it that lives throughout. unknown: tensors without a fixed size, which count 0.
    """

    peak: int
    operator: int | None
    constant: int
    unknown: int


def plan(model: TfliteModel, graph: Subgraph) -> Plan:
    """The plan of a subgraph and of those that it calls, each of them once.

    Raises Corrupt for an operator without a code.
    """
    return _Planner(model).plan(graph)


class _Planner:
    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.done: dict[int, Plan] = {}

    def plan(self, graph: Subgraph) -> Plan:
        """The plan of a subgraph, those that it calls first. Raises what `plan` raises."""
        # Subgraphs call one another as deep as the file says: no recursion here.
        waiting = [graph]
        open_: set[int] = set()
        while waiting:
            top = waiting[-1]
            if top.index not in open_:
                open_.add(top.index)
                inner = {one.index: one for one in self._called(top)}
                waiting.extend(one for index, one in inner.items() if index not in open_)
                continue
            waiting.pop()
            if top.index not in self.done:
                self.done[top.index] = self._plan(top)
        return self.done[graph.index]

    def _called(self, graph: Subgraph) -> Iterator[Subgraph]:
        for operator in graph.operators:
            yield from called(self.model, operator)

    def _plan(self, graph: Subgraph) -> Plan:
        throughout = set(self._throughout(graph))
        sizes = {
            one.index: stored_bytes(one) for one in graph.tensors if self._is_made(graph, one.index)
        }
        constant = sum(sizes[one] or 0 for one in throughout)
        starts, ends = self._lives(graph, set(sizes) - throughout)
        # What begins, less what ended, from operator to operator.
        change = [0] * (len(graph.operators) + 2)
        for one, start in starts.items():
            change[start] += sizes[one] or 0
            change[ends[one] + 1] -= sizes[one] or 0
        live, peak, where = 0, constant + change[0] * (not graph.operators), None
        for index, operator in enumerate(graph.operators):
            live += change[index]
            inner = [self.done.get(one.index) for one in called(self.model, operator)]
            total = constant + live + max((one.peak for one in inner if one), default=0)
            if total > peak or where is None:
                peak, where = total, index
        unknown = sum(size is None for size in sizes.values())
        return Plan(peak, where, constant, unknown)

    def _is_made(self, graph: Subgraph, index: int) -> bool:
        """Whether a tensor takes memory of its own: it has no values in the file."""
        tensor = graph.tensors[index]
        span = self.model.data(tensor)
        return tensor.external == 0 and (span is None or not span.length or tensor.variable)

    def _throughout(self, graph: Subgraph) -> Iterator[int]:
        """Tensors that live all the time."""
        used = {one for operator in graph.operators for one in operator.inputs}
        for tensor in graph.tensors:
            if tensor.variable and tensor.index in used:
                yield tensor.index
        constants = {one.index for one in graph.tensors if not self._is_made(graph, one.index)}
        for operator in graph.operators:
            if self.model.code(operator).name not in _EXPANDING or not operator.inputs:
                continue
            if operator.inputs[0] in constants:
                made = [one for one in operator.outputs if 0 <= one < len(graph.tensors)]
                constants |= set(made)
                yield from (one for one in made if self._is_made(graph, one))

    def _lives(
        self, graph: Subgraph, tensors: set[int]
    ) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """(first operator, last operator) of each tensor that one makes or reads."""
        last = max(len(graph.operators) - 1, 0)
        starts = {one: 0 for one in graph.inputs if one in tensors}
        ends = dict(starts)
        for index, operator in enumerate(graph.operators):
            for one in (*operator.inputs, *operator.outputs, *operator.intermediates):
                if one in tensors:
                    starts.setdefault(one, index)
                    ends[one] = index
        ends |= {one: last for one in graph.outputs if one in starts}
        return starts, ends


def called(model: TfliteModel, operator: TfliteOperator) -> Iterator[Subgraph]:
    """The subgraphs that an operator runs. Raises Corrupt for an operator without a code."""
    call = CALLS.get(model.code(operator).name)
    if call is None or operator.options is None:
        return
    for name in call.fields:
        if name not in operator.options.schema.fields(operator.options.kind):
            continue  # options of another operator
        value = operator.options[name]
        for index in [value] if isinstance(value, int) else operator.options.numbers(name):
            if 0 <= index < len(model.subgraphs):
                yield model.subgraphs[index]
