"""An HDF5 file as a graph, with the place of every byte, held to h5py and to what was written."""

import os
import struct

import h5py
import ml_dtypes
import numpy as np
import pytest

from inspector.errors import Corrupt, LimitExceeded, Truncated, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.storage import LocalFile
from inspector.wire.hdf5 import Group, Hdf5File, Link, overhead
from tests.builders.hdf5 import end_of_file_field, heap_references, move_dataset, patch

VALUES = np.arange(60, dtype="<f4").reshape(6, 10)


def made(path, fill, **options):
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return str(path)


class Read:
    """What was read of a file: everything but the open file."""

    def __init__(self, path, limits=DEFAULT):
        with LocalFile(path) as source, Hdf5File(source, limits) as file:
            self.datasets = {one.path: one for one in file.datasets()}
            self.groups = {one.path: one for one in file.nodes() if isinstance(one, Group)}
            self.problems = file.problems
            self.superblock = file.superblock
            self.values, self.unread = {}, {}
            for name, one in self.datasets.items():
                if one.payload is not None and one.declared < 1 << 20:
                    try:
                        blocks = [block.copy() for block in one.payload.blocks(64)]
                    except Corrupt as error:
                        self.unread[name] = error.message
                    else:
                        self.values[name] = np.concatenate(blocks or [np.zeros(0)])
            marks = bytearray(source.size)
            for one in self.datasets.values():
                for extent in one.extents:
                    marks[extent.offset : extent.offset + extent.length] = b"\1" * extent.length
            self.overhead = overhead(file, {}, sum(marks))
            assert all(size > 0 for size in self.overhead.values())
            assert sum(self.overhead.values()) + sum(marks) == source.size

    @property
    def codes(self):
        return [problem.code for problem in self.problems]


def one(path, name="d"):
    return Read(path).datasets[name]


# Containers


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "v112", "v114", "latest"])
@pytest.mark.parametrize("block", [0, 512, 1024, 4096])
def test_finds_the_values_in_every_version_of_the_format(tmp_path, libver, block):
    def fill(file):
        file.attrs["name"] = "text"
        file.create_dataset("a/b/d", data=VALUES)
        file.create_dataset("a/c", data=VALUES, chunks=(4, 4))

    path = made(tmp_path / "f.h5", fill, libver=libver, userblock_size=block)
    found = Read(path)
    dataset = found.datasets["a/b/d"]
    (extent,) = dataset.extents
    with open(path, "rb") as file:
        content = file.read()
    assert content[extent.offset : extent.offset + extent.length] == VALUES.tobytes()
    assert found.values["a/b/d"].tolist() == VALUES.reshape(-1).tolist()
    assert found.values["a/c"].tolist() == VALUES.reshape(-1).tolist()
    first = next(e for e in found.datasets["a/c"].extents)
    stored = np.frombuffer(content[first.offset : first.offset + first.length], "<f4")
    assert stored.reshape(4, 4).tolist() == VALUES[:4, :4].tolist()
    assert found.superblock.start == block
    assert found.overhead.get("user block", 0) == block
    assert found.groups[""].value("name") == "text"
    assert found.problems == []


@pytest.mark.parametrize(("libver", "version"), [("earliest", 0), ("v108", 2), ("latest", 3)])
def test_tells_the_superblock_version(tmp_path, libver, version):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("g"), libver=libver)
    assert Read(path).superblock.version == version


def test_says_how_much_of_a_truncated_file_is_missing(tmp_path):
    made(tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES))
    content = (tmp_path / "f.h5").read_bytes()
    for size in range(8 + 88, len(content), 37):
        path = tmp_path / "cut.h5"
        path.write_bytes(content[:size])
        with pytest.raises(Truncated) as caught:
            Read(str(path))
        missing = len(content) - size
        percent = missing * 10_000 // len(content) / 100
        assert f"{missing:,} missing ({percent:.2f} %)" in str(caught.value)


