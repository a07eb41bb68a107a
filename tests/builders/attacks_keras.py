"""Attacks by code and modules in a Keras config, in each container that has one."""

from __future__ import annotations

import base64
from typing import Any

from tests.builders import cases as c
from tests.builders.attacks_common import ADDRESS, CODE, NOWHERE, Attack
from tests.builders.attacks_configs import (
    KERAS as _KERAS,
)
from tests.builders.attacks_configs import (
    function,
    in_each,
    in_h5,
    in_zip,
    layer,
    model,
    obj,
)
from tests.builders.hdf5 import DENSE_CONFIG

# --- code -----------------------------------------------------------------------------------------

_BASE64 = base64.encodebytes(CODE).decode("ascii")
KERAS2_CODE = [_BASE64, None, None]
KERAS3_CODE = {"class_name": "__lambda__", "config": {"code": _BASE64, "defaults": None}}
_TWICE_2 = {"function": KERAS2_CODE, "function_type": "lambda", "output_shape_type": "raw"}
_TWICE_3 = {"function": KERAS3_CODE, "arguments": {}}
_DENSE = layer("dense")
TWICE = model(layer("twice", "Lambda", **_TWICE_3))
_LAMBDAS = (
    *in_each(
        "lambda-list",
        "CVE-2024-3660",
        c.sequential(c.dense("dense", 3), c.layer("Lambda", "twice", **_TWICE_2)),
        *("safety-lambda",),
        says=("'twice'", "$.config.layers[1]", f"{len(CODE):,} bytes of code"),
    ),
    *in_each(
        "lambda-dict",
        "CVE-2025-9905",
        model(_DENSE, layer("twice", "Lambda", **_TWICE_3)),
        *("safety-lambda",),
        says=("'twice'", f"{len(CODE):,} bytes of code"),
    ),
    Attack(
        "lambda-nested",
        "CVE-2024-3660",
        in_zip(model(_DENSE, model(model(layer("deep", "Lambda", **_TWICE_3))))),
        ("safety-lambda",),
        ("'deep'", "$.config.layers[1].config.layers[0].config.layers[0]"),
    ),
    Attack(
        "lambda-wrapped",
        "CVE-2024-3660",
        in_h5(model(layer("each", "TimeDistributed", layer=layer("in", "Lambda", **_TWICE_2)))),
        ("safety-lambda",),
        ("'in'",),
    ),
    Attack(
        "lambda-initializer",
        "CVE-2024-3660",
        in_zip(model(layer("dense", kernel_initializer=KERAS3_CODE))),
        ("safety-lambda",),
        ("$.config.layers[0].config.kernel_initializer",),
    ),
    Attack(
        "lambda-compile-config",
        "CVE-2024-3660",
        in_zip(model(_DENSE, compile_config={"loss": KERAS3_CODE, "optimizer": "adam"})),
        ("safety-lambda",),
        ("$.compile_config.loss",),
    ),
    Attack(
        "lambda-training-config",
        "CVE-2025-9905",
        in_h5(DENSE_CONFIG, {"loss": KERAS3_CODE, "metrics": None}),
        ("safety-lambda",),
        ("training_config: $.loss",),
    ),
    Attack(
        "lambda-output-shape",
        "CVE-2024-3660",
        in_h5(
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
        in_zip(model(_DENSE), {**_KERAS, "extra": KERAS3_CODE}),
        ("safety-lambda",),
        ("metadata.json: $.extra",),
    ),
    Attack(
        "lambda-names-a-function",
        "CVE-2025-9906",
        in_h5(model(layer("f", "Lambda", function="scale", function_type="function"))),
        ("safety-lambda",),
    ),
)
_LAMBDA_TWINS = (
    Attack(
        "lambda-of-keras",
        "",
        in_zip(model(layer("relu", "Lambda", function=function("relu", "keras.activations")))),
    ),
    *in_each("named-lambda", "", c.sequential(c.dense("Lambda", 3), c.dense("__lambda__", 3))),
    Attack("activation", "", in_zip(model(_DENSE, layer("relu", "Activation", activation="relu")))),
    Attack(
        "op-lambda",
        "",
        in_h5(model(layer("sum", "TFOpLambda", function="math.reduce_sum"))),
    ),
)


# --- modules --------------------------------------------------------------------------------------


def _root(module: str, name: str) -> Any:
    return {**model(_DENSE), "build_config": {"input_shape": obj(name, module)}}


_SQRT = function("sqrt", "math")
_UNSAFE = function("enable_unsafe_deserialization", "keras.config")
_MODULES = (
    *in_each(
        "module-initializer",
        "CVE-2025-1550",
        model(layer("dense", kernel_initializer=_SQRT)),
        *("safety-module",),
        says=("math.sqrt", "$.config.layers[0].config.kernel_initializer", "'dense'"),
    ),
    *(
        Attack(
            f"module-{key}",
            "CVE-2025-1550",
            in_zip(model(layer("norm", "BatchNormalization", **{key: _SQRT}))),
            ("safety-module",),
            (f"config.{key}",),
        )
        for key in ("beta_regularizer", "gamma_constraint")
    ),
    Attack(
        "module-class",
        "CVE-2025-1550",
        in_zip(model(_DENSE, layer("run", "Fraction", "fractions"))),
        ("safety-module",),
        ("fractions.Fraction",),
    ),
    Attack(
        "module-registered",
        "CVE-2025-1550",
        in_zip(model(_DENSE, obj("sqrt", "math", {"name": "s"}, "Custom>sqrt"))),
        ("safety-module",),
        ("math.sqrt",),
    ),
    Attack(
        "module-registered-function",
        "CVE-2025-1550",
        in_zip(model(layer("dense", activation=obj("function", "fsspec", "open", "Custom>open")))),
        ("safety-module",),
        ("fsspec.open",),
    ),
    Attack(
        "module-builtins",
        "CVE-2025-1550",
        in_zip(model(layer("dense", kernel_initializer=function("eval", "builtins")))),
        ("safety-module",),
        ("builtins.eval",),
    ),
    Attack(
        "module-called-lambda",
        "CVE-2025-1550",
        in_zip(model(_DENSE, layer("run", "Lambda", "fractions"))),
        ("safety-lambda", "safety-module"),
        ("fractions.Lambda",),
    ),
    Attack(
        "module-build-config", "CVE-2025-1550", in_zip(_root("math", "sqrt")), ("safety-module",)
    ),
    Attack(
        "module-compile-config",
        "CVE-2025-1550",
        in_zip(model(_DENSE, compile_config={"loss": _SQRT})),
        ("safety-module",),
        ("$.compile_config.loss",),
    ),
    Attack(
        "module-typespec",
        "CVE-2025-1550",
        in_zip(model(layer("x", "InputLayer", spec=obj("__typespec__", "fractions", {})))),
        ("safety-module",),
    ),
    Attack(
        "module-metadata",
        "CVE-2025-1550",
        in_zip(model(_DENSE), {**_KERAS, "extra": _SQRT}),
        ("safety-module",),
        ("metadata.json: $.extra",),
    ),
    Attack(
        "get-file",
        "CVE-2025-8747",
        in_zip(
            model(
                layer(
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
        in_zip(
            model(
                layer(
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
        in_h5(model(layer("dense", activation=function("get_file", "tf_keras.utils")))),
        ("safety-module",),
    ),
    Attack(
        "enable-unsafe",
        "CVE-2025-9906",
        in_zip(
            model(layer("off", "Lambda", function=_UNSAFE), layer("twice", "Lambda", **_TWICE_3))
        ),
        ("safety-lambda", "safety-module"),
        ("keras.config.enable_unsafe_deserialization", "'twice'"),
    ),
    Attack(
        "enable-unsafe-inner-module",
        "CVE-2025-9906",
        in_zip(
            model(
                layer(
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
        in_zip(
            model(
                layer(
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
        in_h5(
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
        in_zip(model(_DENSE, obj("Scale", "my.layers", {"name": "s"}, "Custom>Scale"))),
    ),
    Attack(
        "other-toolkits",
        "",
        in_h5(
            model(
                obj("QDense", "qkeras.qlayers", {"name": "q"}, "QDense"),
                obj("QuantizeWrapper", None, {"name": "v"}, "Vitis>QuantizeWrapper"),
                c.pruned(c.dense("p", 3)),
            )
        ),
    ),
    Attack(
        "own-modules",
        "",
        in_zip(
            model(
                layer(
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

ATTACKS = (*_LAMBDAS, *_MODULES)
TWINS = (*_LAMBDA_TWINS, *_MODULE_TWINS)
