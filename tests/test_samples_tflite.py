"""The committed .tflite samples: our report against the live LiteRT interpreter.

`<name>.expected.json` was written by a script that has the interpreter read the file and knows the
Keras model it was converted from; it knows nothing of this package.
"""

import functools
import hashlib
import json
import math
import os
import re
from collections import Counter

import jsonschema
import msgspec
import numpy as np
import pytest

import inspector
from tests.builders import samples
from tests.builders.samples import TFLITE, expected

every = pytest.mark.parametrize("name", TFLITE)


def those(condition):
    return pytest.mark.parametrize("name", [one for one in TFLITE if condition(expected(one))])


@functools.cache
def whole(name):
    return inspector.show([samples.path(name)])


def ours(name):
    (artifact,) = whole(name).artifacts
    assert artifact.readable, artifact.problems
    return artifact


def said(name):
    return " ".join(ours(name).answer)


@functools.cache
def opened_tensors(name):
    """(row of what is expected, our tensor), of every tensor."""
    with inspector.open(samples.path(name)) as opened:
        return tuple(zip(expected(name)["tensors"], opened.artifact.tensors, strict=True))


def pairs(name):
    """(row of what is expected, our report of it), of every tensor in the order of the file."""
    reported = {tensor.name: tensor for tensor in ours(name).tensors}
    assert len(reported) == len(ours(name).tensors)
    return [(row, reported[tensor.name]) for row, tensor in opened_tensors(name)]


def constants(name):
    return [(row, tensor) for row, tensor in pairs(name) if row["nbytes"]]


def called(name, stored_name):
    (found,) = (tensor for row, tensor in pairs(name) if row["name"] == stored_name)
    return found


def elements(row):
    return math.prod(row["shape"])


def test_there_are_samples_of_every_kind():
    assert len(TFLITE) >= 30
    assert {expected(name)["scheme"] for name in TFLITE} == {*SCHEMES, None}


@every
def test_the_format_is_tflite(name):
    artifact = ours(name)
    assert artifact.format == "tflite"
    assert artifact.nbytes == expected(name)["nbytes"] == os.path.getsize(samples.path(name))


# --- tensors ------------------------------------------------------------------------------------


@every
def test_every_tensor_is_there_with_its_name_dtype_and_shape(name):
    for row, tensor in opened_tensors(name):
        assert row["name"] in (tensor.stored_name, tensor.name), (row["name"], tensor.name)
        assert tensor.dtype == row["dtype"]
        assert list(tensor.shape) == row["shape"]


@every
def test_every_tensor_has_the_role_that_the_operators_give_it(name):
    first_of = {}
    for row, tensor in pairs(name):
        shares = row["nbytes"] and first_of.setdefault(row["buffer"], tensor.name) != tensor.name
        if shares and tensor.role == "alias":
            assert tensor.alias_of == first_of[row["buffer"]]
        else:
            assert tensor.role == row["role"], (row["name"], tensor.evidence)


@every
def test_only_constants_take_bytes(name):
    for row, tensor in opened_tensors(name):
        assert bool(tensor.extents) == bool(row["nbytes"]), row["name"]
        assert sum(one.length for one in tensor.extents) == row["nbytes"]


@every
def test_constants_have_their_zeros_and_range(name):
    for row, tensor in constants(name):
        if row["zeros"] is None:
            continue
        measure = tensor.measure
        found = (measure.zeros, measure.min, measure.max)
        assert found == (row["zeros"], row["min"], row["max"]), row["name"]


def digest(tensor):
    """int4 values are held a byte each, in NumPy's type for them as in the interpreter's int8."""
    held = hashlib.sha256()
    for block in tensor.payload.blocks(1 << 20):
        held.update((block.astype(np.int8) if tensor.dtype == "int4" else block).tobytes())
    return held.hexdigest()


@every
def test_constants_have_the_interpreters_values(name):
    with inspector.open(samples.path(name)) as opened:
        for row, tensor in zip(expected(name)["tensors"], opened.artifact.tensors, strict=True):
            if row["nbytes"] and row["dtype"] != "string":
                assert digest(tensor) == row["sha256"], row["name"]


