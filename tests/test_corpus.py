"""Real artifacts from the wild: the folder that the environment variable INSPECT_CORPUS names.

Every one opens with its bytes adding up and no tensor unexplained, or is refused in one line.
"""

import csv
import os

import h5py
import pytest

from inspector.classify import classify
from inspector.count import count
from inspector.errors import UnknownFormat, Unsupported
from inspector.model import Role
from inspector.read import read
from tests.builders.checks import assert_adds_up, refused

CORPUS = os.environ.get("INSPECT_CORPUS", "")
KERAS = (".h5", ".hdf5", ".keras")
# Named .hdf5 and of other programs: what they are not is said, and the library stays sound.
REFUSED = (UnknownFormat, Unsupported)


def artifacts():
    """(path, whether a Keras reader opens it) of every file, and every SavedModel's folder."""
    for folder, inner, files in os.walk(CORPUS):
        inner.sort()
        if "saved_model.pb" in files:
            yield folder
        for name in sorted(files):
            yield os.path.join(folder, name)


def all_of_it():
    found = list(artifacts()) if CORPUS else []
    if not found:
        skip = pytest.mark.skip(reason="INSPECT_CORPUS names no folder of artifacts")
        return [pytest.param("", id="none", marks=skip)]
    return [pytest.param(path, id=os.path.relpath(path, CORPUS)) for path in found]


def plain_count(path):
    """(elements under model_weights or at the top, elements of the file), each object once."""
    seen, totals = set(), {True: 0, False: 0}

    def visit(group, inside):
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                continue
            node = group[name]
            address = h5py.h5o.get_info(node.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(node, h5py.Group):
                visit(node, inside)
            elif node.shape is not None:
                totals[inside] += node.size

    with h5py.File(path, "r") as file:
        whole = "model_weights" in file
        if whole:
            visit(file["model_weights"], True)
        visit(file, not whole)
    return totals[True], totals[True] + totals[False]


@pytest.mark.parametrize("path", all_of_it())
def test_opens_explained_and_adding_up_or_is_refused_in_a_line(path):
    try:
        result = read(path)
    except REFUSED:
        refused(path)
        return
    with result:
        artifact = result.artifact
        assert_adds_up(artifact)
        verdicts = classify(artifact).verdicts
        unexplained = [name for name, one in verdicts.items() if one.role is Role.UNKNOWN]
        assert unexplained == []
        totals = count(artifact, verdicts).totals
        assert totals.stored_elements == sum(one.stored_elements for one in artifact.tensors)
        if artifact.format != "tflite":  # there, what has no values has a shape, and buffers shared
            assert totals.stored_elements == sum(one.elements for one in artifact.tensors)
        if artifact.format in {"keras-h5", "keras-weights-h5"} and h5py.is_hdf5(path):
            model, everything = plain_count(path)
            assert totals.stored_elements == everything
            inside = [
                one
                for one in artifact.tensors
                if artifact.format == "keras-weights-h5" or one.name.startswith("model_weights/")
            ]
            assert sum(one.elements for one in inside) == model


# What the folder's own list calls a file -> the format that it must open as.
LISTED = {
    "GraphDef pb": "frozen-graph",
    "MetaGraphDef (.meta)": "frozen-graph",
    "SavedModel dir (saved_model.pb)": "saved-model",
    "TF checkpoint V2 (index)": "checkpoint",
    "TF checkpoint V2 (data)": "checkpoint",
    "TF checkpoint state file": "checkpoint",
    "tflite": "tflite",
}


def listed():
    path = os.path.join(CORPUS, "MANIFEST.tsv")
    if not CORPUS or not os.path.isfile(path):
        skip = pytest.mark.skip(reason="INSPECT_CORPUS names no folder with a list of its files")
        return [pytest.param(None, id="none", marks=skip)]
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["format"] in LISTED]
    return [pytest.param((row["path"], LISTED[row["format"]]), id=row["path"]) for row in rows]


@pytest.mark.parametrize("row", listed())
def test_every_graph_checkpoint_and_tflite_model_opens_as_what_it_is(row):
    path, named = row
    with read(os.path.join(CORPUS, path)) as result:
        assert result.artifact.format == named


@pytest.mark.parametrize("path", all_of_it())
def test_what_is_named_like_a_model_and_is_one_opens(path):
    """Held apart, so that a reader that refused everything could not pass."""
    if not path.endswith(KERAS) or os.path.isdir(path) or not h5py.is_hdf5(path):
        return
    try:
        with h5py.File(path, "r") as file:
            is_model = "model_config" in file.attrs or "layer_names" in file.attrs
    except OSError:
        is_model = False
    if is_model:
        read(path).close()
    else:
        refused(path)
