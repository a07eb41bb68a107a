"""Fleets on a real Dask cluster of this machine: lost workers, poisoned files, Ctrl-C."""

import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest

from inspector import api, isolation
from inspector._version import __version__
from inspector.auditing.policy import Policy
from inspector.auditing.session import Wanted
from inspector.errors import UsageError
from inspector.exchange import Raised
from inspector.fleet import cluster as fleet_cluster
from inspector.fleet import connecting, splitting, tasks
from inspector.fleet.flight import Sent
from inspector.fleet.listed import Listed
from inspector.fleet.progress import Unwatched
from inspector.fleet.run import Interrupted, audit
from inspector.fleet.secret import Secret
from inspector.fleet.work import ClusterLost, How, Item
from inspector.limits import DEFAULT, GIB, MIB
from inspector.parts import MeasuredPart, Portion, Survey
from inspector.typed_json import decode, encode
from tests.builders import broken_worker, samples
from tests.builders.cluster import cluster
from tests.builders.interrupts import interrupted
from tests.builders.terminal import call

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

SOUND = "lite_batched.tflite"  # small, and no rule finds anything that fails in it
BROKEN = ("--preload", "tests.builders.cluster_broken")
QUICK = replace(DEFAULT, seconds=2, gib_seconds=0, worker_bytes=512 * MIB)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler and two workers, whose nannies start them again, and that read with
    `broken_worker`.
    """
    with cluster(str(tmp_path_factory.mktemp("dask")), 2, *BROKEN) as found:
        yield found


def numbers(address):
    """Of the processes of the workers that are there."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return set(client.run(os.getpid).values())


def copies(folder, names, of=SOUND):
    paths = [os.path.join(folder, name) for name in names]
    for path in paths:
        shutil.copyfile(samples.path(of), path)
    return paths


class Deed(Unwatched):
    """Does something once so many are done, and remembers what it was told."""

    def __init__(self, after, deed):
        self.after, self.deed, self.count, self.said = after, deed, 0, []

    def done(self, nbytes, failed):
        self.count += 1
        if self.count == self.after:
            self.deed()

    def say(self, text):
        self.said.append(text)


# --- the same as here ---------------------------------------------------------------------------


def test_a_cluster_finds_what_this_machine_finds(dask, monkeypatch):
    names = ("pruned.h5", "k3.keras", "ckpt_adam", "lite_float.tflite", "frozen_tiny.pb", "k3_dir")
    monkeypatch.chdir(samples.SAMPLES)  # paths are shown as they were given
    found = audit(names, cluster=dask.address, policy=Policy())
    here = api.audit(names, policy=Policy())
    assert (found.artifacts, found.findings, found.audit) == (
        here.artifacts,
        here.findings,
        here.audit,
    )
    assert (found.fleet.artifacts, found.fleet.audited, found.fleet.workers) == (6, 6, 2)


def test_a_client_that_is_given_is_used_and_left_open(dask):
    """Of a cluster that an address alone does not lead to, such as one behind a gateway."""
    from distributed import Client

    path = samples.path("pruned.h5")
    with Client(dask.address, set_as_default=False) as client:
        for _ in range(2):
            found = audit(path, cluster=client, policy=Policy())
            assert found.findings == api.audit(path, policy=Policy()).findings
        assert client.submit(sum, (1, 2)).result(timeout=10) == 3


def test_an_original_is_held_against(dask):
    path, original = samples.path("stripped.h5"), samples.path("pruned.h5")
    found = audit(path, cluster=dask.address, against=original, policy=Policy())
    assert found.findings == api.audit(path, against=original, policy=Policy()).findings


# --- large ones ---------------------------------------------------------------------------------


def test_a_large_artifact_is_measured_in_parts_and_found_the_same(dask, tmp_path, monkeypatch):
    monkeypatch.setattr(splitting, "LARGE", 1000)
    monkeypatch.setattr(splitting, "PART_BYTES", 2000)
    parts = []
    following = splitting.Split.following

    def watched(self, sent, found, seconds):
        parts.append(sent.call)
        return following(self, sent, found, seconds)

    monkeypatch.setattr(splitting.Split, "following", watched)
    names = ["pruned.h5", "k3.keras", "ckpt_adam", "lite_int8.tflite", "saved_pruned"]
    paths = [samples.path(name) for name in names]
    paths += copies(tmp_path, ["segv-1.h5"], "pruned.h5")
    paths += copies(tmp_path, ["cut.h5"], "pruned.h5")
    os.truncate(paths[-1], 20_000)
    found = audit(paths, cluster=dask.address, policy=Policy())
    here = api.audit([*paths[:5], paths[6]], policy=Policy())
    assert [one for one in found.artifacts if one.path != paths[5]] == list(here.artifacts)
    assert [one for one in found.findings if one.artifact != paths[5]] == list(here.findings)
    assert [one.code for one in found.findings if one.artifact == paths[5]] == ["integrity-crash"]
    counted = Counter(parts)
    assert counted["survey"] == 7
    assert counted["measure_part"] > 10


