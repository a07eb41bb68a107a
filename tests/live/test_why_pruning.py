"""Every figure of docs/why-pruning-adds-parameters.md, measured again."""

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow_model_optimization")

import pruning_figures

pytestmark = pytest.mark.live

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "why-pruning-adds-parameters.json"


@pytest.fixture(scope="module")
def pair():
    """The figures of the page and today's."""
    today = json.loads(json.dumps(pruning_figures.measure()))
    return json.loads(FIGURES.read_text(encoding="utf-8")), today


def leaves(figures, path=()):
    if isinstance(figures, dict | list):
        items = figures.items() if isinstance(figures, dict) else enumerate(figures)
        for key, held in items:
            yield from leaves(held, (*path, key))
    else:
        yield path, figures


def test_counts_zeros_sizes_and_answers_are_those_of_the_page(pair):
    page, today = ({p: v for p, v in leaves(one) if "compressed" not in p} for one in pair)
    assert today == page


def test_compressed_sizes_are_those_of_the_page_but_for_what_another_zlib_makes_of_it(pair):
    page, today = ({p: v for p, v in leaves(one) if "compressed" in p} for one in pair)
    assert today == pytest.approx(page, rel=0.01)
    assert len(page) > 20
