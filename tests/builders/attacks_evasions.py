"""Attacks written so as to get past the rules, or past a reader that looks less closely."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.builders import attacks_keras, bundles, tflite
from tests.builders import keras as k
from tests.builders import saved_models as sm
from tests.builders.attacks_common import NOWHERE, PICKLE, Attack, file, zip_of
from tests.builders.attacks_configs import function, in_h5, in_zip, layer, model
from tests.builders.hdf5 import DENSE, whole_model

Make = Callable[[str], str]
_DENSE = layer("dense")
_CODE = attacks_keras.KERAS3_CODE
_IS_CODE, _IS_LAMBDA = ("safety-lambda",), '"class_name": "Lambda"'
_TFMOT = "tensorflow_model_optimization.python.core"
_TWICE = layer("twice", "Lambda", function=_CODE)

# --- names ----------------------------------------------------------------------------------------


def _activation(module: str, name: str, registered: str = "function") -> Make:
    named = {**function(name, module), "registered_name": registered}
    return in_zip(model(layer("dense", activation=named)))


def _aliased(kind: str, **config: Any) -> Make:
    """A class by its path in the API: Keras joins module and class_name, and looks that up."""
    return in_zip(model(_DENSE, layer("one", f"layers.{kind}", "keras", **config)))


_NAMES = (
    *(
        Attack(f"evade-{name}", cve, _activation("keras", path), ("safety-module",), (path,))
        for name, cve, path in (
            ("dotted-get-file", "CVE-2025-8747", "utils.get_file"),
            ("dotted-load-model", "CVE-2025-9906", "saving.load_model"),
            ("dotted-unsafe", "CVE-2025-9906", "config.enable_unsafe_deserialization"),
        )
    ),
    Attack("evade-dotted-lambda", "CVE-2024-3660", _aliased("Lambda", function=_CODE), _IS_CODE),
    Attack("evade-dotted-loader", "CVE-2026-1462", _aliased("TFSMLayer"), ("safety-loader",)),
    Attack(
        "evade-dotted-vocabulary",
        "CVE-2025-12058",
        _aliased("StringLookup", vocabulary=f"{NOWHERE}/x.txt"),
        ("safety-vocabulary",),
    ),
    Attack(
        "evade-inner-lambda",
        "CVE-2024-3660",
        in_zip(model(layer("t", "Lambda", "keras.src.layers.core.lambda_layer", function=_CODE))),
        _IS_CODE,
    ),
    *(
        Attack(f"evade-{name}", "CVE-2025-1550", _activation(module, to, said), ("safety-module",))
        for name, module, to, said in (
            # Said to be somebody's own; nobody has registered it, so the module is imported.
            ("registered-dependency", "absl.app", "usage", "mine>usage"),
            ("registered-standard", "math", "sqrt", "mine>sqrt"),
            # Modules of models, in which other things are imported.
            ("attrgetter", f"{_TFMOT}.clustering.keras.cluster_wrapper", "attrgetter", "function"),
            ("tensorflow-keras", "tensorflow.python.keras.utils.data_utils", "get_file", ""),
            ("underscore-keras", "keras._tf_keras.keras.utils", "get_file", ""),
        )
    ),
    *(
        Attack(
            f"evade-operator-layer-{op}",
            "",
            in_h5(model(layer("s", "TensorFlowOpLayer", node_def={"name": "s", "op": op}))),
            ("safety-call",),
            (op,),
        )
        for op in ("SaveV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2")
    ),
)


# --- texts ----------------------------------------------------------------------------------------

_TEXT = json.dumps(model(_TWICE))


def _compressed(method: int) -> Make:
    """A config that Python's zipfile inflates, and others do not."""

    def make(folder: str) -> str:
        path = os.path.join(folder, "model.keras")
        with zipfile.ZipFile(path, "w") as out:
            for name, data in k.members(k.h5_weights(folder)).items():
                is_config = name == "config.json"
                kind = method if is_config else zipfile.ZIP_STORED
                out.writestr(name, _TEXT if is_config else data, kind)
        return path

    return make


def _padded() -> Any:
    """A Lambda behind more values than anybody looks at."""
    made = model(_TWICE)
    return {**made, "config": {"pad": [[]] * 500_000, **made["config"]}}


def _attribute(folder: str) -> str:
    """The config as a text of fixed length, as other programs than h5py write it."""
    path = whole_model(os.path.join(folder, "model.h5"), DENSE, None)
    with h5py.File(path, "a") as opened:
        opened.attrs["model_config"] = np.bytes_(_TEXT.encode())
    return path


