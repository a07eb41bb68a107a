"""The steps composed. The command line, notebooks and fleets call nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from inspector.allowance import in_time
from inspector.errors import ArtifactError, UsageError
from inspector.examine import (
    Progress,
    Silent,
    bars_of,
    confirm,
    examine,
    mask_check,
    measure_tensors,
    take_digests,
)
from inspector.limits import DEFAULT, Limits
from inspector.lookup import find
from inspector.model import Artifact

if TYPE_CHECKING:
    from inspector.auditing.policy import FailOn, Policy
    from inspector.auditing.session import Looked, Wanted
    from inspector.live.runner import LiveCounts
    from inspector.read import Opened
    from inspector.report import ArtifactReport, Explanation, Report


@dataclasses.dataclass(frozen=True, slots=True)
class LiveOptions:
    """How to ask live TensorFlow.

    python: one that has it, or the folder of its environment; else $INSPECT_LIVE_PYTHON, else this
    one. timeout: seconds for all artifacts; memory: bytes that the process may take. allow_code:
    load even what could run code of the artifact.
    """

    python: str | None = None
    timeout: float = DEFAULT.live_seconds
    memory: int = DEFAULT.live_bytes
    allow_code: bool = False


def open(path: str | os.PathLike[str], *, limits: Limits = DEFAULT) -> Opened:  # noqa: A001
    """Open an artifact: a context manager whose `.artifact` holds what it is made of.

    Payloads can be read while it is open. Raises NotFound, UnknownFormat, Truncated, Corrupt,
    Unsupported or LimitExceeded.
    """
    from inspector.read import read

    return read(os.fspath(path), limits)


def show(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    measure: bool = True,
    digest: bool = False,
    configs: bool = False,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of some artifacts, in the order given.

    One that cannot be read has its place in it too, with `readable` False; no ArtifactError
    leaves this function. measure: read the values (zeros, range, patterns); digest: read them, and
    the files, for their SHA-256; configs: put the config of each layer in; isolate: read in a
    process of its own, as for `audit`; threads: how many measure, None for as many as there are
    processors.
    """
    from inspector.assemble import build_unreadable
    from inspector.report import report

    each = _each(paths)
    if isolate:
        from inspector import isolation

        options = {"measure": measure, "digest": digest, "configs": configs, "threads": threads}
        return report("show", tuple(isolation.show(each, options, limits, progress)))
    artifacts: list[ArtifactReport] = []
    for path in each:
        try:
            with in_time(limits, path), open(path, limits=limits) as opened:
                artifact = opened.artifact
                watcher = progress or Silent()
                shown = _show(artifact, measure, digest, limits, threads, watcher)
            if configs:
                from inspector.assemble_digests import with_configs

                shown = with_configs(shown, artifact)
            artifacts.append(shown)
        except ArtifactError as error:
            failed = build_unreadable(path, error)
            if digest:
                from inspector.assemble_digests import with_file

                failed = with_file(failed)
            artifacts.append(failed)
    return report("show", tuple(artifacts))


def explain(
    path: str | os.PathLike[str],
    tensor: str,
    *,
    measure: bool = True,
    isolate: bool = False,
    limits: Limits = DEFAULT,
) -> Explanation:
    """All that is known of one tensor.

    tensor: its name, "layer/variable", "m of layer/variable" for a slot, an ending of a name that
    only one tensor has, or a glob.
    Raises UsageError when it names no tensor or several, ArtifactError when reading fails.
    """
    from inspector.assemble_explanation import build_explanation
    from inspector.classify import RULES, classify
    from inspector.report import Explanation

    if isolate:
        from inspector import isolation

        at = os.fspath(path)
        asked = {"path": at, "tensor": tensor, "measure": measure}
        return isolation.one("explain", Explanation, (at,), asked, limits)
    with in_time(limits, path), open(path, limits=limits) as opened:
        artifact = opened.artifact
        found = find(artifact, tensor)
        classified = classify(artifact)
        measured, problems = (
            measure_tensors((found,), limits, None, Silent()) if measure else ({}, [])
        )
        bars = None
        if found.name in measured:
            classified, more = confirm(
                artifact, classified, measured, limits, only=frozenset({found.name})
            )
            problems += more
            bars = bars_of(found, measured[found.name], limits)
        verdict = classified.verdicts[found.name]
        return build_explanation(
            artifact,
            found,
            verdict,
            next((rule for rule in RULES if rule.code == verdict.rule), None),
            measurement=measured.get(found.name),
            histogram=bars,
            check=mask_check(artifact, found, classified.verdicts, limits) if measure else None,
            problems=problems,
        )


