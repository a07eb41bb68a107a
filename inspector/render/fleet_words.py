"""How an audit of very many artifacts went, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.render.printable import safe
from inspector.report import FleetReport, Report
from inspector.words import count

_STEPS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))


def fleet_line(report: Report) -> str:
    """What was audited and how fast, what was done before, and where all of it is; "" where the
    report is of no fleet.
    """
    return "; ".join(_parts(report.fleet)) if report.fleet else ""


def _parts(fleet: FleetReport) -> Iterator[str]:
    rate = "" if fleet.per_second is None else f" ({fleet.per_second:,.1f} a second)"
    if fleet.audited or not fleet.skipped:
        yield (
            f"{count(fleet.audited, 'artifact')} of {size(fleet.nbytes)} audited in"
            f" {fleet.seconds:,.1f} seconds{rate} by {count(fleet.workers, 'worker')}"
        )
    if fleet.skipped:
        yield f"{fleet.skipped:,} done before and skipped"
    if fleet.no_models:
        yield f"{fleet.no_models:,} {'is no model' if fleet.no_models == 1 else 'are no models'}"
    if fleet.unreadable:
        yield f"{fleet.unreadable:,} unreadable"
    if fleet.retried:
        yield f"{fleet.retried:,} begun again as a worker was lost"
    if fleet.results is not None:
        yield f"all results in {safe(fleet.results)}"


def size(nbytes: int) -> str:
    """Bytes in a short form: "3.1 MB"."""
    for step, unit in _STEPS:
        if nbytes >= step:
            return f"{nbytes / step:,.1f} {unit}"
    return count(nbytes, "byte")
