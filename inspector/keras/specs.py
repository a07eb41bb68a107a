"""What the classes say of an artifact's tensors: each tensor's place, turned into a Variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inspector.keras import tfmot
from inspector.keras.bind import Entry, fits
from inspector.keras.layers import Variable, trainable_on_load
from inspector.keras.order import effective_trainable, legacy_order, stored_layers
from inspector.model import Flavor, Layer, Store, Tensor


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor's variable in its class's own list.

    owner: the layer whose list it is in; trainable: in the loaded model, None without a config.
    """

    variable: Variable
    owner: Layer
    flavor: Flavor
    trainable: bool | None

    def about(self, by_variable: Mapping[tuple[str | None, str | None], Tensor]) -> Tensor | None:
        """The tensor that this one serves or repeats: a mask's kernel.

        by_variable: tensors by (layer path, variable name), copies left out.
        """
        said = self.variable.about
        if said is None:
            return None
        if "/" not in said:
            return by_variable.get((self.owner.path, said))
        found = tfmot.resolve(self.owner, said, self.flavor)
        if found is None:
            return None
        inner, name = found
        # Clustering and quantization keep the inner layer's variable themselves.
        return by_variable.get((inner.path, name)) or by_variable.get((self.owner.path, name))


def layers_of(model: Layer | None, guessed: Iterable[Layer]) -> dict[str, Layer]:
    """Every layer by its path: the config's tree, then those guessed from names."""
    found = {layer.path: layer for layer in model.walk()} if model is not None else {}
    return {**{layer.path: layer for layer in guessed}, **found}


def specs_of(
    model: Layer | None,
    guessed: Sequence[Layer],
    flavor: Flavor,
    tensors: Iterable[Tensor],
    store: Store,
) -> dict[str, Spec]:
    """Specs by tensor name, for the tensors whose owner's class is known and fits."""
    layers = layers_of(model, guessed)
    gates = effective_trainable(model, flavor) if model is not None else {}
    wrapped = tfmot.wrappers(model) if model is not None else {}
    groups: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.owner is not None and tensor.position is not None:
            groups.setdefault(tensor.owner, []).append(tensor)
    found: dict[str, Spec] = {}
    for owner, group in groups.items():
        layer = layers.get(owner)
        if layer is None:
            continue
        group.sort(key=lambda t: t.position or 0)
        places = _places(layer, flavor, store, wrapped.get(owner), group)
        if places is None:
            continue
        for tensor, (path, variable) in zip(group, places, strict=True):
            holder = layers.get(path, layer)
            found[tensor.name] = Spec(
                variable, holder, flavor, _trainable(holder, flavor, variable, gates)
            )
    return found


def _places(
    layer: Layer, flavor: Flavor, store: Store, wrapper: Layer | None, group: Sequence[Tensor]
) -> list[tuple[str, Variable]] | None:
    if store is Store.LEGACY:
        if layer.path == "":
            return None  # variables of the model itself: no class tells their names
        ranks = [
            None if t.shape is None or t.keras_elements is not None else len(t.shape) for t in group
        ]
        slots = legacy_order(layer, flavor, len(group), ranks)
        places = None if slots is None else [(s.layer_path, s.variable) for s in slots]
    else:
        own = tfmot.v3_variables(layer, flavor, wrapper=wrapper, count=len(group))
        places = None if own is None else [(layer.path, v) for v in own]
    if places is None:
        return None
    entries = [Entry(None, t.shape if t.keras_elements is None else None) for t in group]
    return places if fits([variable for _, variable in places], entries) else None


def _trainable(
    layer: Layer, flavor: Flavor, variable: Variable, gates: Mapping[str, bool]
) -> bool | None:
    if not variable.trainable:
        return False
    if not gates:
        return None
    return gates.get(layer.path, True) and trainable_on_load(layer, flavor, variable)


def trainable_tensors(
    model: Layer | None,
    flavor: Flavor,
    tensors: Sequence[Tensor],
    store: Store,
) -> list[Tensor]:
    """The trainable variables in the loaded model's order, as far as the config tells.

    An optimizer keeps its slots in that order. Without a config the order is not known: empty.
    """
    if model is None:
        return []
    index = _by_place(model, flavor, tensors, store)
    gates = effective_trainable(model, flavor)
    found: dict[str, Tensor] = {}
    for child in stored_layers(model, flavor):
        slots = legacy_order(child, flavor, _count(child, tensors, store))
        if slots is None:
            return []
        for slot in slots:
            held = index.get((slot.layer_path, slot.variable.name), [])
            if held and slot.variable.trainable and gates.get(slot.layer_path, True):
                tensor = held.pop(0) if len(held) > 1 else held[0]
                found.setdefault(tensor.name, tensor)
    return list(found.values())


def _by_place(
    model: Layer, flavor: Flavor, tensors: Sequence[Tensor], store: Store
) -> dict[tuple[str, str], list[Tensor]]:
    """Tensors by (layer path, variable name), copies left out."""
    index: dict[tuple[str, str], list[Tensor]] = {}
    specs = specs_of(model, (), flavor, tensors, store)
    for tensor in tensors:
        spec = specs.get(tensor.name)
        if spec is None or not spec.variable.counted:
            continue
        index.setdefault((spec.owner.path, spec.variable.name), []).append(tensor)
        # A variable that a wrapper keeps for the inner layer is that layer's to the model.
        inner = tfmot.resolve(spec.owner, spec.variable.about or "", flavor)
        if inner is not None and inner[1] == spec.variable.name:
            index.setdefault((inner[0].path, inner[1]), []).append(tensor)
    return index


def _count(layer: Layer, tensors: Sequence[Tensor], store: Store) -> int | None:
    if store is not Store.LEGACY:
        return None
    return sum(1 for tensor in tensors if tensor.owner == layer.path)
