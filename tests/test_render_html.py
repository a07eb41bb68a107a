"""Pages: sound, closed to everything outside, and true to what TensorFlow says of the samples."""

from __future__ import annotations

import functools
import os
import re
import sys

import pytest
from msgspec.structs import replace

import inspector
from inspector.assemble import build_unreadable
from inspector.errors import Truncated, UsageError
from inspector.model import Severity
from inspector.render import RENDERERS, RenderOptions
from inspector.render.html import page
from inspector.render.html.value_figures import heats, operators
from inspector.report import (
    HeatReport,
    OperatorCostReport,
    PicturesReport,
    ProblemReport,
    report,
)
from tests.builders import artifacts, samples
from tests.builders.pages import assert_page, parse
from tests.builders.terminal import call

PRUNED = samples.path("pruned.h5")
STRIPPED = samples.path("stripped.h5")
EVIL = "</script><script>alert(1)</script>]]>--><b onclick=x>\u202e\x1b[31m&amp;{{ 7*7 }}"


def html(*shown):
    return RENDERERS["html"](report("show", shown), RenderOptions())


@functools.cache
def shown(name):
    return inspector.show([samples.path(name)], pictures=True, threads=1).artifacts[0]


@functools.cache
def sample(name):
    return assert_page(html(shown(name)))


def counts(root):
    """What the page says of each count, by its exact name; None where it says "unknown"."""
    found = {}
    for one in root.one("dl", "numbers").all("div"):
        figure = one.all("dd", "figure")
        found[one.one("code").text] = int(figure[0].text.replace(",", "")) if figure else None
        assert figure or one.one("dd", "means").text.strip()
    return found


def rows(table):
    return [
        [cell.text for cell in row.all() if cell.tag in {"th", "td"}]
        for row in table.one("tbody").all("tr")
    ]


def tensors(root):
    return root.one("table", "finds")


# --- the samples ---


@pytest.mark.parametrize("name", samples.NAMES)
def test_every_sample_is_a_sound_page_with_a_row_a_tensor(name):
    found = shown(name)
    root = sample(name)
    listed = rows(tensors(root)) if found.tensors else []
    assert len(listed) == len(found.tensors)
    assert root.one("h1").text == os.path.basename(name)
    assert len(root.all("section", "answer")[0].all("p")) == len(found.answer)


@pytest.mark.parametrize("name", [one for one in samples.NAMES if one not in samples.TFLITE])
def test_the_counts_are_those_of_live_tensorflow(name):
    said = samples.expected(name)
    held = counts(sample(name))
    for key, theirs in (
        ("count_params", "count_params"),
        ("after_strip", "after_strip"),
        ("nonzero", "nonzero_weights"),
    ):
        if theirs in said:
            assert held[key] == said[theirs], key


@pytest.mark.parametrize("name", samples.TFLITE)
def test_the_counts_of_converted_models_are_those_of_the_runtime(name):
    held = samples.expected(name)["weights"]
    said = counts(sample(name))
    assert said.get("weights.elements", 0) == held["elements"]
    assert (said["nonzero"] or 0) == held["elements"] - held["zeros"]


def test_a_pruned_models_page_answers_why_it_is_larger_and_what_will_be_left():
    # tf_keras: count_params() 2,638, of stripped.h5 1,354; np.count_nonzero over its weights 714.
    root = sample("pruned.h5")
    first = root.one("section", "answer").all("p")[0].text
    assert "2,638 parameters as Keras counts them: 1,354 of the model + 1,284 of pruning" in first
    assert counts(root) == {
        "count_params": samples.expected("pruned.h5")["count_params"],
        "after_strip": samples.expected("stripped.h5")["count_params"],
        "nonzero": samples.expected("pruned.h5")["nonzero_weights"],
        "stored_elements": samples.expected("pruned.h5")["file"]["elements"],
    }
    picture = root.all("svg", "drawing")[0]
    texts = [one.text for one in picture.all("text")]
    for label, number in (
        ("left after stripping", "1,354"),
        ("masks", "+1,280"),
        ("counted by Keras", "2,638"),
        ("all stored", "5,347"),
    ):
        assert texts[texts.index(label) + 1] == number


def test_a_caption_says_which_kinds_are_counted_and_which_are_left():
    said = sample("pruned.h5").all("figcaption")[0].text
    assert "Keras counts 2,638 (weights, masks, thresholds, pruning steps)" in said
    assert "stripping leaves 1,354 (weights)" in said


