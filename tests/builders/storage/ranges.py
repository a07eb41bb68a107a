"""Bodies and ranges of HTTP (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import email.utils
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """`length` bytes of a file from `offset` on."""

    path: str
    offset: int
    length: int


Body = bytes | Part


def length(body: Body) -> int:
    return body.length if isinstance(body, Part) else len(body)


def cut(body: Body, start: int, stop: int) -> Body:
    if isinstance(body, Part):
        return Part(body.path, body.offset + start, stop - start)
    return body[start:stop]


def pieces(body: Body, count: int, size: int) -> Iterator[bytes]:
    """The first `count` bytes of a body, `size` at a time."""
    if isinstance(body, bytes):
        yield from (body[at : min(at + size, count)] for at in range(0, count, size))
        return
    with open(body.path, "rb", 0) as file:
        for at in range(0, count, size):
            yield os.pread(file.fileno(), min(size, count - at), body.offset + at)


@dataclass(frozen=True)
class Content:
    """What is served at a path, as it is now. modified: seconds, whole."""

    body: Body
    etag: str
    modified: int

    @property
    def headers(self) -> dict[str, str]:
        when = email.utils.formatdate(self.modified, usegmt=True)
        return {"ETag": self.etag, "Last-Modified": when, "Accept-Ranges": "bytes"}


def content(held: bytes | str, modified: int) -> Content:
    """What is held: bytes, or the path of a file, whose own time counts."""
    if isinstance(held, bytes):
        return Content(held, f'"{hashlib.sha256(held).hexdigest()[:16]}"', modified)
    state = os.stat(held)
    etag = f'"{state.st_size:x}-{state.st_mtime_ns:x}"'
    return Content(Part(held, 0, state.st_size), etag, int(state.st_mtime))


def asked(header: str | None) -> tuple[int, int | None] | None:
    """(start, end) of a header of one range, the end included; (-n, None) for the last n bytes.

    None for no header, several ranges, or one that makes no sense: it is then passed over.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if found is None or found.groups() == ("", ""):
        return None
    start, end = found.groups()
    if not start:
        return -int(end), None
    if end and int(end) < int(start):
        return None
    return int(start), int(end) if end else None


def _listed(etags: str, one: str) -> bool:
    return etags.strip() == "*" or one in (etag.strip() for etag in etags.split(","))


def _seconds(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0


def answered(
    what: Content, headers: Mapping[str, str], whole: bool = False
) -> tuple[int, dict[str, str], Body]:
    """Status, headers and body of an answer to a GET or HEAD with these headers."""
    held = {name.lower(): value for name, value in headers.items()}
    out = what.headers
    if "if-match" in held:
        if not _listed(held["if-match"], what.etag):
            return 412, out, b""
    elif "if-unmodified-since" in held and what.modified > _seconds(held["if-unmodified-since"]):
        return 412, out, b""
    if "if-none-match" in held:
        if _listed(held["if-none-match"], what.etag):
            return 304, out, b""
    elif "if-modified-since" in held and what.modified <= _seconds(held["if-modified-since"]):
        return 304, out, b""
    if whole:
        del out["Accept-Ranges"]
        return 200, out, what.body
    wanted = asked(held.get("range"))
    same = held.get("if-range", what.etag) in (what.etag, out["Last-Modified"])
    if wanted is None or not same:
        return 200, out, what.body
    size = length(what.body)
    start, end = wanted
    start = max(size + start, 0) if start < 0 else start
    stop = size if end is None else min(end + 1, size)
    if start >= stop:
        return 416, {**out, "Content-Range": f"bytes */{size}"}, b""
    out["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return 206, out, cut(what.body, start, stop)
