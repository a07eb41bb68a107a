"""Keras configs, and each container that has one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from tests.builders import keras as k
from tests.builders import saved_models as sm
from tests.builders.attacks_common import Attack
from tests.builders.bundles import chunk, number
from tests.builders.hdf5 import DENSE, whole_model

# --- configs in every container -------------------------------------------------------------------

KERAS = {"keras_version": "3.5.0", "date_saved": "2026-01-01@00:00:00"}


def in_h5(config: Any, training: Any = None) -> Callable[[str], str]:
    return lambda folder: whole_model(os.path.join(folder, "model.h5"), DENSE, config, training)


def _members(folder: str, config: Any, metadata: Any = None) -> dict[str, bytes]:
    return {
        "metadata.json": json.dumps(metadata or KERAS).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": k.h5_weights(folder),
    }


def in_zip(config: Any, metadata: Any = None) -> Callable[[str], str]:
    def make(folder: str) -> str:
        parts = _members(folder, config, metadata)
        return k.keras_zip(os.path.join(folder, "model.keras"), parts)

    return make


def in_folder(config: Any) -> Callable[[str], str]:
    def make(folder: str) -> str:
        return k.keras_folder(os.path.join(folder, "model"), _members(folder, config))

    return make


def in_json(config: Any) -> Callable[[str], str]:
    def make(folder: str) -> str:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path

    return make


def in_saved(config: Any) -> Callable[[str], str]:
    """A SavedModel with what tf_keras keeps of a layer."""

    def make(folder: str) -> str:
        layers = config["config"]["layers"]
        named = {"root": config, **{f"root.layer-{at}": one for at, one in enumerate(layers)}}
        nodes = b"".join(_kept(at, *one) for at, one in enumerate(named.items()))
        return sm.module(os.path.join(folder, "saved"), files={"keras_metadata.pb": nodes})

    return make


def _kept(at: int, place: str, config: Any) -> bytes:
    """A node of keras_metadata.pb: the model has one, and each of its layers."""
    node = number(2, at) + chunk(3, place.encode()) + chunk(4, b"_tf_keras_layer")
    return chunk(1, node + chunk(5, json.dumps(config).encode()))


def in_early(config: Any) -> Callable[[str], str]:
    """As TensorFlow before 2.5 kept it: in the object graph."""

    def make(folder: str) -> str:
        held = sm.saved_object(sm.user_object("_tf_keras_layer", json.dumps(config)))
        meta = sm.meta_graph(objects=sm.object_graph([held]))
        return sm.write(os.path.join(folder, "saved"), meta)

    return make


_CONTAINERS: Mapping[str, Callable[[Any], Callable[[str], str]]] = {
    "h5": in_h5,
    "keras": in_zip,
    "folder": in_folder,
    "json": in_json,
    "saved": in_saved,
    "saved-early": in_early,
}


def in_each(
    name: str, cve: str, config: Any, *codes: str, says: tuple[str, ...] = ()
) -> tuple[Attack, ...]:
    return tuple(
        Attack(f"{name}-{kind}", cve, make(config), codes, says)
        for kind, make in _CONTAINERS.items()
    )


def obj(name: str, module: str | None, config: Any = None, registered: str | None = None) -> Any:
    """An object as Keras 3 writes it."""
    return {
        "class_name": name,
        "module": module,
        "config": {} if config is None else config,
        "registered_name": registered,
    }


def function(name: str, module: str) -> Any:
    return obj("function", module, name, "function")


def layer(name: str, kind: str = "Dense", module: str = "keras.layers", **config: Any) -> Any:
    own = {"units": 3, "use_bias": True} if kind == "Dense" else {}
    return obj(kind, module, {"name": name, "trainable": True, **own, **config})


def model(*layers: Any, **more: Any) -> Any:
    found = obj("Sequential", "keras", {"name": "model", "layers": list(layers)})
    return {**found, **more}