def test_where_a_part_cannot_be_measured_the_whole_is_looked_at():
    wanted = Wanted("a.h5", Policy(), None, may_be_no_model=False, number=7)
    item = Item(wanted, Listed(2 * GIB, "v"))
    split = splitting.Split(measure=True)
    survey = split.first(item)
    assert (survey.call, splitting.Split(measure=False).first(item).call) == ("survey", "look")
    portions = tuple(Portion((name,), GIB) for name in "ab")
    a, b = split.following(survey, Survey("s", portions), 1.0)
    assert split.following(b, None, 2.0) == []
    part = MeasuredPart("s", ("a",), {}, {}, {})
    (look,) = split.following(a, part, 4.0)
    assert (look.call, look.measured, look.nbytes, look.spent) == ("look", (), 2 * GIB, 7.0)


# --- lost workers -------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_nothing_but_time(dask, tmp_path):
    names = [f"m-{at:02}.tflite" for at in range(60)]
    paths = copies(tmp_path, names)
    victim = min(numbers(dask.address))
    watch = Deed(10, lambda: os.kill(victim, signal.SIGKILL))
    found = audit(paths, cluster=dask.address, policy=Policy(), watch=watch)
    assert [one.path for one in found.artifacts] == paths
    assert all(one.readable for one in found.artifacts)
    assert found.fleet.retried
    assert any("begun again" in said for said in watch.said)


def test_a_worker_that_nobody_starts_again_and_then_the_scheduler(tmp_path):
    paths = copies(tmp_path, [f"m-{at:02}.tflite" for at in range(60)])
    (tmp_path / "dask").mkdir()
    with cluster(str(tmp_path / "dask"), 2, nanny=False) as found:
        watch = Deed(10, found.workers[0].kill)
        report = audit(paths, cluster=found.address, policy=Policy(), watch=watch)
        assert [one.path for one in report.artifacts] == paths
        assert report.fleet.retried

        results = str(tmp_path / "results")
        watch = Deed(20, found.scheduler.kill)
        with pytest.raises(ClusterLost) as raised:
            audit(paths, cluster=found.address, results=results, policy=Policy(), watch=watch)
        assert str(raised.value).startswith(f"{found.address}: the scheduler is gone: ")
        assert str(raised.value).endswith("the same command goes on")
    again = audit(paths, results=results, jobs=1, policy=Policy())
    assert again.fleet.skipped == watch.count
    assert again.fleet.skipped + again.fleet.audited == again.audit.artifacts == 60


# --- poisoned files -----------------------------------------------------------------------------


def test_what_ends_its_process_is_one_finding_and_the_worker_lives_on(dask, tmp_path):
    names = [f"m-{at}.h5" for at in range(9)]
    names[1], names[4], names[7] = "segv-1.h5", "hangs-4.h5", "grows-7.h5"
    paths = copies(tmp_path, names, "stripped.h5")
    before = numbers(dask.address)
    found = audit(paths, cluster=dask.address, policy=Policy(), limits=QUICK)
    codes = [(one.code, one.path) for one in found.findings if one.code.startswith("integrity-")]
    assert sorted(codes) == [
        ("integrity-crash", paths[1]),
        ("integrity-memory", paths[7]),
        ("integrity-timeout", paths[4]),
    ]
    assert [one.readable for one in found.artifacts] == [at not in (1, 4, 7) for at in range(9)]
    assert numbers(dask.address) == before


def test_what_ends_the_worker_itself_each_time_is_one_finding_too(dask, tmp_path):
    paths = copies(tmp_path, ["a-1.h5", "cluster-2.h5", "b-3.h5"], "stripped.h5")
    results = str(tmp_path / "results")
    found = audit(paths, cluster=dask.address, policy=Policy(), results=results)
    (finding,) = [one for one in found.findings if one.code.startswith("integrity-")]
    assert (finding.path, finding.message) == (
        paths[1],
        "it ended 2 workers of the cluster in turn",
    )
    assert found.audit.artifacts == 3
    # It may have been the machine: another run looks at that one again.
    again = audit(paths, jobs=1, policy=Policy(), results=results)
    assert (again.fleet.skipped, again.fleet.audited, again.fleet.unreadable) == (2, 1, 0)


