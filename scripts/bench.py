"""Measures this inspector beside what people use instead, on inputs that it makes itself.

python scripts/bench.py --form short   small inputs: tables on the terminal, JSON beside the inputs
python scripts/bench.py --form full    inputs of 512 MiB and 4 GiB; writes docs/performance.md
python scripts/bench.py --only diff    the tables whose names begin so
python scripts/bench.py --page         docs/performance.md anew from docs/performance.json

Every row of a table is a command, run as a process from a warm cache. Rows take turns, so that
whatever else the machine does falls on all of them. Figures are medians; a ratio is of two medians.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmark import page, places, results, running  # noqa: E402 - only there once the path is
from benchmark.scenarios import SCALES, scenarios  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
FIGURES = PAGE.with_suffix(".json")
_PACKAGES = {
    "python": ("tf-inspector", "numpy", "h5py"),
    "live": ("tensorflow", "tf-keras", "keras", "ai-edge-litert", "numpy", "h5py"),
    "modelscan": ("modelscan",),
}


def machine() -> str:
    """What the machine is, without its name."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            named = (one.partition(":")[2].strip() for one in lines if one.startswith("model name"))
            model = next(named, model)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    memory = running.memory_kib() / (1 << 20)
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{cores} cores of {model}, {memory:.0f} GiB of memory, {platform.system()} {kernel}"


def versions(known: places.Places, more: Sequence[str] = ()) -> dict[str, str]:
    """Python, and what the environments have; of a package that two have, what ours has. more:
    packages of ours, besides.
    """
    ask = (
        "import importlib.metadata as m, json, sys\n"
        "has = {one.name.lower().replace('_', '-'): one.version for one in m.distributions()}\n"
        "print(json.dumps({one: has[one] for one in sys.argv[1:] if one in has}))"
    )
    found = {"Python": platform.python_version()}
    for name, packages in _PACKAGES.items():
        if name not in known.known:
            continue
        python = Path(known.known[name][0]).parent / "python"
        wanted = (*packages, *(more if name == "python" else ()))
        asked = subprocess.run(
            [str(python), "-c", ask, *wanted], capture_output=True, text=True, check=True
        )
        found = {**json.loads(asked.stdout), **found}
    if "netron" in known.known:
        infos = Path(known.known["netron"][0]).parent.glob("netron-*.dist-info")
        found |= [("netron", one.name.split("-")[1].removesuffix(".dist")) for one in infos]
    return dict(sorted(found.items(), key=lambda one: one[0].lower()))


def measure(
    form: str, only: str, known: places.Places, keep: Callable[[dict[str, Any]], None]
) -> None:
    """Run the tables of a form; each is told, and kept with those before it, once it is there."""
    scale = SCALES[form]
    chosen = [
        one for one in scenarios(scale, len(os.sched_getaffinity(0))) if one.name.startswith(only)
    ]
    tables: list[Any] = []
    told = {
        "command": _command(form, only),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(known),
        "tables": tables,
    }
    for scenario in chosen:
        outcomes = running.run_scenario(scenario, known, scale.rounds, scale.budget, _tell)
        _tell("")
        tables.append(results.table(scenario, outcomes))
        print("\n".join(page.table(tables[-1])), end="\n\n", flush=True)
        keep(told)
    print(page.summary(tables))


def _command(form: str, only: str) -> str:
    """The command that does the same again."""
    made = {"full": "make bench-full", "short": "make bench"}
    if form in made and not only:
        return made[form]
    return f"python scripts/bench.py --form {form}" + (f" --only {only}" if only else "")


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def write_page(told: dict[str, Any]) -> None:
    """The generated part of docs/performance.md."""
    content = page.merged(PAGE.read_text("utf-8"), page.generated(told))
    PAGE.write_text(content, encoding="utf-8")


def main() -> int:
    """Measure, print, and write. Exits with 0, whether or not goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--form", choices=SCALES, default="short")
    parser.add_argument("--only", default="", metavar="NAME", help="tables whose names begin so")
    parser.add_argument("--inputs", default=str(ROOT / "build" / "bench"), help="folder of inputs")
    parser.add_argument("--live", default=str(ROOT / ".venv-live"), help="has TensorFlow")
    parser.add_argument("--scanners", default=str(ROOT / ".venv-scanners"), help="of others")
    parser.add_argument("--page", action="store_true", help="write the page anew from its figures")
    given = parser.parse_args()
    if given.page:
        write_page(json.loads(FIGURES.read_text("utf-8")))
        return 0
    known = places.find(given.inputs, given.live, given.scanners)
    os.makedirs(given.inputs, exist_ok=True)

    def keep(told: dict[str, Any]) -> None:
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        Path(given.inputs, f"{given.form}.json").write_text(text, encoding="utf-8")
        if given.form == "full" and not given.only:
            FIGURES.write_text(text, encoding="utf-8")
            write_page(told)

    measure(given.form, given.only, known, keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
