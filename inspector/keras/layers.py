"""What each built-in Keras layer class owns: its variables, in the orders that files have them.

Facts about classes only: nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.keras.layers_children import children_of
from inspector.keras.layers_table import OPAQUE, OWN, SPELLINGS, Variable
from inspector.model import Flavor, Layer

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


def _class_of(layer: Layer) -> str:
    return SPELLINGS.get(layer.class_name, layer.class_name)


def own_variables(layer: Layer, flavor: Flavor) -> tuple[Variable, ...] | None:
    """The variables of the layer itself, in the order in which a v3 store numbers them.

    Variables of sub-layers are not among them. None where the class is not known.
    """
    rows = OWN[flavor].get(_class_of(layer))
    if rows is None:
        return None
    return tuple(row.variable for row in rows if row.when(layer.config))


def weights_order(layer: Layer, flavor: Flavor) -> tuple[Variable, ...] | None:
    """The same variables in the order of the loaded layer's own part of `layer.weights`."""
    return own_variables(layer, flavor)


def implied_children(layer: Layer, flavor: Flavor) -> tuple[Layer, ...]:
    """The sub-layers that the class makes itself and `layer.children` does not have.

    Their `attr` is the path component that a v3 store has for them.
    """
    return children_of(layer, _class_of(layer), flavor)


def made_on_load(
    layer: Layer, flavor: Flavor, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, int, bool], ...]:
    """Variables that loading makes though no file stores them: (name, elements, trainable).

    shapes: the stored shapes of the layer's variables, by name.
    """
    return ()


def trainable_on_load(layer: Layer, flavor: Flavor, variable: Variable) -> bool:
    """Whether the variable is trainable once loaded, while the layer's own flag is on."""
    return variable.trainable


def unpacked(
    layer: Layer, variable_name: str, stored_shape: tuple[int, ...]
) -> tuple[tuple[int, ...], int] | None:
    """For a tensor kept two values a byte: its logical shape, and the axis where values share one."""
    return None


def known_classes(flavor: Flavor) -> frozenset[str]:
    """Names of the layer classes that `own_variables` answers for, or knows to be opaque."""
    spellings = {name for name, usual in SPELLINGS.items() if usual in OWN[flavor]}
    return frozenset(OWN[flavor]) | spellings | OPAQUE
