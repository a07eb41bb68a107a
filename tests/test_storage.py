"""Byte sources: bounded reads from anywhere in a file."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from inspector import storage
from inspector.errors import ArtifactError, Changed, NotFound, Truncated
from inspector.model import Extent
from inspector.payloads import FilledPayload, RawPayload, numpy_dtype
from inspector.storage import LocalFile, MemorySource, SourceReader, covered, lazily


def test_a_file_gives_any_part_of_itself(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    with LocalFile(path) as source:
        assert source.size == 10
        assert bytes(source.view(3, 4)) == b"3456"
        assert bytes(source.window(2, 5, "inner").view(1, 2)) == b"34"


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (10, 1), (-1, 2), (3, -1), (1 << 62, 1)])
def test_a_read_outside_the_source_is_truncated_not_short(tmp_path, offset, length):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    with LocalFile(path) as source, pytest.raises(Truncated):
        source.view(offset, length)


def test_a_window_does_not_see_past_its_end():
    window = MemorySource(b"0123456789", "x").window(2, 3, "x/inner")
    with pytest.raises(Truncated, match="x/inner"):
        window.view(2, 2)
    with pytest.raises(Truncated):
        MemorySource(b"0123", "x").window(2, 3, "x/inner")


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no such file"):
        LocalFile(tmp_path / "gone")


def test_an_empty_file_has_no_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"")
    with LocalFile(path) as source:
        assert source.size == 0


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="pipe"):
        LocalFile(path)


def test_closing_twice_and_with_views_alive_is_safe(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    source = LocalFile(path)
    view = source.view(0, 3)
    source.close()
    source.close()
    assert bytes(view) == b"012"


def test_a_reader_behaves_like_a_file():
    data = bytes(range(100))
    ours, theirs = SourceReader(MemorySource(data, "x")), io.BytesIO(data)
    for seek in ((0, 0), (40, 0), (10, 1), (-5, 2), (200, 0), (95, 0)):
        buffers = bytearray(7), bytearray(7)
        assert ours.seek(*seek) == theirs.seek(*seek)
        assert ours.readinto(memoryview(buffers[0])) == theirs.readinto(buffers[1])
        assert buffers[0] == buffers[1]
        assert ours.tell() == theirs.tell()


def test_raw_values_come_in_order_and_in_pieces():
    values = np.arange(1000, dtype=">i4")
    payload = RawPayload(MemorySource(values.tobytes(), "x"), 0, 1000, ">i4")
    pieces = [*payload.blocks(64)]
    assert all(piece.nbytes <= 64 for piece in pieces)
    assert np.concatenate(pieces).tolist() == list(range(1000))


@pytest.mark.parametrize("kind", ["file", "memory", "spilled"])
def test_every_source_fills_memory_of_the_callers(tmp_path, kind):
    data = np.random.default_rng(1).bytes(3 * storage.BLOCK)
    (tmp_path / "x").write_bytes(data)
    make = {
        "file": lambda: LocalFile(tmp_path / "x"),
        "memory": lambda: MemorySource(data, "x"),
        "spilled": lambda: storage.spilled([data], "x"),
    }
    source = make[kind]()
    buffer = bytearray(len(data) - 7)
    source.window(5, len(data) - 5, "inner").readinto(2, memoryview(buffer))
    assert buffer == data[7:]
    with pytest.raises(Truncated):
        source.readinto(8, memoryview(buffer))


def test_large_blocks_share_memory_and_two_walks_do_not(tmp_path):
    values = np.arange(300_000, dtype="<i4")
    values.tofile(tmp_path / "x")
    with LocalFile(tmp_path / "x") as source:
        payload = RawPayload(source, 0, values.size, "<i4")
        first, second = payload.blocks(1 << 18), payload.blocks(1 << 18)
        pieces = []
        for one, other in zip(first, second, strict=True):
            assert not np.shares_memory(one, other)
            assert one.nbytes <= 1 << 18
            assert np.array_equal(one, other)
            pieces.append(one.copy())
        part = [block.copy() for block in payload.part(100, 200_000).blocks(1 << 18)]
    assert np.array_equal(np.concatenate(pieces), values)
    assert np.array_equal(np.concatenate(part), values[100:200_100])


def test_a_file_that_is_cut_short_is_told_by_the_block_that_is_gone(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(1 << 20))
    source = LocalFile(path)
    blocks = RawPayload(source, 0, 1 << 20, "u1").blocks(1 << 18)
    next(blocks)
    os.truncate(path, 300_000)
    with pytest.raises(Changed, match="became shorter") as caught:
        list(blocks)
    assert caught.value.offset == 300_000
    source.close()


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "file"
    with open(path, "wb") as handle:
        handle.truncate(256 << 20)
    code = f"""
import resource
from inspector.payloads import RawPayload
from inspector.storage import LocalFile
with LocalFile({str(path)!r}) as source:
    payload = RawPayload(source, 0, source.size, "u1")
    next(payload.blocks(1 << 20)).sum()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zeros = sum(int((block == 0).sum()) for block in payload.blocks(1 << 20))
    print(zeros, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    zeros, grown = map(int, run.stdout.split())
    assert zeros == 256 << 20
    assert grown < 64 << 10  # KiB


def test_views_stay_good_when_blocks_are_let_go_and_the_file_is_closed(tmp_path):
    path = tmp_path / "file"
    data = np.random.default_rng(0).bytes(64 * storage.BLOCK)
    path.write_bytes(data)
    with LocalFile(path) as source:
        step = storage.BLOCK // 2
        views = [source.view(at, step) for at in range(0, len(data), step)]
    assert b"".join(views) == data


def test_bytes_are_fetched_lazily_as_they_are_indexed(tmp_path):
    path = tmp_path / "file"
    data = np.random.default_rng(1).bytes(3 << 20)
    path.write_bytes(data)
    with LocalFile(path) as source:
        found = lazily(source, 5, (3 << 20) - 9)
        expected = memoryview(data)[5:-4]
        assert len(found) == len(expected)
        for at in (0, 1, 70_000, 3, 2 << 20, len(expected) - 1):
            assert found[at] == expected[at]
        for part in (slice(0, 9), slice(2 << 20, (2 << 20) + 9), slice(len(expected) - 4, None)):
            assert bytes(found[part]) == bytes(expected[part])
        with pytest.raises(IndexError):
            found[len(expected)]
        with pytest.raises(Truncated):
            lazily(source, 5, 3 << 20)


def test_filled_values_take_no_memory():
    pieces = [*FilledPayload(1 << 20, 3.5, "<f4").blocks(1 << 22)]
    assert sum(piece.size for piece in pieces) == 1 << 20
    assert pieces[0].strides == (0,)
    assert pieces[0][0] == 3.5


def test_a_byte_that_two_extents_claim_is_covered_once():
    extents = [Extent("a", 0, 10), Extent("a", 5, 10), Extent("b", 0, 4), Extent("a", 5, 10)]
    assert covered(extents) == 15 + 4


@pytest.mark.parametrize("name", ["string", "compound", "4-byte type unknown to NumPy", "f4,("])
def test_words_are_no_dtype(name):
    with pytest.raises(TypeError):
        numpy_dtype(name)


@pytest.mark.parametrize(("name", "size"), [("bfloat16", 2), ("float8_e4m3fn", 1), (">f8", 8)])
def test_names_of_both_packages_are_known(name, size):
    assert numpy_dtype(name).itemsize == size
