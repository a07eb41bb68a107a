"""The order of a layer's variables in a legacy HDF5 file, and what is trainable once loaded.

A legacy file lists, for each top-level layer, `trainable_weights + non_trainable_weights` of the
live object, by position. Freezing a sub-layer moves its variables from the first part to the
second, and Keras 2 and Keras 3 put the parts together in different ways. Source: those properties
of Layer and Model in keras 1.2, 2.2 and 3.15 and tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inspector.changed import changed
from inspector.keras import layers, tfmot
from inspector.keras.config import shared_layers
from inspector.keras.layers import Variable
from inspector.model import Flavor, Layer, Role

# Sub-layers not in the config as such whose flag loading restores all the same.
_PASSED_ON = frozenset({"cell", "forward_layer", "backward_layer"})

# Classes that make their cell without passing the flag on.
_KEPT_BACK = frozenset({"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})

# More than any wrapper has variants. To Keras 3 they are: built from the config; quantized once
# built; without activations that are layers, which it builds only when they are called.
_VARIANTS = 3
_QUANTIZED_LATER, _NOT_CALLED = 1, 2


class Slot(NamedTuple):
    """One place in `weight_names`.

    layer_path: the layer that the variable belongs to, which may be deep inside the top-level one.
    trainable: whether it stands in the trainable part. kept_by: the tfmot wrapper that took it away
    from the layer; the wrapper's flag is then asked, not the layer's.
    """

    layer_path: str
    variable: Variable
    trainable: bool
    kept_by: str | None = None


def legacy_order(
    layer: Layer,
    flavor: Flavor,
    count: int | None = None,
    ranks: Sequence[int | None] | None = None,
) -> tuple[Slot, ...] | None:
    """The variables of a top-level layer as its group's `weight_names` lists them.

    count, ranks: how many the file lists, and of how many dimensions; they tell how tfmot's
    wrappers and quantized layers were built, where they can have been in several ways. None where
    the class of the layer, or of one inside, is not known.
    """
    usual: tuple[Slot, ...] | None = None
    for variant in range(_VARIANTS):
        parts = _Parts(flavor, shared_layers(layer), variant).of(layer, layer.trainable)
        if parts is None:
            return None
        slots = _slots(parts)
        if count is None or (len(slots) == count and _have_ranks(slots, ranks)):
            return slots
        usual = usual or slots
    return usual


def _have_ranks(slots: Sequence[Slot], ranks: Sequence[int | None] | None) -> bool:
    return ranks is None or all(
        slot.variable.rank is None or rank is None or slot.variable.rank == rank
        for slot, rank in zip(slots, ranks, strict=False)
    )


def stored_layers(root: Layer, flavor: Flavor) -> tuple[Layer, ...]:
    """The layers that a legacy file lists in `layer_names`, as far as the config shows them.

    The model's own layers; in Keras 1, where a Sequential begins with a Merge, those of its
    branches instead of the Merge. Whether an InputLayer is listed depends on the release.
    """
    if flavor is not Flavor.KERAS1:
        return root.children
    return tuple(one for child in root.children for one in _branches(child))


def effective_trainable(root: Layer, flavor: Flavor) -> Mapping[str, bool]:
    """Layer path -> whether the layer's trainable variables are trainable in the loaded model.

    Loading restores each layer's own flag. Keras 2: a model's own flag is not restored, and a
    frozen layer freezes what is inside; tfmot's wrappers leave it to the layer inside, and what a
    clustering or quantization wrapper keeps itself is always trainable. Keras 3 (from 3.3 on;
    3.0 forgets the flags): that of a functional root counts, those of models inside do not; of the
    layers that make sub-layers themselves only an RNN passes its flag on, to its cell.
    """
    gates: dict[str, bool] = {}
    if flavor is Flavor.KERAS3:
        functional = "output_layers" in root.config
        _gates_keras3(root, gates, frozen=functional and root.trainable is False)
    else:
        _gates_keras2(root, True, gates)
    return gates


def _gates_keras2(layer: Layer, gate: bool, gates: dict[str, bool]) -> None:
    if not layer.is_model and not tfmot.is_tfmot(layer):
        gate = gate and layer.trainable is not False
    gates[layer.path] = gate
    for child in layer.children:
        _gates_keras2(child, gate, gates)


def _gates_keras3(layer: Layer, gates: dict[str, bool], *, frozen: bool) -> None:
    gates[layer.path] = layer.trainable is not False and not frozen
    for child in layer.children:
        made = not layer.is_model and child.attr not in layer.config
        forgotten = made and (child.attr not in _PASSED_ON or layer.class_name in _KEPT_BACK)
        restored = changed(child, trainable=None) if forgotten else child
        _gates_keras3(restored, gates, frozen=frozen)


def _branches(layer: Layer) -> Iterable[Layer]:
    if layer.class_name != "Merge":
        return (layer,)
    return tuple(
        one
        for branch in layer.children
        for inner in (branch.children if branch.is_model else (branch,))
        for one in _branches(inner)
    )


Identity = tuple[str, str, str | None]


class _Ref(NamedTuple):
    """A live variable: the layer that has it, and whether its own flag is on (Keras 3)."""

    identity: Identity
    path: str
    variable: Variable
    on: bool = True
    kept_by: str | None = None


_Lists = tuple[list[_Ref], list[_Ref]]


def _slots(parts: _Lists) -> tuple[Slot, ...]:
    return tuple(
        Slot(ref.path, ref.variable, trainable, ref.kept_by)
        for refs, trainable in zip(parts, (True, False), strict=True)
        for ref in refs
    )


def _unique(refs: Iterable[_Ref]) -> list[_Ref]:
    first: dict[Identity, _Ref] = {}
    for ref in refs:
        first.setdefault(ref.identity, ref)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class _Parts:
    """Puts together `trainable_weights` and `non_trainable_weights` of a layer.

    repeats: the layers that stand in the tree twice. variant: which of the ways in which a layer
    can have been built (see `_VARIANTS`).
    """

    flavor: Flavor
    repeats: Mapping[str, str]
    variant: int

    def of(self, layer: Layer, flag: bool | None) -> _Lists | None:
        """Both lists. flag: the layer's own, or its maker's where the config has none."""
        if self.flavor is Flavor.KERAS3:
            weights = self._weights(layer, flag is not False)
            if weights is None:
                return None
            if flag is False:
                return [], weights
            return [r for r in weights if r.on], [r for r in weights if not r.on]
        return self._lists(layer)

    def _ref(self, layer: Layer, variable: Variable, *, on: bool = True) -> _Ref:
        path = self.repeats.get(layer.path, layer.path)
        return _Ref((path, variable.name, variable.about), layer.path, variable, on)

    def _own_ref(self, layer: Layer, variable: Variable, on: bool) -> _Ref:
        """A variable of the layer's own list, or the inner layer's that it repeats."""
        repeated = variable.role is Role.ALIAS
        found = tfmot.resolve(layer, variable.about or "", self.flavor) if repeated else None
        if found is None:
            flag = on and layers.trainable_on_load(layer, self.flavor, variable)
            return self._ref(layer, variable, on=flag)
        inner, name = found
        own = layers.own_variables(inner, self.flavor) or ()
        same = next((v for v in own if v.name == name), variable)
        return self._own_ref(inner, same, on if inner.trainable is None else inner.trainable)

    def _own(self, layer: Layer) -> Sequence[Variable] | None:
        """The layer's own variables in order; a model that lists its layers has none."""
        later = self.flavor is Flavor.KERAS3 and self.variant == _QUANTIZED_LATER
        own = layers.weights_order(layer, self.flavor, quantized_later=later)
        if own is None:
            return [] if layer.is_model and layer.children else None
        return own

    def _weights(self, layer: Layer, on: bool) -> list[_Ref] | None:
        """Keras 3: `layer.weights`, each with its flag."""
        own = self._own(layer)
        if own is None:
            return None
        refs = [self._own_ref(layer, v, on) for v in own]
        for child in layer.children:
            if self.variant == _NOT_CALLED and "activation" in child.attr:
                continue
            inner = self._weights(child, on if child.trainable is None else child.trainable)
            if inner is None:
                return None
            refs += inner
        return _unique(refs)

    def _lists(self, layer: Layer) -> _Lists | None:
        """Keras 1 and 2: both lists."""
        if layer.class_name in tfmot.CLASSES:
            return self._wrapped(layer)
        own = self._own(layer)
        if own is None:
            return None
        trainable = [self._own_ref(layer, v, True) for v in own if v.trainable]
        rest = [self._ref(layer, v) for v in own if not v.trainable]
        inside: list[_Lists] = []
        for child in layer.children:
            lists = self._lists(child)
            if lists is None:
                return None
            inside.append(lists)
        return self._joined(layer, (trainable, rest), inside)

    def _joined(self, layer: Layer, own: _Lists, inside: list[_Lists]) -> _Lists:
        first = [r for trainable, _ in inside for r in trainable]
        second = [r for _, rest in inside for r in rest]
        if layer.trainable is not False:
            return _unique(own[0] + first), _unique(own[1] + second)
        if layer.is_model:
            return [], _unique(first + own[0] + second + own[1])
        return [], _unique(own[0] + own[1] + [r for pair in inside for part in pair for r in part])

    def _wrapped(self, wrapper: Layer) -> _Lists | None:
        """A tfmot wrapper: what it keeps, around what the layer inside still has."""
        choices = tfmot.variants(wrapper, self.flavor)
        if not choices:
            return None
        chosen = choices[min(self.variant, len(choices) - 1)]
        inner = wrapper.child("layer")
        if inner is None:
            return [], [self._ref(wrapper, v) for v in chosen.non_trainable]
        lists = self._without(wrapper, inner, chosen.moved)
        if lists is None:
            return None
        kept = [self._kept(wrapper, v) for v in chosen.trainable]
        rest = [self._ref(wrapper, v) for v in chosen.non_trainable]
        orders: Mapping[str, list[_Ref]] = {
            "PruneLowMagnitude": lists[0],
            "QuantizeAnnotate": lists[0],
            "QuantizeWrapperV2": kept + lists[0],
        }
        trainable = orders.get(wrapper.class_name, lists[0] + kept)
        # A pruning wrapper has two masks of one name in an LSTM: each is about another weight.
        return _unique(trainable), _unique(lists[1] + rest)

    def _without(self, wrapper: Layer, inner: Layer, moved: frozenset[str]) -> _Lists | None:
        """The inner layer's lists, less what the wrapper took away, wherever it was inside."""
        lists = self._lists(inner)
        if lists is None or not moved:
            return lists
        gone = {self._kept_identity(wrapper, about) for about in moved}
        trainable, rest = lists
        return (
            [r for r in trainable if r.identity not in gone],
            [r for r in rest if r.identity not in gone],
        )

    def _kept(self, wrapper: Layer, variable: Variable) -> _Ref:
        """A variable of the wrapper's first list; where it is the inner layer's, that one."""
        named = variable.about is not None and variable.about.endswith(f"/{variable.name}")
        found = tfmot.resolve(wrapper, variable.about or "", self.flavor) if named else None
        if found is None:
            return self._ref(wrapper, variable)
        layer, name = found
        own = layers.own_variables(layer, self.flavor) or ()
        ref = self._ref(layer, next((v for v in own if v.name == name), variable))
        return ref._replace(kept_by=wrapper.path if variable.role is Role.WEIGHT else None)

    def _kept_identity(self, wrapper: Layer, about: str) -> Identity:
        found = tfmot.resolve(wrapper, about, self.flavor)
        layer, name = found if found is not None else (wrapper, about)
        own = layers.own_variables(layer, self.flavor) or ()
        about_of = next((v.about for v in own if v.name == name), None)
        return self.repeats.get(layer.path, layer.path), name, about_of