def test_words_are_explained_where_they_are_first_used():
    words = sample("pruned.h5").one("dl", "words")
    found = {one.one("dt").text: one.one("dd").text for one in words.all("div")}
    assert list(found) == list(shown("pruned.h5").bytes)
    assert found["masks"] == "Which values pruning keeps. Gone after strip_pruning."


def test_a_page_says_where_to_ask_what_stripping_saves():
    said = "inspect reconcile"
    assert said in sample("pruned.h5").text
    assert said not in sample("stripped.h5").text


def test_parts_stand_in_the_order_of_the_questions():
    titles = [one.text for one in sample("pruned.h5").all("h2")]
    assert titles == [
        "The answer", "How the count comes about", "Where the bytes are", "Zeros in each layer",
        "How values spread", "Where the zeros are", "Layers", "Tensors",
    ]  # fmt: skip
    assert "What each operator costs" in [one.text for one in sample("lite_int8.tflite").all("h2")]


def test_each_picture_has_words_and_a_table_behind_it():
    for name in ("pruned.h5", "lite_int8.tflite"):
        for section in sample(name).one("main").all("section"):
            pictures = [one for one in section.all("svg") if one.attributes.get("role") == "img"]
            narrow = [one for one in pictures if "narrow" in one.attributes["class"]]
            assert len(section.all("details")) >= len(pictures) - len(narrow) or not pictures
            for one in pictures:
                assert one.all("title")[0].text.strip()
            assert len(section.all("figcaption")) == len(section.all("figure"))


def test_of_many_small_pictures_the_first_few_are_not_folded():
    found = shown("pruned.h5")
    several = found.pictures.histograms * 5  # 20
    pictures = replace(found.pictures, histograms=several, histograms_of=33)
    root = assert_page(html(replace(found, pictures=pictures)))
    seen, folded = root.all("div", "values")
    assert (len(seen.all("figure")), len(folded.all("figure"))) == (6, 14)
    assert "These are the 20 largest of 33 weights." in root.one("main").text
    assert "14 more" in [one.text for one in root.all("summary")]


def test_pictures_of_weights_that_are_called_alike_have_the_tensors_names():
    # An LSTM of TFLite has several constants that one operator takes for a kernel.
    parts = sample("lite_lstm.tflite").all("div", "values")
    titles = [one.text for part in parts for one in part.all("h3")]
    assert len(titles) == len(set(titles)) == len(shown("lite_lstm.tflite").pictures.histograms)


def test_a_map_of_bytes_adds_up_to_the_file():
    tables = sample("pruned.h5").all("table")
    (table,) = (
        one for one in tables if one.one("caption").text == "Where the bytes are: as a table"
    )
    parts = [int(row[3].replace(",", "")) for row in rows(table)]
    assert sum(parts) == os.path.getsize(PRUNED)


def test_why_a_tensor_is_what_it_is_is_folded_into_its_role():
    row = tensors(sample("pruned.h5")).one("tbody").all("tr")[2]
    fold = row.one("details")
    assert fold.one("summary").text == "mask"
    assert "tfmot-mask: pruning mask of model_weights/prune_low_magnitude_dense" in fold.text


# --- several artifacts, and such as cannot be read ---


def test_several_artifacts_have_contents_and_stand_in_their_places():
    broken = build_unreadable("b<r>.h5", Truncated("42 bytes are missing", "b<r>.h5", 7))
    root = assert_page(html(shown("pruned.h5"), broken, shown("stripped.h5")))
    assert [one.text for one in root.one("nav").all("a")] == [
        PRUNED, "b<r>.h5", STRIPPED,
    ]  # fmt: skip
    first, second, third = root.all("article")
    assert "42 bytes are missing (at byte 7)" in " ".join(second.text.split())
    assert not second.all("table")
    assert first.all("table", "finds")
    assert third.all("table", "finds")
    assert root.one("h1").text == "3 artifacts"


def test_nothing_but_an_unreadable_artifact_is_a_page_too():
    root = assert_page(html(build_unreadable("x.h5", Truncated("ends", "x.h5"))))
    assert "ends" in root.one("main").text
    assert not root.all("nav")


