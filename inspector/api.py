"""The steps composed. The command line, notebooks and fleets call nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inspector.allowance import in_time
from inspector.audits import audit, each_path, suggest_policy
from inspector.errors import ArtifactError, UsageError
from inspector.examine import Progress, Silent, examine
from inspector.filesystem import admit, is_far
from inspector.limits import DEFAULT, Limits
from inspector.lookup import find
from inspector.model import Artifact
from inspector.reports import explain_open, show_open

if TYPE_CHECKING:
    from inspector.inspected import Inspected
    from inspector.live.runner import LiveCounts
    from inspector.report import ArtifactReport, Explanation, Report


__all__ = [
    "LiveOptions",
    "Progress",
    "Silent",
    "audit",
    "diff",
    "explain",
    "find",
    "open",
    "reconcile",
    "show",
    "suggest_policy",
]


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


def open(path: str | os.PathLike[str], *, limits: Limits = DEFAULT) -> Inspected:  # noqa: A001
    """Open an artifact: in a notebook it shows itself, and its tensors become arrays.

    Reads its structure; values are read when something asks for them, and no file stays open in
    between. In a `with` block the files stay open, so that all values are read of one state.

    Raises NotFound, UnknownFormat, Truncated, Corrupt, Unsupported or LimitExceeded; Changed where
    it became another file meanwhile.
    """
    return _opened(admit(path), limits)


def _each_of(path: str, limits: Limits) -> tuple[str, ...]:
    """What a glob of a URL means: a shell knows nothing of those."""
    if not is_far(path):
        return (path,)
    from inspector.discover import expanded

    return expanded(path, limits)


def _opened(path: str, limits: Limits) -> Inspected:
    from inspector.inspected import Inspected

    return Inspected(path, limits)


def show(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    measure: bool = True,
    digest: bool = False,
    configs: bool = False,
    pictures: bool = False,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of some artifacts, in the order given.

    One that cannot be read has its place in it too, with `readable` False; no ArtifactError
    leaves this function. measure: read the values (zeros, range, patterns); digest: read them, and
    the files, for their SHA-256; configs: put the config of each layer in; pictures: and what
    pictures are drawn from, those of values where they are measured; isolate: read in a process of
    its own, as for `audit`; threads: how many measure, None for as many as there are processors.
    """
    from inspector.assemble import build_unreadable
    from inspector.report import report

    each = [one for path in each_path(paths) for one in _each_of(path, limits)]
    if isolate:
        from inspector import isolation

        options = {
            "measure": measure,
            "digest": digest,
            "configs": configs,
            "pictures": pictures,
            "threads": threads,
        }
        return report("show", tuple(isolation.show(each, options, limits, progress)))
    artifacts: list[ArtifactReport] = []
    for path in each:
        try:
            with in_time(limits, path), _opened(path, limits) as opened:
                artifact = opened.artifact
                shown = show_open(
                    artifact,
                    measure=measure,
                    digest=digest,
                    pictures=pictures,
                    limits=limits,
                    threads=threads,
                    progress=progress,
                )
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
    from inspector.report import Explanation

    path = admit(path)
    if isolate:
        from inspector import isolation

        at = path
        asked = {"path": at, "tensor": tensor, "measure": measure}
        return isolation.one("explain", Explanation, (at,), asked, limits)
    with in_time(limits, path), _opened(path, limits) as opened:
        found = find(opened.artifact, tensor)
        return explain_open(opened.artifact, found, measure=measure, limits=limits)


