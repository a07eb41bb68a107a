"""What a fleet would cost, worked out of what was measured of one artifact: pure arithmetic.

    seconds of a run = start + artifacts * (
        fixed + per MiB + per tensor + requests * (each + waited * latency))

by least squares of relative errors over the measured runs; processor seconds alike. A coefficient
that would be negative is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MIB = 1 << 20
Row = Mapping[str, Any]
NAMES = ("fixed", "per MiB", "per tensor", "per request", "waited")
STARTS = {"disk": "start, disk", "s3": "start, S3"}
# Its cost is of its graph's operators, which no column tells: it is shown beside the fit.
LEFT_OUT = ("SavedModel",)
LATENCY = 0.02
LARGE = 15  # MiB of what stands for large artifacts
LISTED = 1000  # keys of an answer to LIST
# Bytes of a digest that no other tensor has, in Parquet: 32 that cannot be squeezed, and an index.
# The measured models share all tensors but one, whose digests are kept once.
DIGEST = 33.5
RUN = 500_000  # artifacts of one run: the limit `nodes`


@dataclass(frozen=True)
class Fit:
    """coefficients: by name, seconds each (`waited`: a share of the requests). spread: the root of
    the mean of squared relative errors.
    """

    coefficients: Mapping[str, float]
    spread: float

    def of(self, mib: float, tensors: float, requests: float, latency: float) -> float:
        """Seconds of such an artifact."""
        cells = _cells(mib, tensors, requests, latency)
        return sum(self.coefficients[name] * cell for name, cell in zip(NAMES, cells, strict=True))


def _cells(mib: float, tensors: float, requests: float, latency: float) -> tuple[float, ...]:
    return 1.0, mib, tensors, requests, requests * latency


def requests_of(row: Row) -> float:
    """All requests of an artifact."""
    return float(row["gets"] + row["others"])


def cells_of(row: Row) -> tuple[float, ...]:
    """The columns of a measured run: its start, and what all of its artifacts have."""
    starts = (float(row["from"] == kind) for kind in STARTS)
    each = _cells(row["mib"], row["tensors"], requests_of(row), row["latency"])
    return (*starts, *(row["copies"] * cell for cell in each))


def least_squares(
    cells: Sequence[Sequence[float]],
    found: Sequence[float],
    names: Sequence[str],
    *,
    relative: bool = True,
) -> Fit:
    """Coefficients that make the errors least, none negative. relative: to what is found."""
    left = list(range(len(names)))
    wanted = np.asarray(found)
    scale = wanted if relative else np.ones(len(wanted))
    table = np.asarray(cells) / scale[:, None]
    while True:
        solved = np.linalg.lstsq(table[:, left], wanted / scale, rcond=None)[0]
        if solved.min() >= 0:
            break
        left.pop(int(solved.argmin()))
    coefficients = dict.fromkeys(names, 0.0)
    coefficients |= {names[at]: float(value) for at, value in zip(left, solved, strict=True)}
    errors = (table[:, left] @ solved * scale - wanted) / wanted
    return Fit(coefficients, float(np.sqrt(np.mean(errors**2))))


def points(costs: Iterable[Row], *, measured: bool) -> list[Row]:
    """The measured points of a fit."""
    return [one for one in costs if one["measured"] == measured and one["format"] not in LEFT_OUT]


def fit(costs: Iterable[Row], what: str, *, measured: bool) -> Fit:
    """The model of `seconds` or `cpu` of an artifact."""
    rows = points(costs, measured=measured)
    names = (*STARTS.values(), *NAMES)
    return least_squares([cells_of(one) for one in rows], [one[what] for one in rows], names)


def each_of(row: Row, what: str, found: Fit) -> float:
    """What one artifact of a measured run took, without the start."""
    start = found.coefficients[STARTS[row["from"]]]
    return float((row[what] - start) / row["copies"])


def requests_fit(costs: Iterable[Row], *, measured: bool) -> Fit:
    """Requests of an artifact from storage that is too large to be fetched in one."""
    rows = [
        one
        for one in points(costs, measured=measured)
        if one["from"] == "s3" and requests_of(one) > 1
    ]
    cells = [(1.0, one["mib"], one["tensors"]) for one in rows]
    asked = [requests_of(one) for one in rows]
    return least_squares(cells, asked, NAMES[:3], relative=False)


def requests_for(costs: Iterable[Row], fleet: Fleet) -> float:
    """Requests of an artifact of a fleet."""
    found = requests_fit(costs, measured=fleet.measured).coefficients
    return found["fixed"] + found["per MiB"] * fleet.mib + found["per tensor"] * fleet.tensors


@dataclass(frozen=True)
class Fleet:
    """artifacts: so many, of `megabytes` (10**6 bytes) and `tensors` each on the mean."""

    artifacts: int
    megabytes: float
    tensors: float
    measured: bool = True

    @property
    def mib(self) -> float:
        return self.megabytes * 1e6 / MIB


FLEETS = tuple(
    Fleet(artifacts, megabytes, 100, measured)
    for artifacts in (100_000, 10_000_000)
    for megabytes, measured in ((5, True), (100, True), (100, False))
)
CORES = (2, 16, 128)


@dataclass(frozen=True)
class Needs:
    """What a fleet takes, on however many cores. seconds, cpu: of one artifact on one core;
    gigabytes: of results; runs: of at most RUN artifacts; memory: MB of the parent of one.
    """

    seconds: float
    cpu: float
    requests: float
    terabytes: float
    gigabytes: float
    runs: int
    memory: float


def needs(told: Row, fleet: Fleet, latency: float = LATENCY) -> Needs:
    """Of a fleet, by the measured figures (`told`: docs/fleet.json)."""
    costs, memory = told["costs"], told["memory"]
    requests = requests_for(costs, fleet)
    given = fleet.mib, fleet.tensors, requests, latency
    seconds = fit(costs, "seconds", measured=fleet.measured).of(*given)
    cpu = fit(costs, "cpu", measured=fleet.measured).of(*given)
    tables = {one["table"]: one for one in memory["results"]}
    each = {name: one["nbytes"] / max(one["rows"], 1) for name, one in tables.items()}
    findings = tables["findings"]["rows"] / tables["artifacts"]["rows"]
    tensors = fleet.tensors * (each["tensors"] + DIGEST)
    row = each["artifacts"] + tensors + findings * each["findings"]
    read = fleet.megabytes if fleet.measured else _read(costs)
    base, slope = parent_memory(memory["rows"])
    key = listed_bytes(told["listing"])
    return Needs(
        seconds,
        cpu,
        fleet.artifacts * requests + fleet.artifacts / LISTED,
        fleet.artifacts * read / 1e6,
        fleet.artifacts * row / 1e9,
        math.ceil(fleet.artifacts / RUN),
        base + (slope + key) * min(fleet.artifacts, RUN) / 1e6,
    )


def _read(costs: Iterable[Row]) -> float:
    """MB that the structure of a large artifact takes, at most."""
    rows = [one for one in points(costs, measured=False) if one["from"] == "s3"]
    return float(max(one["mib_read"] for one in rows if one["mib"] >= LARGE) * MIB / 1e6)


def listed_bytes(rows: Sequence[Row]) -> float:
    """Bytes of the parent for a key that it listed: the difference of two runs."""
    less, most = sorted(rows, key=lambda one: one["keys"])[-2:]
    return float((most["kib"] - less["kib"]) * 1024 / (most["keys"] - less["keys"]))


def parent_memory(rows: Sequence[Row]) -> tuple[float, float]:
    """MB without artifacts, and bytes for each: by the two largest runs, past the first batches."""
    less, most = sorted(rows, key=lambda one: one["artifacts"])[-2:]
    more = most["artifacts"] - less["artifacts"]
    slope = max((most["parent"] - less["parent"]) * MIB / more, 0.0)
    return most["parent"] * MIB / 1e6 - slope * most["artifacts"] / 1e6, slope


def parent_seconds(rows: Sequence[Row]) -> float:
    """Processor seconds of the parent for an artifact: the difference of two runs."""
    less, most = sorted(rows, key=lambda one: one["artifacts"])[-2:]
    spent = [one["parent_cpu_each"] * one["artifacts"] for one in (less, most)]
    return float((spent[1] - spent[0]) / (most["artifacts"] - less["artifacts"]))


@dataclass(frozen=True)
class Worked:
    """A fleet on so many cores, a worker each. dollars: thousands of requests, core-hours (waiting
    ones, too) and GB, each to be taken times its price; gigabits: a second that storage has to
    give; limit: what keeps it from being faster.
    """

    hours: float
    dollars: tuple[float, float, float]
    gigabits: float
    limit: str


def worked(told: Row, fleet: Fleet, cores: int) -> Worked:
    """How long it takes. One parent hears all answers: what it takes for one is the least."""
    found = needs(told, fleet)
    client = max(told["scheduling"]["client_cpu_each"], told["scheduling"]["scheduler_cpu_each"])
    each = max(found.seconds / cores, client)
    rate = 1 / each
    megabytes = found.terabytes * 1e6 / fleet.artifacts
    waits = 1 - min(found.cpu / found.seconds, 1.0)
    limit = "the client" if client >= found.seconds / cores else f"workers ({waits:.0%} waiting)"
    hours = fleet.artifacts * each / 3600
    dollars = found.requests / 1000, cores * hours, found.terabytes * 1000
    return Worked(hours, dollars, rate * megabytes * 8 / 1000, limit)
