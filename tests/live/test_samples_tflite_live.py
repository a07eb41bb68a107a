"""The committed .tflite samples, and our reader, held against the live LiteRT interpreter."""

import os
import shutil

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

import make_samples
from samples import compare, tflite_live

import inspector
from tests.builders.samples import TFLITE, expected, path

pytestmark = pytest.mark.live

every = pytest.mark.parametrize("name", TFLITE)

# What only the generator knows, or is another with another version of the interpreter.
MAKERS = {"loader", "scheme", "macs", "live_elements", "differences", "weights", "roles"}
MAKERS_ROW = {"role", "variable"}


def without(row):
    return {key: value for key, value in row.items() if key not in MAKERS_ROW}


@every
def test_the_interpreter_says_what_is_expected(name):
    found = tflite_live.described(path(name), tflite_live.Live(path(name)))
    found.pop("loader")
    wanted = {key: value for key, value in expected(name).items() if key not in MAKERS}
    rows = [list(map(without, one.pop("tensors"))) for one in (found, wanted)]
    assert rows[0] == rows[1]
    assert found == wanted


@every
def test_the_reader_gives_the_interpreters_values_bit_for_bit(name):
    live = tflite_live.Live(path(name))
    with inspector.open(path(name)) as opened:
        for (key, one), tensor in zip(live.tensors(), opened.artifact.tensors, strict=True):
            if not live.buffer_size(one) or tensor.dtype == "string":
                continue
            blocks = list(tensor.payload.blocks(64))
            held = np.concatenate(blocks).reshape(tensor.shape)
            if held.dtype == ml_dtypes.int4:
                held = held.astype(np.int8)
            values = live.values(key)
            assert held.dtype == values.dtype
            assert held.tobytes() == values.tobytes(), tensor.name


@every
def test_what_counts_as_zero_is_the_zero_point(name):
    live = tflite_live.Live(path(name))
    with inspector.open(path(name)) as opened:
        for (key, one), tensor in zip(live.tensors(), opened.artifact.tensors, strict=True):
            said = live.details(key)["quantization_parameters"]
            if not live.buffer_size(one) or not said["zero_points"].any():
                continue
            centred = np.concatenate(list(tensor.centred.blocks(1 << 20)))
            wanted = tflite_live.centre(live.values(key), said)
            assert np.count_nonzero(centred) == np.count_nonzero(wanted)


def test_a_sample_that_the_interpreter_refuses_needs_operators_it_has_not():
    refused = {name for name in TFLITE if not expected(name)["loads"]}
    assert refused == {"lite_compiled.tflite", "lite_custom.tflite", "lite_flex.tflite"}


def test_the_generators_decoder_places_blocks_in_their_dimension():
    # A 2x4 matrix in blocks of 1x2: the first row has its second block, the second its first.
    sparsity = {
        "traversal_order": [0, 1, 2],
        "block_map": [1],
        "dim_metadata": [
            {"format": 0, "dense_size": 2},
            {"format": 1, "array_segments": [0, 1, 2], "array_indices": [1, 0]},
            {"format": 0, "dense_size": 2},
        ],
    }
    dense = tflite_live.densified(np.float32([1, 2, 3, 4]), (2, 4), sparsity)
    np.testing.assert_array_equal(dense, [[0, 0, 1, 2], [3, 4, 0, 0]])


def test_made_again_a_sample_holds_the_same_tensors():
    assert make_samples.main(["--check", "--only", "lite_s*.tflite"]) == 0


def test_the_check_finds_a_sample_that_is_another(tmp_path, capsys):
    for suffix in ("", compare.SUFFIX):
        shutil.copy(path("lite_batched.tflite") + suffix, tmp_path / f"lite_shared.tflite{suffix}")
    options = ["--check", "--only", "lite_shared.tflite", "--out", str(tmp_path)]
    assert make_samples.main(options) == 1
    assert "subgraph 0 tensor 1 differs" in capsys.readouterr().out


def test_the_samples_stay_small():
    sizes = [os.path.getsize(path(name)) for name in TFLITE]
    assert max(sizes) < 20_000
    assert sum(sizes) < 300_000
