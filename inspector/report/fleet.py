"""How an audit of very many artifacts went."""

from __future__ import annotations

from msgspec import Struct


class FleetReport(Struct, frozen=True):
    """How a fleet was audited.

    artifacts: all that were found; of those, audited: looked at now; skipped: done by an earlier
    run; no_models: looked at, now or before, and no model; unreadable: of the audited, those that
    could not be read; failed: those that fail, skipped ones among them. nbytes: of the files of
    the models audited; seconds: from the first to the last; per_second: artifacts audited in one.
    results: where all that was found is, null where it is only here. workers: that had a part;
    retried: artifacts that were begun again, as a worker was lost.
    """

    artifacts: int
    audited: int
    skipped: int
    no_models: int
    unreadable: int
    failed: int
    nbytes: int
    seconds: float
    per_second: float | None
    results: str | None
    workers: int
    retried: int
