"""An audit of very many artifacts: done ones are skipped, what comes is written, all is counted."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from inspector.auditing.policy import FailOn, Policy
from inspector.auditing.run import Audited
from inspector.auditing.session import AllWanted, Answers, Asked, Session, Wanted
from inspector.auditing.tally import Tally
from inspector.audits import each_path
from inspector.errors import UsageError
from inspector.filesystem import admit
from inspector.fleet.listed import listed
from inspector.fleet.progress import Unwatched, Watch
from inspector.fleet.stopping import Stop
from inspector.fleet.work import Came, ClusterLost, How, Item, Runner
from inspector.limits import DEFAULT, Limits
from inspector.report import FleetReport, Report

if TYPE_CHECKING:
    from distributed import Client

    from inspector.fleet.done import Before, Done, Key
    from inspector.fleet.results import Results

FINDINGS = 100  # of those that fail, in a report whose results are written elsewhere


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; the message says how far it was, and how to go on."""


def audit(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    cluster: str | Client | None = None,
    results: str | None = None,
    jobs: int | None = None,
    policy: str | os.PathLike[str] | Policy | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    against: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    measure: bool = True,
    recursive: bool = False,
    fail_on: FailOn | None = None,
    today: dt.date | None = None,
    limits: Limits = DEFAULT,
    watch: Watch | None = None,
) -> Report:
    """`api.audit` of very many artifacts, each read in a process of its own, on a cluster or here.

    cluster: "tcp://...", "tls://..." or "local", a Dask scheduler; or a client of one, which stays
    open; None for processes of this machine. results: a folder to which all that is found is
    written as it comes, and from which an earlier run is known: what that has done is not done
    again while neither the artifact nor its policy nor this tool is another. The report then has no
    artifacts, and of the findings the first `FINDINGS` that fail; its numbers are of all, skipped
    ones too. jobs: how many artifacts are read side by side here, and how many workers a local
    cluster has; None for one a processor. watch: told how far it is. The rest as for `api.audit`.

    Raises what `api.audit` does, UsageError for a cluster or results that cannot be used,
    ClusterLost, and Interrupted on Ctrl-C: what is done by then is written.
    """
    if results is not None and baseline is not None:
        raise UsageError("--baseline is held against a report, which --results does without")
    asked = Asked(
        policy=os.fspath(policy) if isinstance(policy, (str, os.PathLike)) else policy,
        select=tuple(select),
        ignore=tuple(ignore),
        fail_on=fail_on,
        baseline=None if baseline is None else os.fspath(baseline),
        today=today,
        limits=limits,
    )
    session = Session(asked, most=None if results is None else FINDINGS)
    origin = None if against is None else admit(against)
    # What tells a tensor in several models; values that nobody wants read are not read for it.
    digest = measure and results is not None
    how = How({"against": origin, "measure": measure, "digest": digest, "pictures": False}, limits)
    watching = watch or Unwatched()
    with contextlib.ExitStack() as stack:
        kept = None
        if results is not None:
            kept = stack.enter_context(_Kept(results, session, how))
        discovered = session.discover(each_path(paths), recursive)
        if origin is not None and len(discovered) != 1:
            raise UsageError(f"--against is for one artifact, not for {len(discovered):,}")
        runner = stack.enter_context(_runner(cluster, jobs, limits, watching))
        fleet = _Fleet(session, runner, how, watching, kept)
        if kept is None:
            shown = tuple(session.ask(discovered, fleet.look))
        else:
            shown = ()
            for wanted, looked in fleet.look(session.wanted(discovered)):
                session.take(wanted, looked)
            session.recall(kept.failing(fleet.failed_before))
        found = session.report(shown)
    return fleet.told(found)


def _runner(
    cluster: str | Client | None, jobs: int | None, limits: Limits, watch: Watch
) -> contextlib.AbstractContextManager[Runner]:
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} artifacts at once are none")
    if cluster is None:
        from inspector.fleet.here import Here

        return Here(jobs, limits)
    from inspector.fleet.cluster import Cluster

    return Cluster(cluster, jobs, watch)


def _told_apart(original: str) -> str:
    """What stands for the bytes of an original; where nothing does, what was done is done again."""
    return listed(original).version or secrets.token_hex(8)


