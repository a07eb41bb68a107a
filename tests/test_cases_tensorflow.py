"""Cases from the field about SavedModels, checkpoints and frozen graphs, and the right answers.

The files are the committed samples, which real TensorFlow wrote; the numbers are those of the
cases, with the arithmetic beside them.
"""

import os
import shutil

import pytest

import inspector
from tests.builders import samples


def ours(name):
    report = inspector.show([samples.path(name)]).artifacts[0]
    assert report.readable, report.problems
    assert sum(report.bytes.values()) == report.nbytes
    assert {"unaccounted", "unknown", "shared by several"}.isdisjoint(report.bytes)
    return report


def elements(report, *roles):
    return sum(report.roles[role].elements for role in roles if role in report.roles)


def test_a_keras_3_export_stores_every_variable_twice():
    # Dense(5) and Dense(3) on 4 inputs: 4*5 + 5 + 5*3 + 3 = 43 values, 86 stored.
    report = ours("saved_export")
    assert report.totals.count_params == 4 * 5 + 5 + 5 * 3 + 3
    assert elements(report, "weight", "alias") == 86
    assert report.bytes["copies"] == 43 * 4
    assert "4 variables are stored twice: 172 bytes of copies." in report.answer
    assert all(t.alias_of is not None for t in report.tensors if t.role == "alias")


def test_a_saver_keeps_slots_averages_and_counters_beside_the_weights():
    # w is 4x2; Adam keeps m and v, and the moving average one more: 3 * 8; two powers, one step.
    report = ours("ckpt_v1")
    assert elements(report, "weight") == 4 * 2
    assert report.totals.stored_elements == 4 * 8 + 2 + 1
    roles = {t.name: t.role for t in report.tensors}
    assert roles["w"] == "weight"
    assert {roles["w/Adam"], roles["w/Adam_1"]} == {"optimizer_slot"}
    assert roles["w/ExponentialMovingAverage"] == "optimizer_slot"
    assert {roles["beta1_power"], roles["beta2_power"]} == {"optimizer_state"}
    assert roles["global_step"] == "counter"


def test_a_partitioned_variable_is_one_variable():
    # emb is 10x4, stored as 4 + 3 + 3 rows; w is 4x2.
    report = ours("ckpt_sharded")
    assert {t.name: t.shape for t in report.tensors} == {"emb": (10, 4), "w": (4, 2)}
    assert elements(report, "weight") == 10 * 4 + 4 * 2
    with inspector.open(samples.path("ckpt_sharded")) as opened:
        (emb,) = (t for t in opened.artifact.tensors if t.name == "emb")
        assert sorted(extent.length for extent in emb.extents) == [48, 48, 64]


def test_metrics_stay_in_a_model_saved_without_its_optimizer():
    # Dense(3) on 4 inputs: 15; Adam keeps two slots of each and two values; one metric, two values.
    whole, without = ours("saved_adam"), ours("saved_no_optimizer")
    assert elements(whole, "weight") == elements(without, "weight") == 15
    assert elements(whole, "optimizer_slot") == 30
    assert elements(whole, "optimizer_state") == 2
    assert elements(without, "optimizer_slot", "optimizer_state") == 0
    assert elements(whole, "metric") == elements(without, "metric") == 2


CONVNET = 3 * 3 * 3 * 4 + 4 + 4 * 4 + (6 * 6 * 4 * 10 + 10)  # Conv2D(4, 3), BN, Dense(10) on 8x8x3


def test_a_saved_model_without_variables_has_its_weights_in_the_graph():
    report = ours("saved_frozen")
    assert CONVNET == 1578
    assert elements(report, "weight", "statistic") == CONVNET
    assert report.totals.count_params is None
    assert any("freezing made the weights constants" in line for line in report.answer)


def test_constants_of_a_frozen_graph_are_told_apart_by_what_reads_them():
    report = ours("frozen_convnet.pb")
    assert report.totals.stored_elements == CONVNET + 2  # and a reshape's shape of two
    assert elements(report, "weight") == CONVNET - 8
    assert elements(report, "statistic") == 4 + 4  # moving mean and variance of 4 channels
    assert elements(report, "constant") == 2
    (shape,) = (t for t in report.tensors if t.role == "constant")
    assert (shape.dtype, "Reshape" in shape.evidence) == ("int32", True)


def copied(name, folder):
    """A sample, its files copied; those of a prefix are several."""
    folder.mkdir()
    source = samples.path(name)
    if os.path.isdir(source):
        return shutil.copytree(source, folder / name)
    for one in os.listdir(os.path.dirname(source)):
        if one.startswith(f"{name}."):
            shutil.copy(os.path.join(os.path.dirname(source), one), folder)
    return folder / name


SHARDED = [
    name
    for name in (*samples.SAVED_MODELS, *samples.CHECKPOINTS)
    if samples.expected(name)["file"]["variables"] and not name.endswith(".ckpt")
]


@pytest.mark.parametrize("name", SHARDED)
def test_a_flipped_bit_of_a_shard_is_told_with_the_tensors_name(name, tmp_path):
    path = copied(name, tmp_path / "copy")
    with inspector.open(path) as opened:
        tensors = [
            t for t in opened.artifact.tensors if t.extents and ".data-" in t.extents[0].file
        ]
    assert tensors
    for tensor in tensors:
        place = tensor.extents[-1]
        with open(place.file, "r+b") as file:
            file.seek(place.offset + place.length // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x10]))
            file.flush()
            report = inspector.show([path]).artifacts[0]
            file.seek(place.offset + place.length // 2)
            file.write(bytes([byte]))
        wrong = [one for one in report.problems if one.code == "checksum-mismatch"]
        assert [one.message.startswith(f"{tensor.name} ") for one in wrong] == [True]
        assert next(t for t in report.tensors if t.name == tensor.name).measure is None
        assert sum(report.bytes.values()) == report.nbytes
    report = inspector.show([path]).artifacts[0]
    assert not [one for one in report.problems if one.code == "checksum-mismatch"]
