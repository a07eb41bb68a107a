"""Zip archives: where every byte of one is, and bounded reads of its members.

The standard `zipfile` alone will not do: it tells neither where a member's data is nor what lies
between members, and inflates as much as a file asks for. As there, the last entry of a name wins.
"""

from __future__ import annotations

import math
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded, Truncated, Unsupported
from inspector.limits import DEFAULT, MIB, Limits, remedy
from inspector.model import Problem, Severity
from inspector.storage import ByteSource, MemorySource, spilled
from inspector.wire.zip_records import (
    ENCRYPTED,
    LOCAL,
    LOCAL_SIGN,
    METHODS,
    STREAMED,
    End,
    Entry,
    decode_name,
    descriptor_size,
    entries,
    find_end,
    wide_values,
)

_IN_MEMORY = 8 * MIB  # inflated members up to this are held; larger ones go to a file
DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the central directory.

    method: "stored", "deflated", or the method's number; compressed: bytes in the archive; size:
    bytes once inflated, as declared. Offsets are absolute in the archive's source: data_offset
    comes from the local header. distinct: False where its bytes overlap an earlier member's (or
    the central directory), so that they are not counted twice. is_link: it stands for a symbolic
    link, and its bytes are where that leads.
    """

    name: str
    method: str
    compressed: int
    size: int
    header_offset: int
    data_offset: int
    crc32: int
    encrypted: bool = False
    distinct: bool = True
    is_link: bool = False

    @property
    def is_dir(self) -> bool:
        """True for an entry that stands for a folder."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip's members in central-directory order, and what else its bytes are.

    overhead: bytes by label: "zip headers" (local headers, data descriptors, central directory,
    end records), "zip gaps" (bytes that nothing claims, in front, between or behind), "zip
    comment". With `compressed` of the distinct members it adds up to the source's size, exactly.
    """

    source: ByteSource = field(repr=False)
    limits: Limits = field(repr=False)
    members: tuple[Member, ...]
    overhead: Mapping[str, int]
    problems: tuple[Problem, ...]
    index: Mapping[str, Member] = field(repr=False)

    def find(self, name: str) -> Member | None:
        """The member that `zipfile`, and so Keras, opens by this name: the last entry of it."""
        return self.index.get(name)

    def read_member(self, member: Member, limit: int) -> bytes:
        """The member's bytes, inflated, checked against its size and crc.

        Never holds more than `limit` bytes. Raises LimitExceeded where the member declares more,
        Corrupt for bad data, Unsupported for a method or encryption that is not read.
        """
        self._check_readable(member)
        if member.size > limit:
            raise LimitExceeded(
                "member_bytes", member.size, limit, self._inner(member), member.data_offset
            )
        packed = self.source.view(member.data_offset, member.compressed)
        data = bytes(packed) if member.method == "stored" else self._inflate(member, packed)
        crc = zlib.crc32(data)
        if crc != member.crc32:
            raise _wrong_crc(crc, member, self._inner(member))
        return data

    def open_member(self, member: Member) -> ByteSource:
        """The member as a source: a window for a stored one, in memory for a small deflated one,
        in a temporary file for a large one.

        A window costs nothing, and is not checked against the crc: that would read it whole.
        Raises as `read_member` does, with the limit `inflated_bytes`.
        """
        self._check_readable(member)
        path = self._inner(member)
        if member.method == "stored":
            return self.source.window(member.data_offset, member.compressed, path)
        limit = self.limits.inflated_bytes
        if member.size > limit:
            raise LimitExceeded("inflated_bytes", member.size, limit, path, member.data_offset)
        if member.size <= _IN_MEMORY:
            return MemorySource(self.read_member(member, limit), path)
        return spilled(self._checked(member), path)

    def _inner(self, member: Member) -> str:
        return f"{self.source.path}/{member.name}"

    def _check_readable(self, member: Member) -> None:
        path, at = self._inner(member), member.data_offset
        if member.encrypted:
            raise Unsupported("is encrypted; decrypt the archive first", path, at)
        if member.method not in METHODS.values():
            raise Unsupported(f"zip method {member.method} is not read", path, at)
        if member.method == "stored" and member.size != member.compressed:
            raise Corrupt(
                f"is stored, yet declares {member.size:,} bytes in {member.compressed:,}", path, at
            )
        if member.compressed > 2 * member.size + MIB:
            raise Corrupt(
                f"declares {member.size:,} bytes, deflated to {member.compressed:,}", path, at
            )
        ratio = member.size / max(member.compressed, 1)
        if ratio > self.limits.inflate_ratio:
            raise LimitExceeded(
                "inflate_ratio", math.ceil(ratio), self.limits.inflate_ratio, path, at
            )

    def _checked(self, member: Member) -> Iterator[bytes]:
        """The deflated member's bytes, a piece at a time; raises Corrupt as `read_member` does."""
        crc = 0
        for piece in self._inflated(member):
            deadline.check()
            crc = zlib.crc32(piece, crc)
            yield piece
        if crc != member.crc32:
            raise _wrong_crc(crc, member, self._inner(member))

    def _inflated(self, member: Member) -> Iterator[bytes]:
        path, at = self._inner(member), member.data_offset
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        self.source.expect([(at, member.compressed)])
        done = read = 0
        try:
            while not engine.eof:
                packed: bytes | memoryview = engine.unconsumed_tail
                if not packed and read < member.compressed:
                    packed = self.source.view(at + read, min(MIB, member.compressed - read))
                    read += len(packed)
                piece = engine.decompress(packed, MIB)
                if not piece and not packed:
                    break
                done += len(piece)
                if done > member.size:
                    raise Corrupt(f"inflates past its declared {member.size:,} bytes", path, at)
                yield piece
        except zlib.error as error:
            raise Corrupt(f"cannot be inflated ({error})", path, at) from None
        if done < member.size or not engine.eof:
            raise Corrupt(f"inflates to {done:,} of its declared {member.size:,} bytes", path, at)

    def _inflate(self, member: Member, packed: memoryview) -> bytes:
        path, at = self._inner(member), member.data_offset
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # A max_length of 0 would mean "no limit".
            data = engine.decompress(packed, max(member.size, 1))
            more = b"" if engine.eof else engine.decompress(engine.unconsumed_tail, 1)
        except zlib.error as error:
            raise Corrupt(f"cannot be inflated ({error})", path, at) from None
        if more or len(data) > member.size:
            raise Corrupt(f"inflates past its declared {member.size:,} bytes", path, at)
        if len(data) < member.size or not engine.eof:
            raise Corrupt(
                f"inflates to {len(data):,} of its declared {member.size:,} bytes", path, at
            )
        return data


