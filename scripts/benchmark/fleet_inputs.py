"""The fleets that are audited: small models of which no two are alike, and larger ones.

What is made is kept in a folder, by name; a second run takes what is there.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark.inputs import MAKERS  # noqa: E402 - only there once the path is

from inspector.model import Extent  # noqa: E402
from inspector.read import read  # noqa: E402

SAMPLES = ROOT / "sample_models"
_WEIGHTS = "model.weights.h5"
# Some 10 to 50 KB each, as small as models get: what a file costs beside its bytes.
_SMALL = ("pruned.h5", "k3.keras", "k3.weights.h5", "stripped.h5", "lite_float.tflite")
_PART = 1000  # artifacts of one folder


@dataclass(frozen=True)
class Group:
    """Artifacts of one kind. source: a sample's name, or a maker's of `inputs.py`; size: MiB, or a
    number of tensors; copies: so many of it.
    """

    name: str
    source: str
    copies: int
    size: int = 0

    @property
    def kind(self) -> str:
        """Its format, in the words of the tables."""
        if "saved_" in self.source:
            return "SavedModel"
        return next(one for one in _KINDS if self.source.endswith(one))


_KINDS = (".weights.h5", ".h5", ".keras", ".tflite")


def distinct(content: bytes, offset: int, number: int) -> bytes:
    """The same with another value: the last bits of four float32 at `offset` hold the number."""
    made = bytearray(content)
    for at, byte in enumerate(struct.pack("<I", number)):
        made[offset + 4 * at] = byte
    return bytes(made)


def small(folder: str, count: int) -> str:
    """A folder of that many small models, a thousand in each folder of it."""
    root = os.path.join(folder, f"small-{count}")
    if os.path.isdir(root):
        return root
    unfinished = _fresh(root)
    makers = [_maker(name) for name in _SMALL]
    for number in range(count):
        name, make = makers[number % len(makers)]
        part = os.path.join(unfinished, f"team-{number // _PART:02}")
        os.makedirs(part, exist_ok=True)
        Path(part, f"{number:06}-{name}").write_bytes(make(number))
    os.rename(unfinished, root)
    return root


def one(folder: str, group: Group) -> str:
    """An artifact of a group."""
    if not group.size:
        return str(SAMPLES / group.source)
    root = os.path.join(folder, f"{group.name}-v1")
    path = os.path.join(root, group.source)
    if not os.path.isdir(root):
        unfinished = _fresh(root)
        MAKERS[group.source](os.path.join(unfinished, group.source), group.size)
        os.rename(unfinished, root)
    return path


def laid(folder: str, groups: Mapping[str, tuple[str, Group]]) -> None:
    """Links to artifacts in folders, one a group, as a bucket has them under a prefix."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, (path, group) in groups.items():
        os.makedirs(os.path.join(folder, name))
        for number in range(group.copies):
            target = os.path.join(folder, name, f"{number:04}-{os.path.basename(path)}")
            if os.path.isdir(path):
                shutil.copytree(path, target)
            else:
                os.link(path, target) if _same_disk(path, folder) else shutil.copy(path, target)


def _same_disk(path: str, folder: str) -> bool:
    return os.stat(path).st_dev == os.stat(folder).st_dev


def _fresh(root: str) -> str:
    unfinished = f"{root}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    os.makedirs(unfinished)
    return unfinished


def _maker(name: str) -> tuple[str, Callable[[int], bytes]]:
    """What makes a sample with one number in it."""
    path = SAMPLES / name
    if not name.endswith(".keras"):
        content, offset = path.read_bytes(), _largest(path)
        return name, lambda number: distinct(content, offset, number)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder, _WEIGHTS)
        inner.write_bytes(members[_WEIGHTS])
        offset = _largest(inner)

    def make(number: int) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for member, held in members.items():
                changed = distinct(held, offset, number) if member == _WEIGHTS else held
                archive.writestr(member, changed)
        return out.getvalue()

    return name, make


def _largest(path: Path) -> int:
    """Where the values of the largest float32 tensor are."""
    with read(str(path)) as opened:
        tensors = [each for each in opened.artifact.tensors if each.dtype == "float32"]
        extents = max((each.extents for each in tensors if each.extents), key=_length)
    return extents[0].offset


def _length(extents: tuple[Extent, ...]) -> int:
    return sum(each.length for each in extents)
