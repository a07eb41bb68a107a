import contextlib
import csv
import functools
import io
import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from inspector import api
from inspector.render import RENDERERS, RenderOptions
from inspector.render.pair_rows import turned
from inspector.report import DiffFact, DiffPlace
from tests.builders import differences, samples
from tests.builders.differences import CASES, difference, pair, tensor, values

ESCAPE = re.compile(r"\x1b\[\d+m")


def rendered(made, style="text", **options):
    return RENDERERS[style](made, RenderOptions(**options))


def line_of(text, name):
    """The one line of the text that has this name in it."""
    (found,) = [line for line in text.splitlines() if name in line]
    return found


# As reviewed


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", ["places", "nothing"])
def test_text_is_as_reviewed(name, width, golden):
    golden(f"diff-made-{name}-{width}.txt", rendered(CASES[name](), width=width))


def test_everything_is_as_reviewed(golden):
    few = replace(differences.every_kind(), diff=without_slots(differences.every_kind().diff))
    golden("diff-made-all-200.txt", rendered(few, width=200, all=True))


def without_slots(diff):
    kept = [one for one in diff.pairs if not (one.a and one.a.role == "optimizer_slot")]
    return replace(diff, pairs=tuple(kept))


@pytest.mark.parametrize("width", [40, 80, 100])
def test_stat_is_as_reviewed(width, golden):
    golden(
        f"diff-made-stat-{width}.txt", rendered(differences.every_kind(), width=width, stat=True)
    )


def test_markdown_is_as_reviewed(golden):
    golden("diff-made.md", rendered(differences.every_kind(places=True), "markdown"))


def test_csv_is_as_reviewed(golden):
    made = differences.every_kind()
    golden("diff-made.csv", rendered(replace(made, diff=without_slots(made.diff)), "csv"))


# What fits


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("stat", [False, True])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_terminal(name, width, stat, everything):
    text = rendered(CASES[name](), width=width, stat=stat, all=everything)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_of_five_thousand_changes_fifty_are_listed_and_the_rest_counted(style):
    text = rendered(differences.many(), style)
    assert len(re.findall(r"block_\d+/dense/kernel", text)) == 50
    assert "and 4,950 more changed tensors (--all lists them)" in text.replace("\\", "")
    assert "and 4,950 more config facts (--all lists them)" in text.replace("\\", "")


def test_all_lists_five_thousand_changes_within_seconds():
    began = time.monotonic()
    text = rendered(differences.many(), all=True)
    assert len(re.findall(r"block_\d+/dense/kernel", text)) == 5_000
    assert "more" not in text
    assert time.monotonic() - began < 10


def test_many_alike_are_one_row_and_each_has_one_when_all_are_wanted():
    made = differences.every_kind()
    assert "B has no training state" in line_of(rendered(made), "400 optimizer slots")
    assert rendered(made).count("adam/m_") == 0
    assert rendered(made, all=True).count("adam/m_") == 400


def test_a_few_alike_are_listed_by_name():
    masks = tuple(pair("removed", tensor(f"d{at}/mask", "mask")) for at in range(2))
    text = rendered(difference(masks))
    assert "d0/mask" in text
    assert "d1/mask" in text


def test_weights_of_other_values_are_never_one_row():
    made = tuple(
        pair("changed", tensor(f"d{at}/kernel"), tensor(f"d{at}/kernel"), values=values(10, 1))
        for at in range(20)
    )
    assert len(re.findall(r"d\d+/kernel", rendered(difference(made)))) == 20


def test_weights_that_only_one_has_are_never_one_row():
    made = tuple(pair("removed", tensor(f"d{at}/kernel"), words="gone") for at in range(20))
    assert len(re.findall(r"d\d+/kernel", rendered(difference(made)))) == 20


def test_the_name_of_a_wrapper_is_no_other_name():
    wrapped = tensor("prune_low_magnitude_dense/dense/kernel")
    made = difference((pair("changed", wrapped, tensor("dense/kernel"), "masked"),))
    assert line_of(rendered(made), "masked").split()[1] == "dense/kernel"


def test_renamed_tensors_are_never_one_row():
    made = tuple(
        pair("changed", tensor(f"a{at}/kernel"), tensor(f"b{at}/kernel"), changes=("renamed",))
        for at in range(20)
    )
    assert "{a19 → b19}/kernel" in rendered(difference(made))


# What is said


