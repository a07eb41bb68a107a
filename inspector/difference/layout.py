"""What lies where in a file: its tensors, and the parts of a zip or an HDF5 file around them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.model import Artifact
from inspector.storage import ByteSource
from inspector.wire import zip_records
from inspector.words import keyless

AROUND = "around the tensors"

_ZIP_SIGN = zip_records.LOCAL_SIGN
# Time and date of a member, two bytes each, in its local header and in the central directory.
_LOCAL_DATE, _CENTRAL_DATE, _DATE_BYTES = 10, 12, 4

# Messages of an HDF5 object's header, by type (HDF5 File Format Specification, IV.A.2).
_MESSAGES: Mapping[int, str] = {
    0x01: "shape",
    0x02: "links",
    0x03: "dtype",
    0x04: "fill value",
    0x05: "fill value",
    0x06: "link",
    0x08: "data layout",
    0x0A: "group info",
    0x0B: "filters",
    0x11: "symbol table",
    0x12: "modification time",
    0x15: "attribute info",
}
# Type, length and flags stand before each message.
_PREFIX_BYTES = 8
# Since version 2 a header has four times in front: of access, modification, change and birth.
_TIMES_FLAG, _TIMES_AT, _TIMES_BYTES = 0x20, 6, 16
# What else an HDF5 file is made of begins with four letters, on an address that 8 divides but for
# parts of object headers and chunk indices.
_SIGNATURES: Mapping[bytes, str] = {
    b"GCOL": "HDF5 heap of texts (config, names)",
    b"HEAP": "HDF5 heap of names",
    b"SNOD": "HDF5 table of links",
    b"TREE": "HDF5 B-tree",
    b"BTHD": "HDF5 B-tree",
    b"BTLF": "HDF5 B-tree",
    b"BTIN": "HDF5 B-tree",
    b"FRHP": "HDF5 heap of links or attributes",
    b"FHDB": "HDF5 heap of links or attributes",
    b"FHIB": "HDF5 heap of links or attributes",
    b"OHDR": "HDF5 object header",
    b"OCHK": "HDF5 object header",
}
# How far before a place its part may begin: a heap with a large model's config.
_LOOKED_BACK = 4 << 20


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes from `start` to before `stop`, and what they are."""

    start: int
    stop: int
    what: str


class Layout:
    """All bytes of one file as regions that follow each other without a gap.

    layers: what is known, the surest first; where two claim the same bytes the former has them.
    """

    def __init__(self, source: ByteSource, layers: Sequence[Iterable[Region]]) -> None:
        import numpy as np

        self._source = source
        placed: list[Region] = []
        for layer in layers:
            ordered = sorted(layer, key=lambda region: (region.start, region.stop))
            placed = list(_filled(placed, ordered, source.size))
        everything = [Region(0, source.size, AROUND)]
        self.regions = list(_filled(placed, everything, source.size))
        self.starts = np.array([region.start for region in self.regions])

    def name(self, region: Region, offset: int) -> str:
        """What a byte of the region is; of what nothing claims, as its own signature says."""
        if region.what != AROUND:
            return region.what
        start = max(region.start, offset - _LOOKED_BACK)
        before = bytes(self._source.view(start, min(offset + 4, region.stop) - start))
        nearest, what = -1, AROUND
        for sign, meaning in _SIGNATURES.items():
            at = before.rfind(sign)
            if at > nearest:
                nearest, what = at, meaning
        return what


def _filled(placed: Sequence[Region], more: Sequence[Region], size: int) -> Iterator[Region]:
    """What is placed, and in its gaps as much of `more` as fits there; both are in order."""
    reached, at = 0, 0
    for region in (*placed, Region(size, size, "")):
        while at < len(more) and more[at].start < region.start:
            start, stop = max(more[at].start, reached), min(more[at].stop, region.start)
            if start < stop:
                yield Region(start, stop, more[at].what)
                reached = stop
            if more[at].stop > region.start:
                break
            at += 1
        if region.start < region.stop:
            yield region
        reached = max(reached, region.stop)


