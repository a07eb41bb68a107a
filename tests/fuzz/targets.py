"""The fuzzers' targets: for each format, which file of which sample the bytes become.

A new reader gets a line here.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import h5py
import numpy as np

from inspector import api
from inspector.errors import InspectorError
from inspector.render import RENDERERS, RenderOptions
from tests.builders.samples import SAMPLES
from tests.builders.terminal import call
from tests.fuzz.clock import deadline
from tests.fuzz.copies import Copy
from tests.fuzz.exercise import ALL, Fault, exercise, held_clean

LARGEST_SEED = 64 << 10
_NPZ = "model.weights.npz"
Jobs = Callable[[str, str, bytes], None]


def _inspected(path: str, original: str, content: bytes) -> None:
    """One job, since time is short: rendering mostly, else another that the content chooses."""
    chosen = zlib.crc32(content) % (2 * len(ALL))
    exercise(path, original, (ALL[chosen] if chosen < len(ALL) else "render",))


def _as_report(path: str, original: str, content: bytes) -> None:
    """The bytes are a report saved earlier, which stands for its artifact."""
    for arguments in (("diff", path, original), ("audit", original, "--no-policy", "--no-isolate",
                                                 "--baseline", path)):  # fmt: skip
        held_clean(call(*arguments))


def _as_policy(path: str, original: str, content: bytes) -> None:
    held_clean(call("audit", original, "--policy", path, "--no-isolate"))


class Target(NamedTuple):
    """host: the sample that the file is part of; file: below the folder of samples, by default the
    host itself. seeds: globs there, and functions that make bytes. jobs: what is run of it.
    """

    host: str
    seeds: tuple[str | Callable[[], bytes], ...]
    file: str = ""
    jobs: Jobs = _inspected


def _latest() -> bytes:
    """HDF5 in its newest form, whose structures have checksums."""
    out = io.BytesIO()
    source = os.path.join(SAMPLES, "stripped.h5")
    with h5py.File(source) as old, h5py.File(out, "w", libver="latest") as new:
        for name in old:
            old.copy(name, new)
        for name, value in old.attrs.items():
            new.attrs[name] = value
        new.create_dataset("extra/a:0", data=np.arange(60.0).reshape(6, 10), chunks=(3, 5))
        new.create_dataset(
            "extra/b:0", data=np.zeros((4, 4)), chunks=(2, 2), maxshape=(None, 4), compression=4
        )
    return out.getvalue()


def _npz() -> bytes:
    with zipfile.ZipFile(os.path.join(SAMPLES, "k3_npz.keras")) as archive:
        return archive.read(_NPZ)


def _report() -> bytes:
    shown = api.show([os.path.join(SAMPLES, "stripped.h5")])
    return RENDERERS["json"](shown, RenderOptions()).encode()


def _audited() -> bytes:
    found = api.audit([os.path.join(SAMPLES, "pruned.h5")])
    return RENDERERS["json"](found, RenderOptions()).encode()


def _policy() -> bytes:
    return api.suggest_policy([os.path.join(SAMPLES, "pruned.h5")])[1].encode()


TARGETS: dict[str, Target] = {
    "keras-h5": Target(
        "stripped.h5", ("stripped*.h5", "pruned*.h5", "tfk_*.h5", "qat.h5", "clustered.h5", _latest)
    ),
    "keras-weights-h5": Target("k3.weights.h5", ("*.weights.h5", "pruned_weights.h5")),
    "keras-zip": Target("stripped.keras", ("*.keras",)),
    "keras-config": Target("k3_dir", ("k3_dir/config.json",), "k3_dir/config.json"),
    "keras-npz": Target("k3_npz", (_npz,), f"k3_npz/{_NPZ}"),
    "keras-shards": Target("k3_sharded.weights.json", ("*.weights.json",)),
    "saved-model": Target(
        "saved_stripped", ("saved_*/saved_model.pb",), "saved_stripped/saved_model.pb"
    ),
    "saved-model-metadata": Target(
        "saved_stripped", ("saved_*/keras_metadata.pb",), "saved_stripped/keras_metadata.pb"
    ),
    "checkpoint-index": Target(
        "ckpt_adam", ("*.index", "saved_*/variables/*.index"), "ckpt_adam.index"
    ),
    "checkpoint-data": Target("ckpt_adam", ("ckpt_adam*.data-*",), "ckpt_adam.data-00000-of-00001"),
    "checkpoint-meta": Target("ckpt_v1", ("*.meta",), "ckpt_v1.meta"),
    "checkpoint-v1": Target("ckpt_v1_format.ckpt", ("*.ckpt",)),
    "checkpoint-state": Target(
        "ckpt_manager", ("ckpt_manager/checkpoint",), "ckpt_manager/checkpoint"
    ),
    "frozen-graph": Target("frozen_tiny.pb", ("frozen_*.pb",)),
    "graph-text": Target("frozen_tiny.pbtxt", ("*.pbtxt",)),
    "tflite": Target("lite_float.tflite", ("*.tflite",)),
    "saved-report": Target("stripped.h5", (_report, _audited), "saved.json", _as_report),
    "policy": Target("stripped.h5", (_policy,), "inspector.toml", _as_policy),
}


def seeds(target: Target) -> dict[str, bytes]:
    """The inputs to begin with, by name; the smallest alone where all are large."""
    found: dict[str, bytes] = {}
    for one in target.seeds:
        if callable(one):
            found[one.__name__.strip("_")] = one()
            continue
        for path in sorted(glob.glob(os.path.join(SAMPLES, one))):
            with open(path, "rb") as opened:
                found[os.path.relpath(path, SAMPLES).replace(os.sep, "_")] = opened.read()
    small = {name: held for name, held in found.items() if len(held) <= LARGEST_SEED}
    return small or dict([min(found.items(), key=lambda one: len(one[1]))])


class Case:
    """A target's artifact in a folder, whose file becomes each input in turn."""

    def __init__(self, target: Target, folder: str) -> None:
        self._target = target
        if target.host == "k3_npz":
            _unpacked(os.path.join(SAMPLES, "k3_npz.keras"), os.path.join(folder, "k3_npz"))
            self.original = os.path.join(SAMPLES, "k3_npz.keras")
        else:
            self.original = os.path.join(SAMPLES, target.host)
            Copy(self.original, folder)
        self._file = os.path.join(folder, target.file or target.host)
        inside = target.jobs is _inspected
        self._path = os.path.join(folder, target.host) if inside else self._file

    def attempt(self, content: bytes, seconds: float | None = None) -> None:
        """Run a job on an input; with `seconds` all of them, and none may take longer.

        Raises what is a fault.
        """
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._file)
        with open(self._file, "wb") as opened:
            opened.write(content)
        try:
            if seconds and self._target.jobs is _inspected:
                exercise(self._path, self.original, ALL, seconds)
                return
            with deadline(seconds):
                self._target.jobs(self._path, self.original, content)
        except InspectorError as error:
            raise Fault(f"not caught by the command: {error}") from error


def _unpacked(archive: str, folder: str) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)


@contextlib.contextmanager
def case(name: str) -> Iterator[Case]:
    folder = tempfile.mkdtemp(prefix="inspect-fuzz-")
    try:
        yield Case(TARGETS[name], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
