"""Reading in ranges: what is fetched for what is asked, and that hints change nothing but that."""

from __future__ import annotations

import os
import random
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from inspector import filesystem
from inspector.errors import Changed, Truncated
from inspector.remote import pages, source, storages, streams
from tests.builders import samples
from tests.builders.far import inspect, serve
from tests.builders.huge_keras import dataset

KIB, MIB = 1 << 10, 1 << 20
SIZE = 24 * MIB


class Asked:
    """What storage is asked for: a list of ranges each time, which go out at once."""

    def __init__(self, monkeypatch):
        self.times = []
        self._lock = threading.Lock()
        fetch = storages.fetch

        def noted(path, ranges):
            with self._lock:
                self.times.append(list(ranges))
            return fetch(path, ranges)

        monkeypatch.setattr(storages, "fetch", noted)

    @property
    def ranges(self):
        return [one for ranges in self.times for one in ranges]

    @property
    def nbytes(self):
        return sum(length for _, length in self.ranges)


@pytest.fixture
def asked(monkeypatch):
    return Asked(monkeypatch)


@pytest.fixture(scope="module")
def content():
    return np.random.default_rng(0).bytes(SIZE)


@pytest.fixture
def memory(content):
    """Opens a file of these bytes, or of others, in fsspec's memory; each time anew."""
    import fsspec

    fs = fsspec.filesystem("memory")
    opened = []

    def open_file(data=content, name="counts/file.bin"):
        fs.pipe(f"/{name}", data)
        file = filesystem.opened(filesystem.admit(f"memory://{name}"))
        opened.append(file)
        return file

    yield open_file
    for file in opened:
        file.close()
    fs.rm("/counts", recursive=True)


# Times that storage is asked one after the other for the structure of 1 GiB. Each level of an HDF5
# file's groups takes a few; a frozen graph tells only by each node where the next one begins.
ROUNDS = {"h5": 9, "pruned.h5": 10, "keras": 10, "tflite": 4, "saved_model": 5}


@pytest.mark.parametrize("name", ROUNDS)
def test_the_structure_comes_in_few_round_trips(web, huge_ones, asked, name):
    url = serve(web, f"rounds/{huge_ones(name).name}", huge_ones(name))
    result = inspect("show", url, "--no-measure")
    assert (result.code, result.err) == (0, "")
    assert len(asked.times) <= ROUNDS[name]
    assert asked.nbytes < 2 * MIB


