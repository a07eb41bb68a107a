"""A graph, or a function of it, indexed: who reads which value in it, and what its nodes are."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence

from inspector.graph.passing import ARITHMETIC, OUTPUTS, PASSING
from inspector.wire.graph_def import Node

# Operators whose node holds a value of its own.
CONSTANTS = frozenset({"Const", "HostConst", "ImmutableConst"})
VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
SOURCES = CONSTANTS | VARIABLES
_STATIC = SOURCES | {"ReadVariableOp"}

Value = tuple[str, int]  # an output of a node, or (argument's name, 0)
_Reader = tuple[int, int]  # a node, and at which of its inputs it reads a value
_KEPT = 4096  # ends of inputs ("output:0") whose meaning is kept


class Body:
    """The graph, or a function: who reads which value in it."""

    def __init__(
        self,
        name: str,
        nodes: Sequence[Node],
        arguments: Sequence[str] = (),
        outputs: Sequence[str] = (),
        returns: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.nodes = nodes
        self.arguments = arguments
        self.by_name = {node.name: at for at, node in enumerate(nodes)}
        self.by_op: dict[str, list[int]] = {}
        self.counts: list[int] = []
        self.readers: dict[str, dict[int, list[_Reader]]] = {}
        self.returned: dict[str, dict[int, list[int]]] = {}
        self.static: frozenset[int] = frozenset()
        self._outputs = tuple(outputs)
        self._returns = returns or {}

    def index(self, named: Outputs) -> None:
        """Find the readers of each value, and the nodes of each operator."""
        by_op, counts = self.by_op, self.counts
        as_written: dict[str, list[_Reader]] = {}
        for at, node in enumerate(self.nodes):
            by_op.setdefault(node.op, []).append(at)
            place = 0
            for text in node.inputs:
                if text[:1] == "^":
                    continue
                found = as_written.get(text)
                if found is None:
                    as_written[text] = [(at, place)]
                else:
                    found.append((at, place))
                place += 1
            counts.append(place)
        self._take_in(as_written, named)
        for place, output_name in enumerate(self._outputs):
            if output_name in self._returns:
                name, output = self._value(self._returns[output_name], named)
                self.returned.setdefault(name, {}).setdefault(output, []).append(place)

    def _take_in(self, as_written: Mapping[str, list[_Reader]], named: Outputs) -> None:
        """Put the readers of each value together, however they write it ("node", "node:0")."""
        mixed: dict[int, list[_Reader]] = {}
        nodes, by_name, number = self.nodes, self.by_name, named.number
        for text, found in as_written.items():
            # As `_value`, which takes twice as long for being called.
            name, colon, end = text.partition(":")
            output = 0
            if colon:
                at = by_name.get(name)
                output = number("" if at is None else nodes[at].op, end)
            outputs = self.readers.get(name)
            if outputs is None:
                self.readers[name] = {output: found}
            elif output not in outputs:
                outputs[output] = found
            else:
                outputs[output] += found
                mixed[id(outputs[output])] = outputs[output]
        for readers in mixed.values():
            readers.sort()

    def of_ops(self, ops: Container[str]) -> list[int]:
        """The nodes of these operators, in order."""
        return sorted(at for op, found in self.by_op.items() if op in ops for at in found)

    def _value(self, text: str, named: Outputs) -> Value:
        """What an input refers to: "node", "node:1", "node:output:1", "argument"."""
        name, colon, end = text.partition(":")
        if not colon:
            return text, 0
        at = self.by_name.get(name)
        return name, named.number("" if at is None else self.nodes[at].op, end)

    @property
    def output_names(self) -> tuple[str, ...]:
        return self._outputs

    def leads_on(self, name: str, output: int) -> bool:
        """Whether anything takes this value."""
        return output in self.readers.get(name, ()) or output in self.returned.get(name, ())

    def outputs_taken(self, name: str) -> list[int]:
        """The outputs of a node that anything takes."""
        return [*self.readers.get(name, ()), *self.returned.get(name, ())]

    def find_static(self, given: Iterable[int]) -> None:
        """Find the nodes whose value comes from constants and variables alone.

        given: the arguments that are a constant or a variable of the model's.
        """
        static = set(self.of_ops(_STATIC))
        known = deque[str](self.arguments[at] for at in given if at < len(self.arguments))
        known += [self.nodes[at].name for at in static]
        waiting: dict[int, int] = {}
        while known:
            for readers in self.readers.get(known.popleft(), {}).values():
                for at, place in readers:
                    if at in static or not self._counts(at, place):
                        continue
                    if at not in waiting:
                        waiting[at] = sum(self._counts(at, one) for one in range(self.counts[at]))
                    waiting[at] -= 1
                    if not waiting[at]:
                        static.add(at)
                        known.append(self.nodes[at].name)
        self.static = frozenset(static)

    def _counts(self, at: int, place: int) -> bool:
        """Whether a node's output is made of this input."""
        op = self.nodes[at].op
        way = PASSING.get(op)
        return op in ARITHMETIC if way is None else way.takes(place, self.counts[at])


class Outputs:
    """What the ends of inputs mean: "1" and "output:1" of "node:1" and "node:output:1".

    functions: a node may call one by its name, and has the function's outputs then.
    """

    def __init__(self, functions: Mapping[str, Body]) -> None:
        self._functions = functions
        self._known: dict[tuple[str, str], int] = {}

    def number(self, op: str, end: str) -> int:
        """Number of the output that an end stands for, of a node of this operator."""
        found = self._known.get((op, end))
        if found is None:
            found = self._number(op, end)
            if len(self._known) < _KEPT:
                self._known[op, end] = found
        return found

    def _number(self, op: str, end: str) -> int:
        first, *rest = end.split(":")
        last = rest[-1] if rest else first
        number = int(last) if last.isdecimal() and len(last) < 10 else 0
        called = self._functions.get(op)
        named = called.output_names if called is not None else OUTPUTS.get(op, ())
        if first.isdecimal() or first not in named:
            return number
        return number + named.index(first)
