"""Fleets in processes of this machine: results as they come, what is done before, Ctrl-C."""

import html
import json
import os
import re
import shutil
import signal
from collections import Counter

import pytest
from msgspec.structs import replace

from inspector import api
from inspector.auditing.policy import Policy
from inspector.auditing.run import Audited
from inspector.auditing.session import Asked, Looked, Session, Wanted
from inspector.auditing.tally import Tally
from inspector.cli import progress
from inspector.cli.environment import Environment
from inspector.errors import UsageError
from inspector.filesystem import admit
from inspector.fleet import run
from inspector.fleet.listed import Listed, listed
from inspector.fleet.progress import Unwatched
from inspector.fleet.run import Interrupted, audit
from inspector.fleet.stopping import Stop
from inspector.fleet.work import Item, largest_first, lasts
from inspector.render import RenderOptions, pieces
from inspector.report import ProblemReport
from tests.builders import samples
from tests.builders.interrupts import interrupted
from tests.builders.terminal import Stream, call

pytest.importorskip("pyarrow")

SOUND = "lite_batched.tflite"  # small, and no rule finds anything that fails in it
BAD = "pruned.h5"


def copies(folder, names, of=SOUND):
    paths = [os.path.join(folder, name) for name in names]
    for path in paths:
        shutil.copyfile(samples.path(of), path)
    return paths


def rows(results, table="artifacts"):
    import pyarrow.parquet as pq

    return pq.read_table(os.path.join(results, table)).to_pylist()


class Told(Unwatched):
    """What a fleet said of itself."""

    def __init__(self, after=0, deed=None):
        self.count, self.failing, self.skips, self.after, self.deed = 0, 0, 0, after, deed

    def skipped(self, failed):
        self.skips += 1
        self.failing += failed

    def done(self, nbytes, failed):
        self.count += 1
        self.failing += failed
        if self.count == self.after:
            self.deed()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


# --- the same as without results ----------------------------------------------------------------


def test_a_fleet_without_results_reports_what_an_audit_does():
    names = [samples.path(one) for one in ("pruned.h5", "ckpt_adam", "lite_float.tflite", "k3_dir")]
    found, here = audit(names, jobs=2, policy=Policy()), api.audit(names, policy=Policy())
    assert (found.artifacts, found.findings) == (here.artifacts, here.findings)
    assert found.audit == here.audit
    fleet = found.fleet
    assert (fleet.artifacts, fleet.audited, fleet.skipped, fleet.results) == (4, 4, 0, None)


def test_with_results_the_report_has_numbers_of_all_and_the_first_that_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FINDINGS", 4)
    paths = copies(tmp_path, ["a.h5", "b.h5", "c.h5"], BAD)
    paths += copies(tmp_path, ["d.tflite"])
    results = str(tmp_path / "results")
    found, here = audit(paths, results=results, policy=Policy()), api.audit(paths, policy=Policy())
    assert found.artifacts == ()
    assert len(found.findings) == 4
    assert set(found.findings) <= {one for one in here.findings if one.fails}
    for name in ("artifacts", "errors", "warnings", "infos", "rules", "failed", "fail_on", "asked"):
        assert getattr(found.audit, name) == getattr(here.audit, name), name
    assert any(f"all findings are in {results}" in note for note in found.audit.notes)
    assert (found.fleet.failed, found.fleet.audited) == (3, 4)
    assert sorted(one["path"] for one in rows(results)) == paths
    written = Counter((one["artifact"], one["code"]) for one in rows(results, "findings"))
    assert written == Counter((one.artifact, one.code) for one in here.findings)


