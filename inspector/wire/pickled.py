"""NumPy arrays and Keras variables inside pickled .npy data: found and placed, never unpickled.

A `.keras` file written with npz weights has members that are pickled 0-d object arrays, each a
dict of "0", "1" ... to arrays (older Keras 3) or to whole `keras.Variable` objects (newer). Sources
of the forms: `keras/src/saving/saving_lib.py` (NpzIOStore); NumPy's `ndarray.__reduce_ex__`,
`dtype.__reduce__`, `numpy._core.numeric._frombuffer`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from inspector.errors import Corrupt, LimitExceeded, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.storage import ByteSource, MemorySource
from inspector.wire.npy import OBJECT, check_shape, item_size, read_header
from inspector.wire.pickle_machine import Blob, Call, Global, Key, Text, scan_stream

Path = tuple[str | int, ...]

# Bytes of one value of the types that NumPy knows only through ml_dtypes.
ML_DTYPES = {
    "bfloat16": 2,
    **dict.fromkeys(("int2", "uint2", "int4", "uint4", "float4_e2m1fn"), 1),
    **dict.fromkeys(("float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3"), 1),
    **dict.fromkeys(("float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"), 1),
    **dict.fromkeys(("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
}
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
BUILTINS = ("builtins", "__builtin__")
# Calls by what they make. Modules moved over the years; the names did not.
RECONSTRUCT = {Global(module, "_reconstruct") for module in MULTIARRAY}
SCALAR = {Global(module, "scalar") for module in MULTIARRAY}
FROMBUFFER = {Global(module, "_frombuffer") for module in NUMERIC}
DTYPE = {Global("numpy", "dtype")}
JAX_ARRAY = {Global("jax._src.array", "_reconstruct_array")}
LATIN1 = ("latin1", "latin-1")
ENCODE = {Global("_codecs", "encode")}
BYTES = {Global(module, kind) for module in BUILTINS for kind in ("bytes", "bytearray")}


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a pickle stream or an .npy, where it lies.

    dtype: as `payloads.numpy_dtype` takes it ("<f4", "|i1", "<bfloat16", "int4"). fortran: values
    are in Fortran order. offset, nbytes: place in the scanned source, bytes. codec: None
    where those bytes are the values; else what they went through (protocol 2 writes them as text).
    values: the values' bytes as a source, whatever the codec.
    """

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    offset: int
    nbytes: int
    codec: str | None
    values: ByteSource = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ArrayRef(StoredArray):
    """An array of a scanned tree. path: keys and indexes that lead to it."""

    path: Path


@dataclass(frozen=True, slots=True)
class PickledVariable(StoredArray):
    """A variable of an npz member.

    key: its place in the member's dict ("0"), None for a plain array. name, path, trainable: as a
    pickled Keras variable says, else None.
    """

    key: str | None = None
    name: str | None = None
    path: str | None = None
    trainable: bool | None = None


@dataclass(frozen=True, slots=True)
class NpzMember:
    """What one .npy member holds. globals: "module.name" of all that loading it would import."""

    variables: tuple[PickledVariable, ...]
    globals: tuple[str, ...]


def npz_variables(
    source: ByteSource, offset: int = 0, limits: Limits = DEFAULT
) -> list[PickledVariable]:
    """The variables of the .npy data at `offset`, in its dict's order. Errors: `npz_member`."""
    return list(npz_member(source, offset, limits).variables)


def npz_member(source: ByteSource, offset: int = 0, limits: Limits = DEFAULT) -> NpzMember:
    """The variables of the .npy data at `offset`, and what loading it would import.

    Raises as `read_header` and `scan_stream` do; Corrupt for an array whose bytes do not fit its
    shape; Unsupported for a variable whose value is no NumPy or JAX array.
    """
    header = read_header(source, offset, limits)
    if header.dtype != OBJECT:
        place = (header.data_offset, header.nbytes)
        values = source.window(*place, source.path)
        form = (header.dtype, header.shape, header.fortran_order)
        return NpzMember((PickledVariable(*form, *place, None, values),), ())
    scan = scan_stream(source, header.data_offset, limits)
    finder = _Finder(source, limits)
    top = _only_item(scan.tree)
    if isinstance(top, dict):
        found = [v for key, node in top.items() for v in finder.variables(str(_step(key)), node)]
    else:
        found = [_variable("/".join(map(str, ref.path)), ref) for ref in finder.walk(scan.tree)]
    return NpzMember(tuple(found), scan.globals)


