"""Which artifacts some paths mean: files, folders that are models, globs, folders to look through.

Content decides what a file is, as everywhere. What belongs to one artifact counts once: a
checkpoint's index and shards, a weight map and the files that it names, a model's folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from inspector import filesystem
from inspector.detect import detect, detect_folder
from inspector.errors import (
    ArtifactError,
    Corrupt,
    LimitExceeded,
    NotFound,
    UnknownFormat,
    Unsupported,
    UsageError,
)
from inspector.globs import compiled, has_magic
from inspector.limits import DEFAULT, Limits

# A file with such a name is said to be a model: where it is none, that is worth a word.
_MODEL_NAMES = (".h5", ".hdf5", ".keras", ".weights.json", ".tflite", ".pb")
# Text that begins like protobuf's ("version: 2") is mostly something else.
_TEXT_NAMES = (".pbtxt", ".pb", ".prototxt")
_STATE = "checkpoint"
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")  # what a SavedModel's folder is known by
_BESIDE = ("assets", "assets.extra", "fingerprint.pb", "keras_metadata.pb", "variables")
_ANY_DEPTH = "**"
_META = ".meta"
_INDEX = ".index"
_MAP = ".weights.json"  # as Keras calls it, which reads no other
_SHARD = re.compile(r"(?P<prefix>.+)\.data-\d{5}-of-\d{5}")
_V1_SHARD = re.compile(r"(?P<prefix>.+)-\d{5}-of-\d{5}")


@dataclass(frozen=True, slots=True)
class Discovered:
    """paths: one for each artifact, in order; found: those among them that nobody named, but that
    lay in a folder. notes: what was left alone, and why.
    """

    paths: tuple[str, ...]
    found: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def discover(
    given: Iterable[str], *, recursive: bool = False, limits: Limits = DEFAULT
) -> Discovered:
    """The artifacts at some paths, in the order given, those of a folder by name.

    A glob is one that the shell left alone, where no file has that name. Of a folder that is no
    model itself, those in it are meant, and with `recursive` those below it; hidden files and
    folders are left out, and links that lead out of the folder. Raises NotFound for a path that is
    not there, UsageError for a glob that matches nothing and where there is no artifact at all;
    LimitExceeded (`nodes`, `depth`).

    Of what is in a storage nothing is opened here: its listing alone is asked for, and what a file
    that was found is, whoever opens it will see.
    """
    walk = _Walk(limits)
    asked = tuple(given)
    named: dict[str, None] = {}
    for path in asked:
        is_glob = _is_glob(path)
        deep = recursive or (is_glob and _ANY_DEPTH in path.split("/"))
        for one in _expanded(path, walk) if is_glob else (path,):
            if filesystem.isdir(one) and not _is_model_folder(one, deep):
                named.update(dict.fromkeys(walk.artifacts(one, recursive)))
            else:
                if not (is_glob and filesystem.is_far(one)):
                    _check(one)
                named[one] = None
    folders = {one for one in named if filesystem.isdir(one)}
    parts = _parts(one for one in named if one not in folders)
    parts |= _inside(named, folders).difference(asked)
    once: dict[str, str] = {}
    for path in named:
        if path not in parts:
            once.setdefault(_identity(path), path)
    if not once:  # what looks at nothing must not pass for having found nothing
        raise UsageError("; ".join(walk.notes) or "no path is given")
    return Discovered(tuple(once.values()), frozenset(walk.found), tuple(walk.notes))


def expanded(path: str, limits: Limits = DEFAULT) -> tuple[str, ...]:
    """What matches the path where it is a glob, and it else. Raises UsageError for nothing,
    LimitExceeded (`nodes`, `depth`).
    """
    return tuple(_expanded(path, _Walk(limits))) if _is_glob(path) else (path,)


def is_said_to_be_model(path: str) -> bool:
    """Whether a file's name says that it is a model."""
    return path.endswith(_MODEL_NAMES)


def _check(path: str) -> None:
    """Raise NotFound where there is nothing."""
    if filesystem.is_far(path) and filesystem.lexists(path):
        return
    try:
        detect(path)
    except NotFound:
        raise
    except ArtifactError:
        pass  # a model that cannot be read, which is for others to say