def test_what_is_done_is_skipped_and_still_counts(tmp_path):
    paths = [*copies(tmp_path, ["a.h5"], BAD), *copies(tmp_path, ["b.tflite", "c.tflite"])]
    results = str(tmp_path / "results")
    first = audit(paths, results=results, policy=Policy())
    told = Told()
    again = audit(paths, results=results, policy=Policy(), watch=told)
    assert (again.fleet.audited, again.fleet.skipped, again.fleet.failed) == (0, 3, 1)
    assert (told.count, told.skips, told.failing) == (0, 3, 1)
    assert again.audit.failed
    assert again.findings == first.findings != ()  # of those that fail, as they were found
    assert (again.audit.artifacts, again.audit.errors) == (3, first.audit.errors)
    assert len(rows(results)) == 3


def test_what_is_another_now_is_looked_at_again(tmp_path):
    paths = copies(tmp_path, ["a.tflite", "b.tflite"])
    results = str(tmp_path / "results")
    audit(paths, results=results, policy=Policy())
    state = os.stat(paths[0])
    shutil.copyfile(samples.path(SOUND), paths[0])  # as large, and its time is set back
    os.utime(paths[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    changes = {
        "a file": {},
        "the policy": {"policy": Policy(select=("size",))},
        "what is asked": {"select": ["number"]},
        "measuring": {"measure": False},
    }
    audited = {}
    for what, how in changes.items():
        found = audit(paths, results=results, **{"policy": Policy(), **how})
        audited[what] = found.fleet.audited
    assert audited == {"a file": 1, "the policy": 2, "what is asked": 2, "measuring": 2}


def test_an_original_that_nothing_stands_for_is_another_each_time(tmp_path):
    path = samples.path(SOUND)
    assert run._told_apart(path) == run._told_apart(path)
    there_is_none = str(tmp_path / "none.h5")
    assert run._told_apart(there_is_none) != run._told_apart(there_is_none)


def test_files_that_are_no_models_are_remembered_too(tmp_path):
    copies(tmp_path, ["a.tflite"])
    (tmp_path / "notes.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    results = str(tmp_path / "results")
    first = audit(str(tmp_path), results=results, policy=Policy())
    again = audit(str(tmp_path), results=results, policy=Policy())
    for found in (first, again):
        assert (found.fleet.artifacts, found.fleet.no_models, found.audit.artifacts) == (2, 1, 1)
        assert any("1 file is no model: " in note for note in found.audit.notes)
    assert again.fleet.skipped == 2
    assert first.fleet.nbytes == os.path.getsize(tmp_path / "a.tflite")


def test_what_cannot_be_together_is_said(tmp_path):
    path = samples.path(BAD)
    results = str(tmp_path / "results")
    with pytest.raises(UsageError, match="--baseline"):
        audit(path, results=results, baseline="x.json")
    with pytest.raises(UsageError, match="none"):
        audit(path, results=results, jobs=0)
    for options in (["--init"], ["--no-isolate"]):
        said = call("audit", path, "--results", results, *options)
        assert (said.code, said.out) == (2, "")
        assert "exclude each other" in said.err
    with pytest.raises(UsageError, match="not for 2"):
        audit([path, samples.path(SOUND)], against=path, results=results)


def test_what_may_be_otherwise_next_time_is_looked_at_again(tmp_path):
    pytest.importorskip("aiohttp")
    (path,) = copies(tmp_path, ["a.h5"], "stripped.h5")
    report = api.show(path).artifacts[0]
    url = admit("http://127.0.0.1:9/a.h5")
    problem = ProblemReport("unreadable-values", "warning", "x", path, None)
    for code, here, far in (
        ("unreadable-values", True, False),  # a damaged disk is damaged tomorrow, too
        ("artifact-error", False, False),
        ("timed-out", True, False),
        ("denied", True, False),  # rights are given
        ("no-ranges", True, False),
        ("crashed", True, True),
    ):
        looked = Looked(Audited(path), replace(report, problems=(replace(problem, code=code),)))
        assert (lasts(path, looked), lasts(url, looked)) == (here, far), code


# --- Ctrl-C -------------------------------------------------------------------------------------


def test_control_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path):
    paths = [*copies(tmp_path, [f"m-{at}.h5" for at in range(9)], "stripped.h5")]
    paths += copies(tmp_path, ["marks-9.h5"], "stripped.h5")  # hangs in C
    results, mark = str(tmp_path / "results"), tmp_path / "mark"
    code = (
        "import sys; from inspector import isolation; from inspector.cli import run; "
        "from tests.builders.broken_worker import PROGRAM; isolation.PROGRAM = PROGRAM; "
        "sys.exit(run(sys.argv[1:]))"
    )
    command = ["audit", "--no-policy", "--jobs", "2", "--results", results, *paths]
    process, out, err, seconds = interrupted(["-c", code, *command], mark, 1, {})
    assert seconds < 5
    assert (process.returncode, out) == (130, "")
    assert err == (
        f"inspect: interrupted: 9 of 10 artifacts are done, and kept in {results}: the same command"
        " goes on\n"
    )
    assert len(rows(results)) == 9
    said = json.loads(call(*command, "--format", "json").out)
    assert (said["fleet"]["skipped"], said["fleet"]["audited"]) == (9, 1)


def test_without_results_an_interrupt_says_what_would_keep_them(tmp_path):
    paths = copies(tmp_path, [f"m-{at}.tflite" for at in range(5)])
    with pytest.raises(Interrupted, match="2 of 5 artifacts are done; --results DIR would keep"):
        audit(paths, jobs=1, policy=Policy(), watch=Told(2, interrupt))


def test_control_c_waits_until_nothing_can_be_cut_in_two():
    stop = Stop()
    with stop.taken():
        interrupt()
        assert stop.asked
        with pytest.raises(KeyboardInterrupt), stop.heeded():
            raise AssertionError("it goes on")
        with pytest.raises(KeyboardInterrupt):
            interrupt()  # whoever asks twice means it


# --- what a fleet is made of --------------------------------------------------------------------


def item(nbytes, number):
    wanted = Wanted(f"{number}", Policy(), None, may_be_no_model=False, number=number)
    return Item(wanted, Listed(nbytes, "v"))


def test_the_largest_of_those_ahead_come_first_and_none_is_lost():
    sizes = [5, 1, 9, 7, 3, 8]
    coming = largest_first((item(size, at) for at, size in enumerate(sizes)), ahead=3)
    assert [one.listed.nbytes for one in coming] == [9, 7, 8, 5, 3, 1]


def test_the_files_of_an_artifact_are_all_that_belong_to_it(tmp_path):
    for name, size in (("m.index", 3), ("m.data-00000-of-00001", 100), ("other.h5", 5000)):
        (tmp_path / name).write_bytes(bytes(size))
    before = listed(str(tmp_path / "m"))
    assert before.nbytes == 103
    assert listed(str(tmp_path / "other.h5")).nbytes == 5000
    assert listed(str(tmp_path)).nbytes == 5103
    assert listed(str(tmp_path / "nix" / "nix.h5")) == Listed(0, None)
    (tmp_path / "m_more").mkdir()
    assert listed(str(tmp_path / "m")).nbytes == 103
    (tmp_path / "m.index").write_bytes(bytes(3))
    assert listed(str(tmp_path / "m")).version != before.version


def test_files_that_come_later_are_seen_by_a_process_that_looked_before(tmp_path):
    (tmp_path / "m.index").write_bytes(bytes(3))
    os.utime(tmp_path, (1, 1))  # as if nothing had come for long
    assert listed(str(tmp_path / "m")).nbytes == 3
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(100))
    os.utime(tmp_path, (2, 2))
    assert listed(str(tmp_path / "m")).nbytes == 103


def test_a_policy_is_one_object_for_all_that_are_held_to_the_same(tmp_path):
    (tmp_path / "inspector.toml").write_text(
        "fail-on = 'warning'\n[[overrides]]\npaths = ['a*']\nselect = ['size']\n"
    )
    session = Session(Asked(ignore=("number",)))
    a, b, other = (str(tmp_path / name) for name in ("a1.h5", "a2.h5", "b.h5"))
    assert session.policy_of(a) is session.policy_of(b)
    assert session.policy_of(a).select == ("size",)
    assert session.policy_of(other).select == ("all",)
    assert session.policy_of(other).ignore == ("number",)


def test_answers_may_come_in_any_order_and_reports_are_in_that_of_the_paths():
    session = Session(Asked(policy=Policy()))
    paths = session.discover([samples.path(name) for name in ("k3.h5", "k3.keras", BAD)], False)

    def backwards(wanted):
        from inspector.auditing.look import look

        for one in reversed(list(wanted)):
            yield one, look(one.path, policy=one.policy, today=one.today)

    assert tuple(one.path for one in session.ask(paths, backwards)) == paths
    assert session.tally.artifacts == 3


def test_a_tally_adds_up():
    tally = Tally(1, 1, 2, 3, 4)
    tally.add(Tally(5, 0, 1, 1, 1))
    assert tally == Tally(6, 1, 3, 4, 5)


# --- progress -----------------------------------------------------------------------------------


def watched(watch):
    watch.start(10)
    watch.skipped(True)
    for _ in range(4):
        watch.done(1_000_000, False)
    watch.say("a \x1b[31mline")
    watch.finish()


def test_a_terminal_has_a_bar_over_artifacts_that_is_taken_away(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    env = Environment(Stream(), Stream(True), {})
    watched(progress.fleet_progress(env, quiet=False))
    written = env.stderr.getvalue()
    assert "auditing" in written
    assert "0/10" in written
    assert "inspect: a \\x1b[31mline" in written
    assert written.endswith("\r")


def test_many_have_a_bar_at_once_and_what_is_said_before_it_is_a_line():
    env = Environment(Stream(), Stream(True), {})
    watch = progress.fleet_progress(env, quiet=False)
    watch.say("no worker is there yet")
    assert env.stderr.getvalue() == "inspect: no worker is there yet\n"
    watch.start(100)
    assert "auditing 0/100" in env.stderr.getvalue()
    watch.finish()


def test_a_log_has_a_line_now_and_then(monkeypatch):
    env = Environment(Stream(), Stream(False), {})
    clock = iter([0.0, 0.0, 10.0, 29.0, 40.0, 41.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    watched(progress.fleet_progress(env, quiet=False))
    # After 40 s, 3 of 10 are done and one was before: 0.075 a second leave 6 for 80 s.
    assert env.stderr.getvalue().splitlines() == [
        "inspect: 4 of 10 artifacts, 0.1 a second, 01:20 left, 3.00MB, 1 failing",
        "inspect: a \\x1b[31mline",
    ]


def test_quiet_says_nothing():
    env = Environment(Stream(), Stream(True), {})
    watched(progress.fleet_progress(env, quiet=True))
    assert env.stderr.getvalue() == ""


# --- the report ---------------------------------------------------------------------------------


def test_every_format_for_people_says_how_the_fleet_went(tmp_path):
    paths = [*copies(tmp_path, ["a.h5"], BAD), *copies(tmp_path, ["b.tflite"])]
    results = str(tmp_path / "results")
    audit(paths[:1], results=results, policy=Policy())
    report = audit(paths, results=results, policy=Policy())
    report = replace(report, fleet=replace(report.fleet, seconds=0.5, per_second=2.0, workers=4))
    said = (
        "1 artifact of 1.0 kB audited in 0.5 seconds (2.0 a second) by 4 workers; 1 done before and"
        f" skipped; all results in {results}"
    )
    verdict = "in 2 artifacts, of which 1 fail"
    for name in ("text", "markdown", "html"):
        written = "".join(pieces(name, report, RenderOptions(width=200)))
        flat = html.unescape(re.sub(r"<[^>]+>|\\", "", " ".join(written.split())))
        assert said in flat.replace("`", ""), name
        assert verdict in flat, name
