"""What layers and variables are called once wrappers and places of storage are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from inspector.keras.tfmot import CLASSES
from inspector.model import Artifact, Layer, Role, Store, Tensor

# Wrappers of tensorflow-model-optimization put this before the name of the layer inside.
_PREFIXES = ("prune_low_magnitude_", "cluster_", "quant_", "quantize_annotate_")
# A wrapper that is a layer of its own.
_LONE = "QuantizeLayer"
_NUMBERED = re.compile(r"(.*?)_(\d+)")

# Words for one variable: Keras', those of TensorFlow 1's layers, and those that papers use.
_SYNONYMS: Mapping[str, str] = {
    "weights": "kernel",
    "w": "kernel",
    "biases": "bias",
    "b": "bias",
    "scale": "gamma",
    "offset": "beta",
}


def variable_of(tensor: Tensor) -> str | None:
    """A variable's name, one word for what has several."""
    name = tensor.variable
    return None if name is None else _SYNONYMS.get(name.lower(), name)


class Names:
    """Names of an artifact's layers as the other one may have them too."""

    def __init__(self, artifact: Artifact) -> None:
        self._known = dict(_layers(artifact))
        # Without a config a v3 store has paths of objects, attributes that hold layers among them.
        self._by_objects = artifact.store is Store.V3 and artifact.model is None

    def of(self, path: str | None) -> str:
        """The path without wrappers: "prune_low_magnitude_dense/dense" is "dense"."""
        if not path:
            return ""
        parts = path.split("/")
        kept = self._by_object(parts) if self._by_objects else self._by_layer(parts)
        return "/".join(kept)

    def _by_object(self, parts: list[str]) -> Iterator[str]:
        """Of a path of objects; wrappers keep their own name, that inside is only `layer`."""
        before: Layer | None = None
        for at, part in enumerate(parts):
            layer = self._known.get("/".join(parts[: at + 1]))
            inside = part == "layer" and before is not None and before.class_name in CLASSES
            if part != "layers" and not inside:
                yield part if layer is None or not layer.name else layer.name
            before = layer

    def _by_layer(self, parts: list[str]) -> Iterator[str]:
        for at, part in enumerate(parts):
            inner = parts[at + 1] if at + 1 < len(parts) else None
            layer = self._known.get("/".join(parts[: at + 1]))
            if layer is not None and layer.class_name in CLASSES and layer.class_name != _LONE:
                # What hangs on the wrapper itself belongs to the layer inside.
                if inner is None:
                    yield _inside(layer)
            elif part == inner or bare(part) != inner:
                yield bare(part) if layer is None else part


def _layers(artifact: Artifact) -> Iterator[tuple[str, Layer]]:
    for root in (*artifact.guessed, *((artifact.model,) if artifact.model else ())):
        for layer in root.walk():
            if layer.class_name or layer.path:
                yield layer.path, layer


def _inside(wrapper: Layer) -> str:
    inner = wrapper.child("layer")
    return bare(wrapper.name) if inner is None else inner.name


@lru_cache(maxsize=4096)
def bare(name: str) -> str:
    """A name without what wrappers put before it."""
    for prefix in _PREFIXES:
        if name.startswith(prefix) and len(name) > len(prefix):
            return bare(name[len(prefix) :])
    return name


def numbered(path: str) -> tuple[str, int]:
    """("inner/dense", 2) of "inner/dense_2"; Keras gives the first one no number, which is 0."""
    found = _NUMBERED.fullmatch(path)
    return (path, 0) if found is None else (found.group(1), int(found.group(2)))


def is_weight(role: Role) -> bool:
    """Whether it is a part of the model that inference needs."""
    return role in (Role.WEIGHT, Role.STATISTIC)
