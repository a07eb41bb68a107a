"""Pictures as geometry: areas and lengths against hand calculation, and odd reports."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.render.drawing.bars import before_and_after, byte_bars, layer_bars, size_bars
from inspector.render.drawing.heat import heat, level
from inspector.render.drawing.histogram import histogram, paired
from inspector.render.drawing.labels import fits, fitted, whole, wide
from inspector.render.drawing.operators import operator_bars
from inspector.render.drawing.roles import FAMILIES, css_of
from inspector.render.drawing.scale import Scale, ticks
from inspector.render.drawing.shapes import NARROW, WIDE, Drawing, amount, box, place
from inspector.render.drawing.treemap import treemap
from inspector.render.drawing.waterfall import signed, waterfall
from inspector.render.printable import value
from inspector.report import (
    AreaReport,
    Bar,
    DiffPicture,
    HeatReport,
    HistogramReport,
    LayerReport,
    OperatorCostReport,
    WeightsReport,
)
from inspector.words import ROLE_LABELS

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e" + "x" * 100_000
ODD = (math.nan, math.inf, -math.inf, -1.0, 0.0)


def area(label: str, nbytes: int, layer: str | None = None, role: str | None = None) -> AreaReport:
    return AreaReport(label, role, layer, nbytes, 1)


def inside(drawing: Drawing) -> None:
    """Nothing stands out of the view box, and every number can be printed."""
    for one in drawing.boxes:
        edges = (one.x, one.y, one.x + one.width, one.y + one.height)
        assert all(math.isfinite(edge) for edge in edges)
        assert one.width >= 0
        assert one.height >= 0
        assert edges[0] >= -0.01
        assert edges[1] >= -0.01
        assert edges[2] <= drawing.width + 0.01
        assert edges[3] <= drawing.height + 0.01
    for text in drawing.texts:
        left = text.x - {"start": 0, "middle": 0.5, "end": 1}[text.anchor] * wide(text.text)
        assert left >= -0.5
        assert left + wide(text.text) <= drawing.width + 0.5
        assert 0 < text.y <= drawing.height
    for line in drawing.lines:
        assert all(0 <= at <= drawing.width for at in (line.x1, line.x2))
        assert all(0 <= at <= drawing.height for at in (line.y1, line.y2))


# --- axes and words ---


def test_ticks_are_multiples_of_one_two_or_five() -> None:
    # A span of 0.7 in at most five: steps of 0.1 would be eight, of 0.2 are -0.2, 0, 0.2, 0.4.
    assert ticks(-0.25, 0.45) == (-0.2, 0.0, 0.2, 0.4)
    assert ticks(0, 100) == (0.0, 50.0, 100.0)  # of 20 there would be six
    assert ticks(0, 100, 6) == (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    assert ticks(3.1, 3.9) == (3.2, 3.4, 3.6, 3.8)
    assert ticks(-3e-7, 1e-7) == (-3e-7, -2e-7, -1e-7, 0.0, 1e-7)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1, 0), (math.nan, 1), (0, math.inf), (-1e308, 1e308), (0, 5e-324)]
)
def test_an_axis_without_a_span_has_no_ticks(low: float, high: float) -> None:
    assert ticks(low, high) == ()


@given(st.floats(-1e30, 1e30), st.floats(1e-30, 1e30), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_ticks_lie_within_and_are_no_more_than_asked(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert len(found) <= most
    assert list(found) == sorted(found)
    slack = 1e-9 * (abs(low) + span)
    assert all(low - slack <= at <= low + span + slack for at in found)


def test_a_tick_is_said_without_the_noise_of_binary_fractions() -> None:
    assert [value(at) for at in ticks(0, 0.3)] == ["0", "0.1", "0.2", "0.3"]


def test_a_scale_is_linear_and_stops_at_its_ends() -> None:
    scale = Scale(-1, 3, 100, 300)
    assert [scale(at) for at in (-1, 0, 1, 3)] == [100, 150, 200, 300]
    assert [scale(at) for at in (-9, 9)] == [100, 300]
    assert Scale(2, 2, 10, 20)(2) == 10
    # As wide as floats go: 0 is in the middle still.
    assert Scale(-1.6e308, 1.6e308, 100, 300)(0) == 200


def test_neighbours_share_the_edge_between_them() -> None:
    left, right = box(0, 0, 1 / 3, 1, ""), box(1 / 3, 0, 1, 1, "")
    assert left.x + left.width == right.x == 0.33


def test_only_what_has_a_length_is_drawn() -> None:
    assert [amount(value) for value in (*ODD, None, 2.5)] == [0, 0, 0, 0, 0, 0, 2.5]
    assert [repr(place(value)) for value in (2.0, 2.346)] == ["2", "2.35"]


def test_a_name_is_safe_and_no_wider_than_its_room() -> None:
    assert fitted("dense", 100) == "dense"
    assert wide(fitted(HOSTILE, 200)) <= 200
    assert "\x1b" not in fitted(HOSTILE, 2000)
    assert fitted("dense", 10) == ""
    assert wide("密" * 10) == 2 * wide("a" * 10)
    assert wide(fitted("密" * 100, 100)) <= 100
    assert len(whole(HOSTILE)) <= 200
    assert fits("1,354", wide("1,354")) == "1,354"
    assert fits("1,354", wide("1,35")) == ""


def test_each_role_has_a_colour() -> None:
    assert set(FAMILIES) == set(ROLE_LABELS)
    assert css_of("mask") == "f-pruning"
    assert css_of(None) == "f-file"
    assert css_of("one of a later version") == "f-unknown"


# --- the map of bytes ---


def test_areas_are_as_the_bytes() -> None:
    # 1040 by 420 units for 100 bytes are 4,368 square units a byte.
    found = treemap([area("weights", 60, "dense", "weight"), area("masks", 30, "dense", "mask"),
                     area("config", 10)])  # fmt: skip
    sizes = {one.title: one.width * one.height for one in found.boxes}
    assert sizes["weights of dense: 60 bytes, 60 %"] == pytest.approx(262_080, rel=1e-3)
    assert sizes["masks of dense: 30 bytes, 30 %"] == pytest.approx(131_040, rel=1e-3)
    assert sizes["config: 10 bytes, 10 %"] == pytest.approx(43_680, rel=1e-3)
    assert [one.css for one in found.boxes] == ["area f-model", "area f-pruning", "area f-file"]
    assert [key.label for key in found.keys] == ["weights 60", "masks 30", "config 10"]


AREAS = st.lists(
    st.builds(
        area,
        st.sampled_from(("weights", "masks", "config", "names")),
        st.one_of(st.integers(-1, 3), st.integers(0, 10**4), st.integers(0, 2**63)),
        st.sampled_from((None, "dense", "conv", "a/b")),
        st.sampled_from((None, "weight", "mask")),
    ),
    max_size=40,
)


@given(AREAS, st.sampled_from((WIDE, NARROW)))
@settings(max_examples=60, deadline=None)
def test_a_map_fills_its_picture_once(areas: list[AreaReport], width: int) -> None:
    found = treemap(areas, width)
    inside(found)
    if not any(one.nbytes > 0 for one in areas):
        assert not found.boxes
        return
    covered = sum(one.width * one.height for one in found.boxes)
    assert covered == pytest.approx(found.width * found.height, rel=0.01)
    for a, b in combinations(found.boxes, 2):
        across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
        down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
        assert min(across, down) <= 0.02
    assert treemap(areas[::-1], width) == found


def test_shares_of_a_map_are_of_the_whole_artifact() -> None:
    # Two tensors of a broken file share bytes: 80 + 40 - 20 are its 100.
    areas = [area("weights", 80), area("masks", 40), area("shared by several", -20)]
    titles = {one.title for one in treemap(areas).boxes}
    assert titles == {"weights: 80 bytes, 80 %", "masks: 40 bytes, 40 %"}


def test_of_many_small_parts_one_says_how_many_they_are() -> None:
    areas = [area("weights", 1_000_000, f"layer_{at}", "weight") for at in range(3_000)]
    found = treemap(areas)
    assert len(found.boxes) == 61
    more = [text.text for text in found.texts if "more" in text.text]
    assert more == ["2,940 more"]
    # Sixty of 3,000 are drawn alone: the one of the others has 98 % of 436,800 square units.
    largest = max(found.boxes, key=lambda one: one.width * one.height)
    assert largest.width * largest.height == pytest.approx(428_064, rel=1e-3)


def test_labels_too_small_to_be_seen_are_one_area() -> None:
    found = treemap(
        [area("weights", 10**9, "dense", "weight"), area("names", 40), area("slack", 7)]
    )
    assert len(found.boxes) == 1  # 47 in 1,000,000,047 bytes are 0.02 square units
    assert [key.label for key in found.keys] == ["weights 1,000,000,000", "names 40", "slack 7"]
    near = treemap([area("weights", 10**6, "dense", "weight"), area("names", 40), area("slack", 7)])
    assert near.boxes[-1].title == "47 bytes of names, slack"


def test_no_number_stands_beneath_a_name_that_it_is_not_of() -> None:
    """Under "masks" there is room for 300, which is the bytes of the first layer's alone."""
    layers = [area("masks", 300, f"prune_low_magnitude_{at}", "mask") for at in range(12)]
    found = treemap([*layers, area("names", 60_000), area("config", 2_500)])
    texts = [text.text for text in found.texts]
    assert sorted(texts) == ["2,500", "60,000", "config", "masks", "names"]


