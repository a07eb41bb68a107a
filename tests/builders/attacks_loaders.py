"""Attacks by what a Keras config loads from elsewhere."""

from __future__ import annotations

from tests.builders.attacks_common import ADDRESS, NOWHERE, Attack
from tests.builders.attacks_configs import (
    in_each,
    in_folder,
    in_h5,
    in_zip,
    layer,
    model,
)

# --- layers that load -----------------------------------------------------------------------------

_LOADERS = (
    Attack(
        "tfsm-layer",
        "CVE-2026-1462",
        in_zip(
            model(layer("inner", "TFSMLayer", filepath=f"{NOWHERE}/saved", call_endpoint="serve"))
        ),
        ("safety-loader", "safety-path"),
        ("'inner'", f"{NOWHERE}/saved"),
    ),
    Attack(
        "tfsm-layer-nested",
        "CVE-2026-1462",
        in_folder(model(model(layer("inner", "TFSMLayer", filepath="saved")))),
        ("safety-loader",),
        ("'inner'",),
    ),
    Attack(
        "torch-module",
        "",
        in_zip(model(layer("torch", "TorchModuleWrapper", module={"class_name": "x"}))),
        ("safety-loader",),
        ("unpickles",),
    ),
    Attack(
        "hub-layer",
        "",
        in_h5(model(layer("hub", "KerasLayer", handle=f"{ADDRESS}/module"))),
        ("safety-loader", "safety-path"),
        (f"{ADDRESS}/module",),
    ),
    *(
        Attack(
            f"vocabulary-{kind.lower()}-{where}",
            "CVE-2025-12058",
            in_zip(model(layer("words", kind, vocabulary=path))),
            ("safety-vocabulary",),
            (path, "'words'", said),
        )
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization")
        for where, path, said in (
            ("path", f"{NOWHERE}/x.txt", "a local file"),
            ("remote", "gs://nowhere/x.txt", "a remote file"),
        )
    ),
    *in_each(
        "vocabulary",
        "CVE-2025-12058",
        model(layer("dense"), layer("words", "StringLookup", vocabulary=f"{NOWHERE}/x.txt")),
        *("safety-vocabulary",),
    ),
    Attack(
        "op-lambda-reads",
        "",
        in_h5(model(layer("read", "TFOpLambda", function="io.read_file"))),
        ("safety-call",),
        ("tf.io.read_file",),
    ),
)
_LOADER_TWINS = (
    *(
        Attack(
            f"vocabulary-{name}",
            "",
            in_zip(model(layer("words", "StringLookup", vocabulary=words))),
        )
        for name, words in (("list", ["aaaa", "bbbb"]), ("null", None), ("empty", []))
    ),
    *in_each("vocabulary-list", "", model(layer("words", "StringLookup", vocabulary=["a", "b"]))),
)

ATTACKS = _LOADERS
TWINS = _LOADER_TWINS