def test_the_answer_comes_first_then_what_counts_then_numbers_then_what_does_not():
    text = rendered(differences.every_kind(places=True), all=True)
    marks = (
        "A: pruned.h5", "B: plain.h5", "Pruning was", "dense/kernel  ", "dense.activation",
        "count_params", "masks  ", "Differs, and does not count:", "conv2d/bias", "producer",
        "Unchanged:", "dense/bias", "Bytes that differ:", "HDF5 structure",
    )  # fmt: skip
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_changes_stand_in_the_order_of_the_report():
    made = tuple(
        pair("changed", tensor(f"{name}/kernel"), tensor(f"{name}/kernel"), values=values(10, n))
        for n, name in ((9, "zeta"), (5, "alpha"), (1, "mu"))
    )
    text = rendered(difference(made))
    places = [text.index(f"{name}/kernel") for name in ("zeta", "alpha", "mu")]
    assert places == sorted(places)


def test_a_change_says_how_many_differ_by_how_much_and_the_zeros_before_and_after():
    line = line_of(rendered(differences.every_kind(), width=104), "~  dense/kernel")
    assert line.split()[-6:] == ["3", "20,280", "0.125", "40", "→", "42"]


def test_a_quantized_tensor_says_its_error_in_steps():
    assert "0.499 steps" in line_of(rendered(differences.every_kind(), width=200), "conv2d/kernel")


@pytest.mark.parametrize(
    ("name", "sign"),
    [("dense/kernel", "~"), ("dense/mask", "-"), ("new/kernel", "+"), ("dense_2/kernel", "?")],
)
def test_a_row_begins_with_the_sign_of_what_became_of_it(name, sign):
    assert line_of(rendered(differences.every_kind()), f"  {name} ").startswith(f"{sign}  ")


def test_words_leave_to_the_columns_what_these_say():
    text = rendered(differences.every_kind(), width=200)
    line = line_of(text, "conv2d/kernel")
    assert "  values; float32 -> int8; quantized per channel  " in line
    assert line_of(text, "{dense_1 → head}/bias").split()[4:6] == ["weight", "renamed"]


def test_elements_of_a_role_that_only_one_has_are_none_in_the_other():
    # 2 masks of 1,280 elements in A, none in B.
    rows = [
        line.split()
        for line in rendered(differences.every_kind()).splitlines()
        if line.startswith("masks ")
    ]
    assert rows[0] == ["masks", "1,280", "0", "-1,280"]


def test_unchanged_pairs_are_shown_only_when_all_are_wanted_with_why_they_are_pairs():
    made = differences.every_kind()
    assert "dense/bias" not in rendered(made)
    assert line_of(rendered(made, all=True), "dense/bias").endswith("same name")


def test_totals_stand_side_by_side_with_their_difference():
    text = rendered(differences.every_kind())
    assert line_of(text, "count_params").split()[1:] == ["2,638", "1,354", "-1,284"]
    # 26,496 and 10,512 bytes are the sizes of the two files.
    assert line_of(text, "total").split()[1:] == ["26,496", "10,512", "-15,984"]


def test_what_an_artifact_cannot_say_is_a_question_mark_not_zero():
    assert line_of(rendered(differences.every_kind()), "after_strip").split()[1:] == [
        "1,354", "?", "?",
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_two_that_say_the_same_are_said_to_and_what_differs_is_told(style):
    text = rendered(differences.nothing(), style)
    assert "The two say the same." in text
    assert text.index("The two say") < text.index("does not count") < text.index("2.20.0")
    assert "dense/kernel" not in text


def test_values_of_a_config_are_shown_as_they_are():
    facts = (
        DiffFact("config", "d.kernel_size", [3, 3], [5, 5], "", True),
        DiffFact("config", "d.use_bias", True, False, "", True),
        DiffFact("config", "d.rate", 0.1, 0.25, "", True),
        DiffFact("config", "d.name", "x", None, "", True),
        DiffFact("config", "d.seed", 12345, 12346, "", True),
        # What float32 makes of 0.001, which is not 0.001.
        DiffFact("config", "d.lr", 0.0010000000474974513, 0.01, "", True),
        DiffFact("config", "d.eps", 0.0010000000474974513, 0.001, "", True),
        DiffFact("tags", "tags", ["serve", "train"], [], "", True),
    )
    text = rendered(difference((), facts))
    assert line_of(text, "d.kernel_size").split()[3:] == ["[3,", "3]", "[5,", "5]"]
    assert line_of(text, "d.use_bias").split()[3:] == ["true", "false"]
    assert line_of(text, "d.rate").split()[3:] == ["0.1", "0.25"]
    assert line_of(text, "d.seed").split()[3:] == ["12345", "12346"]
    assert line_of(text, "d.lr").split()[3:] == ["0.001", "0.01"]
    assert line_of(text, "d.eps").split()[3:] == ["0.0010000000474974513", "0.001"]
    assert line_of(text, "tags").split()[3:] == ["serve,", "train", "[]"]
    assert line_of(text, "d.name").split() == ["-", "config", "d.name", "x", "-"]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("dense/kernel", "dense/kernel", "dense/kernel"),
        ("dense/kernel", "dense_1/kernel", "{dense → dense_1}/kernel"),
        ("m/conv/kernel", "m/conv_1/kernel", "m/{conv → conv_1}/kernel"),
        ("dense/kernel", "dense/w", "dense/{kernel → w}"),
        ("kernel", "w", "kernel → w"),
        ("/a/k", "/b/k", "/{a → b}/k"),
        ("a/a/k", "a/k", "a/{a/k → k}"),
    ],
)
def test_two_names_say_once_what_they_share(a, b, said):
    assert turned(a, b) == said


