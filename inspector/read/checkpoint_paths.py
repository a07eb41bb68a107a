"""Which files a checkpoint is, whichever of them, its prefix or its folder was named.

A folder's `checkpoint` file is CheckpointState in text (tensorflow/python/checkpoint/
checkpoint_state.proto): the paths in it may be of another machine. Only their last part is used,
as a name in the same folder; nothing outside it is opened.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from inspector import filesystem
from inspector.errors import ArtifactError, NotFound, UnknownFormat
from inspector.limits import MIB
from inspector.words import some

STATE = "checkpoint"
_STATE_BYTES = 16 * MIB  # a line a checkpoint that was kept
_INDEX = ".index"
_META = ".meta"
_SHARD = re.compile(r"(?P<prefix>.+)\.data-\d{5}-of-\d{5}")
# A V1 Saver's shard; in the state file with question marks for its number.
_V1_SHARD = re.compile(r"(?P<prefix>.+)-(\d{5}|\?{5})-of-(?P<count>\d{5})")
_LINE = re.compile(
    rb"^[ \t]*(?P<field>model_checkpoint_path|all_model_checkpoint_paths)[ \t]*:[ \t]*"
    rb'"(?P<path>(?:[^"\\\n]|\\.)*)"',
    re.MULTILINE,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))")
NAMED = 5  # checkpoints named in a message


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint's files. prefix: path without endings.

    index: of a bundle, None for version 1; tables: the files of version 1; meta: the graph beside
    it. state: the `checkpoint` file, where the folder was named; others: the folder's other
    checkpoints, by name; remark: what is odd about the state file.
    """

    prefix: str
    index: str | None
    tables: tuple[str, ...] = ()
    meta: str | None = None
    state: str | None = None
    others: tuple[str, ...] = ()
    remark: str | None = None

    @property
    def missing(self) -> int:
        """How many tables of version 1 are not there, by the number that their names give."""
        named = _V1_SHARD.fullmatch(self.tables[0]) if self.tables else None
        return max(int(named["count"]) - len(self.tables), 0) if named else 0


def find_checkpoint(path: str) -> Place:
    """The files of the checkpoint at a path: a prefix, one of its files, a folder, a state file.

    Opens none but the state file. Raises NotFound, and UnknownFormat for a folder that does not
    tell which of its checkpoints is meant.
    """
    if filesystem.isdir(path):
        prefix = path.rstrip(os.sep)
        # A folder may be called what a checkpoint beside it is.
        beside = _at(prefix) if filesystem.isfile(f"{prefix}{_INDEX}") else None
        return beside if beside is not None and not _holds_any(path) else _in_folder(path)
    folder, name = os.path.split(path)
    if name == STATE and filesystem.isfile(path):
        return _in_folder(folder or ".")
    shard = _SHARD.fullmatch(path)
    prefix = shard["prefix"] if shard else path.removesuffix(_INDEX)
    found = _at(prefix)
    if found is None and shard is not None:
        message = "the index of this checkpoint is missing: it alone has names and shapes"
        raise NotFound(message, f"{prefix}{_INDEX}")
    if found is None:
        raise NotFound("there is no checkpoint with this prefix", path)
    return found


def _at(prefix: str) -> Place | None:
    """The checkpoint of a prefix; None where there is none."""
    if filesystem.isfile(f"{prefix}{_INDEX}"):
        return Place(prefix, f"{prefix}{_INDEX}", meta=_meta(prefix))
    sharded = _V1_SHARD.fullmatch(prefix)
    if sharded is not None:
        tables = _shards(sharded["prefix"], sharded["count"])
        return Place(prefix, None, tables, _meta(sharded["prefix"])) if tables else None
    tables = (prefix,) if filesystem.isfile(prefix) else _shards(prefix)
    return Place(prefix, None, tables, _meta(prefix)) if tables else None


def _shards(prefix: str, count: str = r"\d{5}") -> tuple[str, ...]:
    """The shards of a V1 checkpoint that are there."""
    folder, name = os.path.split(prefix)
    if not filesystem.isdir(folder or "."):
        return ()
    ending = re.compile(rf"{re.escape(name)}-\d{{5}}-of-{count}")
    return tuple(
        filesystem.join(folder, one) for one in _listed(folder or ".") if ending.fullmatch(one)
    )


def _meta(prefix: str) -> str | None:
    path = f"{prefix}{_META}"
    return path if filesystem.isfile(path) else None


def _holds_any(folder: str) -> bool:
    return any(name == STATE or name.endswith(_INDEX) for name in _listed(folder))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(filesystem.listdir(folder))
    except OSError as error:
        raise ArtifactError(f"cannot be listed: {error.strerror}", folder) from error


def _in_folder(folder: str) -> Place:
    names = _listed(folder)
    held = [one.removesuffix(_INDEX) for one in names if one.endswith(_INDEX)]
    state = filesystem.join(folder, STATE)
    latest, listed = _read_state(state) if STATE in names else (None, [])
    found = _at(filesystem.join(folder, latest)) if latest else None
    remark = None
    if found is None and latest is not None:
        remark = f"names {latest} as the latest checkpoint, which is not in this folder"
    if found is None and len(held) == 1:
        latest = held[0]
        found = _at(filesystem.join(folder, latest))
    if found is None or latest is None:
        raise _undecided(folder, held, remark)
    others = dict.fromkeys((*held, *(one for one in listed if _at(filesystem.join(folder, one)))))
    others.pop(latest, None)
    return Place(
        found.prefix,
        found.index,
        found.tables,
        found.meta,
        state if STATE in names else None,
        tuple(others),
        remark,
    )


def _undecided(folder: str, held: list[str], remark: str | None) -> ArtifactError:
    said = f"its `checkpoint` file {remark}; " if remark else ""
    if not held:
        return NotFound(f"{said}no checkpoint is in this folder", folder)
    return UnknownFormat(
        f"{said}{len(held):,} checkpoints are in this folder, say which: {some(held, NAMED)}",
        folder,
    )


def _read_state(path: str) -> tuple[str | None, list[str]]:
    """(the latest checkpoint, all that were kept), as names in the folder."""
    with filesystem.opened(path) as source:
        text = bytes(source.view(0, min(source.size, _STATE_BYTES)))
    latest, kept = None, []
    for line in _LINE.finditer(text):
        # Of a path of another system, too, only the last part.
        name = re.split(r"[/\\]", _unescaped(line["path"]))[-1]
        if name in {"", ".", ".."} or "\0" in name:
            continue
        if line["field"] == b"model_checkpoint_path":
            latest = name
        else:
            kept.append(name)
    return latest, kept


def _unescaped(raw: bytes) -> str:
    r"""A string of protobuf's text format: \303\251 for the bytes of an é."""

    def byte(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, itself = match.groups()
        if itself is not None:
            return itself
        code = int(hexadecimal, 16) if octal is None else int(octal, 8)
        return bytes([code & 0xFF])

    return os.fsdecode(_ESCAPE.sub(byte, raw))