def reconcile(
    path: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    *,
    measure: bool = True,
    gzip: bool = False,
    live: LiveOptions | None = None,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Report:
    """Why an artifact's count is what it is: its lines, which add up, and what they leave over.

    other: the same model stripped, converted or saved in another format: every weight is held
    against its partner in it. measure: read the values, for zeros and the sizes they allow (of two
    artifacts values are always compared); gzip: deflate them too; live: ask real TensorFlow for the
    same counts, in a process of its own. Raises ArtifactError when reading fails, LiveUnavailable
    where there is no TensorFlow, CodeRefused and LiveError.
    """
    from inspector.assemble import build_show
    from inspector.assemble_reconciliation import build_alone, build_between, known, with_live
    from inspector.both import examine_both
    from inspector.pairing import Tolerance
    from inspector.reconciliation import against
    from inspector.report import Report, report

    paths = [path] if other is None else [path, other]
    if isolate:
        from inspector import isolation

        if live is not None:
            raise UsageError("live TensorFlow has a process of its own; it is not asked in another")
        names = tuple(os.fspath(one) for one in paths)
        asked = {**dict(zip(("path", "other"), names, strict=False)), "measure": measure}
        return isolation.one("reconcile", Report, names, {**asked, "gzip": gzip}, limits, progress)
    waiting = 0 if live is None else live.timeout
    with in_time(limits, *paths, more=waiting), contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open(one, limits=limits)).artifact for one in paths]
        # First of all: what could run code is refused before anything is measured.
        said = () if live is None else _ask(paths, opened, live)
        watcher = progress or Silent()
        together = None
        if other is not None and measure:
            *each, together = examine_both(
                opened[0], opened[1], limits, watcher, tolerance=Tolerance(), rest=False, masks=True
            )
        else:
            each = [examine(one, measure, limits, None, watcher) for one in opened]
        if other is None:
            found = build_alone(*each[0][:4], gzip=gzip, limits=limits)
        else:
            a, b = (known(*one[:3]) for one in each)
            found = build_between(a, b, limits, together)
        if live is not None:
            answers = [
                (os.fspath(at), against(artifact, counted, counts))
                for at, (artifact, _, counted, *_), counts in zip(paths, each, said, strict=True)
            ]
            found = with_live(found, answers)
        return report("reconcile", tuple(build_show(*one) for one in each), reconciliation=found)


