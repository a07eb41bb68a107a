"""Pickle streams read as data: the opcodes run over inert nodes, and nothing is ever executed.

No import, no eval, no instance: a global stays its name, a call stays the pair of what would be
called and with what. Source of the opcodes: the standard library's `pickletools`, protocols 0 - 5.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded, Truncated, Unsupported
from inspector.limits import DEFAULT, KIB, Limits
from inspector.storage import ByteSource

COMPUTED = "<computed>"  # a module or name that only running the stream would tell


@dataclass(frozen=True, slots=True)
class Global:
    """What the stream would import: `name` of `module`."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """What the stream would call or make. `state` is what it would be given afterwards."""

    func: Any
    args: Any = ()
    kwargs: Any = None
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Bytes that were left where they are: `nbytes` at `offset` of the source."""

    offset: int
    nbytes: int


class Text(str):
    """A string, and where it is: `nbytes` at `offset` of the source, in this `codec`."""

    __slots__ = ("codec", "nbytes", "offset")
    codec: str
    nbytes: int
    offset: int

    def __new__(cls, value: str, offset: int, nbytes: int, codec: str) -> Self:
        """A str of `value` that remembers its place."""
        self = super().__new__(cls, value)
        self.offset, self.nbytes, self.codec = offset, nbytes, codec
        return self


class Key:
    """A dict's key that is not hashed by value: hostile keys could make that slow or deep."""

    __slots__ = ("node",)

    def __init__(self, node: Any) -> None:
        self.node = node


@dataclass(frozen=True, slots=True)
class Scan:
    """A stream as read.

    tree: plain data and the nodes above; it may be shared, cyclic, and deep. globals:
    "module.name" of all it would import, in order, each once. end: first offset behind it.
    """

    tree: Any = field(repr=False)
    globals: tuple[str, ...]
    end: int


def scan_stream(source: ByteSource, offset: int = 0, limits: Limits = DEFAULT) -> Scan:
    """Read the pickle stream at `offset`.

    Raises Truncated, Corrupt (a stack that does not work out), Unsupported (persistent ids, the
    extension registry, out-of-band buffers, an unknown opcode), LimitExceeded (`pickle_opcodes`).
    """
    machine = _Machine(source, offset)
    count, at = 0, offset
    try:
        while True:
            at = machine.at
            count += 1
            if not count % deadline.EVERY:
                deadline.check()
            if count > limits.pickle_opcodes:
                raise LimitExceeded("pickle_opcodes", count, limits.pickle_opcodes, source.path, at)
            code = machine.take(1)[0]
            if code == STOP:
                return Scan(machine.stack[-1], tuple(machine.globals), machine.at)
            step = STEPS.get(code)
            if step is None:
                raise Unsupported(REFUSED.get(code, "an unknown pickle opcode"), source.path, at)
            step(machine)
    except (IndexError, KeyError, ValueError, TypeError, Warning):
        raise Corrupt("the pickle stream does not work out", source.path, at) from None


class _Machine:
    """The state of a scan: a stack, the marks in it, the memo, and a buffered place to read."""

    def __init__(self, source: ByteSource, offset: int) -> None:
        self.source = source
        self.at = offset
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.globals: dict[str, None] = {}
        self._buffer = b""
        self._start = offset

    def take(self, size: int) -> bytes:
        """The next `size` bytes, through a small buffer: arrays between them are not touched."""
        low = self.at - self._start
        if not 0 <= low <= len(self._buffer) - size:
            left = max(self.source.size - self.at, 0)
            span = max(size, min(4 * KIB, left))
            self._buffer = bytes(self.source.view(self.at, span))
            self._start, low = self.at, 0
        self.at += size
        return self._buffer[low : low + size]

    def number(self, form: struct.Struct) -> Any:
        """The next number of a struct."""
        return form.unpack(self.take(form.size))[0]

    def line(self) -> bytes:
        """The bytes up to the next newline, which is passed."""
        left = max(self.source.size - self.at, 0)
        span, place = 128, -1
        while place < 0:
            place = bytes(self.source.view(self.at, min(span, left))).find(b"\n")
            if place < 0 and span >= left:
                raise Truncated("the pickle stream ends inside a line", self.source.path, self.at)
            span *= 2
        return self.take(place + 1)[:-1]

    def skip(self, size: int) -> int:
        """Pass `size` bytes that must be there; the offset of the first."""
        start = self.at
        if size < 0 or size > self.source.size - start:
            missing = start + size - self.source.size
            raise Truncated(
                f"needs {size:,} bytes, {missing:,} of them are missing", self.source.path, start
            )
        self.at += size
        return start

    def text(self, size: int, codec: str) -> Text:
        """The next `size` bytes as a string. "latin-1" is how Python 2's byte strings are read."""
        start = self.skip(size)
        errors = "surrogatepass" if codec == "utf-8" else "strict"
        return Text(str(self.source.view(start, size), codec, errors), start, size, codec)

    def push(self, node: Any) -> None:
        self.stack.append(node)

    def pop(self) -> Any:
        # What stands below the last mark is out of reach, as for Python's own unpickler.
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise IndexError
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """All above the last mark, which goes."""
        start = self.marks.pop()
        nodes = self.stack[start:]
        del self.stack[start:]
        return nodes

    def name(self, module: Any, name: Any) -> Global:
        """A global by name, noted."""
        found = Global(
            str(module) if isinstance(module, str) else COMPUTED,
            str(name) if isinstance(name, str) else COMPUTED,
        )
        self.globals[str(found)] = None
        return found


