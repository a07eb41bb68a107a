"""That no changed input of some samples does any harm, in the short form that test-fast has.

A file of tests for each family of formats, for files are what is divided among processes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from tests.builders.samples import SAMPLES, path
from tests.fuzz.batch import run
from tests.fuzz.changes import Share
from tests.fuzz.copies import files_of

SHARE = Share(cuts=200, bytes=500, lies=30)
# The graphs of some SavedModels take ten times as long as all else; `make fuzz-samples` has more.
OF_LARGE = Share(cuts=50, bytes=125, lies=30)
LARGE = 128 << 10  # bytes
EVERY = 8  # such an input gets another job than `show`
SECONDS = 1800  # by the clock, which others may share; each input has its own deadline
PEAK = 300 << 10  # KiB, where 512 MiB would be allowed
_TOGETHER = 7  # samples to a process


class Group(NamedTuple):
    """Samples that one process tries, all with one share."""

    share: Share
    names: Sequence[str]


def groups(names: Sequence[str]) -> list[Group]:
    large = [name for name in names if _nbytes(name) > LARGE]
    small = [name for name in names if name not in large]
    count = -(-len(small) // _TOGETHER)
    found = [Group(SHARE, small[first::count]) for first in range(count)]
    return [*found, Group(OF_LARGE, large)] if large else found


def _nbytes(name: str) -> int:
    return sum(os.path.getsize(os.path.join(SAMPLES, file)) for file in files_of(path(name)))


def assert_harmless(paths: Sequence[str], share: Share) -> None:
    outcome = run(paths, share, SECONDS, EVERY)
    assert not outcome.faults, "\n".join(map(str, outcome.faults))
    assert outcome.tried == sum(share) * len(paths)
    assert 0 < outcome.peak < PEAK
