"""How the layers of a functional model are connected, and where that differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inspector.difference.config_layers import Node, Paired
from inspector.difference.config_values import Writers, normal
from inspector.limits import DEFAULT
from inspector.model import Layer

_TENSOR = "__keras_tensor__"  # Keras 3's
_CONSTANT = "_CONSTANT_VALUE"  # Keras 2's


class Source(NamedTuple):
    """What a layer takes: output `tensor` of the `call`-th call of the layer `name`."""

    name: str
    call: int
    tensor: int


class Call(NamedTuple):
    """One call of a layer. options: what it was called with beside tensors, as text."""

    sources: tuple[Source, ...]
    options: str = ""


class Rewired(NamedTuple):
    """A connection that is not the same.

    what: "inputs" or "call" of a layer, "inputs" or "outputs" of a model; a, b: in words.
    """

    pair: tuple[Node, Node]
    what: str
    a: str
    b: str
    counts: bool = True


def rewired(
    a: Sequence[Node], b: Sequence[Node], paired: Paired, writers: Writers
) -> list[Rewired]:
    """Connections that differ, once names are those of the layers that they stand for.

    A layer that only one side has is passed over, where it has one input: that it is there is said
    elsewhere.
    """
    left = _Wiring(a, {id(one): at for at, (one, _) in enumerate(paired.pairs)})
    right = _Wiring(b, {id(one): at for at, (_, one) in enumerate(paired.pairs)})
    return list(_differences(paired, left, right, writers))


def _differences(
    paired: Paired, left: _Wiring, right: _Wiring, writers: Writers
) -> Iterator[Rewired]:
    for pair in paired.pairs:
        ours, theirs = pair
        wires, others = left.of(ours), right.of(theirs)
        if wires is not None and others is not None:
            ends = (
                ("inputs", wires.inputs, others.inputs),
                ("outputs", wires.outputs, others.outputs),
            )
            for what, a, b in ends:
                if left.resolved(ours, a) != right.resolved(theirs, b):
                    yield Rewired(pair, what, _said(a), _said(b))
        one, other = left.calls(ours), right.calls(theirs)
        if one is None or other is None:
            continue
        taken = [call.sources for call in one], [call.sources for call in other]
        if [left.resolved(ours.parent, each) for each in taken[0]] != [
            right.resolved(theirs.parent, each) for each in taken[1]
        ]:
            a_said, b_said = ("; ".join(map(_said, each)) for each in taken)
            yield Rewired(pair, "inputs", a_said, b_said)
        elif writers is not Writers.FLAVORS:
            a_said, b_said = ("; ".join(call.options for call in each) for each in (one, other))
            if a_said != b_said:
                yield Rewired(pair, "call", a_said, b_said, writers is Writers.SAME)


def _said(sources: Sequence[Source]) -> str:
    return ", ".join(
        source.name
        + (f" (call {source.call + 1})" if source.call else "")
        + (f" (output {source.tensor + 1})" if source.tensor else "")
        for source in sources
    )


@dataclass(frozen=True, slots=True)
class _Wires:
    """The connections of one functional model. calls: of each layer, by its name."""

    inputs: tuple[Source, ...]
    outputs: tuple[Source, ...]
    calls: Mapping[str, list[Call]]


class _Wiring:
    """One side. partners: number of the pair that each layer is in, by its id."""

    def __init__(self, nodes: Sequence[Node], partners: Mapping[int, int]) -> None:
        self._partners = partners
        self._named = {(id(n.parent), n.stored_name): n for n in nodes}
        self._wires: dict[int, _Wires | None] = {}
        self._passed: dict[tuple[int, Source], Source] = {}

    def of(self, model: Node | None) -> _Wires | None:
        """The connections in a model; None where its config says none."""
        if model is None:
            return None
        if id(model) not in self._wires:
            self._wires[id(model)] = _wires_of(model.layer)
        return self._wires[id(model)]

    def calls(self, node: Node) -> list[Call] | None:
        """The calls of a layer in its model; None where that does not say."""
        wires = self.of(node.parent)
        return None if wires is None else wires.calls.get(node.stored_name)

    def resolved(self, model: Node | None, sources: Sequence[Source]) -> list[tuple[Any, ...]]:
        """The sources by the pair that each is in."""
        return [self._resolved(model, source) for source in sources]

    def _resolved(self, model: Node | None, source: Source) -> tuple[Any, ...]:
        end = self._end(model, source)
        node = self._named.get((id(model), end.name))
        partner = None if node is None else self._partners.get(id(node))
        return (end.name if partner is None else partner, end.call, end.tensor)

    def _end(self, model: Node | None, source: Source) -> Source:
        """The source, or what goes into it where the other side has no such layer."""
        way: list[Source] = []
        while (id(model), source) not in self._passed:
            way.append(source)
            self._passed[id(model), source] = source  # a circle ends where it began
            before = self._before(model, source)
            if before is None:
                break
            source = before
        end = self._passed[id(model), source]
        self._passed.update({(id(model), one): end for one in way})
        return end

    def _before(self, model: Node | None, source: Source) -> Source | None:
        node = self._named.get((id(model), source.name))
        if node is None or id(node) in self._partners:
            return None
        calls = self.calls(node)
        if calls is None or not 0 <= source.call < len(calls):
            return None
        sources = calls[source.call].sources
        return sources[0] if len(sources) == 1 else None


def _wires_of(model: Layer) -> _Wires | None:
    """Of a functional model. Keras 2 counts the calls of a model inside from 1, after the one that
    made it, Keras 3 from 0: here the first that is used is 0.
    """
    if not model.is_model or "output_layers" not in model.config:
        return None
    inputs, outputs = (
        tuple(_sources(model.config.get(key))) for key in ("input_layers", "output_layers")
    )
    calls = _calls_of(model.config)
    first: dict[str, int] = dict.fromkeys((c.name for c in model.children if c.is_model), -1)
    for source in (
        *outputs,
        *(s for each in calls.values() for call in each for s in call.sources),
    ):
        if source.name in first:
            known = first[source.name]
            first[source.name] = source.call if known < 0 else min(known, source.call)

    def counted(sources: Sequence[Source]) -> tuple[Source, ...]:
        return tuple(s._replace(call=s.call - max(first.get(s.name, 0), 0)) for s in sources)

    return _Wires(
        inputs,
        counted(outputs),
        {
            name: [call._replace(sources=counted(call.sources)) for call in each]
            for name, each in calls.items()
        },
    )


def _calls_of(config: Mapping[str, Any]) -> Mapping[str, list[Call]]:
    """The calls of each layer of a functional model, by the layer's name."""
    listed = config.get("layers")
    found = {}
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("inbound_nodes"), list):
            inner = entry.get("config")
            name = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
            found[str(name)] = [_call(one) for one in entry["inbound_nodes"]]
    return found


