"""The committed samples, and what live TensorFlow said of each (`<name>.expected.json`)."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(ROOT, "sample_models")
SUFFIX = ".expected.json"


def path(name: str) -> str:
    """Where a sample is: a file, a directory, or the prefix of a checkpoint's files."""
    return os.path.join(SAMPLES, name)


@functools.cache
def expected(name: str) -> Any:
    with open(path(name) + SUFFIX, encoding="utf-8") as file:
        return json.load(file)


NAMES = sorted(n.removesuffix(SUFFIX) for n in os.listdir(SAMPLES) if n.endswith(SUFFIX))

# What is expected of TensorFlow's own formats is said key by key, of Keras files by variable.
SAVED_MODELS, CHECKPOINTS, GRAPHS, TFLITE = (
    [name for name in NAMES if expected(name).get("format") == kind]
    for kind in ("saved-model", "checkpoint", "frozen-graph", "tflite")
)
TENSORFLOW = sorted([*SAVED_MODELS, *CHECKPOINTS, *GRAPHS])
KERAS = [name for name in NAMES if "format" not in expected(name)]
