"""What `inspector.open` gives: names, values, files, and what is read when."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest

import inspector
from inspector.errors import (
    ArtifactError,
    Changed,
    ChecksumMismatch,
    LimitExceeded,
    NoSuchTensor,
    NotFound,
    UsageError,
)
from inspector.limits import MIB, Limits
from tests.builders import samples

PRUNED = samples.path("pruned.h5")
KERNEL = "model_weights/prune_low_magnitude_dense/dense/kernel:0"
MASK = "model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0"


def stored(name: str, path: str = PRUNED) -> np.ndarray:
    """The same values by h5py, which shares no code with ours."""
    with h5py.File(path, "r") as file:
        return file[name][()]


@pytest.fixture
def model():
    return inspector.open(PRUNED)


@pytest.fixture
def copied(tmp_path):
    shutil.copy(PRUNED, tmp_path / "model.h5")
    return tmp_path / "model.h5"


def open_files() -> set[str]:
    """Files of the samples or of a test that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return {path for path in found if path.endswith((".h5", ".tflite", ".keras", "-of-00001"))}


# --- what it is ---------------------------------------------------------------------------------


def test_it_says_what_live_keras_said(model):
    live = samples.expected("pruned.h5")
    assert model.totals.count_params == live["count_params"]
    assert model.totals.trainable == live["trainable"]
    assert model.totals.after_strip == live["after_strip"]
    assert model.totals.nonzero == live["nonzero_weights"]
    assert model.totals.stored_elements == live["file"]["elements"]
    assert model.format == "keras-h5"
    assert any("2,638 parameters" in line for line in model.answer)


def test_its_bytes_are_all_of_the_file(model):
    assert sum(model.bytes.values()) == model.nbytes == os.path.getsize(PRUNED)
    assert not model.is_measured  # where bytes are is known without any value


def test_it_is_as_long_as_it_has_tensors(model):
    assert len(model) == len(model.tensors) == samples.expected("pruned.h5")["file"]["h5_datasets"]
    assert [one.name for one in model] == list(model.tensors)
    assert model  # whatever its length


def test_its_text_is_one_line(model):
    assert repr(model) == (
        f"<{PRUNED}: Keras HDF5, whole model, 19 tensors, {os.path.getsize(PRUNED):,} bytes>"
    )
    assert repr(model.tensors) == f"<19 tensors of {PRUNED}>"
    assert repr(model.tensors[KERNEL]) == f"<weight {KERNEL}: float32 (10, 64), 2,560 bytes>"


def test_what_values_tell_is_unknown_until_they_are_read(model):
    assert model.structure.totals.nonzero is None
    assert model.structure.weights is None
    assert not model.is_measured
    assert model.measure() is model
    assert model.is_measured
    assert model.report.weights.zeros == 320 + 320
    assert model.report is model.report  # read once


def test_the_report_is_that_of_show(model):
    assert model.report == inspector.show(PRUNED).artifacts[0]
    assert model.structure == inspector.show(PRUNED, measure=False).artifacts[0]


@pytest.mark.parametrize("name", ["missing.h5", "text.h5"])
def test_what_cannot_be_opened_is_an_error_at_once(name, tmp_path):
    (tmp_path / "text.h5").write_text("no model")
    with pytest.raises(ArtifactError):
        inspector.open(tmp_path / name)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        KERNEL,
        "prune_low_magnitude_dense/dense/kernel",
        "dense/kernel",
        "dense/kernel:0",
        "*_dense/dense/k*",
    ],
)
def test_a_tensor_is_found_by_any_of_its_names(model, key):
    assert model.tensors[key].name == KERNEL
    assert key in model.tensors


def test_a_slot_is_found_by_what_it_is_of(model):
    assert model.tensors["m of dense/kernel"].role == "optimizer_slot"


def test_a_misspelled_name_is_a_key_error_that_says_what_may_be_meant(model):
    with pytest.raises(KeyError) as raised:
        model.tensors["dense/kernl"]
    assert "'dense/kernel'" in str(raised.value)
    assert isinstance(raised.value, NoSuchTensor)
    assert isinstance(raised.value, UsageError)
    assert not str(raised.value).startswith('"')  # as other KeyErrors have it
    assert "dense/kernl" not in model.tensors
    assert model.tensors.get("dense/kernl") is None


