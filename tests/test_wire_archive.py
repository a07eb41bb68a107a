import io
import struct
import time
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, InspectorError, LimitExceeded, Truncated, Unsupported
from inspector.limits import GIB, Limits
from inspector.model import Severity
from inspector.storage import MemorySource, Window
from inspector.wire.archive import read_archive
from tests.builders.zips import Entry, build, end_record, quoted_overlap


class Stream(io.RawIOBase):
    """A file that cannot seek: zipfile then writes data descriptors."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def archive_of(data, limits=None):
    return read_archive(MemorySource(data, "m.keras"), limits or Limits())


def assert_accounted(archive):
    payload = sum(member.compressed for member in archive.members if member.distinct)
    assert payload + sum(archive.overhead.values()) == archive.source.size


def codes(archive):
    return [problem.code for problem in archive.problems]


def assert_agrees_with_zipfile(data):
    archive = archive_of(data)
    assert_accounted(archive)
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        infos = oracle.infolist()
        assert [m.name for m in archive.members] == [i.filename for i in infos]
        for member, info in zip(archive.members, infos, strict=True):
            assert member.compressed == info.compress_size
            assert member.size == info.file_size
            assert member.crc32 == info.CRC
            assert member.header_offset == info.header_offset
            assert member.is_dir == info.is_dir()
            content = oracle.read(info)
            assert archive.read_member(member, len(content)) == content
            opened = archive.open_member(member)
            assert bytes(opened.view(0, opened.size)) == content
    return archive


def written(*members, method=zipfile.ZIP_STORED, zip64=False, comment=b"", stream=False):
    target = Stream() if stream else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as writer:
        for name, content in members:
            with writer.open(name, "w", force_zip64=zip64) as handle:
                handle.write(content)
        writer.comment = comment
    return bytes(target.data) if stream else target.getvalue()


SAMPLE = (("config.json", b'{"a": 1}'), ("model.weights.h5", bytes(range(256)) * 8), ("a/", b""))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("comment", [b"", b"a comment PK"])
def test_agrees_with_zipfile_on_what_zipfile_writes(method, zip64, stream, comment):
    data = written(*SAMPLE, method=method, zip64=zip64, stream=stream, comment=comment)
    archive = assert_agrees_with_zipfile(data)
    assert archive.problems == ()
    assert archive.overhead.get("zip comment", 0) == len(comment)
    assert "zip gaps" not in archive.overhead


def test_headers_add_up_by_hand():
    # One stored member "ab" of 5 bytes: local header 30 + 2, entry 46 + 2, end record 22.
    archive = archive_of(build(Entry(b"ab", b"hello")))
    assert archive.overhead == {"zip headers": 32 + 48 + 22}
    (member,) = archive.members
    assert (member.header_offset, member.data_offset, member.compressed) == (0, 32, 5)


def test_an_empty_archive_is_all_headers():
    archive = archive_of(end_record(0, 0, 0))
    assert archive.members == ()
    assert archive.overhead == {"zip headers": 22}
    assert archive.problems == ()


def test_a_stored_member_is_opened_without_a_copy():
    archive = archive_of(written(*SAMPLE))
    opened = archive.open_member(archive.find("model.weights.h5"))
    assert isinstance(opened, Window)
    assert opened.path == "m.keras/model.weights.h5"


def test_names_are_decoded_as_the_zip_says():
    archive = assert_agrees_with_zipfile(
        build(Entry("größe".encode(), b"1", flags=0x800), Entry(b"gr\x94\xe1e", b"2"))
    )
    assert [m.name for m in archive.members] == ["größe", "größe"]


def test_a_name_ends_at_its_nul_as_for_python():
    assert archive_of(build(Entry(b"config.json\0.txt", b"x"))).find("config.json") is not None


def test_prepended_bytes_are_a_gap_and_offsets_move():
    data = b"#!/bin/sh\n" + written(*SAMPLE, zip64=True)
    archive = assert_agrees_with_zipfile(data)
    assert archive.overhead["zip gaps"] == 10
    assert codes(archive) == ["zip-prepended-data"]


def test_trailing_bytes_are_a_gap():
    data = written(*SAMPLE) + b"\0" * 9
    archive = assert_agrees_with_zipfile(data)
    assert archive.overhead["zip gaps"] == 9
    assert codes(archive) == ["zip-trailing-data"]


def test_bytes_between_members_are_a_gap():
    first, second = Entry(b"a", b"1"), Entry(b"b", b"2")
    body = first.local() + b"hidden" + second.local()
    central = first.central(0) + second.central(len(first.local()) + 6)
    archive = archive_of(body + central + end_record(2, len(central), len(body)))
    assert_accounted(archive)
    assert archive.overhead["zip gaps"] == 6


def zip64_records(data, disks=1):
    """The end record of `data` replaced by zip64's, all its fields full."""
    _, _, _, _, count, size, offset, _ = struct.unpack("<4s4H2IH", data[-22:])
    body = data[:-22]
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body), disks)
    return body + record + locator + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