def key_of(node: Any) -> Any:
    """`node` as a dict's key: by value where that is cheap, else by identity."""
    if isinstance(node, str | float | bool | None):
        return node
    if isinstance(node, int) and -(1 << 63) <= node < 1 << 63:
        return node
    return Key(node)


def _extend(target: Any, nodes: list[Any]) -> None:
    """APPENDS to a list, or to an inert node that stands for one."""
    (target.items if isinstance(target, Call) else _a(list, target)).extend(nodes)


def _update(target: Any, nodes: list[Any]) -> None:
    """SETITEMS of a dict, or of an inert node that stands for one."""
    pairs = target.pairs if isinstance(target, Call) else _a(dict, target)
    for key, value in zip(nodes[::2], nodes[1::2], strict=True):
        pairs[key_of(key)] = value


def _a(kind: type, node: Any) -> Any:
    if not isinstance(node, kind):
        raise TypeError
    return node


def _build(m: _Machine) -> None:
    state, target = m.pop(), m.pop()
    if isinstance(target, Call):
        target.state = state
    else:  # state given to what is no instance: kept beside it
        target = Call(target, (), state=state)
    m.push(target)


def _call(m: _Machine, count: int) -> None:
    """REDUCE, NEWOBJ (2 from the stack), NEWOBJ_EX (3): a call that is not made."""
    parts = [m.pop() for _ in range(count)][::-1]
    m.push(Call(*parts))


def _instance(m: _Machine) -> None:
    module, name = m.line().decode("utf-8"), m.line().decode("utf-8")
    m.push(Call(m.name(module, name), tuple(m.since_mark())))


def _object(m: _Machine) -> None:
    func, *args = m.since_mark()
    m.push(Call(func, tuple(args)))


def _line_global(m: _Machine) -> None:
    module, name = m.line().decode("utf-8"), m.line().decode("utf-8")
    m.push(m.name(module, name))


def _stack_global(m: _Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.name(module, name))


def _string(m: _Machine) -> None:
    """STRING: a quoted Python 2 literal, its escapes undone as Python's own unpickler does."""
    start, raw = m.at, m.line()
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in b"'\"":
        raise ValueError
    value, _ = codecs.escape_decode(raw[1:-1])
    m.push(Text(value.decode("latin-1"), start, len(raw), "literal"))


def _unicode(m: _Machine) -> None:
    start, raw = m.at, m.line()
    m.push(Text(raw.decode("raw-unicode-escape"), start, len(raw), "raw-unicode-escape"))


def _int(m: _Machine) -> None:
    raw = m.line()
    m.push({b"00": False, b"01": True}[raw] if raw in (b"00", b"01") else int(raw))


def _tuple(m: _Machine, count: int) -> None:
    m.push(tuple([m.pop() for _ in range(count)][::-1]))


def _blob(m: _Machine, form: struct.Struct) -> None:
    size = m.number(form)
    m.push(Blob(m.skip(size), size))


def _long(m: _Machine, form: struct.Struct) -> None:
    size = m.number(form)
    m.push(int.from_bytes(m.take(size), "little", signed=True))


def _frame(m: _Machine) -> None:
    """FRAME only groups what follows; it must be there."""
    size = m.number(U64)
    here = m.at
    m.skip(size)
    m.at = here


