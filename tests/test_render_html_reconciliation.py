"""The page of a reconciliation: it adds up or not, and how."""

import pytest

from inspector import api
from inspector.report import (
    GoneReport,
    LineOfOther,
    Live,
    LiveArtifact,
    LiveRow,
    OddReport,
    Reconciliation,
    ReconciliationLine,
    SizesReport,
    report,
)
from tests.builders import samples
from tests.builders.findings import HOSTILE, artifact
from tests.builders.webpages import webpage


def made(*lines, artifact_paths=("a.h5",), residual=0, live=None, **others):
    shown = tuple(artifact(path) for path in artifact_paths)
    found = Reconciliation(tuple(lines), live, residual, **others)
    return report("reconcile", shown, reconciliation=found)


def line(label, elements, other=None, role=None):
    beside = None if other is None else LineOfOther(1, other, 4 * other, other)
    return ReconciliationLine(label, elements, "position", role, 1, None, 4 * elements, elements,
                              other=beside)  # fmt: skip


@pytest.mark.parametrize("name", ["pruned.h5", "clustered.h5", "qat.h5", "saved_adam"])
def test_the_lines_add_up_to_what_tensorflow_counts(name):
    found = webpage(api.reconcile(samples.path(name)))
    assert "It adds up: residual 0" in found.text
    lines = found.table("The lines that add up")
    column = lines.heads.index("count_params")
    counted = [int(row[column].replace(",", "")) for row in lines.rows]
    assert sum(counted[:-1]) == counted[-1] == samples.expected(name)["count_params"]


def test_two_artifacts_are_steps_from_one_to_the_other():
    """5,347 elements of the pruned file, 1,354 of the stripped one, as live TensorFlow counts."""
    found = webpage(api.reconcile(samples.path("pruned.h5"), samples.path("stripped.h5")))
    for told in ("A stores 5,347", "masks −1,280", "optimizer slots −2,708", "B stores 1,354"):
        assert told in found.text
    pairs = found.table("Every weight that both have")
    assert [row[-1] for row in pairs.rows] == ["bit for bit"] * 4


def test_what_nothing_explains_is_said_first():
    found = webpage(
        made(line("weights", 10), residual=3, odd=(OddReport("dense/kernel", 3, "too many"),))
    )
    assert "It does not add up" in found.text
    assert found.text.index("residual: 3 elements") < found.text.index("The lines that add up")
    assert "dense/kernel: too many" in found.text
    assert "residual cannot be told" in webpage(made(residual=None)).text


def test_what_tensorflow_says_stands_beside_it():
    rows = (
        LiveRow("count_params", 10, 12, 2, None),
        LiveRow("trainable", 10, None, None, "unsaid"),
    )
    asked = LiveArtifact("a.h5", "tf_keras 2.21.0", {"tensorflow": "2.21.0"}, None, rows, (), None,
                         ("dense: another shape",), 2)  # fmt: skip
    found = webpage(made(line("weights", 10), live=Live((asked,), 2)))
    assert "TensorFlow says something else" in found.text
    assert "residual: 2 elements apart" in found.text
    assert "nothing in it was run" not in found.text
    assert "nothing in it was run" in webpage(made()).text
    assert found.table("The file and TensorFlow: a.h5").rows == [
        ["count_params", "10", "12", "2"], ["trainable", "10", "?", "?"],
    ]  # fmt: skip
    refused = LiveArtifact("a.h5", "none", {}, "no such layer", (), (), None, (), None)
    assert "refused it: no such layer" in webpage(made(live=Live((refused,), None))).text


def test_steps_are_only_of_what_differs():
    both = (line("weights", 10, 10, "weight"), line("masks", 10, 0, "mask"), line("new", 0, 4))
    found = webpage(made(*both, artifact_paths=("a.h5", "b.h5")))
    picture = found.text[found.text.index("The arithmetic") :].partition("From the elements")[2]
    assert "masks −10" in picture
    assert "new +4" in picture
    assert "B stores 14" in picture  # 20 - 10 + 4
    assert "weights +0" not in found.text


def test_sizes_that_weights_could_take():
    sizes = SizesReport(100, 60, 400, 173, {"8": 220, "16": 260}, 190)
    found = webpage(made(line("weights", 100), sizes=sizes))
    for told in ("every value 400", "a bit a value, and what is not zero 173",
                 "compressed rows, 8-bit index 220", "every value, as gzip would 190"):  # fmt: skip
        assert told in found.text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_made_to_run_are_only_read(name):
    gone = (GoneReport(name, "A", "weight", 4, name),)
    asked = LiveArtifact(name, name, {name: name}, name, (LiveRow(name, 1, 1, 0, name),), (), None,
                         (name,), 0)  # fmt: skip
    webpage(
        made(
            line(name, 4, 2),
            artifact_paths=(name, "b.h5"),
            gone=gone,
            answer=(name,),
            odd=(OddReport(name, 1, name),),
            live=Live((asked,), 0),
        )
    )


def test_nothing_at_all():
    assert "It adds up" in webpage(made()).text
