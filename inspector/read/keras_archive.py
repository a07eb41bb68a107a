"""`.keras`: config.json, metadata.json, weights and assets, in a zip or unpacked in a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspector import filesystem
from inspector.changed import changed
from inspector.errors import ArtifactError, Corrupt, LimitExceeded, UnknownFormat
from inspector.limits import Limits
from inspector.model import Artifact, Extent, FileEntry, Layer, Problem, Severity, Store, Tensor
from inspector.read.formats import KERAS_DIR, KERAS_ZIP, Opened
from inspector.read.keras_common import CONFIG_LABELS, producer_of, read_config
from inspector.read.keras_store import StoredObject, assign, objects_of, taken, tensors_of
from inspector.storage import ByteSource
from inspector.wire.archive import Archive, Member, read_archive
from inspector.wire.json_text import parse_json

if TYPE_CHECKING:
    from inspector.wire.hdf5 import Hdf5File

_CONFIG, _METADATA = "config.json", "metadata.json"
_HDF5_WEIGHTS, _NPZ_WEIGHTS = "model.weights.h5", "model.weights.npz"
_VOCABULARY = "vocabulary.txt"


@dataclass(slots=True)
class _Parts:
    """What either container gives. source: a member's bytes by name, None where it is not there.

    base: (file, offset) of a member's first byte, None where it is compressed as a whole.
    """

    path: str
    names: tuple[str, ...]
    source: Callable[[str], ByteSource | None]
    base: Callable[[str], tuple[str, int] | None]
    size: Callable[[str], int]
    files: tuple[FileEntry, ...]
    overhead: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def charge(self, label: str, size: int) -> None:
        if size:
            self.overhead[label] = self.overhead.get(label, 0) + size

    def text(self, name: str, limits: Limits) -> bytes | None:
        """A small member whole; None, with a problem, where it cannot be read."""
        cap = "config_bytes" if name == _CONFIG else "member_bytes"
        most = getattr(limits, cap)
        try:
            found = self.source(name)
            if found is None:
                return None
            if found.size > most:
                error = LimitExceeded(cap, found.size, most, self.path)
                self.note("member-too-large", Severity.ERROR, f"{name}: {error.message}")
                return None
            return bytes(found.view(0, found.size))
        except ArtifactError as error:
            self.note("member-unreadable", Severity.ERROR, f"{name}: {error.message}")
            return None

    def note(self, code: str, severity: Severity, message: str) -> None:
        self.problems.append(Problem(code, severity, message, self.path))


@dataclass(slots=True)
class _Weights:
    """The store of one archive: its objects, and tensors outside any object."""

    objects: list[StoredObject] = field(default_factory=list)
    others: list[Tensor] = field(default_factory=list)


def read(path: str, limits: Limits) -> Opened:
    """Open a `.keras` zip or folder. Raises ArtifactError; UnknownFormat without a config."""
    with contextlib.ExitStack() as stack:
        parts = (
            _folder(path, stack, limits) if filesystem.isdir(path) else _zip(path, stack, limits)
        )
        artifact = _artifact(parts, stack, limits)
        return Opened(artifact, stack.pop_all())


def _zip(path: str, stack: contextlib.ExitStack, limits: Limits) -> _Parts:
    source = stack.enter_context(filesystem.opened(path))
    archive = read_archive(source, limits)
    if archive.find(_CONFIG) is None:
        raise UnknownFormat(_no_config([m.name for m in archive.members]), path)
    opened: dict[str, ByteSource] = {}

    def member_source(name: str) -> ByteSource | None:
        member = archive.find(name)
        if member is not None and not member.distinct:
            raise Corrupt("its bytes are claimed by another member too", path, member.data_offset)
        if member is not None and name not in opened:
            opened[name] = archive.open_member(member)
        return opened.get(name)

    def base(name: str) -> tuple[str, int] | None:
        member = archive.find(name)
        if member is None or member.method != "stored":
            return None
        return path, member.data_offset

    def size(name: str) -> int:
        member: Member | None = archive.find(name)
        return member.compressed if member is not None and member.distinct else 0

    parts = _Parts(
        path,
        tuple(dict.fromkeys(m.name for m in archive.members if not m.is_dir)),
        member_source,
        base,
        size,
        (FileEntry(path, source.size),),
        dict(archive.overhead),
        list(archive.problems),
    )
    _charge_unnamed(parts, archive)
    return parts


def _charge_unnamed(parts: _Parts, archive: Archive) -> None:
    """Members that no name leads to: earlier ones of a name, and those that stand for folders."""
    for member in archive.members:
        if member.distinct and archive.find(member.name) is not member:
            parts.charge("shadowed members", member.compressed)
        elif member.is_dir:
            parts.charge("other members", member.compressed if member.distinct else 0)


def _no_config(names: list[str]) -> str:
    count = f"{len(names):,} member{'' if len(names) == 1 else 's'}"
    for sign, what in (
        ("data.pkl", "a PyTorch archive"),
        ("AndroidManifest.xml", "an Android package"),
        ("[Content_Types].xml", "an Office document"),
    ):
        if any(name.rsplit("/", 1)[-1] == sign or name == sign for name in names):
            return f"a zip without a Keras config.json: {what} ({count})"
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy .npz of {len(names):,} arrays, without a Keras config.json"
    nested = next((name for name in names if name.endswith(f"/{_CONFIG}")), None)
    if nested is not None:
        return f"a zip whose config.json lies in a folder, at {nested}: Keras looks at the top only"
    said = f": {', '.join(sorted(names)[:3])}{' ...' if len(names) > 3 else ''}" if names else ""
    return f"a zip without a Keras config.json ({count}{said})"


def _folder(path: str, stack: contextlib.ExitStack, limits: Limits) -> _Parts:
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for folder, inner, files in filesystem.walk(path):
        inner.sort()
        if len(found) + len(files) > limits.nodes:
            raise LimitExceeded("nodes", len(found) + len(files), limits.nodes, path)
        for name in sorted(files + [one for one in inner if filesystem.islink(f"{folder}/{one}")]):
            full = filesystem.join(folder, name)
            short = filesystem.relpath(full, path).replace(os.sep, "/")
            if filesystem.islink(full):
                message = (
                    f"{short} is a symbolic link to {filesystem.readlink(full)}; it is not followed"
                )
                problems.append(Problem("symbolic-link", Severity.ERROR, message, path))
                continue
            if not filesystem.isfile(full):
                message = f"{short} is a device, a pipe or a socket; it is not opened"
                problems.append(Problem("odd-file", Severity.ERROR, message, path))
                continue
            found[short] = full
    opened: dict[str, ByteSource] = {}

    def file_source(name: str) -> ByteSource | None:
        if name in found and name not in opened:
            opened[name] = stack.enter_context(filesystem.opened(found[name]))
        return opened.get(name)

    sizes = {name: filesystem.getsize(full) for name, full in found.items()}
    return _Parts(
        path,
        tuple(found),
        file_source,
        lambda name: (found[name], 0) if name in found else None,
        lambda name: sizes.get(name, 0),
        tuple(FileEntry(full, sizes[name]) for name, full in found.items()),
        problems=problems,
    )


def _artifact(parts: _Parts, stack: contextlib.ExitStack, limits: Limits) -> Artifact:
    metadata = _json(parts.text(_METADATA, limits), limits, parts.path)
    version = metadata.get("keras_version")
    version = version if isinstance(version, str) else None
    text = parts.text(_CONFIG, limits)
    config = read_config(text, None, version, parts.path, _CONFIG, limits)
    weights = _Weights()
    held = next((n for n in (_HDF5_WEIGHTS, _NPZ_WEIGHTS) if n in parts.names), None)
    if held is None:
        parts.note("no-weights", Severity.ERROR, "no model.weights.h5 or .npz: a config alone")
    else:
        try:
            read_weights = _hdf5 if held == _HDF5_WEIGHTS else _npz
            weights = read_weights(parts, held, stack, limits)
        except ArtifactError as error:
            # The config can still be read, so this is a problem and no refusal.
            parts.note("weights-unreadable", Severity.ERROR, f"{held}: {error.message}")
            parts.charge(f"{held}, unread", parts.size(held))
    assigned = assign(weights.objects, config)
    tensors = (*assigned.tensors, *weights.others)
    _charge_members(parts, held)
    is_folder = filesystem.isdir(parts.path)
    return Artifact(
        path=parts.path,
        format=KERAS_DIR.name if is_folder else KERAS_ZIP.name,
        kind=KERAS_DIR.title if is_folder else KERAS_ZIP.title,
        files=parts.files,
        tensors=tensors,
        overhead=parts.overhead,
        producer=producer_of(version, None, config.flavor),
        model=config.model,
        store=Store.V3,
        flavor=config.flavor,
        guessed=assigned.guessed,
        references=assigned.references,
        complete=held is not None
        and not any(p.code == "weights-unreadable" for p in parts.problems),
        missing=assigned.missing if held is not None else (),
        vocabulary=_vocabularies(parts, config.model, limits),
        training=config.training,
        problems=(*config.problems, *parts.problems),
    )


def _hdf5(parts: _Parts, name: str, stack: contextlib.ExitStack, limits: Limits) -> _Weights:
    from inspector.wire.hdf5 import Hdf5File, overhead

    source = parts.source(name)
    assert source is not None  # noqa: S101 - the caller saw the name
    file = stack.enter_context(Hdf5File(source, limits))
    base = parts.base(name)
    if base is not None:
        _move(file, *base)
    objects, others = objects_of(file)
    parts.problems += file.problems
    if base is None:
        parts.charge(f"{name}, compressed", parts.size(name))
        file.forget()
        return _Weights([_moved(one, None) for one in objects], [_at(t, None) for t in others])
    inner = overhead(file, CONFIG_LABELS, taken([*tensors_of(objects), *others]))
    file.forget()
    for label, size in inner.items():
        parts.charge(label, size)
    return _Weights(objects, others)


def _move(weights: Hdf5File, file: str, offset: int) -> None:
    """Give the datasets of a stored member their places in the archive's own file."""
    for dataset in weights.datasets():
        dataset.extents = tuple(
            Extent(file, one.offset + offset, one.length, one.codec) for one in dataset.extents
        )


