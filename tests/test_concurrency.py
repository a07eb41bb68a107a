"""What else happens while we read and write: files change, readers leave, disks fill, Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import inspector
import inspector.both
import inspector.classify
from inspector import api
from inspector.cli.environment import write_whole
from inspector.errors import ArtifactError, Changed
from inspector.storage import LocalFile
from tests.builders import bundles, saved_models, tflite
from tests.builders.hdf5 import whole_model
from tests.builders.keras import DENSE_STORE, h5_weights, keras_folder, keras_zip, members, sharded
from tests.builders.samples import path as sample
from tests.builders.terminal import call

SIZE = 512  # 512 x 512 float32: a MiB
VALUES = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype="f4")
STORE = {"layers/dense": [VALUES, VALUES[0]]}


def contiguous(folder: Path) -> tuple[str, str]:
    path = whole_model(folder / "m.h5", {"dense": {"dense/kernel:0": VALUES}}, None)
    return path, path


def chunked(folder: Path) -> tuple[str, str]:
    def make(group, name):
        group.create_dataset(name, data=VALUES, chunks=(64, 64), compression="gzip")

    path = whole_model(folder / "m.h5", {"dense": {"dense/kernel:0": make}}, None)
    return path, path


def zipped(folder: Path) -> tuple[str, str]:
    path = keras_zip(folder / "m.keras", members(h5_weights(folder, STORE)))
    return path, path


def unpacked(folder: Path) -> tuple[str, str]:
    path = keras_folder(folder / "m", members(h5_weights(folder, STORE)))
    return path, os.path.join(path, "model.weights.h5")


def shards(folder: Path) -> tuple[str, str]:
    path = sharded(folder, {"m_0.weights.h5": STORE, "m_1.weights.h5": DENSE_STORE}, None)
    return path, str(folder / "m_0.weights.h5")


def lite(folder: Path) -> tuple[str, str]:
    graph = tflite.graph([tflite.tensor("w", (SIZE, SIZE), "float32", 1)])
    path = folder / "m.tflite"
    path.write_bytes(tflite.model(graph, buffers=[VALUES]))
    return str(path), str(path)


def frozen(folder: Path) -> tuple[str, str]:
    path = folder / "m.pb"
    node = saved_models.const("w", VALUES.ravel().tolist(), (SIZE, SIZE))
    path.write_bytes(saved_models.graph([node]))
    return str(path), str(path)


def _bundle() -> dict[str, bytes]:
    # Without a checksum of the values, which takes the builder a while: an entry may have none.
    item = bundles.Item(b"w", VALUES.tobytes(), saved_models.FLOAT, (SIZE, SIZE), crc=0)
    return bundles.bundle(item)


def checkpoint(folder: Path) -> tuple[str, str]:
    for name, content in _bundle().items():
        (folder / name).write_bytes(content)
    return str(folder / "ckpt"), str(folder / "ckpt.data-00000-of-00001")


def saved_model(folder: Path) -> tuple[str, str]:
    path = saved_models.module(folder / "m")
    for name, content in _bundle().items():
        (folder / "m" / "variables" / name.replace("ckpt", "variables")).write_bytes(content)
    return path, os.path.join(path, "variables", "variables.data-00000-of-00001")


ARTIFACTS = (
    contiguous, chunked, zipped, unpacked, shards, lite, frozen, checkpoint, saved_model,
)  # fmt: skip


class Meanwhile(api.Silent):
    """Does something to a file once the first values are measured."""

    def __init__(self, act) -> None:
        self._act = act

    def advance(self, nbytes: int) -> None:
        act, self._act = self._act, lambda: None
        act()


def cut(path: str) -> None:
    os.truncate(path, 100)


def grow(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def rewrite(path: str) -> None:
    os.utime(path, ns=(1, 1))


def replace(path: str) -> None:
    shutil.copy2(path, f"{path}.new")
    os.replace(f"{path}.new", path)


def problem(report) -> tuple[str, str]:
    (artifact,) = report.artifacts
    assert not artifact.readable
    assert artifact.tensors == ()
    (only,) = artifact.problems
    return only.code, only.message


@pytest.mark.parametrize("make", ARTIFACTS)
def test_a_file_cut_short_while_it_is_read_is_an_error(make, tmp_path):
    path, part = make(tmp_path)
    report = api.show(path, threads=1, progress=Meanwhile(lambda: cut(part)))
    code, message = problem(report)
    assert code == "changed"
    assert message.startswith("changed while it was read: ")
    assert report.artifacts[0].problems[0].path == part


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (grow, "its size went from "),
        (rewrite, "it was written to; "),
        (replace, "another file took its place; "),
        (os.remove, "it was removed; "),
    ],
)
@pytest.mark.parametrize("make", [contiguous, saved_model])
def test_a_file_that_becomes_another_is_an_error_though_all_could_be_read(
    act, said, make, tmp_path
):
    path, part = make(tmp_path)
    code, message = problem(api.show(path, progress=Meanwhile(lambda: act(part))))
    assert code == "changed"
    assert f"changed while it was read: {said}" in message
    assert message.endswith("read it again once nobody writes to it")


def test_reading_moving_away_and_linking_are_no_change(tmp_path, monkeypatch):
    contiguous(tmp_path)
    monkeypatch.chdir(tmp_path)

    def harmless() -> None:
        Path("m.h5").read_bytes()
        os.link("m.h5", "other")
        os.chmod("m.h5", 0o400)
        os.chdir("/")

    assert api.show("m.h5", progress=Meanwhile(harmless)).artifacts[0].readable


@pytest.fixture
def cut_once_read(monkeypatch):
    """Cuts a file short as soon as its structure is known, whatever the command."""

    def arrange(path: str) -> None:
        real = inspector.classify.classify

        def classify(artifact):
            if os.path.exists(path) and artifact.path == path:
                cut(path)
            return real(artifact)

        for module in (inspector.classify, inspector.both):
            monkeypatch.setattr(module, "classify", classify)

    return arrange


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "A"),
        ("show", "A", "--no-measure"),
        ("explain", "A", "dense/kernel:0"),
        ("reconcile", "A"),
        ("reconcile", "A", "B"),
        ("diff", "A", "B"),
        ("diff", "B", "A"),
    ],
)
def test_every_command_says_what_changed_and_prints_nothing(arguments, tmp_path, cut_once_read):
    (tmp_path / "b").mkdir()
    names = {"A": contiguous(tmp_path)[0], "B": contiguous(tmp_path / "b")[0]}
    cut_once_read(names["A"])
    done = call(*(names.get(one, one) for one in arguments), "--format", "json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"inspect: {names['A']}: changed while it was read: ")
    assert done.err.count("\n") == 1


def test_an_audit_says_so_and_goes_on(tmp_path, cut_once_read):
    (tmp_path / "b").mkdir()
    a, b = contiguous(tmp_path)[0], contiguous(tmp_path / "b")[0]
    cut_once_read(a)
    report = api.audit([a, b], policy=None)
    assert [one.readable for one in report.artifacts] == [False, True]
    (finding,) = [one for one in report.findings or () if one.path == a]
    assert finding.code.startswith("integrity-")
    assert "changed while it was read" in finding.message


def test_an_error_of_a_file_that_changed_is_that_it_changed(tmp_path):
    path = str(tmp_path / "x")
    Path(path).write_bytes(bytes(100))
    for raised, told in ((ArtifactError("makes no sense", path), Changed), (KeyError(), KeyError)):
        with pytest.raises(told), LocalFile(path):  # noqa: PT012 - what is left is the context
            grow(path)
            raise raised


def test_closing_an_artifact_asks_nothing_and_leaving_it_does(tmp_path):
    path, _ = contiguous(tmp_path)
    opened = inspector.open(path)
    grow(path)
    opened.close()
    with pytest.raises(Changed), inspector.open(path):
        grow(path)


def test_a_disk_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    path, _ = contiguous(tmp_path)

    def broken(*_):
        raise OSError(5, "Input/output error")

    with inspector.open(path) as opened:
        for call in ("pread", "preadv"):
            monkeypatch.setattr(os, call, broken)
        with pytest.raises(ArtifactError, match="cannot be read: Input/output error"):
            next(iter(opened.artifact.tensors[0].payload.blocks(1 << 20)))
        monkeypatch.undo()


# --- other processes ---

WAITING = """
import sys
from inspector import api

