"""Named broken files: what is said of each, at once and in little memory."""

import os
import subprocess
import sys

import pytest

from inspector.errors import ArtifactError
from tests.builders.checks import codes, opened
from tests.corrupt.hdf5 import SAID

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# As `opened`, in a process that a hang or a flood of memory cannot take the tests along with.
SCRIPT = """
import sys
from inspector.errors import ArtifactError
from inspector.read import read
from tests.fuzz.clock import peak
try:
    read(sys.argv[1])
except ArtifactError:
    pass
print(peak())
"""


@pytest.mark.parametrize("make", SAID, ids=lambda make: make.__name__)
def test_says_what_is_wrong_in_bounds(tmp_path, make):
    path = make(tmp_path / "broken.h5")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=ROOT,
    )
    assert int(done.stdout) < 150 << 10  # KiB
    try:
        said = codes(opened(path))
    except ArtifactError as error:
        said = [type(error).__name__]
    assert SAID[make] is None or SAID[make] in said
    assert SAID[make] is not None or said == []
