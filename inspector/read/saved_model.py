"""SavedModel: a folder of graphs with their signatures, variables, assets, and what Keras adds."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from inspector.errors import ArtifactError, Corrupt, NotFound, Unsupported
from inspector.limits import Limits
from inspector.model import Artifact, FileEntry, Problem, Producer, Severity, Store
from inspector.read.bundle_common import OpenBundle, contents, open_bundle
from inspector.read.folder import Folder, list_folder
from inspector.read.formats import Format, Opened, Reader
from inspector.storage import LocalFile
from inspector.wire.protobuf import message
from inspector.wire.saved_model import read_saved_model

FORMAT = Format("saved-model", "SavedModel", ("/",), "saved-model")
BINARY, TEXT = "saved_model.pb", "saved_model.pbtxt"
_PREFIX = "variables/variables"
_METADATA, _FINGERPRINT = "keras_metadata.pb", "fingerprint.pb"
# Labels of the files that are neither the graphs nor the variables, by what their names begin with.
_LABELS = (
    (_METADATA, "keras metadata"),
    (_FINGERPRINT, "fingerprint"),
    ("assets/", "assets"),
    ("assets.extra/", "extra assets"),
    ("debug/", "debug info"),
)
_OTHERS = "other files"
# Written for the loader, not for callers.
_LOADERS = frozenset({"__saved_model_init_op", "__saved_model_train_op"})


def read(path: str, limits: Limits) -> Opened:
    """Open a SavedModel's folder; the path of its saved_model.pb stands for the folder.

    Raises ArtifactError: NotFound, Unsupported (a link in the place of saved_model.pb, or another
    name), and what its protobuf is refused with (Truncated, Corrupt, LimitExceeded). What is
    wrong with any other file is a problem.
    """
    folder, main = _find(path, limits)
    with contextlib.ExitStack() as stack:
        artifact = _Reading(folder, main, stack, limits).artifact()
        return Opened(artifact, stack.pop_all())


READER = Reader((FORMAT,), ("saved-model",), read)


def _find(path: str, limits: Limits) -> tuple[Folder, str]:
    """The folder, and the name of the file with its graphs."""
    named = None
    if not os.path.isdir(path):
        path, named = os.path.dirname(path) or os.curdir, os.path.basename(path)
        if named not in {BINARY, TEXT}:
            raise Unsupported(
                f"a SavedModel's protobuf under the name {named}: TensorFlow looks for {BINARY}"
                " in a folder of its own",
                os.path.join(path, named),
            )
    folder = list_folder(path, limits)
    # Of both, TensorFlow takes the binary one.
    for name in (named,) if named else (BINARY, TEXT):
        if name in folder.links:
            raise Unsupported(
                f"{name} is a symbolic link to {folder.links[name]}; links are not followed: open"
                " the folder that it leads to, or copy the model with its files (cp -rL)",
                path,
            )
        if name in folder.sizes:
            return folder, name
    raise NotFound(f"no {BINARY} in this folder", path)


@dataclass(slots=True)
class _Reading:
    """One SavedModel while it is read."""

    folder: Folder
    main: str
    stack: contextlib.ExitStack
    limits: Limits
    overhead: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True

    def charge(self, label: str, size: int) -> None:
        if size:
            self.overhead[label] = self.overhead.get(label, 0) + size

    def note(self, code: str, severity: Severity, message: str, offset: int | None = None) -> None:
        self.problems.append(Problem(code, severity, message, self.folder.path, offset))

    def lacking(self, code: str, message: str) -> None:
        """Note an error that leaves the artifact incomplete."""
        self.note(code, Severity.ERROR, message)
        self.complete = False

    def artifact(self) -> Artifact:
        source = self.stack.enter_context(LocalFile(self.folder.full(self.main)))
        saved = read_saved_model(message(source, self.limits))
        if not saved.meta_graphs:
            raise Corrupt(f"{self.main} holds no graph: the save was cut short", source.path)
        bundle = self._bundle()
        stored = contents(bundle) if bundle else None
        self.charge("graph", source.size)
        for label, size in (stored.overhead if stored else {}).items():
            self.charge(label, size)
        self._charge_others({self.main, *self._files_of(bundle)})
        first = saved.meta_graphs[0]
        version = first.tensorflow_version
        return Artifact(
            path=self.folder.path,
            format=FORMAT.name,
            kind=FORMAT.title,
            files=tuple(
                FileEntry(self.folder.full(name), size) for name, size in self.folder.sizes.items()
            ),
            tensors=stored.tensors if stored else (),
            overhead=self.overhead,
            producer=Producer("tensorflow", version) if version else None,
            store=Store.OBJECTS,
            complete=self.complete and (stored is None or stored.complete),
            vocabulary=stored.vocabulary if stored else {},
            tags=tuple(one.tags for one in saved.meta_graphs),
            signatures=tuple(
                one
                for meta in saved.meta_graphs
                for one in meta.signatures
                if one.name not in _LOADERS
            ),
            problems=(*self.folder.problems, *self.problems, *(stored.problems if stored else ())),
        )

    def _bundle(self) -> OpenBundle | None:
        """The variables; None where there are none, or they cannot be read."""
        links = [name for name in self.folder.links if name.startswith(_PREFIX)]
        if links:
            self.lacking("variables-unreadable", f"{links[0]} is a link: no variable is read")
            return None
        if f"{_PREFIX}.index" not in self.folder.sizes:
            return None
        try:
            return open_bundle(self.folder.full(_PREFIX), self.stack, self.limits)
        except ArtifactError as error:
            self.lacking("variables-unreadable", f"{_PREFIX}.index: {error.message}")
            return None

    def _files_of(self, bundle: OpenBundle | None) -> Iterator[str]:
        for entry in bundle.files if bundle else ():
            yield os.path.relpath(entry.path, self.folder.path).replace(os.sep, "/")

    def _charge_others(self, told: set[str]) -> None:
        """The files that are neither the graphs nor the variables."""
        for name, size in self.folder.sizes.items():
            if name not in told:
                found = (label for start, label in _LABELS if name.startswith(start))
                self.charge(next(found, _OTHERS), size)
