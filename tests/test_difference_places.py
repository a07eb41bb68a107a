"""Where bytes differ is found as a plain comparison finds it, and named by what lies there."""

from __future__ import annotations

import os
import shutil
import time
import tracemalloc
import zipfile
from contextlib import ExitStack

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector
from inspector.difference.layout import AROUND
from inspector.difference.places import places
from inspector.model import Artifact, Extent, FileEntry, Tensor
from tests.builders.hdf5 import whole_model
from tests.builders.samples import path


def found(a, b):
    """(offset, length, what) of each place of two artifacts given by their paths."""
    return [(one.offset, one.length, one.what) for one in whole(a, b)]


def whole(a, b):
    with ExitStack() as stack:
        opened = [stack.enter_context(inspector.open(str(one))).artifact for one in (a, b)]
        return places(*opened)


def copy(name, folder):
    return shutil.copy(path(name), folder / name)


def patched(target, *changes):
    """The file with bytes overwritten: (offset, bytes) each."""
    with open(target, "r+b") as file:
        for offset, data in changes:
            file.seek(offset)
            file.write(data)
    return target


def extent(name, tensor):
    with inspector.open(path(name)) as opened:
        return next(t for t in opened.artifact.tensors if t.name.endswith(tensor)).extents[0]


def flipped(name, offset, count=1):
    """Bytes that differ from the sample's in every bit."""
    with open(path(name), "rb") as file:
        file.seek(offset)
        return bytes(255 - one for one in file.read(count))


def single(file, data, tensors=()):
    """An artifact of one file: tensors as (name, offset, length)."""
    file.write_bytes(bytes(data))
    return Artifact(
        path=str(file),
        format="tflite",
        kind="a file",
        files=(FileEntry(str(file), len(data)),),
        tensors=tuple(
            Tensor(name, "uint8", (n,), n, (Extent(str(file), at, n),)) for name, at, n in tensors
        ),
        overhead={},
    )


@pytest.mark.parametrize("name", ["pruned.h5", "k3.keras", "saved_adam", "ckpt_sharded", "k3_dir"])
def test_no_place_where_no_byte_differs(name):
    assert whole(path(name), path(name)) == ()


def test_a_changed_weight_is_told_by_its_name_and_its_bytes(tmp_path):
    kernel = extent("stripped.h5", "dense/dense/kernel:0")
    at = kernel.offset + 4 * 100
    changed = patched(copy("stripped.h5", tmp_path), (at, flipped("stripped.h5", at, 4)))
    name = "model_weights/dense/dense/kernel:0"
    assert found(path("stripped.h5"), changed) == [(at, 4, name)]
    assert found(changed, path("stripped.h5")) == [(at, 4, name)]


def test_bytes_close_to_each_other_are_one_place_and_others_are_not(tmp_path):
    # 17 bytes on there are 16 equal ones between: one more than a place bridges is 17.
    a = single(tmp_path / "a", bytes(200))
    b = bytearray(200)
    b[10] = b[26] = b[100] = b[117] = 1
    assert [(p.offset, p.length) for p in places(a, single(tmp_path / "b", b))] == [
        (10, 17),
        (100, 1),
        (117, 1),
    ]


def test_a_place_ends_where_a_tensor_does(tmp_path):
    a = single(tmp_path / "a", bytes(100), [("first", 20, 10), ("second", 30, 10)])
    b = single(tmp_path / "b", bytes([1]) * 100)
    assert [(p.offset, p.length, p.what) for p in places(a, b)] == [
        (0, 20, AROUND),
        (20, 10, "first"),
        (30, 10, "second"),
        (40, 60, AROUND),
    ]


def test_a_tensor_of_b_names_what_a_has_no_tensor_for(tmp_path):
    a = single(tmp_path / "a", bytes(40), [("mine", 0, 10)])
    b = single(tmp_path / "b", bytes([1]) * 40, [("yours", 5, 15)])
    assert [(p.offset, p.length, p.what) for p in places(a, b)] == [
        (0, 10, "mine"),
        (10, 10, "yours of B"),
        (20, 20, AROUND),
    ]