def weights(path, libver, *, chunked, layers=32):
    """As Keras 3 stores them, but in another layout: what libhdf5 reads."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w", libver=libver) as file:
        file.create_group("vars")
        for at in range(layers):
            group = file.create_group(f"layers/dense_{at}").create_group("vars")
            if chunked:
                values = random.random((256, 512), "f4")
                group.create_dataset("0", data=values, chunks=(64, 512), compression="gzip")
            else:
                dataset(group, "0", (1024, 2048))
            dataset(group, "1", (2048,))
    return path


@pytest.mark.parametrize(
    ("libver", "chunked", "rounds"),
    # Of the newest layout nothing is said before libhdf5 asks for it: most of a group's structure
    # lies in one page.
    [("latest", False, 32), ("earliest", True, 9)],
)
def test_what_libhdf5_reads(web, tmp_path, asked, libver, chunked, rounds):
    path = weights(tmp_path / "a.weights.h5", libver, chunked=chunked)
    url = serve(web, "libhdf5/a.weights.h5", path)
    assert inspect("show", url, "--no-measure").code == 0
    assert len(asked.times) <= rounds
    assert asked.nbytes < MIB
    if chunked:
        web.forget()
        assert inspect("show", url).code == 0
        assert web.sent < os.path.getsize(path) * 1.05


@pytest.mark.parametrize("hint", ["none", "wrong", "everything"])
@pytest.mark.parametrize("name", ["pruned.h5", "k3.keras", "lite_float.tflite", "saved_pruned"])
def test_hints_change_no_report(web, monkeypatch, name, hint):
    """Files here are small: it is as if they were not."""
    for module in (pages, source):
        monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(source, "LARGE", 16 * KIB)
    monkeypatch.setattr(streams, "CHUNK", 10_000)
    monkeypatch.setattr(streams, "CHUNKS", 2)
    expect = source.RemoteFile.expect

    def other(self, ranges):
        given = list(ranges)
        if hint == "wrong":
            given = [
                (random.Random(at).randrange(-9, self.size + 9), length + 7)
                for at, (_, length) in enumerate(given)
            ]
        expect(self, {"none": [], "everything": [(0, self.size), *given]}.get(hint, given))

    monkeypatch.setattr(source.RemoteFile, "expect", other)
    url = serve(web, f"hints/{name}", samples.path(name))
    found = inspect("show", url, "--format", "json").out
    here = inspect("show", samples.path(name), "--format", "json").out
    assert found.replace(url, "X") == here.replace(samples.path(name), "X")


def test_a_small_file_is_one_request(memory, content, asked):
    file = memory(content[: 300 * KIB])
    assert file.view(200_000, 10) == content[200_000:200_010]
    assert file.view(0, 300 * KIB) == content[: 300 * KIB]
    assert asked.ranges == [(0, 300 * KIB)]


def test_expected_parts_come_at_once(memory, content, asked):
    file = memory()
    parts = [(at * MIB + 12_345, 100) for at in range(1, 20)]
    file.expect(iter(parts))
    assert asked.times == []  # until one of them is read
    for offset, length in reversed(parts):
        assert file.view(offset, length) == content[offset : offset + length]
    assert len(asked.times) == 1
    assert len(asked.ranges) == 19
    assert asked.nbytes == 19 * pages.PAGE  # each lies in one page


def test_parts_that_lie_close_together_are_one_request(memory, asked):
    file = memory()
    file.expect([(5 * MIB, 10), (5 * MIB + 8 * KIB, 10), (9 * MIB, 10)])
    file.view(9 * MIB, 10)
    assert len(asked.ranges) == 2


def test_a_jump_fetches_a_page_and_a_walk_more_and_more(memory, asked):
    file = memory()
    for at in range(4, 20, 3):
        file.view(at * MIB, 100)
    assert asked.nbytes == 6 * pages.PAGE
    before = len(asked.times)
    for start in range(8 * MIB, 10 * MIB, 4 * KIB):
        file.view(start, 4 * KIB)
    assert len(asked.times) - before < 12  # 4 KiB, 8 KiB ... 1 MiB, of 512 reads


@pytest.mark.parametrize(
    "wrong", [(-5, 10), (0, 0), (SIZE - 5, 10), (SIZE + 10, 10), (1 << 70, 1), (5, -1)]
)
def test_what_is_expected_out_of_the_file_is_passed_over(memory, content, asked, wrong):
    file = memory()
    file.expect([wrong])
    assert file.view(10 * MIB, 8) == content[10 * MIB : 10 * MIB + 8]
    assert asked.nbytes == pages.PAGE
    with pytest.raises(Truncated):
        file.view(SIZE - 5, 10)


def test_values_are_streamed_once_by_threads(memory, content, asked):
    """Each takes slices of a part of its own, which ends within a chunk of another's."""
    file = memory()
    begin, end, slice_bytes = MIB + 77, SIZE - MIB - 99, 700_001
    file.expect([(begin, end - begin)])
    seen = bytearray(content)
    seen[begin:end] = bytes(end - begin)

    def read(at):
        for start in range(at, min(at + 3_000_000, end), slice_bytes):
            stop = min(start + slice_bytes, at + 3_000_000, end)
            file.readinto(start, memoryview(seen)[start:stop])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, range(begin, end, 3_000_000)))
    assert seen == content
    assert asked.nbytes == end - begin
    assert len(asked.ranges) == -(-(end - begin) // streams.CHUNK)


def test_no_more_is_held_than_some_chunks(memory, asked, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK", 64 * KIB)
    monkeypatch.setattr(streams, "CHUNKS", 4)
    file = memory()
    file.expect([(0, SIZE)])
    for start in range(0, SIZE, MIB):
        file.view(start, MIB)
    held = [*file._streams._chunks.values(), *file._streams._spent.values()]
    assert sum(map(len, held)) <= 4 * 64 * KIB
    assert asked.nbytes == SIZE
    file.view(0, 10)  # it is there no more, and is fetched again
    assert asked.nbytes == SIZE + 64 * KIB


def test_no_more_is_held_than_some_pages(memory, content, monkeypatch):
    monkeypatch.setattr(pages, "_HELD", 64)
    file = memory()
    places = [at * 8 * pages.PAGE for at in range(SIZE // (8 * pages.PAGE))]
    file.expect((place, 8) for place in places)
    for place in places:
        assert file.view(place, 8) == content[place : place + 8]
    assert len(file._pages._held) <= 64


def test_what_is_opened_again_in_a_call_is_not_fetched_again(memory, content, asked):
    file = memory()
    file.view(0, 10)
    file.close()
    again = filesystem.opened(file.path)
    again.view(100, 10)
    assert len(asked.times) == 1
    again.close()
    other = memory(content[::-1])  # which admits it anew
    assert other.view(0, 10) == content[::-1][:10]


def test_two_states_are_never_mixed(memory, content):
    """Nor are they where one file object read the first, and another one the second."""
    import fsspec

    file = memory()
    with file:
        file.view(0, 10)
    fsspec.filesystem("memory").pipe("/counts/file.bin", content[::-1])
    with pytest.raises(Changed), filesystem.opened(file.path) as again:
        again.view(10 * MIB, 10)


def test_a_list_without_end_is_not_fetched(web, tmp_path, asked):
    """The operator codes of a `.tflite` claim to be as many as fit into 1 GiB."""
    path = tmp_path / "long.tflite"
    size = 1 << 30
    # The root table at 24, its vtable at 8 (version, operator_codes), the vector at 36.
    head = struct.pack("<I4s4H", 24, b"TFL3", 8, 12, 4, 8).ljust(24, b"\0")
    head += struct.pack("<iII", 24 - 8, 3, 4) + struct.pack("<I", (size - 40) // 4)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(size)
    result = inspect("show", serve(web, "long/long.tflite", path))
    assert result.code == 2
    assert "limit nodes" in result.err
    assert asked.nbytes < MIB