def _call(node: Any) -> Call:
    """Of Keras 3: {"args": [...], "kwargs": {...}} with tensors among both; of Keras 2 a list of
    [layer, call, tensor, kwargs], in which tensors are [layer, call, tensor].
    """
    options = _Options()
    options.add(node, "", 0)
    return Call(tuple(_sources(node)), json.dumps(options.found, sort_keys=True))


def _sources(value: Any) -> Iterator[Source]:
    """The tensors in it, in their order."""
    stack = [value]
    while stack:
        one = _untupled(stack.pop())
        source, rest = _source(one)
        if source is not None:
            yield source
        elif isinstance(one, Mapping):
            rest = list(one.values())
        elif isinstance(one, list):
            rest = one
        stack.extend(reversed(rest))


def _source(value: Any) -> tuple[Source | None, list[Any]]:
    """A tensor, and what goes on after it: Keras 2's further arguments of the call."""
    if isinstance(value, Mapping) and value.get("class_name") == _TENSOR:
        config = value.get("config")
        value = config.get("keras_history") if isinstance(config, Mapping) else None
    if not isinstance(value, list) or not 3 <= len(value) <= 4:
        return None, []
    name, call, tensor = value[:3]
    if not (isinstance(name, str) and isinstance(call, int) and isinstance(tensor, int)):
        return None, []
    return (None if name == _CONSTANT else Source(name, call, tensor)), value[3:]


def _untupled(value: Any) -> Any:
    """A SavedModel's metadata marks tuples."""
    is_tuple = isinstance(value, Mapping) and value.get("class_name") == "__tuple__"
    return value.get("items") if is_tuple else value


@dataclass(slots=True)
class _Options:
    """What a layer was called with beside tensors; arguments that are None say nothing."""

    found: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any, key: str, depth: int) -> None:
        value = _untupled(value)
        source, rest = _source(value)
        if value is None or depth > DEFAULT.depth:
            return
        if source is not None:
            for one in rest:
                self.add(one, key, depth + 1)
        elif isinstance(value, Mapping) and "class_name" not in value:
            for name, one in value.items():
                self.add(one, f"{key}.{name}" if key else name, depth + 1)
        elif isinstance(value, list):
            for at, one in enumerate(value):
                self.add(one, f"{key}[{at}]" if key else "", depth + 1)
        else:
            self.found[key.removeprefix("kwargs.")] = normal(value)