def _is_model_folder(path: str, recursive: bool) -> bool:
    """Whether a folder as a whole is one artifact. One of checkpoints is that which training would
    go on with, and where all are wanted it may hold several.
    """
    try:
        by_names = filesystem.is_far(path)
        return detect_folder(path, by_names=by_names) != "checkpoint" or not recursive
    except UnknownFormat:
        return False
    except ArtifactError:
        return True  # one that cannot be read


def _is_glob(path: str) -> bool:
    """Whether it is a glob, and not a file's name."""
    if filesystem.is_far(path) or not has_magic(path):
        return has_magic(path)
    # A checkpoint's path is that of no file, but what its files' names begin with.
    return not filesystem.lexists(path) and not filesystem.isfile(f"{path}.index")


def _expanded(path: str, walk: _Walk) -> Iterator[str]:
    """What matches a glob."""
    names = path.split("/")
    fixed = next(number for number, name in enumerate(names) if has_magic(name))
    root = "".join(f"{name}/" for name in names[:fixed])
    wanted = compiled("/".join(names[fixed:]).rstrip("/"))
    deepest = None if _ANY_DEPTH in names else len(names) - fixed
    nothing = True
    if filesystem.isdir(root or os.curdir):
        if deepest != 1:
            filesystem.prime(root, walk.limits.nodes)
        for one in walk.entries(root or os.curdir, deepest):
            # An object's name may have two slashes in a row.
            if wanted.fullmatch(one[len(root) :].lstrip("/")):
                nothing = False
                yield one
    if nothing and filesystem.is_far(path) and filesystem.lexists(path):
        yield path  # a name with brackets, as browsers give to what they fetch again
    elif nothing:
        raise UsageError(f"{path}: nothing matches this glob")


@dataclass(slots=True)
class _Walk:
    """Looking through folders, within bounds that hold for all of them together."""

    limits: Limits
    found: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    seen: int = 0

    def artifacts(self, root: str, recursive: bool) -> list[str]:
        """The artifacts in a folder that is none itself, by name, but no part of another.

        recursive: and all below.
        """
        models: list[str] = []
        base = filesystem.join(filesystem.realpath(root), "")

        def is_plain(folder: str) -> bool:
            whole = _is_model_folder(folder, recursive)
            models.extend([folder] if whole else [])
            return not whole

        if recursive:
            filesystem.prime(root, self.limits.nodes)
        everything = self.entries(root, None if recursive else 1, is_plain)
        files = [
            one for one in everything if not filesystem.isdir(one) and self._is_inside(one, base)
        ]
        parts = _parts(files)
        models += [_prefix(one) for one in files if one not in parts and _is_model(one)]
        if not models:
            below = "" if recursive else "; --recursive looks below it, too"
            self.notes.append(f"{root}: no model is in this folder{below}")
        self.found.update(models)
        return sorted(models, key=lambda path: path.split(os.sep))

    def entries(
        self, root: str, deepest: int | None, into: Callable[[str], bool] = lambda _: True
    ) -> Iterator[str]:
        """All that lies under a folder and is not hidden, by name. Links are not followed.

        deepest: how many levels down, None for all; into: which folders to look into, asked of
        those on the deepest level, too.
        """
        waiting = [(root, 1)]
        while waiting:
            folder, depth = waiting.pop()
            if depth > self.limits.depth:
                raise LimitExceeded("depth", depth, self.limits.depth, folder)
            inner = []
            for entry in self._listed(folder):
                path = entry.path.removeprefix("./") if root == os.curdir else entry.path
                yield path
                goes_on = deepest is None or depth < deepest
                if entry.is_dir(follow_symlinks=False) and into(path) and goes_on:
                    inner.append((entry.path, depth + 1))
            waiting += reversed(inner)

    def _listed(self, folder: str) -> list[filesystem.Entry]:
        found = []
        try:
            with filesystem.scandir(folder) as entries:
                for entry in entries:
                    self.seen += 1
                    if self.seen > self.limits.nodes:
                        raise LimitExceeded("nodes", self.seen, self.limits.nodes, folder)
                    if not entry.name.startswith("."):
                        found.append(entry)
        except OSError as error:
            raise ArtifactError(f"cannot be listed: {error.strerror}", folder) from error
        return sorted(found, key=lambda one: one.name)

    def _is_inside(self, path: str, base: str) -> bool:
        """Whether it is a file of this tree, or a link to one."""
        if filesystem.islink(path):
            outside = not filesystem.realpath(path).startswith(base)
            if outside or not filesystem.exists(path):
                what = "out of the folder, not followed" if outside else "to nothing"
                self.notes.append(f"{path}: a link {what}")
                return False
        return filesystem.isfile(path)


