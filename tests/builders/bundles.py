"""Protobuf messages, sorted tables and tensor bundles, written by hand as their formats say."""

import struct
from dataclasses import dataclass

MAGIC = 0xDB4775248B80FB57


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit: the reflected polynomial of Castagnoli."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


# --- protobuf ---


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def number(field_number: int, value: int) -> bytes:
    return tag(field_number, 0) + varint(value)


def chunk(field_number: int, data: bytes) -> bytes:
    return tag(field_number, 2) + varint(len(data)) + data


def fixed32(field_number: int, value: int) -> bytes:
    return tag(field_number, 5) + struct.pack("<I", value)


# --- sorted tables ---


def block(entries, interval=16, restarts=None, share=None) -> bytes:
    """A block's bytes. share: how many bytes each entry claims to share, where it should lie."""
    out, points, before = bytearray(), [], b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % interval:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            points.append(len(out))
        claimed = shared if share is None else share[index]
        fresh = key[shared:]
        out += varint(claimed) + varint(len(fresh)) + varint(len(value)) + fresh + value
        before = key
    points = (points or [0]) if restarts is None else restarts
    return bytes(out) + struct.pack(f"<{len(points)}I", *points) + struct.pack("<I", len(points))


def sealed(data: bytes, kind: int = 0) -> bytes:
    """A block and its trailer."""
    return data + bytes([kind]) + struct.pack("<I", masked(data + bytes([kind])))


def footer(meta, index, magic=MAGIC) -> bytes:
    handles = b"".join(varint(part) for handle in (meta, index) for part in handle)
    return handles.ljust(40, b"\0") + struct.pack("<Q", magic)


def table(*groups, pack=None, gap=b"", interval=16) -> bytes:
    """A table of a block for each group of (key, value). pack: compresses a block, as Snappy."""
    out, index = bytearray(), []
    for entries in groups:
        data = block(entries, interval)
        data, kind = (data, 0) if pack is None else (pack(data), 1)
        index.append((entries[-1][0] if entries else b"", varint(len(out)) + varint(len(data))))
        out += sealed(data, kind)
    out += gap
    places = []
    for data in (block([]), block(index, 1)):
        places.append((len(out), len(data)))
        out += sealed(data)
    return bytes(out) + footer(*places)


# --- tensor bundles ---


def header(shards=1, endianness=0, producer=1, min_consumer=0, bad=()) -> bytes:
    version = number(1, producer) + number(2, min_consumer)
    version += b"".join(number(3, one) for one in bad)
    return number(1, shards) + number(2, endianness) + chunk(3, version)


def shape(*sides: int) -> bytes:
    return b"".join(chunk(2, number(1, side)) for side in sides)


def slice_of(*extents) -> bytes:
    """extents: (start, length), or None for a whole axis."""
    parts = [b"" if one is None else number(1, one[0]) + number(2, one[1]) for one in extents]
    return b"".join(chunk(1, part) for part in parts)


def strings(*values: bytes, order="<") -> tuple[bytes, int]:
    """A string tensor's bytes, and its crc as an entry has it."""
    lengths = b"".join(struct.pack(f"{order}I", len(one)) for one in values)
    check = struct.pack(f"{order}I", masked(lengths))
    data = b"".join(varint(len(one)) for one in values) + check + b"".join(values)
    return data, masked(lengths + check + b"".join(values))


@dataclass
class Item:
    """A tensor. What is None follows from the data."""

    key: bytes
    data: bytes = b""
    dtype: int = 1
    sides: tuple[int, ...] = ()
    shard: int = 0
    offset: int | None = None
    size: int | None = None
    crc: int | None = None
    slices: tuple[bytes, ...] = ()
    extra: bytes = b""

    def record(self, offset: int) -> bytes:
        offset = offset if self.offset is None else self.offset
        size = len(self.data) if self.size is None else self.size
        crc = masked(self.data) if self.crc is None else self.crc
        out = number(1, self.dtype) + chunk(2, shape(*self.sides)) + number(3, self.shard)
        out += number(4, offset) + number(5, size) + fixed32(6, crc)
        return out + b"".join(chunk(7, one) for one in self.slices) + self.extra


def bundle(*items: Item, shards=1, tail=b"", order=None, prefix="ckpt", **head) -> dict[str, bytes]:
    """The files of a bundle by path. tail: bytes behind each shard; order: keys as given."""
    data = [bytearray() for _ in range(shards)]
    records = []
    for item in items:
        there = 0 <= item.shard < shards and (item.data or not item.slices)
        records.append((item.key, item.record(len(data[item.shard]) if there else 0)))
        if there:
            data[item.shard] += item.data
    records = records if order else sorted(records, key=lambda pair: pair[0])
    files = {f"{prefix}.index": table([(b"", header(shards, **head)), *records])}
    for one in range(shards):
        files[f"{prefix}.data-{one:05d}-of-{shards:05d}"] = bytes(data[one]) + tail
    return files
