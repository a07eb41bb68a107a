"""Which weight each variable of a tensorflow-model-optimization wrapper serves, by the graph.

Each wrapper keeps its weight and what it made for it side by side, in a tuple or under one key.
Source: `pruning_wrapper`, `cluster_wrapper` and `quantize_wrapper` of tfmot 0.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from inspector.keras.bind import parts_of
from inspector.keras.layers import Variable
from inspector.keras.objects_graph import Thing, Walked
from inspector.keras.objects_kinds import Kind
from inspector.keras.tfmot import is_tfmot
from inspector.model import Layer, Role

_RANGE = re.compile(r"(.+)_(min|max)$")

_CLUSTERS = (
    (re.compile(r"cluster_centroids_.+"), Role.CENTROIDS, True, None),
    (re.compile(r"pulling_indices_.+"), Role.CLUSTER_INDICES, False, None),
    (re.compile(r"ori_weights_vars_.+"), Role.CLUSTER_ORIGINAL, True, None),
)
_RANGES = (
    (re.compile(r"optimizer_step"), Role.QUANT_STEP, False, 0),
    (re.compile(r".+_(min|max)"), Role.QUANT_PARAM, False, None),
)
_PRUNING = (
    (re.compile(r"mask"), Role.MASK, False, None),
    (re.compile(r"threshold"), Role.THRESHOLD, False, 0),
    (re.compile(r"pruning_step"), Role.PRUNING_STEP, False, 0),
)
# Class -> names of its variables, each with role, whether trained, and rank.
_OWN: Mapping[str, Sequence[tuple[re.Pattern[str], Role, bool, int | None]]] = {
    "PruneLowMagnitude": _PRUNING,
    **dict.fromkeys(("ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA"), _CLUSTERS),
    **dict.fromkeys(("QuantizeWrapper", "QuantizeWrapperV2"), (*_RANGES, *_CLUSTERS)),
    "QuantizeLayer": _RANGES,
}


def wrapper_variable(layer: Layer, name: str) -> Variable | None:
    """The wrapper's own variable of this name; None for other layers, and for look-alikes."""
    if layer.config and not is_tfmot(layer):
        return None
    for pattern, role, trainable, rank in _OWN.get(layer.class_name, ()):
        if pattern.fullmatch(name):
            return Variable(name, role, trainable, rank)
    return None


# What only wrappers of clustering and of quantization have.
_KEEPERS = frozenset({"original_clusterable_weights", "_weight_vars"})


def keeps_its_own(thing: Thing) -> bool:
    """Whether it is a wrapper whose own variables are trained though it is frozen."""
    return not _KEEPERS.isdisjoint(thing.names)


def kept(walked: Walked) -> frozenset[int]:
    """Numbers of the weights that clustering and quantization wrappers train as their own.

    They are trained whatever the flags of the wrapper and of the layer inside say.
    """
    found: set[int] = set()
    for thing in walked.things:
        if "original_clusterable_weights" in thing.names:
            found.update(_dict(walked, thing, "original_clusterable_weights").values())
        if "_weight_vars" in thing.names:
            found.update(_weights(walked, thing.child("_weight_vars")))
    return frozenset(found)


def _weights(walked: Walked, number: int | None) -> Iterator[int]:
    """The first of each tuple: (weight, quantizer, variables by name)."""
    for child in () if number is None else walked.things[number].children:
        weight = walked.things[child.node].child("0")
        if weight is not None and walked.things[weight].kind is Kind.VARIABLE:
            yield weight


def served(walked: Walked) -> Mapping[int, int]:
    """Number of a mask, threshold, centroid ... -> number of its weight."""
    found: dict[int, int] = {}
    for thing in walked.things:
        names = thing.names
        if "pruning_vars" in names:
            _tuples(walked, thing.child("pruning_vars"), found)
        if "_weight_vars" in names:
            _tuples(walked, thing.child("_weight_vars"), found)
            _ranges(walked, thing, found)
        if "original_clusterable_weights" in names:
            _labelled(walked, thing, found)
    return found


def _tuples(walked: Walked, number: int | None, found: dict[int, int]) -> None:
    """(weight, mask, threshold); (weight, quantizer, variables by name)."""
    if number is None:
        return
    for child in walked.things[number].children:
        group = walked.things[child.node]
        weight = group.child("0")
        if weight is None or walked.things[weight].kind is not Kind.VARIABLE:
            continue
        for part in group.children:
            inside = walked.things[part.node]
            made = [part.node] if inside.kind is Kind.VARIABLE else walked.variables(part.node)
            found.update({one: weight for one in made if one != weight})


def _ranges(walked: Walked, wrapper: Thing, found: dict[int, int]) -> None:
    """kernel_min, kernel_max and what cluster-preserving quantization keeps of a weight."""
    weights: dict[str, int] = {}
    for weight in _weights(walked, wrapper.child("_weight_vars")):
        weights[parts_of(walked.things[weight].stored_name or "")[1]] = weight
    for child in wrapper.children:
        told = _RANGE.match(child.name)
        if told is not None and told[1] in weights:
            found.setdefault(child.node, weights[told[1]])
        elif len(weights) == 1 and child.name.endswith("_tf"):
            found.setdefault(child.node, next(iter(weights.values())))


def _labelled(walked: Walked, wrapper: Thing, found: dict[int, int]) -> None:
    """Clustering: dicts with the same keys, of weights, centroids and indices."""
    weights = _dict(walked, wrapper, "original_clusterable_weights")
    for name in ("cluster_centroids", "pulling_indices"):
        for label, number in _dict(walked, wrapper, name).items():
            if label in weights:
                found[number] = weights[label]


def _dict(walked: Walked, wrapper: Thing, name: str) -> Mapping[str, int]:
    number = wrapper.child(name)
    return {} if number is None else {c.name: c.node for c in walked.things[number].children}
