"""The changed inputs of artifacts in a process of their own, started again behind what ended it.

As a program: `python -m tests.fuzz.batch CUTS BYTES LIES EVERY FIRST PATH...` prints the number of
each input before it is tried, all artifacts' in one row, and at last the KiB that it took at most.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from tests.builders.samples import ROOT
from tests.fuzz.changes import Share, changes
from tests.fuzz.clock import bounded, hung, peak
from tests.fuzz.copies import Copy, copied, room
from tests.fuzz.exercise import LARGEST, SECONDS, exercise, in_turn

_MOST_FAULTS = 20


class Fault(NamedTuple):
    """Which input of an artifact it was, and what came of it."""

    path: str
    number: int
    told: str

    def __str__(self) -> str:
        return f"{self.path}, input {self.number}: {self.told}"


class Outcome(NamedTuple):
    """tried: how many inputs; peak: KiB that the last process took at most."""

    tried: int
    peak: int
    faults: tuple[Fault, ...]


def run(paths: Sequence[str], share: Share, seconds: float, every: int = 2) -> Outcome:
    """Try all inputs of some artifacts, for so many seconds by the clock at most.

    every: one input in so many gets another job than `show`.
    """
    each, first, largest = sum(share), 0, 0
    faults: list[Fault] = []
    while first < each * len(paths) and len(faults) < _MOST_FAULTS:
        numbers = map(str, (*share, every, first))
        command = [sys.executable, "-m", "tests.fuzz.batch", *numbers, *paths]
        with room() as variables:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables,
                timeout=seconds,
            )  # fmt: skip
        lines = done.stdout.split()
        if done.returncode == 0:
            largest = int(lines[-1])
            break
        last = int(lines[-1]) if lines else first
        how = f"over {SECONDS} s" if hung(done.returncode) else f"ended with {done.returncode}"
        told = f"{how}: {done.stderr[-3000:]}"
        faults.append(Fault(paths[last // each], last % each, told))
        first = last + 1
    return Outcome(each * len(paths), largest, tuple(faults))


def _fault(copy: Copy, share: Share, every: int, first: int, before: int) -> int:
    """Try the inputs of an artifact from the `first` on; an exit code, 0 where nothing is wrong."""
    exercise(copy.path, copy.original, ("render", "audit"))  # imports are nobody's fault
    for number, change in enumerate(changes(copy, share)):
        if number < first:
            continue
        print(before + number, flush=True)
        copy.write(change.file, change.content(copy))
        try:
            exercise(copy.path, copy.original, (in_turn(number, every),), SECONDS)
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            traceback.print_exc()
            return 3
        copy.restore(change.file)
        if peak() > LARGEST:
            print(f"took {peak()} KiB", file=sys.stderr)
            return 4
    return 0


def main(cuts: str, single: str, lies: str, nth: str, start: str, *paths: str) -> int:
    bounded()
    share, every, first = Share(int(cuts), int(single), int(lies)), int(nth), int(start)
    for before, path in zip(range(0, sys.maxsize, sum(share)), paths, strict=False):
        if before + sum(share) <= first:
            continue
        with copied(path) as copy:
            code = _fault(copy, share, every, first - before, before)
        if code:
            return code
    print(peak())
    return 0


if __name__ == "__main__":
    # Not by sys.exit: what libhdf5 does at the end of a broken file is not asked for here.
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
