import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import msgspec
import pytest

import inspector
from inspector import api, asking, errors, isolation
from inspector.allowance import artifact_bytes
from inspector.asking import Task
from inspector.auditing.policy import Policy
from inspector.errors import Crashed, LimitExceeded, NotFound, OutOfMemory, TimedOut, UsageError
from inspector.exchange import Raised, rebuilt, told
from inspector.limits import DEFAULT, MIB
from inspector.report import ArtifactReport, Report
from inspector.template import NotIsolated
from inspector.typed_json import decode, encode
from tests.builders import broken_worker, samples
from tests.builders.terminal import call
from tests.corrupt import hdf5 as broken

# Quick to give up, and small enough to be filled soon.
SOON = replace(DEFAULT, seconds=1, gib_seconds=0)
QUICK = replace(DEFAULT, seconds=3, gib_seconds=0, worker_bytes=512 * MIB)
PATHS = [samples.path(name) for name in samples.NAMES]


def workers_left():
    """What still runs of workers, and what they started."""
    said = subprocess.run(
        ["ps", "-A", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in said.splitlines() if "broken worker" in line and "ps -A" not in line]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Workers that are to go get half a second for it."""
    for module in (asking, isolation):
        monkeypatch.setattr(module, "GOING_SECONDS", 0.5)


@pytest.fixture
def broken_workers(monkeypatch, tmp_path):
    """Workers are broken ones, in a folder of their own for temporary files; none is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(isolation, "PROGRAM", broken_worker.PROGRAM)
    yield
    assert workers_left() == []
    assert os.listdir(folder) == []
    with pytest.raises(ChildProcessError):  # not even one that is dead and not buried
        os.waitpid(-1, os.WNOHANG)


def copy(folder, name, of="stripped.h5"):
    path = os.path.join(folder, name)
    shutil.copyfile(samples.path(of), path)
    return path


# --- what becomes of a worker is said -----------------------------------------------------------

ENDS = {
    "segv": (Crashed, "SIGSEGV"),
    "bus": (Crashed, "SIGBUS"),
    "abort": (Crashed, "SIGABRT"),
    "killed": (OutOfMemory, "0.5 GiB of memory"),
    "exits": (Crashed, "exit code 7"),
    "hangs": (TimedOut, "longer than 1 seconds"),
    "grows": (OutOfMemory, "0.5 GiB of memory"),
    "garbage": (Crashed, "cannot be read"),
    "oversized": (Crashed, "cannot be read"),
    "half": (Crashed, "exit code 0"),
    "half and hangs": (TimedOut, "longer than 1 seconds"),
    "other type": (Crashed, "cannot be read"),
    "no json": (Crashed, "cannot be read"),
    "deep": (Crashed, "cannot be read"),
    "no error": (Crashed, "cannot be read"),
    "closes": (Crashed, "cannot be read"),
    "child": (Crashed, "SIGSEGV"),
    "file": (TimedOut, "longer than 1 seconds"),
}


@pytest.mark.parametrize("deed", ENDS)
def test_the_end_of_a_worker_is_an_error_of_the_artifact(deed, tmp_path, broken_workers):
    path = copy(tmp_path, f"{deed}-1.h5")
    kind, words = ENDS[deed]
    started = time.monotonic()
    with pytest.raises(kind) as raised:
        api.reconcile(path, isolate=True, limits=SOON if kind is TimedOut else QUICK)
    assert words in raised.value.message
    assert raised.value.path == path
    assert time.monotonic() - started < 20


def test_a_worker_that_does_not_listen_is_not_waited_for(monkeypatch):
    deaf = broken_worker.PROGRAM.replace("main", "deaf")
    monkeypatch.setattr(isolation, "PROGRAM", deaf)
    with pytest.raises(TimedOut):  # more than a pipe holds
        api.explain(PATHS[0], "x" * MIB, isolate=True, limits=SOON)
    assert workers_left() == []


@pytest.mark.parametrize("deed", ["chatters", "steps"])
def test_what_a_worker_says_beside_its_answer_does_no_harm(deed, tmp_path, broken_workers):
    path = copy(tmp_path, f"{deed}-1.h5")
    progress = Watched()
    apart = api.show(path, isolate=True, progress=progress, limits=QUICK)
    assert apart == api.show(path)
    assert progress.is_sound


def test_only_errors_of_this_package_are_made_of_what_a_worker_raises(tmp_path, broken_workers):
    with pytest.raises(RuntimeError, match="in a worker: DEFAULT: x"):
        api.reconcile(copy(tmp_path, "odd error-1.h5"), isolate=True, limits=QUICK)


def test_a_bug_in_a_worker_is_a_bug_that_steers_no_terminal(tmp_path, broken_workers):
    path = copy(tmp_path, "bug-1.h5")
    result = call("show", path, "--isolate", INSPECT_DEBUG="1")
    assert result.code == 3
    assert "KeyError at broken_worker.py" in result.err
    assert "in deed" in result.err or "_is_a_bug" in result.err
    assert "\x1b" not in result.err


class Watched:
    """A progress that knows whether it was told things in order."""

    def __init__(self):
        self.total = self.done = 0
        self.is_open = False
        self.is_sound = True

    def start(self, nbytes):
        self.is_sound &= not self.is_open
        self.is_open = True
        self.total += nbytes

    def advance(self, nbytes):
        self.is_sound &= self.is_open and nbytes >= 0
        self.done += nbytes

    def finish(self):
        self.is_sound &= self.is_open
        self.is_open = False


# --- real files that are the end of libhdf5 -----------------------------------------------------


def test_a_file_that_libhdf5_hangs_in_is_stopped(tmp_path, broken_workers):
    path = os.path.join(tmp_path, "unguarded-1.h5")
    broken.heap_that_never_ends(path)
    (finding,) = integrity(api.audit(path, policy=Policy(), isolate=True, limits=SOON))
    assert finding.code == "integrity-timeout"


def test_a_file_that_asks_libhdf5_for_a_terabyte_gets_none(tmp_path, broken_workers):
    path = os.path.join(tmp_path, "unguarded-1.h5")
    broken.local_heap_of_a_terabyte(path)
    (shown,) = api.show(path, isolate=True, limits=QUICK).artifacts
    assert shown.readable
    assert any(problem.code == "unreadable-object" for problem in shown.problems)


# --- the rest go on -----------------------------------------------------------------------------


def integrity(report):
    return [one for one in report.findings if one.code.startswith("integrity-")]


def test_of_twenty_artifacts_three_that_break_workers_are_findings_and_the_rest_are_right(
    tmp_path, broken_workers
):
    names = [f"model-{at:02}.h5" for at in range(20)]
    names[3], names[9], names[16] = "segv-03.h5", "hangs-09.h5", "grows-16.h5"
    paths = [copy(tmp_path, name, "pruned.h5") for name in names]
    apart = api.audit(paths, policy=Policy(), isolate=True, limits=QUICK)
    here = api.audit(paths, policy=Policy())
    assert [one.path for one in apart.artifacts] == paths
    assert [(one.code, one.path, one.severity) for one in integrity(apart)] == [
        ("integrity-crash", paths[3], "error"),
        ("integrity-timeout", paths[9], "error"),
        ("integrity-memory", paths[16], "error"),
    ]
    for at, (one, other) in enumerate(zip(apart.artifacts, here.artifacts, strict=True)):
        assert one.readable == (at not in (3, 9, 16))
        if one.readable:
            assert one == other
    sound = {path for at, path in enumerate(paths) if at not in (3, 9, 16)}
    assert [one for one in apart.findings if one.path in sound] == [
        one for one in here.findings if one.path in sound
    ]
    assert apart.audit.failed


@pytest.mark.parametrize("jobs", [1, 3])
def test_however_many_are_at_work_the_report_is_the_same(jobs, tmp_path, broken_workers):
    names = ["a-0.h5", "segv-1.h5", "b-2.h5", "grows-3.h5", "c-4.h5", "exits-5.h5", "d-6.h5"]
    paths = [copy(tmp_path, name, "pruned.h5") for name in names]
    codes = {1: "integrity-crash", 3: "integrity-memory", 5: "integrity-crash"}
    report = api.audit(paths, policy=Policy(), isolate=True, jobs=jobs, limits=QUICK)
    assert [one.path for one in report.artifacts] == paths
    assert {paths.index(one.path): one.code for one in integrity(report)} == codes
    sound = [path for at, path in enumerate(paths) if at not in codes]
    here = api.audit(sound, policy=Policy())
    assert tuple(one for one in report.artifacts if one.readable) == here.artifacts
    assert [one for one in report.findings if one.path in sound] == list(here.findings)


def test_results_come_in_the_order_of_what_was_asked(tmp_path, broken_workers):
    # The first takes until its time is up, and the others are done long before.
    names = ["hangs-0.h5", *(f"m-{at}.h5" for at in range(1, 9))]
    paths = [copy(tmp_path, name) for name in names]
    report = api.audit(paths, policy=Policy(), isolate=True, jobs=2, limits=SOON)
    assert [one.path for one in report.artifacts] == paths
    assert [one.readable for one in report.artifacts] == [False, *[True] * 8]


def test_only_so_many_results_wait_for_one_that_takes_longer(tmp_path, broken_workers, monkeypatch):
    monkeypatch.setattr(isolation, "_AHEAD", 3)
    paths = [copy(tmp_path, name) for name in ("hangs-0.h5", *(f"m-{at}.h5" for at in range(6)))]
    begun = []

    def tasks():
        for path in paths:
            begun.append(path)
            yield Task("show", Report, (path,), {"paths": path})

    with isolation.Workers(SOON) as workers:
        found = workers.each(tasks(), jobs=2)
        assert isinstance(next(found), TimedOut)
        assert begun == paths[:3]
        assert [one.artifacts[0].path for one in found] == paths[1:]


def test_workers_that_are_not_waited_for_are_gone(tmp_path, broken_workers):
    paths = [copy(tmp_path, name) for name in ("m-0.h5", "hangs-1.h5", "hangs-2.h5")]
    tasks = [Task("show", Report, (path,), {"paths": path}) for path in paths]
    with isolation.Workers(DEFAULT) as workers:
        next(workers.each(tasks, jobs=3))


def test_no_more_workers_are_forked_than_there_are_artifacts(tmp_path, monkeypatch):
    started = []
    start = isolation.Worker
    monkeypatch.setattr(isolation, "Worker", lambda *how: started.append(1) or start(*how))
    paths = [copy(tmp_path, name) for name in ("a.h5", "b.h5")]
    api.audit(paths, policy=Policy(), isolate=True, jobs=64)
    assert len(started) <= 2


def test_what_workers_are_forked_from_runs_one_thread(tmp_path):
    path = copy(tmp_path, "a.h5")
    with isolation.Workers(DEFAULT) as workers:
        workers.call("show", Report, (path,), {"paths": path})
        number = workers._template._process.pid
        assert len(os.listdir(f"/proc/{number}/task")) == 1


def test_what_workers_are_forked_from_is_started_again_once(tmp_path, broken_workers):
    paths = [copy(tmp_path, name) for name in ("segv-1.h5", "a-2.h5", "segv-3.h5", "b-4.h5")]
    found = []
    with isolation.Workers(QUICK) as workers:
        for path in paths:
            try:
                found.append(workers.call("show", Report, (path,), {"paths": path}))
            except (errors.ArtifactError, NotIsolated) as error:
                found.append(error)
            if isinstance(found[-1], Crashed):  # and what it was forked from goes with it
                workers._template._process.kill()
    assert [type(one) for one in found] == [Crashed, Report, Crashed, NotIsolated]


def test_several_at_once_are_for_processes_of_their_own():
    with pytest.raises(UsageError, match="nothing is isolated"):
        api.audit(PATHS[0], jobs=2)
    with pytest.raises(UsageError, match="are none"):
        api.audit(PATHS[0], isolate=True, jobs=0)


def test_one_worker_serves_all_artifacts_until_one_ends_it(tmp_path, broken_workers, monkeypatch):
    started = []
    start = isolation.Worker
    monkeypatch.setattr(isolation, "Worker", lambda *how: started.append(1) or start(*how))
    names = ["a-1.h5", "b-2.h5", "segv-3.h5", "c-4.h5", "d-5.h5"]
    report = api.show([copy(tmp_path, name) for name in names], isolate=True, limits=QUICK)
    assert [one.readable for one in report.artifacts] == [True, True, False, True, True]
    assert len(started) == 2


def test_shown_apart_a_crash_is_one_line_and_the_rest_is_shown(tmp_path, broken_workers):
    paths = [copy(tmp_path, name) for name in ("a-1.h5", "segv-2.h5", "b-3.h5")]
    result = call("show", *paths, "--isolate", "--format", "json")
    assert result.code == 2
    assert result.err == f"inspect: {paths[1]}: what read it crashed on this file (SIGSEGV)\n"
    shown = json.loads(result.out)["artifacts"]
    assert [one["readable"] for one in shown] == [True, False, True]
    assert shown[1]["problems"][0]["code"] == "crashed"


def test_the_library_is_named_where_it_crashed(tmp_path, broken_workers):
    path = copy(tmp_path, "in hdf5-1.h5")
    with h5py.File(path, "a") as file:  # one that is not read without that library
        file.create_dataset("chunked", (4,), "f4", chunks=(2,))
    (shown,) = api.show(path, isolate=True, limits=QUICK).artifacts
    said = "the HDF5 library crashed on this file (SIGSEGV)"
    assert [one.message for one in shown.problems] == [said]


def test_a_worker_that_used_up_its_processor_time_was_too_slow():
    assert isinstance(isolation._blamed(-signal.SIGXCPU, "", "a.h5", 2, DEFAULT), TimedOut)


def test_an_audit_is_isolated_unless_told_otherwise(tmp_path, broken_workers):
    path = copy(tmp_path, "segv-1.h5")
    result = call("audit", path, "--no-policy")
    assert result.code == 1
    assert "integrity-crash" in result.out
    assert call("audit", path, "--no-policy", "--no-isolate").code == 0


def test_a_crash_fails_an_audit_whatever_is_selected(tmp_path, broken_workers):
    path = copy(tmp_path, "segv-1.h5")
    result = call("audit", path, "--no-policy", "--select", "number-nan")
    assert (result.code, "integrity-crash" in result.out) == (1, True)


def test_an_original_that_ends_the_worker_is_a_finding_too(tmp_path, broken_workers):
    path, original = copy(tmp_path, "a-1.h5"), copy(tmp_path, "segv-2.h5")
    report = api.audit(path, against=original, policy=Policy(), isolate=True, limits=QUICK)
    assert [one.code for one in integrity(report)] == ["integrity-crash"]


# --- nothing is otherwise -----------------------------------------------------------------------


def test_all_samples_are_audited_apart_as_they_are_here():
    here = api.audit(PATHS, policy=Policy())
    assert api.audit(PATHS, policy=Policy(), isolate=True) == here


def test_other_calls_say_the_same_apart():
    some = [samples.path(name) for name in ("pruned.h5", "k3.keras", "ckpt_adam", "nix.h5")]
    how = {"digest": True, "configs": True, "measure": False}
    assert api.show(some, isolate=True, **how) == api.show(some, **how)
    a, b = samples.path("pruned.h5"), samples.path("stripped.h5")
    assert api.diff(a, b, isolate=True, ignore=["config"]) == api.diff(a, b, ignore=["config"])
    assert api.reconcile(a, b, isolate=True) == api.reconcile(a, b)
    name = api.show(a).artifacts[0].tensors[0].name
    assert api.explain(a, name, isolate=True) == api.explain(a, name)
    against = {"against": a, "policy": Policy(), "recursive": False}
    assert api.audit(b, isolate=True, **against) == api.audit(b, **against)


@pytest.mark.parametrize(
    ("call_it", "kind"),
    [
        (lambda **how: api.explain(samples.path("pruned.h5"), "nix", **how), UsageError),
        (lambda **how: api.explain("nix.h5", "nix", **how), NotFound),
        (lambda **how: api.diff("nix.h5", samples.path("pruned.h5"), **how), NotFound),
        (lambda **how: api.diff(*PATHS[:2], ignore=["nix"], **how), UsageError),
        (
            lambda **how: api.reconcile(
                samples.path("pruned.h5"), limits=replace(DEFAULT, config_bytes=10), **how
            ),
            LimitExceeded,
        ),
        (
            lambda **how: api.audit(samples.path("pruned.h5"), against="nix.h5", **how),
            NotFound,
        ),
    ],
)
def test_errors_are_the_same_apart(call_it, kind):
    found = []
    for isolate in (False, True):
        try:
            found.append(call_it(isolate=isolate))
        except errors.InspectorError as error:
            found.append((type(error), str(error), vars(error)))
    assert found[0] == found[1]
    if isinstance(found[0], tuple):
        assert found[0][0] is kind


def test_a_name_that_is_no_unicode_is_read_apart(tmp_path):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"mod\xff\xc3\xa9l.h5"))
    shutil.copyfile(samples.path("stripped.h5"), path)
    assert api.show(path, isolate=True) == api.show(path)


