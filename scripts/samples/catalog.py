"""What a family of samples is, and how its files reach the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Writer = Callable[[str], Any]
"""Writes one sample to the path it is given (and, for a sharded one, to paths beside it)."""

SEED = 20410


@dataclass(frozen=True)
class Unloadable:
    """The writer of a file that live Keras cannot load back; the model is asked in its place."""

    model: Any
    save: Writer

    def __call__(self, path: str) -> None:
        self.save(path)


@dataclass(frozen=True)
class Family:
    """Samples that come from one trained model.

    `make` trains the model and returns a writer for each of `names`.
    """

    names: tuple[str, ...]
    make: Callable[[], Mapping[str, Writer]]


def family(*names: str) -> Callable[[Callable[[], Mapping[str, Writer]]], Family]:
    """Declares a function as the maker of the samples `names`."""
    return lambda make: Family(names, make)


def write(
    families: tuple[Family, ...], directory: str, names: Collection[str]
) -> Iterator[tuple[str, Writer]]:
    """Writes the samples called `names`; yields each name and its writer.

    A file appears in `directory` complete or not at all: it is written in a temporary folder
    on the same disk and renamed.
    """
    for one in families:
        wanted = [name for name in one.names if name in names]
        if not wanted:
            continue
        start_afresh()
        writers = one.make()
        if set(writers) != set(one.names):
            raise RuntimeError(f"declared {sorted(one.names)}, made {sorted(writers)}")
        for name in wanted:
            with tempfile.TemporaryDirectory(dir=directory, prefix=".making-") as workshop:
                writers[name](os.path.join(workshop, name))
                for made in sorted(os.listdir(workshop)):
                    put(os.path.join(workshop, made), os.path.join(directory, made))
            yield name, writers[name]


def put(made: str, target: str) -> None:
    """Renames `made` to `target`; a directory in the way goes first."""
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    os.replace(made, target)


def start_afresh() -> None:
    """Resets names, seeds and graphs of both Kerases, so that a sample depends on itself alone."""
    import keras
    import tensorflow as tf
    import tf_keras

    for one in (tf_keras, keras):
        one.backend.clear_session()
        one.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