def tensors(artifact: Artifact) -> Mapping[str, list[Region]]:
    """The tensors' stored bytes, by file."""
    found: dict[str, list[Region]] = {}
    for tensor in artifact.tensors:
        for extent in tensor.extents:
            stop = extent.offset + extent.length
            region = Region(extent.offset, stop, keyless(tensor.name))
            found.setdefault(extent.file, []).append(region)
    return found


def structure(source: ByteSource, limits: Limits) -> list[Region]:
    """What a zip's or an HDF5 file's own bytes are, as far as they can be read; else nothing."""
    if bytes(source.view(0, min(4, source.size))) == _ZIP_SIGN:
        return _readable(_zip(source, limits))
    return _readable(_hdf5(source, limits))


def _readable(regions: Iterator[Region]) -> list[Region]:
    """What can be read of a broken part too: its reader has told what is wrong."""
    found: list[Region] = []
    try:
        for region in regions:
            found.append(region)
    except (ArtifactError, OSError, struct.error, IndexError):
        pass
    return found


def _zip(source: ByteSource, limits: Limits) -> Iterator[Region]:
    from inspector.wire.archive import read_archive

    end = zip_records.find_end(source)
    yield Region(end.directory + end.directory_bytes, source.size, "zip end record")
    for entry in zip_records.entries(source, end, limits):
        name = zip_records.decode_name(entry.raw_name, entry.flags)
        date = entry.at + _CENTRAL_DATE
        yield Region(date, date + _DATE_BYTES, f"date of {name} in the zip's directory")
        stop = entry.at + zip_records.CENTRAL.size + len(entry.raw_name)
        yield Region(entry.at, date, f"zip directory, {name}")
        yield Region(date + _DATE_BYTES, stop, f"zip directory, {name}")
    for member in read_archive(source, limits).members:
        date = member.header_offset + _LOCAL_DATE
        yield Region(date, date + _DATE_BYTES, f"date of {member.name} in its zip header")
        yield Region(member.header_offset, date, f"zip header of {member.name}")
        yield Region(date + _DATE_BYTES, member.data_offset, f"zip header of {member.name}")
        stop = member.data_offset + member.compressed
        inside: list[Region] = []
        if member.method == "stored":
            window = source.window(member.data_offset, member.compressed, source.path)
            inside = _readable(_hdf5(window, limits))
        for region in inside:
            start = region.start + member.data_offset
            whole = f"{region.what} ({member.name})"
            yield Region(start, region.stop + member.data_offset, whole)
        if not inside:
            yield Region(member.data_offset, stop, member.name)


def _hdf5(source: ByteSource, limits: Limits) -> Iterator[Region]:
    from inspector.wire.hdf5 import Hdf5File
    from inspector.wire.hdf5_superblock import find_signature

    if find_signature(source) is None:
        return
    with Hdf5File(source, limits) as file:
        start = file.superblock.start
        yield Region(0, start, "user block")
        yield Region(start, start + file.superblock.length, "HDF5 superblock")
        for node in file.nodes():
            name = node.path or "the root group"
            yield from _readable(_header(source, node.address + start, start, name))


def _header(source: ByteSource, place: int, start: int, name: str) -> Iterator[Region]:
    """The parts of an object's header."""
    from inspector.wire.hdf5_header import ATTRIBUTE, NEW_HEADER, attribute, messages

    flags = source.view(place, 6)[5]
    if bytes(source.view(place, 4)) == NEW_HEADER and flags & _TIMES_FLAG:
        times = place + _TIMES_AT
        yield Region(times, times + _TIMES_BYTES, f"times of {name}")
    first = True
    for kind, at, size in messages(source, place, start):
        if first:
            yield Region(place, at, f"HDF5 object header of {name}")
            first = False
        what = _MESSAGES.get(kind, "HDF5 object header")
        if kind == ATTRIBUTE:
            what = (
                f"attribute {attribute(bytes(source.view(at, size)))[0].decode(errors='replace')}"
            )
        yield Region(at - _PREFIX_BYTES, at + size, f"{what} of {name}")
