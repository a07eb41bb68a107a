"""Nothing that a file names outside itself is opened: the targets are pipes, which would hang."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.builders.hdf5 import DENSE, DENSE_CONFIG, legacy_weights, v3_store

# Prints the codes of the problems and every file that was opened below the artifact's folder.
SCRIPT = """
import sys
path = sys.argv[1]
opened = []
def note(event, args):
    if event in ("open", "os.listdir", "os.scandir") and "artifacts" in str(args[0]):
        opened.append(str(args[0]))
from inspector.api import show
sys.addaudithook(note)
report = show([path])
(one,) = report.artifacts
print(one.readable, sum(one.bytes.values()) == one.nbytes)
print(",".join(sorted({p.code for p in one.problems})))
print(one.totals.stored_elements)
print(opened == [path] * len(opened))
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a pipe in it: whoever opens the pipe to read waits until the test times out."""
    made = tmp_path / "artifacts"
    made.mkdir()
    os.mkfifo(made / "target.h5")
    return made


def inspected(path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=os.path.dirname(path),
    )
    assert done.returncode == 0, done.stderr
    sound, codes, elements, alone = done.stdout.splitlines()
    assert sound == "True True"
    assert alone == "True"
    return codes.split(","), int(elements)


def legacy(path, fill):
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(DENSE_CONFIG)
        fill(file)
    return path


def external_kernel(layer, name):
    layer[name] = h5py.ExternalLink("target.h5", "/kernel")


def virtual(layer, name, unlimited=False):
    layout = h5py.VirtualLayout((4, 3), "f4", maxshape=(None, 3) if unlimited else None)
    source = h5py.VirtualSource("target.h5", "/kernel", (4, 3), maxshape=(None, 3))
    if unlimited:
        layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    else:
        layout[:] = source
    layer.create_virtual_dataset(name, layout, fillvalue=0)


def numbered_virtual(layer, name):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.VIRTUAL)
    space = h5py.h5s.create_simple((4, 3), (h5py.h5s.UNLIMITED, 3))
    blocks = space.copy()
    blocks.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (4, 3), (4, 3))
    plist.set_virtual(blocks, b"target.h5", b"/kernel%b", h5py.h5s.create_simple((4, 3)))
    h5py.h5d.create(layer.id, name.replace("/", "_").encode(), h5py.h5t.IEEE_F32LE, space, plist)


def external_storage(layer, name):
    layer.create_dataset(name, (4, 3), "f4", external=[("target.h5", 0, 48)])


PLACES = {
    "an external link as a kernel": (external_kernel, "external-link", 3),
    "a virtual dataset": (virtual, "virtual-dataset", 15),
    "a growing virtual dataset": (lambda g, n: virtual(g, n, True), "virtual-dataset", None),
    "a virtual dataset of numbered files": (numbered_virtual, "virtual-dataset", None),
    "external storage": (external_storage, "external-storage", 15),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_kernel_that_leads_out_of_the_file_is_not_followed(folder, kind):
    value, code, elements = PLACES[kind]
    layers = {"dense": {"dense/kernel:0": value, "dense/bias:0": np.zeros(3, "f4")}}
    path = legacy(
        folder / "model.h5",
        lambda file: legacy_weights(file.create_group("model_weights"), layers),
    )
    codes, found = inspected(path)
    assert code in codes
    assert elements in (None, found)


@pytest.mark.parametrize("kind", ["soft", "external"])
def test_model_weights_that_is_itself_a_link_is_not_followed(folder, kind):
    def fill(file):
        legacy_weights(file.create_group("elsewhere"), DENSE)
        file["model_weights"] = (
            h5py.SoftLink("/elsewhere")
            if kind == "soft"
            else h5py.ExternalLink("target.h5", "/model_weights")
        )

    codes, elements = inspected(legacy(folder / "model.h5", fill))
    assert "no-weights" in codes
    assert ("external-link" in codes) == (kind == "external")
    assert elements == 15


def test_an_external_link_in_the_middle_of_a_path_is_not_followed(folder):
    def fill(file):
        legacy_weights(file.create_group("model_weights"), DENSE)
        layers = file["model_weights"]
        layers["outside"] = h5py.ExternalLink("target.h5", "/")
        layers.attrs["layer_names"] = np.array([b"outside/dense", b"outside", b"dense"])
        layers["dense"].attrs["weight_names"] = np.array(
            [b"../outside/kernel", b"dense/kernel:0", b"dense/bias:0"]
        )

    codes, elements = inspected(legacy(folder / "model.h5", fill))
    assert "external-link" in codes
    assert elements == 15


def test_a_link_name_patched_to_run_through_an_external_link_is_not_followed(folder):
    def fill(file):
        legacy_weights(file.create_group("model_weights"), DENSE)
        file["model_weights/out"] = h5py.ExternalLink("target.h5", "/")
        file["model_weights/out_x"] = np.zeros(2, "f4")

    path = legacy(folder / "model.h5", fill)
    content = path.read_bytes()
    assert content.count(b"out_x") == 1
    path.write_bytes(content.replace(b"out_x", b"out/x"))
    # The checksum of the header no longer fits, or the name is refused: either way no hang.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_store_whose_variable_leads_out_is_not_followed(folder):
    path = folder / "m.weights.h5"
    v3_store(path, {"layers/dense": [external_kernel, virtual, external_storage]})
    codes, _ = inspected(path)
    assert {"external-link", "virtual-dataset", "external-storage"} <= set(codes)


def test_the_pipe_would_hold_up_whoever_opens_it(folder):
    script = "import h5py, sys; h5py.File(sys.argv[1])['model_weights/dense/dense/kernel:0']"
    layers = {"dense": {"dense/kernel:0": external_kernel}}
    path = legacy(
        folder / "model.h5",
        lambda file: legacy_weights(file.create_group("model_weights"), layers),
    )
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", script, str(path)], timeout=3, check=False)