def test_what_could_not_be_read_stands_among_what_counts():
    text = rendered(differences.every_kind())
    assert text.index("dense_2/kernel") < text.index("does not count")
    assert "dense_2/kernel" in rendered(differences.every_kind(), stat=True)


def test_a_place_is_in_the_file_that_both_have_by_its_own_path():
    places = (
        DiffPlace("x/v1/variables/variables.index", "y/variables/variables.index", 7, 1, "index"),
        DiffPlace("x/v1/saved_model.pb", "y/saved_model.pb", 8, 2, "graph"),
        DiffPlace("x/v1/fingerprint.pb", None, 0, 3, "all of it"),
    )
    text = rendered(difference((), places=places))
    assert line_of(text, "index").split() == ["variables/variables.index", "7", "1", "index"]
    assert line_of(text, "graph").split() == ["saved_model.pb", "8", "2", "graph"]
    assert line_of(text, "all of it").split()[0] == "x/v1/fingerprint.pb"


def test_where_one_file_differs_its_name_is_no_column():
    places = tuple(DiffPlace("a.h5", "a.h5", at, 1, "config") for at in range(60))
    text = rendered(difference((), places=places))
    assert "a.h5" not in text
    assert "... and 10 more places (--all lists them)" in text


# Colour


def test_colour_changes_no_letter():
    made = differences.every_kind(places=True)
    assert ESCAPE.sub("", rendered(made, color=True)) == rendered(made)
    assert ESCAPE.sub("", rendered(made, color=True, stat=True)) == rendered(made, stat=True)


def test_added_is_green_removed_red_and_what_does_not_count_dim():
    text = rendered(differences.every_kind(), color=True)
    assert line_of(text, "new/kernel").startswith("\x1b[32m+")
    assert line_of(text, "dense/mask").startswith("\x1b[31m-")
    assert line_of(text, "conv2d/bias").startswith("\x1b[2m-")


# --stat


def test_stat_ends_in_a_line_of_totals():
    made = difference(
        (
            pair("changed", tensor("d/k"), tensor("d/k"), values=values(20_280, 3)),
            pair("removed", tensor("d/mask", "mask")),
            pair("removed", tensor("d/threshold", "threshold")),
            pair("unchanged", tensor("d/b"), tensor("d/b"), values=values(130, 0)),
        )
    )
    # 20,280 + 130 values were compared.
    last = rendered(made, stat=True).splitlines()[-1]
    assert last == " 1 tensor changed, 2 removed, 0 added; 3 of 20,410 values differ"


def test_stat_draws_longer_bars_for_more_values():
    text = rendered(differences.every_kind(), stat=True)
    bars = [line_of(text, f" {name} ").count("-") for name in ("dense/mask", "dense/threshold")]
    assert bars[0] > bars[1] == 1


@pytest.mark.parametrize("name", CASES)
def test_stat_is_ascii(name):
    assert rendered(CASES[name](), stat=True, all=True).isascii()


def test_stat_leaves_out_what_does_not_count_unless_all_are_wanted():
    made = differences.every_kind()
    assert "conv2d/bias" not in rendered(made, stat=True)
    assert "conv2d/bias" in rendered(made, stat=True, all=True)


def test_stat_of_two_that_say_the_same_is_the_line_of_totals():
    assert rendered(differences.nothing(), stat=True) == (
        " 0 tensors changed, 0 removed, 0 added; 0 of 20 values differ\n"
    )


# Hostile names


@pytest.mark.parametrize("style", ["text", "markdown", "csv"])
@pytest.mark.parametrize("stat", [False, True])
def test_no_name_steers_the_terminal(style, stat):
    text = rendered(differences.hostile(), style, stat=stat, all=True)
    assert not set(text) & set("\x1b\x07\u202e")


def test_no_name_leaves_its_cell_of_markdown():
    text = rendered(differences.hostile(), "markdown")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        # One and the same number of bars that are not escaped in all of its lines.
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    outside = re.sub(r"(`+)(.*?)\1(?!`)", "", text)
    assert not re.search(r"(?<!\\)<b", outside)


def test_a_formula_in_csv_is_text():
    rows = list(csv.DictReader(io.StringIO(rendered(differences.hostile(), "csv"))))
    assert [row["status"] for row in rows] == ["changed", "added"]
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    assert rows[0]["why"].startswith("'=cmd")


