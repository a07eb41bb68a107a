"""The tables as Markdown, for a terminal and for docs/performance.md. It computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

BEGIN = "<!-- benchmark: begin; `make bench-full` writes what is between these marks -->"
END = "<!-- benchmark: end -->"

_HEAD = ("", "median", "fastest–slowest", "CPU", "peak memory", "ratio", "runs")
_NOTES = (
    "CPU is the processor time of a command and of all that it starts; cores, that over the wall",
    "time. Peak memory is that of its largest process (`ru_maxrss`), files that it maps included;",
    "under 20 MB it is that of the process which starts them all. Together: all processes at one",
    "time, as sampled; what they share counts once.",
)
_MET = {True: "met", False: "**missed**", None: "not measured"}


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def amount(value: float | None, unit: str) -> str:
    """A figure with its unit; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "s":
        return seconds(value)
    return f"{value:.0f} MB" if unit == "MB" else f"{value:.2f} {unit}"


def row(one: Mapping[str, Any], reference: str) -> tuple[str, ...]:
    """The cells of a row; one without figures has dashes, and a note below the table."""
    name = f"{one['name']} (reference)" if one["name"] == reference else one["name"]
    has = one["figures"]
    if has is None:
        return (name, *("–" for _ in _HEAD[2:]), str(len(one["runs"])))
    memory = f"{has['megabytes']:.0f} MB"
    if has["tree"]:
        memory += f", {has['tree']:.0f} MB together"
    ratio = "–" if one["ratio"] is None else f"{one['ratio']:.2f}"
    return (
        name,
        seconds(has["seconds"]),
        f"{seconds(has['low'])}–{seconds(has['high'])}",
        f"{seconds(has['cpu'])} ({has['cores']:.1f} cores)",
        memory,
        ratio,
        str(has["runs"]),
    )


def grid(lines: Iterable[tuple[str, ...]], numbers: Iterable[int] = ()) -> list[str]:
    """A Markdown table whose columns line up. numbers: columns that are set to the right."""
    cells, right = list(lines), set(numbers)
    widths = [max(3, *(len(one[at]) for one in cells)) for at in range(len(cells[0]))]

    def line(one: tuple[str, ...]) -> str:
        padded = [
            text.rjust(width) if at in right else text.ljust(width)
            for at, (text, width) in enumerate(zip(one, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ("-" * (width - 1) + (":" if at in right else "-") for at, width in enumerate(widths))
    return [line(cells[0]), f"| {' | '.join(rule)} |", *(line(one) for one in cells[1:])]


def table(one: Mapping[str, Any]) -> list[str]:
    """A table under its title, and its goals."""
    rows = [row(each, one["reference"]) for each in one["rows"]]
    lines = [f"### {one['title']}", "", *grid([_HEAD, *rows], range(1, len(_HEAD)))]
    notes = [
        f"- {each['name']}: {_escaped(each['failed'])}" for each in one["rows"] if each["failed"]
    ]
    notes += [f"- {goal(each)}" for each in one["goals"]]
    return [*lines, "", *notes] if notes else lines


def goal(one: Mapping[str, Any]) -> str:
    """A goal and how it stands, in one line."""
    text = f"{_MET[one['met']]}: {one['text']}"
    if one["met"] is None:
        return text
    found, allowed = (amount(one[which], one["unit"]) for which in ("found", "allowed"))
    return f"{text} ({found} of {allowed})"


def summary(tables: Iterable[Mapping[str, Any]]) -> str:
    """How many goals there are, and how many are met."""
    met = [each["met"] for one in tables for each in one["goals"]]
    counts = (met.count(True), met.count(False), met.count(None))
    said = f"{len(met)} goals: {counts[0]} met, {counts[1]} missed"
    return said + (f", {counts[2]} not measured" if counts[2] else "")


def generated(told: Mapping[str, Any]) -> str:
    """All of the generated part: how it was made, the goals, the tables, the legend."""
    tables = told["tables"]
    lines = [
        f"Made by `{told['command']}` on {told['date']}: {told['machine']}.",
        "Versions: " + ", ".join(f"{name} {one}" for name, one in told["versions"].items()) + ".",
        "",
        f"{summary(tables)}.",
    ]
    for one in tables:
        lines += ["", *table(one)]
    lines += ["", *_NOTES]
    legend = {each["name"]: each["does"] for one in tables for each in one["rows"]}
    lines += ["", "### What each row is", ""]
    lines += [f"- {name}: {does}." for name, does in legend.items()]
    return "\n".join(lines)


def merged(page: str, part: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """A page with its generated part replaced. Raises ValueError where it has no marks."""
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError("the page has lost the marks of its generated part")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("`", "'")
