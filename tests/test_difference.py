"""Two artifacts whole: what is the same, what is told, what is left out, either way round."""

import json
import os
import shutil

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector import api
from inspector.difference.compare import compare
from inspector.difference.nouns import Subject, Wanted
from inspector.digests import tensor_digest
from inspector.errors import UsageError
from inspector.limits import Limits
from inspector.model import GROUP_OF, Group, Role
from tests.builders import changed, samples
from tests.builders.hdf5 import sequential, weights_file, whole_model

SAMPLES = sorted(
    name.removesuffix(".expected.json")
    for name in os.listdir(samples.SAMPLES)
    if name.endswith(".expected.json")
)
STRIPPED = samples.path("stripped.h5")
PRUNED = samples.path("pruned.h5")


def diff(a, b, **options):
    return api.diff(a, b, **options).diff


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_the_same_as_itself(name):
    path = samples.path(name)
    found = diff(path, path)
    assert found.same
    assert found.facts == ()
    assert {pair.status for pair in found.pairs} <= {"unchanged"}
    assert found.summary.unchanged == len(found.pairs) > 0
    assert found.answer[0].startswith("The two are the same, byte for byte")


# --- what stripping does -------------------------------------------------------------------------


def test_stripping_takes_masks_thresholds_and_steps_and_changes_no_weight():
    found = diff(PRUNED, STRIPPED)
    gone = [pair.a for pair in found.pairs if pair.status == "removed"]
    pruning = [one for one in gone if GROUP_OF[Role(one.role)] is Group.PRUNING]
    # tfmot's wrapper of a Dense layer: a mask as large as the kernel, a threshold and a step.
    assert (
        sorted(one.role for one in pruning)
        == ["mask"] * 2 + ["pruning_step"] * 2 + ["threshold"] * 2
    )
    assert sum(one.elements for one in pruning) == 2 * (10 * 64) + 2 + 2 == 1284
    assert {GROUP_OF[Role(one.role)] for one in gone} == {Group.PRUNING, Group.TRAINING}
    kept = [pair for pair in found.pairs if pair.a and pair.b]
    assert [pair.status for pair in kept] == ["unchanged"] * 4
    assert all(pair.values.same_bits for pair in kept)
    assert not found.same
    facts = {(fact.part, fact.what): fact for fact in found.facts}
    assert (facts["totals", "count_params"].a, facts["totals", "count_params"].b) == (2638, 1354)
    assert ("sparsity", "weights") not in facts


@pytest.mark.parametrize("other", ["saved_stripped", "stripped.keras"])
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_one_model_in_two_formats_says_the_same(other, back):
    pair = (samples.path(other), STRIPPED) if back else (STRIPPED, samples.path(other))
    found = diff(*pair)
    assert found.same
    kept = [one for one in found.pairs if one.a and one.b]
    assert [one.status for one in kept] == ["unchanged"] * 4
    assert sum(one.values.elements for one in kept) == 1354
    assert not [one for one in found.pairs if one.counts]


def test_a_mask_that_is_gone_counts_in_any_format():
    found = diff(samples.path("saved_pruned"), samples.path("stripped.keras"))
    gone = {pair.a.role for pair in found.pairs if pair.status == "removed" and pair.counts}
    assert {"mask", "threshold", "pruning_step"} <= gone
    assert "constant" not in gone


@pytest.mark.parametrize(
    ("a", "b"),
    [("k3.keras", "k3.h5"), ("k3.keras", "k3_dir"), ("k3.keras", "k3.weights.h5")],
)
def test_one_keras_3_model_in_two_stores_says_the_same(a, b):
    assert diff(samples.path(a), samples.path(b)).same


def test_a_zip_with_other_dates_order_and_compression_says_the_same(tmp_path):
    found = diff(samples.path("stripped.keras"), changed.zipped_again(tmp_path / "b.keras"))
    assert found.same
    assert "only their bytes differ" in found.answer[0]


# --- totals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("pruned.h5", "stripped.h5"),
        ("stripped.h5", "saved_stripped"),
        ("k3.keras", "pruned.h5"),
        ("lite_float.tflite", "lite_int8.tflite"),
    ],
)
def test_differences_of_bytes_by_label_add_up_to_that_of_the_sizes(a, b):
    report = api.diff(samples.path(a), samples.path(b))
    by_label = [fact.b - fact.a for fact in report.diff.facts if fact.part == "bytes"]
    assert sum(by_label) == report.artifacts[1].nbytes - report.artifacts[0].nbytes
    sizes = [os.path.getsize(samples.path(name)) for name in (a, b) if "." in name]
    assert not sizes or sizes[-1] in (one.nbytes for one in report.artifacts)


