"""A real Dask cluster on loopback: a scheduler and workers as processes of their own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.builders import samples

_START_SECONDS = 60.0
_COMMON = {
    "PYTHONPATH": samples.ROOT,
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",  # a worker may die of one twice
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT": "120s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
}


@dataclass
class Cluster:
    """address: of the scheduler. scheduler, workers: its processes; of a worker its nanny's."""

    address: str
    folder: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, *options: str, nanny: bool = True) -> subprocess.Popen[bytes]:
        """Start one more worker of one thread."""
        command = ["worker", self.address, "--nthreads", "1", "--no-dashboard", *options]
        command += ["--host", "127.0.0.1", "--local-directory", self.folder]
        worker = _dask([*command, "--nanny" if nanny else "--no-nanny"], self.folder)
        self.workers.append(worker)
        return worker

    def log(self) -> str:
        """All that its processes said."""
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()


def _dask(arguments: list[str], folder: str) -> subprocess.Popen[bytes]:
    with open(os.path.join(folder, "log"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            env={**os.environ, **_COMMON},
            cwd=samples.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextlib.contextmanager
def cluster(folder: str, workers: int = 2, *options: str, nanny: bool = True) -> Iterator[Cluster]:
    """A scheduler with so many workers, which are all gone in the end. folder: for their files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = _dask(
        ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show",
         "--dashboard-address", "127.0.0.1:0"],
        folder,
    )  # fmt: skip
    found = Cluster(address, folder, scheduler)
    try:
        for _ in range(workers):
            found.add(*options, nanny=nanny)
        wait(found, workers)
        yield found
    finally:
        for process in (*found.workers, scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def wait(found: Cluster, workers: int) -> None:
    """Until so many workers are there."""
    from distributed import Client

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with Client(found.address, timeout=_START_SECONDS, set_as_default=False) as client:
                if workers:
                    client.wait_for_workers(workers, timeout=_START_SECONDS)
                return
        except OSError:
            if time.monotonic() > until:
                raise