def test_hostile_names_are_cut_to_their_areas() -> None:
    found = treemap([area("weights", 10, HOSTILE, "weight"), area(HOSTILE, 10)])
    inside(found)
    assert not any("\x1b" in one.title or len(one.title) > 600 for one in found.boxes)


# --- bars ---


def layer(name: str, elements: int, zeros: int) -> LayerReport:
    weights = WeightsReport(elements, zeros, zeros / elements if elements else None)
    return LayerReport(name, "Dense", None, True, elements, 0, {}, weights)


def lengths(drawing: Drawing, css: str) -> list[float]:
    return [one.width for one in drawing.boxes if one.css == css]


def test_kept_and_zero_weights_end_to_end() -> None:
    found = layer_bars([layer("a", 800, 200), layer("b", 400, 400)])
    inside(found)
    (kept,), (zero_a, zero_b) = lengths(found, "kept"), lengths(found, "zero")
    assert kept == pytest.approx(3 * zero_a, abs=0.05)  # 600 : 200
    assert zero_b == pytest.approx((kept + zero_a) / 2, abs=0.05)  # 400 of 800
    assert [text.text for text in found.texts] == [
        "a", "200 of 800 zero (25 %)", "b", "400 of 400 zero (100 %)",
    ]  # fmt: skip


