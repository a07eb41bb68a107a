"""The figures of docs/why-pruning-adds-parameters.md: measured, printed, and put into the page.

python scripts/why_pruning.py            measure, and print the figures as JSON
python scripts/why_pruning.py --write    the same, into docs/: the JSON, and the page's tables
python scripts/why_pruning.py --check    measure nothing; exit 1 where page and JSON differ

Measuring needs the extra `live`, and takes about a minute. Where only the page's words change,
`--check` is enough.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tabulate

PAGE = Path(__file__).resolve().parents[1] / "docs" / "why-pruning-adds-parameters.md"
FIGURES = PAGE.with_suffix(".json")

tabulate.MIN_PADDING = 0

BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str, figures: Mapping[str, Any]) -> str:
    """The page with its marked blocks made anew."""
    return BLOCK.sub(lambda at: f"{at[1]}\n{BLOCKS[at[2]](figures)}\n\n{at[3]}", page)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], words: int = 1) -> str:
    """A Markdown table that reads as well in a terminal.

    words: how many columns at the left hold words; numbers follow.
    """
    return tabulate.tabulate(
        [[shown(cell) for cell in row] for row in rows],
        headers,
        tablefmt="pipe",
        colalign=["left"] * words + ["right"] * (len(headers) - words),
        disable_numparse=True,
    )


def shown(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def the_sum(figures: Mapping[str, Any]) -> str:
    steps, added = figures["question"]["steps"], figures["question"]["added"]
    before, after = (steps[at]["count_params"] for at in ("built", "wrapped, trained"))
    masks = " + ".join(shown(mask["elements"]) for mask in added["masks"])
    return (
        f"    {after:,} - {before:,} = {after - before:,}"
        f" = {masks} (masks) + {added['thresholds']} (thresholds) + {added['steps']} (steps)"
    )


def the_steps(figures: Mapping[str, Any]) -> str:
    return table(
        ("the model", "`count_params()`", "trainable", "non-trainable", "zeros in kernels"),
        [(step, *counts.values()) for step, counts in figures["question"]["steps"].items()],
    )


def the_summary(figures: Mapping[str, Any]) -> str:
    return "\n".join("    " + line for line in figures["question"]["summary"])


def the_layers(figures: Mapping[str, Any]) -> str:
    return table(
        ("wrapped layer", "masked", "before", "masks", "thresholds", "steps", "added"),
        [
            (
                f"`{row['layer']}`",
                ", ".join(
                    f"{mask['of']} {'×'.join(map(str, mask['shape']))}" for mask in row["masks"]
                )
                or "nothing",
                row["before"],
                *parts(row),
            )
            for row in figures["layers"]
        ],
        words=2,
    )


def parts(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    masks = sum(mask["elements"] for mask in row["masks"])
    return masks, row["thresholds"], row["steps"], row["added"]


def the_schedules(figures: Mapping[str, Any]) -> str:
    counts = ("schedule", "target", "before", "wrapped", "added", "zeros")
    return table(
        (*counts, "wrapped `.h5`", "stripped `.h5`", "gzipped"),
        [
            (
                *(row[count] for count in counts),
                *row["bytes"].values(),
                *row["compressed"].values(),
            )
            for row in figures["schedules"]
        ],
    )


def the_policies(figures: Mapping[str, Any]) -> str:
    return table(
        ("policy", "before", "masks", "thresholds", "steps", "added"),
        [(row["policy"], row["before"], *parts(row)) for row in figures["policies"]],
    )


SHOWN_SIZES = (
    ("wrapped .h5, as saved after fit", "bytes"),
    ("wrapped .h5, no optimizer", "bytes"),
    ("wrapped .h5, no optimizer", "compressed"),
    ("stripped .h5", "bytes"),
    ("stripped .h5", "compressed"),
    ("stripped .keras", "bytes"),
    (".tflite", "bytes"),
    (".tflite", "compressed"),
    ("sparse .tflite", "bytes"),
    ("sparse .tflite", "compressed"),
)


def the_sizes(figures: Mapping[str, Any]) -> str:
    sizes = figures["sizes"]
    columns = [f"target {target}" for target in sizes["bytes"] if target != "0"]
    return table(
        ("bytes", "not pruned", *columns),
        [
            (
                row + (", gzipped" if kind == "compressed" else ""),
                *(files.get(row, "") for files in sizes[kind].values()),
            )
            for row, kind in SHOWN_SIZES
        ],
    )


def the_versions(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in figures["versions"].items()) + "."


BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "sum": the_sum,
    "steps": the_steps,
    "summary": the_summary,
    "layers": the_layers,
    "schedules": the_schedules,
    "policies": the_policies,
    "sizes": the_sizes,
    "versions": the_versions,
}


def as_text(figures: Mapping[str, Any]) -> str:
    """JSON of one line a row, so that a difference shows which row changed."""
    return (
        "{\n"
        + ",\n".join(f" {json.dumps(key)}: {_rows(of)}" for key, of in figures.items())
        + "\n}\n"
    )


def _rows(held: Any) -> str:
    if isinstance(held, list):
        return "[\n" + ",\n".join(f"  {json.dumps(one)}" for one in held) + "\n ]"
    return (
        "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in held.items()) + "\n }"
    )


def main() -> int:
    """Print, write, or check."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        if rendered(page, json.loads(FIGURES.read_text(encoding="utf-8"))) != page:
            print(f"{PAGE.name} does not show its figures: run scripts/why_pruning.py --write")
            return 1
        return 0

    import pruning_figures  # TensorFlow comes with it

    figures = pruning_figures.measure()
    if "--write" in sys.argv[1:]:
        FIGURES.write_text(as_text(figures), encoding="utf-8")
        PAGE.write_text(rendered(page, figures), encoding="utf-8")
    else:
        print(as_text(figures), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
