"""What the meta graphs of a SavedModel tell of its variables: who reads them, what is trained.

A TensorFlow 2 graph is given its variables as the last arguments of functions, and the object
graph says which object each one is. In one of TensorFlow 1 they are nodes, by their own names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.graph.flow import uses_of
from inspector.limits import Limits
from inspector.model import Layer, Problem, Severity, Tensor, Use
from inspector.read.graph_common import (
    Constants,
    Spans,
    read_constants,
    variable_uses,
    variables_of,
)
from inspector.wire.graph_def import Graph, read_graph
from inspector.wire.object_graph import KerasNode, ObjectGraph
from inspector.wire.saved_model import VARIABLE_COLLECTIONS, MetaGraph, VariableDef
from inspector.words import some

InText = Callable[[Spans], Spans]  # where in a text the values of its binary form are
_TRAINABLE, _LOCAL = "trainable_variables", "local_variables"  # local ones are never saved
_VALUE = "VARIABLE_VALUE"  # of an object's values, the one that is the variable's
_KERAS = "_tf_keras_"  # what the identifiers of Keras' objects begin with


@dataclass(frozen=True, slots=True)
class Part:
    """A meta graph, read. objects: None for TensorFlow 1, which writes none."""

    meta: MetaGraph
    graph: Graph | None
    objects: ObjectGraph | None

    @property
    def variables(self) -> int:
        """How many variables it is made of whose values are in the checkpoint."""
        if self.objects is not None:
            return sum(node.variable is not None for node in self.objects.nodes)
        if self.graph is None:
            return 0
        local = {one.name for one in self.meta.variables(_LOCAL)}
        return sum(node.name not in local for node in variables_of(self.graph))


@dataclass(frozen=True, slots=True)
class Found:
    """What the graphs hold. constants: of each meta graph, None where it has no graph.

    tensors: all constants, by names that no other tensor has; uses: of variables, by their keys.
    """

    constants: tuple[Constants | None, ...]
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    uses: Mapping[str, tuple[Use, ...]]
    problems: tuple[Problem, ...]


def read_part(meta: MetaGraph, objects: ObjectGraph | None) -> Part:
    """A meta graph with its graph. Raises what `read_graph` raises."""
    return Part(meta, None if meta.graph is None else read_graph(meta.graph), objects)


def read_parts(
    parts: Sequence[Part],
    keys: Mapping[int, str],
    taken: Iterable[str],
    limits: Limits,
    in_text: InText | None,
) -> Found:
    """The constants of all meta graphs, and the uses of their variables.

    keys: variables' keys in the checkpoint by the numbers of their objects; taken: names that no
    constant may have. Of several meta graphs, each has its tags before its constants' names.
    Raises what `uses_of` and `read_constants` raise.
    """
    constants: list[Constants | None] = []
    tensors: list[Tensor] = []
    uses: dict[str, dict[Use, None]] = {}
    layers: dict[str, Layer] = {}
    names = set(taken)
    for part, prefix in zip(parts, _prefixes(parts), strict=True):
        if part.graph is None:
            constants.append(None)
            continue
        flow = uses_of(part.graph, captured(part, keys), limits)
        found = read_constants(part.graph, flow, in_text)
        constants.append(found)
        renamed = _renamed(found.tensors, prefix, names)
        tensors += renamed
        names.update(one.name for one in renamed)
        for layer in found.layers:
            layers.setdefault(layer.path, layer)
        for key, more in _of_variables(part, flow):
            uses.setdefault(key, {}).update(dict.fromkeys(more))
    problems = (problem for one in constants if one is not None for problem in one.problems)
    return Found(
        tuple(constants),
        tuple(tensors),
        tuple(layers.values()),
        {key: tuple(of_key) for key, of_key in uses.items()},
        tuple(problems),
    )


def _of_variables(
    part: Part, flow: Mapping[Hashable, tuple[Use, ...]]
) -> Iterator[tuple[str, tuple[Use, ...]]]:
    """(key, uses) of variables: those captured, or those of nodes where there are no objects."""
    if part.objects is not None:
        yield from ((key, uses) for key, uses in flow.items() if isinstance(key, str))
    elif part.graph is not None:
        yield from variable_uses(part.graph, flow, _defined(part.meta)).items()


def _defined(meta: MetaGraph) -> list[VariableDef]:
    return [one for name in VARIABLE_COLLECTIONS for one in meta.variables(name)]


def keys_by_object(checkpoint: ObjectGraph) -> dict[int, str]:
    """Number of each object that is a variable -> its key, as the checkpoint's own graph says."""
    return {
        node.id: one.key
        for node in checkpoint.nodes
        for one in node.attributes
        if one.name == _VALUE
    }


