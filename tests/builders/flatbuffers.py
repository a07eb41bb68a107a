"""Flatbuffers written by hand: each table behind its vtable, what it leads to behind it."""

from __future__ import annotations

import struct

from inspector.wire.flatbuffer import SCALARS
from inspector.wire.tflite_schema import SCHEMA

NAMES = {name: index for index, names in SCHEMA.unions.items() for name in names}


class Writer:
    """Bytes that grow, with offsets filled in once it is known where they lead."""

    def __init__(self, schema):
        self.schema = schema
        self.out = bytearray()

    def align(self, size):
        self.out += bytes(-len(self.out) % size)

    def point(self, at, to):
        self.out[at : at + 4] = struct.pack("<I", to - at)

    def table(self, kind, values):
        """Write a table with the values by field name; where it begins."""
        fields = self.schema.fields(kind)
        size, places, slots = 4, {}, {}
        for name, value in values.items():
            field = fields[name]
            union = field.kind in self.schema.unions
            if union:
                places[name, "type"] = size
                slots[field.slot] = size
                size += 1
            width = SCALARS[field.kind].size if field.kind in SCALARS and not field.many else 4
            size += -size % width
            places[name] = size
            slots[field.slot + union] = size
            size += width
            assert value is not None
        count = max(slots, default=-1) + 1
        self.align(2)
        vtable = len(self.out)
        self.out += struct.pack("<HH", 4 + 2 * count, size)
        self.out += b"".join(struct.pack("<H", slots.get(slot, 0)) for slot in range(count))
        self.align(8)
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable) + bytes(size - 4)
        for name, value in values.items():
            field, at = fields[name], start + places[name]
            if field.kind in SCALARS and not field.many:
                SCALARS[field.kind].pack_into(self.out, at, value)
            elif field.kind in self.schema.unions:
                # (name of the type, its values); (a number, its values) for a type nobody knows
                which, inner = value
                names = self.schema.unions[field.kind]
                number = which if isinstance(which, int) else names.index(which) + 1
                self.out[start + places[name, "type"]] = number
                self.point(at, self.table(which if isinstance(which, str) else names[0], inner))
            else:
                self.point(at, self.value(field, value))
        return start

    def value(self, field, value):
        if not field.many:
            return self.text(value) if field.kind == "string" else self.table(field.kind, value)
        self.align(4)
        if field.kind in SCALARS:
            form = SCALARS[field.kind]
            # The items, not their number, are what is aligned.
            self.out += bytes(-(len(self.out) + 4) % form.size)
            start = len(self.out)
            self.out += struct.pack("<I", len(value))
            self.out += value if isinstance(value, bytes) else b"".join(map(form.pack, value))
            return start
        start = len(self.out)
        self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for index, one in enumerate(value):
            at = start + 4 + 4 * index
            to = self.text(one) if field.kind == "string" else self.table(field.kind, one)
            self.point(at, to)
        return start

    def text(self, value):
        raw = value if isinstance(value, bytes) else value.encode()
        self.align(4)
        start = len(self.out)
        self.out += struct.pack("<I", len(raw)) + raw + b"\0"
        return start


def flatbuffer(values, kind="Model", schema=SCHEMA, identifier=b"TFL3"):
    """A whole file whose root is a table with these values."""
    writer = Writer(schema)
    writer.out += bytes(4) + identifier
    writer.point(0, writer.table(kind, values))
    return bytes(writer.out)
