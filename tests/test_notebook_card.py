"""How artifacts, tensors and reports show themselves: HTML that is whole, escaped and bounded."""

from __future__ import annotations

from html.parser import HTMLParser

import h5py
import numpy as np
import pytest
from msgspec.structs import replace

import inspector
from inspector.inspected import knowledge
from inspector.render.card import card
from inspector.report import report
from tests.builders import samples

PRUNED, STRIPPED = samples.path("pruned.h5"), samples.path("stripped.h5")
VOID = {"br", "hr", "img", "input", "meta", "link"}


class Read(HTMLParser):
    """Elements, attributes and text; fails where tags do not close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def is_harmless(page: Read) -> None:
    assert not page.tags & {"script", "iframe", "object", "embed", "link", "img", "form", "svg"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [name for name, _ in page.attributes if name in {"src", "href", "srcset"}]


class Printer:
    """As much of IPython's printer as is used."""

    said = ""

    def text(self, text):
        self.said += text


@pytest.fixture(scope="module")
def shown():
    model = inspector.open(PRUNED)
    return {
        "artifact": model,
        "tensor": model.tensors["dense/kernel"],
        "tensors": model.tensors,
        "report": model.report,
        "explanation": model.tensors["dense/kernel"].explain(),
        "show": inspector.show([PRUNED, STRIPPED]),
        "diff": inspector.diff(PRUNED, STRIPPED),
        "reconcile": inspector.reconcile(PRUNED, STRIPPED),
        "audit": inspector.audit(PRUNED),
        "nothing": inspector.show(["missing.h5"]),
    }


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("artifact", ["2,638 parameters", "after stripping", "1,354", "masks 5,120", "51,276"]),
        ("tensor", ["weight", "known by its place", "320 of 640 (50 %)"]),
        ("tensors", ["optimizer_slot", "m of prune_low_magnitude_dense/dense/kernel"]),
        ("report", ["2,638 parameters"]),
        ("explanation", ["PolynomialDecay"]),
        ("show", ["pruned.h5", "stripped.h5"]),
        ("diff", ["Pruning overhead was stripped", "B has no pruning"]),
        ("reconcile", ["2,638 - 1,354 = 1,284", "residual: 0"]),
        ("audit", ["Audit failed", "Fix: tfmot.sparsity.keras.strip_pruning"]),
        ("nothing", ["missing.h5", "no such file"]),
    ],
)
def test_everything_shows_itself(shown, what, words):
    page = Read(shown[what]._repr_html_())
    is_harmless(page)
    for word in words:
        assert word in page.text, word


def test_every_class_of_the_style_is_its_own(shown):
    page = Read(shown["artifact"]._repr_html_())
    classes = {one for name, value in page.attributes if name == "class" for one in value.split()}
    assert all(one.startswith(("tfi-", "tex2jax_", "mathjax_")) for one in classes)
    assert "mathjax_ignore" in classes  # names with dollars in them are no formulas


def test_the_bar_has_all_bytes(shown):
    page = Read(shown["artifact"]._repr_html_())
    shares = [
        int(value.removeprefix("flex-grow:")) for name, value in page.attributes if name == "style"
    ]
    assert sum(shares) == 51276
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert any(label.startswith("bytes: weights 5,416 · masks 5,120") for label in labels)


def test_a_name_is_text_whatever_it_is(tmp_path):
    hostile = (
        "x</style></div><script>alert(1)</script><img src=q onerror=alert(2)>$a$\u202e\x1b[31m"
    )
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group(f"layers/{hostile.replace('/', '')}/vars")
        group["0"] = np.ones((2, 2), "f4")
        group["1"] = np.ones(2, "f4")
    model = inspector.open(path)
    name = next(iter(model.tensors))
    for one in (model, model.tensors, model.tensors[name], model.report):
        text = one._repr_html_()
        is_harmless(Read(text))
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "<script" not in text
    assert "\u202e" not in repr(model.tensors[name])
    assert "\x1b" not in repr(model)


def test_a_report_of_anything_stays_short(shown):
    artifact = shown["report"]
    many = replace(
        artifact,
        layers=tuple(replace(artifact.layers[1], name=f"layer{at}") for at in range(5000)),
        answer=("word " * 50_000,),
    )
    text = card(many)
    assert len(text) < 100_000
    assert "and 4,940 more rows" in Read(text).text
    printed = Printer()
    many._repr_pretty_(printed, False)
    assert printed.said.endswith("more lines")
    assert printed.said.count("\n") == 400
    several = report("show", (artifact,) * 200)
    assert "and 190 more artifacts" in Read(several._repr_html_()).text
    assert len(several._repr_html_()) < 200_000


def test_values_of_a_large_artifact_are_not_read_to_show_it(monkeypatch):
    monkeypatch.setattr("inspector.inspected.artifact.GLANCE", 21_000)  # pruned.h5 has 21,400
    model = inspector.open(PRUNED)
    page = Read(model._repr_html_())
    assert "Values (21,400 bytes) were not read" in page.text
    assert "not zero" not in page.text
    assert not model.is_measured
    assert "not zero" in Read(model.measure()._repr_html_()).text


def test_values_of_a_large_tensor_are_not_read_to_show_it(monkeypatch):
    monkeypatch.setattr("inspector.inspected.tensors.GLANCE", 2000)
    page = Read(inspector.open(PRUNED).tensors["dense/kernel"]._repr_html_())
    assert "320 of 640" not in page.text
    assert "known by its place" in page.text
    assert knowledge.GLANCE > 2000


@pytest.mark.parametrize("what", ["report", "diff", "reconcile", "audit", "explanation"])
def test_ipython_prints_what_the_command_line_does(shown, what):
    printer = Printer()
    shown[what]._repr_pretty_(printer, False)
    assert "TensorReport(" not in printer.said
    assert "pruned.h5" in printer.said


def test_what_is_left_out_is_said_to_be_in_the_frame(tmp_path):
    names = ("before.weights.h5", "after.weights.h5")
    for value, name in enumerate(names):
        with h5py.File(tmp_path / name, "w") as file:
            for at in range(70):
                file[f"layers/dense_{at}/vars/0"] = np.full((2, 2), value + at, "f4")
                file[f"layers/dense_{at}/vars/1"] = np.full(2, at, "f4")
    found = inspector.diff(*(tmp_path / name for name in names))
    page = Read(found._repr_html_())
    assert "20 more changed tensors (to_frame() has them)" in page.text
    assert (found.to_frame()["status"] == "changed").sum() == 70


def test_a_long_name_is_cut_where_it_is_a_line(tmp_path):
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones((2, 2), "f4")
        file[f"layers/{'x' * 5000}/vars/0"] = np.ones((2, 2), "f4")
    model = inspector.open(tmp_path / "m.weights.h5")
    assert max(len(repr(one)) for one in model) < 300


def test_what_is_no_report_has_no_card():
    with pytest.raises(TypeError):
        card(7)
