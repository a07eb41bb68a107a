"""TFLite models: what the interpreter holds of each tensor. The model is never run, nor prepared.

A tensor that has values before anything is allocated is a constant of the file. No operator is
called, so custom ones need no library.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

# Package -> the module with its interpreter. tensorflow.lite is an attribute, not that module.
RUNTIMES = {
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tensorflow": "tensorflow",
    "tflite_runtime": "tflite_runtime.interpreter",
}


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """Rows of all tensors of all subgraphs, in the file's order; "stored" is null for strings."""
    package, make = interpreter_of()
    interpreter = make(model_path=path)
    inner = interpreter._interpreter  # noqa: SLF001 - subgraphs past the first have no other way
    rows = []
    for place in subgraphs(inner):
        for index in range(inner.NumTensors(*place)):
            named = {"name": inner.TensorName(index, *place)}
            rows.append({**named, **row(interpreter, index, place)})
    reason = "a .tflite file has tensors and no Keras model: the interpreter counts no parameters"
    names = ("count_params", "trainable", "non_trainable", "after_strip")
    said: dict[str, Any] = {
        "rows": rows,
        "loader": package,
        "reasons": dict.fromkeys(names, reason),
    }
    if not hasattr(inner, "NumSubgraphs"):
        said["reasons"]["tensors"] = "this interpreter shows the main subgraph alone"
    return said


def subgraphs(inner: Any) -> list[tuple[int, ...]]:
    """What tells each subgraph in a call. Before LiteRT nobody says how many there are."""
    if hasattr(inner, "NumSubgraphs"):
        return [(subgraph,) for subgraph in range(inner.NumSubgraphs())]
    try:
        inner.NumTensors(0)
    except TypeError:  # before TensorFlow 2.12 there was no way to the others
        return [()]
    return [(0,)]


def interpreter_of() -> tuple[str, Any]:
    """(package, its interpreter's class): LiteRT, TensorFlow's own or tflite-runtime."""
    for package, name in RUNTIMES.items():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != package:
                raise
        else:
            inside = module.lite if package == "tensorflow" else module
            return package, inside.Interpreter
    raise ModuleNotFoundError("no TFLite interpreter is installed", name="ai_edge_litert")


def row(interpreter: Any, index: int, place: tuple[int, ...]) -> dict[str, Any]:
    """One tensor. Strings are not asked for: the interpreter dies of those that have no values.

    Of a tensor without elements it gives values in any case; it counts as not stored.
    """
    try:
        said = interpreter._get_tensor_details(index, *place)  # noqa: SLF001 - of any subgraph
    except ValueError:  # LSTM's inner tensors have no shape, and no values
        return {"dtype": "", "shape": [], "stored": False}
    dtype = np.dtype(said["dtype"])
    stored = None
    if dtype.kind in "biufc":
        try:
            stored = interpreter.get_tensor(index, *place).size > 0
        except ValueError:
            stored = False
    return {
        "dtype": "string" if dtype.kind in "SU" else dtype.name,
        "shape": [int(side) for side in said["shape"]],
        "stored": stored,
    }