@pytest.mark.parametrize("name", artifacts.CASES)
def test_every_case_is_a_sound_page(name):
    assert_page(html(artifacts.CASES[name]().build()))


def test_a_share_of_zeros_reads_0_or_100_only_where_it_is():
    shares = (0.0, 0.0007, 0.5, 0.9998, 1.0)
    one = HeatReport("k", None, None, (1, 5), 1, 5, "inputs", "outputs", 1, 1, (shares,))
    pictures = PicturesReport((), (), (), 0, (one,), 1, (), 0)
    (figure,) = heats(shown("pruned.h5"), pictures).figures
    assert figure.table.rows == (("0", "0", "0.07", "50", "99.98", "100"),)


def test_of_many_operators_it_is_said_which_are_told():
    costs = (OperatorCostReport("conv", "CONV_2D", 10, 5, 1),)
    for of, ending in ((1, "puts out."), (3, "These are the 1 costliest of 3 operators.")):
        pictures = PicturesReport((), (), (), 0, (), 0, costs, of)
        (figure,) = operators(shown("pruned.h5"), pictures).figures
        assert figure.words.endswith(ending)


def test_what_is_unknown_says_why():
    root = sample("lite_int8.tflite")
    last = root.one("dl", "numbers").all("div")[-1]
    assert last.one("dd", "unknown").text == "unknown"
    assert last.one("dd", "means").text == "A converted model has operators, not Keras layers."


# --- hostile names ---


def hostile(text):
    """An artifact with `text` wherever a report holds a word of the file."""
    found = shown("pruned.h5")
    problem = ProblemReport("odd", Severity.ERROR, text, text, 3)
    return replace(
        found,
        path=f"{text}.h5",
        kind=text,
        answer=(text, *found.answer),
        producer=replace(found.producer, name=text, version=text),
        layers=tuple(replace(one, name=text + one.name, class_name=text) for one in found.layers),
        tensors=tuple(
            replace(one, name=text + one.name, layer=text, variable=text, evidence=text, rule=text,
                    dtype=text, alias_of=text)
            for one in found.tensors
        ),
        problems=(problem,),
        totals_reasons={"count_params": text},
        totals=replace(found.totals, count_params=None),
        bytes={text: 1, **found.bytes},
        pictures=replace(
            found.pictures,
            areas=tuple(replace(one, label=text, layer=text) for one in found.pictures.areas),
            steps=tuple(replace(one, label=text, basis=text) for one in found.pictures.steps),
            histograms=tuple(
                replace(one, tensor=text, layer=text, variable=text)
                for one in found.pictures.histograms
            ),
            heats=tuple(
                replace(one, tensor=text, row_words=text, layer=text)
                for one in found.pictures.heats
            ),
        ),
    )  # fmt: skip


def test_no_word_of_a_file_is_markup():
    plain = [one.tag for one in assert_page(html(hostile("a"))).all() if one.tag != "wbr"]
    text = html(hostile(EVIL))
    found = [one.tag for one in assert_page(text).all() if one.tag not in {"wbr", "text"}]
    assert found == [one for one in plain if one != "text"]
    assert "alert(1)</script>" not in text.replace("&lt;", "")
    assert "\\u202e\\x1b[31m" in text
    assert "49" not in parse(text).one("head").one("title").text


def test_names_of_100_kb_make_no_page_of_megabytes():
    text = html(hostile("x" * 100_000))
    assert_page(text)
    assert len(text) < 500_000


# --- many rows ---


def many(tensors_, layers=500):
    """As deep a model's, with names as long as real ones have."""
    found = shown("pruned.h5")

    def named(text, at):
        return text and text.replace("prune_low", f"encoder_layer_{at // 10:03}_prune_low")

    return replace(
        found,
        layers=tuple(replace(found.layers[1], name=f"encoder/{at}") for at in range(layers)),
        tensors=tuple(
            replace(one, name=named(one.name, at), layer=named(one.layer, at),
                    evidence=named(one.evidence, at), about=named(one.about, at))
            for at in range(tensors_)
            for one in (found.tensors[at % 10],)
        ),
    )  # fmt: skip


def test_5000_tensors_take_less_than_5_mb_and_none_is_left_out():
    text = html(many(5000))
    assert len(text.encode()) < 5_000_000
    assert text.rpartition("<tbody>")[2].count("<tr>") == 5000


