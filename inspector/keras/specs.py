"""What the classes say of an artifact's tensors: each tensor's place, turned into a Variable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inspector.keras import tfmot
from inspector.keras.bind import Entry, fits, legacy_slots
from inspector.keras.layers import Variable, made_on_load, own_variables, trainable_on_load
from inspector.keras.order import Slot, effective_trainable, legacy_order, stored_layers
from inspector.keras.shapes import disagreement
from inspector.model import Flavor, Layer, Section, Store, Tensor

_COPIED = re.compile(r"_\d+$")  # the number that makes a repeated name unique


class Spec(NamedTuple):
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
    if store is Store.OBJECTS:
        return _by_names(layers, flavor, tensors, gates)
    wrapped = tfmot.wrappers(model) if model is not None else {}
    found: dict[str, Spec] = {}
    for owner, group in _groups(tensors).items():
        layer = layers.get(owner)
        if layer is None:
            continue
        places = _places(layer, flavor, store, wrapped.get(owner), group)
        if places is None:
            continue
        for tensor, slot in zip(group, places, strict=True):
            holder = layers.get(slot.layer_path, layer)
            found[tensor.name] = Spec(
                slot.variable, holder, flavor, _trainable(holder, flavor, slot, gates)
            )
    return found


def _by_names(
    layers: Mapping[str, Layer],
    flavor: Flavor,
    tensors: Iterable[Tensor],
    gates: Mapping[str, bool],
) -> dict[str, Spec]:
    """Specs where an object graph tells which layer has the variable, and its name: no order."""
    from inspector.keras.objects_wrappers import wrapper_variable

    lists: dict[str, Mapping[str, Variable]] = {}
    found: dict[str, Spec] = {}
    for tensor in tensors:
        layer = layers.get(tensor.layer or "") if tensor.layer is not None else None
        if layer is None or tensor.section is not Section.MODEL or tensor.variable is None:
            continue
        if layer.path not in lists:
            lists[layer.path] = {v.name: v for v in own_variables(layer, flavor) or ()}
        name = tensor.variable
        own = lists[layer.path]
        variable = own.get(name) or own.get(_COPIED.sub("", name)) or wrapper_variable(layer, name)
        rank = None if tensor.shape is None or tensor.keras_elements else len(tensor.shape)
        if variable is None or (None not in (variable.rank, rank) and variable.rank != rank):
            continue
        flag = tensor.trainable
        if flag is None or not variable.trainable:
            slot = Slot(layer.path, variable, variable.trainable)
            flag = _trainable(layer, flavor, slot, gates)
        found[tensor.name] = Spec(variable, layer, flavor, flag)
    return found


def misfits(
    model: Layer | None,
    flavor: Flavor,
    tensors: Iterable[Tensor],
    store: Store,
    specs: Mapping[str, Spec] | None = None,
) -> tuple[str, ...]:
    """Layers of the config whose class is known and whose stored variables are not its own.

    One sentence each: a wrong number, a wrong rank, or a shape that the config contradicts. Keras
    refuses to load such a file. specs: what `specs_of` says of these tensors, where it is known.
    """
    # Objects are found by their attributes: a variable more or less is no reason to refuse.
    if model is None or flavor is Flavor.KERAS1 or store is Store.OBJECTS:
        return ()
    layers = layers_of(model, ())
    wrapped = tfmot.wrappers(model)
    tensors = tuple(tensors)
    if specs is None:
        specs = specs_of(model, (), flavor, tensors, store)
    said: dict[str, str] = {}
    for owner, group in _groups(tensors).items():
        layer = layers.get(owner)
        if layer is None:
            continue
        if not any(t.name in specs for t in group):
            wanted = _wanted(layer, flavor, store, wrapped.get(owner), len(group))
            if wanted is not None:
                said[owner] = _counts(layer, wanted, group)
            continue
        for tensor in group:
            spec, shape = specs[tensor.name], tensor.shape
            if shape is not None and tensor.keras_elements is None:
                found = disagreement(spec.owner, spec.variable.name, shape)
                said |= {owner: found} if found is not None else {}
    return tuple(said.values())


def _counts(layer: Layer, wanted: int, group: Sequence[Tensor]) -> str:
    if wanted != len(group):
        return (
            f"{layer.class_name} {layer.path} has {wanted} variables by its config,"
            f" and {len(group)} are stored"
        )
    return f"the variables stored for {layer.class_name} {layer.path} do not have its ranks"


def _wanted(
    layer: Layer, flavor: Flavor, store: Store, wrapper: Layer | None, count: int
) -> int | None:
    if store is Store.LEGACY:
        slots = legacy_order(layer, flavor, count) if layer.path else None
        return None if slots is None else len(slots)
    own = tfmot.v3_variables(layer, flavor, wrapper=wrapper, count=count)
    return None if own is None else len(own)


def _groups(tensors: Iterable[Tensor]) -> dict[str, list[Tensor]]:
    """Tensors by owner, in their places."""
    groups: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        # A layer may be called optimizer, as the owner of the optimizer's own variables is.
        listed = tensor.owner is not None and tensor.position is not None
        if listed and tensor.section is Section.MODEL:
            groups.setdefault(tensor.owner or "", []).append(tensor)
    for group in groups.values():
        group.sort(key=lambda t: t.position or 0)
    return groups


def _places(
    layer: Layer, flavor: Flavor, store: Store, wrapper: Layer | None, group: Sequence[Tensor]
) -> Sequence[Slot] | None:
    if store is Store.LEGACY:
        if layer.path == "":
            return None  # variables of the model itself: no class tells their names
        return legacy_slots(layer, flavor, _entries(group))
    own = tfmot.v3_variables(layer, flavor, wrapper=wrapper, count=len(group))
    fit = own is not None and fits(own, _entries(group))
    return [Slot(layer.path, v, v.trainable) for v in own or ()] if fit else None


def _entries(group: Sequence[Tensor]) -> list[Entry]:
    return [Entry(t.stored_name, t.shape if t.keras_elements is None else None) for t in group]


def _trainable(layer: Layer, flavor: Flavor, slot: Slot, gates: Mapping[str, bool]) -> bool | None:
    if not slot.variable.trainable:
        return False
    if not gates:
        return None
    gate = layer.path if slot.kept_by is None else slot.kept_by
    return gates.get(gate, True) and trainable_on_load(layer, flavor, slot.variable)


def trainable_tensors(
    model: Layer | None,
    flavor: Flavor,
    tensors: Sequence[Tensor],
    store: Store,
    *,
    flags: bool = True,
) -> list[Tensor]:
    """The trainable variables in the loaded model's order, as far as the config tells.

    An optimizer keeps its slots in that order. Without a config the order is not known: empty.
    flags: False takes no notice of what the config says is frozen: it can have been frozen later.
    """
    if model is None:
        return []
    specs = specs_of(model, (), flavor, tensors, store)
    index = _by_place(specs, flavor, tensors)
    made = _made_on_load(model, flavor, tensors)
    layers = {one.path: one for one in model.walk()}
    gates = effective_trainable(model, flavor) if flags else {model.path: True}
    held_by = _held_by(specs, tensors, store)
    found: dict[str, Tensor] = {}
    for child in stored_layers(model, flavor):
        inside = [child.path] if store is Store.LEGACY else {one.path for one in child.walk()}
        slots = legacy_order(child, flavor, sum(held_by[path] for path in inside))
        if slots is None:
            return []
        for slot in slots:
            place = (slot.layer_path, slot.variable.name)
            held = index.get(place) or made.get(place, [])
            if held and _trainable(layers[slot.layer_path], flavor, slot, gates):
                tensor = held.pop(0) if len(held) > 1 else held[0]
                found.setdefault(tensor.name, tensor)
    return list(found.values())


def stored_shapes(tensors: Iterable[Tensor]) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Shapes of the stored variables, by layer path and by variable name."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        if tensor.layer is not None and tensor.variable is not None and tensor.shape is not None:
            shapes.setdefault(tensor.layer, {})[tensor.variable] = tensor.shape
    return shapes


def _made_on_load(
    model: Layer, flavor: Flavor, tensors: Sequence[Tensor]
) -> dict[tuple[str, str], list[Tensor]]:
    """Variables that an optimizer has slots for and no file stores: LoRA's, by place."""
    shapes = stored_shapes(tensors)
    return {
        (layer.path, name): [
            Tensor(f"{layer.path}/{name}", "float32", shape, 0, layer=layer.path, variable=name)
        ]
        for layer in model.walk()
        for name, shape in made_on_load(layer, flavor, shapes.get(layer.path, {}))
    }


def _by_place(
    specs: Mapping[str, Spec], flavor: Flavor, tensors: Sequence[Tensor]
) -> dict[tuple[str, str], list[Tensor]]:
    """Tensors by (layer path, variable name), copies left out."""
    index: dict[tuple[str, str], list[Tensor]] = {}
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


def _held_by(
    specs: Mapping[str, Spec], tensors: Sequence[Tensor], store: Store
) -> Counter[str | None]:
    """How many variables the file has of each layer, copies left out."""
    if store is Store.LEGACY:
        return Counter(tensor.owner for tensor in tensors)
    return Counter(t.owner for t in tensors if t.name in specs and specs[t.name].variable.counted)