def test_a_name_of_several_says_which(model):
    with pytest.raises(NoSuchTensor, match="names 2 tensors") as raised:
        model.tensors["mask:0"]
    assert MASK in str(raised.value)
    assert "mask:0" not in model.tensors


def test_a_number_is_no_name(model):
    with pytest.raises(KeyError, match="by name, not by int"):
        model.tensors[0]


def test_keys_are_completed_as_people_say_them(model):
    keys = model.tensors._ipython_key_completions_()
    assert "prune_low_magnitude_dense/dense/kernel" in keys
    assert KERNEL in keys
    assert len(keys) == len(set(keys))


def test_what_a_tensor_is(model):
    kernel, mask = model.tensors[KERNEL], model.tensors[MASK]
    assert (kernel.role, kernel.variable) == (inspector.Role.WEIGHT, "kernel")
    assert kernel.layer == "prune_low_magnitude_dense/dense"
    assert (kernel.dtype, kernel.shape, kernel.elements) == ("float32", (10, 64), 640)
    assert kernel.nbytes == 10 * 64 * 4
    assert "kernel of Dense" in kernel.evidence
    assert mask.role == "mask"
    assert mask.report.about == KERNEL


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pruned.h5", "k3.h5", "qat.h5", "tfk_rnn.h5", "clustered.h5"])
def test_values_are_those_that_h5py_reads(name):
    model = inspector.open(samples.path(name))
    for tensor in model:
        values = tensor.numpy()
        expected = stored(tensor.name, samples.path(name))
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("name", samples.TFLITE)
def test_values_are_those_of_the_live_interpreter(name):
    model = inspector.open(samples.path(name))
    for row, tensor in zip(samples.expected(name)["tensors"], model, strict=True):
        if row["nbytes"] and row["dtype"] != "string":
            values = tensor.numpy()
            assert values.shape == tuple(row["shape"] or ())
            # The interpreter has int4 as int8.
            held = values.astype(np.int8) if tensor.dtype == "int4" else values
            assert hashlib.sha256(held.tobytes()).hexdigest() == row["sha256"], row["name"]


@pytest.mark.parametrize("name", ["ckpt_adam", "ckpt_manager", "ckpt_v1_format.ckpt", "saved_qat"])
def test_values_of_variables_are_those_that_tensorflow_reads(name):
    model = inspector.open(samples.path(name))
    rows = [row for row in samples.expected(name)["variables"] if row["dtype"] != "string"]
    assert rows
    for row in rows:
        values = model.tensors[row["key"]].numpy()
        assert hashlib.sha256(values.tobytes()).hexdigest() == row["sha256"], row["key"]


def test_bfloat16_stays_what_it_is():
    path = samples.path("k3_bfloat16.keras")
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(content), "r") as file:
        raw = file["layers/dense/vars/0"][()]
    values = inspector.open(path).tensors["layers/dense/vars/0"].numpy()
    assert values.dtype == ml_dtypes.bfloat16
    assert values.tobytes() == raw.tobytes()
    live = samples.expected("k3_bfloat16.keras")["variables"][0]
    assert (float(values.min()), float(values.max())) == (live["min"], live["max"])


def test_int4_comes_unpacked():
    path = samples.path("k3_int4.keras")
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(content), "r") as file:
        packed = file["layers/dense/vars/0"][()]
    # Keras packs two columns a byte, the first in the low nibble.
    low, high = (packed.astype(np.int16) & 15), (packed.astype(np.int16) >> 4) & 15
    nibbles = np.stack([low, high], axis=2).reshape(packed.shape[0], -1)
    values = inspector.open(path).tensors["layers/dense/vars/0"].numpy()
    assert values.dtype == ml_dtypes.int4
    np.testing.assert_array_equal(values.astype(int), np.where(nibbles > 7, nibbles - 16, nibbles))


def test_an_array_is_the_callers_own(model):
    first = model.tensors[KERNEL].numpy()
    first[...] = 7
    np.testing.assert_array_equal(model.tensors[KERNEL].numpy(), stored(KERNEL))
    assert first.flags.owndata or first.base.flags.owndata


def test_a_tensor_is_an_array_to_numpy(model):
    kernel = model.tensors[KERNEL]
    np.testing.assert_array_equal(np.asarray(kernel), stored(KERNEL))
    assert np.asarray(kernel, dtype=np.float64).dtype == np.float64
    assert np.array(kernel, copy=True).shape == (10, 64)
    assert np.count_nonzero(kernel) == np.count_nonzero(stored(KERNEL))
    with pytest.raises(ValueError, match="copy"):
        np.array(kernel, copy=False)