class Waiting(api.Silent):
    asked = False
    def advance(self, nbytes):
        if not self.asked:
            self.asked = True
            print("measuring", flush=True)
            sys.stdin.readline()

report = api.show(sys.argv[1], threads=1, progress=Waiting())
print(*[one.code for one in report.artifacts[0].problems])
"""


@pytest.mark.parametrize("make", [contiguous, chunked, checkpoint])
def test_another_process_that_cuts_a_file_short_kills_nobody(make, tmp_path):
    path, part = make(tmp_path)
    command = [sys.executable, "-c", WAITING, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as reading:
        assert reading.stdout.readline() == "measuring\n"
        cut(part)
        out, _ = reading.communicate("go on\n", timeout=60)
    assert (reading.returncode, out) == (0, "changed\n")


def huge(path: Path) -> str:
    """A model of which no measuring comes to an end: a TiB of zeros, on no disk."""
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("layers/dense/vars")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((1 << 20, 1 << 18))
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, plist)
    return str(path)


def bytes_read(pid: int) -> int:
    """By a process and its children."""
    with contextlib.suppress(OSError):
        io = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return int(io.split()[1]) + sum(bytes_read(int(one)) for one in children)
    return 0


def processes_of(temporary: Path) -> list[str]:
    """Those that have this folder for their temporary files."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={temporary}".encode() in (one / "environ").read_bytes().split(b"\0"):
                found.append(one.name)
    return found