def _wrong_crc(crc: int, member: Member, path: str) -> Corrupt:
    return Corrupt(
        f"crc is {crc:08x}, the archive declares {member.crc32:08x}: its bytes changed",
        path,
        member.data_offset,
    )


def read_archive(source: ByteSource, limits: Limits = DEFAULT) -> Archive:
    """The members of a zip, with every byte of it accounted for. Reads no member's data.

    Raises Truncated (no end record, or bytes missing), Corrupt (a record that is none),
    Unsupported (several disks), LimitExceeded (`nodes`).
    """
    end = find_end(source)
    problems = _Problems(source.path)
    members: list[Member] = []
    spans: list[tuple[int, int]] = []  # of each member: its header's start, its descriptor's end
    listed = list(entries(source, end, limits))
    source.expect((one.header_offset, LOCAL.size + len(one.raw_name)) for one in listed)
    for entry in listed:
        member, span = _locate(source, entry, problems)
        members.append(member)
        spans.append(span)
    if len(members) != end.count:
        problems.add(
            "zip-entry-count",
            f"the end record counts {end.count:,} members, the central directory has "
            f"{len(members):,}",
            end.offset,
        )
    members = _mark_overlaps(members, spans, end, problems)
    index = {member.name: member for member in members}
    _member_problems(members, limits, problems)
    _duplicate_problems(members, index, problems)

    claimed = [i for i, member in enumerate(members) if member.distinct]
    payload = sum(members[i].compressed for i in claimed)
    spanned = sum(spans[i][1] - spans[i][0] for i in claimed)
    headers = spanned - payload + end.end - end.directory
    overhead = {
        "zip headers": headers,
        "zip comment": end.comment,
        "zip gaps": source.size - payload - headers - end.comment,
    }
    _gap_problems(source, end, min((s for s, _ in spans), default=end.directory), problems)
    return Archive(
        source,
        limits,
        tuple(members),
        {label: size for label, size in overhead.items() if size},
        tuple(problems.found),
        index,
    )


