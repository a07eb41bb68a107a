"""Chunked HDF5 values decoded by ourselves, held against libhdf5's own reading of the same file."""

import contextlib
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded
from inspector.limits import DEFAULT
from inspector.payloads import FilledPayload
from inspector.storage import LocalFile
from inspector.wire import hdf5_chunks
from inspector.wire.hdf5 import Hdf5File
from inspector.wire.hdf5_chunks import DecodedPayload, slabs
from inspector.wire.hdf5_filters import fletcher32
from tests.builders.hdf5 import patch

VALUES = np.arange(60, dtype="<f4").reshape(6, 10)
LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
DTYPES = ["<f4", ">f4", "<f8", ">f2", "<i8", ">u4", "|i1", "|b1", "<u2"]
PIPELINES = [
    {},
    {"compression": "gzip", "compression_opts": 1},
    {"compression": "gzip", "compression_opts": 0, "shuffle": True},
    {"compression": "gzip", "shuffle": True, "fletcher32": True},
    {"fletcher32": True},
    {"shuffle": True},
]


@contextlib.contextmanager
def opened(path, name="d", limits=DEFAULT):
    with LocalFile(path) as source, Hdf5File(source, limits) as file:
        yield next(one for one in file.datasets() if one.path == name)


def read(payload, max_bytes=1 << 20):
    """All values in order, in their own byte order. A block is good only until the next one."""
    blocks = [block.copy() for block in payload.blocks(max_bytes)]
    dtypes = {block.dtype for block in blocks}
    assert len(dtypes) == 1
    assert all(block.nbytes <= max(max_bytes, block.itemsize) for block in blocks)
    return np.frombuffer(b"".join(block.tobytes() for block in blocks), dtypes.pop())


def theirs(path, name="d"):
    with h5py.File(path) as file:
        return file[name][()].reshape(-1)


def same(ours, expected):
    return ours.dtype == expected.dtype and ours.tobytes() == expected.tobytes()


@st.composite
def cases(draw):
    rank = draw(st.integers(1, 4))
    most = {1: 400, 2: 40, 3: 12, 4: 6}[rank]
    shape = tuple(draw(st.integers(1, most)) for _ in range(rank))
    chunks = tuple(draw(st.integers(1, most + 2)) for _ in range(rank))
    kinds = ["fixed", "one", "all", "early"]
    return {
        "shape": shape,
        "chunks": chunks,
        "dtype": draw(st.sampled_from(DTYPES)),
        "filters": draw(st.sampled_from(PIPELINES)),
        "libver": draw(st.sampled_from(LIBVERS)),
        "kind": draw(st.sampled_from(kinds)),
        "fill": draw(st.sampled_from([None, 0, 1, 7])),
        "fill_time": draw(st.sampled_from(["ifset", "never", "alloc"])),
        "written": draw(st.sampled_from(["all", "part", "nothing"])),
        "block": draw(st.sampled_from([0, 512])),
        "seed": draw(st.integers(0, 1 << 30)),
    }


def write(path, case):
    shape, rng = case["shape"], np.random.default_rng(case["seed"])
    chunks = case["chunks"]
    growing = {"fixed": None, "early": None, "one": (None, *shape[1:]), "all": (None,) * len(shape)}
    maximum = growing[case["kind"]]
    if maximum is None or case["kind"] == "one":
        chunks = tuple(
            min(side, step) if maximum is None or at else step
            for at, (side, step) in enumerate(zip(shape, chunks, strict=True))
        )
    with h5py.File(path, "w", libver=case["libver"], userblock_size=case["block"]) as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if case["kind"] == "early" and not case["filters"]:
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        dataset = file.create_dataset(
            "d",
            shape,
            case["dtype"],
            chunks=chunks,
            maxshape=maximum,
            fillvalue=bool(case["fill"]) if case["dtype"] == "|b1" else case["fill"],
            fill_time=case["fill_time"],
            dcpl=plist,
            **case["filters"],
        )
        if case["written"] == "nothing":
            return
        values = rng.integers(0, 4, shape)
        if case["written"] == "all":
            dataset[...] = values
        else:
            part = tuple(slice(*sorted(rng.integers(0, side + 1, 2))) for side in shape)
            dataset[part] = values[part]
        if maximum and rng.random() < 0.3:
            dataset.resize(max(shape[0] + rng.integers(-2, 3), 1), axis=0)
        if case["filters"] and rng.random() < 0.3:
            # A chunk that left out all of its filters, as h5py's callers may store it.
            raw = rng.integers(0, 2, chunks).astype(case["dtype"]).tobytes()
            mask = (1 << dataset.id.get_create_plist().get_nfilters()) - 1
            dataset.id.write_direct_chunk((0,) * len(shape), raw, mask)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases(), st.integers(1, 300))
