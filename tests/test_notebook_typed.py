"""The public names have types that a strict consumer can rely on."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import inspector
from inspector.inspected import Inspected, InspectedTensor, Tensors

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_a_strict_consumer_type_checks():
    # With the options of the package, so that what `make lint` found out is not found out again.
    command = [sys.executable, "-m", "mypy", os.path.join("tests", "typed_consumer.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed():
    package = os.path.dirname(inspector.__file__)
    assert os.path.isfile(os.path.join(package, "py.typed"))


def test_everything_public_says_what_it_is():
    for name in inspector.__all__:
        assert inspect.getdoc(getattr(inspector, name)) or name == "__version__", name
    for kind in (Inspected, InspectedTensor, Tensors):
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                held = member.fget if isinstance(member, property) else member
                assert held.__doc__, f"{kind.__name__}.{name}"
                assert "return" in held.__annotations__, f"{kind.__name__}.{name}"
