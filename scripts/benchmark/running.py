"""Runs the commands of a table in turn, each as a process of its own, and notes what they cost.

Nothing heavy is imported here: Linux counts the memory of a process that starts another into the
peak of the other, so that this one has to stay small.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from benchmark.nouns import Row, Scenario
from benchmark.places import NotHere, Places, environment, reason

LONGEST = 900.0  # seconds that one run may take
_MEMORY_SHARE = 0.8  # of the machine's, that one run may take
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Run:
    """What one run took. seconds: wall time; cpu: user and system time of it and its children;
    megabytes: peak of its largest process; tree: peak of all of its processes as sampled, what they
    share counted once, or 0.
    """

    seconds: float
    cpu: float
    megabytes: float
    tree: float = 0.0


@dataclass
class Outcome:
    """All runs of a row; failed: why there are none, or no more, "" where that is well."""

    row: Row
    runs: list[Run] = field(default_factory=list)
    failed: str = ""


def run_scenario(
    scenario: Scenario,
    places: Places,
    rounds: int,
    budget: float,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Run every row once, then every row again, `rounds` times; one that has taken more than
    `budget` seconds in all, or has failed, is not run again.
    """
    outcomes = [Outcome(row) for row in scenario.rows]
    commands: dict[str, list[str]] = {}
    for one in outcomes:
        try:
            commands[one.row.name] = places.command(one.row, scenario.inputs)
        except NotHere as error:
            one.failed = str(error)
    rows = [one.inputs or () for one in scenario.rows]
    warm(places.files({*scenario.inputs, *(one for inputs in rows for one in inputs)}))
    for _ in range(rounds):
        for one in outcomes:
            if one.failed or sum(run.seconds for run in one.runs) > budget:
                continue
            tell(f"{scenario.name}: {one.row.name}")
            done = run(commands[one.row.name], one.row.exits, whole_tree=scenario.whole_tree)
            if isinstance(done, Run):
                one.runs.append(done)
            else:
                one.failed = done
    return outcomes


def warm(files: Sequence[str]) -> None:
    """Read files once, so that they are in the page cache."""
    block = bytearray(_BLOCK)
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(block):
                pass


def run(
    command: Sequence[str], exits: Sequence[int] = (0,), *, whole_tree: bool = False
) -> Run | str:
    """Run a command to its end: what it took, or why it failed."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment(),
            start_new_session=True,
        )
        with _Watch(process.pid, whole_tree=whole_tree) as watch:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if watch.ended:
            return watch.ended
        if code not in exits:
            errors.seek(0)
            text = errors.read().decode("utf-8", "replace")
            return f"failed (exit code {code}): {reason(text)}"
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss / 1024, watch.tree / 1024)


class Watching:
    """Looks at a process, in a thread of its own, while that runs (a context manager)."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        """Look until it is over."""
        raise NotImplementedError


class _Watch(Watching):
    """Ends what takes too long or too much, and samples its tree.

    whole_tree: look at all of its processes, and often; it costs a little.
    """

    def __init__(self, process: int, *, whole_tree: bool) -> None:
        super().__init__(process)
        self.ended, self.tree = "", 0.0
        self._whole_tree = whole_tree

    def _look(self) -> None:
        started, allowed = time.monotonic(), memory_kib() * _MEMORY_SHARE
        while not self._over.wait(0.02 if self._whole_tree else 0.2):
            if self._whole_tree:
                self.tree = max(self.tree, _held(tree(self._process)))
            if time.monotonic() - started > LONGEST:
                self._end(f"no answer in {LONGEST:.0f} s")
            elif kib(self._process, "status", "VmRSS:") > allowed:
                self._end(f"too big for memory: past {allowed / (1 << 20):.0f} GiB")

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        try:
            os.killpg(self._process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _held(processes: Sequence[int]) -> int:
    """KiB that processes of one tree hold: their own pages, those that a fork shares counted once,
    and of files that are mapped (the same libraries in each) what the largest has.
    """
    own = sum(kib(one, "smaps_rollup", "Pss_Anon:") for one in processes)
    return own + max(kib(one, "status", "RssFile:") for one in processes)


def tree(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # it has ended meanwhile
    return found


def kib(process: int, file: str, label: str) -> int:
    """A figure of a process' in KiB, 0 once it has ended."""
    try:
        with open(f"/proc/{process}/{file}", encoding="ascii") as lines:
            return next((int(one.split()[1]) for one in lines if one.startswith(label)), 0)
    except OSError:
        return 0


def memory_kib() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