def test_a_pattern_that_no_longer_holds_is_told(tmp_path):
    name = "model_weights/dense/dense/kernel:0"
    with h5py.File(samples.path("stripped_2by4.h5")) as file:
        kernel = file[name][()]
    # Two of four along the inputs are zero, everywhere.
    groups = kernel.reshape(-1, 4, kernel.shape[1])
    assert ((groups == 0).sum(axis=1) == 2).all()

    def edit(values):
        values[:4, 0] = 1

    other = changed.values(tmp_path / "b.h5", edit, name, "stripped_2by4.h5")
    found = diff(samples.path("stripped_2by4.h5"), other)
    fact = next(f for f in found.facts if (f.part, f.what) == ("patterns", "2:4 input"))
    assert fact.a - fact.b == 1
    assert "sparsity" in found.pairs[0].changes
    assert "2:4 input broken" in found.pairs[0].words
    zeros = next(fact for fact in found.facts if fact.part == "sparsity")
    assert zeros.a["zeros"] - zeros.b["zeros"] == 2


# --- what is asked for ---------------------------------------------------------------------------


def test_what_is_ignored_is_counted_and_touches_nothing_else():
    found = diff(PRUNED, STRIPPED, ignore=("pruning", "training", "config", "training-config"))
    assert found.same
    assert found.summary.removed == 0
    assert found.summary.ignored == 6 + 9
    assert not any("mask" in line for line in found.answer if not line.startswith("B is "))


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (("mask",), {"mask"}),
        (("optimizer_slot", "optimizer_state"), {"optimizer_slot", "optimizer_state"}),
        (("*/threshold",), {"threshold"}),
        (("prune_low_magnitude_dense*",), {"mask", "threshold", "pruning_step"}),
    ],
)
def test_roles_and_globs_leave_tensors_out(words, left_out):
    found = diff(PRUNED, STRIPPED, ignore=words)
    roles = {pair.a.role for pair in found.pairs if pair.status == "removed"}
    assert not roles & left_out
    assert found.summary.ignored > 0


def test_only_weights_are_looked_at_where_only_they_are_asked_for():
    found = diff(PRUNED, STRIPPED, only=("weights",))
    assert found.same
    assert [pair.a.role for pair in found.pairs] == ["weight"] * 4
    assert found.facts == ()
    assert found.summary.ignored == 15