def test_gives_the_values_that_libhdf5_gives(tmp_path, case, max_bytes):
    path = str(tmp_path / "f.h5")
    write(path, case)
    expected = theirs(path)
    with opened(path) as dataset:
        assert isinstance(dataset.payload, (DecodedPayload, FilledPayload)) or case["filters"]
        assert same(read(dataset.payload, max_bytes), expected)


# How chunks are indexed


INDEXES = {
    "B-tree, version 1": ("earliest", {"chunks": (2, 3)}),
    "single chunk": ("latest", {"chunks": (6, 10)}),
    "implicit": ("latest", {"chunks": (2, 3), "early": True}),
    "fixed array": ("latest", {"chunks": (2, 3)}),
    "extensible array": ("latest", {"chunks": (2, 3), "maxshape": (None, 10)}),
    "B-tree, version 2": ("latest", {"chunks": (2, 3), "maxshape": (None, None)}),
}


@pytest.mark.parametrize("filters", [{}, {"compression": "gzip", "shuffle": True}], ids=str)
@pytest.mark.parametrize("index", INDEXES)
def test_reads_chunks_of_every_index(tmp_path, index, filters):
    libver, options = INDEXES[index]
    options = dict(options)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if options.pop("early", False):
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("d", data=VALUES, dcpl=plist, **options, **filters)
    with opened(path) as dataset:
        assert isinstance(dataset.payload, DecodedPayload)
        assert read(dataset.payload, 28).tolist() == list(range(60))


# Chunks that were written as they are


def direct(path, chunks, values=VALUES, mask=0, step=(6, 10), libver=None, **filters):
    """A dataset whose chunks have just these bytes: place -> bytes."""
    with h5py.File(path, "w", libver=libver) as file:
        dataset = file.create_dataset("d", values.shape, values.dtype, chunks=step, **filters)
        for place, content in chunks.items():
            dataset.id.write_direct_chunk(place, content, mask)
    return str(path)


def shuffled(data, width=4):
    return np.frombuffer(data, "u1").reshape(-1, width).T.tobytes()


def summed(data):
    """The bytes and their checksum, by the definition: word by word, folded to 16 bits."""
    first = second = 0
    for at in range(0, len(data), 2):
        word = data[at : at + 2].ljust(2, b"\0")
        first += word[0] << 8 | word[1]
        second += first
        for _ in range(2):
            first, second = ((n & 0xFFFF) + (n >> 16) for n in (first, second))
    return data + struct.pack("<HH", first, second)


FILTERED = {"compression": "gzip", "shuffle": True, "fletcher32": True}


@pytest.mark.parametrize("mask", range(8))
def test_undoes_only_the_filters_that_a_chunk_has_passed(tmp_path, mask):
    content = VALUES.tobytes()
    for place, apply in enumerate((shuffled, zlib.compress, summed)):
        content = content if mask >> place & 1 else apply(content)
    path = direct(tmp_path / "f.h5", {(0, 0): content}, mask=mask, **FILTERED)
    assert theirs(path).tolist() == list(range(60))
    with opened(path) as dataset:
        assert isinstance(dataset.payload, DecodedPayload)
        assert read(dataset.payload).tolist() == list(range(60))