class _Problems:
    """Collects what is wrong without being fatal."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[Problem] = []

    def add(
        self, code: str, message: str, offset: int, severity: Severity = Severity.WARNING
    ) -> None:
        self.found.append(Problem(code, severity, message, self.path, offset))


def _locate(
    source: ByteSource, entry: Entry, problems: _Problems
) -> tuple[Member, tuple[int, int]]:
    """The member of an entry, its data found through the local header; and the bytes it spans."""
    name = decode_name(entry.raw_name, entry.flags)
    at = entry.header_offset
    if at + LOCAL.size > source.size:
        missing = at + LOCAL.size - source.size
        raise Truncated(
            f"member {name!r} starts outside the file: {missing:,} bytes are missing",
            source.path,
            entry.at,
        )
    sign, _, flags, *_, name_size, extra_size = LOCAL.unpack(source.view(at, LOCAL.size))
    if sign != LOCAL_SIGN:
        raise Corrupt(f"member {name!r} has no local header here", source.path, at)
    data = at + LOCAL.size + name_size + extra_size
    stop = data + entry.compressed
    if stop > source.size:
        raise Truncated(
            f"member {name!r} needs {entry.compressed:,} bytes, {stop - source.size:,} of them "
            "are missing",
            source.path,
            data,
        )
    _compare_headers(source, entry, name, problems)
    if flags & STREAMED:
        length = descriptor_size(source, stop, entry)
        if not length:
            problems.add(
                "zip-descriptor",
                f"member {name!r}: no descriptor with its sizes stands behind its data",
                stop,
            )
        stop += length
    member = Member(
        name,
        METHODS.get(entry.method, str(entry.method)),
        entry.compressed,
        entry.size,
        at,
        data,
        entry.crc32,
        bool((flags | entry.flags) & ENCRYPTED),
        is_link=stat.S_ISLNK(entry.mode),
    )
    return member, (at, min(stop, source.size))


def _compare_headers(source: ByteSource, entry: Entry, name: str, problems: _Problems) -> None:
    """Note where a member's local header says something else than its central directory entry."""
    at = entry.header_offset
    _, _, flags, method, _, _, crc32, compressed, size, name_size, extra_size = LOCAL.unpack(
        source.view(at, LOCAL.size)
    )
    local_name = bytes(source.view(at + LOCAL.size, name_size))
    extra = bytes(source.view(at + LOCAL.size + name_size, extra_size))
    size, compressed = wide_values(extra, (size, compressed), source.path, at)
    claims = [
        ("name", local_name, entry.raw_name),
        ("method", method, entry.method),
        ("encryption", bool(flags & ENCRYPTED), bool(entry.flags & ENCRYPTED)),
    ]
    if not flags & STREAMED:  # else they are 0, and true in the descriptor
        claims += [
            ("size", size, entry.size),
            ("compressed size", compressed, entry.compressed),
            ("crc", crc32, entry.crc32),
        ]
    for what, local, central in claims:
        if local != central:
            problems.add(
                "zip-headers-disagree",
                f"member {name!r}: its local header gives {what} {local!r}, the central directory "
                f"{central!r}; the directory's is used",
                at,
                Severity.ERROR,
            )


def _mark_overlaps(
    members: list[Member], spans: list[tuple[int, int]], end: End, problems: _Problems
) -> list[Member]:
    """The members, those that claim bytes already claimed marked as not distinct."""
    marked = list(members)
    reached, owner = 0, ""
    for i in sorted(range(len(members)), key=spans.__getitem__):
        start, stop = spans[i]
        inside = stop > end.directory
        if start >= reached and not inside:
            reached, owner = stop, members[i].name
            continue
        other = "the central directory" if inside else f"member {owner!r}"
        problems.add(
            "zip-overlap",
            f"member {members[i].name!r} claims bytes that belong to {other}",
            start,
            Severity.ERROR,
        )
        marked[i] = replace(members[i], distinct=False)
    return marked


def _member_problems(members: list[Member], limits: Limits, problems: _Problems) -> None:
    """Members that are encrypted, expand too far, or lead out of the folder they unpack to."""
    for member in members:
        what, at = f"member {member.name!r}", member.header_offset
        if member.encrypted:
            problems.add("zip-encrypted", f"{what} is encrypted and is not read", at)
        ratio = member.size / max(member.compressed, 1)
        if member.size >= limits.bomb_bytes and ratio > limits.bomb_ratio:
            problems.add(
                "zip-bomb",
                f"{what} declares {member.size:,} bytes from {member.compressed:,}, over "
                f"{limits.bomb_ratio:,} times as many; "
                f"{remedy('bomb_ratio', math.ceil(ratio), limits.bomb_ratio)}",
                at,
                Severity.ERROR,
            )
        why = _unsafe(member.name)
        if why:
            problems.add(
                "zip-unsafe-name", f"{what} {why}; it is never written anywhere", at, Severity.ERROR
            )


def _duplicate_problems(
    members: list[Member], index: Mapping[str, Member], problems: _Problems
) -> None:
    """Names given more than once, and which copy is used."""
    for name, count in Counter(member.name for member in members).items():
        if count > 1:
            used = index[name].header_offset
            problems.add(
                "zip-duplicate-name",
                f"{count} members are named {name!r}; Python and Keras use the last one listed, "
                f"at byte {used:,}, and so does this report",
                used,
                Severity.ERROR,
            )


def _unsafe(name: str) -> str | None:
    """Why a name is dangerous to unpack; None where it is not."""
    if not name:
        return "has no name"
    if name.startswith("/"):
        return "has an absolute name"
    if DRIVE.match(name):
        return "names a drive"
    if ".." in name.replace("\\", "/").split("/"):
        return "leads out of its folder"
    if "\\" in name:
        return "has a backslash, which is a folder separator on Windows"
    return None


def _gap_problems(source: ByteSource, end: End, first: int, problems: _Problems) -> None:
    """Bytes in front of the archive and behind it."""
    if first:
        problems.add("zip-prepended-data", f"{first:,} bytes stand in front of the archive", 0)
    behind = source.size - end.end - end.comment
    if behind:
        problems.add(
            "zip-trailing-data",
            f"{behind:,} bytes stand behind the archive",
            source.size - behind,
        )
