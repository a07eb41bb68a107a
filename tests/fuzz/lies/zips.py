"""Zip archives: a member that lies under a right checksum, or records that do not agree."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib

from tests.fuzz.lies import raw

# Signature -> (offset, width) of each field behind it.
RECORDS = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2),
                (34, 2), (38, 4), (42, 4)),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\6\6": ((4, 8), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\6\7": ((8, 8),),
}  # fmt: skip
_LARGEST = 1 << 22  # of all members together: what is inflated here may be a bomb already
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_one(content: bytes) -> bool:
    return content.startswith(b"PK\3\4")


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    if rng.randrange(3) == 0:
        return _in_a_record(content, rng)
    members = _members(content)
    if not members:
        return raw.lie(content, rng)
    return _packed(_changed(members, rng, trusted), rng)


def _members(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(one.file_size for one in entries) > _LARGEST:
                return []
            return [(one.filename, archive.read(one)) for one in entries]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, ValueError,
            RuntimeError, struct.error, IndexError):  # fmt: skip
        return []


def _changed(
    members: list[tuple[str, bytes]], rng: random.Random, trusted: bool
) -> list[tuple[str, bytes]]:
    from tests.fuzz.lies import lie as told

    at = rng.randrange(len(members))
    name, held = members[at]
    kind = rng.randrange(12)
    if kind < 8:
        members[at] = (name, told(held, rng, trusted))
    elif kind == 8:
        members += [(name, told(held, rng, trusted))]
    elif kind == 9:
        other = rng.choice(raw.NAMES[:-2] if rng.randrange(4) else [one for one, _ in members])
        members[at] = (other, held)
    elif kind == 10:
        members[at] = (name, rng.choice(members)[1])
    elif len(members) > 1:
        del members[at]
    return members


def _packed(members: list[tuple[str, bytes]], rng: random.Random) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        with zipfile.ZipFile(out, "w") as archive:
            for name, held in members:
                clean = name.encode("utf-8", "replace").decode()[:60_000]
                archive.writestr(zipfile.ZipInfo(clean), held, rng.choice(METHODS))
    return out.getvalue()


def _in_a_record(content: bytes, rng: random.Random) -> bytes:
    sign = rng.choice([one for one in RECORDS if one in content])
    at = -1
    for _ in range(rng.randrange(1, content.count(sign) + 1)):
        at = content.find(sign, at + 1)
    offset, width = rng.choice(RECORDS[sign])
    start = at + offset
    near = int.from_bytes(content[start : start + width], "little")
    changed = bytearray(content)
    changed[start : start + width] = raw.number(rng, width, near)
    return bytes(changed)