# The terminal interrupts all that runs in its foreground, `kill -INT` one process.
@pytest.mark.parametrize(
    ("arguments", "whole_group"),
    [
        (("show", "H"), True),
        (("show", "H", "--isolate"), False),
        (("diff", "H", "H2"), True),
        (("audit", "H"), True),
        (("audit", "H"), False),
        (("audit", "H", "--no-isolate"), False),
    ],
)
def test_ctrl_c_leaves_nothing_behind(arguments, whole_group, tmp_path):
    names = {"H": huge(tmp_path / "h.weights.h5"), "H2": huge(tmp_path / "h2.weights.h5")}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "inspector", *(names.get(one, one) for one in arguments)]
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path / "report.txt")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while bytes_read(running.pid) < 64 << 20 and time.monotonic() < until:
        time.sleep(0.02)
    (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
    try:
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    # The empty line ends the one in which a terminal shows "^C".
    assert (running.returncode, out, err) == (130, "", "\ninspect: interrupted\n")
    assert processes_of(temporary) == []
    assert os.listdir(temporary) == []
    assert sorted(os.listdir(tmp_path)) == ["h.weights.h5", "h2.weights.h5", "temporary"]


# --- where the output goes ---

CLEAN = sample("k3.keras")
COMMANDS = (
    *(("show", CLEAN, "--format", name) for name in ("text", "json", "markdown", "csv")),
    ("show", CLEAN, "--stable"),
    ("show", CLEAN, "--tensors", "--color", "always"),
    *(
        ("explain", CLEAN, "dense/kernel", "--format", name)
        for name in ("text", "json", "markdown", "csv")
    ),
    *(("reconcile", CLEAN, "--format", name) for name in ("text", "json", "markdown", "csv")),
    *(("diff", CLEAN, CLEAN, "--format", name) for name in ("text", "json", "markdown", "csv")),
    ("diff", CLEAN, CLEAN, "--stat"),
    *(
        ("audit", CLEAN, "--no-policy", "--no-isolate", "--fail-on", "never", "--format", name)
        for name in ("text", "json", "markdown", "csv", "sarif", "junit", "github")
    ),
    ("rules",),
    ("formats",),
    ("--help",),
    ("--version",),
)
# Each command in a process of its own would take half a minute: here each gets a new stdout.
RUN_ALL = """
import ast, os, sys
from inspector.cli import run
target, commands = ast.literal_eval(sys.stdin.read())
for arguments in commands:
    if target is None:
        reads, writes = os.pipe()
        os.close(reads)
    else:
        writes = os.open(target, os.O_WRONLY)
    os.dup2(writes, 1)
    os.close(writes)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    code = run(arguments)
    print(code, *arguments, file=sys.stderr)
"""


def run_all(target: str | None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=repr((target, COMMANDS)),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_a_reader_that_has_gone_away_is_no_error_of_any_command_in_any_format():
    assert run_all(None) == [" ".join(["0", *one]) for one in COMMANDS]


def test_a_full_disk_under_stdout_is_one_line_of_any_command_in_any_format():
    lines = run_all("/dev/full")
    for said in lines[::2]:
        assert said.startswith("inspect: ")
        assert said.endswith("No space left on device")
    assert lines[1::2] == [" ".join(["2", *one]) for one in COMMANDS]


def test_the_first_line_of_a_long_report_is_enough(tmp_path):
    layers = {f"layer_{i}": {f"layer_{i}/kernel:0": np.zeros(1, "f4")} for i in range(3000)}
    path = whole_model(tmp_path / "m.h5", layers, None)
    command = [sys.executable, "-m", "inspector", path, "--tensors"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline().startswith(path.encode()[:20])
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 0


def test_an_output_file_on_a_full_disk_is_one_line(tmp_path):
    done = call(CLEAN, "-o", "/dev/full")
    assert (done.code, done.out) == (2, "")
    assert done.err == "inspect: /dev/full: cannot be written: No space left on device\n"


def limited(folder: str, *arguments: str, **more) -> subprocess.CompletedProcess[str]:
    """`inspect CLEAN` with files of 100 bytes at most."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from inspector.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-B", "-c", code, CLEAN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **more)


@pytest.mark.parametrize("name", ["text", "json", "markdown", "csv"])
def test_an_output_that_does_not_fit_keeps_the_old_file(name, tmp_path):
    (tmp_path / "report").write_text("the old one", encoding="ascii")
    done = limited(str(tmp_path), "-o", "report", "--format", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "inspect: report: cannot be written: File too large\n"
    assert os.listdir(tmp_path) == ["report"]
    assert (tmp_path / "report").read_text(encoding="ascii") == "the old one"


# Root may write anywhere. Its Python may be where nobody else may look, so all is imported first.
AS_NOBODY = """
import os, sys
from inspector.cli import run
run([sys.argv[1], "-o", os.devnull])
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(run(sys.argv[1:]))
"""


def test_a_folder_that_cannot_be_written_to_keeps_the_old_file():
    # Not in tmp_path, where nobody but its owner may look.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "report").write_text("the old one", encoding="ascii")
        shutil.copy(CLEAN, folder)
        os.chmod(Path(folder, "k3.keras"), 0o444)
        os.chmod(folder, 0o555)
        command = [sys.executable, "-B", "-c", AS_NOBODY, "k3.keras", "-o", "report"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        os.chmod(folder, 0o755)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "inspect: report: cannot be written: Permission denied\n"
        assert sorted(os.listdir(folder)) == ["k3.keras", "report"]
        assert Path(folder, "report").read_text(encoding="ascii") == "the old one"


def test_a_folder_that_vanishes_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: shutil.rmtree(tmp_path / "out"))
    done = call(CLEAN, "-o", str(tmp_path / "out" / "report"))
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"inspect: {tmp_path}/out/report: cannot be written: No such file or directory\n"
    )
    monkeypatch.undo()
    assert call(CLEAN, "-o", str(tmp_path / "out" / "report")).code == 2


def test_an_interrupt_while_writing_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "report"
    path.write_text("the old one", encoding="ascii")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(str(path), "the new one")
    assert os.listdir(tmp_path) == ["report"]
    assert path.read_text(encoding="ascii") == "the old one"