def test_the_truncation_sentence_of_a_real_report(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES))
    with open(path, "r+b") as file:
        file.truncate(98_304)
    patch(path, (40, struct.pack("<Q", 102_853_048)))
    with pytest.raises(Truncated) as caught:
        Read(path)
    assert (
        "truncated: the file has 98,304 bytes, its superblock says 102,853,048;"
        " 102,754,744 missing (99.90 %)"
    ) in caught.value.message


@pytest.mark.parametrize("size", [9, 12, 23, 40, 95])
def test_a_file_cut_inside_its_superblock_is_truncated(tmp_path, size):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("g"))
    with open(path, "r+b") as file:
        file.truncate(size)
    with pytest.raises(Truncated):
        Read(path)


def test_bytes_behind_the_end_are_labelled(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES))
    with open(path, "ab") as file:
        file.write(b"x" * 1000)
    assert Read(path).overhead["trailing bytes"] == 1000


def test_a_file_left_open_for_writing_is_refused_with_the_remedy(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("g"), libver="latest")
    patch(path, (11, b"\x05"))
    with pytest.raises(Unsupported, match="h5clear"):
        Read(path)


def test_an_unknown_superblock_version_is_unsupported(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("g"))
    with pytest.raises(Unsupported, match="version 9"):
        Read(patch(path, (8, b"\x09")))


@pytest.mark.parametrize("width", [0, 1, 3, 255])
def test_addresses_of_an_impossible_width_are_corrupt(tmp_path, width):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("g"))
    with pytest.raises(Corrupt, match="addresses"):
        Read(patch(path, (13, bytes([width]))))


@pytest.mark.parametrize("end", [0, 1, 96, 0xFFFF_FFFF_FFFF_FFFF])
def test_an_end_of_file_address_that_cannot_be_is_no_crash(tmp_path, end):
    path = made(tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES))
    place = end_of_file_field((tmp_path / "f.h5").read_bytes())
    patch(path, (place, struct.pack("<Q", end)))
    with pytest.raises((Truncated, Corrupt)):
        Read(path)


# Layouts


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">i8", "<i4", "|i1", "|u1", "<u2", "|b1"])
def test_reads_every_number_type_as_h5py_does(tmp_path, dtype):
    values = np.array([[0, 1, 3], [5, 7, 0]]).astype(dtype)

    def fill(file):
        file["d"] = values
        file.create_dataset("c", data=values, chunks=(2, 2))

    found = Read(made(tmp_path / "f.h5", fill))
    for name in "dc":
        assert found.datasets[name].dtype == dtype
        assert found.datasets[name].shape == (2, 3)
        assert found.values[name].tolist() == values.reshape(-1).tolist()


FILTERS = {
    "gzip": {"compression": "gzip"},
    "shuffle+gzip": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
    "fletcher32": {"fletcher32": True},
    "shuffle+gzip+fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "scaleoffset": {"scaleoffset": 3},
}


@pytest.mark.parametrize("codec", FILTERS)
def test_reads_filtered_chunks_and_names_the_filters(tmp_path, codec):
    path = made(
        tmp_path / "f.h5",
        lambda file: file.create_dataset("d", data=VALUES, chunks=(4, 4), **FILTERS[codec]),
    )
    found = Read(path)
    dataset = found.datasets["d"]
    assert found.values["d"].tolist() == VALUES.reshape(-1).tolist()
    assert {extent.codec for extent in dataset.extents} == {codec}
    assert len(dataset.extents) == 6
    with h5py.File(path) as file:
        assert dataset.stored == file["d"].id.get_storage_size()


