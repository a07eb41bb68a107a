"""How large the file will be once it is stripped and saved without its training state.

Values that stay are known to the byte. What a format adds to them is taken from this very file, in
proportion to the objects that stay; a SavedModel's graph is traced anew and cannot be foretold.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from inspector.bytes_once import bytes_once
from inspector.count import Counted
from inspector.model import (
    GROUP_OF,
    Artifact,
    Flavor,
    Group,
    Layer,
    Section,
    Store,
    Tensor,
    Verdict,
)
from inspector.payloads import numpy_dtype
from inspector.reconciliation import skeleton

# Bytes that HDF5 (its earliest format, which h5py writes) spends on one object. A group: object
# header 40, B-tree node 544, local heap 120, symbol table node 328. A dataset's object header: 272.
_GROUP, _DATASET = 1032, 272
_WRAPPERS = ("PruneLowMagnitude", "ClusterWeights")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WRAPPED = ("prune_low_magnitude", "cluster_weights")  # their groups in a numbered store
_STAYING = frozenset({Group.WEIGHT, Group.QUANTIZATION})
# What grows with the tensors of a file, with the layers, and what stays as it is. Other labels go,
# as a training config does; slack is luck.
_BY_TENSORS = ("names", "index", "object graph", "npz structure", "weight map")
_BY_OBJECTS = ("HDF5 structure",)
_AS_IT_IS = ("metadata", "zip headers", "assets", "checkpoint state")
_TRACED = ("functions", "graph")
_PLAIN = ("contiguous", "empty")
_MOST = 20_000  # datasets that HDF5 is asked about: more take it seconds
_NO_STRIPPING = ("tflite", "frozen-graph")  # formats that no Keras model is saved in


@dataclass(frozen=True, slots=True)
class Predicted:
    """A size in bytes. at_least: a part that cannot be foretold is left out. what: what was done,
    "Stripped and without training state".
    """

    nbytes: int
    at_least: bool
    what: str


def staying(
    artifact: Artifact, verdicts: Mapping[str, Verdict], counted: Counted
) -> tuple[Tensor, ...]:
    """The tensors that a stripped model without training state has, copies left out."""
    return tuple(
        tensor
        for tensor in artifact.tensors
        if (tensor.stored_elements or not tensor.elements)
        and tensor.name not in counted.stripped
        and (tensor.name in counted.counted or GROUP_OF[verdicts[tensor.name].role] in _STAYING)
    )


def predict(
    artifact: Artifact, verdicts: Mapping[str, Verdict], counted: Counted
) -> Predicted | None:
    """The size; None where nothing would be taken out, or the format is none that Keras saves."""
    kept = staying(artifact, verdicts, counted)
    roles = {verdicts[t.name].role for t in artifact.tensors if t.stored_elements}
    strips = bool(counted.stripped)
    trains = any(GROUP_OF[role] is Group.TRAINING for role in roles)
    if artifact.format in _NO_STRIPPING or not kept or not (strips or trains):
        return None
    whole = _asked(artifact, kept) if _is_one_file(artifact, kept) else None
    if whole is None:
        whole = _proportional(artifact, verdicts, kept)
    for label, nbytes in artifact.overhead.items():
        if label in _AS_IT_IS:
            whole += nbytes
        elif label == "config" and artifact.format != "keras-h5":
            whole += nbytes - _wrapping(artifact.model)
    at_least = any(label in artifact.overhead for label in _TRACED)
    return Predicted(whole, at_least, _what(strips, trains))


def _proportional(
    artifact: Artifact, verdicts: Mapping[str, Verdict], kept: Sequence[Tensor]
) -> int:
    """Bytes of the values that stay, and of what names them, as a share of what it takes now."""
    stored = bytes_once(artifact, verdicts)
    whole = sum(stored[tensor.name] for tensor in kept)
    variables = [t for t in artifact.tensors if t.section is not Section.GRAPH]
    before, after = _objects(artifact, variables), _objects(artifact, kept)
    for label, nbytes in artifact.overhead.items():
        if label in _BY_TENSORS:
            whole += nbytes * len(kept) // len(variables)
        elif label in _BY_OBJECTS:
            whole += nbytes * after // before
    return whole


def _is_one_file(artifact: Artifact, kept: Sequence[Tensor]) -> bool:
    """Whether the weights are in one HDF5 file, which h5py would write again the same way."""
    return (
        "HDF5 structure" in artifact.overhead
        and "weight map" not in artifact.overhead
        and len(kept) <= _MOST
        and all(t.storage in _PLAIN and t.shape is not None for t in kept)
    )


def _asked(artifact: Artifact, kept: Sequence[Tensor]) -> int | None:
    """Bytes of the HDF5 file once it holds these tensors alone; None where HDF5 would not."""
    if artifact.store is Store.LEGACY:
        root = skeleton.legacy(
            _by_layer(artifact, kept),
            attributes={"backend": "tensorflow", "keras_version": "2.21.0"},
            config_bytes=artifact.overhead.get("config", 0) - _wrapping(artifact.model)
            if artifact.format == "keras-h5"
            else None,
        )
    else:
        root = skeleton.numbered(_by_object(artifact, kept), named=artifact.flavor is Flavor.KERAS3)
    stream = artifact.format == "keras-zip" and artifact.flavor is not Flavor.KERAS3
    try:
        return skeleton.size_of(root, stream=stream)
    except (OSError, TypeError, ValueError):  # names or sizes that HDF5 refuses
        return None


def _by_layer(
    artifact: Artifact, kept: Sequence[Tensor]
) -> dict[str, list[tuple[str, skeleton.Values]]]:
    """Layers as a stripped model names them, with the stored names of their variables."""
    model = artifact.model
    layers = () if model is None else model.children
    # A Sequential model does not list its InputLayer among its layers.
    hidden = "InputLayer" if model is not None and model.class_name == "Sequential" else None
    inside = {one.name: _inside(one) for one in layers if one.class_name != hidden}
    # strip_clustering makes the variables anew, without the layer's name in theirs.
    clustered = {one.name for one in layers if one.class_name.endswith("ClusterWeights")}
    found: dict[str, list[tuple[str, skeleton.Values]]] = {name: [] for name in inside.values()}
    for tensor in kept:
        group, _, name = tensor.name.removeprefix("model_weights/").partition("/")
        layer = inside.get(group, group)
        if group in clustered:
            name = name.removeprefix(f"{layer}/")
        found.setdefault(layer, []).append((name, _values(tensor)))
    return found


def _inside(layer: Layer) -> str:
    """Name of the layer that stripping leaves."""
    inner = layer.child("layer") if _is_wrapper(layer) else None
    return layer.name if inner is None else inner.name


def _by_object(artifact: Artifact, kept: Sequence[Tensor]) -> dict[str, list[skeleton.Values]]:
    """Objects of a store of numbered variables: those of a wrapped layer stand in its place."""
    found: dict[str, list[skeleton.Values]] = {"": []}
    for tensor in kept:
        around = tensor.name.rpartition("/vars/")[0]
        wrapper, _, rest = f"{around}/".partition("/layer/")
        is_wrapped = wrapper.rpartition("/")[2].startswith(_WRAPPED)
        place = f"{wrapper}/{rest}".rstrip("/") if is_wrapped else around
        found.setdefault(place, []).append(_values(tensor))
    return found


def _values(tensor: Tensor) -> skeleton.Values:
    try:
        known = numpy_dtype(tensor.dtype).kind in "biuf"
    except TypeError:
        known = False
    dtype = tensor.dtype if known else f"V{max(tensor.nbytes // max(tensor.elements, 1), 1)}"
    return skeleton.Values(dtype, tensor.shape or ())


def _what(strips: bool, trains: bool) -> str:
    if not strips:
        return "Without training state"
    return "Stripped and without training state" if trains else "Stripped"


def _objects(artifact: Artifact, tensors: Collection[Tensor]) -> int:
    """Bytes that HDF5 spends on the objects that hold these tensors."""
    groups: set[str] = {""}
    for tensor in tensors:
        around = tensor.name.rpartition("/")[0]
        while around:
            groups.add(around)
            around = around.rpartition("/")[0]
    if artifact.store is Store.LEGACY and artifact.model is not None:
        # Each layer has a group, whether it has weights or none.
        paths = (layer.name for layer in artifact.model.children)
        groups |= {f"model_weights/{name}" for name in paths}
    return _GROUP * len(groups) + _DATASET * len(tensors)


def _wrapping(model: Layer | None) -> int:
    """Bytes of the config that the wrappers take, as JSON spells them: their own configs, and what
    their names are longer wherever other layers refer to them.
    """
    wrappers = [one for one in model.walk() if _is_wrapper(one)] if model is not None else []
    if model is None or not wrappers:
        return 0
    named = Counter(_QUOTED.findall(json.dumps(model.config)))
    total = 0
    for layer in wrappers:
        inner = layer.child("layer")
        if inner is not None:
            total += len(json.dumps(layer.config)) - len(json.dumps(inner.config))
            total += len(layer.class_name) - len(inner.class_name)
            longer = len(layer.name) - len(inner.name)
            total += longer * max(named[layer.name] - 1, 0)  # once in its own config
    return total


def _is_wrapper(layer: Layer) -> bool:
    return layer.class_name.endswith(_WRAPPERS)
