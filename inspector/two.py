"""Two artifacts opened for a comparison, each of which may be a report that was saved earlier."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from msgspec.structs import replace

from inspector import filesystem
from inspector.assemble import build_show
from inspector.both import Together, examine_both
from inspector.difference.baseline import read_saved
from inspector.difference.nouns import Subject
from inspector.examine import Known, Progress, examine
from inspector.limits import Limits
from inspector.model import Artifact
from inspector.pairing import Tolerance
from inspector.read import read


class Two(NamedTuple):
    """Both, and what is known of their pairs."""

    a: Subject
    b: Subject
    together: Together = Together()


def open_two(
    paths: tuple[str, str],
    stack: contextlib.ExitStack,
    tolerance: Tolerance,
    limits: Limits,
    progress: Progress,
    *,
    measure: bool,
) -> Two:
    """Both sides of a difference, open until the stack is left.

    Each is an artifact, a report that `show` saved, or an empty file, which is no artifact. What
    both have is read once where values are measured.
    """
    sides = [_side(path, stack, limits) for path in paths]
    a, b = sides
    if measure and isinstance(a, Artifact) and isinstance(b, Artifact):
        known_a, known_b, together = examine_both(a, b, limits, progress, tolerance=tolerance)
        return Two(_subject(known_a), _subject(known_b), together)
    one, other = (
        side
        if isinstance(side, Subject)
        else _subject(examine(side, measure, limits, None, progress))
        for side in sides
    )
    return Two(one, other)


def _side(path: str, stack: contextlib.ExitStack, limits: Limits) -> Artifact | Subject:
    if is_empty(path):
        return Artifact(path, "", "nothing", (), (), {})
    saved = read_saved(path, limits)
    return stack.enter_context(read(path, limits)).artifact if saved is None else saved


def is_empty(path: str) -> bool:
    """Whether it stands for a file that one of two versions has not, as git hands one over."""
    return path == os.devnull or (filesystem.isfile(path) and filesystem.getsize(path) == 0)


def _subject(known: Known) -> Subject:
    """An artifact that is open."""
    shown = build_show(*known)
    if not known.artifact.format:
        shown = replace(shown, format=None, answer=())
    return Subject(known.artifact, known.classified.verdicts, shown)