def test_a_filter_that_cannot_be_undone_is_a_problem_and_the_bytes_still_count(tmp_path):
    def fill(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((6, 10))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((6, 10))
        dataset = h5py.h5d.create(file.id, b"d", h5py.h5t.IEEE_F32LE, space, plist)
        dataset.write_direct_chunk((0, 0), b"0123456789")

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.codes == ["filter-unavailable"]
    assert found.datasets["d"].payload is None
    assert found.datasets["d"].stored == 10


def test_compact_values_are_inside_the_object_header(tmp_path):
    def fill(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((6, 10))
        h5py.h5d.create(file.id, b"d", h5py.h5t.IEEE_F32LE, space, plist)
        file["d"][...] = VALUES

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.datasets["d"].stored == 240
    assert found.values["d"].tolist() == VALUES.reshape(-1).tolist()


@pytest.mark.parametrize("chunks", [None, (2, 2)])
@pytest.mark.parametrize("fill_value", [None, 0, 3.5])
def test_values_never_written_are_the_fill_value_and_take_no_bytes(tmp_path, chunks, fill_value):
    path = made(
        tmp_path / "f.h5",
        lambda file: file.create_dataset("d", (6, 10), "f4", chunks=chunks, fillvalue=fill_value),
    )
    found = Read(path)
    assert "never allocated" in found.datasets["d"].storage
    assert found.datasets["d"].stored == 0
    assert found.datasets["d"].extents == ()
    assert found.values["d"].tolist() == [fill_value or 0.0] * 60


def test_chunks_partly_written_are_completed_with_the_fill_value(tmp_path):
    def fill(file):
        dataset = file.create_dataset("d", (6, 10), "f4", chunks=(2, 5), fillvalue=7.0)
        dataset[2:4, 0:5] = 1.0

    found = Read(made(tmp_path / "f.h5", fill))
    expected = np.full((6, 10), 7.0)
    expected[2:4, 0:5] = 1.0
    assert found.values["d"].tolist() == expected.reshape(-1).tolist()
    assert found.datasets["d"].stored == 2 * 5 * 4


def test_scalars_nulls_and_empties(tmp_path):
    def fill(file):
        file["scalar"] = np.float32(2.5)
        file["null"] = h5py.Empty("f4")
        file["empty"] = np.zeros((0, 3), "f4")
        file.create_dataset("growing", (0, 3), "f4", maxshape=(None, 3))

    found = Read(made(tmp_path / "f.h5", fill))
    shapes = {name: one.shape for name, one in found.datasets.items()}
    assert shapes == {"scalar": (), "null": None, "empty": (0, 3), "growing": (0, 3)}
    assert found.values["scalar"].tolist() == [2.5]
    assert found.values["empty"].tolist() == []
    assert found.values["growing"].tolist() == []
    assert [found.datasets[n].stored for n in ("scalar", "null", "empty", "growing")] == [
        4,
        0,
        0,
        0,
    ]


def test_what_is_no_number_is_named_and_not_read(tmp_path):
    def fill(file):
        file["fixed"] = np.array([b"ab", b"cde"])
        file.create_dataset("variable", data=["one", "three"], dtype=h5py.string_dtype())
        file["compound"] = np.zeros(3, [("a", "f4"), ("b", "i2")])
        file["opaque"] = np.zeros(3, "V7")
        file["sequences"] = np.array([np.zeros(1), np.zeros(2)], dtype=object).astype(
            h5py.vlen_dtype("f8")
        )
        file.create_dataset("refs", (2,), dtype=h5py.ref_dtype)
        file.create_dataset("arrays", (2,), dtype=np.dtype(("f4", (3,))))
        file.create_dataset("enum", data=[1, 2], dtype=h5py.enum_dtype({"A": 1, "B": 2}, "i2"))

    found = Read(made(tmp_path / "f.h5", fill))
    assert {name: one.dtype for name, one in found.datasets.items()} == {
        "fixed": "string",
        "variable": "string",
        "compound": "compound",
        "opaque": "V7",
        "sequences": "variable-length",
        "refs": "reference",
        "arrays": "array",
        "enum": "<i2",
    }
    assert set(found.values) == {"enum"}
    assert found.values["enum"].tolist() == [1, 2]


def test_a_time_is_no_number(tmp_path):
    def fill(file):
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, b"d", h5py.h5t.UNIX_D32LE, space)

    dataset = one(made(tmp_path / "f.h5", fill))
    assert (dataset.dtype, dataset.payload) == ("time", None)


def test_bfloat16_is_two_opaque_bytes_that_say_so(tmp_path):
    values = np.array([0.0, 1.5, -2.0, 3.0], ml_dtypes.bfloat16)

    def fill(file):
        for name, options in (("raw", {}), ("chunked", {"chunks": (2,)}), ("silent", {})):
            file.create_dataset(name, data=values.view("V2"), **options)
            if name != "silent":
                file[name].attrs["dtype"] = "bfloat16"
        file.create_dataset("absent", (4,), "V2")
        file["absent"].attrs["dtype"] = "bfloat16"

    found = Read(made(tmp_path / "f.h5", fill))
    assert {name: one.dtype for name, one in found.datasets.items()} == {
        "raw": "bfloat16",
        "chunked": "bfloat16",
        "absent": "bfloat16",
        "silent": "V2",
    }
    assert found.values["raw"].astype("f4").tolist() == [0.0, 1.5, -2.0, 3.0]
    assert found.values["chunked"].astype("f4").tolist() == [0.0, 1.5, -2.0, 3.0]
    assert found.values["absent"].astype("f4").tolist() == [0.0] * 4


def test_numbers_narrower_than_numpys_are_converted_and_not_read_across(tmp_path):
    def fill(file):
        kind = h5py.h5t.IEEE_F32LE.copy()  # bfloat16 as HDF5 itself would say it
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_size(2)
        kind.set_ebias(127)
        space = h5py.h5s.create_simple((3,))
        made = h5py.h5d.create(file.id, b"d", kind, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2.5, -4], "f4"))
        file["behind"] = np.full(9, 9.0, "f4")

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.datasets["d"].stored == 6
    assert found.values["d"].tolist() == [1, 2.5, -4]


