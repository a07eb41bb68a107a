import json
import os

import pytest

import inspector
from inspector import api
from inspector.errors import ArtifactError, NotFound, UsageError
from inspector.model import Role
from tests.builders import artifacts, samples

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")
COPIES = os.path.join(SAMPLES, "pruned.keras")


@pytest.mark.parametrize("name", samples.KERAS)
def test_counts_are_those_of_live_keras(name):
    with open(os.path.join(SAMPLES, f"{name}.expected.json"), encoding="utf-8") as stored:
        expected = json.load(stored)
    (artifact,) = inspector.show(os.path.join(SAMPLES, name)).artifacts
    assert artifact.readable
    assert sum(artifact.bytes.values()) == artifact.nbytes
    assert not {"unaccounted", "shared by several"} & set(artifact.bytes)
    totals = artifact.totals
    assert totals.count_params == expected["count_params"]
    assert totals.after_strip == expected["after_strip"]
    assert totals.nonzero == expected["nonzero_weights"]
    # Without a config nothing says what is trainable.
    unknown = expected["weights_only"]
    assert totals.trainable == (None if unknown else expected["trainable"])
    assert totals.non_trainable == (None if unknown else expected["non_trainable"])


def test_show_takes_one_path_or_several():
    assert len(api.show(PRUNED).artifacts) == 1
    assert len(api.show([PRUNED, COPIES]).artifacts) == 2


def test_show_keeps_the_place_of_what_it_cannot_read(tmp_path):
    missing = str(tmp_path / "missing.h5")
    first, second, third = api.show([PRUNED, missing, COPIES]).artifacts
    assert [a.readable for a in (first, second, third)] == [True, False, True]
    assert second.path == missing
    assert second.problems[0].code == "not-found"


def test_show_without_measuring_reads_no_value():
    (artifact,) = api.show(PRUNED, measure=False).artifacts
    assert all(tensor.measure is None for tensor in artifact.tensors)
    assert artifact.totals.nonzero is None


def test_progress_is_told_of_every_byte():
    class Watcher:
        total = seen = 0
        done = False

        def start(self, nbytes):
            self.total = nbytes

        def advance(self, nbytes):
            self.seen += nbytes

        def finish(self):
            self.done = True

    watcher = Watcher()
    api.show(PRUNED, progress=watcher)
    assert watcher.done
    # 5,347 elements: all float32 but three int64 steps (two of pruning, one of Adam).
    assert watcher.total == watcher.seen == 5344 * 4 + 3 * 8


def test_open_gives_tensors_whose_values_can_be_read():
    with inspector.open(PRUNED) as opened:
        tensor = api.find(opened.artifact, "prune_low_magnitude_dense/dense/kernel")
        assert sum(block.size for block in tensor.payload.blocks(1 << 20)) == 640


def test_open_raises_for_what_is_not_there(tmp_path):
    with pytest.raises(NotFound):
        inspector.open(str(tmp_path / "missing.h5"))


def test_a_copy_that_repeats_is_confirmed_by_its_values():
    (artifact,) = api.show(COPIES).artifacts
    evidence = [t.evidence for t in artifact.tensors if t.role == "alias"]
    assert len(evidence) == 2
    assert all(text.endswith("; byte-identical to it") for text in evidence)


def test_tensors_are_found_by_name_layer_ending_and_glob():
    artifact = artifacts.pruned().artifact()
    kernel = "model_weights/prune_low_magnitude_dense/dense/kernel:0"
    for wanted in (
        kernel,
        "prune_low_magnitude_dense/kernel",
        "dense/kernel:0",
        "*_dense/dense/k*",
    ):
        assert api.find(artifact, wanted).name == kernel


def test_an_ambiguous_name_lists_what_it_could_mean():
    with pytest.raises(UsageError, match="names 2 tensors") as raised:
        api.find(artifacts.pruned().artifact(), "mask:0")
    assert "prune_low_magnitude_dense_1/mask:0" in str(raised.value)


def test_many_candidates_are_cut_short():
    case = artifacts.Case()
    for at in range(50):
        case.tensor(f"w{at}", Role.WEIGHT, (1,))
    with pytest.raises(UsageError, match="and 30 more"):
        api.find(case.artifact(), "w*")


def test_a_name_of_nothing_says_where_names_are_listed():
    with pytest.raises(UsageError, match="--tensors"):
        api.find(artifacts.pruned().artifact(), "nix")


def test_explaining_a_weight_holds_it_against_its_mask():
    found = api.explain(PRUNED, "prune_low_magnitude_dense/dense/kernel")
    assert found.tensor.role == "weight"
    assert found.rule is not None
    assert (found.mask.elements, found.mask.masked) == (640, 320)
    assert (found.mask.extra_zeros, found.mask.leaks) == (0, 0)
    assert found.schedule.class_name in {"ConstantSparsity", "PolynomialDecay"}
    assert sum(bar.elements for bar in found.histogram) == 640
    assert sum(extent.length for extent in found.extents) == 2560


def test_explaining_without_measuring_reads_no_value():
    found = api.explain(PRUNED, "prune_low_magnitude_dense/dense/kernel", measure=False)
    assert found.tensor.measure is None
    assert found.histogram == ()
    assert found.mask is None


def test_explaining_raises_what_reading_raises(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ArtifactError, match="Git LFS"):
        api.explain(str(path), "x")


def test_every_public_name_is_there():
    assert all(getattr(inspector, name) is not None for name in inspector.__all__)
    with pytest.raises(AttributeError):
        _ = inspector.nothing


def test_functions_of_the_public_api_stay_functions_once_they_have_run():
    # A module of the same name would take the place of the function when it is imported.
    for name in ("explain", "open", "reconcile", "show"):
        assert callable(getattr(inspector, name))
    path = os.path.join(SAMPLES, "stripped.h5")
    for _ in range(2):
        assert inspector.reconcile(path).reconciliation.residual == 0


def test_a_difference_is_a_report_of_both_and_of_what_changed():
    from msgspec import UNSET

    report = inspector.diff(samples.path("pruned.h5"), samples.path("stripped.h5"))
    assert report.command == "diff"
    assert [one.path for one in report.artifacts] == [
        samples.path("pruned.h5"),
        samples.path("stripped.h5"),
    ]
    assert report.artifacts[0].weights is not None
    assert report.diff.summary.removed == 15
    assert report.diff.places is UNSET


def test_a_difference_without_measuring_compares_values_all_the_same():
    report = inspector.diff(
        samples.path("pruned.h5"), samples.path("stripped.h5"), measure=False, only=["weights"]
    )
    assert report.artifacts[0].weights is None
    assert report.diff.same
    assert all(pair.values.same_bits for pair in report.diff.pairs)
