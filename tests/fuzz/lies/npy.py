"""NumPy's files: a header that declares what is not there, a pickle whose opcodes are others."""

from __future__ import annotations

import io
import pickletools
import random
import re
import struct

from tests.fuzz.lies import raw

MAGIC = b"\x93NUMPY"
_VALUES = {
    b"descr": (b"'<f8'", b"'|O'", b"'<U4000000'", b"'V'", b"[('a','<f4')]", b"'>M8[ns]'", b"'x'",
               b"[('a',[('b','<f4')])]", b"''", b"5", b"None", b"'<f4,'", b"'|S0'", b"'(2,2)f4'"),
    b"fortran_order": (b"True", b"2", b"None", b"'x'", b"[]"),
    b"shape": (b"()", b"(0,)", b"(-1,)", b"(99999999999,)", b"(1,)*9", b"(2**62, 4)", b"[1]",
               b"(True,)", b"(" + b"1, " * 100 + b")", b"(" * 200 + b")" * 200, b"'a'", b"(1e9,)"),
}  # fmt: skip
OPCODES = (
    b"(", b"0", b"1", b"2", b".", b"}", b"]", b")", b"N", b"d", b"l", b"t", b"u", b"a", b"e", b"s",
    b"R", b"b", b"o", b"\x81", b"\x85", b"\x86", b"\x87", b"\x93", b"h\0", b"q\0",
    b"j\xff\xff\xff\0",
    b"r\0\0\0\x40", b"K\1", b"J\xff\xff\xff\x7f", b"\x8a\xff", b"X\xff\xff\xff\x7f", b"\x94", b"Q",
    b"\x8f", b"\x95\xff\xff\xff\xff\0\0\0\0", b"cos\nsystem\n", b"C\xff", b"I99\n",
    b"L" + b"9" * 5000 + b"L\n", b"V\\u\n", b"\x82\1", b"\x80\xff", b"g0\n", b"p0\n",
    b"\x8b\xff\xff\xff\x7f",
)  # fmt: skip


def is_one(content: bytes) -> bool:
    return content.startswith(MAGIC)


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    wide = content[6:7] != b"\1"
    form, start = ("<I", 12) if wide else ("<H", 10)
    try:
        (length,) = struct.unpack_from(form, content, 8)
    except struct.error:
        return raw.lie(content, rng)
    header, values = content[start : start + length], content[start + length :]
    if b"'|O'" in header and rng.randrange(5):
        return content[: start + length] + pickled(values, rng)
    header = _header(header, rng)
    claimed = len(header) if rng.randrange(8) else rng.choice((0, 1, 0xFFFF, len(header) - 1))
    return content[:8] + struct.pack(form, max(claimed, 0) & 0xFFFF) + header + values


def _header(header: bytes, rng: random.Random) -> bytes:
    key = rng.choice(list(_VALUES))
    value = rng.choice(_VALUES[key])
    found = re.search(rb"'" + key + rb"':\s*(\([^)]*\)|'[^']*'|\w+)", header)
    if found is None or rng.randrange(6) == 0:
        return rng.choice((b"", b"{}\n", b"[" * 5000, b"{'descr': '<f4'}\n", b"\0" * 20))
    return header[: found.start(1)] + value + header[found.end(1) :]


def pickled(content: bytes, rng: random.Random) -> bytes:
    """A pickle with an opcode doubled, gone, new, or with an argument that is another."""
    places: list[int] = []
    try:
        places += [at for _, _, at in pickletools.genops(io.BytesIO(content)) if at is not None]
    except (ValueError, IndexError, OverflowError, UnicodeError):
        pass
    if not places:
        return raw.lie(content, rng)
    index = rng.randrange(len(places))
    at = places[index]
    end = places[index + 1] if index + 1 < len(places) else len(content)
    kind = rng.randrange(5)
    if kind == 0:
        return content[:at] + content[end:]
    if kind == 1:
        return content[:end] + content[at:end] * rng.choice((1, 2, 5000)) + content[end:]
    if kind == 2:
        return content[:at] + rng.choice(OPCODES) * rng.choice((1, 1, 1, 300)) + content[at:]
    if kind == 3:
        return content[:at] + rng.choice(OPCODES) + content[end:]
    changed = bytearray(content)
    where = rng.randrange(at, max(end, at + 1))
    changed[where] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(changed)
