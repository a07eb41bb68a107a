"""What is measured of fleets: how many a second, memory, what an artifact asks of storage.

Each function is one table: rows as plain data, which is what docs/fleet.json has.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import fleet_inputs, fleet_running, running
from benchmark.fleet_inputs import Group
from benchmark.fleet_running import ROOT, Ran, Server, audit, server

Rows = list[dict[str, Any]]
Tell = Callable[[str], None]
MIB = 1 << 20
DELAY = 0.02  # seconds that every answer of a slow server waits


@dataclass(frozen=True)
class Scale:
    """How much is measured. local, near, far: artifacts of a throughput run from this disk, from a
    server, and from one that answers late; memory: artifacts of each run of that; groups: of the
    cost of one artifact; listed: keys that are listed; rounds: of throughput and of costs.
    """

    local: int
    near: int
    far: int
    memory: tuple[int, ...]
    groups: tuple[Group, ...]
    listed: tuple[int, ...]
    rounds: int


_SHORT = (
    Group("small .h5", "pruned.h5", 12),
    Group("small .keras", "k3.keras", 12),
    Group("small .tflite", "lite_float.tflite", 12),
    Group("SavedModel", "saved_pruned", 4),
    Group("200 tensors", "small.weights.h5", 4, 200),
    Group("1 MiB .h5", "pruned.h5", 4, 1),
    Group("16 MiB .h5", "pruned.h5", 2, 16),
)
_FULL = (
    Group("small .h5", "pruned.h5", 200),
    Group("small .keras", "k3.keras", 200),
    Group("small .weights.h5", "k3.weights.h5", 200),
    Group("small .tflite", "lite_float.tflite", 200),
    Group("SavedModel", "saved_pruned", 40),
    Group("200 tensors", "small.weights.h5", 40, 200),
    Group("2,000 tensors", "small.weights.h5", 8, 2000),
    Group("1 MiB .h5", "pruned.h5", 40, 1),
    Group("16 MiB .h5", "pruned.h5", 8, 16),
    Group("16 MiB .keras", "pruned.keras", 8, 16),
    Group("16 MiB .tflite", "model.tflite", 8, 16),
    Group("256 MiB .h5", "pruned.h5", 2, 256),
    Group("256 MiB .keras", "pruned.keras", 2, 256),
    Group("256 MiB .tflite", "model.tflite", 2, 256),
)
SCALES = {
    "short": Scale(100, 50, 30, (50, 100), _SHORT, (200, 400), 1),
    "full": Scale(1000, 300, 300, (100, 1000, 5000, 10_000), _FULL, (5000, 20_000), 2),
}


@dataclass(frozen=True)
class Bench:
    """Where inputs are, and who is told what goes on."""

    scale: Scale
    inputs: str
    tell: Tell

    def small(self, count: int) -> str:
        """A folder of so many small models."""
        return fleet_inputs.small(self.inputs, count)


# --- artifacts a second ---------------------------------------------------------------------------


def throughput(bench: Bench) -> Rows:
    """Artifacts a second for each way to read them side by side; the median of the rounds."""
    scale = bench.scale
    runs: dict[tuple[str, str, int, int], list[Ran]] = {}

    def run(where: str, how: str, count: int, path: str, jobs: int, **more: Any) -> None:
        bench.tell(f"throughput: {where}, {how}, {jobs}")
        words = ["--jobs", str(jobs), *more.pop("words", ())]
        done = audit(path, words=words, **more)
        runs.setdefault((where, how, jobs, count), []).append(done)

    local = bench.small(scale.local)
    for _ in range(scale.rounds):
        for jobs in (1, 2, 4):
            run("this disk", "--jobs", scale.local, local, jobs)
        for jobs in (1, 2, 4):
            run("this disk", "--cluster local", scale.local, local, jobs,
                words=["--cluster", "local"])  # fmt: skip
    for kind in ("s3", "http"):
        with server(kind, bench.small(scale.near)) as found:
            more = {"environment": found.environment}
            for _ in range(scale.rounds):
                for jobs in (1, 2, 4):
                    run(kind, "--jobs", scale.near, found.url, jobs, **more)
    with server("s3", bench.small(scale.far)) as found:
        found.ask("delay", seconds=DELAY)
        for _ in range(scale.rounds):
            for jobs in (1, 2, 4, 8):
                run("s3, 20 ms", "--jobs", scale.far, found.url, jobs,
                    environment=found.environment)  # fmt: skip
    return [_rate(*key, found) for key, found in runs.items()]


def _rate(where: str, how: str, workers: int, count: int, runs: Sequence[Ran]) -> dict[str, Any]:
    rates = [one.audited / one.looking for one in runs]
    return {
        "where": where,
        "how": how,
        "workers": workers,
        "artifacts": count,
        "per_second": statistics.median(rates),
        "low": min(rates),
        "high": max(rates),
        "cpu_each": statistics.median(one.cpu / one.audited for one in runs),
        "parent_cpu_each": statistics.median(one.parent_cpu / one.audited for one in runs),
        "besides": statistics.median(one.wall - one.looking for one in runs),
        "rounds": len(runs),
    }


def answers(bench: Bench) -> Rows:
    """How many GETs a second the servers of this benchmark give, whoever asks: 16 KiB each."""
    rows = []
    for kind in ("s3", "http"):
        folder = bench.small(bench.scale.far)
        name = next(Path(folder).rglob("*.h5")).relative_to(folder).as_posix()
        with server(kind, folder) as found:
            path = f"/models/{name}" if kind == "s3" else f"/{name}"
            for clients in (1, 2, 4):
                bench.tell(f"answers: {kind}, {clients}")
                rows.append({"server": kind, "clients": clients,
                             "per_second": _gets(found, path, clients)})  # fmt: skip
    return rows


def _gets(found: Server, path: str, clients: int, seconds: float = 2.0) -> float:
    counts = [0] * clients
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        asked = http.client.HTTPConnection(found.endpoint.removeprefix("http://"), timeout=10)
        while time.perf_counter() < until:
            asked.request("GET", path, headers={"Range": "bytes=0-16383"})
            asked.getresponse().read()
            counts[number] += 1
        asked.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(counts) / seconds


# --- memory, results, resuming --------------------------------------------------------------------


def memory(bench: Bench) -> dict[str, Any]:
    """Peaks by the number of artifacts; of the most their results, and a second run over them."""
    rows, told = [], {}
    with tempfile.TemporaryDirectory(dir=bench.inputs) as folder:
        for count in bench.scale.memory:
            bench.tell(f"memory: {count}")
            where = os.path.join(folder, f"results-{count}")
            done = audit(bench.small(count), words=["--jobs", "2"], results=where)
            rows.append(_peaks(count, done))
        bench.tell("memory: again")
        again = audit(bench.small(count), words=["--jobs", "2"], results=where)
        assert again.fleet["skipped"] == count
        took = fleet_running.inspect(["fleet", "summary", where])
        told = {"skipped": count, "seconds": again.wall, "looking": again.looking,
                "parent": again.parent, "summary_seconds": took["wall"],
                "summary_megabytes": took["parent"]}  # fmt: skip
        return {"rows": rows, "again": told, "results": _sizes(where)}


def _peaks(count: int, done: Ran) -> dict[str, Any]:
    return {
        "artifacts": count,
        "per_second": done.audited / done.looking,
        "parent": done.parent,
        "worker": done.worker,
        "cpu_each": done.cpu / done.audited,
        "parent_cpu_each": done.parent_cpu / done.audited,
        "besides": done.wall - done.looking,
    }


def _sizes(where: str) -> Rows:
    """Bytes and rows of each table."""
    rows: Rows = []
    for table in ("artifacts", "tensors", "findings"):
        held = fleet_running.parts(where, table)
        rows.append({"table": table, "rows": sum(one for one, _ in held),
                     "nbytes": sum(one for _, one in held), "parts": len(held)})  # fmt: skip
    return rows


# --- one artifact ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """How a group is read. latency: of every answer, None from this disk."""

    latency: float | None
    measured: bool

    @property
    def words(self) -> tuple[str, ...]:
        return ("--jobs", "1", *(() if self.measured else ("--no-measure",)))


_WAYS = (
    _Way(None, True),
    _Way(0.0, True),
    _Way(DELAY, True),
    _Way(0.0, False),
    _Way(DELAY, False),
)


def costs(bench: Bench) -> Rows:
    """What one artifact of each group takes on one core, read from this disk, from S3, from S3
    that answers late; and without measuring. The server has another core. The fastest of the
    rounds.
    """
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = cores[:1], cores[1:2]
    first = bench.scale.groups[0]
    groups = (replace(first, name="one", copies=1), *bench.scale.groups)
    made = {_place(one): (fleet_inputs.one(bench.inputs, one), one) for one in groups}
    folder = os.path.join(bench.inputs, "laid")
    fleet_inputs.laid(folder, made)
    rows: Rows = []
    with server("s3", folder, theirs) as found:
        for way in _WAYS:
            runs: dict[Group, tuple[Ran, dict[str, Any]]] = {}
            for group in groups * bench.scale.rounds:
                bench.tell(f"cost: {group.name}, {way}")
                again = _asked(found, folder, group, way, ours)
                runs[group] = min(runs.get(group, again), again, key=lambda one: one[0].looking)
            counted = runs[groups[0]][1]["requests"]
            rows += [_cost(group, way, *runs[group], counted) for group in bench.scale.groups]
    shutil.rmtree(folder)
    return rows


def _place(group: Group) -> str:
    return group.name.replace(" ", "-").replace(",", "").replace(".", "")


def _asked(
    found: Server, folder: str, group: Group, way: _Way, cores: Sequence[int]
) -> tuple[Ran, dict[str, Any]]:
    """A run over a group, and what the server counted."""
    found.ask("delay", seconds=way.latency or 0.0)
    root = os.path.join(folder, "") if way.latency is None else found.url
    if way.latency is None:
        running.warm([str(one) for one in Path(folder, _place(group)).rglob("*") if one.is_file()])
    found.ask("forget")
    done = audit(root + _place(group), words=way.words, cores=cores, environment=found.environment)
    if done.audited != group.copies:
        raise fleet_running.Failed(f"{group}: {done.audited} audited")
    return done, found.ask("counts")


def _cost(
    group: Group, way: _Way, done: Ran, counts: dict[str, Any], of_one: dict[str, int]
) -> dict[str, Any]:
    """seconds, cpu: of all copies together, with the start. of_one: requests of a run over one
    small artifact, whose HEAD and LIST found it.
    """
    each = done.audited
    asked = counts["requests"]
    besides = [max(asked.get(kind, 0) - of_one.get(kind, 0), 0) for kind in ("HEAD", "LIST")]
    return {
        "group": group.name,
        "format": group.kind,
        "from": "disk" if way.latency is None else "s3",
        "latency": way.latency or 0.0,
        "measured": way.measured,
        "copies": each,
        "mib": done.fleet["nbytes"] / each / MIB,
        "tensors": done.tensors / each,
        "seconds": done.looking,
        "cpu": done.cpu,
        "gets": asked.get("GET", 0) / each,
        "others": sum(besides) / each,
        "mib_read": counts["sent"] / each / MIB,
    }


# --- finding them ---------------------------------------------------------------------------------


def listing(bench: Bench) -> Rows:
    """What finding so many keys of a bucket takes, none of which is opened."""
    rows: Rows = []
    with server("s3", os.devnull) as found:
        for count in bench.scale.listed:
            bench.tell(f"listing: {count}")
            found.ask("fill", count=count)
            found.ask("forget")
            told = _found(f"{found.url}many-{count}", found.environment)
            requests = found.ask("counts")["requests"]
            rows.append({"keys": count, **told, "requests": sum(requests.values())})
    return rows


_FIND = """
import json, resource, sys, time
from inspector import filesystem
from inspector.discover import discover

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