def reconcile(
    path: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    *,
    measure: bool = True,
    gzip: bool = False,
    live: LiveOptions | None = None,
    pictures: bool = False,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Report:
    """Why an artifact's count is what it is: its lines, which add up, and what they leave over.

    other: the same model stripped, converted or saved in another format: every weight is held
    against its partner in it. measure: read the values, for zeros and the sizes they allow (of two
    artifacts values are always compared); gzip: deflate them too; live: ask real TensorFlow for the
    same counts, in a process of its own; pictures: as for `show`. Raises ArtifactError when reading
    fails, LiveUnavailable where there is no TensorFlow, CodeRefused and LiveError.
    """
    from inspector.assemble import build_show
    from inspector.assemble_reconciliation import build_alone, build_between, known, with_live
    from inspector.both import examine_both
    from inspector.pairing import Tolerance
    from inspector.reconciliation import against
    from inspector.report import Report, report

    paths = [admit(one) for one in (path, other) if one is not None]
    if isolate:
        from inspector import isolation

        if live is not None:
            raise UsageError("live TensorFlow has a process of its own; it is not asked in another")
        names = tuple(paths)
        asked = {**dict(zip(("path", "other"), names, strict=False)), "measure": measure}
        asked |= {"gzip": gzip, "pictures": pictures}
        return isolation.one("reconcile", Report, names, asked, limits, progress)
    waiting = 0 if live is None else live.timeout
    with in_time(limits, *paths, more=waiting), contextlib.ExitStack() as stack:
        opened = [stack.enter_context(_opened(one, limits)).artifact for one in paths]
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
                (at, against(artifact, counted, counts))
                for at, (artifact, _, counted, *_), counts in zip(paths, each, said, strict=True)
            ]
            found = with_live(found, answers)
        shown = [build_show(*one) for one in each]
        if pictures:
            from inspector.pictures import with_pictures

            shown = [with_pictures(one, of, limits) for one, of in zip(shown, each, strict=True)]
        return report("reconcile", tuple(shown), reconciliation=found)


def diff(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    ignore: Sequence[str] = (),
    only: Sequence[str] = (),
    places: bool = False,
    pictures: bool = False,
    measure: bool = True,
    isolate: bool = False,
    limits: Limits = DEFAULT,
    progress: Progress | None = None,
) -> Report:
    """What changed from one artifact to another, of the same format or not.

    Either may be a JSON report that `show` saved, which stands for its artifact, or an empty file
    (/dev/null), which is none. rtol, atol: values no further apart than atol + rtol * the larger
    magnitude are the same. ignore, only: see `inspector.difference.nouns.Wanted`; places: say where
    bytes differ; pictures: how those values spread that changed most. measure: count zeros and
    patterns, for the totals; values are compared all the same. Raises UsageError for what cannot be
    ignored or looked at, ArtifactError when reading fails.
    """
    from inspector.difference.compare import compare
    from inspector.difference.nouns import Wanted
    from inspector.pairing import Tolerance
    from inspector.report import Report, report
    from inspector.two import open_two

    a, b = names = admit(a), admit(b)
    if isolate:
        from inspector import isolation

        asked = {
            "a": names[0],
            "b": names[1],
            "rtol": rtol,
            "atol": atol,
            "ignore": list(ignore),
            "only": list(only),
            "places": places,
            "pictures": pictures,
            "measure": measure,
        }
        return isolation.one("diff", Report, names, asked, limits, progress)
    wanted = Wanted(Tolerance(rtol, atol), tuple(ignore), tuple(only), places)
    with in_time(limits, a, b), contextlib.ExitStack() as stack:
        two = open_two(
            names,
            stack,
            wanted.tolerance,
            limits,
            progress or Silent(),
            measure=measure,
        )
        found = compare(two.a, two.b, wanted, limits, together=two.together)
        if pictures:
            from inspector.pictures import diff_pictures

            found = diff_pictures(
                found, (two.a.artifact, two.a.report), (two.b.artifact, two.b.report), limits
            )
        return report("diff", (two.a.report, two.b.report), diff=found)


def _ask(
    paths: Sequence[str], artifacts: Sequence[Artifact], live: LiveOptions
) -> tuple[LiveCounts, ...]:
    from inspector.live.runner import run_live_many

    return run_live_many(
        list(zip(paths, artifacts, strict=True)),
        python=live.python,
        timeout=live.timeout,
        memory=live.memory,
        allow_code=live.allow_code,
    )
