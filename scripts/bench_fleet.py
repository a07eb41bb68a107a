"""Measures audits of fleets on this machine, and works out what larger ones would take.

python scripts/bench_fleet.py --form short   few artifacts: tables on the terminal
python scripts/bench_fleet.py --form full    up to 10,000 and 256 MiB; writes docs/fleet.md
python scripts/bench_fleet.py --form full --only costs      one part of it anew
python scripts/bench_fleet.py --page         docs/fleet.md anew from docs/fleet.json

Storage is servers on loopback, in processes of their own, which count what they are asked for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

from bench import machine, versions  # noqa: E402 - only there once the path is
from benchmark import fleet_measures, fleet_page, page, places  # noqa: E402

PAGE = ROOT / "docs" / "fleet.md"
FIGURES = PAGE.with_suffix(".json")
_PACKAGES = ("fsspec", "s3fs", "dask", "distributed", "pyarrow", "duckdb", "moto")
_PARTS: dict[str, Callable[[fleet_measures.Bench], Any]] = {
    "costs": fleet_measures.costs,
    "memory": fleet_measures.memory,
    "listing": fleet_measures.listing,
    "scheduling": fleet_measures.scheduling,
    "answers": fleet_measures.answers,
    "throughput": fleet_measures.throughput,
}


def measure(form: str, inputs: str, only: str) -> dict[str, Any]:
    """All figures of a form. only: one part anew, the others as they were measured last."""
    kept = Path(inputs, f"{form}.json")
    before = json.loads(kept.read_text("utf-8")) if only and kept.exists() else {}
    bench = fleet_measures.Bench(fleet_measures.SCALES[form], inputs, _tell)
    told: dict[str, Any] = before | {
        "command": "make bench-fleet" + ("-full" if form == "full" else ""),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(places.Places({"python": [sys.executable]}, inputs), _PACKAGES),
    }
    for name, part in _PARTS.items():
        if only not in ("", name):
            continue
        start = time.perf_counter()
        told[name] = part(bench)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        kept.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--form", choices=fleet_measures.SCALES, default="short")
    parser.add_argument("--inputs", default=str(ROOT / "build" / "fleet"), help="folder of inputs")
    parser.add_argument("--only", choices=_PARTS, default="", help="one part anew")
    parser.add_argument("--page", action="store_true", help="write the page anew from its figures")
    given = parser.parse_args()
    if given.page:
        told = json.loads(FIGURES.read_text("utf-8"))
    else:
        os.makedirs(given.inputs, exist_ok=True)
        told = measure(given.form, given.inputs, given.only)
        if not all(part in told for part in _PARTS):
            return 0
        print(fleet_page.generated(told))
    if given.page or given.form == "full":
        FIGURES.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        text = page.merged(PAGE.read_text("utf-8"), fleet_page.generated(told), fleet_page.MARKS)
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
