"""Mutated files of every kind: each opens with its bytes adding up or is refused, in bounds.

Each batch has a process of its own, since libhdf5 may crash or hang where Python cannot reach.
"""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.builders.hdf5 import DENSE_BIAS, whole_model
from tests.builders.keras import keras_zip, members, npz_weights

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEEDS = 60
SECONDS = 300
LARGEST = 300 << 10  # KiB, of the process at its largest


def filtered(group: h5py.Group, name: str) -> None:
    values = np.arange(200, dtype="f4").reshape(20, 10)
    group.create_dataset(
        name, data=values, chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True
    )


def chunked(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, data=np.arange(200, dtype="f4").reshape(20, 10), chunks=(4, 4))


LAYERS = {
    "dense": {"dense/kernel:0": filtered, "dense/bias:0": DENSE_BIAS, "dense/other:0": chunked}
}
HAND_MADE = {
    "earliest.h5": lambda path: whole_model(path, LAYERS),
    "latest.h5": lambda path: whole_model(path, LAYERS, libver="latest"),
    "block.h5": lambda path: whole_model(path, userblock_size=512),
    "npz.keras": lambda path: keras_zip(path, members(npz_weights(), "model.weights.npz")),
}
SAMPLES = (
    "pruned_weights.h5",
    "stripped.h5",
    "k3.weights.h5",
    "k3_int8.keras",
    "k3_npz.keras",
    "k3_sharded_00001.weights.h5",
)


@pytest.mark.parametrize("name", [*HAND_MADE, *SAMPLES])
def test_every_mutation_opens_soundly_or_is_refused(tmp_path, name):
    sample = (
        HAND_MADE[name](tmp_path / name)
        if name in HAND_MADE
        else os.path.join(ROOT, "sample_models", name)
    )
    command = [sys.executable, "-m", "tests.builders.fuzz", tmp_path, "0", str(SEEDS), sample]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT
    )
    last = done.stdout.strip().rsplit("\n", 1)[-1]
    assert done.returncode == 0, f"{last}: {done.stderr[-2000:]}"
    assert len(done.stdout.splitlines()) == SEEDS + 1
    assert int(last) < LARGEST