def captured(part: Part, keys: Mapping[int, str]) -> dict[tuple[str, int], Hashable]:
    """(function, number of an argument) -> what is given there: what `uses_of` takes.

    A variable by its key in the checkpoint, a constant as the node that makes it. Captures are a
    function's last arguments, in the order of bound_inputs: source,
    tensorflow/python/saved_model/function_deserialization.py.
    """
    found: dict[tuple[str, int], Hashable] = {}
    if part.objects is None or part.graph is None:
        return found
    for name, bound in part.objects.captures.items():
        function = part.graph.functions.get(name)
        if function is None or len(bound) > len(function.arguments):
            continue
        for place, number in enumerate(bound, len(function.arguments) - len(bound)):
            operation = part.objects.nodes[number].operation
            if number in keys:
                found[name, place] = keys[number]
            elif operation:
                found[name, place] = ("", operation)
    return found


def _prefixes(parts: Sequence[Part]) -> list[str]:
    """What stands before the constants' names of each: nothing where there is one meta graph."""
    if len(parts) == 1:
        return [""]
    times = Counter(tag_set(part.meta) for part in parts)
    return [
        f"{tag_set(part.meta)}:" if times[tag_set(part.meta)] == 1 else f"meta graph {number}:"
        for number, part in enumerate(parts, 1)
    ]


def _renamed(tensors: Sequence[Tensor], prefix: str, taken: set[str]) -> list[Tensor]:
    """The constants under names that nothing else has."""
    names: dict[str, str] = {}
    for tensor in tensors:
        name = prefix + tensor.name
        while name in taken:
            name = f"graph:{name}"
        if name != tensor.name:
            names[tensor.name] = name
    if not names:
        return list(tensors)
    return [
        replace(
            tensor,
            name=names.get(tensor.name, tensor.name),
            repeats=names.get(tensor.repeats or "", tensor.repeats),
        )
        for tensor in tensors
    ]


def trained(metas: Sequence[MetaGraph], path: str) -> tuple[dict[str, bool], tuple[Problem, ...]]:
    """Key of each variable in a collection -> whether any meta graph trains it.

    Nothing where no meta graph lists what it trains. A problem where those that do disagree.
    """
    listed = {
        index: frozenset(one.key for one in meta.variables(_TRAINABLE))
        for index, meta in enumerate(metas)
        if _TRAINABLE in meta.collections
    }
    if not listed:
        return {}, ()
    every = frozenset.union(*listed.values())
    known = {one.key: one.key in every for meta in metas for one in _defined(meta)}
    disputed = sorted(every - frozenset.intersection(*listed.values()))
    if not disputed:
        return known, ()
    counts = [f"{len(one):,} in {tag_set(metas[index])}" for index, one in listed.items()]
    message = (
        f"the meta graphs disagree about what is trainable ({some(counts)}): taken as trainable"
        f" are {some(disputed)} too"
    )
    return known, (Problem("trainable-differs", Severity.INFO, message, path),)


def repeated_tags(metas: Sequence[MetaGraph], path: str) -> Iterator[Problem]:
    """A problem for each set of tags that several meta graphs have: a file written twice over."""
    for tags, times in Counter(tag_set(meta) for meta in metas).items():
        if times > 1:
            message = f"{times:,} meta graphs have the tags {tags}: TensorFlow loads the first"
            yield Problem("repeated-tags", Severity.WARNING, message, path)


def untold_objects(
    objects: ObjectGraph, told: Mapping[int, KerasNode], path: str
) -> Iterator[Problem]:
    """A problem where Keras' metadata lacks objects: `model.save` writes a record of each.

    told: what keras_metadata.pb has. Older writers keep the metadata in the object itself.
    """
    keras = [one for one in objects.nodes if one.identifier.startswith(_KERAS)]
    lost = sum(one.id not in told and not one.metadata for one in keras)
    if lost:
        message = (
            f"the metadata of {lost:,} of {len(keras):,} Keras objects is missing: the model was"
            " saved by tf.saved_model.save, or keras_metadata.pb is incomplete"
        )
        yield Problem("keras-metadata", Severity.WARNING, message, path)


def tag_set(meta: MetaGraph) -> str:
    """A meta graph's tags as TensorFlow's own tools spell them: "train,serve"."""
    return ",".join(meta.tags) or "no tag"
