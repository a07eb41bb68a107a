import csv
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys

import h5py
import pytest

from tests.builders.terminal import call

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")
STRIPPED = os.path.join(SAMPLES, "stripped.h5")
GOLDEN = [
    "pruned.h5",
    "pruned.keras",
    "pruned.weights.h5",
    "pruned_convnet.keras",
    "stripped.h5",
    "clustered.h5",
    "qat.h5",
    "pcqat.h5",
    "k3.h5",
    "k3_int4.keras",
    "k3_lora.keras",
    "k3.weights.h5",
    "k3_sharded.weights.json",
    "k3_dir",
    "saved_pruned",
    "saved_export",
    "saved_v1",
    "saved_module",
    "ckpt_adam",
    "ckpt_v1",
    "frozen_contrib_pruned.pb",
]


@pytest.fixture
def pointer(tmp_path):
    path = tmp_path / "pointer.h5"
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 102853048\n"
    )
    return str(path)


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("width", ["80", "100", "200"])
def test_samples_look_as_reviewed(name, width, golden, monkeypatch):
    monkeypatch.chdir(SAMPLES)
    result = call(name, "--width", width)
    assert (result.code, result.err) == (0, "")
    golden(f"sample-{name}-{width}.txt", result.out)


@pytest.mark.parametrize(("format_", "suffix"), [("markdown", "md"), ("csv", "csv")])
def test_a_sample_in_other_formats_is_as_reviewed(format_, suffix, golden, monkeypatch):
    monkeypatch.chdir(SAMPLES)
    golden(f"sample-pruned.h5.{suffix}", call("pruned.h5", "--format", format_).out)


def test_a_path_alone_is_shown():
    assert call(PRUNED) == call("show", PRUNED)


def test_a_file_named_like_a_command_can_be_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(PRUNED, "explain")
    result = call("./explain")
    assert result.code == 0
    assert "2,638 parameters" in result.out


def test_an_option_may_come_before_the_path():
    assert call("--tensors", PRUNED) == call("show", PRUNED, "--tensors")


def test_a_flag_may_come_after_the_path():
    assert call(PRUNED, "--no-measure").code == 0


@pytest.mark.parametrize("format_", ["text", "json", "markdown", "csv"])
def test_every_format_is_written(format_):
    result = call(PRUNED, "--format", format_)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("\n")


def test_the_only_path_unreadable_is_one_line_on_stderr(pointer):
    result = call(pointer)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith(f"inspect: {pointer}: ")
    assert "102,853,048 bytes" in result.err


def test_one_of_several_unreadable_leaves_the_others_done(pointer):
    result = call(PRUNED, pointer, STRIPPED)
    assert result.code == 2
    places = [
        result.out.replace("\n", "").index(mark)
        for mark in ("pruned.h5 · ", "Git LFS", "stripped.h5 · ")
    ]
    assert places == sorted(places)
    assert result.err.count("\n") == 1


def test_several_unreadable_leave_stdout_empty(pointer, tmp_path):
    result = call(pointer, str(tmp_path / "missing.h5"), "--format", "json")
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 2


def test_the_json_of_an_unreadable_path_says_so(pointer):
    artifacts = json.loads(call(PRUNED, pointer, "--format", "json").out)["artifacts"]
    assert [artifact["readable"] for artifact in artifacts] == [True, False]
    assert artifacts[1]["problems"][0]["severity"] == "error"


def test_a_path_with_escapes_cannot_steer_the_terminal(tmp_path):
    result = call(str(tmp_path / "\x1b[31mx.h5"))
    assert result.code == 2
    assert "\x1b" not in result.err
    assert r"\x1b[31mx.h5" in result.err


def test_no_path_is_bad_usage():
    result = call("show")
    assert (result.code, result.out) == (2, "")
    assert "PATH" in result.err


def test_an_unknown_option_is_bad_usage():
    result = call(PRUNED, "--nonsense")
    assert (result.code, result.out) == (2, "")
    assert "--nonsense" in result.err
    assert "inspect show --help" in result.err


def test_an_unknown_role_is_bad_usage():
    assert call(PRUNED, "--role", "masks").code == 2