def test_a_large_array_has_to_be_wanted(model):
    kernel = model.tensors[KERNEL]
    with pytest.raises(LimitExceeded, match=r"numpy\(max_bytes=2560\) allows it"):
        kernel.numpy(max_bytes=2559)
    assert kernel.numpy(max_bytes=2560).nbytes == 2560
    small = inspector.open(PRUNED, limits=Limits(array_bytes=100)).tensors[KERNEL]
    with pytest.raises(LimitExceeded, match="array_bytes"):
        small.numpy()
    assert small.numpy(max_bytes=MIB).shape == (10, 64)


def test_what_a_file_only_declares_is_not_allocated(tmp_path):
    path = tmp_path / "huge.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
        group.create_dataset("1", data=np.zeros(4, "f4"))
    with pytest.raises(LimitExceeded, match="array_bytes"):
        inspector.open(path).tensors["layers/dense/vars/0"].numpy()


def test_a_tensor_without_values_says_why():
    lite = inspector.open(samples.path("lite_table.tflite"))
    with pytest.raises(UsageError, match="an input of the model"):
        lite.tensors["serving_default_x:0"].numpy()
    with pytest.raises(UsageError, match="strings"):
        lite.tensors["NoOp/Const_1"].numpy()
    assert lite.tensors["NoOp/Const_1"].measure is None


def test_quantized_values_become_real_ones():
    rows = samples.expected("lite_int8.tflite")["tensors"]
    (row,) = (one for one in rows if one["name"] == "sequential/dense/MatMul")
    tensor = inspector.open(samples.path("lite_int8.tflite")).tensors[row["name"]]
    integers, real = tensor.numpy(), tensor.dequantized()
    assert (integers.dtype, real.dtype) == (np.int8, np.float32)
    assert row["quantization"]["axis"] == 0
    assert row["quantization"]["zero_points"] == [0]
    for at, scale in enumerate(row["quantization"]["scales"]):  # of the first four outputs
        np.testing.assert_array_equal(real[at], (integers[at] * scale).astype(np.float32))


def test_what_is_not_quantized_has_no_other_values(model):
    with pytest.raises(UsageError, match="not quantized"):
        model.tensors[KERNEL].dequantized()
    lite = inspector.open(samples.path("lite_int8.tflite"))
    with pytest.raises(UsageError, match="not quantized"):
        lite.tensors["arith.constant"].dequantized()


def test_values_that_are_not_those_that_were_written_are_refused(tmp_path):
    for name in ("ckpt_adam.index", "ckpt_adam.data-00000-of-00001"):
        shutil.copy(samples.path(name), tmp_path / name)
    data = tmp_path / "ckpt_adam.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[25] ^= 1  # in the first kernel: bytes 20 to 100
    data.write_bytes(content)
    tensors = inspector.open(tmp_path / "ckpt_adam").tensors
    with pytest.raises(ChecksumMismatch):
        tensors["model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"].numpy()
    assert tensors["model/layer_with_weights-0/bias/.ATTRIBUTES/VARIABLE_VALUE"].numpy().size == 5


# --- measures -----------------------------------------------------------------------------------


def test_a_measure_is_of_one_tensor_alone(model):
    values = stored(KERNEL)
    found = model.tensors[KERNEL].measure
    assert found.zeros == np.count_nonzero(values == 0) == 320
    assert (found.min, found.max) == (values.min(), values.max())
    assert not model.is_measured
    model.measure()
    assert model.tensors[KERNEL].measure == found


def test_a_histogram_is_numpys(model):
    values = stored(KERNEL).astype("f8")
    found = model.tensors[KERNEL].histogram(bins=8)
    counts, edges = np.histogram(values, 8, (values.min(), values.max()))
    assert found.counts == tuple(counts)
    np.testing.assert_allclose(found.edges, edges)
    with pytest.raises(UsageError):
        model.tensors[KERNEL].histogram(bins=0)


def test_an_explanation_is_that_of_explain(model):
    assert model.tensors[KERNEL].explain() == inspector.explain(PRUNED, KERNEL)
    assert model.tensors[KERNEL].explain(measure=False).histogram == ()