# --- 2,000 of them ------------------------------------------------------------------------------

WAYS = {
    "empty": lambda data: b"",
    "text": lambda data: b"version https://git-lfs.github.com/spec/v1\n",
    "cut": lambda data: data[:100],
    "odd": lambda data: b"\xff" * 8 + data[8:],
    "segv": lambda data: data,  # ends whatever reads it
}


def test_of_two_thousand_each_is_done_once_through_two_runs_and_a_cluster(
    dask, tmp_path, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr(isolation, "PROGRAM", broken_worker.PROGRAM)
    with open(samples.path(SOUND), "rb") as file:
        sound = file.read()
    broken = {}
    for at in range(2000):
        way = list(WAYS)[at // 100 % 5] if at % 100 == 50 else None
        path = tmp_path / f"{way or 'm'}-{at:04}.tflite"
        path.write_bytes(WAYS[way](sound) if way else sound)
        if way:
            broken[str(path)] = way
    assert len(broken) == 20
    results = str(tmp_path_factory.mktemp("results"))
    how = {"results": results, "jobs": 2, "policy": Policy()}
    with pytest.raises(Interrupted, match=r" of 2,000 artifacts are done, .*same command goes on"):
        audit(str(tmp_path), watch=(told := Deed(1000, interrupt)), **how)
    assert len(rows(results)) == told.count == 1000
    found = audit(str(tmp_path), cluster=dask.address, **how)
    fleet = found.fleet
    assert (fleet.artifacts, fleet.skipped, fleet.audited, fleet.failed) == (2000, 1000, 1000, 20)
    assert found.audit.artifacts == 2000
    written = rows(results)
    assert Counter(one["path"] for one in written) == Counter(
        os.path.join(tmp_path, name) for name in os.listdir(tmp_path)
    )
    assert {one["path"]: one["failed"] for one in written if not one["readable"]} == dict.fromkeys(
        broken, True
    )
    assert not any(one["failed"] for one in written if one["readable"])
    # A third run has nothing to do, and says the same.
    third = audit(str(tmp_path), **how)
    assert (third.fleet.skipped, third.fleet.failed, third.audit.errors) == (
        2000,
        20,
        found.audit.errors,
    )


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def rows(results, table="artifacts"):
    import pyarrow.parquet as pq

    return pq.read_table(os.path.join(results, table)).to_pylist()


# --- who is there at all ------------------------------------------------------------------------


def test_workers_with_another_version_are_said_before_anything_runs(dask, monkeypatch):
    monkeypatch.setattr(fleet_cluster, "__version__", "99.0")
    some = rf"tcp://127\.0\.0\.1:\d+ has {re.escape(__version__)}"
    # On a busy machine one of the two may not answer in time, and is said to have none.
    said = rf"this is inspect 99\.0, and of the cluster's workers .*{some}.*: all must have"
    with pytest.raises(UsageError, match=said):
        audit(samples.path("pruned.h5"), cluster=dask.address, policy=Policy())


def look(**other):
    how = {"run": "r", "tool": __version__, "folder": "/", "paths": (samples.path("k3.h5"),)}
    asked = {**how, "name": "look", "arguments": {}, "limits": {}, "nbytes": 1, **other}
    return tasks.Answer._make(tasks.done(encode(tasks.Call(**asked)), Secret(((), ()))))


def test_one_that_came_later_says_so_in_its_first_task():
    answer = look(tool="0.0.1")
    raised = decode(answer.body, Raised)
    assert (answer.kind, raised.kind) == ("raised", "UsageError")
    assert f"has {__version__}" in raised.message


def test_a_worker_that_answers_nonsense_or_has_no_inspect():
    wanted = Wanted(samples.path("k3.h5"), Policy(), dt.date(2026, 1, 1), may_be_no_model=False)
    sent = Sent(Item(wanted, Listed(1, "v")), 1)
    how = How({"against": None, "measure": True}, DEFAULT)
    here = fleet_cluster.Cluster("tcp://nobody", 1, Unwatched())
    came = here._came(sent, "hello", how, splitting.Split(measure=True))
    assert came.failed
    assert not came.lasts
    error = (ImportError, ModuleNotFoundError("No module named 'inspector'"), None)
    with pytest.raises(UsageError, match=r"tcp://nobody: a worker .*No module named.*the same"):
        here._came(sent, error, how, splitting.Split(measure=True))


def test_a_file_that_a_worker_does_not_see_is_told_from_one_that_is_gone():
    assert look(paths=("/nix/nix.h5",)).kind == "unseen"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tls://127.0.0.1:1", "TLS needs certificates, .* DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        ("gateway://127.0.0.1:1/name", "from Python, .*cluster=cluster.get_client"),
        ("nix", "missing port number in address 'nix'; it is tcp://HOST:PORT or local"),
        ("http://127.0.0.1:1", "unknown address scheme 'http'.*; it is tcp://HOST:PORT or local"),
    ],
)
def test_what_no_address_alone_leads_to_is_said_at_once(address, said):
    with pytest.raises(UsageError, match=said):
        audit(samples.path("pruned.h5"), cluster=address)