def _put(m: _Machine, index: int) -> None:
    m.memo[index] = m.stack[-1]


def _mark(m: _Machine) -> None:
    m.marks.append(len(m.stack))


def _pop(m: _Machine) -> None:
    """POP takes a mark where one is on top."""
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.stack.pop()


def _append_marked(m: _Machine, add: Callable[[Any, list[Any]], None]) -> None:
    nodes = m.since_mark()
    add(m.stack[-1], nodes)


def _new_dict(m: _Machine) -> None:
    made: dict[Any, Any] = {}
    _update(made, m.since_mark())
    m.push(made)


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    _update(m.stack[-1], [key, value])


def _with(step: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    """A step that pushes what `step` gives."""
    return lambda m: m.push(step(m))


U8, U16, U32, U64, I32, F64 = map(struct.Struct, ("<B", "<H", "<I", "<Q", "<i", ">d"))
STOP = ord(".")
REFUSED = {
    ord("P"): "persistent ids are not read: what they name is outside the stream",
    ord("Q"): "persistent ids are not read: what they name is outside the stream",
    0x82: "pickle's extension registry is not read",
    0x83: "pickle's extension registry is not read",
    0x84: "pickle's extension registry is not read",
    0x97: "out-of-band pickle buffers are not in the stream and are not read",
}
STEPS: dict[int, Callable[[_Machine], Any]] = {
    # Framing, stack, memo.
    0x80: lambda m: m.take(1),
    0x95: _frame,
    ord("("): _mark,
    ord("0"): _pop,
    ord("1"): lambda m: m.since_mark(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("p"): lambda m: _put(m, int(m.line())),
    ord("q"): lambda m: _put(m, m.number(U8)),
    ord("r"): lambda m: _put(m, m.number(U32)),
    0x94: lambda m: _put(m, len(m.memo)),
    ord("g"): lambda m: m.push(m.memo[int(m.line())]),
    ord("h"): lambda m: m.push(m.memo[m.number(U8)]),
    ord("j"): lambda m: m.push(m.memo[m.number(U32)]),
    # Plain values.
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): _int,
    ord("L"): lambda m: m.push(int(m.line().rstrip(b"L"))),
    ord("J"): lambda m: m.push(m.number(I32)),
    ord("K"): lambda m: m.push(m.number(U8)),
    ord("M"): lambda m: m.push(m.number(U16)),
    0x8A: lambda m: _long(m, U8),
    0x8B: lambda m: _long(m, I32),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(m.number(F64)),
    # Strings and bytes.
    ord("S"): _string,
    ord("V"): _unicode,
    ord("T"): _with(lambda m: m.text(m.number(I32), "latin-1")),
    ord("U"): _with(lambda m: m.text(m.number(U8), "latin-1")),
    ord("X"): _with(lambda m: m.text(m.number(U32), "utf-8")),
    0x8C: _with(lambda m: m.text(m.number(U8), "utf-8")),
    0x8D: _with(lambda m: m.text(m.number(U64), "utf-8")),
    ord("B"): lambda m: _blob(m, U32),
    ord("C"): lambda m: _blob(m, U8),
    0x8E: lambda m: _blob(m, U64),
    0x96: lambda m: _blob(m, U64),
    0x98: lambda m: m.push(m.pop()),
    # Containers. A set is a list here: its members need no hash.
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: _tuple(m, 1),
    0x86: lambda m: _tuple(m, 2),
    0x87: lambda m: _tuple(m, 3),
    ord("t"): _with(lambda m: tuple(m.since_mark())),
    ord("]"): lambda m: m.push([]),
    ord("l"): _with(lambda m: m.since_mark()),
    ord("a"): lambda m: _extend(m.stack[-2], [m.pop()]),
    ord("e"): lambda m: _append_marked(m, _extend),
    ord("}"): lambda m: m.push({}),
    ord("d"): _new_dict,
    ord("s"): _set_item,
    ord("u"): lambda m: _append_marked(m, _update),
    0x8F: lambda m: m.push([]),
    0x90: lambda m: _append_marked(m, _extend),
    0x91: _with(lambda m: tuple(m.since_mark())),
    # What would import, call or make something.
    ord("c"): _line_global,
    0x93: _stack_global,
    ord("R"): lambda m: _call(m, 2),
    0x81: lambda m: _call(m, 2),
    0x92: lambda m: _call(m, 3),
    ord("b"): _build,
    ord("i"): _instance,
    ord("o"): _object,
}