def find_arrays(tree: Any, source: ByteSource, limits: Limits = DEFAULT) -> list[ArrayRef]:
    """Every array of a scanned tree, once for each edge that leads to it, containers once.

    source: the one that was scanned. Raises Corrupt, Unsupported (structured dtypes),
    LimitExceeded (`depth`, `pickle_opcodes`).
    """
    return list(_Finder(source, limits).walk(tree))


class _Finder:
    """Finds arrays in trees of one source. All walks together visit a bounded number of nodes."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self._left = limits.pickle_opcodes

    def walk(self, tree: Any) -> Iterator[ArrayRef]:
        """The arrays below `tree`, in the order of the stream."""
        seen: set[int] = set()
        todo: list[tuple[Path, Any]] = [((), tree)]
        while todo:
            path, node = todo.pop()
            self._spend(1)
            ref = self.array(path, node) if isinstance(node, Call) else None
            if ref is not None:
                yield ref
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            if len(path) >= self.limits.depth:
                raise LimitExceeded("depth", len(path) + 1, self.limits.depth, self.source.path)
            below = list(_children(node))
            self._spend(len(below))
            todo += [
                ((*path, step), child)
                for step, child in reversed(below)
                if isinstance(child, Call | dict | list | tuple)
            ]

    def _spend(self, nodes: int) -> None:
        """Count nodes looked at, of all walks together: a shared part may be met many times."""
        self._left -= nodes
        if self._left < 0:
            limit = self.limits.pickle_opcodes
            raise LimitExceeded("pickle_opcodes", limit - self._left, limit, self.source.path)

    def variables(self, key: str, node: Any) -> Iterator[PickledVariable]:
        """The variable of one key of a member's dict: an array or a Keras variable."""
        state = _state(node)
        if "_value" not in state:
            for ref in self.walk(node):
                yield _variable("/".join(map(str, (key, *ref.path))), ref)
            return
        first = next(self.walk(state["_value"]), None)
        if first is None:
            said = state.get("_path", key)
            raise Unsupported(
                f"variable {_label(said)} holds no NumPy array, but {_label(state['_value'])}",
                self.source.path,
            )
        yield _variable(key, first, state)

    def array(self, path: Path, call: Call) -> ArrayRef | None:
        """The array that a call would make; None where it makes something else."""
        func, args, state = call.func, call.args, call.state
        if not isinstance(func, Global) or not isinstance(args, tuple):
            return None
        if func in JAX_ARRAY and len(args) >= 3:
            func, args, state = args[:3]
        fortran: Any = False
        if func in RECONSTRUCT and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype_node, fortran, data = state
        elif func in FROMBUFFER and len(args) in (4, 5):
            data, dtype_node, shape, order, *axes = args
            shape, fortran = self._layout(shape, order, axes)
        elif func in SCALAR and len(args) == 2:
            (dtype_node, data), shape = args, ()
        else:
            return None
        dtype = self._dtype(dtype_node)
        if dtype == OBJECT:
            return None
        sides = check_shape(shape, self.source.path, 0)
        offset, nbytes, codec, values = self._bytes(data)
        size = ML_DTYPES.get(dtype.lstrip("<>")) or item_size(dtype) or 0
        if math.prod(sides) * size != values.size:
            raise Corrupt(
                f"an array of {sides} {dtype} needs {math.prod(sides) * size:,} bytes, "
                f"has {values.size:,}",
                self.source.path,
                offset,
            )
        return ArrayRef(dtype, sides, bool(fortran), offset, nbytes, codec, values, path)

    def _layout(self, shape: Any, order: Any, axes: list[Any]) -> tuple[Any, bool]:
        """Shape and Fortran order of a buffer; order "K" names the axes it was transposed by."""
        if order in ("C", "F") or axes in ([], [None]):
            return shape, order == "F"
        backwards = tuple(range(len(shape)))[::-1] if isinstance(shape, tuple) else None
        if axes[0] == backwards:
            return shape[::-1], True
        raise Unsupported("an array with its axes permuted", self.source.path)

    def _dtype(self, node: Any) -> str:
        """The name of a pickled dtype; "object" for pickled values."""
        if not (_calls(node, DTYPE) and _is_tuple(node.args, 1)):
            raise Unsupported("an array with a dtype of an unknown form", self.source.path)
        kind, state = node.args[0], node.state
        order = state[1] if _is_tuple(state, 5) else "|"
        if _is_tuple(state, 5) and (state[2] is not None or state[3] is not None):
            raise Unsupported("structured dtypes are not read", self.source.path)
        if isinstance(kind, Global) and kind.name in ML_DTYPES:
            swappable = ML_DTYPES[kind.name] > 1 and order in ("<", ">")
            return f"{order}{kind.name}" if swappable else kind.name
        if not isinstance(kind, str) or order not in ("<", ">", "|", "="):
            raise Unsupported(f"an array of dtype {_label(kind)}", self.source.path)
        if kind in ("O", "O4", "O8"):
            return OBJECT
        name = f"{'<' if order == '=' else order}{kind}"
        if item_size(name) is None:
            raise Unsupported(f"an array of dtype {_label(kind)}", self.source.path)
        return name

    def _bytes(self, node: Any) -> tuple[int, int, str | None, ByteSource]:
        """Where an array's bytes are: (offset, nbytes, codec, the bytes themselves)."""
        path = self.source.path
        codec = None
        if _calls(node, BYTES) and node.args == ():
            return 0, 0, None, MemorySource(b"", path)
        if _calls(node, BYTES) and _is_tuple(node.args, 1):  # bytearray(b"...")
            node = node.args[0]
        if _calls(node, ENCODE) and _is_tuple(node.args, 2) and node.args[1] in LATIN1:
            node = node.args[0]  # protocols 0 to 2 have no bytes: text that stands for Latin-1
            codec = "latin-1 as text"
        elif isinstance(node, Text) and node.codec != "latin-1":
            codec = "latin-1 as text"
        if isinstance(node, Blob) or (isinstance(node, Text) and codec is None):
            window = self.source.window(node.offset, node.nbytes, path)
            return node.offset, node.nbytes, None, window
        if not isinstance(node, Text):
            raise Corrupt("an array without its bytes", path)
        try:
            return node.offset, node.nbytes, codec, MemorySource(node.encode("latin-1"), path)
        except UnicodeEncodeError:
            raise Corrupt("an array's bytes are no Latin-1 text", path, node.offset) from None