def test_where_nobody_listens_is_one_line(monkeypatch):
    monkeypatch.setattr(connecting, "_CONNECT_SECONDS", 0.3)
    address = "tcp://127.0.0.1:9"
    with pytest.raises(UsageError, match=f"--cluster {address}: ") as raised:
        audit(samples.path("pruned.h5"), cluster=address)
    assert "\n" not in str(raised.value)


SECRET = "s3cr3t-Pa+ss/word"


def test_urls_are_read_on_the_cluster_and_no_log_has_what_lets_in(dask, tmp_path):
    pytest.importorskip("aiohttp")
    from tests.builders.servers import HttpServer

    with HttpServer(secret=SECRET) as server:
        for name in ("a.h5", "segv-1.h5"):
            server.put(f"models/{name}", samples.path("stripped.h5"))
        user = server.url("models/a.h5").replace("://", f"://user:{quote(SECRET, safe='')}@")
        given = [user, server.url("models/segv-1.h5", signed=True)]
        results = str(tmp_path / "results")
        how = ["--no-policy", "--results", results, "--cluster", dask.address, "--format", "json"]
        run = call("audit", *given, *how)
        again = call("audit", *given, *how)
    found, skipped = (json.loads(one.out)["fleet"] for one in (run, again))
    assert (found["audited"], found["unreadable"], found["failed"]) == (2, 1, 1)
    assert (skipped["audited"], skipped["skipped"], skipped["failed"]) == (0, 2, 1)
    assert [one["readable"] for one in rows(results)].count(True) == 1
    said = [run.out, run.err, dask.log(), repr(rows(results)), repr(rows(results, "findings"))]
    for one in (SECRET, quote(SECRET, safe=""), quote_plus(SECRET)):
        assert not any(one in text for text in said)


def test_secrets_do_not_print():
    secret = Secret(("s3://key:word@bucket",))
    assert repr((secret, {"a": secret})) == "(***, {'a': ***})"
    assert str(secret) == f"{secret}" == "***"


# --- a cluster of this machine ------------------------------------------------------------------


def ours(group):
    """Processes of a session that still run, and workers of ours, wherever they belong."""
    said = subprocess.run(
        ["ps", "-A", "-o", "sess=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [
        line
        for line in said.splitlines()
        if "<defunct>" not in line  # dead, and nobody's but the system's to bury
        if line.split()[0] == str(group) or ("broken worker" in line and "ps -A" not in line)
    ]


def test_control_c_ends_a_cluster_of_its_own_within_five_seconds(tmp_path):
    names = ["marks-0.h5", *(f"m-{at}.h5" for at in range(1, 8))]
    paths = copies(tmp_path, names, "stripped.h5")  # the first hangs in C once it is read
    results, mark = str(tmp_path / "results"), tmp_path / "mark"
    how = ["--no-policy", "--cluster", "local", "--jobs", "2", "--results", results]
    preload = {"DASK_DISTRIBUTED__WORKER__PRELOAD": "['tests.builders.cluster_broken']"}
    process, out, err, seconds = interrupted(
        ["-m", "inspector", "audit", *how, *paths], mark, 2, preload
    )
    assert seconds < 5
    assert (process.returncode, out) == (130, "")
    # One may have waited behind the first.
    done = "inspect: interrupted: [67] of 8 artifacts are done, and kept in "
    assert re.fullmatch(f"{done}{re.escape(results)}: the same command goes on\n", err)
    until = time.monotonic() + 5
    while ours(process.pid) and time.monotonic() < until:
        time.sleep(0.05)  # one that was just killed takes a moment to be gone
    assert ours(process.pid) == []
