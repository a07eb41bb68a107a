"""The tables of docs/fleet.md, made of docs/fleet.json and of the model's arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmark import fleet_model as model
from benchmark.page import grid

MARKS = (
    "<!-- fleet: begin; `make bench-fleet-full` writes what is between these marks -->",
    "<!-- fleet: end -->",
)
Told = Mapping[str, Any]
_FROM = {
    "this disk": "this disk",
    "s3": "S3 on loopback",
    "http": "a web server on loopback",
    "s3, 20 ms": "the same S3, 20 ms late",
}
_NAMES = {
    "start, disk": ("the start of a run, from disk", "s", 1.0),
    "start, S3": ("the same from S3", "s", 1.0),
    "fixed": ("an artifact", "ms", 1000.0),
    "per MiB": ("a MiB of it", "ms", 1000.0),
    "per tensor": ("a tensor", "ms", 1000.0),
    "per request": ("a request", "ms", 1000.0),
    "waited": ("requests that are waited for", "of 1", 1.0),
}


def number(value: float, digits: int = 3) -> str:
    """So many digits that count, with commas."""
    if value == 0:
        return "0"
    rounded = f"{value:.{digits - 1}e}"
    places = max(digits - 1 - int(rounded.rpartition("e")[2]), 0)
    return f"{float(rounded):,.{places}f}"


def throughput(told: Told) -> list[str]:
    """Artifacts a second, by where they are and how many are read side by side."""
    head = ("from", "how", "workers", "artifacts a second", "lowest–highest", "CPU an artifact")
    rows = [
        (
            _FROM[one["where"]],
            f"`{one['how']}`",
            str(one["workers"]),
            number(one["per_second"]),
            f"{number(one['low'])}–{number(one['high'])}",
            f"{one['cpu_each'] * 1000:.1f} ms",
        )
        for one in told["throughput"]
    ]
    return grid([head, *rows], range(2, len(head)))


def answers(told: Told) -> list[str]:
    """GETs a second that the servers give."""
    head = ("server", "clients", "GETs a second")
    names = {"s3": "S3", "http": "web"}
    rows = [
        (names[one["server"]], str(one["clients"]), number(one["per_second"]))
        for one in told["answers"]
    ]
    return grid([head, *rows], range(1, 3))


def memory(told: Told) -> list[str]:
    """Peaks by the number of artifacts, the slope, and a second run."""
    found = told["memory"]
    head = (
        "artifacts",
        "parent",
        "largest worker",
        "artifacts a second",
        "parent's CPU an artifact",
    )
    rows = [
        (
            f"{one['artifacts']:,}",
            f"{one['parent']:.0f} MiB",
            f"{one['worker']:.0f} MiB",
            number(one["per_second"]),
            f"{one['parent_cpu_each'] * 1000:.2f} ms",
        )
        for one in found["rows"]
    ]
    base, slope = model.parent_memory(found["rows"])
    less, most = (f"{one['artifacts']:,}" for one in found["rows"][-2:])
    again = found["again"]
    return [
        *grid([head, *rows], range(5)),
        "",
        f"From {less} to {most} artifacts the parent grows by {number(slope)} bytes an artifact,"
        f" from {base:.0f} MB without any. A second run over the {again['skipped']:,} that are done"
        f" takes {again['seconds']:.1f} s in all and {again['parent']:.0f} MiB;"
        f" `inspect fleet summary` of them {again['summary_seconds']:.1f} s and"
        f" {again['summary_megabytes']:.0f} MiB.",
    ]


def results(told: Told) -> list[str]:
    """Bytes of the data set."""
    head = ("table", "rows", "files", "bytes", "bytes a row")
    rows = [
        (
            one["table"],
            f"{one['rows']:,}",
            str(one["parts"]),
            f"{one['nbytes']:,}",
            number(one["nbytes"] / max(one["rows"], 1)),
        )
        for one in told["memory"]["results"]
    ]
    return [
        *grid([head, *rows], range(1, 5)),
        "",
        "These models share all tensors but one each. A digest that no other tensor has takes"
        f" {model.DIGEST} bytes more, which is counted below.",
    ]


def requests(told: Told) -> list[str]:
    """What an artifact asks of storage, with values and without."""
    head = ("an artifact", "MiB", "tensors", "GETs", "others", "MiB read", "GETs, structure alone",
            "MiB read")  # fmt: skip
    near = [one for one in told["costs"] if one["from"] == "s3" and not one["latency"]]
    bare = {one["group"]: one for one in near if not one["measured"]}
    rows = [
        (
            one["group"],
            number(one["mib"]),
            f"{one['tensors']:,.0f}",
            number(one["gets"]),
            number(one["others"]),
            number(one["mib_read"]),
            number(bare[one["group"]]["gets"]),
            number(bare[one["group"]]["mib_read"]),
        )
        for one in near
        if one["measured"]
    ]
    return grid([head, *rows], range(1, len(head)))


def listing(told: Told) -> list[str]:
    """What finding the keys of a bucket takes."""
    head = ("keys", "requests", "seconds", "CPU a key", "memory a key")
    rows = [
        (
            f"{one['keys']:,}",
            str(one["requests"]),
            number(one["seconds"]),
            f"{one['cpu'] / one['keys'] * 1e6:.0f} µs",
            f"{one['kib'] * 1024 / one['keys']:,.0f} bytes",
        )
        for one in told["listing"]
    ]
    return grid([head, *rows], range(5))


def latency(told: Told) -> list[str]:
    """Seconds of an artifact on one core: from disk, near, and late; and what the model says."""
    fitted = {
        measured: model.fit(told["costs"], "seconds", measured=measured)
        for measured in (True, False)
    }
    groups = {one["group"]: None for one in told["costs"]}
    by = {
        (one["group"], one["from"], one["latency"], one["measured"]): one for one in told["costs"]
    }
    ways = (("disk", 0.0, True), ("s3", 0.0, True), ("s3", model.LATENCY, True),
            ("s3", model.LATENCY, False))  # fmt: skip
    head = ("an artifact", "this disk", "S3", "S3, 20 ms", "the same, structure alone")
    rows = []
    for group in groups:
        cells = [group]
        for way in ways:
            one = by[group, *way]
            said = fitted[way[2]].of(
                one["mib"], one["tensors"], model.requests_of(one), one["latency"]
            )
            took = model.each_of(one, "seconds", fitted[way[2]])
            cells.append(f"{_ms(took)} ({_ms(said)})")
        rows.append(tuple(cells))
    return grid([head, *rows], range(1, len(head)))


def _ms(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms" if abs(seconds) < 10 else f"{number(seconds)} s"


def coefficients(told: Told) -> list[str]:
    """The fitted model, and how far it is from the points."""
    head = ("", "seconds", "CPU", "seconds, structure alone", "CPU, structure alone")
    fits = [
        model.fit(told["costs"], what, measured=measured)
        for measured in (True, False)
        for what in ("seconds", "cpu")
    ]
    rows = [
        (label, *(_found(one.coefficients[name] * scale, unit) for one in fits))
        for name, (label, unit, scale) in _NAMES.items()
    ]
    rows.append(
        ("relative error of a run (root mean square)", *(f"{one.spread:.0%}" for one in fits))
    )
    asked = [
        model.requests_fit(told["costs"], measured=measured).coefficients
        for measured in (True, False)
    ]
    said = [
        f"{number(one['fixed'])} + {number(one['per MiB'])} a MiB"
        f" + {number(one['per tensor'])} a tensor"
        for one in asked
    ]
    return [
        *grid([head, *rows], range(1, 5)),
        "",
        f"Requests of an artifact over 1 MiB: {said[0]}; of its structure alone: {said[1]}.",
    ]


def _found(value: float, unit: str) -> str:
    return f"{number(value)} {unit}" if value else "0"


def _named(fleet: model.Fleet) -> str:
    what = "" if fleet.measured else ", structure alone"
    return f"{fleet.artifacts:,} of {fleet.megabytes:.0f} MB{what}"


def needs(told: Told) -> list[str]:
    """What a fleet takes, on whatever it runs."""
    head = ("fleet", "an artifact", "core-hours at work", "requests", "bytes read", "results",
            "runs", "memory of a parent")  # fmt: skip
    rows = []
    for fleet in model.FLEETS:
        found = model.needs(told, fleet)
        rows.append((
            _named(fleet),
            _ms(found.seconds),
            number(fleet.artifacts * found.cpu / 3600),
            _large(found.requests),
            f"{number(found.terabytes)} TB",
            f"{number(found.gigabytes)} GB",
            str(found.runs),
            f"{number(found.memory)} MB",
        ))  # fmt: skip
    return grid([head, *rows], range(1, len(head)))


def _large(value: float) -> str:
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{number(value / size)} {word}"
    return number(value)


def worked(told: Told) -> list[str]:
    """Hours on so many cores."""
    head = ("fleet", "cores", "hours", "artifacts a second", "Gbit/s", "what limits", "dollars")
    rows = []
    for fleet in model.FLEETS:
        for cores in model.CORES:
            found = model.worked(told, fleet, cores)
            rows.append((
                _named(fleet),
                str(cores),
                number(found.hours),
                number(fleet.artifacts / found.hours / 3600),
                number(found.gigabits),
                found.limit,
                _dollars(found.dollars),
            ))  # fmt: skip
    return grid([head, *rows], range(1, 5))


def _dollars(amounts: tuple[float, float, float]) -> str:
    prices = zip(amounts, "GCE", strict=True)
    return " + ".join(f"{number(one)} {price}" for one, price in prices)


def client(told: Told) -> str:
    """How many answers one parent can take."""
    here = model.parent_seconds(told["memory"]["rows"])
    found = told["scheduling"]
    return (
        f"One core of the parent takes {number(1 / here)} answers a second with `--jobs`"
        f" ({here * 1000:.2f} ms each), and {number(1 / found['client_cpu_each'])} from a cluster"
        f" ({found['client_cpu_each'] * 1000:.2f} ms), whose scheduler spends"
        f" {found['scheduler_cpu_each'] * 1000:.2f} ms on a task in a process of its own."
    )


def generated(told: Told) -> str:
    """All of the generated part."""
    made = [
        f"Made by `{told['command']}` on {told['date']}: {told['machine']}.",
        "Versions: " + ", ".join(f"{name} {one}" for name, one in told["versions"].items()) + ".",
    ]
    parts: tuple[tuple[str, Iterable[str]], ...] = (
        ("Artifacts a second", throughput(told)),
        ("What the servers give", answers(told)),
        ("Memory", memory(told)),
        ("Size of the results", results(told)),
        ("Finding them in a bucket", listing(told)),
        ("Requests of one artifact", requests(told)),
        ("Seconds of one artifact on one core", latency(told)),
        ("The model", coefficients(told)),
        ("What a fleet takes", needs(told)),
        ("How long it takes", (*worked(told), "", client(told))),
    )
    lines = list(made)
    for title, text in parts:
        lines += ["", f"### {title}", "", *text]
    return "\n".join(lines)
