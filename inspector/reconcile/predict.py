"""How large the file will be once it is stripped and saved without its training state.

Values that stay are known to the byte. What a format adds to them is taken from this very file, in
proportion to the objects that stay; a SavedModel's graph is traced anew and cannot be foretold.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from inspector.bytes_once import bytes_once
from inspector.count import Counted
from inspector.model import GROUP_OF, Artifact, Group, Layer, Section, Store, Tensor, Verdict

# Bytes that HDF5 (its earliest format, which h5py writes) spends on one object. A group: object
# header 40, B-tree node 544, local heap 120, symbol table node 328. A dataset's object header: 272.
_GROUP, _DATASET = 1032, 272
_WRAPPERS = ("PruneLowMagnitude", "ClusterWeights")
_STAYING = frozenset({Group.WEIGHT, Group.QUANTIZATION})
# What grows with the tensors of a file, with the layers, and what stays as it is. Other labels go,
# as a training config does; slack is luck.
_BY_TENSORS = ("names", "index", "object graph", "npz structure", "weight map")
_BY_OBJECTS = ("HDF5 structure",)
_AS_IT_IS = ("attributes", "metadata", "zip headers", "assets", "checkpoint state")
_TRACED = ("functions", "graph")
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
    stored = bytes_once(artifact, verdicts)
    whole = sum(stored[tensor.name] for tensor in kept)
    variables = [t for t in artifact.tensors if t.section is not Section.GRAPH]
    before, after = _objects(artifact, variables), _objects(artifact, kept)
    for label, nbytes in artifact.overhead.items():
        if label in _BY_TENSORS:
            whole += nbytes * len(kept) // len(variables)
        elif label in _BY_OBJECTS:
            whole += nbytes * after // before
        elif label in _AS_IT_IS:
            whole += nbytes
        elif label == "config":
            whole += nbytes - _wrapping(artifact.model)
    return Predicted(
        whole, any(label in artifact.overhead for label in _TRACED), _what(strips, trains)
    )


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
    """Bytes of the config that the wrappers take, as JSON spells them."""
    if model is None:
        return 0
    return sum(
        len(json.dumps(layer.config)) - len(json.dumps(_inner_config(layer)))
        for layer in model.walk()
        if layer.class_name.endswith(_WRAPPERS)
    )


def _inner_config(layer: Layer) -> object:
    inner = layer.config.get("layer")
    return inner.get("config") if isinstance(inner, Mapping) else None
