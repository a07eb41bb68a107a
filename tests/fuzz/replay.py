"""An input of a target, tried in a process of its own: `python -m tests.fuzz.replay TARGET FILE`.

Exits with 0 where nothing is wrong. What is, is told on stderr: a traceback, or where it hung.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback

from tests.builders.samples import ROOT
from tests.fuzz.clock import bounded, hung, peak
from tests.fuzz.copies import room
from tests.fuzz.exercise import LARGEST, SECONDS
from tests.fuzz.targets import case

_FRAME = re.compile(r'File ".*?/(inspector/[\w/]+\.py|h5py/\S+)"?, line (\d+)')
_ERROR = re.compile(r"^([\w.]+(?:Error|Exception|Fault|Interrupt|Fatal)\w*)\b", re.MULTILINE)


def signature(told: str, code: int) -> str:
    """What tells one fault from another: how it ended, and the last line of ours that it was in."""
    frames = _FRAME.findall(told)
    errors = _ERROR.findall(told)
    late = hung(code) or code == 70  # libFuzzer's own
    # A traceback ends with the innermost frame, what faulthandler writes begins with it.
    dumped = late or "most recent call first" in told
    where = ":".join(frames[0 if dumped else -1]) if frames else "?"
    how = "hang" if late else errors[-1] if errors else f"exit {code}"
    if "Fault: " in told:
        how = re.sub(r"[\d/'\"\n].*", "", told.rsplit("Fault: ", 1)[1], flags=re.DOTALL)[:60]
        inside = re.search(r"\w+ at \w+\.py:\d+", told)
        where = inside[0] if inside else where
    return f"{how} at {where}"


def tried(target: str, file: str) -> str | None:
    """The signature of what is wrong with the input; None where nothing is."""
    command = [sys.executable, "-m", "tests.fuzz.replay", target, file]
    with room() as variables:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables
        )
    return None if done.returncode == 0 else signature(done.stderr, done.returncode)


def main(target: str, file: str) -> int:
    bounded()
    with open(file, "rb") as opened:
        content = opened.read()
    with case(target) as held:
        try:
            held.attempt(content, SECONDS)
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            traceback.print_exc()
            return 3
    if peak() > LARGEST:
        print(f"Fault: took more memory than it may: {peak()} KiB", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