def _is_model(path: str) -> bool:
    """Whether a file found in a folder is a model, or is said to be one by its name; of what lies
    in a storage whether it may be one.
    """
    if filesystem.is_far(path):
        return True
    try:
        container = detect(path)
    except UnknownFormat:
        return is_said_to_be_model(path)
    except ArtifactError:
        return True
    return container != "graph-text" or path.endswith(_TEXT_NAMES)


def is_no_model(path: str, error: ArtifactError | None) -> bool:
    """Whether a file that was found, and that nobody said is one, is none: by what became of
    opening it.
    """
    if error is None:
        return False
    is_text = isinstance(error, (Corrupt, Unsupported)) and not path.endswith(_TEXT_NAMES)
    return isinstance(error, UnknownFormat) or (is_text and _is_graph_text(path))


def _is_graph_text(path: str) -> bool:
    try:
        return detect(path) == "graph-text"
    except ArtifactError:
        return False


def _prefix(path: str) -> str:
    """A checkpoint as people name it: without the ending of its index, or its shard's number."""
    shard = _V1_SHARD.fullmatch(path)
    if shard and not _SHARD.fullmatch(path):
        return shard["prefix"]
    return path.removesuffix(_INDEX)


def _identity(path: str) -> str:
    """The same for all names of an artifact: of a checkpoint that of its prefix, of a SavedModel
    its folder.
    """
    real = filesystem.realpath(path)
    folder, name = os.path.split(real)
    if name in _GRAPHS and not filesystem.isdir(real):
        return folder
    shard = _SHARD.fullmatch(real)
    if shard and filesystem.isfile(f"{shard['prefix']}{_INDEX}"):
        return shard["prefix"]
    return _prefix(real)


def _parts(files: Iterable[str]) -> set[str]:
    """Those of the files that another of them brings along."""
    known = set(files)
    parts: set[str] = set()
    for path in known:
        folder, name = os.path.split(path)
        shard = _SHARD.fullmatch(path)
        if name.endswith(_INDEX):
            parts.add(filesystem.join(folder, _STATE))
        elif shard and f"{shard['prefix']}{_INDEX}" in known:
            parts.add(path)
        elif name.endswith(_MAP if filesystem.is_far(path) else ".json"):
            parts.update(filesystem.join(folder, one) for one in _mapped(path))
        parts.add(f"{_prefix(path)}{_META}")
    return parts & known


def _inside(paths: Iterable[str], folders: set[str]) -> set[str]:
    """Those that lie in a folder that is a model, which are `folders`; of one that is a SavedModel
    by the graph in it alone, no more than TensorFlow writes beside that.
    """
    each = list(paths)
    graphs = {one for one in each if os.path.basename(one) in _GRAPHS}
    beside = {filesystem.join(os.path.dirname(one), name) for one in graphs for name in _BESIDE}
    whole = {one.rstrip("/") for one in folders} | beside
    return {one for one in each if one in beside or (one not in graphs and _lies_in(one, whole))}


def _lies_in(path: str, folders: set[str]) -> bool:
    at = path.rstrip("/")
    while (above := os.path.dirname(at)) != at:
        if above in folders:
            return True
        at = above
    return False


def _mapped(path: str) -> set[str]:
    """The names of the files that a map of sharded weights leads to."""
    try:
        if detect(path) != "keras-shards":
            return set()
        with filesystem.opened(path) as source:
            content = json.loads(bytes(source.view(0, source.size)))
    except (ArtifactError, ValueError, RecursionError):
        return set()
    each = content["weight_map"].values()
    named = [one for names in each for one in (names if isinstance(names, list) else [names])]
    return {one for one in named if isinstance(one, str)}
