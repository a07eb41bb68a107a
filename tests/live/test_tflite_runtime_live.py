"""Our reader of .tflite files against tflite-runtime 2.14.0, where that knows the operators.

It needs NumPy below 2, so it lives in an environment of its own: INSPECT_TFLITE_RUNTIME names the
Python of one, as `make test-runtime` does.
"""

import functools
import hashlib
import json
import os
import subprocess

import numpy as np
import pytest

import inspector
from tests.builders.samples import TFLITE, expected, path

PYTHON = os.environ.get("INSPECT_TFLITE_RUNTIME", "")
READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tflite_runtime_reader.py")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not PYTHON, reason="INSPECT_TFLITE_RUNTIME names no Python"),
]
every = pytest.mark.parametrize("name", TFLITE)

# What it cannot load, and a word of why.
REFUSED = {
    "lite_compiled.tflite": "edgetpu-custom-op",
    "lite_custom.tflite": "Igamma",
    "lite_dynamic.tflite": "FULLY_CONNECTED",
    "lite_flex.tflite": "Select TensorFlow op",
    "lite_int4.tflite": "FULLY_CONNECTED",
}


@functools.cache
def runtime():
    asked = {
        path(name): [
            row["index"]
            for row in expected(name)["tensors"]
            if row["subgraph"] == 0 and row["nbytes"]
        ]
        for name in TFLITE
    }
    done = subprocess.run(
        [PYTHON, READER], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_it_refuses_what_it_has_no_operators_for_and_nothing_else():
    refused = {name: runtime()[path(name)].get("refused") for name in TFLITE}
    refused = {name: why for name, why in refused.items() if why is not None}
    assert refused.keys() == REFUSED.keys(), refused
    for name, why in refused.items():
        assert REFUSED[name] in why


def said(name):
    """(our tensor, what it says of it), of the main subgraph's tensors."""
    found = runtime()[path(name)].get("tensors", {})
    with inspector.open(path(name)) as opened:
        for row, tensor in zip(expected(name)["tensors"], opened.artifact.tensors, strict=True):
            if row["subgraph"] == 0 and str(row["index"]) in found:
                yield tensor, found[str(row["index"])]


def dtype(tensor):
    """int4 is int8 to it."""
    return "int8" if tensor.dtype == "int4" else tensor.dtype


@every
def test_names_shapes_types_and_quantization_are_ours(name):
    for tensor, theirs in said(name):
        if theirs["name"] != "Densify_output":  # DENSIFY names its own output when it runs
            assert theirs["name"] == tensor.stored_name
        if tensor.dtype in ("string", "resource"):
            continue
        assert theirs["dtype"] == dtype(tensor)
        if None not in tensor.shape:
            assert theirs["shape"] == list(tensor.shape)
        assert theirs["sparse"] == (tensor.sparse is not None)
        quantized = tensor.quantized
        if quantized and quantized.scheme == "blockwise":
            assert not theirs["scales"]  # blocks came after it
            continue
        assert len(theirs["scales"]) == (quantized.count if quantized else 0)
        if quantized:
            np.testing.assert_array_equal(
                np.float32([min(theirs["scales"]), max(theirs["scales"])]),
                np.float32(quantized.scale),
            )
            points = theirs["zero_points"]
            assert (min(points), max(points)) == quantized.zero_point
            assert quantized.count == 1 or theirs["axis"] == quantized.axis


@every
def test_values_of_constants_are_ours(name):
    with inspector.open(path(name)) as opened:
        for row, tensor in zip(expected(name)["tensors"], opened.artifact.tensors, strict=True):
            found = runtime()[path(name)].get("tensors", {}).get(str(row["index"]))
            if row["subgraph"] or found is None or found["sha256"] is None or found["sparse"]:
                continue
            if tensor.dtype == "int4":
                continue  # it gives the packed bytes, and what comes behind them in memory
            blocks = list(tensor.payload.blocks(1 << 20))
            values = np.concatenate(blocks)
            assert hashlib.sha256(values.tobytes()).hexdigest() == found["sha256"], tensor.name
