"""What the wrappers of tensorflow-model-optimization own, in the order in which files have it.

A wrapper's variables are two lists, as in Keras: trainable, then non-trainable, each in the order
of creation. The lists also hold inner variables again (an attribute that refers to a variable
tracks it), and clustering and quantization take the variables that they replace away from the
inner layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from inspector.keras import layers
from inspector.keras.layers import Variable
from inspector.keras.paths import relative_paths
from inspector.keras.tfmot_plans import BUILDERS, Wrapped, unknown_inside
from inspector.model import Flavor, Layer, Role

# Class -> a config key that no wrapper of tfmot's lacks: a look-alike under the same name has not.
_CLASSES: Mapping[str, str] = {
    "PruneLowMagnitude": "pruning_schedule",
    "ClusterWeights": "number_of_clusters",
    "ClusterWeightsRNN": "number_of_clusters",
    "ClusterWeightsMHA": "number_of_clusters",
    "QuantizeWrapper": "quantize_config",
    "QuantizeWrapperV2": "quantize_config",
    "QuantizeAnnotate": "quantize_config",
    "QuantizeLayer": "quantizer",
}

CLASSES = frozenset(_CLASSES)

_PRUNING = "PruneLowMagnitude"

# Roles of variables that have the shape of the weight they are about.
_SAME_SHAPE = frozenset(
    {Role.ALIAS, Role.WEIGHT, Role.MASK, Role.CLUSTER_INDICES, Role.CLUSTER_ORIGINAL}
)

_MODULE = "tensorflow_model_optimization"


def is_tfmot(layer: Layer) -> bool:
    """Whether this is tfmot's own class: by name, by its config, and by what registered it."""
    key = _CLASSES.get(layer.class_name)
    if key is None or key not in layer.config:
        return False
    if layer.module is not None and not layer.module.startswith(_MODULE):
        return False
    return layer.registered in (None, layer.class_name)


def wrappers(root: Layer) -> Mapping[str, Layer]:
    """Path of each layer inside a tfmot wrapper -> that wrapper (the innermost)."""
    return {
        inner.path: wrapper
        for wrapper in root.walk()
        if is_tfmot(wrapper)
        for inner in wrapper.walk()
        if inner is not wrapper
    }


def variants(layer: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    """The ways in which this wrapper can have been built, the usual one first.

    The config does not say all: whether quantization kept clusters, whether the inner layer was
    frozen when it was wrapped. The number of stored variables tells. Empty where the class inside
    is not known.
    """
    return _inside(_Key(layer, flavor)).variants


def v3_variables(
    layer: Layer, flavor: Flavor, *, wrapper: Layer | None = None, count: int | None = None
) -> tuple[Variable, ...] | None:
    """The variables at one object path of a v3 store, in their order; None if not known.

    wrapper: the tfmot wrapper that holds the layer (see `wrappers`): some of the layer's variables
    may be kept there instead. count: how many the file has there; it picks among `variants`.
    """
    if layer.class_name in CLASSES:
        found = variants(layer, flavor)
        if not found and count is not None and is_tfmot(layer) and layer.class_name == _PRUNING:
            found = unknown_inside(count)
        return next((one.variables for one in _fitting(found, count)), None)
    own = layers.own_variables(layer, flavor, count if wrapper is None else None)
    if own is None or wrapper is None:
        return own
    inside = _inside(_Key(wrapper, flavor))
    where = inside.relative.get(layer.path)
    if where is None:
        return own
    # Which variant it is shows in the wrapper's own group; all agree on what moved, or nothing did.
    choices = [
        tuple(v for v in own if f"{where}/{v.name}" not in one.moved) for one in inside.variants
    ]
    return next((c for c in choices if count is None or len(c) == count), None) if choices else own


class _Key:
    """A wrapper as the key of a cache: by identity, since a layer's config has no hash."""

    __slots__ = ("flavor", "layer")

    def __init__(self, layer: Layer, flavor: Flavor) -> None:
        self.layer = layer
        self.flavor = flavor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.layer is self.layer and other.flavor is self.flavor

    def __hash__(self) -> int:
        return hash((id(self.layer), self.flavor))


@dataclass(frozen=True, slots=True)
class _Inside:
    """What is inside a wrapper: layers by relative path, relative paths by path, its variants."""

    layers: Mapping[str, Layer]
    relative: Mapping[str, str]
    variants: tuple[Wrapped, ...]


@lru_cache(maxsize=8)
def _inside(key: _Key) -> _Inside:
    # Asked once for each variable of a wrapper, and what is inside may be large.
    found = relative_paths(key.layer, key.flavor)
    built = BUILDERS[key.layer.class_name] if is_tfmot(key.layer) else None
    return _Inside(
        found,
        {one.path: path for path, one in found.items()},
        () if built is None else _ranked(built(key.layer, key.flavor), found, key.flavor),
    )


def _ranked(
    found: tuple[Wrapped, ...], inside: Mapping[str, Layer], flavor: Flavor
) -> tuple[Wrapped, ...]:
    """The variants, with the ranks of what has the shape of an inner variable."""
    ranks = {
        f"{path}/{variable.name}": variable.rank
        for path, layer in inside.items()
        for variable in layers.own_variables(layer, flavor) or ()
    }

    def ranked(variable: Variable) -> Variable:
        if variable.about is None or variable.role not in _SAME_SHAPE:
            return variable
        return replace(variable, rank=ranks.get(variable.about))

    return tuple(
        Wrapped(tuple(map(ranked, one.trainable)), tuple(map(ranked, one.non_trainable)), one.moved)
        for one in found
    )


def _fitting(found: Sequence[Wrapped], count: int | None) -> Iterable[Wrapped]:
    if count is None:
        return found
    return [one for one in found if len(one.variables) == count] or found


def resolve(wrapper: Layer, about: str, flavor: Flavor) -> tuple[Layer, str] | None:
    """The inner layer and the variable's name that a path relative to the wrapper means."""
    where, _, name = about.rpartition("/")
    inner = _inside(_Key(wrapper, flavor)).layers.get(where)
    return None if inner is None else (inner, name)