def test_a_dataset_that_lies_past_the_end_has_no_bytes(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES))
    found = Read(move_dataset(path, "d", os.path.getsize(path) - 8))
    assert found.codes == ["unreadable-object"]  # libhdf5 itself refuses to open it
    assert found.problems[0].message.startswith("d: ")
    assert found.datasets == {}


def test_chunks_that_lie_past_the_end_have_no_bytes(tmp_path):
    path = made(
        tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES, chunks=(3, 10))
    )
    with h5py.File(path) as file:
        offset = file["d"].id.get_chunk_info(1).byte_offset
    with open(path, "rb") as file:
        content = file.read()
    pointer = struct.pack("<Q", offset)
    assert content.count(pointer) == 1
    found = Read(patch(path, (content.index(pointer), struct.pack("<Q", len(content) - 8))))
    assert found.codes == ["broken-chunks"]
    assert found.datasets["d"].stored == 120
    assert found.values == {}


@pytest.mark.parametrize("size", [0, 8, 119, 121, 1 << 31])
def test_a_chunk_of_a_size_that_cannot_be_is_not_read(tmp_path, size):
    path = made(
        tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES, chunks=(3, 10))
    )
    content = (tmp_path / "f.h5").read_bytes()
    # A key of the chunks' tree: the size, no filter skipped, then where the chunk belongs.
    key = struct.pack("<IIQQQ", 120, 0, 3, 0, 0)
    assert content.count(key) == 1
    found = Read(patch(path, (content.index(key), struct.pack("<I", size))))
    assert found.codes == ["broken-chunks"]
    assert found.values == {}


@pytest.mark.parametrize("shift", [0, 40, -40])
def test_bytes_that_two_datasets_claim_are_counted_once(tmp_path, shift):
    def fill(file):
        file["a"] = VALUES
        file["b"] = VALUES + 1

    path = made(tmp_path / "f.h5", fill)
    with h5py.File(path) as file:
        offset = file["a"].id.get_offset()
    found = Read(move_dataset(path, "b", offset + shift))  # Read holds the sum
    assert found.datasets["b"].extents[0].offset == offset + shift