@those(lambda one: any("variable" in row for row in one["tensors"]))
def test_a_variable_that_is_named_has_the_live_variables_name(name):
    for row, tensor in constants(name):
        if "variable" in row and tensor.variable is not None:
            live = row["variable"].rpartition("/")[2]
            # Outside the LSTM operator the product with a state is a product like any other.
            alike = {live, "kernel"} if live == "recurrent_kernel" else {live}
            assert tensor.variable in alike, row["name"]


@every
def test_nothing_is_unknown(name):
    for tensor in ours(name).tensors:
        assert tensor.role != "unknown", tensor.name
        assert tensor.rule != "unknown"
        assert tensor.evidence


# --- counts -------------------------------------------------------------------------------------


@every
def test_a_buffer_is_counted_once(name):
    roles = {
        role: row.elements
        for role, row in ours(name).roles.items()
        if row.elements and role not in ("activation", "alias")
    }
    assert roles == expected(name)["roles"]
    assert ours(name).totals.stored_elements == sum(expected(name)["roles"].values())


@every
def test_weights_and_zeros_among_them_are_counted(name):
    weights, held = ours(name).weights, expected(name)["weights"]
    found = (weights.elements, weights.zeros) if weights else (0, 0)
    assert found == (held["elements"], held["zeros"])
    assert (ours(name).totals.nonzero or 0) == held["elements"] - held["zeros"]


@every
def test_keras_count_is_not_made_up(name):
    assert ours(name).totals.count_params is None
    assert ours(name).totals.after_strip is None


@those(lambda one: one["live_elements"] is not None)
def test_weights_are_the_live_models_but_for_what_the_converter_changed(name):
    one = expected(name)
    weights = ours(name).weights
    assert (weights.elements if weights else 0) - sum(one["differences"].values()) == one[
        "live_elements"
    ]


@every
def test_rows_hold_every_weight_once(name):
    rows = ours(name).layers
    held = sum(row.roles.get("weight", 0) for row in rows)
    outside = ours(name).in_no_layer.get("weight", 0)
    assert held + outside == expected(name)["weights"]["elements"]


@those(lambda one: one["macs"] is not None)
def test_multiply_accumulates_are_those_of_the_live_models_layers(name):
    assert ours(name).cost.macs == expected(name)["macs"]
    assert ours(name).cost.macs_rule
    assert ours(name).cost.peak_rule


# --- quantization and sparse storage ------------------------------------------------------------

SCHEMES = {
    "float32": r"float32",
    "float16": r"float16",
    "dynamic-range": r"dynamic.range",
    "int8 (int8 io)": r"(?i)integer.*(integer|int8) (input|in)",
    "int8 (float io)": r"(?i)integer.*float",
    "int4 (float io)": r"(?i)int4",
    "16x8": r"16x8",
    "mixed": r"(?i)mixed.*float",
}


@those(lambda one: one["scheme"] is not None)
def test_the_scheme_is_in_the_answer(name):
    scheme = ours(name).scheme
    assert re.search(SCHEMES[expected(name)["scheme"]], scheme), scheme
    assert scheme.rstrip(".") in said(name)


@every
def test_quantization_of_every_tensor_is_the_interpreters(name):
    for row, tensor in pairs(name):
        wanted, found = row["quantization"], tensor.quantization
        if wanted is None:
            assert found is None, row["name"]
            continue
        if wanted["block"] is not None:
            assert (found["scheme"], found["block"]) == ("blockwise", wanted["block"])
            continue
        assert found["count"] == wanted["count"]
        assert found["scheme"] == ("per-tensor" if wanted["count"] == 1 else "per-channel")
        assert found["axis"] == wanted["axis"]
        np.testing.assert_array_equal(
            np.float32(found["scale"]), np.float32([wanted["min_scale"], wanted["max_scale"]])
        )
        points = wanted["zero_points"]
        assert found["zero_point"] == [points[0], points[-1]]
        assert found["symmetric"] == (points == [0])


SPARSE = those(lambda one: any(row["sparsity"] for row in one["tensors"]))


