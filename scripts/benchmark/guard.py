"""Ratios of our work's processor time to that of a plain reference, held against committed ones.

python scripts/benchmark/guard.py            print the ratios beside the committed ones; 1 if one is
                                             more than twice as large
python scripts/benchmark/guard.py --update   commit them anew, to tests/bench_ratios.json

A ratio is of two things done in turn in one process, the least of several times each: no absolute
time is ever compared. Processor time is what counts, since other work on the machine does not
change it much; how many cores share that time is for `scripts/bench.py` to tell.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [one for one in (str(ROOT), str(ROOT / "scripts")) if one not in sys.path]

from benchmark import inputs, rivals  # noqa: E402 - only there once the path is
from benchmark.running import warm  # noqa: E402

from inspector import api  # noqa: E402
from tests.builders import saved_models  # noqa: E402

COMMITTED = ROOT / "tests" / "bench_ratios.json"
ALLOWED = 2.0  # times the committed ratio
_SECONDS = 0.5  # that a guard repeats for, in a round; at least three times each

Work = Callable[[], object]


@dataclass(frozen=True)
class Guard:
    """Our work against a reference. prepare: makes both in a folder, with their inputs."""

    name: str
    prepare: Callable[[str], tuple[Work, Work]]


# --- what is guarded ------------------------------------------------------------------------------


def _measuring(folder: str) -> tuple[Work, Work]:
    path = os.path.join(folder, "pruned.h5")
    inputs.pruned_h5(path, 64)
    return lambda: api.show([path]), lambda: warm([path])


def _structure(folder: str) -> tuple[Work, Work]:
    path = os.path.join(folder, "model.weights.h5")
    inputs.weights_h5(path, 4)
    return lambda: api.show([path], measure=False), lambda: rivals.h5_visit(path)


def _many_tensors(folder: str) -> tuple[Work, Work]:
    many, fewer = (os.path.join(folder, f"{count}.weights.h5") for count in (2_000, 500))
    inputs.small_tensors(many, 2_000)
    inputs.small_tensors(fewer, 500)
    return lambda: api.show([many]), lambda: api.show([fewer])


def _chunked(folder: str) -> tuple[Work, Work]:
    path = os.path.join(folder, "gzip.h5")
    inputs.gzip_h5(path, 8)
    return lambda: api.show([path]), lambda: rivals.h5_inflate(path)


def _differing(folder: str) -> tuple[Work, Work]:
    first, second = (os.path.join(folder, name) for name in ("a.h5", "b.h5"))
    inputs.pruned_h5(first, 32)
    inputs.pruned_h5(second, 32, seed=100)
    return lambda: api.diff(first, second), lambda: warm([first, second])


def _large_graph(folder: str) -> tuple[Work, Work]:
    large, small = (_graph(os.path.join(folder, str(count)), count) for count in (16_000, 4_000))
    return lambda: api.show([large]), lambda: api.show([small])


def _graph(folder: str, count: int) -> str:
    nodes = [
        saved_models.node(
            f"model/block_{index}/add", "AddV2", f"model/block_{max(index - 1, 0)}/add", "model/w"
        )
        for index in range(count)
    ]
    made = saved_models.graph([saved_models.const("model/w", (1.0, 2.0)), *nodes])
    return saved_models.write(folder, saved_models.meta_graph(made))


def _auditing(folder: str) -> tuple[Work, Work]:
    files = os.path.join(folder, "files")
    inputs.small_files(files, 10)
    paths = [os.path.join(files, one) for one in sorted(os.listdir(files))]
    return lambda: api.audit(paths, isolate=False), lambda: api.show(paths)


GUARDS = (
    Guard("measuring 64 MiB : reading them", _measuring),
    Guard("structure of 256 tensors : h5py's visit of them", _structure),
    Guard("2,000 small tensors : 500", _many_tensors),
    Guard("measuring gzip'd chunks : zlib alone", _chunked),
    Guard("comparing two of 32 MiB : reading both", _differing),
    Guard("a graph of 16,000 nodes : of 4,000", _large_graph),
    Guard("auditing 10 small files : showing them", _auditing),
)


# --- how ------------------------------------------------------------------------------------------


def ratio(ours: Work, reference: Work, seconds: float = _SECONDS) -> float:
    """The least processor time of ours, over the least of the reference, done in turn."""
    # The reference takes the least time, so that it is the one to be disturbed: it has more turns.
    turns, least = ((0, ours), *[(1, reference)] * 3), [float("inf")] * 2
    started, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - started < seconds:
        for at, work in turns:
            before = _processor_time()
            work()
            least[at] = min(least[at], _processor_time() - before)
        rounds += 1
    return least[0] / least[1]


def _processor_time() -> float:
    """Seconds of this process, all of its threads, and the processes that it has waited for."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in each)


def measure(one: Guard, committed: float | None = None, rounds: int = 3) -> float:
    """A guard's ratio. One that is too large for the committed is measured again, in case that
    something else was in the way; the least counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        works = one.prepare(folder)
        found = ratio(*works)
        for _ in range(rounds - 1):
            if committed is not None and not too_slow(found, committed):
                break
            found = min(found, ratio(*works))
    return found


def too_slow(found: float, committed: float) -> bool:
    return found > ALLOWED * committed


def committed() -> Mapping[str, float]:
    """Name of a guard -> the ratio that is committed."""
    told: dict[str, float] = json.loads(COMMITTED.read_text("utf-8"))
    return told


def main() -> int:
    """Print all ratios, and write or judge them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="commit what is measured")
    update = parser.parse_args().update
    before = committed() if COMMITTED.exists() else {}
    found = {}
    for one in GUARDS:
        found[one.name] = measure(one, None if update else before.get(one.name))
        known = f"{before[one.name]:.2f}" if one.name in before else "none"
        print(f"{found[one.name]:8.2f}  committed {known:>8}  {one.name}", flush=True)
    if update:
        rounded = {name: round(value, 2) for name, value in found.items()}
        COMMITTED.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
        return 0
    return int(any(name not in before or too_slow(found[name], before[name]) for name in found))


if __name__ == "__main__":
    sys.exit(main())