def test_a_shape_bomb_is_described_and_never_read(tmp_path):
    def fill(file):
        file.create_dataset("d", (1 << 20, 1 << 20), "f4", chunks=(64, 64), compression="gzip")

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.codes == ["declares-more-than-it-stores"]
    assert "declares 4,398,046,511,104 bytes and stores 0" in found.problems[0].message
    assert found.datasets["d"].stored == 0


def test_a_chunk_that_inflates_without_measure_is_not_inflated(tmp_path):
    def fill(file):
        file.create_dataset(
            "d", data=np.zeros(20 << 20, "f4"), chunks=(20 << 20,), compression="gzip"
        )

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.codes == ["declares-more-than-it-stores"]
    assert found.datasets["d"].payload is None


def test_a_chunk_over_the_limit_is_not_read(tmp_path):
    path = made(
        tmp_path / "f.h5", lambda file: file.create_dataset("d", data=VALUES, chunks=(6, 10))
    )
    found = Read(path, Limits(chunk_bytes=239))
    assert found.codes == ["chunk-too-large"]
    assert found.values == {}


# Links


def test_a_dataset_with_two_names_is_one_dataset(tmp_path):
    def fill(file):
        file["a/first"] = VALUES
        file["b/second"] = file["a/first"]
        file["third"] = file["a/first"]

    found = Read(made(tmp_path / "f.h5", fill))
    ((path, dataset),) = found.datasets.items()
    assert path == "third"
    assert dataset.links == ["a/first", "b/second"]


def test_groups_that_hold_each_other_are_read_once(tmp_path):
    def fill(file):
        file["a/b/d"] = VALUES
        file["a/b/up"] = file["a"]
        file["a/b/root"] = file["/"]

    found = Read(made(tmp_path / "f.h5", fill))
    assert set(found.groups) == {"", "a", "a/b"}
    assert set(found.datasets) == {"a/b/d"}


def test_soft_links_are_followed_inside_the_file_alone(tmp_path):
    def fill(file):
        file["a/d"] = VALUES
        file["a/near"] = h5py.SoftLink("d")
        file["far"] = h5py.SoftLink("/a/near")
        file["through"] = h5py.SoftLink("/a")
        file["dangling"] = h5py.SoftLink("/nothing/here")
        file["loop"] = h5py.SoftLink("/loop")
        file["ping"] = h5py.SoftLink("/pong")
        file["pong"] = h5py.SoftLink("/ping/x")
        file["out"] = h5py.ExternalLink("other.h5", "/w")

    path = made(tmp_path / "f.h5", fill)
    with LocalFile(path) as source, Hdf5File(source) as file:
        dataset = file.lookup("a/d")
        assert dataset is not None
        assert file.lookup("far") is dataset
        assert file.lookup("/through/near") is dataset
        assert file.lookup("./a/./d") is dataset
        for name in ("dangling", "loop", "ping", "pong", "a/d/below", "nothing"):
            assert file.lookup(name) is None
        assert file.lookup("out/kernel") == Link("out", "external", ("other.h5", "/w"))
        assert [one.path for one in file.datasets()] == ["a/d"]
        assert [one.code for one in file.problems] == ["external-link"]
        assert "other.h5:/w" in file.problems[0].message


def test_names_that_are_no_utf8_or_lead_elsewhere_are_printable_and_not_followed(tmp_path):
    def fill(file):
        file["plain"] = VALUES
        h5py.h5g.create(file.id, b"bad\xff")
        file["group/inner"] = VALUES
        file["group_inner"] = VALUES

    path = made(tmp_path / "f.h5", fill)
    with open(path, "r+b") as file:
        content = file.read()
        assert content.count(b"group_inner\0") == 1
        file.seek(content.index(b"group_inner\0"))
        file.write(b"group/inner\0")
    found = Read(path)
    assert "bad\\xff" in found.groups
    assert found.codes == ["odd-name"]
    assert set(found.datasets) == {"plain", "group/inner"}
    for name in [*found.groups, *found.datasets]:
        name.encode("utf-8")