@SPARSE
def test_sparse_storage_is_as_the_interpreter_says(name):
    for row, tensor in pairs(name):
        wanted, found = row["sparsity"], tensor.sparsity
        if wanted is None:
            assert found is None
            continue
        size = np.dtype(row["dtype"]).itemsize
        block = [one["size"] for one in wanted["dimensions"][len(row["shape"]) :]]
        assert found["format"] == ("block CSR" if block else "CSR")
        assert found["dense"] == elements(row)
        assert found["stored"] == row["nbytes"] // size
        saved = elements(row) * size - row["nbytes"] - wanted["index_bytes"]
        assert found["saved_bytes"] == saved
        assert math.prod(found["block"] or ()) == math.prod(block)


@SPARSE
def test_zeros_that_are_not_stored_are_zeros(name):
    for row, tensor in constants(name):
        if row["sparsity"] is not None:
            assert tensor.measure.zeros >= tensor.sparsity["dense"] - tensor.sparsity["stored"]


# --- the model around them ----------------------------------------------------------------------


@every
def test_operators_are_counted_with_their_versions(name):
    wanted = Counter()
    for subgraph in expected(name)["subgraphs"]:
        wanted.update(subgraph["operators"])
    found = Counter()
    for operator in ours(name).operators:
        found[operator.name] += operator.count
    assert found == wanted
    versions = {
        (custom or code, version) for code, version, custom in expected(name)["operator_codes"]
    }
    assert {(one.name, one.version) for one in ours(name).operators} <= versions
    custom = {custom for _, _, custom in expected(name)["operator_codes"] if custom}
    assert {one.name for one in ours(name).operators if one.custom} == custom


@every
def test_signatures_are_the_interpreters(name):
    names = {
        (row["subgraph"], row["index"]): (tensor.name, tensor.stored_name)
        for row, tensor in opened_tensors(name)
    }
    with inspector.open(samples.path(name)) as opened:
        found = {one.name: one for one in opened.artifact.signatures}
    wanted = {one["name"]: one for one in expected(name)["signatures"]}
    assert found.keys() == wanted.keys()
    graphs = len(expected(name)["subgraphs"])
    for key, signature in found.items():
        for ports, places in (
            (signature.inputs, wanted[key]["inputs"]),
            (signature.outputs, wanted[key]["outputs"]),
        ):
            assert {port.name for port in ports} == set(places)
            for port in ports:
                tensors = [names.get((g, places[port.name]), ()) for g in range(graphs)]
                assert any(port.tensor in one for one in tensors), port


@every
def test_the_runtime_that_it_needs_is_said(name):
    assert ours(name).min_runtime_version == expected(name)["min_runtime_version"]


@every
def test_files_inside_are_named(name):
    assert list(ours(name).attached) == expected(name)["associated_files"]


@every
def test_bytes_add_up_to_the_file(name):
    artifact = ours(name)
    assert sum(artifact.bytes.values()) == artifact.nbytes
    assert not {"unaccounted", "shared by several"} & set(artifact.bytes)
    assert all(nbytes >= 0 for nbytes in artifact.bytes.values())


@every
def test_every_byte_is_a_tensors_or_has_a_label(name):
    with inspector.open(samples.path(name)) as opened:
        artifact = opened.artifact
        marks = bytearray(artifact.nbytes)
        for tensor in artifact.tensors:
            for extent in tensor.extents:
                end = extent.offset + extent.length
                assert end <= len(marks)
                marks[extent.offset : end] = b"\1" * extent.length
        assert sum(marks) + sum(artifact.overhead.values()) == artifact.nbytes


@every
def test_a_sound_file_has_no_error(name):
    assert [p for p in ours(name).problems if p.severity in ("warning", "error")] == []


@every
def test_the_json_is_valid_by_the_schema(name):
    with open(
        os.path.join(samples.ROOT, "inspector/schema/report-1.0.json"), encoding="utf-8"
    ) as file:
        schema = json.load(file)
    content = json.loads(msgspec.json.encode(whole(name)))
    jsonschema.validate(content, schema)
    assert content["artifacts"][0]["format"] == "tflite"


# --- what each sample is there for --------------------------------------------------------------


def test_a_folded_batch_normalization_leaves_no_tensor():
    # Conv2D 3*3*3*4+4, DepthwiseConv2D 3*3*4+4, Dense 64*10+10; of 16 more nothing is left.
    assert ours("lite_float.tflite").weights.elements == 112 + 40 + 650 == 818 - 16


