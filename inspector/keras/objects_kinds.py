"""What kind of object each object of a graph is: by the SavedModel's word, else by what it holds.

A checkpoint tells no class, and its attributes are telling all the same. Source: the attributes
that the objects of keras 3.15, tf_keras 2.21 and tensorflow 2.21 track.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from inspector.model import Flavor
from inspector.wire.object_graph import ObjectNode


class Kind(enum.Enum):
    """What an object is.

    TABLE: one that stores tensors and is no variable; OBJECT: of no class that is known, such as a
    tf.Module.
    """

    VARIABLE = enum.auto()
    TABLE = enum.auto()
    CONTAINER = enum.auto()
    MODEL = enum.auto()
    LAYER = enum.auto()
    METRIC = enum.auto()
    OPTIMIZER = enum.auto()
    OBJECT = enum.auto()


KERAS = frozenset({Kind.MODEL, Kind.LAYER, Kind.METRIC})

_VALUE = "VARIABLE_VALUE"
NO_TENSOR = frozenset({"OBJECT_CONFIG_JSON", "py_state"})
_CONTAINERS = re.compile(r"^trackable_(list|tuple|dict)_wrapper$")
_MODELS = re.compile(r"^_tf_keras_(sequential|network|model)$")
INDEXED = re.compile(r"^layer(_with_weights)?-(\d{1,9})$")
# What an optimizer always holds, for each line of classes.
_OPTIMIZERS = (
    {"_variables", "_learning_rate"},
    {"_iterations", "_learning_rate"},
    {"iter", "learning_rate"},
    {"iter", "decay"},
    {"beta1_power", "beta2_power"},
    {"inner_optimizer", "dynamic_scale"},
)
# What a metric holds, for the classes that can be told by it.
_METRICS = ({"total", "count"}, {"true_positives"}, {"false_negatives"}, {"total_confusion_matrix"})
# Attributes that only objects of Keras 3 have.
_KERAS3 = frozenset(
    {
        *("_all_variables", "_functional", "_operations", "_compiled_trainable_state"),
        *("_loss_ids", "call_signature_parameters"),
    }
)
# The lists of a model as `model.export()` writes it: they are all that there is.
_EXPORTED = frozenset({"variables", "trainable_variables", "non_trainable_variables"})


def kind_of(
    node: ObjectNode, partner: ObjectNode | None, identifier: str, stored: Mapping[str, Any]
) -> Kind:
    """What an object is.

    partner: the same object in the SavedModel's graph; identifier: Keras' or the graph's word for
    it; stored: what the bundle has, by key.
    """
    attributes = [one for one in node.attributes if one.name not in NO_TENSOR]
    if (partner is not None and partner.kind == "variable") or any(
        one.name == _VALUE for one in attributes
    ):
        return Kind.VARIABLE
    if any(f"{one.key}-keys" in stored or one.key in stored for one in attributes):
        return Kind.TABLE
    if identifier:
        kind = _kind_by_identifier(identifier)
        if kind is not None:
            return kind
    return _kind_by_names({one.name for one in node.children}, bool(node.slots))


def _kind_by_identifier(identifier: str) -> Kind | None:
    if _CONTAINERS.match(identifier):
        return Kind.CONTAINER
    if _MODELS.match(identifier):
        return Kind.MODEL
    if identifier == "_tf_keras_metric":
        return Kind.METRIC
    if identifier.startswith("_tf_keras_"):
        return Kind.LAYER
    if identifier in {"optimizer", "experimentalOptimizer"}:
        return Kind.OPTIMIZER
    return None


def _kind_by_names(names: set[str], slots: bool) -> Kind:
    """What an object is by what it holds: a checkpoint tells no class."""
    if slots or any(wanted <= names for wanted in _OPTIMIZERS):
        return Kind.OPTIMIZER
    if _is_metric(names):
        return Kind.METRIC
    if names & {"_functional", "_operations"} or any(map(INDEXED.match, names)):
        return Kind.MODEL
    if names & {"_compiled_trainable_state", "train_function"} or names >= _EXPORTED:
        return Kind.MODEL
    if "call_signature_parameters" in names:
        return Kind.LAYER
    if names and all(name.isdecimal() for name in names):
        return Kind.CONTAINER
    return Kind.OBJECT


def _is_metric(names: Collection[str]) -> bool:
    """Whether an object that holds these is a metric."""
    return any(wanted <= set(names) for wanted in _METRICS)


def flavor_of(objects: Iterable[tuple[str, Collection[str]]]) -> Flavor:
    """The line of Keras, from every object's identifier and the names of what it holds."""
    keras3 = any(
        not _KERAS3.isdisjoint(names)
        and "_endpoint_names" not in names  # tf_keras' own exports
        and not identifier.startswith("_tf_keras")
        for identifier, names in objects
    )
    return Flavor.KERAS3 if keras3 else Flavor.TF_KERAS