def test_many_places_of_one_tensor_are_told_as_one_with_their_bytes(tmp_path):
    a = single(tmp_path / "a", bytes(4000), [("w", 0, 4000)])
    b = bytearray(4000)
    b[100:4000:100] = bytes([1]) * 39
    (one,) = places(a, single(tmp_path / "b", b))
    assert (one.offset, one.length) == (100, 3801)
    assert one.what == "w: 39 bytes of these, in 39 places"


def test_places_past_the_limit_are_one_with_all_their_bytes(tmp_path):
    tensors = [(f"t{i}", 10 * i, 10) for i in range(500)]
    a = single(tmp_path / "a", bytes(5000), tensors)
    b = single(tmp_path / "b", bytes([1]) * 5000)
    told = places(a, b)
    assert len(told) == 200
    assert sum(one.length for one in told) == 5000
    assert told[-1].what.startswith("301 more places")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_byte_that_differs_is_in_a_place_and_no_place_is_without_one(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    size = st.integers(1, 3000)
    a = np.zeros(data.draw(size), "u1")
    b = np.zeros(data.draw(size), "u1")
    b[data.draw(st.lists(st.integers(0, len(b) - 1), max_size=60))] = 1
    tensors = [("x", 0, len(a) // 2), ("y", len(a) // 2, len(a) // 3)]
    one, other = single(folder / "a", a, tensors), single(folder / "b", b, tensors)
    small = inspector.Limits(slice_bytes=data.draw(st.integers(1, 400)))
    common = min(len(a), len(b))
    unlike = set(np.flatnonzero(a[:common] != b[:common]).tolist()) | set(
        range(common, max(len(a), len(b)))
    )
    for told in (places(one, other, small), places(other, one, small)):
        covered = [set(range(p.offset, p.offset + p.length)) for p in told]
        assert unlike <= set().union(*covered)
        assert all(place & unlike for place in covered)
        assert sum(map(len, covered)) == len(set().union(*covered))
    assert places(one, other, small) == places(one, other)  # where slices end is not seen


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(["stripped.h5", "k3.weights.h5", "k3.keras"]))
def test_bytes_of_a_broken_file_are_compared_all_the_same(data, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    with open(path(name), "rb") as file:
        whole = np.frombuffer(file.read(), "u1")
    broken = whole.copy()
    ends = [*range(64), *range(len(whole) - 64, len(whole))]
    at = data.draw(st.lists(st.sampled_from(ends) | st.integers(0, len(whole) - 1), min_size=1))
    broken[at] = data.draw(st.integers(0, 255))
    broken = broken[: data.draw(st.integers(1, len(whole)))]
    common = len(broken)
    told = places(single(folder / "a", broken), single(folder / "b", whole))
    covered = {one for p in told if p.a for one in range(p.offset, p.offset + p.length)}
    assert set(np.flatnonzero(broken != whole[:common]).tolist()) <= covered


def test_files_of_two_lengths_have_a_place_at_the_end(tmp_path):
    longer = copy("lite_float.tflite", tmp_path)
    size = os.path.getsize(longer)
    with open(longer, "ab") as file:
        file.write(b"more")
    (one,) = whole(path("lite_float.tflite"), longer)
    assert (one.a, one.b) == (None, str(longer))
    assert (one.offset, one.length, one.what) == (size, 4, "what B's file has more at its end")
    (one,) = whole(longer, path("lite_float.tflite"))
    assert (one.a, one.b, one.length) == (str(longer), None, 4)


def test_hdf5_files_written_at_two_times_differ_in_their_times_alone(tmp_path):
    def timed(name):
        def dataset(group, stored):
            group.create_dataset(stored, data=np.arange(12.0), track_times=True)

        return whole_model(tmp_path / name, {"dense": {"dense/kernel:0": dataset}})

    first = timed("a.h5")
    time.sleep(1.1)  # the format counts seconds
    told = found(first, timed("b.h5"))
    assert {what for *_, what in told} == {
        "modification time of model_weights/dense/dense/kernel:0"
    }


def test_an_attribute_is_told_by_its_name(tmp_path):
    each = [whole_model(tmp_path / name) for name in ("a.h5", "b.h5")]
    for number, name in enumerate(each):
        with h5py.File(name, "r+") as file:
            file["model_weights"].attrs["epoch"] = number
    assert [what for *_, what in found(*each)] == ["attribute epoch of model_weights"]


def rewritten(source, target, year):
    """The same members in a new zip, with another date."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), old.read(name))
    return target


def test_zips_with_other_dates_differ_in_dates_alone(tmp_path):
    first = rewritten(path("k3.keras"), tmp_path / "a.keras", 1990)
    second = rewritten(path("k3.keras"), tmp_path / "b.keras", 2020)
    names = zipfile.ZipFile(first).namelist()
    assert sorted(what for *_, what in found(first, second)) == sorted(
        [f"date of {name} in its zip header" for name in names]
        + [f"date of {name} in the zip's directory" for name in names]
    )


def test_a_member_of_a_zip_and_a_weight_inside_it_are_told(tmp_path):
    kernel = extent("k3.keras", "layers/dense/vars/0")
    with zipfile.ZipFile(path("k3.keras")) as archive:
        header = archive.getinfo("metadata.json").header_offset
    metadata = header + 30 + len("metadata.json")  # the fixed part of a local header, the name
    changed = patched(
        copy("k3.keras", tmp_path),
        (kernel.offset, flipped("k3.keras", kernel.offset)),
        (metadata + 1, flipped("k3.keras", metadata + 1)),
    )
    # The metadata is spoilt, not the zip: its crc is not looked at here.
    assert found(path("k3.keras"), changed) == [
        (metadata + 1, 1, "metadata.json"),
        (kernel.offset, 1, "layers/dense/vars/0"),
    ]


def test_files_of_a_folder_are_paired_by_their_path_in_it(tmp_path):
    folder = tmp_path / "other_name"
    shutil.copytree(path("saved_stripped"), folder)
    kernel = extent("saved_stripped", "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    inside = os.path.relpath(kernel.file, path("saved_stripped"))
    patched(folder / inside, (kernel.offset, flipped_in(kernel.file, kernel.offset)))
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "note.txt").write_text("new", encoding="utf-8")
    told = {
        (p.a and os.path.basename(p.a), p.b and os.path.basename(p.b), p.length, p.what)
        for p in whole(path("saved_stripped"), folder)
    }
    gone = os.path.getsize(os.path.join(path("saved_stripped"), "fingerprint.pb"))
    assert told == {
        (os.path.basename(inside), os.path.basename(inside), 1, "layer_with_weights-0/kernel"),
        ("fingerprint.pb", None, gone, "a file that only A has"),
        (None, "note.txt", 3, "a file that only B has"),
    }


def flipped_in(file, offset):
    with open(file, "rb") as source:
        source.seek(offset)
        return bytes([255 - source.read(1)[0]])


def test_shards_of_checkpoints_are_paired_whatever_their_prefix(tmp_path):
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(path("ckpt_adam") + suffix, tmp_path / f"step-9{suffix}")
    assert whole(path("ckpt_adam"), tmp_path / "step-9") == ()


def test_two_formats_are_one_place_that_says_why():
    (one,) = whole(path("stripped.h5"), path("stripped.keras"))
    assert one.what == "not compared byte by byte: keras-h5 and keras-zip"


def test_memory_does_not_grow_with_the_files(tmp_path):
    size = 256 << 20
    for name, byte in (("a", b"\1"), ("b", b"\2")):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
            file.seek(size - 1)
            file.write(byte)
    a, b = (
        Artifact(str(tmp_path / n), "tflite", "", (FileEntry(str(tmp_path / n), size),), (), {})
        for n in ("a", "b")
    )
    tracemalloc.start()
    try:
        (one,) = places(a, b)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (one.offset, one.length) == (size - 1, 1)
    assert peak < 64 << 20
