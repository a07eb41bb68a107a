"""All targets, one after another, for FUZZ_SECONDS in all: `python -m tests.fuzz.run [TARGET...]`.

What is found is made small and kept in build/fuzz/found, a file a fault, named after the target;
corpora are kept in build/fuzz/corpus. Ends with 1 where anything was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.builders.samples import ROOT
from tests.fuzz import worker  # first: it instruments what the others import
from tests.fuzz.exercise import LARGEST
from tests.fuzz.replay import signature, tried
from tests.fuzz.targets import TARGETS, seeds

PLACE = os.path.join(ROOT, "build", "fuzz")
CORPUS, FOUND = os.path.join(PLACE, "corpus"), os.path.join(PLACE, "found")
KNOWN = os.path.join(PLACE, "known.txt")
LONGEST = 128 << 10  # bytes of an input
_DEFAULT = "1200"
_SHRINKS = 60  # tries to make an input smaller
_LATE = 30  # seconds by the clock: what takes so long is tried alone, by the processor's time
_STATUS = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
_TOTAL = re.compile(r"number_of_executed_units: (\d+)")


@dataclass
class Figures:
    """inputs: how many were tried; edges: of inspector's code that they reach."""

    inputs: int = 0
    edges: int = 0
    seconds: float = 0
    faults: list[str] = field(default_factory=list)


def fuzzed(name: str, seconds: float) -> Figures:
    """Fuzz a target for so long, going on behind each fault."""
    figures, began = Figures(), time.monotonic()
    corpus = os.path.join(CORPUS, name)
    os.makedirs(corpus, exist_ok=True)
    for seed, content in seeds(TARGETS[name]).items():
        with open(os.path.join(corpus, seed), "wb") as file:
            file.write(content)
    while (left := seconds - (time.monotonic() - began)) > 1:
        code, told = _worker(name, corpus, left)
        steps = _STATUS.findall(told)
        counts = [int(step) for step, _ in steps] + [int(one) for one in _TOTAL.findall(told)]
        figures.inputs += max(counts, default=0)
        figures.edges = max([figures.edges, *(int(edges) for _, edges in steps)])
        if code == 0:
            break
        if not steps:
            raise SystemExit(f"{name} does not start: {told[-3000:]}")
        left_behind = list(_crashes(name))
        for file in left_behind:
            figures.faults += _kept(name, file, told, code)
        if not left_behind:
            raise SystemExit(f"{name} ended with {code}, and left no input: {told[-3000:]}")
    figures.seconds = time.monotonic() - began
    return figures


def _worker(name: str, corpus: str, seconds: float) -> tuple[int, str]:
    """libFuzzer's exit code, and what it said."""
    with open(KNOWN, encoding="utf-8") as file:
        known = set(file.read().splitlines())
    log = os.path.join(PLACE, f"{name}.log")
    code = worker.fuzz(name, known, log, (
        corpus, f"-max_total_time={max(int(seconds), 1)}", f"-timeout={_LATE}",
        f"-rss_limit_mb={LARGEST >> 10}", f"-max_len={LONGEST}", "-print_final_stats=1",
        f"-artifact_prefix={FOUND}/new-{name}-",
    ))  # fmt: skip
    with open(log, encoding="utf-8", errors="replace") as file:
        return code, file.read()


def _crashes(name: str) -> Iterator[str]:
    for file in sorted(os.listdir(FOUND)):
        if file.startswith(f"new-{name}-"):
            yield os.path.join(FOUND, file)


def _kept(name: str, file: str, told: str, code: int) -> list[str]:
    """Make the input small, give it a name for good, and remember its fault; none where it does
    not come again when it is tried alone.
    """
    fault = tried(name, file)
    with open(file, "rb") as opened:
        content = opened.read()
    os.remove(file)
    _remember(signature(told, code))
    if fault is None:
        return []
    _remember(fault)
    content = smaller(name, content, fault)
    kept = os.path.join(FOUND, f"{name}-{hashlib.sha256(content).hexdigest()[:12]}")
    with open(kept, "wb") as out:
        out.write(content)
    print(f"  FAULT {name}: {fault}: {kept}", flush=True)
    return [fault]


def _remember(fault: str) -> None:
    with open(KNOWN, "a", encoding="utf-8") as known:
        known.write(f"{fault}\n")


def smaller(name: str, content: bytes, fault: str) -> bytes:
    """The input with parts left out, and others zeroed, that has the same fault still."""
    trial, tries, step = os.path.join(FOUND, "trial"), 0, max(len(content) // 2, 1)
    while step and tries < _SHRINKS:
        at = 0
        while at < len(content) and tries < _SHRINKS:
            for other in (
                content[:at] + content[at + step :],
                content[:at] + bytes(len(content[at : at + step])) + content[at + step :],
            ):
                if other == content:
                    continue
                with open(trial, "wb") as out:
                    out.write(other)
                tries += 1
                if tried(name, trial) == fault:
                    content = other
                    break
            at += step
        step //= 2
    with contextlib.suppress(FileNotFoundError):
        os.remove(trial)
    return content


def main(*names: str) -> int:
    seconds = float(os.environ.get("FUZZ_SECONDS", _DEFAULT))
    chosen = names or tuple(TARGETS)
    os.makedirs(FOUND, exist_ok=True)
    with open(KNOWN, "a", encoding="utf-8"):
        pass
    total = Figures()
    for name in chosen:
        figures = fuzzed(name, seconds / len(chosen))
        total.inputs += figures.inputs
        total.seconds += figures.seconds
        total.faults += figures.faults
        print(
            f"{name}: {figures.inputs:,} inputs, {figures.edges:,} edges, {figures.seconds:.0f} s, "
            f"{len(figures.faults)} faults",
            flush=True,
        )
    print(f"{total.inputs:,} inputs, {total.seconds:.0f} s, {len(total.faults)} faults")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
