"""What was meant by a word that is none: one wording, wherever words are taken."""

import os
import time

import pytest

from inspector import meant
from tests.builders.terminal import call

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dif", "a", "b"], "dif: no such command or file; did you mean 'inspect diff'?"),
        (["reconsile", PRUNED], "reconsile: no such command or file; did you mean 'inspect rec"),
        (["--formt", "json", PRUNED], "No such option '--formt'; did you mean '--format'?"),
        (["diff", "a", "b", "--rtoll=3"], "No such option '--rtoll'; did you mean '--rtol'?"),
        ([PRUNED, "--format", "jsn"], "; did you mean 'json'?"),
        ([PRUNED, "--role", "masks"], "; did you mean 'mask'?"),
        (["audit", PRUNED, "--fail-on", "eror"], "; did you mean 'error'?"),
        (["audit", PRUNED, "--also", "sariff=x"], "; did you mean 'sarif'?"),
        (["audit", PRUNED, "--select", "leftovr"], "; did you mean 'leftover'?"),
        (["audit", PRUNED, "--ignore", "leftover-optimiser"], "; did you mean 'leftover-optimizer"),
        (["rules", "leftover-prunig"], "; did you mean 'leftover-pruning'? `inspect rules"),
        (["rules", "Safty"], "; did you mean 'safety'?"),
        ([PRUNED, "--limit", "tensor=3"], "; did you mean 'tensors'?"),
        (["diff", PRUNED, PRUNED, "--only", "weigts"], "; did you mean 'weights'?"),
        (["explain", PRUNED, "dense_1/kernl"], "; did you mean 'dense_1/kernel', 'dense/ker"),
        (["explain", PRUNED, "trehsold:0"], "; did you mean 'threshold:0' or 'thr"),
        ([f"{SAMPLES}/prunde.h5"], f"; did you mean '{PRUNED}'?"),
        (["diff", f"{SAMPLES}/prunde.h5", PRUNED], f"; did you mean '{PRUNED}'?"),
        (["audit", f"{SAMPLES}/prunde.h5"], f"; did you mean '{PRUNED}'?"),
        ([f"{SAMPLES[:-1]}/pruned.h5"], f"; did you mean '{PRUNED}'?"),
        (["audit", PRUNED, "--policy", f"{SAMPLES}/prunde.h5"], f"; did you mean '{PRUNED}'?"),
        (["audit", PRUNED, "--baseline", f"{SAMPLES}/prunde.h5"], f"; did you mean '{PRUNED}'?"),
    ],
)
def test_what_was_meant_is_asked(arguments, said):
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize(
    "arguments", [["zzz"], ["--zzz"], ["explain", PRUNED, "zzz"], ["rules", "zzz"], ["./dif"]]
)
def test_nothing_is_suggested_for_what_is_like_nothing(arguments):
    result = call(*arguments)
    assert result.code == 2
    assert "did you mean" not in result.err


def test_a_file_that_begins_like_a_command_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dif").write_bytes(b"")
    assert "dif: an empty file" in call("dif").err
    (tmp_path / "dif").rename("dif.index")  # a checkpoint's prefix
    assert "dif.index: has 0 bytes" in call("dif").err


def test_what_is_quoted_cannot_steer_the_terminal(tmp_path):
    (tmp_path / "mod\x1b[31mel.h5").write_bytes(b"x")
    said = call(str(tmp_path / "mod[31mel.h5")).err
    assert "did you mean" in said
    assert "\x1b" not in said


def test_hostile_lists_are_looked_at_in_bounded_time():
    words = [f"layer_{number}/kernel" for number in range(1_000_000)]
    start = time.process_time()
    assert meant.nearest("layer_7/kernl", words)
    assert meant.nearest("x" * 200, ["y" * 100_000, "x" * 199] * 10_000) == ["x" * 199]
    assert meant.nearest("x" * 100_000, words) == []
    # Each like the word, and each a millisecond of difflib's time.
    alike = [f"{'ab' * 90}{number}" for number in range(20_000)]
    assert meant.nearest(f"{'ba' * 90}x", alike)
    assert time.process_time() - start < 5


def test_capitals_do_not_count_and_the_likest_is_first():
    assert meant.did_you_mean("MASK", ["masks", "mask"], 2) == "; did you mean 'mask' or 'masks'?"
    assert meant.did_you_mean("", ["mask"]) == ""
