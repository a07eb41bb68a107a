"""One audit of a fleet as a process: what it took, and what its parent and its workers did."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import running

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).with_name("fleet_server.py")
LONGEST = 1800.0  # seconds that one run may take
_TICKS = os.sysconf("SC_CLK_TCK")
_EACH = 0.05  # seconds between two looks at the processes


@dataclass(frozen=True)
class Ran:
    """wall: seconds of the command; looking: of those, from the first artifact to the last; cpu:
    processor seconds of it and all that it started; parent_cpu: of its own process alone; parent,
    worker: peak MB of its own process, and of the largest that it started. fleet: the report's.
    tensors: of all artifacts in its results together.
    """

    wall: float
    looking: float
    cpu: float
    parent_cpu: float
    parent: float
    worker: float
    fleet: Mapping[str, Any]
    tensors: int

    @property
    def audited(self) -> int:
        """How many artifacts."""
        return int(self.fleet["audited"])


class Failed(Exception):
    """A command that did not end as it should."""


def audit(
    *paths: str,
    environment: Mapping[str, str] | None = None,
    cores: Sequence[int] = (),
    words: Sequence[str] = (),
    results: str | None = None,
) -> Ran:
    """Run `inspect audit` of paths. cores: it may use; words: more of it. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        where = results or os.path.join(folder, "results")
        command = ["audit", *paths, "--no-policy", "--fail-on", "never", "--quiet", "--recursive"]
        command += ["--results", where, "--format", "json", "-o", report, *words]
        took = inspect(command, environment=environment, cores=cores)
        fleet = json.loads(Path(report).read_text("utf-8"))["fleet"]
        tensors = sum(rows for rows, _ in parts(where, "tensors"))
    return Ran(fleet=fleet, looking=fleet["seconds"], tensors=tensors, **took)


def parts(where: str, table: str) -> list[tuple[int, int]]:
    """Rows and bytes of each part of a table of results."""
    import pyarrow.parquet as pq

    found = sorted(Path(where, table).glob("*.parquet"))
    return [(pq.ParquetFile(one).metadata.num_rows, one.stat().st_size) for one in found]


def inspect(
    words: Sequence[str], *, environment: Mapping[str, str] | None = None, cores: Sequence[int] = ()
) -> dict[str, float]:
    """Run `inspect` with these words: wall, cpu, parent_cpu, parent, worker. Raises Failed."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "inspector", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            start_new_session=True,
        )
        if cores:
            os.sched_setaffinity(process.pid, cores)
        with _Watch(process.pid) as watch:
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if code:
            errors.seek(0)
            raise Failed(f"{' '.join(words[:2])}: {code}: {errors.read().decode()[-500:]}")
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "parent_cpu": watch.cpu,
        "parent": watch.parent / 1024,
        "worker": watch.worker / 1024,
    }


class _Watch(running.Watching):
    """Of it and what it started. parent, worker: KiB; cpu: seconds."""

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.parent = self.worker = 0
        self.cpu = 0.0

    def _look(self) -> None:
        started = time.monotonic()
        while not self._over.wait(_EACH):
            processes = running.tree(self._process)
            peaks = [running.kib(one, "status", "VmHWM:") for one in processes]
            self.parent = max(self.parent, peaks[0])
            self.worker = max(self.worker, *peaks[1:], 0)
            self.cpu = max(self.cpu, processor_seconds(self._process))
            if time.monotonic() - started > LONGEST:
                os.killpg(self._process, signal.SIGKILL)


def processor_seconds(process: int) -> float:
    """Of a process alone so far, 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass
class Server:
    """A server of `fleet_server.py`."""

    process: subprocess.Popen[str]
    url: str = ""
    endpoint: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Tell it something: its counts since the last "forget"."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextlib.contextmanager
def server(kind: str, folder: str, cores: Sequence[int] = ()) -> Iterator[Server]:
    """One of the files below a folder, gone in the end."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), kind, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        text=True,
        start_new_session=True,
    )
    if cores:
        os.sched_setaffinity(process.pid, cores)
    found = Server(process)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        found.url, found.endpoint = told["url"], told["endpoint"]
        found.environment = told["environment"]
        yield found
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