def test_of_many_layers_the_smaller_ones_are_one_bar() -> None:
    found = layer_bars([layer(f"l{at}", at, 0) for at in range(1, 101)])
    inside(found)
    names = [text.text for text in found.texts if text.css == "row-name"]
    assert names == [f"l{at}" for at in range(61, 101)] + ["60 more layers"]
    # 1 + 2 + ... + 60 = 1,830.
    assert found.texts[-1].text == "none of 1,830 zero"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_of_nothing_and_of_hostile_names(width: int) -> None:
    assert layer_bars([], width).height == 0
    assert layer_bars([layer("a", 0, 0)], width).height == 0
    inside(layer_bars([layer(HOSTILE, 1, 0), layer("b", 9_999_999_999, 5_000_000_000)], width))
    inside(before_and_after([(HOSTILE, WeightsReport(5, 0, 0.0), None)], width))
    inside(byte_bars({HOSTILE: 5, "masks": 10**15}, {"masks": 3}, width))
    inside(size_bars([("dense", 0), ("CSR", 12)], width))


def test_one_element_beside_billions_is_still_a_line() -> None:
    found = layer_bars([layer("a", 10**9, 0), layer("b", 1, 0)])
    assert lengths(found, "kept")[1] == 2


def test_before_and_after_are_two_bars_on_one_scale() -> None:
    found = before_and_after([("a", WeightsReport(100, 0, 0.0), WeightsReport(100, 75, 0.75))])
    before, after = lengths(found, "kept")
    assert after == pytest.approx(before / 4, abs=0.05)
    assert [text.text for text in found.texts] == [
        "a",
        "A: none of 100 zero",
        "B: 75 of 100 zero (75 %)",
    ]