# CSV and Markdown


def test_csv_has_a_row_a_pair_with_both_sides():
    rows = list(csv.DictReader(io.StringIO(rendered(differences.every_kind(), "csv"))))
    assert len(rows) == 10 + 400
    found = rows[1]
    assert (found["dtype"], found["dtype_b"]) == ("float32", "int8")
    assert (found["shape"], found["shape_b"]) == ("3x3x1x12", "12x3x3x1")
    assert found["changes"] == "values retyped quantization"
    assert (found["differing"], found["elements"], found["in_scale_units"]) == (
        "97", "108", "0.4987",
    )  # fmt: skip


def test_csv_leaves_cells_of_a_missing_side_empty():
    rows = list(csv.DictReader(io.StringIO(rendered(differences.every_kind(), "csv"))))
    (added,) = [row for row in rows if row["status"] == "added"]
    assert (added["name"], added["name_b"], added["differing"]) == ("", "new/kernel", "")


def test_markdown_folds_away_what_is_long_and_says_the_answer_before_it():
    text = rendered(differences.many(30), "markdown")
    assert text.index("<details><summary>60 changes</summary>\n\n|") > text.index("plain.h5")
    assert text.rstrip().endswith("</details>")
    assert "<details>" not in rendered(difference((pair("removed", tensor("d/k")),)), "markdown")


def test_markdown_of_stat_is_a_block_of_code():
    text = rendered(differences.every_kind(), "markdown", stat=True)
    assert text.startswith("```\n dense/kernel ")
    assert text.endswith("\n```\n")


# Of real files

REAL = {
    "pruned-stripped": ("pruned.h5", "stripped.h5"),
    "stripped-saved_stripped": ("stripped.h5", "saved_stripped"),
    "k3-k3_lora": ("k3.keras", "k3_lora.keras"),
    "lite_float-lite_int8": ("lite_float.tflite", "lite_int8.tflite"),
}


@pytest.fixture(scope="module")
def real():
    def made(name):
        with contextlib.chdir(samples.SAMPLES):
            return api.diff(*REAL[name])

    return functools.cache(made)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", REAL)
def test_differences_of_samples_look_as_reviewed(name, width, real, golden):
    text = rendered(real(name), width=width)
    assert max(map(len, text.splitlines())) <= width
    golden(f"diff-{name}-{width}.txt", text)


@pytest.mark.parametrize("name", REAL)
def test_stat_of_samples_looks_as_reviewed(name, real, golden):
    golden(f"diff-{name}-stat.txt", rendered(real(name), width=80, stat=True))


def test_markdown_of_samples_looks_as_reviewed(real, golden):
    golden("diff-pruned-stripped.md", rendered(real("pruned-stripped"), "markdown"))


def test_what_stripping_took_is_all_that_is_listed(real):
    """strip_pruning takes mask, threshold and pruning_step off each of the two layers; Keras saves
    no optimizer with what it gives, which had iteration, and m and v of four weights.
    """
    text = rendered(real("pruned-stripped"), width=200)
    gone = [re.split(r"  +", line)[1:3] for line in rows_of(text, "-")]
    of_layers = [name.rpartition("/")[2] for name, role in gone if role != "optimizer_slot"]
    slots = [name for name, role in gone if role == "optimizer_slot"]
    expected = ["mask", "threshold", "pruning_step"] * 2
    assert sorted(of_layers) == sorted([*expected, "iteration"])
    assert len(slots) == 8
    assert all(re.fullmatch(r"[mv] of \S+/(kernel|bias)", name) for name in slots)
    assert rows_of(text, "~") == rows_of(text, "+") == []


def rows_of(text, sign):
    """Rows of the table of tensors that begin with this sign."""
    (table,) = [part for part in text.split("\n\n") if part.startswith("   tensor")]
    return [line for line in table.splitlines()[2:] if line.startswith(f"{sign}  ")]


# Of any names


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([40, 80, 200]), st.booleans())
def test_any_name_fits_every_way_of_showing_it(a, b, width, everything):
    one = tensor(f"{a}/{b}")
    made = difference(
        (pair("changed", one, replace(one, layer=b), a), pair("removed", one, words=b)),
        (DiffFact(a, b, [a, b], {a: b}, a, True), DiffFact("bytes", a, 1, 2, b, False)),
        places=(DiffPlace(a, b, 0, 1, a), DiffPlace(None, b, 0, 1, b)),
        answer=(a,),
    )
    for stat in (False, True):
        text = rendered(made, width=width, all=everything, stat=stat)
        assert all(columns(line) <= width for line in text.splitlines())
    assert rendered(made, "markdown", all=everything)
    assert list(csv.reader(io.StringIO(rendered(made, "csv"))))


def columns(line):
    """What a terminal gives the line: East Asian wide characters take two columns."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)