def test_filters_by_role_and_layer():
    rows = list(
        csv.DictReader(
            io.StringIO(call(PRUNED, "--format", "csv", "--role", "mask").out, newline="")
        )
    )
    assert {row["role"] for row in rows} == {"mask"}
    assert len(rows) == 2
    result = call(PRUNED, "--layer", "*dense_1*", "--role", "mask", "--tensors")
    assert "Filtered: 1 of 19 tensors shown" in result.out


def test_tensors_gives_one_row_a_tensor():
    out = call(PRUNED, "--tensors", "--width", "200").out
    assert out.count("optimizer-slot") == 8


def test_what_is_piped_has_a_width_of_its_own():
    assert max(map(len, call(PRUNED).out.splitlines())) <= 100


def test_columns_is_obeyed_and_width_is_obeyed_more():
    assert max(map(len, call(PRUNED, COLUMNS="60").out.splitlines())) <= 60
    out = call(PRUNED, "--width", "70", COLUMNS="200").out
    assert 60 < max(map(len, out.splitlines())) <= 70


@pytest.mark.parametrize("columns", ["", "0", "x", "-5"])
def test_a_senseless_columns_is_no_width(columns):
    assert call(PRUNED, COLUMNS=columns).out == call(PRUNED).out


def test_a_terminal_is_coloured_and_a_pipe_is_not():
    assert "\x1b[" in call(PRUNED, terminal=True).out
    assert "\x1b[" not in call(PRUNED).out


def test_no_color_is_obeyed_but_not_against_an_option():
    assert "\x1b[" not in call(PRUNED, terminal=True, NO_COLOR="1").out
    assert "\x1b[" not in call(PRUNED, terminal=True, TERM="dumb").out
    assert "\x1b[" in call(PRUNED, "--color", "always", NO_COLOR="1").out
    assert "\x1b[" not in call(PRUNED, "--color", "never", terminal=True).out


def test_output_goes_to_a_file_whole(tmp_path):
    path = tmp_path / "report.json"
    result = call(PRUNED, "--format", "json", "-o", str(path))
    assert (result.code, result.out, result.err) == (0, "", "")
    assert json.loads(path.read_text(encoding="utf-8"))["command"] == "show"
    assert os.listdir(tmp_path) == ["report.json"]