# --- steps ---


def test_each_step_begins_where_the_last_one_ended() -> None:
    found = waterfall([("weights", 1354, "weight"), ("masks", 1280, "mask"), ("slots", -634, None)],
                      "stored")  # fmt: skip
    inside(found)
    weights, masks, slots, total = found.boxes
    assert masks.x == pytest.approx(weights.x + weights.width, abs=0.02)
    assert slots.x + slots.width == pytest.approx(masks.x + masks.width, abs=0.02)
    assert slots.x == pytest.approx(total.x + total.width, abs=0.02)
    assert masks.width / weights.width == pytest.approx(1280 / 1354, abs=1e-3)
    numbers = [text.text for text in found.texts if "row-number" in text.css]
    assert numbers == ["1,354", "+1,280", "−634", "2,000"]  # 1354 + 1280 - 634
    assert len(found.lines) == 3


def test_steps_from_one_total_to_another() -> None:
    found = waterfall([("masks", -1280, "mask")], "B", begin=("A", 2634))
    assert [text.text for text in found.texts] == ["A", "2,634", "masks", "−1,280", "B", "1,354"]


def test_steps_below_zero_have_a_line_at_zero() -> None:
    found = waterfall([("a", 10, None), ("b", -30, None)], "left")
    inside(found)
    assert found.lines[-1].css == "axis"
    assert found.lines[-1].x1 == pytest.approx(found.boxes[0].x, abs=0.02)
    assert waterfall([], "none").height == 0
    inside(waterfall([(HOSTILE, 0, None)], HOSTILE, NARROW))


def test_signs_are_as_wide_as_each_other() -> None:
    assert [signed(value) for value in (5, -1280, 0)] == ["+5", "−1,280", "+0"]


# --- values ---


def bars(*elements: int, low: float = -1.0, high: float = 1.0) -> tuple[Bar, ...]:
    step = (high - low) / len(elements)
    return tuple(Bar(low + at * step, low + (at + 1) * step, n) for at, n in enumerate(elements))


def spread(found: tuple[Bar, ...], zeros: int = 0, threshold: float | None = None,
           not_finite: int = 0) -> HistogramReport:  # fmt: skip
    total = sum(one.elements for one in found) + zeros + not_finite
    return HistogramReport("k", "dense", "kernel", "weight", total, found, zeros, not_finite,
                           threshold, None)  # fmt: skip


def test_bars_are_as_high_as_their_counts_and_zeros_have_their_own() -> None:
    found = histogram(spread(bars(10, 0, 20, 40), zeros=30))
    inside(found)
    kept = [one.height for one in found.boxes if one.css == "kept"]
    (zero,) = [one for one in found.boxes if one.css == "zero spike"]
    assert kept == pytest.approx([37.5, 75, 150])  # a quarter, a half and all of 150 units
    assert zero.height == pytest.approx(112.5)  # 30 of 40
    assert zero.x + zero.width / 2 == 200  # 0 is in the middle of -1 to 1, on 400 units
    assert "30 zeros, 30 %" in [text.text for text in found.texts]
    assert [text.text for text in found.texts if text.css == "tick"] == [
        "-1", "-0.5", "0", "0.5", "1",
    ]  # fmt: skip
    assert found.notes == ("Bar heights are linear.",)


def test_beside_very_many_zeros_heights_are_square_roots_and_it_is_said() -> None:
    found = histogram(spread(bars(4, 16), zeros=1600))
    kept = [one.height for one in found.boxes if one.css == "kept"]
    assert kept == pytest.approx([7.5, 15])  # 150 times 2 / 40 and 4 / 40
    assert found.notes == ("Bar heights are square roots of the counts.",)


def test_the_threshold_is_a_line_on_either_side() -> None:
    found = histogram(spread(bars(1, 1), threshold=0.5))
    # From -1 at 6 to 1 at 394: a unit is 194.
    assert [line.x1 for line in found.lines if line.css == "cut"] == [103, 297]
    far = histogram(spread(bars(1, 1), threshold=50.0))
    assert not [line for line in far.lines if line.css == "cut"]
    assert "The threshold, ±50, lies outside." in far.notes