HALF = VALUES.tobytes()[:120]
STREAM = zlib.compress(VALUES.tobytes())
BROKEN = {
    "inflates to less": (zlib.compress(HALF), "has 120 bytes in place of 240"),
    "inflates to more": (zlib.compress(VALUES.tobytes() + b"x"), "more than its 240 bytes"),
    "is cut short": (STREAM[:-9], "cut short"),
    "lacks its checksum": (STREAM[:-4], "cut short"),
    "has another checksum": (STREAM[:-1] + b"?", "incorrect data check"),
    "is no stream": (b"no stream at all", "cannot be inflated"),
    "is far too long": (STREAM + bytes(5000), "claims to take"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_chunk_that_does_not_inflate_to_its_values_is_corrupt(tmp_path, case):
    content, message = BROKEN[case]
    path = direct(tmp_path / "f.h5", {(0, 0): content}, compression="gzip")
    with opened(path) as dataset, pytest.raises(Corrupt, match=message) as caught:
        read(dataset.payload)
    assert caught.value.offset == dataset.extents[0].offset


def test_bytes_behind_a_chunks_stream_are_of_no_account(tmp_path):
    path = direct(tmp_path / "f.h5", {(0, 0): STREAM + b"rest"}, compression="gzip")
    assert theirs(path).tolist() == list(range(60))
    with opened(path) as dataset:
        assert read(dataset.payload).tolist() == list(range(60))


def test_a_chunk_that_would_inflate_without_end_is_stopped_at_its_size(tmp_path):
    values = np.zeros((64, 1024), "f4")
    bomb = zlib.compress(bytes(64 << 20))
    path = direct(tmp_path / "f.h5", {(0, 0): bomb}, values, step=(64, 1024), compression="gzip")
    with opened(path) as dataset:
        tracemalloc.start()
        try:
            with pytest.raises(Corrupt, match="more than its 262,144 bytes"):
                read(dataset.payload)
            # The chunk as it is stored, inflated, and a slab; and what comes out of zlib at a time.
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 2, 3, 719, 720, 721, 65_536, 200_001])
@pytest.mark.parametrize("kind", ["zeros", "ones", "random"])
def test_the_checksum_is_the_one_that_libhdf5_writes(tmp_path, size, kind):
    rng = np.random.default_rng(size)
    values = {"zeros": np.zeros, "ones": lambda n, _: np.full(n, 255, "u1")}.get(
        kind, lambda n, _: rng.integers(0, 256, n, "u1")
    )(size, "u1")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        dataset = file.create_dataset("d", data=values, chunks=(size,), fletcher32=True)
        _, content = dataset.id.read_direct_chunk((0,))
    assert fletcher32(values) == int.from_bytes(content[-4:], "little")


def test_a_byte_that_was_changed_is_seen_by_the_checksum(tmp_path):
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=VALUES, chunks=(6, 10), fletcher32=True)
        offset = file["d"].id.get_chunk_info(0).byte_offset
    patch(path, (offset + 9, b"\x55"))
    with opened(path) as dataset, pytest.raises(Corrupt, match="checksum"):
        read(dataset.payload)


def test_a_checksum_with_swapped_halves_is_one_of_old_libraries(tmp_path):
    content = summed(VALUES.tobytes())
    old = content[:-4] + bytes(content[at] for at in (-3, -4, -1, -2))
    path = direct(tmp_path / "f.h5", {(0, 0): old}, fletcher32=True)
    assert theirs(path).tolist() == list(range(60))
    with opened(path) as dataset:
        assert read(dataset.payload).tolist() == list(range(60))


def test_chunks_that_lie_over_each_other_are_read_as_libhdf5_reads_them(tmp_path):
    halves = {(0, 0): VALUES[:3].tobytes(), (3, 0): VALUES[3:].tobytes()}
    path = direct(tmp_path / "f.h5", halves, step=(3, 10))
    with h5py.File(path) as file:
        first, second = (file["d"].id.get_chunk_info(at).byte_offset for at in (0, 1))
    with open(path, "rb") as file:
        content = file.read()
    pointer = struct.pack("<Q", second)
    assert content.count(pointer) == 1
    patch(path, (content.index(pointer), struct.pack("<Q", first + 40)))
    expected = theirs(path)
    assert expected[30:50].tolist() == list(range(10, 30))
    with opened(path) as dataset:
        assert same(read(dataset.payload), expected)


def test_a_plain_chunk_over_the_edge_is_left_to_libhdf5(tmp_path):
    # HDF5 can leave such chunks unfiltered, without a word in their mask.
    edge = np.zeros((4, 10), "f4").tobytes()
    path = direct(tmp_path / "f.h5", {(4, 0): edge}, step=(4, 10), compression="gzip")
    with opened(path) as dataset:
        assert not isinstance(dataset.payload, DecodedPayload)
    inside = {(0, 0): zlib.compress(edge), (4, 0): zlib.compress(edge)}
    path = direct(tmp_path / "g.h5", inside, step=(4, 10), compression="gzip")
    with opened(path) as dataset:
        assert isinstance(dataset.payload, DecodedPayload)


LEFT = {
    "lzf": ({"compression": "lzf"}, ()),
    "scaleoffset": ({"scaleoffset": 0}, ()),
    "shuffle after deflate": ({}, ("deflate", "shuffle")),
    "checksum before deflate": ({}, ("fletcher32", "deflate")),
    "deflate twice": ({}, ("deflate", "deflate")),
}


@pytest.mark.parametrize("case", LEFT)
def test_other_filters_and_orders_are_left_to_libhdf5(tmp_path, case):
    options, applied = LEFT[case]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4, 4))
    for name in applied:
        getattr(plist, f"set_{name}")(*(4,) * (name == "deflate"))
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        values = VALUES.astype("<i4")
        file.create_dataset("d", data=values, dcpl=plist, chunks=(4, 4), **options)
        assert file["d"].id.get_create_plist().get_nfilters() == max(len(applied), 1)
    with opened(path) as dataset:
        assert not isinstance(dataset.payload, DecodedPayload)
        assert read(dataset.payload).tolist() == list(range(60))


