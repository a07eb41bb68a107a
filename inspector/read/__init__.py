"""Step 2: bytes -> Artifact. One file a format; a new one is a file here and a word in READERS."""

from __future__ import annotations

from inspector.detect import detect
from inspector.errors import Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.read import (
    checkpoint,
    frozen_graph,
    keras_archive,
    keras_h5,
    keras_shards,
    saved_model,
    tflite,
)
from inspector.read.formats import Format, Opened, Reader

READERS: tuple[Reader, ...] = (
    keras_h5.READER,
    keras_archive.READER,
    keras_shards.READER,
    saved_model.READER,
    checkpoint.READER,
    frozen_graph.READER,
    tflite.READER,
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
            return reader.read(path, limits)
    raise Unsupported(f"no reader takes {container}", path)


__all__ = ["FORMATS", "READERS", "Format", "Opened", "Reader", "read"]
