"""What is done with an artifact that lies, and what must not come of it.

Every job may end in an InspectorError. Any other exception is a fault, and so is a `Fault`; a
signal, a hang and a flood of memory are seen from outside (`batch`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from inspector import api
from inspector.errors import InspectorError
from inspector.render import RENDERERS, REPORTS, RenderOptions
from inspector.report import Report
from tests.builders.terminal import Result, call
from tests.fuzz.clock import deadline

SECONDS = 5  # for one input
LARGEST = 512 << 10  # KiB, of the whole process
# What steers a terminal: controls (a line's end apart), marks of direction, separators of lines.
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_TENSOR = 3  # which tensor is explained


class Fault(AssertionError):
    """What no file may bring about."""


def _clean(text: str, what: str) -> str:
    found = STEERING.search(text)
    if found:
        near = text[max(found.start() - 40, 0) : found.end() + 40]
        raise Fault(f"{what} has a raw {found[0]!r}: {near!r}")
    return text


def _rendered(report: Report, formats: Iterable[str]) -> None:
    for name in formats:
        # CSV ends its lines as RFC 4180 has it.
        text = RENDERERS[name](report, RenderOptions(tensors=name != "text"))
        _clean(text.replace("\r\n", "\n"), name)


def _adds_up(report: Report) -> Report:
    for one in report.artifacts:
        if one.readable and sum(one.bytes.values()) != one.nbytes:
            raise Fault(f"bytes are {one.nbytes}, and add up to {sum(one.bytes.values())}")
        if not one.readable and not one.problems:
            raise Fault("unreadable, and nobody says why")
    return report


def held_clean(result: Result) -> None:
    """A command's exit code, and what it printed."""
    if result.code not in {0, 1, 2}:
        raise Fault(f"exit code {result.code}: {result.err.strip()[:500]}")
    if result.code == 2 and not result.err.strip():
        raise Fault("exit code 2 without a word")
    _clean(result.out.replace("\r\n", "\n"), "stdout")
    _clean(result.err, "stderr")


def show(path: str, original: str) -> None:
    """Open, classify, count, measure, report."""
    _adds_up(api.show([path], threads=1))


def render(path: str, original: str) -> None:
    """The same, written in every way."""
    _rendered(_adds_up(api.show([path], threads=1, pictures=True)), REPORTS)


def explain(path: str, original: str) -> None:
    """A tensor whose name the file gives."""
    with api.open(path) as opened:
        names = [one.name for one in opened.artifact.tensors[:_TENSOR]]
    for name in names[-1:]:
        held_clean(call("explain", path, name))


def command(path: str, original: str) -> None:
    held_clean(call("show", path, "--tensors"))


def stable(path: str, original: str) -> None:
    held_clean(call("show", path, "--stable"))


def audit(path: str, original: str) -> None:
    held_clean(call("audit", path, "--no-policy", "--no-isolate"))


def reconcile(path: str, original: str) -> None:
    held_clean(call("reconcile", path))


def diff(path: str, original: str) -> None:
    """Against what it was before it lied, in both directions; against itself nothing changed."""
    held_clean(call("diff", original, path, "--all"))
    held_clean(call("diff", path, original, "--format", "markdown"))


def itself(path: str, original: str) -> None:
    held_clean(call("diff", path, path))


def between(path: str, original: str) -> None:
    held_clean(call("reconcile", original, path))


def pages(path: str, original: str) -> None:
    """All that draws pictures, and what is beside them."""
    held_clean(call("reconcile", path, "--format", "html"))
    held_clean(call("diff", original, path, "--format", "html"))
    held_clean(call("audit", path, "--no-policy", "--no-isolate", "--format", "html"))


JOBS: Mapping[str, Callable[[str, str], None]] = {
    one.__name__: one
    for one in (
        show,
        render,
        explain,
        command,
        stable,
        audit,
        reconcile,
        diff,
        itself,
        between,
        pages,
    )
}
# For an input of a corpus.
ALL = (
    "render",
    "explain",
    "command",
    "stable",
    "audit",
    "reconcile",
    "diff",
    "itself",
    "between",
    "pages",
)
# For one of many, all of which are shown but these.
OTHERS = ("command", "audit", "render", "diff", "explain", "reconcile", "stable")


def in_turn(number: int, every: int) -> str:
    """The job for an input of many: one of the others for one in `every`, `show` for the rest."""
    turn, place = divmod(number, every)
    return "show" if place else OTHERS[turn % len(OTHERS)]


def exercise(
    path: str, original: str, jobs: Iterable[str] = ALL, seconds: float | None = None
) -> None:
    """Do the jobs with the artifact at `path`. original: the sound one that it was made from.

    seconds: for each job; longer, and the process is ended. Raises whatever is no InspectorError.
    """
    for job in jobs:
        try:
            with deadline(seconds):
                JOBS[job](path, original)
        except InspectorError as error:
            _clean(str(error), "an error's message")
            if "\n" in str(error) or not str(error):
                raise Fault(f"an error of no line, or of several: {error}") from error
