"""These tests ask real TensorFlow; it is told to be quiet before anything imports it."""

import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPTS = os.path.join(ROOT, "scripts")

if SCRIPTS not in sys.path:
    sys.path.append(SCRIPTS)


@pytest.fixture(autouse=True, scope="module")
def _as_tensorflow_starts():
    """Undo what making samples turns on for its whole process: no module counts on another's."""
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()