def test_rows_of_a_giant_are_bounded_and_it_is_said_how_many_are_left_out():
    text = " ".join(html(many(6007, layers=2003)).split())
    assert "... and 7 more tensors: this page has the first 6,000, and --format json" in text
    assert "... and 3 more layers (all in --format json)." in text


# --- numbers in sentences ---


def test_numbers_stand_out_and_those_in_names_do_not():
    told = page.numerals("2,638 in 2 masks; 47.27 % of dense_100 <b> and 3.14, 714.")
    assert told == (
        "<b>2,638</b> in 2 masks; <b>47.27 %</b> of dense_100 &lt;b&gt; and 3.14, <b>714</b>."
    )
    told = page.numerals("(24, 6) or [10, 20], not (2 masks 1,280, 2 steps) (pruning 5,144)")
    assert told == (
        "(24, 6) or [10, 20], not (2 masks <b>1,280</b>, 2 steps) (pruning <b>5,144</b>)"
    )


def test_what_a_template_prints_is_made_fit_without_being_asked():
    made = page.environment().from_string("{{ a }}|{{ b }}|{{ c }}|{{ d }}")
    assert made.render(a="\x1b<", b=None, c=0.30000000000000004, d="x" * 5000).startswith(
        "\\x1b&lt;|?|0.3|xxx"
    )
    assert len(made.render(a="", b="", c="", d="x" * 5000)) < 2100


# --- the command line ---


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("show", PRUNED), 0),
        (("show", PRUNED, "--no-measure"), 0),
        (("show", PRUNED, "--role", "mask"), 0),
        (("diff", PRUNED, STRIPPED), 1),
        (("diff", PRUNED, PRUNED, "--all"), 0),
        (("reconcile", PRUNED), 0),
        (("reconcile", PRUNED, STRIPPED, "--gzip"), 0),
        (("audit", PRUNED, "--no-isolate"), 1),
    ],
)
def test_every_command_writes_a_page(command, code, tmp_path):
    file = tmp_path / "page.html"
    done = call(*command, "--format", "html", "-o", str(file))
    assert (done.code, done.out) == (code, "")
    assert_page(file.read_text())


def test_a_page_may_be_written_beside_another_format(tmp_path):
    file = tmp_path / "page.html"
    done = call("audit", PRUNED, "--no-isolate", "--also", f"html={file}")
    assert done.code == 1
    assert_page(file.read_text())


def test_pictures_are_worked_out_for_a_page_alone(monkeypatch):
    asked = []
    real = inspector.api.show
    monkeypatch.setattr(
        inspector.api, "show", lambda *a, **k: asked.append(k["pictures"]) or real(*a, **k)
    )
    call("show", PRUNED)
    call("show", PRUNED, "--format", "html")
    assert asked == [False, True]


def test_one_tensor_has_no_page():
    done = call("explain", PRUNED, "dense/kernel", "--format", "html")
    assert done.code == 2
    assert "'html' is not one of" in done.err


@pytest.mark.parametrize("missing", ["jinja2", "squarify"])
def test_without_its_extra_a_page_is_refused_before_anything_is_read(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    page.environment.cache_clear()
    done = call("show", "nowhere.h5", "--format", "html")
    page.environment.cache_clear()
    assert done.code == 2
    said = f'a page needs {missing}, which is not installed: pip install "tf-inspector[html]"'
    assert done.err == f"inspect: {said}\n"


def test_the_error_is_one_of_ours(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page.environment.cache_clear()
    with pytest.raises(UsageError):
        html(shown("pruned.h5"))
    page.environment.cache_clear()


# --- what the style promises ---


def luminance(color):
    """WCAG 2.2, relative luminance of "#rrggbb"."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_what_they_stand_on(side):
    style = sample("pruned.h5").one("style").text
    colors = {
        name: (light, dark)[side]
        for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);", style)
    }
    texts = {"ink", "dim", "link", "error", "warning", "good"}
    marks = {"model", "pruning", "quant", "cluster", "optimizer", "training", "data", "file"}
    grounds = {"paper", "sheet", "shade"}
    for ground in grounds:
        for text in texts:
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
        for mark in {*marks, "unknown", "edge"}:
            assert contrast(colors[mark], colors[ground]) >= 3, (mark, ground)
    assert marks | texts | grounds | {"unknown", "rule", "edge"} == set(colors)
