"""What a reader says of itself and gives back."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from inspector.errors import Changed
from inspector.limits import Limits
from inspector.model import Artifact


@dataclass(frozen=True, slots=True)
class Format:
    """One word of the JSON contract's `format`, for people. suffixes: the usual names."""

    name: str
    title: str
    suffixes: tuple[str, ...]


KERAS_H5 = Format("keras-h5", "Keras HDF5, whole model", (".h5", ".hdf5", ".keras"))
KERAS_WEIGHTS_H5 = Format(
    "keras-weights-h5", "Keras HDF5, weights only", (".weights.h5", ".h5", ".hdf5")
)
KERAS_SHARDS = Format("keras-weights-h5", "Keras HDF5, sharded weights", (".weights.json",))
KERAS_ZIP = Format("keras-zip", "Keras v3 archive", (".keras",))
KERAS_DIR = Format("keras-dir", "Keras v3 archive, unpacked", (".keras/",))
SAVED_MODEL = Format("saved-model", "SavedModel", ("saved_model.pb",))
CHECKPOINT = Format(
    "checkpoint", "TensorFlow checkpoint", (".index", ".ckpt", ".data-00000-of-00001")
)
FROZEN_GRAPH = Format("frozen-graph", "TensorFlow graph", (".pb", ".pbtxt", ".meta"))
TFLITE = Format("tflite", "TFLite", (".tflite",))


@dataclass(frozen=True, slots=True)
class Opened:
    """An artifact that was read, and the files it still needs for its tensors' values.

    A context manager: payloads can be read until it is left, which raises Changed where a file is
    no longer what it was.
    """

    artifact: Artifact
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)

    def close(self) -> None:
        """Let go of the files, whatever became of them."""
        with contextlib.suppress(Changed):
            self.held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held.__exit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class Reader:
    """One file of this folder, `module`: the formats it gives, and the containers it takes.

    A container is what `detect` says of a path.
    """

    module: str
    formats: tuple[Format, ...]
    containers: tuple[str, ...]

    def read(self, path: str, limits: Limits) -> Opened:
        """Open what is at `path`. The file is imported now: one format needs no other's."""
        module = importlib.import_module(f"inspector.read.{self.module}")
        opened: Opened = module.read(path, limits)
        return opened
