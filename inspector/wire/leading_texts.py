"""The strings that a message begins with: a node's name, operator and inputs, an argument's name.

A graph has many ten thousands of nodes, all written by the same few writers: strings first, in the
order of their numbers, and behind them attributes, which a few hundred sorts of nodes share; and a
model that is traced for several signatures has each node as often. So texts are kept once, and
what is there again byte for byte, a message or what stands behind its texts, is read once.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from inspector import deadline
from inspector.errors import ArtifactError
from inspector.limits import KIB, MIB
from inspector.wire.protobuf import VARINT_BYTES, Field, Message, Wire, fields, read_varint

_BLOCK = 64 * KIB  # bytes of messages side by side that are held together
_FIRST = KIB  # and behind values that are passed over: twice as many each time
_LARGE = 2 * KIB  # of a message of more, which has values in it, the beginning is looked at
_WHOLE = MIB  # before it is held, unless it is larger than that
_LONGEST, _MOST = 512, 16 * KIB  # bytes of what is kept, and of how many messages
_NAME, _SECOND, _THIRD = 0x0A, 0x12, 0x1A  # the tags of strings 1, 2 and 3

_HEAD = 1 + VARINT_BYTES  # bytes of a short tag and of a length
_OTHERS = 64 * KIB  # fields beside the messages that are read together, at most

Texts = tuple[str, str, tuple[str, ...]]  # fields 1 and 2 (the last of each), and 3, repeated


class Split(NamedTuple):
    """A message that holds many of one kind. texts, places: of each; places: (offset, length).

    others: the other fields that were asked for.
    """

    texts: list[Texts]
    places: list[tuple[int, int]]
    others: list[Field]


class LeadingTexts:
    """Reads messages of one kind, of one source. last: the highest number of a string: 1 or 3."""

    def __init__(self, whole: Message, last: int) -> None:
        self._source, self._limits = whole.source, whole.limits
        self._last_tag = last << 3 | 2
        self._numbers = range(1, last + 1)
        self._texts: dict[bytes, str] = {}
        self._tails: set[bytes] = set()
        self._known: dict[bytes, Texts] = {}
        self._start, self._data = 0, b""  # what is held of the source
        self._block = _FIRST

    def read(self, message: Message, most: int) -> Texts | None:
        """A message's texts; None for one that is written in another way, is broken or has more
        than `most` of field 3.
        """
        _, offset, length, _, _ = message
        at = offset - self._start
        is_held = at >= 0 and at + length <= len(self._data)
        if not is_held:
            at = 0
            self._hold(offset, 0 if length > _LARGE else length)
        data = self._data[at : at + length] if length <= _LONGEST else b""
        found = self._known.get(data) or self._read(at, at + length)
        if found is None and not is_held and length > _LARGE:
            self._hold(offset, length if length <= _WHOLE else _BLOCK, length)
            found = self._read(0, length)
        if found is None or len(found[2]) > most:
            return None
        if data and len(self._known) < _MOST:
            self._known[data] = found
        return found

    def _hold(self, offset: int, least: int = 0, most: int = _BLOCK) -> None:
        """Hold bytes from an offset on, more of them where they go on from those that were held."""
        goes_on = self._start <= offset <= self._start + len(self._data)
        self._block = min(2 * self._block, _BLOCK) if goes_on else _FIRST
        left = self._source.size - offset
        self._start = offset
        self._data = bytes(self._source.view(offset, min(max(self._block, least), most, left)))

    def split(  # noqa: C901, PLR0912 - one flat loop, as `fields` is
        self, message: Message, number: int, wanted: Container[int], most: int
    ) -> Split | None:
        """All messages in a repeated field of a message, and the fields of the `wanted` numbers.

        None where any is written in another way or broken, where there are too many fields, or
        more than `most` messages and strings of field 3.
        """
        source, offset, length, limits, depth = message
        if depth >= limits.depth:
            return None
        texts: list[Texts] = []
        places: list[tuple[int, int]] = []
        others: list[Field] = []
        known, sought = self._known, number << 3 | 2
        end, fields_left = offset + length, limits.message_fields
        start, data, at, edge = offset, b"", 0, 0
        while start + at < end:
            if at >= edge:
                deadline.check()
                start, at = start + at, 0
                self._hold(start, most=end - start)
                data = self._data
                edge = len(data) - (_HEAD if start + len(data) < end else 0)
            tag = data[at]
            try:
                size, at = _length(data, at + 1)
            except (IndexError, ArtifactError):
                return None
            stop = at + size
            fields_left -= 1
            if tag & 0x87 != 2 or tag < 8 or start + stop > end or fields_left < 0:
                return None
            if tag != sought:
                if tag >> 3 in wanted:
                    others.append(Field(tag >> 3, Wire.BYTES, 0, start + at, size))
                    if len(others) > _OTHERS:
                        return None
                at = stop
                continue
            if stop > len(data):
                found = self.read(Message(source, start + at, size, limits, depth + 1), most)
                at, start, data = start + at - self._start, self._start, self._data
                stop = at + size
                edge = len(data) - _HEAD
            else:
                raw = data[at:stop]
                found = known.get(raw)
                if found is None:
                    found = self._read(at, stop)
                    if found is not None and size <= _LONGEST and len(known) < _MOST:
                        known[raw] = found
            if found is None:
                return None
            most -= 1 + len(found[2])
            if most < 0:
                return None
            texts.append(found)
            places.append((start + at, size))
            at = stop
        return Split(texts, places, others)

    def _read(self, at: int, stop: int) -> Texts | None:  # noqa: C901 - one flat loop
        """The same of the bytes from `at` to `stop` of those held, or behind them."""
        data = self._data
        texts, last = self._texts, self._last_tag
        first = second = ""
        others: list[str] = []
        try:
            while at < stop:
                tag = data[at]
                if tag > last:
                    break
                size = data[at + 1]
                at += 2
                if size >= 0x80:
                    size, at = _length(data, at - 1)
                raw = data[at : at + size]
                at += size
                if at > stop or len(raw) != size:
                    return None
                text = texts.get(raw)
                if text is None:
                    text = raw.decode()
                    if size <= _LONGEST:
                        texts[raw] = text
                if tag == _THIRD:
                    others.append(text)
                elif tag == _NAME:
                    first = text
                elif tag == _SECOND:
                    second = text
                else:
                    return None
        except (IndexError, UnicodeDecodeError, ArtifactError):
            return None
        if at < stop and not self._holds_no_text(at, stop):
            return None
        return first, second, tuple(others)

    def _holds_no_text(self, at: int, stop: int) -> bool:
        """Whether these bytes of those held, or behind them, are sound fields of other numbers."""
        tail = self._data[at:stop] if stop - at <= _LONGEST else b""
        if tail and tail in self._tails:
            return True
        found = fields(self._source, self._start + at, stop - at, self._limits, self._numbers)
        try:
            plain = next(found, None) is None
        except ArtifactError:
            return False
        if plain and tail and len(self._tails) < _MOST:
            self._tails.add(tail)
        return plain


def _length(data: bytes, at: int) -> tuple[int, int]:
    """(length, where the next byte is) of what is behind the length at `data[at]`."""
    size = data[at]
    if size < 0x80:
        return size, at + 1
    high = data[at + 1]
    if high < 0x80:
        return (size & 0x7F) | high << 7, at + 2
    return read_varint(data, at, "")
