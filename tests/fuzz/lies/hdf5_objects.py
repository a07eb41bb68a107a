"""HDF5 files that libhdf5 itself wrote, with an object or an attribute that nobody expects."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.fuzz.lies import json, raw

_NAMES = [one for one in raw.NAMES if one and "\0" not in one and one not in ("/", ".")]
TEXT = h5py.string_dtype()
# Values that an attribute or a dataset may have in place of its own.
VALUES: tuple[Callable[[], Any], ...] = (
    lambda: 5,
    lambda: -1,
    lambda: np.float64("nan"),
    lambda: "text",
    lambda: "",
    lambda: "n" * 60_000,
    lambda: b"\xff\xfe\x00bytes",
    lambda: h5py.Empty("f4"),
    lambda: h5py.Empty(TEXT),
    lambda: np.zeros((0, 5), "f4"),
    lambda: np.zeros((2, 3), "i8"),
    lambda: np.zeros(4, "S5"),
    lambda: np.array([b"\x1b[2J", b"a\xff", b""]),
    lambda: np.array(["a", "", "\u202e"], dtype=object),
    lambda: np.zeros(3, [("r", "f4"), ("i", "f4")]),
    lambda: np.zeros(2, "c8"),
    lambda: np.zeros(2, "V7"),
    lambda: np.zeros((1,) * 30, "u1"),
    lambda: np.zeros(2, np.dtype("(3,2)f8")),
    lambda: np.array([True, False]),
    lambda: np.zeros(3, ">i2"),
    lambda: np.zeros(3, "f2"),
)


def rewritten(content: bytes, rng: random.Random) -> bytes:
    held = io.BytesIO(content)
    try:
        with h5py.File(held, "r+") as file:
            nodes: list[Any] = [file]
            file.visititems(lambda _, node: nodes.append(node))
            for _ in range(rng.choice((1, 1, 2))):
                rng.choice(LIES)(file, rng.choice(nodes), rng)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError):
        pass  # libhdf5 would not write that one: what it wrote until then will do
    return held.getvalue()


def _value(rng: random.Random) -> Any:
    return rng.choice(VALUES)()


def _attribute(file: h5py.File, node: Any, rng: random.Random) -> None:
    names = list(node.attrs)
    name = rng.choice(names) if names else "layer_names"
    node.attrs[name] = _value(rng)


def _config(file: h5py.File, node: Any, rng: random.Random) -> None:
    """A lie in the JSON of an attribute, of whatever length."""
    held = {name: value for name, value in file.attrs.items() if isinstance(value, (str, bytes))}
    texts = {n: v.encode() if isinstance(v, str) else v for n, v in held.items()}
    texts = {name: text for name, text in texts.items() if json.is_one(text)}
    if not texts:
        _attribute(file, node, rng)
        return
    name = rng.choice(list(texts))
    changed = json.lie(texts[name], rng)
    if len(changed) > 60_000:  # a header takes no more
        changed = re.sub(rb"\s", b"", changed)[:60_000]
    del file.attrs[name]
    file.attrs.create(name, changed.decode("utf-8", "replace").replace("\0", ""), dtype=TEXT)


def _names(file: h5py.File, node: Any, rng: random.Random) -> None:
    """A list of names with one that is doubled, gone, or another."""
    nodes = [one for one in (file, *file.values()) if "layer_names" in one.attrs
             or "weight_names" in one.attrs]  # fmt: skip
    if not nodes:
        _attribute(file, node, rng)
        return
    one = rng.choice(nodes)
    name = "layer_names" if "layer_names" in one.attrs else "weight_names"
    names = [n if isinstance(n, bytes) else str(n).encode() for n in one.attrs[name]]
    at = rng.randrange(len(names) + 1)
    new = rng.choice((*_NAMES[:10], *[n.decode("utf-8", "replace") for n in names], "absent"))
    names[at : at + rng.randrange(3)] = [new.encode("utf-8", "replace")] * rng.choice((0, 1, 2, 50))
    one.attrs[name] = np.array(names, dtype="S" if names else "f4")


def _dataset(file: h5py.File, node: Any, rng: random.Random) -> None:
    if not isinstance(node, h5py.Dataset):
        _attribute(file, node, rng)
        return
    name, shape, parent = node.name, node.shape, node.parent
    kind = rng.randrange(9)
    del file[name]
    if kind < 3:
        parent[name] = _value(rng)
    elif kind == 3:
        parent.create_dataset(name, shape, "f4", chunks=True, compression="gzip", shuffle=True)
    elif kind == 4:
        parent.create_dataset(name, (1 << 40, 1 << 20), "f4", chunks=(1, 1 << 10))
    elif kind == 5:
        parent.create_dataset(name, (3, 0), maxshape=(None, None), dtype="f8", fillvalue=7)
    elif kind == 6:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
        parent.create_virtual_dataset(name, layout)
    elif kind == 7:
        parent.create_dataset(name, (4,), "f4", external=[("/etc/passwd", 0, 16)])
    else:
        parent.create_group(name)


def _link(file: h5py.File, node: Any, rng: random.Random) -> None:
    nodes: list[str] = []
    file.visit(nodes.append)
    if not nodes:
        return
    place, other = rng.choice(nodes), rng.choice(nodes)
    link = rng.choice((
        h5py.SoftLink("/" + other), h5py.SoftLink("/" + place), h5py.SoftLink("absent/absent"),
        h5py.ExternalLink("/etc/passwd", "/"), file, file[other], np.dtype("f4"),
    ))  # fmt: skip
    del file[place]
    file[place] = link


def _member(file: h5py.File, node: Any, rng: random.Random) -> None:
    """A new member, a member gone, or one under another name."""
    group = node if isinstance(node, h5py.Group) else node.parent
    kind = rng.randrange(4)
    if kind == 0:
        group[rng.choice(_NAMES)] = _value(rng)
    elif kind == 1 and len(group):
        del group[rng.choice(list(group))]
    elif kind == 2 and len(group):
        old = rng.choice(list(group))  # h5py's own move() may crash
        group[rng.choice(_NAMES)] = group[old]
        del group[old]
    else:
        deep = group
        for _ in range(rng.choice((5, 140, 300))):
            deep = deep.create_group("g")
        deep["kernel:0"] = np.zeros(2, "f4")


LIES = (_attribute, _config, _config, _config, _names, _names, _dataset, _dataset, _link, _member)
