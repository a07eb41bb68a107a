"""Inputs that once failed, as the fuzzers found them and made them small: none does again.

Each file of tests/corrupt/found is called after its target (tests/fuzz/targets.py) and its hash.
With each all jobs of tests/fuzz/exercise.py are done: it is shown, audited, explained, reconciled,
and compared with itself and with what it was made from.
"""

import os

import pytest

from tests.builders.samples import ROOT
from tests.fuzz.replay import tried
from tests.fuzz.targets import TARGETS

FOUND = os.path.join(ROOT, "tests", "corrupt", "found")


@pytest.mark.parametrize("name", sorted(os.listdir(FOUND)))
def test_what_failed_once_fails_no_more(name):
    target, _, digest = name.rpartition("-")
    assert target in TARGETS
    assert digest
    assert tried(target, os.path.join(FOUND, name)) is None