def test_a_small_kernel_stays_float_in_dynamic_range():
    dtypes = {tuple(row["shape"]): tensor.dtype for row, tensor in constants("lite_dynamic.tflite")}
    assert dtypes[(4, 3, 3, 1)] == "float32"
    assert dtypes[(10, 196)] == "int8"


def test_nine_values_of_four_bits_take_five_bytes():
    kernel = called("lite_int4.tflite", "sequential/conv2d/Conv2D")
    assert (kernel.dtype, kernel.elements, kernel.nbytes) == ("int4", 9, 5)


def test_the_outputs_of_dequantize_are_no_second_copy():
    halves = ours("lite_float16.tflite").roles["weight"]
    assert (halves.elements, halves.nbytes) == (802, 2 * 802)


def test_pruned_kernels_stored_densely_take_as_much_as_any():
    # Kernels 64 x 32 and 32 x 16, biases 32 and 16; three quarters of the kernels are zero.
    dense, sparse = (ours(f"lite_{kind}.tflite") for kind in ("pruned_dense", "sparse"))
    assert dense.weights == sparse.weights
    assert dense.weights.elements == 2048 + 32 + 512 + 16
    assert dense.weights.zeros >= (2048 + 512) * 3 // 4
    assert dense.roles["weight"].nbytes == 2608 * 4
    assert sparse.roles["weight"].nbytes == (2560 // 4 + 48) * 4


def test_blocks_have_the_size_of_the_kernels_type():
    blocks = {
        name: {tuple(t.sparsity["block"]) for _, t in constants(name) if t.sparsity}
        for name in ("lite_sparse_block.tflite", "lite_sparse_block_int8.tflite")
    }
    assert blocks == {
        "lite_sparse_block.tflite": {(1, 4)},
        "lite_sparse_block_int8.tflite": {(1, 16)},
    }


def test_a_kernel_of_two_operators_is_stored_and_counted_once():
    assert ours("lite_shared.tflite").totals.stored_elements == 100


def test_states_of_an_lstm_are_activations():
    states = [t for row, t in pairs("lite_lstm.tflite") if row["is_variable"]]
    assert [(t.role, t.nbytes) for t in states] == [("activation", 0)] * 2


def test_weights_in_the_body_of_a_loop_are_weights():
    # LSTM(5) on 3 features, in a loop's body: 4 * 5 * (3 + 5 + 1); Dense(2) after it.
    assert ours("lite_lstm_while.tflite").roles["weight"].elements == 180 + 12


def test_a_custom_operator_is_named_in_the_answer_or_the_calls():
    for name, operator in (
        ("lite_custom.tflite", "Igamma"),
        ("lite_flex.tflite", "FlexMatrixInverse"),
    ):
        assert [one.name for one in ours(name).operators if one.custom] == [operator]


def test_associated_files_are_what_the_zip_behind_the_model_holds():
    # "cat\ndog\nbird\n" and "tiny\n".
    assert ours("lite_metadata.tflite").attached == {"labels.txt": 13, "notes/about.txt": 5}


def test_scales_of_blocks_are_quantization_parameters_of_their_kernel():
    kernel, scales = (
        next(t for row, t in pairs("lite_blockwise.tflite") if row["dtype"] == dtype)
        for dtype in ("int4", "float16")
    )
    # 8 outputs of 64 inputs, a scale for every 32.
    assert (scales.role, scales.elements) == ("quant_param", 8 * 2)
    assert scales.name in kernel.quantization["parameters"].values()


def test_a_model_without_weights_has_no_scheme():
    assert expected("lite_table.tflite")["scheme"] is None
    assert ours("lite_table.tflite").scheme is None


def test_what_a_device_has_compiled_is_said_to_be_opaque():
    artifact = ours("lite_compiled.tflite")
    assert artifact.totals.stored_elements == 0
    assert "edgetpu-custom-op" in said("lite_compiled.tflite")


def test_buffers_behind_the_model_are_read_where_they_are():
    inside, behind = (ours(f"lite_{one}.tflite") for one in ("float", "offsets"))
    assert behind.roles["weight"] == inside.roles["weight"]
    assert behind.weights == inside.weights
