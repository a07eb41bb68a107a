"""Zips written by hand, record by record, so that each can be wrong in one place."""

import struct
import zlib
from dataclasses import dataclass


@dataclass
class Entry:
    """One member. What is None follows from the data; what is given is written as it is."""

    name: bytes
    data: bytes = b""
    deflate: bool = False
    flags: int = 0
    method: int | None = None
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    header_offset: int | None = None  # an entry that points elsewhere writes no local part
    extra: bytes = b""

    def packed(self) -> bytes:
        if not self.deflate:
            return self.data
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        return engine.compress(self.data) + engine.flush()

    def fields(self):
        """(method, crc, compressed, size) as the headers give them."""
        return (
            (8 if self.deflate else 0) if self.method is None else self.method,
            zlib.crc32(self.data) if self.crc is None else self.crc,
            len(self.packed()),
            len(self.data) if self.size is None else self.size,
        )

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        method, crc, compressed, size = self.fields()
        head = struct.pack(
            "<4s5H3I2H",
            *(b"PK\x03\x04", 20, self.flags, method, 0, 0),
            *(crc, compressed, size, len(name), 0),
        )
        return head + name + self.packed()

    def central(self, offset: int) -> bytes:
        method, crc, compressed, size = self.fields()
        head = struct.pack(
            "<4s6H3I5H2I",
            *(b"PK\x01\x02", 20, 20, self.flags, method, 0, 0),
            *(crc, compressed, size, len(self.name), len(self.extra), 0, 0, 0, 0, offset),
        )
        return head + self.name + self.extra


def end_record(count: int, size: int, offset: int, comment: bytes = b"", disk: int = 0) -> bytes:
    return (
        struct.pack("<4s4H2IH", b"PK\x05\x06", disk, 0, count, count, size, offset, len(comment))
        + comment
    )


def build(*entries: Entry, comment: bytes = b"", directory_at: int | None = None) -> bytes:
    """A zip of these entries. directory_at: the offset that the end record declares."""
    body, central = b"", b""
    for entry in entries:
        if entry.header_offset is None:
            central += entry.central(len(body))
            body += entry.local()
        else:
            central += entry.central(entry.header_offset)
    at = len(body) if directory_at is None else directory_at
    return body + central + end_record(len(entries), len(central), at, comment)


def quoted_overlap(kernel: bytes, names: list[bytes]) -> bytes:
    """A bomb whose members all inflate one kernel (David Fifield, "A better zip bomb", 2019).

    Each member's data starts with a stored deflate block that quotes the next local header, so
    that one kernel at the end is claimed by every member.
    """
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = engine.compress(kernel) + engine.flush()
    body, inflated = b"", kernel
    parts = []
    for name in reversed(names):
        if body:
            header = parts[0][1]
            quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header
            packed, inflated = quote + packed, header + inflated
        head = struct.pack(
            "<4s5H3I2H",
            *(b"PK\x03\x04", 20, 0, 8, 0, 0),
            *(zlib.crc32(inflated), len(packed), len(inflated), len(name), 0),
        )
        header = head + name
        parts.insert(0, (name, header, zlib.crc32(inflated), len(packed), len(inflated)))
        body = header + packed
        # The next member in front quotes this header and goes on with this member's own data.
    central = b""
    for name, header, crc, compressed, size in parts:
        head = struct.pack(
            "<4s6H3I5H2I",
            *(b"PK\x01\x02", 20, 20, 0, 8, 0, 0),
            *(crc, compressed, size, len(name), 0, 0, 0, 0, 0, body.index(header)),
        )
        central += head + name
    return body + central + end_record(len(parts), len(central), len(body))
