"""What the explorer shows, without a terminal: its tree, its pane, its histograms, its search."""

import json
import os

import numpy as np
import pytest

import inspector
from inspector.browse import compare, detail, histogram, lines, overview
from inspector.browse.outline import ORDERS, every, line, outline, widest
from inspector.browse.roles import LOOKS, look
from inspector.browse.searching import Wanted, matches, place_of, step
from inspector.model import Role
from inspector.report import Bar
from tests.builders.hdf5 import weights_file
from tests.builders.samples import SAMPLES
from tests.test_terminal_safety import EVIL

PRUNED = os.path.join(SAMPLES, "pruned.h5")
STRIPPED = os.path.join(SAMPLES, "stripped.h5")


def artifact(path=PRUNED, **options):
    return inspector.show([path], **{"measure": False, **options}).artifacts[0]


def leaves(node, kind="tensor"):
    return [one for one in every([node]) if one.kind == kind]


# --- the tree ---


def test_the_tree_of_a_pruned_model_is_what_live_keras_says_of_it():
    with open(os.path.join(SAMPLES, "pruned.h5.expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    tree = outline(artifact())
    assert len(leaves(tree)) == expected["file"]["h5_datasets"]
    assert tree.elements == expected["file"]["elements"]
    sizes = {}
    for one in leaves(tree):
        if one.item.layer:
            wrapper = one.item.layer.partition("/")[0]
            sizes[f"{wrapper}/{one.item.variable}:0"] = one.elements
    assert sizes == {one["path"]: int(np.prod(one["shape"])) for one in expected["variables"]}
    layers = [one for one in tree.children if one.kind == "layer"]
    assert sum(one.elements for one in layers) == expected["count_params"]


def test_a_layer_says_at_a_glance_what_it_holds():
    wrapper = next(one for one in outline(artifact()).children if one.kind == "layer" and one.marks)
    assert "".join(text for text, _ in wrapper.marks) == "■▲△"
    assert {tone for _, tone in wrapper.marks} == {"weight", "pruning"}


def test_bytes_that_are_no_tensors_have_a_node():
    shown = artifact()
    (node,) = (one for one in outline(shown).children if one.kind == "bytes")
    # 51,276 bytes in all; tensors: 5,347 elements of 4 bytes, and 3 steps that have 8.
    assert node.nbytes == 51_276 - (5_347 * 4 + 3 * 4)
    assert [one.title for one in node.children][:2] == ["attributes", "config"]


@pytest.mark.parametrize(
    "name",
    [
        "pruned.keras",
        "saved_pruned",
        "ckpt_adam",
        "ckpt_v1",  # variables of the model itself
        "lite_int8.tflite",
        "frozen_convnet.pb",
        "k3_dir",
    ],
)
def test_every_tensor_of_every_format_is_in_the_tree_once(name):
    shown = artifact(os.path.join(SAMPLES, name))
    tree = outline(shown)
    assert sorted(one.item.name for one in leaves(tree)) == sorted(
        one.name for one in shown.tensors
    )
    assert len({one.key for one in every([tree])}) == len(list(every([tree])))
    by_layer = {one.item.name: one for one in tree.children if one.kind == "layer"}
    for row in shown.layers:
        assert by_layer[row.name].elements == sum(row.roles.values())
        held = sum(one.elements for one in by_layer[row.name].children)
        assert held == sum(row.roles.values())


def test_every_role_has_a_look_of_its_own_that_needs_no_colour():
    assert set(LOOKS) == {role.value for role in Role}
    assert len({found.word for found in LOOKS.values()}) == len(LOOKS)
    assert all(len(found.symbol) == 1 and len(found.word) <= 10 for found in LOOKS.values())
    assert {found.tone for found in LOOKS.values()} <= set(lines.STYLES)
    assert look("of a later version").symbol == "?"


def test_what_is_filtered_leaves_layers_with_their_tensors_alone():
    shown = artifact()
    tree = outline(shown, lambda one: one.role == "mask", roles=("mask",))
    assert [one.title for one in leaves(tree)] == ["mask", "mask"]
    assert [(one.kind, one.elements) for one in tree.children] == [("layer", 640)] * 2


def test_size_and_sparsity_sort_siblings():
    shown = artifact(measure=True)
    by_size = outline(shown, order="size")
    assert [one.nbytes for one in by_size.children if one.kind != "bytes"] == sorted(
        (one.nbytes for one in by_size.children if one.kind != "bytes"), reverse=True
    )
    by_zeros = outline(shown, order="sparsity")
    assert by_zeros.children[0].item.name == "prune_low_magnitude_dense_1"  # 49 % against 45 %
    assert "49.23 %" in lines.plain([line(by_zeros.children[0], "sparsity", 60, 9)])


@pytest.mark.parametrize("width", [8, 20, 34, 60, 120])
@pytest.mark.parametrize("order", ORDERS)
def test_a_line_is_as_wide_as_it_should_be(width, order):
    tree = outline(artifact())
    numbers = widest([tree], order)
    for node in every([tree]):
        text = lines.plain([line(node, order, width, numbers)])
        assert lines.columns(text) == width or width < 20


def test_an_artifact_that_cannot_be_read_has_a_line_and_says_why(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no model at all")
    shown = artifact(str(tmp_path / "a.h5"))
    node = outline(shown)
    assert (node.symbol, node.children) == ("✗", ())
    assert shown.problems[0].message.split()[0] in lines.plain(overview.artifact(shown, 60))


# --- the pane ---


@pytest.mark.parametrize("width", [44, 110])
@pytest.mark.parametrize("name", ["pruned.h5", "lite_int8.tflite", "saved_adam", "ckpt_adam"])
def test_the_pane_is_never_wider_than_it_is(name, width):
    shown = artifact(os.path.join(SAMPLES, name))
    texts = [overview.artifact(shown, width)]
    texts += [overview.layer(row, shown, width) for row in shown.layers]
    texts += [detail.tensor(detail.unread(one, shown), width) for one in shown.tensors[:20]]
    assert all(lines.columns(lines.plain([one])) <= width for text in texts for one in text)


def test_a_pruned_kernel_says_what_its_mask_does():
    shown = artifact()
    name = "model_weights/prune_low_magnitude_dense/dense/kernel:0"
    known = inspector.explain(PRUNED, name)
    text = lines.plain(detail.tensor(known, 90, threshold=0.139097660779953))
    assert "320 of 640 (50 %)" in text
    assert "▲ threshold ±0.139098" in text
    assert "removes 320 of 640 (50 %)" in text
    assert "0 non-zeros of the weight where the mask is 0" in text
    assert "keras-weight" in text
    assert shown.path in text


def test_a_threshold_that_was_for_blocks_is_not_marked_in_values():
    known = inspector.explain(PRUNED, "model_weights/prune_low_magnitude_dense/dense/kernel:0")
    from msgspec.structs import replace

    blocks = replace(known, schedule=replace(known.schedule, block_size=[1, 4]))
    text = lines.plain(detail.tensor(blocks, 90, threshold=0.1))
    assert "threshold 0.1, which was for whole blocks" in text
    assert "±" not in text


def test_how_a_tensor_is_quantized_is_said():
    path = os.path.join(SAMPLES, "lite_int8.tflite")
    shown = artifact(path)
    kernel = next(one for one in shown.tensors if one.quantization and one.role == "weight")
    text = lines.plain(detail.tensor(detail.unread(kernel, shown), 100))
    assert "quantized  dtype: " in text
    assert "axis: " in text


# --- histograms ---


def bars(*counts, low=0.0, high=None):
    high = float(len(counts)) if high is None else high
    step = (high - low) / len(counts)
    return [Bar(low + at * step, low + (at + 1) * step, n) for at, n in enumerate(counts)]


def test_a_histogram_has_eighths():
    """Two lines have 16 eighths: 8 of 8 fill them, 4 half, 3 six of them, 1 two; 0 none."""
    found = lines.plain(histogram.chart(bars(8, 4, 3, 0, 1), width=10, height=2))
    assert found.split("\n") == [" 8", "██        ", "████▆▆  ▂▂", "0        5"]


def test_whatever_is_there_shows_a_sliver():
    found = histogram.chart(bars(1, 1000, 999), width=3, height=2)
    assert lines.plain(found).split("\n")[-2] == "▁██"


def test_a_tower_is_cut_and_says_how_high_it_is():
    found = lines.plain(histogram.chart(bars(10, 5_000, 8), width=9, height=3)).split("\n")
    assert found[0].strip() == "5,000↑"
    assert found[1] == "   ███   "  # the others still have two thirds of the height
    assert found[3] == "█████████"


def test_a_threshold_is_marked_at_both_signs():
    """20 columns from -1 to 1: -0.5 is in the sixth, 0.5 in the sixteenth, 0 in the eleventh."""
    found = lines.plain(histogram.chart(bars(*[1] * 20, low=-1.0, high=1.0), 20, 1, threshold=0.5))
    *_, marks, axis, words = found.split("\n")
    assert [at for at, one in enumerate(marks) if one == "▲"] == [5, 15]
    assert axis[10] == "0"
    assert words == "▲ threshold ±0.5"


@pytest.mark.parametrize("threshold", [None, 0.0, 3.0])
def test_a_threshold_outside_has_no_mark(threshold):
    found = lines.plain(histogram.chart(bars(1, 2, low=-1.0, high=1.0), 10, 1, threshold=threshold))
    assert "▲" not in found


def test_no_bars_are_no_histogram():
    assert histogram.chart([], 80) == []
    assert histogram.chart(bars(*[1] * 20), 10) == []


# --- searching ---


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kernel", 6),  # two weights, and m and v of each
        ("KERNEL", 6),
        ("mask", 2),
        ("*/mask:0", 2),
        ("bias:0", 6),
        ("dense_1/*", 6),  # likewise of one layer
        ("optimizer_slot", 8),
        ("no such", 0),
        ("[", 0),
        ("", 19),
    ],
)
def test_words_and_globs_find_names_layers_and_roles(text, found):
    hits = [one for one in artifact().tensors if matches(one, Wanted(text))]
    assert len(hits) == found


def test_a_role_is_looked_for_alone_or_with_words():
    shown = artifact()
    assert sum(matches(one, Wanted("", "optimizer_slot")) for one in shown.tensors) == 8
    assert sum(matches(one, Wanted("kernel", "optimizer_slot")) for one in shown.tensors) == 4


def test_steps_go_round():
    tree = (outline(artifact(), lambda one: one.role == "mask"),)
    first = step(tree, None, forward=True)
    second = step(tree, first.key, forward=True)
    assert first.key != second.key
    assert step(tree, second.key, forward=True) == first
    assert step(tree, first.key, forward=False) == second
    assert step((), None, forward=True) is None


def test_what_is_said_of_a_layer_inside_a_wrapper_is_shown_at_its_row():
    tree, top = (outline(artifact()),), (PRUNED,)
    row = (PRUNED, "layer prune_low_magnitude_dense")
    mask = "model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0"
    assert place_of(tree, top, mask, None) == (*row, mask)
    assert place_of(tree, top, None, "prune_low_magnitude_dense/dense") == row
    assert place_of(tree, top, "gone", "prune_low_magnitude_dense") == row
    assert place_of(tree, top, None, "no such") == top
    assert place_of(tree, top, None, None) == top


# --- comparing ---


def test_the_difference_of_pruned_and_stripped_is_a_tree():
    """Of 19 tensors the stripped file keeps the 4 weights; 6 of pruning and 9 of training go."""
    report = inspector.diff(PRUNED, STRIPPED)
    (root,) = compare.outline(report, report.diff)
    statuses = [one.item.status for one in leaves(root, "pair")]
    assert (statuses.count("unchanged"), statuses.count("removed")) == (4, 15)
    wrapper = next(one for one in root.children if one.title == "prune_low_magnitude_dense")
    assert sorted(one.title for one in wrapper.children) == [
        "dense/bias", "dense/kernel", "mask", "pruning_step", "threshold",
    ]  # fmt: skip
    assert len({one.key for one in every([root])}) == len(list(every([root])))
    mask = next(one for one in wrapper.children if one.title == "mask")
    assert (mask.symbol, mask.tone) == ("-", "removed")
    assert "not there" in lines.plain(compare.pair(mask.item, 60))


def test_two_histograms_stand_side_by_side_where_there_is_room():
    report = inspector.diff(PRUNED, STRIPPED)
    (root,) = compare.outline(report, report.diff)
    pair = next(
        one.item for one in leaves(root, "pair") if one.item.b and one.item.b.elements == 640
    )
    a = inspector.explain(PRUNED, pair.a.name)
    b = inspector.explain(STRIPPED, pair.b.name)
    wide = lines.plain(compare.pair(pair, 100, before=a, after=b)).split("\n")
    assert any("Before (A)" in one and "After (B)" in one for one in wide)
    narrow = lines.plain(compare.pair(pair, 60, before=a, after=b)).split("\n")
    assert not any("Before (A)" in one and "After (B)" in one for one in narrow)


# --- hostile names ---

MARKUP = "[red]x[/red][@click=app.quit]y[/]"


@pytest.mark.parametrize("name", [EVIL.replace("/", "_"), MARKUP.replace("/", "_"), "層" * 200])
def test_a_hostile_name_is_text_of_its_width(name, tmp_path):
    safe_name = name.replace("\0", "")
    path = weights_file(tmp_path / "a.h5", {safe_name: {f"{safe_name}:0": np.zeros((2, 2), "f4")}})
    shown = artifact(str(path))
    tree = outline(shown)
    for node in every([tree]):
        text = lines.plain([line(node, "file", 50, 5)])
        assert lines.columns(text) == 50
        assert text.isprintable()
    for one in shown.tensors:
        said = detail.tensor(detail.unread(one, shown), 60)
        assert all(text.isprintable() for line_ in said for text, _ in line_)
        assert "[red]" not in name or "[red]" in lines.painted(said).plain
