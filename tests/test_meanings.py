"""Words for tensors and for bytes have a meaning that a page and the explorer can say."""

import pytest

import inspector
from inspector.meanings import BYTE_MEANINGS, ROLE_MEANINGS, meaning
from inspector.words import ROLE_LABELS
from tests.builders import samples

SAMPLES = (
    "pruned.h5", "pruned.keras", "saved_pruned", "ckpt_pruned", "ckpt_v1", "ckpt_manager",
    "frozen_tiny.pb", "lite_int8.tflite", "lite_sparse.tflite", "lite_metadata.tflite",
    "lite_compiled.tflite", "k3_npz.keras", "k3_normalization.keras", "k3_sharded.weights.json",
)  # fmt: skip


def test_each_role_has_a_meaning_and_no_label_has_two():
    assert set(ROLE_MEANINGS) == set(ROLE_LABELS)
    assert not set(BYTE_MEANINGS) & set(ROLE_LABELS.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_each_label_of_a_sample_has_a_meaning(name):
    (shown,) = inspector.show([samples.path(name)], threads=1).artifacts
    assert [label for label in shown.bytes if not meaning(label)] == []


def test_a_word_that_is_unknown_means_nothing():
    assert meaning("of a later version") == ""