_TEXTS = (
    Attack("evade-config-lzma", "", _compressed(zipfile.ZIP_LZMA), ("safety-unread",)),
    Attack("evade-config-bzip2", "", _compressed(zipfile.ZIP_BZIP2), ("safety-unread",)),
    Attack("evade-config-deflated", "CVE-2024-3660", _compressed(zipfile.ZIP_DEFLATED), _IS_CODE),
    Attack("evade-config-padded", "", in_zip(_padded()), ("safety-unread",), ("more values",)),
    Attack("evade-config-fixed", "CVE-2025-9905", _attribute, _IS_CODE),
    Attack(
        "evade-config-escaped",
        "CVE-2024-3660",
        file("config.json", _TEXT.replace("Lambda", "\\u004cambda").encode()),
        _IS_CODE,
    ),
    Attack(
        "evade-config-twice-named",
        "CVE-2024-3660",
        file(
            "config.json",
            _TEXT.replace(_IS_LAMBDA, f'"class_name": "Dense", {_IS_LAMBDA}').encode(),
        ),
        _IS_CODE,
    ),
)


# --- containers -----------------------------------------------------------------------------------


def _records(*fields: str) -> bytes:
    """An .npy of records, one of whose fields is pickled."""
    header = f"{{'descr': [{', '.join(fields)}], 'fortran_order': False, 'shape': (1,), }}"
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + PICKLE


def _npz(folder: str) -> str:
    weights = zip_of(layers_npy=_records("('a', '<f4')", "('b', '|O')"))
    parts = k.members(weights, "model.weights.npz")
    return k.keras_zip(os.path.join(folder, "model.keras"), parts)


def _linked_checkpoint(folder: str) -> str:
    """A checkpoint whose values are a link."""
    for name, data in bundles.bundle(sm.floats("a", [1.0, 2.0])).items():
        path = os.path.join(folder, name)
        if "data" in name:
            os.symlink(f"{NOWHERE}/secret", path)
        else:
            file(name, data)(folder)
    return os.path.join(folder, "ckpt")


def _linked_folder(folder: str) -> str:
    path = sm.module(os.path.join(folder, "saved"))
    os.rename(os.path.join(path, "variables"), os.path.join(folder, "elsewhere"))
    os.symlink("../elsewhere", os.path.join(path, "variables"))
    return path


def _flex(called: str, op: str) -> Make:
    """A Flex operator that is called like one, and whose options name another.

    Options of Flex are a FlexBuffer of two texts: the operator's name, and a NodeDef.
    """
    texts = [op.encode(), sm.node("node", op)]
    out, starts = bytearray(), []
    for text in texts:
        out += struct.pack("<I", len(text))
        starts.append(len(out))
        out += text + b"\0" * (4 - len(text) % 4)
    out += struct.pack("<I", len(texts))
    vector = len(out)
    for start in starts:
        out += struct.pack("<I", len(out) - start)
    out += bytes([5 << 2 | 2] * 2)  # each a text, of offsets of 4 bytes
    out += bytes([len(out) - vector, 10 << 2 | 2, 1])  # the vector is the root

    def make(folder: str) -> str:
        sides = [tflite.tensor("x", (1,)), tflite.tensor("y", (1,))]
        one = tflite.op(f"custom:Flex{called}", [0], [1], custom_options=bytes(out))
        graph = tflite.graph(sides, [one], [0], [1])
        return file("model.tflite", bytes(tflite.model(graph)))(folder)

    return make


_CONTAINERS = (
    Attack("evade-npy-records", "", file("w.npy", _records("('a', '|O')")), ("safety-pickle",)),
    Attack("evade-npz-records", "", _npz, ("safety-pickle",)),
    Attack("evade-checkpoint-link", "", _linked_checkpoint, ("safety-symlink",), (NOWHERE,)),
    Attack("evade-folder-link", "", _linked_folder, ("safety-symlink",), ("../elsewhere",)),
    Attack(
        "evade-python-by-dots",
        "",
        lambda to: k.keras_zip(
            os.path.join(to, "model.keras"),
            {**k.members(k.h5_weights(to)), "assets/run.py. ": b"x = 1\n"},
        ),
        ("safety-foreign",),
    ),
    *(
        Attack(f"evade-flex-{op}", "", _flex("MatrixInverse", op), ("safety-flex",), (op,))
        for op in ("ReadFile", "SaveV2")
    ),
)
_TWINS = (
    Attack("flex-as-called", "", _flex("MatrixInverse", "MatrixInverse")),
    Attack("dotted-layer", "", _aliased("Dense", units=3, use_bias=True)),
    Attack("registered-own", "", _activation("my.package", "scale", "mine>scale")),
    Attack(
        "operator-layer",
        "",
        in_h5(model(layer("s", "TensorFlowOpLayer", node_def={"name": "SaveV", "op": "Add"}))),
    ),
)

ATTACKS = (*_NAMES, *_TEXTS, *_CONTAINERS)
TWINS = _TWINS