url = filesystem.admit(sys.argv[1])
filesystem.isdir(url)
before, start, cpu = peak(), time.perf_counter(), time.process_time()
count = len(discover([url], recursive=True).paths)
print(json.dumps({"found": count, "seconds": time.perf_counter() - start,
                  "cpu": time.process_time() - cpu, "kib": peak() - before}))
"""


def _found(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    asked = subprocess.run(
        [sys.executable, "-c", _FIND, url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(asked.stdout)
    return told


# --- a cluster's own processes --------------------------------------------------------------------


def scheduling(bench: Bench) -> dict[str, Any]:
    """What the client and the scheduler of a Dask cluster take of a processor for an artifact: the
    difference of two runs.
    """
    from tests.builders.cluster import cluster

    counts = bench.scale.local // 10, bench.scale.local
    spent, runs = [], []
    with tempfile.TemporaryDirectory() as folder, cluster(folder, 2) as found:
        for count in counts:
            bench.tell(f"scheduling: {count}")
            before = fleet_running.processor_seconds(found.scheduler.pid)
            runs.append(audit(bench.small(count), words=["--cluster", found.address]))
            spent.append(fleet_running.processor_seconds(found.scheduler.pid) - before)
    more = counts[1] - counts[0]
    return {
        "artifacts": counts[1],
        "per_second": runs[1].audited / runs[1].looking,
        "client_cpu_each": (runs[1].parent_cpu - runs[0].parent_cpu) / more,
        "client": runs[1].parent,
        "scheduler_cpu_each": (spent[1] - spent[0]) / more,
    }