class _Kept:
    """A data set of results: what is in it already, and what comes on top."""

    def __init__(self, where: str, session: Session, how: How) -> None:
        from inspector.fleet.done import Done, options_digest
        from inspector.fleet.results import Results

        self.where = where
        self._results: Results = Results(where)
        self._done: Done = Done(where)
        self._session = session
        against = how.arguments["against"]
        self._options = options_digest(
            measure=how.arguments["measure"],
            against=None if against is None else _told_apart(against),
            limits=how.limits,
        )
        self._keys: dict[int, Key] = {}

    def __enter__(self) -> Self:
        self._results.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._results.__exit__(*how)

    def before(self, item: Item) -> Before | None:
        """What an earlier run found of this very content."""
        return self._done.knows(item.wanted.path, item.listed.version, self._key(item.wanted))

    def take(self, came: Came) -> None:
        """Write it, now or soon."""
        item = came.item
        self._results.take(
            item.wanted.path,
            item.listed.version if came.lasts else None,
            item.listed.nbytes,
            came.looked,
            came.seconds,
            self._key(item.wanted),
        )

    def failing(self, artifacts: Sequence[str]) -> Audited:
        """What earlier runs found of artifacts that this one skipped."""
        from inspector.fleet.earlier import failing

        return failing(self.where, artifacts, FINDINGS)

    def _key(self, wanted: Wanted) -> Key:
        """How it is looked at: the same for all that share a policy."""
        from inspector.fleet.done import Key, policy_digest

        known = self._keys.get(id(wanted.policy))
        if known is None:
            digest = policy_digest(wanted.policy, wanted.today)
            known = self._keys[id(wanted.policy)] = Key(digest, self._options)
        return known


@dataclass(slots=True)
class _Fleet:
    """One run: what is looked at, and the numbers of it."""

    session: Session
    runner: Runner
    how: How
    watch: Watch
    kept: _Kept | None
    total: int = 0
    audited: int = 0
    skipped: int = 0
    unreadable: int = 0
    nbytes: int = 0
    start: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    failed_before: list[str] = field(default_factory=list)

    def look(self, wanted: AllWanted) -> Answers:
        """What there is to say of each that no earlier run has done."""
        self.total = len(wanted)
        self.watch.start(self.total)
        self.start = time.monotonic()
        stop = Stop()
        try:
            coming = self.runner.each(self._items(wanted), self.how)
            with stop.taken(), contextlib.closing(coming):
                while (came := _next(coming, stop)) is not None:
                    self._take(came)
                    yield came.item.wanted, came.looked
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {self._so_far()}") from None
        except ClusterLost as error:
            raise ClusterLost(f"{error}: {self._so_far()}") from None
        finally:
            self.seconds = time.monotonic() - self.start
            self.watch.finish()

    def _items(self, wanted: AllWanted) -> Iterator[Item]:
        for one in wanted:
            item = Item(one, listed(one.path))
            before = None if self.kept is None else self.kept.before(item)
            if before is None:
                yield item
            else:
                self._skip(one, before)

    def _skip(self, wanted: Wanted, before: Before) -> None:
        self.skipped += 1
        counts = before.errors, before.warnings, before.infos
        tally = Tally(1, int(before.failed), *counts) if before.is_model else None
        self.session.take_before(wanted, tally)
        if before.failed and len(self.failed_before) < FINDINGS:
            self.failed_before.append(wanted.path)
        self.watch.skipped(before.failed)

    def _take(self, came: Came) -> None:
        self.audited += 1
        # A file that is no model was not audited, only looked at to say so.
        nbytes = came.item.listed.nbytes if came.looked is not None else 0
        self.nbytes += nbytes
        if came.looked is not None and not came.looked.report.readable:
            self.unreadable += 1
        if self.kept is not None:
            self.kept.take(came)
        self.watch.done(nbytes, came.failed)

    def _so_far(self) -> str:
        done = f"{self.audited + self.skipped:,} of {self.total:,} artifacts are done"
        if self.kept is None:
            return f"{done}; --results DIR would keep what is done"
        return f"{done}, and kept in {self.kept.where}: the same command goes on"

    def told(self, found: Report) -> Report:
        """The report with what there is to say of the run."""
        where = None if self.kept is None else self.kept.where
        fleet = FleetReport(
            artifacts=self.total,
            audited=self.audited,
            skipped=self.skipped,
            no_models=self.session.no_models,
            unreadable=self.unreadable,
            failed=self.session.tally.failed,
            nbytes=self.nbytes,
            seconds=self.seconds,
            per_second=self.audited / self.seconds if self.audited and self.seconds else None,
            results=where,
            workers=self.runner.workers,
            retried=self.runner.retried,
        )
        if where is None or not found.audit:
            return replace(found, fleet=fleet)
        note = (
            f"all findings are in {where}, and inspect fleet summary {where} tells of them; those"
            f" that fail are here, {FINDINGS} at most"
        )
        summary = replace(found.audit, notes=(*found.audit.notes, note))
        return replace(found, fleet=fleet, audit=summary)


def _next(coming: Generator[Came, None, None], stop: Stop) -> Came | None:
    """What comes next; Ctrl-C is heeded while it is waited for."""
    with stop.heeded():
        return next(coming, None)