def test_a_file_larger_than_a_worker_may_take_is_mapped(tmp_path):
    path = tmp_path / "large.h5"
    shutil.copyfile(samples.path("stripped.h5"), path)
    os.truncate(path, 6 << 30)  # takes no room on the disk
    shown = api.show(path, isolate=True, limits=replace(DEFAULT, worker_bytes=256 * MIB))
    assert shown.artifacts[0].readable
    assert shown.artifacts[0].nbytes == 6 << 30


def test_progress_of_a_worker_is_passed_on():
    here, apart = Watched(), Watched()
    api.show(samples.path("pruned.h5"), progress=here)
    api.show(samples.path("pruned.h5"), isolate=True, progress=apart)
    assert apart.total == here.total
    assert apart.is_sound
    assert not apart.is_open


def test_one_progress_is_over_the_bytes_of_all_that_is_read_side_by_side(tmp_path, broken_workers):
    names = ("a-0.h5", "segv-1.h5", "steps-2.h5", "b-3.h5")
    paths = [copy(tmp_path, name, "pruned.h5") for name in names]
    watched = Watched()
    api.audit(paths, policy=Policy(), isolate=True, jobs=2, limits=QUICK, progress=watched)
    assert watched.is_sound
    assert not watched.is_open
    assert watched.done == watched.total == sum(map(os.path.getsize, paths))