def test_a_depth_or_number_of_objects_over_the_limit_is_refused(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.create_group("/".join("abcdefghij")))
    with pytest.raises(LimitExceeded, match="depth"):
        Read(path, Limits(depth=9))
    with pytest.raises(LimitExceeded, match="nodes"):
        Read(path, Limits(nodes=9))
    assert len(Read(path, Limits(depth=10, nodes=11)).groups) == 11


# Attributes


def test_attributes_are_plain_python(tmp_path):
    def fill(file):
        file.attrs["text"] = "é"
        file.attrs["bytes"] = b"raw"
        file.attrs["numpy text"] = np.bytes_(b"fixed")
        file.attrs["number"] = 3
        file.attrs["flag"] = True
        file.attrs["list"] = [1.5, 2.5]
        file.attrs["names"] = np.array([b"a", b"bc"])
        file.attrs["variable"] = np.array(["x", "yz"], dtype=object)
        file.attrs["grid"] = np.arange(4).reshape(2, 2)
        file.attrs["none"] = h5py.Empty("f4")
        file.attrs["nothing"] = np.zeros(0)
        file.attrs["ref"] = file.ref
        file.attrs["bad text"] = b"\xff"

    root = Read(made(tmp_path / "f.h5", fill)).groups[""]
    assert {name: root.value(name) for name in root.attributes} == {
        "text": "é",
        "bytes": "raw",
        "numpy text": "fixed",
        "number": 3,
        "flag": True,
        "list": (1.5, 2.5),
        "names": ("a", "bc"),
        "variable": ("x", "yz"),
        "grid": ((0, 1), (2, 3)),
        "none": None,
        "nothing": (),
        "ref": None,
        "bad text": "�",
    }


def test_a_list_split_past_64_kib_is_joined_by_number(tmp_path):
    names = [f"layer_{i:04}_{'x' * 100}" for i in range(6000)]

    def fill(file):
        for part in range(12):
            file.attrs[f"layer_names{part}"] = np.array(names[part * 500 : (part + 1) * 500], "S")
        file.attrs["layer_names_of_another"] = "no"

    root = Read(made(tmp_path / "f.h5", fill)).groups[""]
    assert root.texts("layer_names") == names
    assert root.texts("weight_names") is None


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_many_and_large_attributes_are_counted(tmp_path, libver):
    def fill(file):
        for index in range(200):
            file.attrs[f"a{index}"] = "x" * index
        file.attrs["long"] = "y" * 900_000

    found = Read(made(tmp_path / "f.h5", fill, libver=libver))
    assert len(found.groups[""].attributes) == 201
    assert found.overhead["attributes"] == sum(range(200)) + 900_000


def test_a_list_of_texts_is_read(tmp_path):
    names = [f"name {index:05}" for index in range(1500)]

    def fill(file):
        file.attrs["long"] = "x" * 100_000
        file.attrs["names"] = np.array(names, dtype=object)

    found = Read(made(tmp_path / "f.h5", fill))
    assert found.groups[""].texts("names") == names
    assert found.codes == []


def test_a_list_that_repeats_one_long_text_is_not_read(tmp_path):
    def fill(file):
        file.attrs["long"] = "x" * 1_000_000
        file.attrs["names"] = np.array(["a" * 77] * 1500, dtype=object)

    path = made(tmp_path / "f.h5", fill)
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        (long,) = heap_references(content, 1_000_000)
        for at in heap_references(content, 77):
            content[at : at + 16] = content[long : long + 16]
        file.seek(0)
        file.write(content)
    found = Read(path)
    assert found.codes == ["attribute-unread"]
    assert found.groups[""].value("names") is None


def test_an_attribute_over_the_limit_is_a_refusal(tmp_path):
    path = made(tmp_path / "f.h5", lambda file: file.attrs.create("a", np.zeros(1000)))
    with pytest.raises(LimitExceeded, match="attribute_bytes"):
        Read(path, Limits(attribute_bytes=7999))
    with pytest.raises(LimitExceeded, match="attribute_values"):
        Read(path, Limits(attribute_values=999))
