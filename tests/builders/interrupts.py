"""Ctrl-C for a command that runs as a process, once what it reads says that it is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.builders import samples


def interrupted(
    arguments: Sequence[str], mark: Path, settle: float, variables: Mapping[str, str]
) -> tuple[subprocess.Popen[str], str, str, float]:
    """Python with these arguments, interrupted as a terminal does it: all of its group.

    mark: a file that appears once what hangs is being read; settle: seconds to let the others be
    done. Gives the process that ended, its stdout and stderr, and how many seconds it still took.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=samples.ROOT,
        env={**os.environ, "BROKEN_WORKER_MARK": str(mark), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while not mark.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(settle)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        return process, out, err, time.monotonic() - start
    finally:
        process.kill()
        process.communicate()
