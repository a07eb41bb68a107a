"""Rules asked of several artifacts, here or in processes of their own; a policy that they pass."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from inspector.errors import UsageError
from inspector.examine import Progress
from inspector.filesystem import admit
from inspector.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from inspector.auditing.policy import FailOn, Policy
    from inspector.auditing.session import AllWanted, Answers
    from inspector.report import Report


def audit(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    policy: str | os.PathLike[str] | Policy | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    against: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    measure: bool = True,
    pictures: bool = False,
    digest: bool = False,
    recursive: bool = False,
    fail_on: FailOn | None = None,
    today: dt.date | None = None,
    isolate: bool = False,
    jobs: int | None = None,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Report:
    """Ask rules of some artifacts before they ship. `report.audit.failed` is the verdict.

    paths: artifacts, globs of them, and with `recursive` folders to look through. policy: a file,
    or a policy itself; None for the one nearest above each artifact. select: codes of rules, or
    what they begin with, in place of the policy's; ignore: beside the policy's. against: what the
    one artifact was made from. baseline: a report saved from an earlier audit: only what is new is
    found. measure: read the values; digest: take the digests of all values, in the same pass (no
    file's: `show` has those); pictures: put in what pictures of each are drawn from, as for `show`;
    fail_on: in place of the policy's. today: the day that the allow-list is held against. isolate:
    read in processes of their own, so that what crashes the HDF5 library, or hangs in it, is one
    finding too, and the rest go on; jobs: how many of them there are at once, None for one a
    processor. The report is the same whatever there are.

    An artifact that cannot be read is a finding. Raises NotFound for a path where there is nothing,
    UsageError for a wrong policy, baseline or code, and ArtifactError where the original cannot be
    read.
    """
    with _looking(isolate, jobs, limits) as looking:
        # Not before a worker is started: it imports what it needs while this does.
        from inspector.auditing.session import Asked, Session

        session = Session(
            Asked(
                policy=os.fspath(policy) if isinstance(policy, (str, os.PathLike)) else policy,
                select=tuple(select),
                ignore=tuple(ignore),
                fail_on=fail_on,
                baseline=None if baseline is None else os.fspath(baseline),
                today=today,
                limits=limits,
            )
        )
        discovered = session.discover(each_path(paths), recursive)
        if against is not None and len(discovered) != 1:
            raise UsageError(f"--against is for one artifact, not for {len(discovered):,}")
        origin = None if against is None else admit(against)
        look_at = functools.partial(
            looking,
            against=origin,
            measure=measure,
            pictures=pictures,
            digest=digest,
            progress=progress,
        )
        return session.report(tuple(session.ask(discovered, look_at)))


def suggest_policy(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    measure: bool = True,
    recursive: bool = False,
    isolate: bool = False,
    jobs: int | None = None,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> tuple[str, str]:
    """A policy that some artifacts pass as they are: where to write it, and its TOML.

    output: the file to write, None for an inspector.toml that is found above all of them. Writes
    nothing. Raises NotFound for a path where there is nothing, UsageError where the file is there.
    """
    from inspector.auditing.policy import Policy
    from inspector.auditing.session import Asked, Session
    from inspector.auditing.suggest import Subject, place, suggest

    session = Session(Asked(policy=Policy(), limits=limits))
    with _looking(isolate, jobs, limits) as looking:
        discovered = session.discover(each_path(paths), recursive)
        at = place(discovered, None if output is None else os.fspath(output), session.policies)
        look_at = functools.partial(looking, against=None, measure=measure, progress=progress)
        subjects = [Subject(shown, session.last) for shown in session.ask(discovered, look_at)]
    return at, suggest(subjects, os.path.dirname(os.path.abspath(at)), limits)


class _Looking(Protocol):
    """`look` at several artifacts, here or in processes of their own."""

    def __call__(
        self,
        wanted: AllWanted,
        *,
        against: str | None,
        measure: bool,
        pictures: bool = False,
        digest: bool = False,
        progress: Progress | None,
    ) -> Answers: ...


@contextlib.contextmanager
def _looking(isolate: bool, jobs: int | None, limits: Limits) -> Iterator[_Looking]:
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} artifacts at once are none")
    if not isolate:
        if jobs is not None and jobs > 1:
            raise UsageError(
                "several jobs are for processes of their own: nothing is isolated here"
            )
        yield functools.partial(_look_here, limits=limits)
        return
    from inspector.isolation import Looker, Workers

    with Workers(limits) as workers:
        yield functools.partial(Looker(workers, limits), jobs=jobs)


def _look_here(
    wanted: AllWanted,
    *,
    against: str | None,
    measure: bool,
    pictures: bool = False,
    digest: bool = False,
    limits: Limits,
    progress: Progress | None,
) -> Answers:
    from inspector.auditing.look import look

    for one in wanted:
        yield (
            one,
            look(
                one.path,
                policy=one.policy,
                today=one.today,
                may_be_no_model=one.may_be_no_model,
                against=against,
                measure=measure,
                pictures=pictures,
                digest=digest,
                limits=limits,
                progress=progress,
            ),
        )


def each_path(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[str]:
    """One path or several, as a list of them; of URLs what stands for them."""
    if isinstance(paths, (str, os.PathLike)):
        return [admit(paths)]
    return [admit(path) for path in paths]
