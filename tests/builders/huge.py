"""Artifacts of 1 GiB that take no room on a disk: sparse files, laid out as the real ones are.

Each maker takes a folder and the number of layers, and gives the path. A layer is a Dense of
1024 x 2048 or 2048 x 1024 float32, 8 MiB, with its bias: 128 of them are 1 GiB. Every value is
zero, since nothing but the structure is written; checksums are right.
"""

from tests.builders.huge_keras import keras, legacy, pruned
from tests.builders.huge_pieces import KERNEL, LAYERS, parameters
from tests.builders.huge_tensorflow import frozen, saved_model, tflite_model

MAKERS = {
    "h5": legacy,
    "pruned.h5": pruned,
    "keras": keras,
    "saved_model": saved_model,
    "tflite": tflite_model,
    "pb": frozen,
}

__all__ = [
    "KERNEL",
    "LAYERS",
    "MAKERS",
    "frozen",
    "keras",
    "legacy",
    "parameters",
    "pruned",
    "saved_model",
    "tflite_model",
]
