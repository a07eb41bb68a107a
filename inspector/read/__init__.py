"""Step 2: bytes -> Artifact. A new format is a file here with a `read`, and a row in READERS."""

from __future__ import annotations

from inspector.detect import detect
from inspector.errors import LimitExceeded, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.read.formats import (
    CHECKPOINT,
    FROZEN_GRAPH,
    KERAS_DIR,
    KERAS_H5,
    KERAS_SHARDS,
    KERAS_WEIGHTS_H5,
    KERAS_ZIP,
    SAVED_MODEL,
    TFLITE,
    Format,
    Opened,
    Reader,
)

READERS: tuple[Reader, ...] = (
    Reader("keras_h5", (KERAS_H5, KERAS_WEIGHTS_H5), ("hdf5",)),
    Reader("keras_archive", (KERAS_ZIP, KERAS_DIR), ("zip", "keras-dir")),
    Reader("keras_shards", (KERAS_SHARDS,), ("keras-shards",)),
    Reader("saved_model", (SAVED_MODEL,), ("saved-model",)),
    Reader("checkpoint", (CHECKPOINT,), ("checkpoint",)),
    Reader("frozen_graph", (FROZEN_GRAPH,), ("graph-def", "graph-text", "meta-graph")),
    Reader("tflite", (TFLITE,), ("tflite",)),
)
FORMATS: tuple[Format, ...] = tuple(one for reader in READERS for one in reader.formats)


def read(path: str, limits: Limits = DEFAULT) -> Opened:
    """Open what is at `path`. A context manager: close it to let its files go.

    Raises ArtifactError (NotFound, UnknownFormat, Unsupported, Truncated, Corrupt,
    LimitExceeded) with one line that says what is wrong.
    """
    container = detect(path)
    for reader in READERS:
        if container in reader.containers:
            opened = reader.read(path, limits)
            count = len(opened.artifact.tensors)
            if count > limits.tensors:
                opened.close()
                raise LimitExceeded("tensors", count, limits.tensors, path)
            return opened
    raise Unsupported(f"no reader takes {container}", path)


__all__ = ["FORMATS", "READERS", "Format", "Opened", "Reader", "read"]