def test_a_kind_of_change_can_be_left_out(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", lambda values: values.astype("f8"))
    assert not diff(STRIPPED, other).same
    assert diff(STRIPPED, other, ignore=("retyped",)).same


def test_kinds_alone_are_asked_of_tensors_that_both_have(tmp_path):
    other = changed.renamed(tmp_path / "b.h5", "dense", "hidden")
    assert not diff(PRUNED, other, only=("renamed",)).same
    assert diff(PRUNED, other, only=("retyped",)).same
    assert diff(PRUNED, STRIPPED, only=("values",)).same


@pytest.mark.parametrize("option", ["ignore", "only"])
def test_a_word_that_means_nothing_is_refused_with_the_nearest(option):
    with pytest.raises(UsageError, match="did you mean 'optimizer_slot'"):
        diff(PRUNED, STRIPPED, **{option: ("optimiser_slot",)})


def test_tolerance_lets_small_differences_pass(tmp_path):
    def edit(values):
        values += np.float32(1e-4)

    other = changed.values(tmp_path / "b.h5", edit)
    assert not diff(STRIPPED, other).same
    assert not diff(STRIPPED, other, atol=1e-5).same
    found = diff(STRIPPED, other, atol=2e-4)
    assert found.same
    assert "which the tolerance allows" in found.answer[0]


# --- saved reports -------------------------------------------------------------------------------


def saved(path, *, digests=True, measured=True):
    """The subject that a report of this artifact, read back from JSON, stands for."""
    from msgspec.structs import replace

    with api.open(path) as opened:
        tensors = opened.artifact.tensors
        known = {tensor.name: tensor_digest(tensor) for tensor in tensors if tensor.payload}
    report = api.show(path, measure=measured)
    (one,) = report.artifacts
    entries = tuple(replace(entry, digest=known.get(entry.name)) for entry in one.tensors)
    one = replace(one, tensors=entries) if digests else one
    return replace(report, artifacts=(one,))


def written(report, path):
    import msgspec

    path.write_bytes(msgspec.json.encode(report))
    return str(path)


def test_a_saved_report_stands_for_its_artifact(tmp_path):
    baseline = written(saved(STRIPPED), tmp_path / "stripped.json")
    found = diff(baseline, STRIPPED)
    assert found.same
    assert {pair.status for pair in found.pairs} == {"unchanged"}
    assert {pair.words for pair in found.pairs} == {"the digests are the same"}
    found = diff(baseline, PRUNED)
    assert found.summary.added == 15
    assert not [pair for pair in found.pairs if pair.a and pair.status != "unchanged"]
    assert diff(baseline, baseline).same


def test_a_digest_tells_that_values_differ_and_not_how(tmp_path):
    baseline = written(saved(STRIPPED), tmp_path / "stripped.json")

    def edit(values):
        values[0, 0] += 1

    found = diff(baseline, changed.values(tmp_path / "b.h5", edit))
    pair = found.pairs[0]
    assert pair.status == "changed"
    assert "values" in pair.changes
    assert "the values differ; the saved report has only their digest" in pair.words
    assert pair.values is None
    assert found.summary.unchanged == 3


def test_without_digests_what_was_measured_is_compared(tmp_path):
    baseline = written(saved(STRIPPED, digests=False), tmp_path / "stripped.json")

    def edit(values):
        values[0, 0] = 100

    found = diff(baseline, changed.values(tmp_path / "b.h5", edit))
    assert found.pairs[0].words.startswith("the values differ:")
    assert "max" in found.pairs[0].words
    # Of the other three nobody looked at the values: that is said, and does not count.
    rest = [pair.words for pair in found.pairs[1:]]
    assert rest == ["zeros and range are the same; the values themselves were not compared"] * 3
    fact = next(fact for fact in found.facts if fact.part == "values")
    assert (fact.a, fact.counts) == (3, False)


def test_without_anything_it_is_said_that_values_were_not_compared(tmp_path):
    report = saved(STRIPPED, digests=False, measured=False)
    found = diff(written(report, tmp_path / "a.json"), STRIPPED)
    assert found.same
    assert found.answer[0].startswith("The two say the same as far as they could be compared")
    assert all("not compared" in pair.words for pair in found.pairs)


def test_bytes_of_a_saved_report_are_not_to_be_had(tmp_path):
    baseline = written(saved(STRIPPED), tmp_path / "stripped.json")
    with pytest.raises(UsageError, match="--bytes"):
        diff(baseline, STRIPPED, places=True)


# --- odd artifacts -------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [os.devnull, "empty file"])
def test_a_file_that_is_not_there_in_one_version_was_added_or_is_gone(tmp_path, empty):
    if empty != os.devnull:
        empty = str(tmp_path / "empty.h5")
        open(empty, "w").close()
    found = diff(empty, STRIPPED)
    assert found.summary.added == 4
    assert not found.same
    assert found.answer == (
        "B is new: a Keras HDF5 file with 4 tensors of 1,354 elements, where the other has"
        " nothing.",
    )
    assert diff(STRIPPED, empty).answer[0].startswith("A is gone: a Keras HDF5 file")
    assert diff(empty, os.devnull).same


def test_a_missing_shard_leaves_what_it_holds_unread(tmp_path):
    prefix = samples.path("ckpt_sharded")
    for end in (".index", ".data-00000-of-00002"):
        shutil.copy(prefix + end, tmp_path / f"ckpt{end}")
    found = diff(prefix, str(tmp_path / "ckpt"))
    assert not found.same
    unread = [pair for pair in found.pairs if pair.status == "unread"]
    assert unread
    assert found.summary.unread == len(unread)
    assert any("could not be" in line for line in found.answer)


def test_two_architectures_are_called_that():
    found = diff(samples.path("k3.keras"), STRIPPED)
    assert any(line.startswith("These are two architectures: none of") for line in found.answer)


def test_a_large_tensor_is_compared_a_slice_at_a_time(tmp_path):
    values = np.zeros((1024, 1024), "f4")
    config = sequential(("Dense", "dense", {"units": 1024}))
    bias = np.zeros(1024, "f4")
    paths = []
    for name, last in (("a.h5", 0), ("b.h5", 2)):
        values[-1, -1] = last
        layers = {"dense": {"dense/kernel:0": values, "dense/bias:0": bias}}
        paths.append(whole_model(tmp_path / name, layers, config))
    found = api.diff(*paths, limits=Limits(slice_bytes=1 << 14)).diff
    assert (found.pairs[0].values.differing, found.pairs[0].values.largest) == (1, 2.0)
    assert found.pairs[0].values.elements == 1 << 20


# --- whatever there is ---------------------------------------------------------------------------

NAMES = st.sampled_from(["dense", "dense_1", "conv", "out", "a", "b"])
SHAPES = st.sampled_from([(2, 3), (3, 2), (3,), (4, 4), (1,)])
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e-8, float("nan"), float("inf")])
DTYPES = st.sampled_from(["<f4", "<f8", "<f2"])


