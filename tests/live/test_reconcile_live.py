"""Reconciling against real TensorFlow: no sample has a residual."""

import json
import sys

import pytest

import inspector
from inspector.classify import classify
from inspector.count import count
from inspector.live.runner import run_live_many
from inspector.reconcile import against
from tests.builders import samples
from tests.builders.terminal import call

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.live

# Files that the Keras which wrote them cannot read back; their counts are of the model in memory.
REFUSED = {name for name in samples.NAMES if not samples.expected(name).get("loads", True)} & set(
    samples.KERAS
)


@pytest.fixture(scope="module")
def answers():
    """What TensorFlow says of every sample, asked in one process."""
    asked = []
    for name in samples.NAMES:
        with inspector.open(samples.path(name)) as opened:
            asked.append((samples.path(name), opened.artifact))
    said = run_live_many(asked, python=sys.executable, allow_code=True)
    return {
        name: against(artifact, count(artifact, classify(artifact).verdicts), live)
        for name, (_, artifact), live in zip(samples.NAMES, asked, said, strict=True)
    }


@pytest.mark.parametrize("name", samples.NAMES)
def test_no_sample_has_a_residual(name, answers):
    found = answers[name]
    if name in REFUSED:
        assert found.error is not None
        return
    assert found.error is None
    assert not found.residual
    assert not [row for row in (*found.totals, *found.layers) if row.residual]


def test_the_two_of_a_pair_print_zeros_alone():
    paths = [samples.path(name) for name in ("pruned.h5", "stripped.h5")]
    result = call("reconcile", *paths, "--live", "--live-python", sys.executable)
    assert (result.code, result.err) == (0, "")
    assert "residual: 0; against TensorFlow: 0" in result.out
    result = call(
        "reconcile", *paths, "--live", "--live-python", sys.executable, "--format", "json"
    )
    live = json.loads(result.out)["reconciliation"]["live"]
    found = [row for one in live["artifacts"] for row in (*one["totals"], *one["layers"])]
    # Four totals and two layers each.
    assert [row["residual"] for row in found] == [0] * 12