def test_an_existing_output_keeps_its_permissions(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("old")
    path.chmod(0o640)
    assert call(PRUNED, "-o", str(path)).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text(encoding="utf-8") != "old"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "report.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    result = call(PRUNED, "-o", str(path))
    assert result.code == 2
    assert "No space left" in result.err
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_an_output_folder_that_is_not_there_is_said(tmp_path):
    path = tmp_path / "no" / "report.txt"
    result = call(PRUNED, "-o", str(path))
    assert result.code == 2
    assert result.err == f"inspect: {path}: cannot be written: No such file or directory\n"


def test_the_report_is_not_written_over_the_artifact(tmp_path):
    model = tmp_path / "model.h5"
    shutil.copyfile(PRUNED, model)
    before = model.read_bytes()
    (tmp_path / "link").symlink_to(model)
    folder = tmp_path / "folder"
    shutil.copytree(os.path.join(SAMPLES, "k3_dir"), folder)
    for ending in ("index", "data-00000-of-00001"):
        shutil.copy(os.path.join(SAMPLES, f"ckpt_adam.{ending}"), tmp_path)
    for given, out in (
        (model, model),
        (model, tmp_path / "link"),
        (folder, folder / "config.json"),
        # A prefix is no file; its files are written over as well.
        (tmp_path / "ckpt_adam", tmp_path / "ckpt_adam.index"),
        (tmp_path / "ckpt_adam.index", tmp_path / "ckpt_adam.data-00000-of-00001"),
    ):
        result = call(str(given), "-o", str(out))
        assert (result.code, result.out) == (2, "")
        assert "would write the report over" in result.err
    beside = tmp_path / "ckpt_adam.html"
    beside.write_text("an earlier page")
    assert call(str(tmp_path / "ckpt_adam"), "-o", str(beside)).code == 0
    assert call("explain", str(model), "dense/kernel", "-o", str(model)).code == 2
    assert model.read_bytes() == before


def test_a_pipe_by_its_name_takes_the_report():
    command = [sys.executable, "-m", "inspector", PRUNED, "--width", "100", "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == call(PRUNED, "--width", "100").out


def test_a_file_that_is_named_like_an_option_is_pointed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.h5").write_bytes(b"")
    assert "The file of that name is ./-x.h5\n" in call("-x.h5").err


def test_a_full_disk_under_stdout_is_said():
    command = [sys.executable, "-m", "inspector", PRUNED]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "inspect: stdout: cannot be written: No space left on device\n"


def test_an_unreadable_artifact_leaves_the_output_alone(tmp_path, pointer):
    path = tmp_path / "out"
    path.mkdir()
    assert call(pointer, "-o", str(path / "report.txt")).code == 2
    assert os.listdir(path) == []


def test_a_person_reads_of_an_unreadable_artifact_once(pointer):
    result = call(PRUNED, pointer, terminal=True, NO_COLOR="1")
    assert result.code == 2
    assert result.err == ""
    assert result.out.count("Git LFS") == 1


def test_a_model_with_missing_values_is_shown_and_is_not_clean(tmp_path):
    shutil.copytree(os.path.join(SAMPLES, "saved_adam"), tmp_path / "model")
    (tmp_path / "model" / "variables" / "variables.data-00000-of-00001").unlink()
    result = call(str(tmp_path / "model"))
    assert (result.code, result.err) == (1, "")
    assert "is missing; it holds" in result.out


def test_layers_that_no_config_tells_are_in_the_models_order():
    # The keys' own order is layer_with_weights-0, -1, -10, -2; here one of batch_normalization.
    out = call(os.path.join(SAMPLES, "ckpt_adam"), "--width", "100").out
    rows = [line.split()[0] for line in out.splitlines() if line[:1].isalpha()]
    assert rows.index("dense") < rows.index("batch_normalization") < rows.index("frozen")


# --- digests -------------------------------------------------------------------------------------


def digest_of(name):
    """SHA-256 of a data set of the stripped sample, as h5py reads it."""
    with h5py.File(STRIPPED) as file:
        return hashlib.sha256(file[f"model_weights/{name}"][()].tobytes()).hexdigest()


def test_digests_are_in_json_only_when_asked_for():
    with open(STRIPPED, "rb") as file:
        whole = hashlib.sha256(file.read()).hexdigest()
    (found,) = json.loads(call(STRIPPED, "--digest", "--format", "json").out)["artifacts"]
    assert found["files"][0]["digest"] == f"sha256:{whole}"
    digests = {one["name"]: one["digest"] for one in found["tensors"]}
    name = "dense/dense/kernel:0"
    assert digests[f"model_weights/{name}"] == f"sha256:{digest_of(name)}"
    assert found["content_digest"].startswith("sha256:")
    assert all(one["config_digest"].startswith("sha256:") for one in found["layers"])
    assert "digest" not in call(STRIPPED, "--format", "json").out


def test_digests_in_text_are_the_contents_and_with_tensors_a_column():
    text = call(STRIPPED, "--digest").out
    assert "\ncontent: sha256:" in text
    rows = call(STRIPPED, "--digest", "--tensors", "--width", "160").out
    kernel = digest_of("dense/dense/kernel:0")
    assert any("kernel" in line and line.endswith(kernel[:12]) for line in rows.splitlines())
    assert "digest" not in call(STRIPPED, "--tensors").out


def test_digests_are_a_column_of_csv_and_markdown():
    kernel = digest_of("dense/dense/kernel:0")
    rows = list(csv.DictReader(io.StringIO(call(STRIPPED, "--digest", "--format", "csv").out)))
    assert f"sha256:{kernel}" in {row["digest"] for row in rows}
    assert kernel[:12] in call(STRIPPED, "--digest", "--tensors", "--format", "markdown").out


def test_values_can_have_digests_without_measures():
    (found,) = json.loads(call(STRIPPED, "--digest", "--no-measure", "--format", "json").out)[
        "artifacts"
    ]
    assert found["tensors"][0]["measure"] is None
    assert found["tensors"][0]["digest"].startswith("sha256:")
