"""Who reads a tensor of a .tflite model: values followed to the operators that work on them.

A value is followed through operators that hand it on as it is, in another form or in parts
(`ops.SAME_VALUES`, `ops.PARTS`), into the subgraphs that an operator runs and out of them again,
and from where a variable is set to where it is read. The first value of a loop's variable is
followed into the loop only where the body hands it on unchanged: else it is no more than a start,
and the loop itself is what reads it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from inspector import deadline
from inspector.errors import LimitExceeded
from inspector.limits import DEFAULT, Limits
from inspector.model import Use
from inspector.tflite.memory import called
from inspector.tflite.names import Key, Names, operator_word
from inspector.tflite.ops import CALLS, PARTS, SAME_VALUES
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteOperator

RETURNED = "output"  # what reads the values that a subgraph gives back to whoever runs it
LOOPS = frozenset({"WHILE", "STABLEHLO_WHILE"})
_SET, _READ = "ASSIGN_VARIABLE", "READ_VARIABLE"
_LONGEST = 16  # operators on a value's way that are named


class _Place(NamedTuple):
    """An operator, and the number of one of its inputs or outputs."""

    graph: int
    operator: int
    at: int


# (a tensor, the operators that lead to it, the use of one of them)
_Way = tuple[Key, tuple[str, ...], Use | None]


class Flow:
    """The readers of every tensor of a model."""

    def __init__(self, model: TfliteModel, names: Names, limits: Limits = DEFAULT) -> None:
        self.model = model
        self.names = names
        self.limits = limits
        self.steps = 0
        self.readers: dict[Key, list[_Place]] = {}
        self.makers: dict[Key, _Place] = {}
        self.returned: dict[Key, list[int]] = {}
        self.callers: dict[int, list[Key]] = {}
        self.words: dict[Key, str] = {}
        for graph in model.subgraphs:
            self._index(graph)
        self._constant: dict[int, tuple[bool, ...]] = {}
        self._variables = self._find_variables()
        self._values = self._readings()

    def _index(self, graph: Subgraph) -> None:
        known = range(len(graph.tensors))
        for at, tensor in enumerate(graph.outputs):
            if tensor in known:
                self.returned.setdefault((graph.index, tensor), []).append(at)
        for operator in deadline.watched(graph.operators):
            key = (graph.index, operator.index)
            self.words[key] = operator_word(self.model, operator)
            for at, tensor in enumerate(operator.inputs):
                if tensor not in known:
                    continue  # left out, or a tensor that is not there
                self.readers.setdefault((graph.index, tensor), []).append(_Place(*key, at))
            for at, tensor in enumerate((*operator.outputs, *operator.intermediates)):
                if tensor in known:
                    self.makers.setdefault((graph.index, tensor), _Place(*key, at))
            if self.words[key] in CALLS:
                for one in called(self.model, operator):
                    self.callers.setdefault(one.index, []).append(key)

    def operator(self, key: Key) -> TfliteOperator:
        """The operator of a key."""
        return self.model.subgraphs[key[0]].operators[key[1]]

    def direct(self, key: Key) -> tuple[Use, ...]:
        """The operators that read a tensor as it is, and the results that it is."""
        uses = [self._use(place) for place in self.readers.get(key, ())]
        return (*uses, *self._results(key))

    def uses(self, key: Key) -> tuple[Use, ...]:
        """The operators that work on a tensor's values, in the order found.

        Where none does, the last ones that handed them on.
        Raises LimitExceeded (`graph_steps`).
        """
        found: dict[Use, None] = {}
        lost: dict[Use, None] = {}  # what was done last to a value that nothing takes
        # (tensor, operators on the way to it, the use that it comes from)
        waiting: deque[tuple[Key, tuple[str, ...], Use | None]] = deque([(key, (), None)])
        seen = {key}
        while waiting:
            here, through, last = waiting.popleft()
            places, results = self.readers.get(here, ()), list(self._results(here, through))
            found.update(dict.fromkeys(results))
            ways: list[_Way] = []
            for place in places:
                self._step()
                use = self._use(place, through)
                onward = [(one, (use.op, *more), use) for one, more in self._onward(place)]
                if not onward:
                    found[use] = None
                ways += onward
            out = list(self._out(here)) if here in self.returned else []
            ways += [(one, word, last) for one, word in out]
            if not places and not results and not out:
                lost.update(dict.fromkeys(self._lost(here, through) if last is None else (last,)))
            for one, word, use_before in ways:
                self._step()
                if one not in seen:
                    seen.add(one)
                    waiting.append((one, (*through, *word)[:_LONGEST], use_before))
        return tuple(found or lost)

    def _step(self) -> None:
        self.steps += 1
        if not self.steps % deadline.EVERY:
            deadline.check()
        if self.steps > self.limits.graph_steps:
            limit = self.limits.graph_steps
            raise LimitExceeded("graph_steps", self.steps, limit, self.model.source.path)

    def _use(self, place: _Place, through: tuple[str, ...] = ()) -> Use:
        key = place[:2]
        return Use(self.words[key], place.at, self.names.operators[key], through)

    def _results(self, key: Key, through: tuple[str, ...] = ()) -> Iterator[Use]:
        """Uses as a result of the model: of a subgraph that no operator runs."""
        if key[0] and self.callers.get(key[0]):
            return
        for at in self.returned.get(key, ()):
            yield Use(RETURNED, at, self.names.graphs[key[0]], through)

    def _lost(self, key: Key, through: tuple[str, ...]) -> Iterator[Use]:
        """Uses as a result of a subgraph whose caller takes none."""
        for at in self.returned.get(key, ()):
            yield Use(RETURNED, at, self.names.graphs[key[0]], through)

    def _onward(self, place: _Place) -> Iterator[tuple[Key, tuple[str, ...]]]:
        """(what an operator makes of an input that is the same values, operators behind it)."""
        word, operator = self.words[place[:2]], self.operator(place[:2])
        if word in SAME_VALUES:
            made = operator.outputs[:1] if place.at == 0 else ()
        elif word in PARTS:
            made = operator.outputs if place.at in _within(PARTS[word], operator) else ()
        elif word in CALLS:
            yield from ((one, ()) for one in self._into(place, word, operator))
            return
        else:
            if word == _SET and place.at == 1:
                yield from self._read_later(place)
            return
        yield from (((place.graph, one), ()) for one in made if self._exists(place.graph, one))

    def _exists(self, graph: int, tensor: int) -> bool:
        return 0 <= tensor < len(self.model.subgraphs[graph].tensors)

    def _into(self, place: _Place, word: str, operator: TfliteOperator) -> Iterator[Key]:
        """The tensors of subgraphs that an input becomes."""
        first = CALLS[word].first
        if first is None or place.at < first:
            return
        inner, at = list(called(self.model, operator)), place.at - first
        if word in LOOPS:
            # The condition's subgraph, then the body's.
            if len(inner) < 2 or not self._stays(inner[1], at):
                return
            if at < len(operator.outputs) and self._exists(place.graph, operator.outputs[at]):
                yield place.graph, operator.outputs[at]
        for graph in inner:
            if at < len(graph.inputs) and self._exists(graph.index, graph.inputs[at]):
                yield graph.index, graph.inputs[at]

    def _out(self, key: Key) -> Iterator[tuple[Key, tuple[str, ...]]]:
        """(what a result of a subgraph is to those that run it, the operator that runs it)."""
        for caller in self.callers.get(key[0], ()):
            word, operator = self.words[caller], self.operator(caller)
            if CALLS[word].first is None:
                continue
            inner = list(called(self.model, operator))
            loop = word in LOOPS
            if loop and (len(inner) < 2 or inner[1].index != key[0]):
                continue  # the condition of a loop gives nothing to others
            for at in self.returned[key]:
                if at < len(operator.outputs) and self._exists(caller[0], operator.outputs[at]):
                    yield (caller[0], operator.outputs[at]), (word,)
                # The next round begins with it.
                for graph in inner if loop else ():
                    if at < len(graph.inputs) and self._exists(graph.index, graph.inputs[at]):
                        yield (graph.index, graph.inputs[at]), (word,)

    def _stays(self, body: Subgraph, at: int, depth: int = 0) -> bool:
        """Whether a loop's body hands on its input `at` as it came."""
        if body.index not in self._constant:
            # A loop within itself changes what it has; sound models have none.
            self._constant[body.index] = (False,) * len(body.outputs)
            self._constant[body.index] = tuple(
                one < len(body.inputs) and self._origin(body, tensor, depth) == body.inputs[one]
                for one, tensor in enumerate(body.outputs)
            )
        stays = self._constant[body.index]
        return at < len(stays) and stays[at]

    def _origin(self, graph: Subgraph, tensor: int, depth: int) -> int:
        """The tensor of a subgraph that another one of it is, through loops that do not touch it.

        Loops within loops are looked into as deep as `limits.depth`.
        """
        seen: set[int] = set()
        while depth < self.limits.depth and tensor not in seen:
            self._step()
            seen.add(tensor)
            maker = self.makers.get((graph.index, tensor))
            if maker is None or self.words[maker[:2]] not in LOOPS:
                break
            operator = self.operator(maker[:2])
            inner = list(called(self.model, operator))
            if len(inner) < 2 or not self._stays(inner[1], maker.at, depth + 1):
                break
            if maker.at >= len(operator.inputs):
                break
            tensor = operator.inputs[maker.at]
        return tensor

    # --- variables: a handle, and what is set and read through it -------------------------------

    def _find_variables(self) -> dict[Key, tuple[str, str]]:
        """The variable that each tensor is a handle of: by its container and name."""
        found: dict[Key, tuple[str, str]] = {}
        for key, word in self.words.items():
            if word != "VAR_HANDLE":
                continue
            operator = self.operator(key)
            options = operator.options
            known = options is not None and options.kind == "VarHandleOptions"
            container = (options["container"] or "") if known and options is not None else ""
            name = (options["shared_name"] or "") if known and options is not None else ""
            variable = (container, name or self.names.operators[key])
            waiting = deque((key[0], one) for one in operator.outputs[:1])
            while waiting:
                here = waiting.popleft()
                if here in found:
                    continue
                found[here] = variable
                for place in self.readers.get(here, ()):
                    self._step()
                    inner_word = self.words[place[:2]]
                    if inner_word in CALLS:
                        waiting.extend(self._into(place, inner_word, self.operator(place[:2])))
                if here in self.returned:
                    waiting.extend(one for one, _ in self._out(here))
        return found

    def _readings(self) -> dict[tuple[str, str], list[Key]]:
        """By variable, the tensors that it is read to."""
        found: dict[tuple[str, str], list[Key]] = {}
        for handle, variable in self._variables.items():
            for place in self.readers.get(handle, ()):
                if self.words[place[:2]] == _READ:
                    made = self.operator(place[:2]).outputs[:1]
                    found.setdefault(variable, []).extend((place.graph, one) for one in made)
        return found

    def _read_later(self, place: _Place) -> Iterator[tuple[Key, tuple[str, ...]]]:
        """(what reading the variable gives that is set here, the operator that reads it)."""
        handle = (place.graph, self.operator(place[:2]).inputs[0])
        variable = self._variables.get(handle)
        for one in () if variable is None else self._values.get(variable, ()):
            yield one, (_READ,)


def _within(parts: slice, operator: TfliteOperator) -> range:
    return range(len(operator.inputs))[parts]