def _variable(
    key: str | None, ref: StoredArray, state: dict[Any, Any] | None = None
) -> PickledVariable:
    """An array with what a Keras variable's state says of it."""
    said = state or {}
    name, path, trainable = said.get("_name"), said.get("_path"), said.get("_trainable")
    return PickledVariable(
        ref.dtype,
        ref.shape,
        ref.fortran,
        ref.offset,
        ref.nbytes,
        ref.codec,
        ref.values,
        key,
        str(name) if isinstance(name, str) else None,
        str(path) if isinstance(path, str) else None,
        trainable if isinstance(trainable, bool) else None,
    )


def _state(node: Any) -> dict[Any, Any]:
    """The attributes of a pickled instance; empty where it has none. Slots give (dict, dict)."""
    state = node.state if isinstance(node, Call) else None
    if isinstance(state, tuple):
        return {k: v for part in state if isinstance(part, dict) for k, v in part.items()}
    return state if isinstance(state, dict) else {}


def _only_item(node: Any) -> Any:
    """What a 0-d (or one-element) object array holds; anything else as it is."""
    if _calls(node, RECONSTRUCT) and _is_tuple(node.state, 5):
        items = node.state[4]
        if isinstance(items, list) and len(items) == 1:
            return items[0]
    return node


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    """What a node holds, with the step that leads there."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield _step(key), child
    elif isinstance(node, list | tuple):
        yield from enumerate(node)
    elif isinstance(node, Call):
        for part in (node.func, node.args, node.kwargs, node.items, node.pairs, node.state):
            if isinstance(part, dict | list | tuple):
                yield from _children(part)
            else:
                yield 0, part


def _step(key: Any) -> str | int:
    """A dict's key as a step of a path."""
    if isinstance(key, Key):
        return "?"
    return key if type(key) is int else str(key)


def _calls(node: Any, targets: set[Global]) -> bool:
    """Whether `node` is a call of one of these (only names are hashed: trees may be deep)."""
    return isinstance(node, Call) and isinstance(node.func, Global) and node.func in targets


def _label(node: Any) -> str:
    """A node in a message: short, and never a whole tree."""
    if isinstance(node, Call):
        return _label(node.func) if isinstance(node.func, Global) else "a computed value"
    return repr(str(node)[:80]) if isinstance(node, str | Global) else type(node).__name__


def _is_tuple(node: Any, least: int) -> bool:
    return isinstance(node, tuple) and len(node) >= least
