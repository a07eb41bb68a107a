"""One artifact, opened and shown to the rules."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Iterator, Sequence

from inspector.allowance import in_time
from inspector.assemble import build_show
from inspector.auditing.containers import contents
from inspector.auditing.contents import Contents
from inspector.auditing.policy import Policy
from inspector.auditing.rule import Context, Examined
from inspector.auditing.rules import RULES
from inspector.auditing.session import Looked, sum_up
from inspector.discover import is_no_model
from inspector.errors import ArtifactError, Changed, LimitExceeded
from inspector.examine import Progress, Silent, examine
from inspector.limits import DEFAULT, Limits
from inspector.measure import WORTH_THREADS
from inspector.measured import Measured
from inspector.model import Artifact
from inspector.parts import MeasuredPart, gathered
from inspector.read import read
from inspector.storage import noting
from inspector.wire.once import parsed_once


def look(
    path: str,
    *,
    policy: Policy,
    today: dt.date,
    may_be_no_model: bool = False,
    against: str | None = None,
    measure: bool = True,
    pictures: bool = False,
    digest: bool = False,
    measured: Sequence[MeasuredPart] = (),
    threads: int | None = None,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Looked | None:
    """What all rules that the policy selects say of one artifact; None for a file that is no model
    and `may_be_no_model`. measured: parts of it that were measured before (`parts.measure_part`),
    with digests if those are asked for: their values are read again only where tensors are held
    against each other. threads: how many measure a large one, None for as many as there are
    processors. The rest as for `audit`, whose part for one artifact it is.
    """
    seen = functools.partial(
        audit_context, measure=measure, threads=threads, limits=limits, progress=progress
    )
    try:
        with contextlib.ExitStack() as stack:
            original = None
            if against is not None:
                origin = stack.enter_context(seen(against))
                if origin.error is not None:
                    raise origin.error
                original = origin.examined
            context = stack.enter_context(
                seen(
                    path,
                    policy,
                    original=original,
                    pictures=pictures,
                    digest=digest,
                    measured=measured,
                )
            )
            if may_be_no_model and is_no_model(path, context.error):
                return None
            return _asked(context, today)
    except Changed as error:
        # What was found in half of one file and half of another says nothing of either.
        held, _ = _contents(path, limits)
        return _asked(Context(path, policy, None, error, None, limits, held), today)


def _asked(context: Context, today: dt.date) -> Looked:
    """What the rules say of an artifact; where asking them takes too much, only that it does."""
    try:
        with in_time(context.limits, context.path):
            return sum_up(context, RULES, today)
    except LimitExceeded as error:
        spent = Context(context.path, context.policy, error=error, limits=context.limits)
        return sum_up(spent, RULES, today)


@contextlib.contextmanager
def audit_context(
    path: str | os.PathLike[str],
    policy: Policy | None = None,
    *,
    original: Examined | None = None,
    measure: bool = True,
    pictures: bool = False,
    digest: bool = False,
    measured: Sequence[MeasuredPart] = (),
    threads: int | None = None,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Iterator[Context]:
    """What audit rules see of an artifact, open as long as the context is.

    policy: that of this path. original: of `audit_context` of what it was made from. Raises no
    ArtifactError, as what cannot be read has its error in the context, but for Changed when it is
    left.
    """
    at = os.fspath(path)
    with contextlib.ExitStack() as stack:
        examined, failed = None, None
        with parsed_once():
            try:
                with in_time(limits, at):
                    with noting() as files:
                        opened = stack.enter_context(read(at, limits))
                    known = gathered(opened.artifact, measured, files)
                    examined = _examined(
                        opened.artifact,
                        known,
                        measure=measure,
                        pictures=pictures,
                        digest=digest,
                        threads=threads,
                        limits=limits,
                        progress=progress or Silent(),
                    )
            except ArtifactError as error:
                failed = error
            held, over = _contents(at, limits)
        if over is not None:
            examined, failed = None, failed or over
        yield Context(at, policy or Policy(), examined, failed, original, limits, held)


def _contents(path: str, limits: Limits) -> tuple[Contents, LimitExceeded | None]:
    """What its containers hold; nothing, and the error, where that takes too much."""
    try:
        with in_time(limits, path):
            return contents(path, limits), None
    except LimitExceeded as error:
        return Contents(), error


def _examined(
    artifact: Artifact,
    measured: Measured,
    *,
    measure: bool,
    pictures: bool,
    digest: bool,
    threads: int | None,
    limits: Limits,
    progress: Progress,
) -> Examined:
    if sum(tensor.nbytes for tensor in artifact.tensors) < WORTH_THREADS:
        threads = None
    known = examine(
        artifact,
        measure,
        limits,
        threads,
        progress,
        thorough=True,
        digest=digest,
        known=measured,
    )
    shown = build_show(*known)
    if pictures:
        from inspector.pictures import with_pictures

        shown = with_pictures(shown, known, limits, threads)
    return Examined(artifact, known.classified, known.counted, shown, known.measured)