# --- files --------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells open files by /proc")
@pytest.mark.parametrize(
    "name", ["pruned.h5", "k3.keras", "ckpt_adam", "saved_adam", "lite_int8.tflite"]
)
def test_no_file_stays_open(name):
    before = open_files()
    model = inspector.open(samples.path(name))
    assert open_files() == before
    next(one for one in model if one.nbytes and one.dtype != "string").numpy()
    assert model.report.readable
    assert open_files() == before
    with model:
        assert open_files() > before
    assert open_files() == before
    assert model.artifact.files
    assert open_files() > before  # its payloads may be read
    model.close()
    assert open_files() == before


def test_a_file_that_changed_since_is_an_error(copied):
    model = inspector.open(copied)
    with open(copied, "ab") as file:
        file.write(b"more")
    with pytest.raises(Changed):
        model.tensors[KERNEL].numpy()
    with pytest.raises(Changed):
        _ = model.report
    with pytest.raises(Changed), model:
        pass
    assert model.structure.readable  # that was read before
    assert "cannot be read" in model._repr_html_()
    assert "cannot be read" in model.tensors[KERNEL]._repr_html_()


def test_another_file_in_its_place_is_an_error(copied, tmp_path):
    model = inspector.open(copied)
    shutil.copy(PRUNED, tmp_path / "other")
    os.replace(tmp_path / "other", copied)
    with pytest.raises(Changed, match="took its place"):
        model.tensors[KERNEL].numpy()


def test_a_file_that_is_gone_is_an_error(copied):
    model = inspector.open(copied)
    os.unlink(copied)
    with pytest.raises(Changed, match="removed"):
        model.tensors[KERNEL].numpy()
    with pytest.raises(NotFound):
        inspector.open(copied)


def test_a_change_within_a_with_block_is_told_at_its_end(copied):
    with pytest.raises(Changed), inspector.open(copied) as model:  # noqa: PT012 - what is left
        assert model.tensors[KERNEL].numpy().size
        with open(copied, "ab") as file:
            file.write(b"more")


def test_it_can_be_asked_after_the_with_block(model):
    with model as same:
        assert same is model
        assert model.tensors[KERNEL].numpy().size == 640
    assert model.tensors[KERNEL].numpy().size == 640
    model.close()
    assert model.tensors[MASK].numpy().size == 640


def test_payloads_of_the_artifact_can_be_read_as_before():
    tensor = inspector.open(PRUNED).artifact.tensors[0]
    assert sum(block.size for block in tensor.payload.blocks(1 << 20)) == tensor.elements
    model = inspector.open(PRUNED)
    tensor = model.artifact.tensors[0]
    model.close()
    with pytest.raises(ArtifactError, match="closed"):
        list(tensor.payload.blocks(16))


def test_a_relative_path_holds_where_the_folder_is_another(copied, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    model = inspector.open("model.h5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(model.tensors[KERNEL].numpy(), stored(KERNEL))


def test_threads_may_share_it(model):
    wrong: list[object] = []
    names = [name for name in model.tensors if model.tensors[name].nbytes]
    expected = {name: stored(name) for name in names}

    def work() -> None:
        try:
            for name in names * 5:
                if not np.array_equal(model.tensors[name].numpy(), expected[name]):
                    wrong.append(name)
            if model.report.weights.zeros != 640:
                wrong.append("zeros")
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_a_report_is_not_written_over_its_artifact(copied):
    model = inspector.open(copied)
    before = copied.read_bytes()
    with pytest.raises(UsageError, match="not written over"):
        model.save_html(copied)
    assert copied.read_bytes() == before


def test_nor_over_one_that_cannot_be_read(tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(UsageError, match="not written over"):
        inspector.show(broken).save_html(broken)


def test_a_page_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("squarify")
    page = str(tmp_path / "no folder" / "page.html")
    with pytest.raises(FileNotFoundError) as raised:
        inspector.open(PRUNED).save_html(page)
    assert raised.value.filename == page
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_whole(model, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("squarify")
    model.save_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == model.html()
    assert "2,638" in text
    assert text.rstrip().endswith("</html>")


def test_what_readme_shows_of_notebooks_runs(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    with open(os.path.join(samples.ROOT, "README.md"), encoding="utf-8") as file:
        (_, text) = file.read().split("## In a notebook")
    block = text.split("```python\n")[1].split("```")[0]
    os.symlink(samples.SAMPLES, tmp_path / "sample_models")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    totals = names["m"].totals
    assert f"# {totals.count_params}, {totals.after_strip}\n" in block
    assert (tmp_path / "pruned.html").is_file()
