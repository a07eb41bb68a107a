"""Programs of the system that some tests drive: a browser, shells, tmux."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Where it is. A test that needs one is skipped where it is not there; it fails where
    INSPECT_NEED_PROGRAMS=1 says that all of them have to be, as in continuous integration.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    if os.environ.get("INSPECT_NEED_PROGRAMS") == "1":
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")