def diff(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    ignore: Sequence[str] = (),
    only: Sequence[str] = (),
    places: bool = False,
    measure: bool = True,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Report:
    """What changed from one artifact to another, of the same format or not.

    Either may be a JSON report that `show` saved, which stands for its artifact, or an empty file
    (/dev/null), which is none. rtol, atol: values no further apart than atol + rtol * the larger
    magnitude are the same. ignore, only: see `inspector.difference.nouns.Wanted`; places: say where
    bytes differ. measure: count zeros and patterns, for the totals; values are compared all the
    same. Raises UsageError for what cannot be ignored or looked at, ArtifactError when reading
    fails.
    """
    from inspector.difference.compare import compare
    from inspector.difference.nouns import Wanted
    from inspector.pairing import Tolerance
    from inspector.report import Report, report
    from inspector.two import open_two

    if isolate:
        from inspector import isolation

        names = os.fspath(a), os.fspath(b)
        asked = {
            "a": names[0],
            "b": names[1],
            "rtol": rtol,
            "atol": atol,
            "ignore": list(ignore),
            "only": list(only),
            "places": places,
            "measure": measure,
        }
        return isolation.one("diff", Report, names, asked, limits, progress)
    wanted = Wanted(Tolerance(rtol, atol), tuple(ignore), tuple(only), places)
    with in_time(limits, a, b), contextlib.ExitStack() as stack:
        two = open_two(
            (os.fspath(a), os.fspath(b)),
            stack,
            wanted.tolerance,
            limits,
            progress or Silent(),
            measure=measure,
        )
        found = compare(two.a, two.b, wanted, limits, together=two.together)
        return report("diff", (two.a.report, two.b.report), diff=found)


def _ask(
    paths: Sequence[str | os.PathLike[str]], artifacts: Sequence[Artifact], live: LiveOptions
) -> tuple[LiveCounts, ...]:
    from inspector.live.runner import run_live_many

    return run_live_many(
        [(os.fspath(path), artifact) for path, artifact in zip(paths, artifacts, strict=True)],
        python=live.python,
        timeout=live.timeout,
        memory=live.memory,
        allow_code=live.allow_code,
    )


def audit(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    policy: str | os.PathLike[str] | Policy | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    against: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    measure: bool = True,
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
    found. measure: read the values; fail_on: in place of the policy's. today: the day that the
    allow-list is held against. isolate: read in processes of their own, so that what crashes the
    HDF5 library, or hangs in it, is one finding too, and the rest go on; jobs: how many of them
    there are at once, None for one a processor. The report is the same whatever there are.

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
        discovered = session.discover(_each(paths), recursive)
        if against is not None and len(discovered) != 1:
            raise UsageError(f"--against is for one artifact, not for {len(discovered):,}")
        origin = None if against is None else os.fspath(against)
        look_at = functools.partial(looking, against=origin, measure=measure, progress=progress)
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
        discovered = session.discover(_each(paths), recursive)
        at = place(discovered, None if output is None else os.fspath(output), session.policies)
        look_at = functools.partial(looking, against=None, measure=measure, progress=progress)
        subjects = [Subject(shown, session.last) for shown in session.ask(discovered, look_at)]
    return at, suggest(subjects, os.path.dirname(os.path.abspath(at)), limits)


class _Looking(Protocol):
    """`look` at several artifacts, here or in processes of their own."""

    def __call__(
        self,
        wanted: Sequence[Wanted],
        *,
        against: str | None,
        measure: bool,
        progress: Progress | None,
    ) -> Iterator[Looked | None]: ...


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
    wanted: Sequence[Wanted],
    *,
    against: str | None,
    measure: bool,
    limits: Limits,
    progress: Progress | None,
) -> Iterator[Looked | None]:
    from inspector.auditing.look import look

    for one in wanted:
        yield look(
            one.path,
            policy=one.policy,
            today=one.today,
            may_be_no_model=one.may_be_no_model,
            against=against,
            measure=measure,
            limits=limits,
            progress=progress,
        )


def _each(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[str]:
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def _show(
    artifact: Artifact,
    measure: bool,
    digest: bool,
    limits: Limits,
    threads: int | None,
    progress: Progress,
) -> ArtifactReport:
    """The report of an artifact that is open."""
    from inspector.assemble import build_show

    _, classified, counted, measured, problems = examine(
        artifact, measure, limits, threads, progress
    )
    if not digest:
        return build_show(artifact, classified, counted, measured, problems)
    from inspector.assemble_digests import with_digests

    found, unread = take_digests(artifact, classified.verdicts, limits, progress)
    # What could not be measured has been told of.
    problems += [] if measure else unread
    shown = build_show(artifact, classified, counted, measured, problems)
    return with_digests(shown, artifact, found)