@pytest.mark.parametrize("front", [b"", b"in front"])
def test_zip64_end_records_are_read(front):
    archive = assert_agrees_with_zipfile(front + zip64_records(written(*SAMPLE)))
    assert archive.overhead.get("zip gaps", 0) == len(front)


def test_a_zip64_record_that_is_not_there_is_corrupt():
    data = bytearray(zip64_records(written(*SAMPLE)))
    data[data.index(b"PK\x06\x06")] = 0
    with pytest.raises(Corrupt, match="zip64 end record"):
        archive_of(bytes(data))


def test_several_disks_are_unsupported():
    with pytest.raises(Unsupported, match="several disks"):
        archive_of(end_record(0, 0, 0, disk=1))
    with pytest.raises(Unsupported, match="several disks"):
        archive_of(zip64_records(written(*SAMPLE), disks=3))


def test_a_cut_off_zip_is_truncated():
    with pytest.raises(Truncated, match="cut off"):
        archive_of(written(*SAMPLE)[:-30])
    with pytest.raises(Truncated, match="cut off"):
        archive_of(b"")


def test_bytes_missing_before_the_directory_are_counted():
    data = written(*SAMPLE)
    with pytest.raises(Truncated, match=r"\b40 bytes are missing"):
        archive_of(data[40:])


def test_a_directory_past_the_end_is_truncated():
    entry = Entry(b"a", b"x")
    data = build(entry, directory_at=len(entry.local()) + 1000)
    with pytest.raises(Truncated, match=r"\b1,000 bytes are missing"):
        archive_of(data)


def test_a_member_that_starts_past_the_end_is_truncated():
    with pytest.raises(Truncated, match="starts outside"):
        archive_of(build(Entry(b"a", header_offset=5000)))


def test_a_member_without_a_local_header_is_corrupt():
    with pytest.raises(Corrupt, match="no local header"):
        archive_of(build(Entry(b"a", b"x" * 50), Entry(b"b", header_offset=3)))


def test_too_many_members_exceed_the_limit():
    with pytest.raises(LimitExceeded, match="nodes"):
        archive_of(written(*SAMPLE), Limits(nodes=2))


def test_of_a_duplicate_config_the_last_entry_is_used_as_python_does():
    data = build(Entry(b"config.json", b"good"), Entry(b"config.json", b"evil!"))
    archive = archive_of(data)
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        assert archive.read_member(archive.find("config.json"), 99) == oracle.read("config.json")
    (problem,) = archive.problems
    assert problem.code == "zip-duplicate-name"
    assert "the last one" in problem.message
    assert problem.offset == archive.members[1].header_offset
    assert_accounted(archive)


@pytest.mark.parametrize(
    "name",
    [b"../evil.txt", b"a/../../evil", b"..\\evil", b"/etc/passwd", b"C:\\x", b"C:x", b"a\\b", b""],
)
def test_a_name_that_leaves_the_folder_is_an_error(name):
    (problem,) = archive_of(build(Entry(name, b"x"))).problems
    assert (problem.code, problem.severity) == ("zip-unsafe-name", Severity.ERROR)


@pytest.mark.parametrize("name", [b"a/b..c", b"..a", b"assets/x", b"a..", b"..."])
def test_dots_inside_a_name_are_harmless(name):
    assert archive_of(build(Entry(name, b"x"))).problems == ()


def test_a_quoted_overlap_bomb_is_named_and_counted_once():
    data = quoted_overlap(b"\0" * 100_000, [b"a", b"b", b"c"])
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        assert [i.file_size > 100_000 - 1 for i in oracle.infolist()] == [True] * 3
    archive = archive_of(data)
    assert codes(archive) == ["zip-overlap"] * 2
    assert [m.distinct for m in archive.members] == [True, False, False]
    # Still readable: each member's own bytes inflate to what it declares.
    for member in archive.members:
        assert len(archive.read_member(member, 1 << 20)) == member.size
    assert_accounted(archive)


def test_two_entries_for_one_payload_count_it_once():
    archive = archive_of(build(Entry(b"a", b"data"), Entry(b"a", b"data", header_offset=0)))
    assert [m.distinct for m in archive.members] == [True, False]
    assert set(codes(archive)) == {"zip-overlap", "zip-duplicate-name"}
    assert_accounted(archive)


def test_a_member_that_reaches_into_the_directory_overlaps():
    entry = Entry(b"a", b"data")
    body, central = entry.local(), bytearray(entry.central(0))
    central[20:28] = struct.pack("<2I", 20, 20)  # compressed size, size: 16 more than there are
    archive = archive_of(body + bytes(central) + end_record(1, len(central), len(body)))
    assert "zip-overlap" in codes(archive)
    assert_accounted(archive)


def test_headers_that_disagree_are_named():
    data = bytearray(build(Entry(b"config.json", b"abc", local_name=b"conf1g.json")))
    data[8] = 8  # the local header's method
    data[22] = 99  # its size
    messages = [problem.message for problem in archive_of(bytes(data)).problems]
    assert [next(w for w in ("name", "method", "size") if f"gives {w}" in m) for m in messages] == [
        "name",
        "method",
        "size",
    ]