def test_zeros_beside_positive_values_stand_at_zero() -> None:
    found = histogram(spread(bars(5, 5, low=2, high=4), zeros=5))
    (zero,) = [one for one in found.boxes if one.css == "zero spike"]
    assert zero.x == 3  # 0 is the axis' beginning, at 6
    inside(found)


@pytest.mark.parametrize("odd", ODD)
def test_histograms_of_odd_numbers(odd: float) -> None:
    inside(histogram(spread((Bar(odd, odd, 3), Bar(0.5, 0.5, 1)), 1, odd, 2)))
    inside(histogram(spread((Bar(0.0, odd, 3),))))
    inside(paired(DiffPicture("a", "b", (Bar(odd, 1.0, 2),), (), 0, 1)))


def test_a_histogram_of_nothing() -> None:
    assert histogram(spread(())).height == 0
    assert histogram(spread((), not_finite=7)).notes == ("7 NaN or infinite values have no bar.",)
    inside(histogram(spread((), zeros=9)))
    assert paired(DiffPicture("a", "b", (), (), 0, 0)).height == 0


def test_before_upward_and_after_downward_on_one_scale() -> None:
    found = paired(DiffPicture("a", "b", bars(10, 40), bars(20, 20), 0, 10))
    inside(found)
    up = [one for one in found.boxes if one.css == "side-a"]
    down = [one for one in found.boxes if one.css == "side-b"]
    assert [one.height for one in up] == pytest.approx([26.25, 105], abs=0.02)  # of 105 units
    assert [one.height for one in down] == pytest.approx([52.5, 52.5], abs=0.02)
    assert len({one.y + one.height for one in up}) == 1
    assert len({one.y for one in down}) == 1
    assert down[0].y > up[0].y + up[0].height


def test_where_zeros_are() -> None:
    cells = ((0.0, 1.0, 1.0), (0.5, math.nan, 0.0))
    found = heat(HeatReport("k", None, None, (3, 5), 3, 5, "inputs", "outputs", 2, 2, cells))
    inside(found)
    by_css = {one.css: one.d for one in found.patches}
    # The 379 units beside the words are 75.8 a column, and 227.4 for 3 rows: 75.8 a row.
    assert by_css == {
        "heat-0": "M21 21H172.6V172.6H21zM324.2 172.6H400V248.4H324.2z",
        "heat-7": "M172.6 21H400V172.6H172.6z",  # two cells side by side are one
        "heat-4": "M21 172.6H172.6V248.4H21z",  # 1 + 0.5 * 6
    }
    # "Half" in the legend is what a cell of half zeros has.
    assert [one.css for one in found.keys] == ["heat-0", "heat-4", "heat-7"]


def test_levels_of_zeros() -> None:
    # Only no zeros at all is the first, and only nothing else the last.
    assert [level(share) for share in (0, 1e-9, 0.5, 1 - 1e-9, 1)] == [0, 1, 4, 6, 7]
    assert [level(share) for share in (math.nan, -1.0, 2.0)] == [None, 0, 7]
    assert heat(HeatReport("k", None, None, (0,), 0, 0, "", "", 1, 1, ())).height == 0


def test_operators_have_three_bars_each_on_scales_of_their_own() -> None:
    costs = [
        OperatorCostReport("conv", "CONV_2D", 1000, 50, 10),
        OperatorCostReport("dense", "FULLY_CONNECTED", 250, 100, 5),
        OperatorCostReport(HOSTILE, "CUSTOM", None, 0, None),
    ]
    for width in (WIDE, NARROW):
        found = operator_bars(costs, width)
        inside(found)
        conv, dense = lengths(found, "cost-macs")
        assert conv == pytest.approx(4 * dense, abs=0.05)
        weights = lengths(found, "cost-weights")
        assert weights[1] == pytest.approx(2 * weights[0], abs=0.05)
        assert [text.text for text in found.texts].count("?") == 2
    assert operator_bars([]).height == 0
