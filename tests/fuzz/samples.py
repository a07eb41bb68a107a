"""Every sample cut and changed at many places, and lied in: `python -m tests.fuzz.samples`.

Options: CUTS BYTES LIES (of each sample), then names of samples for no others.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.builders.samples import NAMES, path
from tests.fuzz.batch import Outcome, run
from tests.fuzz.changes import BYTES, CUTS, LIES, Share

JOBS = 2
_PATIENCE = 7200  # seconds for a sample


def _timed(name: str, share: Share) -> tuple[str, Outcome, float]:
    began = time.monotonic()
    return name, run([path(name)], share, _PATIENCE), time.monotonic() - began


def main(*words: str) -> int:
    numbers = [int(word) for word in words if word.isdecimal()] or [CUTS, BYTES, LIES]
    names = [word for word in words if not word.isdecimal()] or NAMES
    share, tried, faults = Share(*numbers), 0, 0
    with ThreadPoolExecutor(JOBS) as pool:
        for name, outcome, took in pool.map(lambda one: _timed(one, share), names):
            tried += outcome.tried
            faults += len(outcome.faults)
            print(f"{name}: {outcome.tried:,} inputs, {took:.0f} s, {outcome.peak >> 10} MiB")
            for fault in outcome.faults:
                print(f"  FAULT {fault}")
            sys.stdout.flush()
    print(f"{tried:,} inputs of {len(names)} samples: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
