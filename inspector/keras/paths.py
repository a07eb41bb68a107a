"""From the layer tree to the group paths of a v3 store.

A v3 store has no layer names: Keras walks the live objects attribute by attribute and names a group
after the attribute, or, inside a list, after the class in snake case with a running number. The
walk is simulated here on the config's tree. Source: `_save_state`, `_walk_saveable` and
`_save_container_state` of keras 3.0 to 3.15, and of keras 2.12 to 2.15 and tf_keras 2.21.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from inspector.keras import layers
from inspector.keras.config import shared_layers, snake_case
from inspector.model import Flavor, Layer

Order = Callable[[str], tuple[int, ...]]

# A config has the name that Keras exports a class under; a store has the class's own.
_WRITTEN_AS: Mapping[str, str] = {"GroupQueryAttention": "GroupedQueryAttention"}

# Attributes that are lists whatever the config says.
CONTAINERS = frozenset({"layers", "cells", "_layer_checkpoint_dependencies"})


def _ascending(attr: str) -> tuple[int, ...]:
    return tuple(map(ord, attr))


def _descending(attr: str) -> tuple[int, ...]:
    # One more than any letter at the end, so that "layer" comes after "layers", as reversed.
    return (*(-ord(letter) for letter in attr), 1)


def _private_last(attr: str) -> tuple[int, ...]:
    return _ascending(f"~{attr}" if attr.startswith("_") else attr)


@dataclass(frozen=True, slots=True)
class _Scheme:
    """How one release of Keras walks.

    order: sort key of a layer's attributes. layers: name of a functional model's list. private:
    attributes that this release has with a "_" before. skip: a layer seen already takes no number
    in a list. doubled: layers with weights stand twice in the list, so each takes two numbers (the
    first is used).
    """

    order: Order
    layers: str = "layers"
    private: frozenset[str] = frozenset()
    skip: bool = False
    doubled: bool = False


# Of MultiHeadAttention; public since Keras 3.3.
_PROJECTIONS = frozenset({"query_dense", "key_dense", "value_dense", "output_dense"})

# The first of each is the newest; the others are tried when the file's paths fit them better.
_SCHEMES: Mapping[Flavor, tuple[_Scheme, ...]] = {
    Flavor.KERAS3: (_Scheme(_private_last), _Scheme(_ascending, private=_PROJECTIONS)),
    Flavor.TF_KERAS: (
        _Scheme(_descending, skip=True),
        _Scheme(_ascending, "_layer_checkpoint_dependencies", skip=True),
        _Scheme(_ascending, "_layer_checkpoint_dependencies", doubled=True),
    ),
}


def object_paths(
    root: Layer, flavor: Flavor, present: Collection[str] | None = None
) -> Mapping[str, Layer]:
    """Group path in the store (without "/vars"; "" is the root) -> the layer saved there.

    present: the file's own group paths, by which the release's way of walking is told; without them
    the newest. Paths have "/" between parts: pass names that Windows wrote through `tidy` first.
    """
    schemes = _SCHEMES.get(flavor, _SCHEMES[Flavor.TF_KERAS])
    walks = [_walk(root, flavor, scheme) for scheme in schemes]
    if present is None:
        return walks[0]
    wanted = {tidy(path) for path in present}
    return max(walks, key=lambda found: len(wanted & found.keys()))


def relative_paths(layer: Layer, flavor: Flavor) -> Mapping[str, Layer]:
    """The same for what is inside one layer: "layer/cell" -> the cell; "" is the layer itself."""
    return _walk(layer, flavor, _SCHEMES.get(flavor, _SCHEMES[Flavor.TF_KERAS])[0])


def tidy(path: str) -> str:
    """A group path with "/" between its parts (Windows wrote backslashes into the names)."""
    return path.replace("\\", "/").strip("/")


def group_name(class_name: str) -> str:
    """A class name as Keras writes it in group names: "Custom>My-Layer" -> "my_layer"."""
    return snake_case(re.sub(r"\W+", "", class_name.rpartition(">")[2]))


def _walk(root: Layer, flavor: Flavor, scheme: _Scheme) -> Mapping[str, Layer]:
    walk = _Walk(flavor, scheme, shared_layers(root))
    walk.visit(root, "")
    return walk.found


@dataclass(slots=True)
class _Walk:
    flavor: Flavor
    scheme: _Scheme
    repeats: Mapping[str, str]
    found: dict[str, Layer] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def visit(self, layer: Layer, path: str) -> None:
        """Save a layer: itself, then what its attributes hold. For a shared one the first wins."""
        identity = self._identity(layer)
        if identity in self.seen:
            return
        self.seen.add(identity)
        self.found[path] = layer
        for attr, children in self._attributes(layer):
            inner = f"{path}/{attr}" if path else attr
            if attr == self.scheme.layers or _is_list(layer, children[0].attr):
                for name, child in self._numbered(children, attr):
                    self.visit(child, f"{inner}/{name}")
            else:
                self.visit(children[0], inner)

    def _identity(self, layer: Layer) -> str:
        return self.repeats.get(layer.path, layer.path)

    def _attributes(self, layer: Layer) -> list[tuple[str, list[Layer]]]:
        held: dict[str, list[Layer]] = {}
        for child in layer.children:
            held.setdefault(self._attribute(layer, child.attr), []).append(child)
        # Keras 3 saves a model's own layers before any other attribute.
        first = self.scheme.layers if layer.is_model and self.flavor is Flavor.KERAS3 else None
        return sorted(held.items(), key=lambda item: (item[0] != first, self.scheme.order(item[0])))

    def _attribute(self, layer: Layer, attr: str) -> str:
        if layer.is_model and attr == "layers":
            return self.scheme.layers
        return f"_{attr}" if attr in self.scheme.private else attr

    def _numbered(self, children: list[Layer], attr: str) -> Iterator[tuple[str, Layer]]:
        used: dict[str, int] = {}
        doubled = self.scheme.doubled and attr == self.scheme.layers
        for child in children:
            if self.scheme.skip and self._identity(child) in self.seen:
                continue
            base = group_name(_WRITTEN_AS.get(child.class_name, child.class_name))
            number = used.get(base, 0)
            used[base] = number + (2 if doubled and self._has_weights(child) else 1)
            yield (f"{base}_{number}" if number else base), child

    def _has_weights(self, layer: Layer) -> bool:
        return any(layers.own_variables(one, self.flavor) != () for one in layer.walk())


def _is_list(layer: Layer, attr: str) -> bool:
    return attr in CONTAINERS or not _is_node(layer.config.get(attr, {"class_name": ""}))


def _is_node(value: object) -> bool:
    return isinstance(value, Mapping) and "class_name" in value
