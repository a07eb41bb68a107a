"""What each built-in Keras layer class owns: its variables, in the orders that files have them.

Facts about classes only: nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.keras.layers_children import children_of
from inspector.keras.layers_keras1 import KERAS1
from inspector.keras.layers_quantized import (
    adapter_shapes,
    is_adapted,
    loaded_order,
    stored_variables,
    unpacked_shape,
)
from inspector.keras.layers_table import KERAS3, OPAQUE, SPELLINGS, TF_KERAS, Row, Variable
from inspector.model import Flavor, Layer

_OWN: Mapping[Flavor, Mapping[str, tuple[Row, ...]]] = {
    Flavor.KERAS1: KERAS1,
    # Keras 2 could still load Keras 1's highway and maxout layers, under its own name for neither.
    Flavor.TF_KERAS: {**{name: KERAS1[name] for name in ("Highway", "MaxoutDense")}, **TF_KERAS},
    Flavor.KERAS3: KERAS3,
}

__all__ = [
    "Variable",
    "implied_children",
    "known_classes",
    "made_on_load",
    "own_variables",
    "trainable_on_load",
    "unpacked",
    "weights_order",
]


_LIBRARIES = frozenset({"keras", "keras_core", "tensorflow", "tf_keras"})
_OPERATIONS = ("keras.src.ops.", "keras.ops.")


def _class_of(layer: Layer) -> str:
    return SPELLINGS.get(layer.class_name, layer.class_name)


def _rows(layer: Layer, flavor: Flavor) -> tuple[Row, ...] | None:
    """The rows of the layer's class that hold for its config; None for a class of other code."""
    module = layer.module
    if module is None:
        # Keras names no module for a class that a user registered, whatever the class is called.
        if layer.registered is not None:
            return None
    elif module.startswith(_OPERATIONS):
        return ()  # a function of `keras.ops` called on a symbolic tensor
    elif module.partition(".")[0] not in _LIBRARIES:
        return None
    rows = _OWN[flavor].get(_class_of(layer))
    return None if rows is None else tuple(row for row in rows if row.when(layer.config))


def own_variables(
    layer: Layer, flavor: Flavor, stored: int | None = None
) -> tuple[Variable, ...] | None:
    """The variables of the layer itself, in the order in which a v3 store numbers them.

    stored: number of arrays that the store has for this layer, where known; it settles what the
    config leaves open (see `layers_quantized.stored_variables`). Variables of sub-layers are not
    among them. None where the class is not known, or foreign code makes its variables.
    """
    rows = _rows(layer, flavor)
    if rows is None:
        return None
    plain = tuple(row.variable for row in rows)
    if flavor is not Flavor.KERAS3:
        return plain
    return stored_variables(layer, _class_of(layer), plain, stored)


def weights_order(
    layer: Layer, flavor: Flavor, *, quantized_later: bool = False
) -> tuple[Variable, ...] | None:
    """The layer's own variables in the order of `layer.weights`, once built from its config.

    LoRA's matrices are among them, and a calibrated kernel's zero point, which keras 3.15 leaves
    out of the store. A variable that repeats another layer's (role alias) comes where it does.
    quantized_later: `quantize` was called on the built layer, and it was saved without loading.
    """
    rows = _rows(layer, flavor)
    if rows is None:
        return None
    plain = tuple(row.variable for row in rows if row.in_weights)
    if flavor is not Flavor.KERAS3:
        return plain
    return loaded_order(layer, _class_of(layer), plain, quantized_later=quantized_later)


def implied_children(layer: Layer, flavor: Flavor) -> tuple[Layer, ...]:
    """The sub-layers that the class makes itself and `layer.children` does not have.

    Their `attr` is the path component that a v3 store has for them. Layers that a config spells out
    are not among them: Bidirectional's two are copies of the one that its config has.
    """
    return children_of(layer, _class_of(layer), flavor)


def made_on_load(
    layer: Layer, flavor: Flavor, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Variables that loading makes though no file stores them: (name, shape). All are trainable.

    shapes: the stored shapes of the layer's variables, by name.
    """
    if flavor is not Flavor.KERAS3:
        return ()
    return adapter_shapes(layer, _class_of(layer), shapes)


def trainable_on_load(layer: Layer, flavor: Flavor, variable: Variable) -> bool:
    """Whether the variable is trainable once loaded, while the layer's own flag is on."""
    frozen = flavor is Flavor.KERAS3 and is_adapted(layer, _class_of(layer), variable.name)
    return variable.trainable and not frozen


def unpacked(
    layer: Layer,
    variable_name: str,
    stored_shape: tuple[int, ...],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[tuple[int, ...], int] | None:
    """For a Keras 3 variable kept two values a byte: its logical shape, and the axis so packed.

    shapes: the stored shapes of the layer's other variables, by name; an EinsumDense's scales tell
    its size where the config does not. EinsumDense's logical shape is the flat (rows, columns).
    None where the variable is not packed, or its size cannot be told.
    """
    return unpacked_shape(layer, _class_of(layer), variable_name, stored_shape, shapes or {})


def known_classes(flavor: Flavor) -> frozenset[str]:
    """Names of the layer classes that `own_variables` answers for, or knows to be foreign code."""
    spellings = {name for name, usual in SPELLINGS.items() if usual in _OWN[flavor]}
    return frozenset(_OWN[flavor]) | spellings | OPAQUE