def _npz(parts: _Parts, name: str, _: contextlib.ExitStack, limits: Limits) -> _Weights:
    from inspector.read.keras_npz import read_npz

    source = parts.source(name)
    assert source is not None  # noqa: S101 - the caller saw the name
    base = parts.base(name)
    found = read_npz(source, limits)
    parts.problems += found.problems
    if base is None:
        parts.charge(f"{name}, compressed", parts.size(name))
    else:
        for label, size in found.overhead.items():
            parts.charge(label, size)
    return _Weights([_moved(one, base) for one in found.objects], [])


def _moved(one: StoredObject, base: tuple[str, int] | None) -> StoredObject:
    return changed(one, tensors=tuple(_at(tensor, base) for tensor in one.tensors))


def _at(tensor: Tensor, base: tuple[str, int] | None) -> Tensor:
    """The tensor with its place in the archive's own file, or none in a compressed member."""
    if base is None:
        return changed(tensor, extents=(), storage=f"{tensor.storage}, in a deflated zip member")
    file, offset = base
    moved = tuple(changed(e, file=file, offset=e.offset + offset) for e in tensor.extents)
    return changed(tensor, extents=moved)


def _charge_members(parts: _Parts, held: str | None) -> None:
    labels = {_CONFIG: "config", _METADATA: "metadata"}
    for name in parts.names:
        if name != held:
            kind = "assets" if name.startswith("assets/") else "other members"
            parts.charge(labels.get(name, kind), parts.size(name))


def _vocabularies(parts: _Parts, model: Layer | None, limits: Limits) -> Mapping[str, int]:
    """Entries of each vocabulary, in an asset or in a layer's config. Never parameters."""
    found: dict[str, int] = {}
    seen: dict[bytes, str] = {}
    for name in parts.names:
        if name.startswith("assets/") and name.rsplit("/", 1)[-1] == _VOCABULARY:
            content = parts.text(name, limits)
            if content is None:
                continue
            first = seen.setdefault(content, name)
            if first != name:
                message = f"{name} repeats {first}: {len(content):,} bytes stored twice"
                parts.note("vocabulary-copy", Severity.INFO, message)
            else:
                found[name] = len(content.decode("utf-8", "replace").splitlines())
    for layer in model.walk() if model is not None else ():
        inline = layer.config.get("vocabulary")
        if isinstance(inline, (list, tuple)) and inline:
            found[f"{layer.path}/vocabulary"] = len(inline)
    return found


def _json(content: bytes | None, limits: Limits, path: str) -> Mapping[str, Any]:
    try:
        parsed = parse_json(content or b"{}", limits, path)
    except (ValueError, RecursionError, LimitExceeded):
        return {}
    return parsed if isinstance(parsed, dict) else {}