@st.composite
def arrays(draw):
    shape, dtype = draw(SHAPES), draw(DTYPES)
    count = int(np.prod(shape))
    values = draw(st.lists(NUMBERS, min_size=count, max_size=count))
    return np.array(values, dtype).reshape(shape)


@st.composite
def models(draw):
    """Layers with a kernel each, and at times a bias."""
    layers = {}
    for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=4)):
        layers[name] = {f"{name}/kernel:0": draw(arrays())}
        if draw(st.booleans()):
            layers[name][f"{name}/bias:0"] = draw(arrays())
    return layers


QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(made=models())
def test_nothing_differs_from_itself(made, tmp_path):
    path = weights_file(tmp_path / "a.h5", made)
    again = weights_file(tmp_path / "b.h5", made)
    for other in (path, again):
        found = diff(path, other)
        assert found.same
        assert {pair.status for pair in found.pairs} <= {"unchanged"}
        assert found.facts == ()


MIRRORED = {"added": "removed", "removed": "added"}


def sides(pair):
    return tuple(side.name if side else None for side in (pair.a, pair.b))


@QUICK
@given(one=models(), other=models())
def test_the_way_back_mirrors_the_way_there(one, other, tmp_path):
    a = weights_file(tmp_path / "a.h5", one)
    b = weights_file(tmp_path / "b.h5", other)
    there, back = diff(a, b), diff(b, a)
    assert there.same is back.same
    assert (there.summary.added, there.summary.removed) == (
        back.summary.removed,
        back.summary.added,
    )
    assert there.summary.changed == back.summary.changed
    mirrored = {sides(pair)[::-1]: pair for pair in back.pairs}
    assert mirrored.keys() == {sides(pair) for pair in there.pairs}
    for pair in there.pairs:
        found = mirrored[sides(pair)]
        assert found.status == MIRRORED.get(pair.status, pair.status)
        assert found.changes == pair.changes
        assert found.counts is pair.counts
        if pair.values is None:
            assert found.values is None
            continue
        x, y = pair.values, found.values
        assert (x.zeros_gained, x.zeros_lost) == (y.zeros_lost, y.zeros_gained)
        assert (x.zeros_a, x.zeros_b) == (y.zeros_b, y.zeros_a)
        assert (x.differing, x.largest, x.sign_flips) == (y.differing, y.largest, y.sign_flips)
    for fact in there.facts:
        twin = next(f for f in back.facts if (f.part, f.what) == (fact.part, fact.what))
        assert (fact.a, fact.b) == (twin.b, twin.a)


def test_both_subjects_may_be_given_as_they_are():
    with api.open(STRIPPED) as opened:
        from inspector.classify import classify

        report = api.show(STRIPPED).artifacts[0]
        one = Subject(opened.artifact, classify(opened.artifact).verdicts, report)
        found = compare(one, one, Wanted())
    assert found.same
    assert json.loads(json.dumps(found.answer))


def test_bfloat16_is_its_opaque_bytes(tmp_path):
    """Keras 3 says what they are in `.weights.h5` alone; 1.5 and -2.0 are the same in both."""
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16).view("V2")

    def opaque(group, name):
        group.create_dataset(name, data=values)

    def said(group, name):
        group.create_dataset(name, data=values).attrs["dtype"] = "bfloat16"

    paths = [
        whole_model(tmp_path / name, {"dense": {"dense/bias:0": made}})
        for name, made in (("opaque.h5", opaque), ("said.h5", said))
    ]
    for a, b in (paths, paths[::-1]):
        found = api.diff(a, b).diff
        assert found.same
        assert found.summary.unchanged == 1
