"""The benchmark's arithmetic and its runs; and that our work costs no more than it did."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from inspector import api

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmark import guard, inputs, page, places, results, running  # noqa: E402
from benchmark.nouns import Goal, Input, Row, Scenario  # noqa: E402
from benchmark.running import Outcome, Run  # noqa: E402
from benchmark.scenarios import SCALES, scenarios  # noqa: E402

RUNS = [Run(2.0, 3.0, 50.0, 60.0), Run(1.0, 1.0, 70.0), Run(4.0, 8.0, 40.0)]
A = results.figures(RUNS)
B = results.figures([Run(0.5, 0.5, 20.0)])


# --- figures, ratios, goals -----------------------------------------------------------------------


def test_times_are_medians_and_memory_is_the_largest_peak():
    # Wall 1, 2, 4; processor 1, 3, 8; cores 3 / 2, 1 / 1, 8 / 4.
    assert (A.seconds, A.low, A.high, A.cpu) == (2.0, 1.0, 4.0, 3.0)
    assert (A.cores, A.megabytes, A.tree, A.runs) == (1.5, 70.0, 60.0, 3)


def test_an_even_number_of_runs_has_the_mean_of_the_middle_two():
    assert results.figures([Run(1.0, 1.0, 1.0), Run(2.0, 1.0, 1.0)]).seconds == 1.5


@pytest.mark.parametrize(
    ("goal", "allowed", "met"),
    [
        (Goal("a", "seconds", 2.0), 2.0, True),
        (Goal("a", "seconds", 1.9), 1.9, False),
        (Goal("a", "seconds", 4, of="b"), 2.0, True),
        (Goal("a", "seconds", 3, of="b"), 1.5, False),
        (Goal("a", "seconds", 3, of="b", plus="b"), 2.0, True),
        (Goal("b", "seconds", 1 / 4, of="a"), 0.5, True),
        (Goal("b", "seconds", 1 / 5, of="a"), 0.4, False),
        (Goal("b", "megabytes", 0.1, of="a"), 7.0, False),
        (Goal("a", "cores", 1.5, at_least=True), 1.5, True),
        (Goal("b", "cores", 1.5, at_least=True), 1.5, False),
    ],
)
def test_a_goal_is_met_up_to_what_it_allows(goal, allowed, met):
    said = results.verdict(goal, {"a": A, "b": B})
    assert said.allowed == pytest.approx(allowed)
    assert said.met is met


@pytest.mark.parametrize(
    "goal",
    [
        Goal("c", "seconds", 1),
        Goal("a", "seconds", 1, of="c"),
        Goal("a", "seconds", 1, of="b", plus="c"),
    ],
)
def test_a_goal_without_all_of_its_rows_is_neither_met_nor_missed(goal):
    said = results.verdict(goal, {"a": A, "b": B})
    assert (said.met, said.found, said.allowed) == (None, None, None)


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        (Goal("a", "seconds", 0.06), "a: at most 0.06 s"),
        (Goal("a", "megabytes", 150), "a: at most 150 MB"),
        (Goal("a", "seconds", 1.5, of="b"), "a: at most 1.5 × b"),
        (Goal("a", "seconds", 2, of="b", plus="c"), "a: at most 2 × b, and c on top"),
        (Goal("a", "seconds", 1 / 20, of="b"), "a: at most 1/20 of b"),
        (Goal("a", "megabytes", 0.1, of="b"), "a: at most 1/10 of b in memory"),
        (Goal("a", "cores", 1.6, at_least=True), "a: at least 1.6 cores"),
    ],
)
def test_a_goal_says_in_words_what_it_asks(goal, text):
    assert results.goal_text(goal) == text


def row(name):
    return Row(name, (), f"does {name}")


SCENARIO = Scenario(
    "one", "One table", (row("a"), row("b"), row("c")), "b", goals=(Goal("a", "seconds", 1.0),)
)
OUTCOMES = [
    Outcome(row("a"), RUNS),
    Outcome(row("b"), [Run(0.5, 0.5, 20.0)]),
    Outcome(row("c"), [Run(9.0, 9.0, 9.0)], failed="failed (exit code 1): a | b"),
]


def test_a_table_has_ratios_to_its_reference_and_no_figures_of_what_failed():
    made = results.table(SCENARIO, OUTCOMES)
    assert [one["ratio"] for one in made["rows"]] == [4.0, 1.0, None]
    assert made["rows"][2]["figures"] is None
    assert made["goals"][0]["met"] is False
    assert json.loads(json.dumps(made)) == made


def test_a_table_without_its_reference_has_no_ratios():
    outcomes = [OUTCOMES[0], Outcome(row("b"), failed="not installed"), OUTCOMES[2]]
    assert [one["ratio"] for one in results.table(SCENARIO, outcomes)["rows"]] == [None] * 3


# --- the page -------------------------------------------------------------------------------------


def test_a_table_names_its_reference_and_says_what_failed_below_it():
    lines = page.table(results.table(SCENARIO, OUTCOMES))
    assert lines[0] == "### One table"
    cells = [[cell.strip() for cell in one.strip("|").split("|")] for one in lines[4:7]]
    together = "70 MB, 60 MB together"
    assert cells[0] == ["a", "2.00 s", "1.00 s–4.00 s", "3.00 s (1.5 cores)", together, "4.00", "3"]
    assert cells[1][0] == "b (reference)"
    assert cells[2] == ["c", "–", "–", "–", "–", "–", "1"]
    assert lines[8:] == [
        r"- c: failed (exit code 1): a \| b",
        "- **missed**: a: at most 1 s (2.00 s of 1.00 s)",
    ]
    assert len({len(one) for one in lines[2:7]}) == 1


def test_goals_are_summed_up_over_all_tables():
    tables = [{"goals": [{"met": True}, {"met": None}]}, {"goals": [{"met": False}]}]
    assert page.summary(tables) == "3 goals: 1 met, 1 missed, 1 not measured"
    assert page.summary(tables[1:]) == "1 goals: 0 met, 1 missed"


def test_only_what_is_between_the_marks_of_a_page_is_replaced():
    old = f"by hand\n{page.BEGIN}\nold\n{page.END}\nby hand, too\n"
    new = page.merged(old, "new")
    assert new == f"by hand\n{page.BEGIN}\n\nnew\n\n{page.END}\nby hand, too\n"
    assert page.merged(new, "new") == new
    with pytest.raises(ValueError, match="marks"):
        page.merged("by hand", "new")


def test_the_page_says_how_it_was_made_and_what_each_row_is():
    told = {
        "command": "make bench-full",
        "date": "2026-01-02",
        "machine": "2 cores",
        "versions": {"h5py": "3.14.0"},
        "tables": [results.table(SCENARIO, OUTCOMES)],
    }
    text = page.generated(told)
    assert "Made by `make bench-full` on 2026-01-02: 2 cores." in text
    assert "h5py 3.14.0" in text
    assert "- a: does a." in text


def test_the_committed_page_has_its_marks():
    content = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert page.merged(content, "new") != content


# --- runs -----------------------------------------------------------------------------------------


def python(code):
    return (sys.executable, "-c", code)


def test_a_run_has_the_peak_memory_of_its_process():
    # Asked in a small process: one that is started is charged with the size of what starts it.
    command = python("b = b'x' * (96 << 20)")
    code = f"from benchmark import running; print(running.run({command!r}).megabytes)"
    asked = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    told = subprocess.run(python(code), env=asked, capture_output=True, text=True, check=True)
    assert 96 < float(told.stdout) < 160


def test_a_run_has_the_processor_time_of_its_process_beside_the_wall_time():
    done = running.run(python("import time; time.sleep(1)"))
    assert 0 < done.cpu < 1 < done.seconds


def test_a_run_whose_process_fails_says_why_without_a_path():
    said = running.run(python("raise ValueError('no such thing: /home/me/model.h5')"))
    assert said == "failed (exit code 1): ValueError: no such thing: model.h5"


def test_an_exit_code_that_is_expected_is_no_failure():
    assert isinstance(running.run(python("raise SystemExit(1)"), (0, 1)), Run)


def test_what_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(running, "LONGEST", 0.1)
    assert running.run(python("import time; time.sleep(60)")) == "no answer in 0 s"


def test_what_needs_too_much_memory_is_ended(monkeypatch):
    monkeypatch.setattr(running, "memory_kib", lambda: 1024)
    said = running.run(python("import time; time.sleep(60)"))
    assert said.startswith("too big for memory")


def test_rows_take_turns_and_one_that_fails_or_is_slow_is_not_run_again(tmp_path):
    log = tmp_path / "log"

    def logged(name, then=""):
        return Row(name, python(f"open({str(log)!r}, 'a').write({name!r}); {then}"), "")

    rows = (logged("a"), logged("b"), logged("f", "1 / 0"), Row("g", ("{absent}",), ""))
    known = places.Places({}, str(tmp_path))
    found = running.run_scenario(Scenario("s", "S", rows, "a"), known, rounds=3, budget=60)
    assert log.read_text() == "abf" + "ab" * 2
    assert [len(one.runs) for one in found] == [3, 3, 0, 0]
    assert found[2].failed == "failed (exit code 1): ZeroDivisionError: division by zero"
    assert found[3].failed == "absent is not installed"
    log.unlink()
    running.run_scenario(Scenario("s", "S", rows[:1], "a"), known, rounds=3, budget=0)
    assert log.read_text() == "a"


# --- commands and inputs --------------------------------------------------------------------------


def test_words_of_a_command_are_put_in_their_places(tmp_path):
    known = places.Places({"tool": ["/bin/tool", "-x"]}, str(tmp_path))
    one = Input("pair-same", 1)
    folder = tmp_path / f"pair-same-1-v{places.VERSION}" / "pair-same"
    folder.mkdir(parents=True)
    for name in ("a.h5", "b.h5"):
        (folder / name).touch()
    words = known.command(Row("r", ("{tool}", "diff", "@path"), ""), [one])
    assert words == ["/bin/tool", "-x", "diff", str(folder / "a.h5"), str(folder / "b.h5")]


def test_other_tools_are_given_the_one_file_of_an_artifact_that_they_take(tmp_path):
    known = places.Places({}, str(tmp_path))
    for maker, files, main in (
        ("ckpt", ("ckpt.index", "ckpt.data-00000-of-00001"), "ckpt.index"),
        ("graph", ("graph/saved_model.pb", "graph/variables/v.index"), "graph/saved_model.pb"),
        ("m.h5", ("m.h5",), "m.h5"),
    ):
        folder = tmp_path / f"{maker}-1-v{places.VERSION}"
        for one in files:
            (folder / one).parent.mkdir(parents=True, exist_ok=True)
            (folder / one).touch()
        given = known.command(Row("r", ("@path", "@main"), ""), [Input(maker, 1)])
        assert given[:2] == [str(folder / maker), str(folder / main)]
        assert known.files([Input(maker, 1)]) == sorted(str(folder / one) for one in files)


def test_an_input_that_needs_tensorflow_says_so_where_there_is_none(tmp_path):
    with pytest.raises(places.NotHere, match="TensorFlow"):
        places.Places({}, str(tmp_path)).make(Input("ckpt", 1, live=True))


@pytest.mark.parametrize("form", SCALES)
def test_every_goal_and_every_reference_is_of_a_row_of_its_table(form):
    tables = scenarios(SCALES[form], 2)
    assert len({one.name for one in tables}) == len(tables)
    for one in tables:
        names = [each.name for each in one.rows]
        assert len(set(names)) == len(names)
        asked = {one.reference, *(name for g in one.goals for name in (g.row, g.of, g.plus))}
        assert asked - {None} <= set(names)


def numpy_zeros(path):
    """Zeros in all datasets of an HDF5 file, as NumPy counts them."""
    found = []
    with h5py.File(path) as file:
        file.visititems(
            lambda _, one: (
                found.append(one.size - np.count_nonzero(one[()]))
                if isinstance(one, h5py.Dataset)
                else None
            )
        )
    return sum(found)


def tensors(path, role):
    found = api.show([str(path)]).artifacts[0].tensors
    return [one for one in found if one.role == role]


@pytest.mark.parametrize("make", [inputs.pruned_h5, inputs.gzip_h5])
def test_a_pruned_input_is_a_pruned_model_to_the_tool(make, tmp_path):
    path = tmp_path / "model.h5"
    make(str(path), 4)
    shown = api.show([str(path)]).artifacts[0]
    # 4 MiB of kernels and masks: 256 x 256 float32, so 8 layers of two; each with 256 biases.
    assert shown.totals.after_strip == 8 * (256 * 256 + 256)
    assert len(tensors(path, "mask")) == 8
    assert sum(one.measure.zeros for one in shown.tensors) == numpy_zeros(path)
    assert not shown.problems


def test_a_pruned_archive_is_a_pruned_model_to_the_tool(tmp_path):
    path = tmp_path / "model.keras"
    inputs.pruned_keras(str(path), 6)
    shown = api.show([str(path)]).artifacts[0]
    # 6 MiB: 8 layers of a kernel, the wrapper's copy of it, and a mask.
    assert shown.totals.after_strip == 8 * (256 * 256 + 256)
    assert [len(tensors(path, role)) for role in ("mask", "alias")] == [8, 8]


@pytest.mark.parametrize("inline", [1024, 0], ids=["data inside", "data behind"])
def test_a_tflite_input_has_the_values_that_it_was_made_of(inline, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_INLINE", inline)
    path = tmp_path / "model.tflite"
    inputs.dense_tflite(str(path), 2)
    weights = tensors(path, "weight")
    expected = [np.count_nonzero(inputs.pruned_layer(index, 256)[0] == 0) for index in range(8)]
    assert [one.measure.zeros for one in weights] == expected


def test_stores_have_the_number_of_tensors_that_was_asked_for(tmp_path):
    inputs.weights_h5(str(tmp_path / "a.weights.h5"), 1)
    inputs.small_tensors(str(tmp_path / "b.weights.h5"), 30)
    inputs.small_files(str(tmp_path / "files"), 7)
    assert len(tensors(tmp_path / "a.weights.h5", "weight")) == 256
    assert len(tensors(tmp_path / "b.weights.h5", "weight")) == 30
    assert len(os.listdir(tmp_path / "files")) == 7


@pytest.mark.parametrize(
    # 2 MiB: 4 layers of 256 x 256; all of them: 4 kernels, 4 biases, 4 masks.
    ("maker", "changed"),
    [("pair-same", 0), ("pair-one", 1), ("pair-all", 12)],
)
def test_pairs_differ_in_what_they_are_named_for(maker, changed, tmp_path):
    inputs.MAKERS[maker](str(tmp_path / "pair"), 2)
    first, second = (str(tmp_path / "pair" / name) for name in ("a.h5", "b.h5"))
    assert api.diff(first, second).diff.summary.changed == changed


# --- the guard ------------------------------------------------------------------------------------


def test_a_ratio_is_of_the_least_processor_times():
    def spin(count):
        return lambda: sum(range(count))

    assert 2 < guard.ratio(spin(1_000_000), spin(200_000), seconds=0.1) < 12


def test_a_ratio_is_too_slow_past_twice_the_committed_one():
    assert not guard.too_slow(3.0, 1.5)
    assert guard.too_slow(3.01, 1.5)


def test_a_guard_that_is_too_slow_is_measured_again_and_the_least_counts(monkeypatch):
    found = iter([9.0, 5.0, 1.0, 4.0])
    monkeypatch.setattr(guard, "ratio", lambda *_: next(found))
    one = guard.Guard("any", lambda _: (list, list))
    assert guard.measure(one, committed=2.5) == 5.0
    assert next(found) == 1.0


def test_every_guard_has_a_committed_ratio_and_no_other_is_committed():
    assert set(guard.committed()) == {one.name for one in guard.GUARDS}


@pytest.mark.parametrize("one", guard.GUARDS, ids=lambda one: one.name)
def test_our_work_costs_no_more_than_twice_what_it_did(one):
    committed = guard.committed()[one.name]
    found = guard.measure(one, committed)
    assert not guard.too_slow(found, committed), (
        f"{one.name} is {found:.2f}, and {committed:.2f} is committed. "
        "Where that has its reason: make bench-guard, and say it in docs/performance.md"
    )