def test_an_encrypted_member_is_named_and_not_read():
    archive = archive_of(build(Entry(b"a", b"secret", flags=1)))
    assert codes(archive) == ["zip-encrypted"]
    assert archive.members[0].encrypted
    with pytest.raises(Unsupported, match="encrypted"):
        archive.open_member(archive.members[0])


def test_an_unknown_method_is_kept_as_its_number():
    archive = archive_of(build(Entry(b"a", b"x", method=93)))
    assert archive.members[0].method == "93"
    with pytest.raises(Unsupported, match="method 93"):
        archive.open_member(archive.members[0])


@pytest.mark.parametrize("deflate", [False, True])
def test_a_changed_byte_is_found_when_the_data_is_read(deflate):
    archive = archive_of(build(Entry(b"a", b"hello", deflate=deflate, crc=1)))
    member = archive.members[0]
    assert archive.problems == ()
    with pytest.raises(Corrupt, match="crc"):
        archive.read_member(member, 99)


def test_a_bomb_of_1000_to_1_is_named_and_bounded():
    data = build(Entry(b"w", b"\0" * (1 << 20), deflate=True))
    archive = archive_of(data, Limits(bomb_bytes=1 << 20, inflated_bytes=1 << 19))
    assert codes(archive) == ["zip-bomb"]
    with pytest.raises(LimitExceeded, match="inflated_bytes"):
        archive.open_member(archive.members[0])
    with pytest.raises(LimitExceeded, match="1,048,576 is over 1,000"):
        archive.read_member(archive.members[0], 1000)


def test_a_member_that_declares_4_gib_costs_nothing():
    archive = archive_of(build(Entry(b"w", b"\0" * 5000, deflate=True, size=4 * GIB - 1 - 1)))
    start = time.perf_counter()
    assert codes(archive) == ["zip-bomb"]
    with pytest.raises(LimitExceeded):
        archive.open_member(archive.members[0])
    with pytest.raises(LimitExceeded, match="inflate_ratio"):
        archive.read_member(archive.members[0], 8 * GIB)
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("size", [0, 1, 4999, 5001, 9999])
def test_a_size_that_is_a_lie_is_corrupt(size):
    archive = archive_of(build(Entry(b"w", b"ab" * 2500, deflate=True, size=size)))
    with pytest.raises(Corrupt, match="inflates"):
        archive.open_member(archive.members[0])


def test_a_stored_member_with_two_sizes_is_corrupt():
    archive = archive_of(build(Entry(b"w", b"abc", size=9)))
    with pytest.raises(Corrupt, match="is stored"):
        archive.open_member(archive.members[0])


def test_bad_deflate_data_is_corrupt():
    archive = archive_of(build(Entry(b"w", b"\xff" * 40, method=8)))
    with pytest.raises(Corrupt, match="cannot be inflated"):
        archive.open_member(archive.members[0])


def test_a_missing_descriptor_is_named():
    archive = archive_of(build(Entry(b"w", b"abc", flags=8)))
    assert codes(archive) == ["zip-descriptor"]


def test_an_end_record_that_miscounts_is_named():
    entry = Entry(b"a", b"x")
    data = entry.local() + entry.central(0)
    end = end_record(2, len(entry.central(0)), len(entry.local()))
    assert codes(archive_of(data + end)) == ["zip-entry-count"]


@pytest.mark.parametrize("stated", [0, 7, 8, 200])
def test_a_zip64_field_that_is_cut_off_is_corrupt(stated):
    extra = struct.pack("<2H", 1, stated) + b"\0" * 7
    with pytest.raises(Corrupt, match="zip64 field is too short"):
        archive_of(build(Entry(b"a", b"x", size=0xFFFFFFFF, extra=extra)))


def exercise(data):
    """Everything the module does; it may only fail as an InspectorError."""
    limits = Limits(inflated_bytes=1 << 20)
    try:
        archive = archive_of(data, limits)
    except InspectorError:
        return
    assert_accounted(archive)
    for member in archive.members:
        try:
            archive.open_member(member)
            archive.read_member(member, limits.inflated_bytes)
        except InspectorError:
            pass


VARIANTS = [
    written(*SAMPLE, method=method, zip64=zip64, stream=stream, comment=b"c")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    for zip64 in (False, True)
    for stream in (False, True)
] + [zip64_records(written(*SAMPLE)), quoted_overlap(b"\0" * 500, [b"a", b"b"])]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(VARIANTS),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=6),
    st.integers(0, 60),
)
def test_mutated_zips_end_in_a_result_or_a_typed_error(data, flips, cut):
    mutated = bytearray(data)
    for place, value in flips:
        # Most bytes are payload; aim at the end, where the structure is.
        mutated[-1 - place % len(mutated)] = value
    exercise(bytes(mutated[: len(mutated) - cut] if cut > 30 else mutated[cut:]))


@given(st.binary(max_size=200))
def test_random_tails_end_in_a_result_or_a_typed_error(tail):
    exercise(tail + end_record(1, 46, 0))
    exercise(b"PK\x03\x04" + tail)


def test_the_crc_is_zlibs():
    assert archive_of(build(Entry(b"a", b"abc"))).members[0].crc32 == zlib.crc32(b"abc")