def test_nothing_is_imported_from_the_folder_that_a_worker_runs_in(tmp_path, monkeypatch):
    (tmp_path / "h5py.py").write_text("raise SystemExit(9)")
    (tmp_path / "inspector").mkdir()
    (tmp_path / "inspector" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    assert api.show(samples.path("pruned.h5"), isolate=True).artifacts[0].readable


def test_where_no_process_can_be_started_it_is_said(monkeypatch):
    monkeypatch.setattr(isolation, "PROGRAM", "import sys; sys.exit('no module of that name')")
    with pytest.raises(UsageError, match="no module of that name; --no-isolate"):
        api.show(samples.path("pruned.h5"), isolate=True)


def test_where_the_system_cannot_isolate_an_audit_says_so_and_goes_on(monkeypatch):
    monkeypatch.setattr(isolation, "available", lambda: False)
    path = samples.path("stripped.h5")
    result = call("audit", path, "--no-policy")
    assert result.err == (
        "inspect: nothing is isolated: this system keeps no process within limits\n"
    )
    assert result.out == call("audit", path, "--no-policy", "--no-isolate").out


def test_live_tensorflow_is_not_asked_in_another_process():
    with pytest.raises(UsageError, match="process of its own"):
        inspector.reconcile(PATHS[0], live=api.LiveOptions(), isolate=True)


def test_the_bytes_of_an_artifact_are_those_of_all_its_files(tmp_path):
    for name, size in (("m.index", 3), ("m.data-00000-of-00001", 100), ("other.h5", 5000)):
        (tmp_path / name).write_bytes(bytes(size))
    for name in ("m", "m.index"):
        assert artifact_bytes(os.path.join(tmp_path, name)) == 103
    assert artifact_bytes(os.path.join(tmp_path, "other.h5")) == 5000
    assert artifact_bytes(str(tmp_path)) == 0  # a folder of models, which nobody opens as one
    os.remove(tmp_path / "other.h5")
    assert artifact_bytes(str(tmp_path)) == 103
    assert artifact_bytes(os.path.join(tmp_path, "nix", "nix")) == 0


# --- what is sent -------------------------------------------------------------------------------


def test_errors_come_out_as_they_went_in():
    for error in (
        errors.Corrupt("broken", "a.h5", 12),
        LimitExceeded("tensors", 10, 5, "a.h5", 3),
        errors.Changed("it is shorter", "a.h5"),
        errors.UsageError("no such tensor"),
        OSError(28, "No space left on device", "x"),
    ):
        again = rebuilt(decode(told(error), Raised), "other")
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_what_json_lacks_is_sent_all_the_same():
    report = api.show(samples.path("stripped.h5")).artifacts[0]
    odd = msgspec.structs.replace(report, path="\udcff", nbytes=1 << 80)
    assert decode(encode(odd), ArtifactReport) == odd


# --- nothing is left behind ---------------------------------------------------------------------

MAIN = (
    "import sys; from inspector import isolation; from inspector.cli import run; "
    "from tests.builders.broken_worker import PROGRAM; isolation.PROGRAM = PROGRAM; "
    "sys.exit(run(sys.argv[1:]))"
)


@contextlib.contextmanager
def audit_that_hangs(folder, several=1):
    """The command line as a process, once workers of it hang in C."""
    paths = [copy(folder, f"marks-{at}.h5") for at in range(several)]
    mark = os.path.join(folder, "mark")
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "audit", "--no-policy", "--jobs", str(several), *paths],
        cwd=samples.ROOT,
        env={**os.environ, "BROKEN_WORKER_MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: os.path.exists(mark) and os.path.getsize(mark) == several)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(it):
    until = time.monotonic() + 30
    while not it():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("several", [1, 3])
def test_control_c_ends_all_with_130(several, tmp_path):
    with audit_that_hangs(tmp_path, several) as process:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err.strip()) == (130, "", "inspect: interrupted")
        assert workers_left() == []


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_workers_that_hang_die_with_their_parent(signal_, tmp_path):
    with audit_that_hangs(tmp_path, 3) as process:
        process.send_signal(signal_)
        process.wait()
        wait_for(lambda: not workers_left())