def test_numbers_of_an_odd_width_are_left_to_libhdf5(tmp_path):
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(20)
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 4))
        h5py.h5d.create(file.id, b"d", kind, h5py.h5s.create_simple((6, 10)), plist)
        file["d"][...] = -VALUES
    with opened(path) as dataset:
        assert not isinstance(dataset.payload, DecodedPayload)
        assert same(read(dataset.payload), theirs(path))


# Slabs and parts


def counted(monkeypatch):
    """Where in files was read, from now on."""
    places, plain = [], LocalFile.readinto

    def readinto(self, offset, buffer):
        places.append(offset)
        plain(self, offset, buffer)

    monkeypatch.setattr(LocalFile, "readinto", readinto)
    return places


@pytest.mark.parametrize("budget", [60, 200, 1200, 1 << 20])
@pytest.mark.parametrize("chunks", [(1, 1, 1), (2, 3, 4), (5, 2, 10), (4, 6, 3)])
def test_gives_the_same_values_with_any_budget(tmp_path, monkeypatch, budget, chunks):
    values = np.random.default_rng(0).standard_normal((9, 7, 10)).astype("f4")
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=values, chunks=chunks, compression="gzip", shuffle=True)
    monkeypatch.setattr(hdf5_chunks, "SLAB_BYTES", budget)
    sizes = [
        4 * np.prod([part.stop - part.start for part in slab])
        for slab in slabs(values.shape, chunks, 4)
    ]
    assert max(sizes) <= max(budget, 4)
    assert sum(sizes) == values.nbytes
    with opened(path) as dataset:
        payload = dataset.payload
        assert read(payload).tolist() == values.reshape(-1).tolist()
        for start in range(0, 630, 45):
            part = read(payload.part(start, min(100, 630 - start)), 32)
            assert part.tolist() == values.reshape(-1)[start : start + 100].tolist()


def test_decodes_each_chunk_once(tmp_path, monkeypatch):
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=VALUES, chunks=(2, 3), compression="gzip")
    with opened(path) as dataset:
        places = counted(monkeypatch)
        for block in dataset.payload.blocks(8):
            assert block.size <= 2
        assert sorted(places) == sorted(extent.offset for extent in dataset.extents)
        places.clear()
        assert dataset.payload.grain == 20
        for start in (0, 20, 40):
            read(dataset.payload.part(start, 20))
        assert sorted(places) == sorted(extent.offset for extent in dataset.extents)


def test_parts_are_read_side_by_side(tmp_path):
    values = np.random.default_rng(0).standard_normal((512, 256)).astype("f4")
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=values, chunks=(16, 100), compression="gzip", shuffle=True)
    with opened(path) as dataset:
        grain = dataset.payload.grain
        parts = [dataset.payload.part(start, grain) for start in range(0, values.size, grain)]
        with ThreadPoolExecutor(4) as pool:
            found = np.concatenate(list(pool.map(read, parts)))
    assert found.tobytes() == values.tobytes()


def test_chunks_larger_than_the_room_are_decoded_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_chunks, "_room", hdf5_chunks._Room(100))
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=VALUES, chunks=(2, 10), compression="gzip")
    with opened(path) as dataset, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, [dataset.payload] * 8))
    assert all(one.tolist() == list(range(60)) for one in found)


def test_values_are_read_under_the_deadline(tmp_path):
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=VALUES, chunks=(2, 10), compression="gzip")
    with opened(path) as dataset, deadline.within(-1, path), pytest.raises(LimitExceeded):
        read(dataset.payload)


def test_bfloat16_in_chunks_keeps_its_dtype(tmp_path):
    path = str(tmp_path / "f.h5")
    with h5py.File(path, "w") as file:
        raw = np.array([0x3F80, 0xC000, 0x0000, 0x4040], "<u2").view("V2")
        dataset = file.create_dataset("d", (6,), "V2", chunks=(4,), compression="gzip")
        dataset[:4] = raw
        dataset.attrs["dtype"] = "bfloat16"
    with opened(path) as dataset:
        assert isinstance(dataset.payload, DecodedPayload)
        (block,) = dataset.payload.blocks(64)
        assert block.dtype.name == "bfloat16"
        assert block.astype("f4").tolist() == [1.0, -2.0, 0.0, 3.0, 0.0, 0.0]
