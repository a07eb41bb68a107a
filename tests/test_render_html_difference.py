"""The page of a difference: all that the report says, of every pair that belongs together."""

import pytest
from msgspec.structs import replace

from inspector import api
from inspector.report import Bar, DiffPicture
from tests.builders import differences, samples
from tests.builders.differences import difference, pair, tensor, values
from tests.builders.webpages import webpage

PAIRS = (
    ("pruned.h5", "stripped.h5"),
    ("stripped.h5", "saved_stripped"),
    ("stripped.h5", "stripped.keras"),
    ("clustered.h5", "clustered_stripped.h5"),
    ("lite_float.tflite", "lite_int8.tflite"),
    ("ckpt_adam", "ckpt_manager"),
)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_all_of_a_difference_is_on_its_page(a, b):
    report = api.diff(samples.path(a), samples.path(b), pictures=True)
    found = webpage(report)
    diff = report.diff
    for line in diff.answer:
        assert " ".join(line.replace("/.ATTRIBUTES/VARIABLE_VALUE", "").split()) in found.text
    assert (found.text.count("Not the same") == 0) is diff.same
    pairs = found.table("Every tensor of both")
    states = [row[pairs.heads.index("status")] for row in pairs.rows]
    assert len(states) == len(diff.pairs)
    assert [states.count(one) for one in ("changed", "only in B", "only in A", "unchanged")] == [
        diff.summary.changed, diff.summary.added, diff.summary.removed, diff.summary.unchanged,
    ]  # fmt: skip
    for picture in diff.pictures:
        (whole,) = [
            one.values for one in diff.pairs
            if one.a and one.b and (one.a.name, one.b.name) == (picture.a, picture.b)
        ]  # fmt: skip
        assert f"{whole.differing:,} of {whole.elements:,}" in found.text


def test_bytes_of_both_are_drawn_and_written():
    """Of the two files as TensorFlow wrote them: 51,276 and 20,536 bytes."""
    found = webpage(api.diff(samples.path("pruned.h5"), samples.path("stripped.h5")))
    total = found.table("bytes, before and after").rows[-1]
    assert total == ["total", "51,276", "20,536", "-30,740"]
    every = found.table("All bytes, before and after").rows
    assert ["weights", "5,416", "5,416", "0"] in every  # what is the same, and what is small
    assert ["attributes", "32", "32", "0"] in every
    titles = [text for text in found.words if "masks, A: 5,120 bytes" in text]
    assert len(titles) == 2  # one picture for a desk, one for a telephone


def test_a_layer_is_drawn_beside_the_one_that_it_became():
    found = webpage(api.diff(samples.path("pruned.h5"), samples.path("stripped.h5")))
    rows = found.table("Zeros of each layer, before and after").rows
    assert rows[0] == [
        "prune_low_magnitude_dense → dense", "704", "320", "45.45 %", "704", "320", "45.45 %",
    ]  # fmt: skip


def test_numbers_of_a_change_stand_beneath_its_picture():
    changed = pair(
        "changed",
        a=tensor("dense/kernel", elements=100),
        b=tensor("dense/kernel", elements=100),
        changes=("values",),
        values=values(100, 25, largest=0.5, cosine=0.75, sign_flips=3, zeros_a=10, zeros_b=12,
                      zeros_gained=4, zeros_lost=2),
    )  # fmt: skip
    bars = (Bar(-1.0, 0.0, 40), Bar(0.0, 1.0, 50)), (Bar(-1.0, 0.0, 48), Bar(0.0, 1.0, 40))
    made = difference((changed,))
    picture = DiffPicture("dense/kernel", "dense/kernel", *bars, 10, 12)
    found = webpage(replace(made, diff=replace(made.diff, pictures=(picture,))))
    for told in (
        "differ 25 of 100 (25 %)", "largest difference 0.5", "cosine 0.75", "sign flips 3",
        "zeros 10 → 12 (+4, −2)", "A: 10 zeros", "B: 12 zeros",
    ):  # fmt: skip
        assert told in found.text
    table = found.table("dense/kernel, as a table")
    assert table.rows == [["0", "0", "10", "12"], ["-1", "0", "40", "48"], ["0", "1", "50", "40"]]


def test_what_does_not_count_is_folded_behind_what_does():
    found = webpage(differences.every_kind(places=True))
    assert "only the way of storing makes" in found.text
    assert found.text.index("What else differs") < found.text.index("Bytes that differ")
    assert found.tags["details"] >= 1


def test_nothing_differs():
    found = webpage(differences.nothing())
    assert "The same" in found.text
    assert "Not the same" not in found.text
    assert "What changed most" not in found.text


def test_names_made_to_run_are_only_read():
    found = webpage(differences.hostile())
    assert len(found.page) < 1_000_000


def test_of_thousands_each_has_a_row():
    found = webpage(differences.many(3_000))
    assert len(found.table("Every tensor of both").rows) >= 3_000
    assert len(found.page) < 5_000_000


def test_a_picture_says_what_changed_in_words():
    found = webpage(
        api.diff(samples.path("stripped.h5"), samples.path("lite_float.tflite"), pictures=True)
    )
    assert "What changed: values." in found.text
