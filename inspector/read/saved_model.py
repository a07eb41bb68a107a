"""SavedModel: a folder of graphs with their signatures, variables, assets, and what Keras adds."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from inspector import deadline, filesystem
from inspector.errors import ArtifactError, Corrupt, NotFound, Unsupported
from inspector.keras.objects import Placement, place
from inspector.limits import MIB, Limits
from inspector.model import (
    Artifact,
    FileEntry,
    Flavor,
    Layer,
    Problem,
    Producer,
    Section,
    Severity,
    Store,
)
from inspector.read.bundle_common import (
    OpenBundle,
    contents,
    facts_of,
    named_facts,
    open_bundle,
    unreadable_graph,
)
from inspector.read.folder import Folder, list_folder
from inspector.read.formats import SAVED_MODEL, Opened
from inspector.read.graph_common import (
    UNKNOWN,
    meta_overhead,
    operators_of,
    sizes_by_field,
)
from inspector.read.keras_common import producer_of, training_of
from inspector.read.saved_model_graphs import (
    Found,
    InText,
    Part,
    keys_by_object,
    read_part,
    read_parts,
    repeated_tags,
    trained,
    untold_objects,
)
from inspector.storage import File, covered
from inspector.wire.object_graph import (
    KerasNode,
    ObjectGraph,
    read_keras_metadata,
    read_saved_object_graph,
    read_trackable_object_graph,
)
from inspector.wire.object_keys import with_keys
from inspector.wire.protobuf import message
from inspector.wire.saved_model import (
    MetaGraph,
    SavedModel,
    read_fingerprint,
    read_saved_model,
)
from inspector.wire.text_format import to_binary
from inspector.words import some

BINARY, TEXT = "saved_model.pb", "saved_model.pbtxt"
_PREFIX = "variables/variables"
_WHOLE = 8 * MIB  # graphs so small are read whole: with variables in files of their own, most are
_METADATA, _FINGERPRINT, _ASSETS = "keras_metadata.pb", "fingerprint.pb", "assets/"
# Labels of the files that are neither the graphs nor the variables, by what their names begin with.
_LABELS = (
    (_METADATA, "keras metadata"),
    (_FINGERPRINT, "fingerprint"),
    (_ASSETS, "assets"),
    ("assets.extra/", "extra assets"),
    ("debug/", "debug info"),
)
_META_INFO = "meta info"  # what is around the meta graphs, too
_AS_TEXT, _UNREAD, _OTHERS = "graph as text", "variables, unread", "other files"
# Written for the loader, not for callers.
_LOADERS = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
_BY_NAME = "a SavedModel of TensorFlow 1 has variables by name, and no layers"
_T = TypeVar("_T")


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


def _find(path: str, limits: Limits) -> tuple[Folder, str]:
    """The folder, and the name of the file with its graphs."""
    named = None
    if not filesystem.isdir(path):
        path, named = os.path.dirname(path) or os.curdir, os.path.basename(path)
        if named not in {BINARY, TEXT}:
            raise Unsupported(
                f"a SavedModel's protobuf under the name {named}: TensorFlow looks for {BINARY}"
                " in a folder of its own",
                filesystem.join(path, named),
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

    def charge(self, sizes: Mapping[str, int]) -> None:
        for label, size in sizes.items():
            if size:
                self.overhead[label] = self.overhead.get(label, 0) + size

    def note(self, code: str, severity: Severity, message: str) -> None:
        self.problems.append(Problem(code, severity, message, self.folder.path))

    def lacking(self, code: str, message: str) -> None:
        """Note an error that leaves the artifact incomplete."""
        self.note(code, Severity.ERROR, message)
        self.complete = False

    def open(self, name: str) -> File:
        return self.stack.enter_context(filesystem.opened(self.folder.full(name)))

    def artifact(self) -> Artifact:
        saved, in_text = self._saved_model()
        parts = [read_part(meta, self._objects(meta)) for meta in saved.meta_graphs]
        bundle = self._bundle(parts)
        checkpoint = self._checkpoint(bundle, parts)
        stored = bundle.stored if bundle is not None else {}
        keys = keys_by_object(checkpoint) if checkpoint is not None else {}
        found = read_parts(parts, keys, stored, self.limits, in_text)
        operators = operators_of(part.graph for part in parts if part.graph is not None)
        # Let go of what is read: nodes, and objects, take as much as the tensors to come.
        parts = [one if one.objects is None else replace(one, graph=None) for one in parts]
        deadline.check()
        placement = self._placement(parts, checkpoint, bundle)
        del checkpoint, keys
        held = None
        if bundle is not None:
            held = contents(bundle, self._facts(parts, found, placement, stored))
            self.charge(held.overhead)
            self.complete &= held.complete
        tensors = (*(held.tensors if held is not None else ()), *found.tensors)
        self._charge_graphs(saved, found)
        self._charge_others(bundle)
        assets = self._assets(saved.meta_graphs)
        version = saved.meta_graphs[0].tensorflow_version
        return Artifact(
            path=self.folder.path,
            format=SAVED_MODEL.name,
            kind=_kind(parts, placement, stored=bool(stored)),
            files=tuple(
                FileEntry(self.folder.full(name), size) for name, size in self.folder.sizes.items()
            ),
            tensors=tensors,
            overhead=self.overhead,
            producer=Producer("tensorflow", version) if version else None,
            model=placement.model if placement else None,
            store=Store.OBJECTS if placement else Store.NAMES,
            flavor=placement.flavor if placement else Flavor.TF_KERAS,
            guessed=_layers(placement, found),
            complete=self.complete,
            vocabulary={**(held.vocabulary if held is not None else {}), **assets},
            tags=tuple(meta.tags for meta in saved.meta_graphs),
            signatures=tuple(
                one
                for meta in saved.meta_graphs
                for one in meta.signatures
                if one.name not in _LOADERS
            ),
            operators=operators,
            listed=placement.listed if placement else None,
            uncounted=placement.uncounted if placement else _BY_NAME,
            training=training_of(placement.training, self.limits) if placement else None,
            problems=(
                *self.folder.problems,
                *self.problems,
                *(held.problems if held is not None else ()),
                *found.problems,
            ),
        )

    # --- the graphs ---

    def _saved_model(self) -> tuple[SavedModel, InText | None]:
        """The meta graphs, and where in the text their values are, if it is one."""
        source = self.open(self.main)
        text = to_binary(source, "SavedModel", self.limits) if self.main == TEXT else None
        if source.size <= _WHOLE:
            source.expect([(0, source.size)])
        saved = read_saved_model(message(source, self.limits) if text is None else text.message)
        if not saved.meta_graphs:
            raise Corrupt("holds no graph: the save was cut short", source.path)
        self.problems += repeated_tags(saved.meta_graphs, self.folder.path)
        return saved, None if text is None else text.spans

    def _objects(self, meta: MetaGraph) -> ObjectGraph | None:
        held = meta.objects
        if held is None:
            return None
        return self._readable(lambda: read_saved_object_graph(held), unreadable_graph)

    def _readable(
        self, read: Callable[[], _T], problem: Callable[[ArtifactError], Problem]
    ) -> _T | None:
        """What `read` gives; None, and the problem noted, where it cannot be read."""
        try:
            return read()
        except ArtifactError as error:
            self.problems.append(problem(error))
            return None

    def _charge_graphs(self, saved: SavedModel, found: Found) -> None:
        """Tell what the bytes of the protobuf are, those of constants' values left out."""
        if self.main == TEXT:
            extents = (extent for tensor in found.tensors for extent in tensor.extents)
            self.charge({_AS_TEXT: self.folder.sizes[self.main] - covered(extents)})
            return
        around = sizes_by_field(saved.message, {1: _META_INFO, 2: _META_INFO}, UNKNOWN)
        around[_META_INFO] -= sum(meta.message.length for meta in saved.meta_graphs)
        self.charge(around)
        for meta, constants in zip(saved.meta_graphs, found.constants, strict=True):
            self.charge(meta_overhead(meta, constants))

    # --- the variables ---

    def _bundle(self, parts: Sequence[Part]) -> OpenBundle | None:
        """The variables; None where there are none, or they cannot be read."""
        links = [name for name in self.folder.links if name.startswith("variables")]
        if links:
            self.lacking("variables-unreadable", f"{links[0]} is a link: no variable is read")
            return None
        if f"{_PREFIX}.index" not in self.folder.sizes:
            needed = max(part.variables for part in parts)
            if needed:
                self.lacking(
                    "variables-missing",
                    f"{_PREFIX}.index is not there: the values of the {needed:,}"
                    f" variable{'' if needed == 1 else 's'} of the graph are missing",
                )
            return None
        try:
            return open_bundle(self.folder.full(_PREFIX), self.stack, self.limits)
        except ArtifactError as error:
            self.lacking("variables-unreadable", f"{_PREFIX}.index: {error.message}")
            return None

    def _checkpoint(self, bundle: OpenBundle | None, parts: Sequence[Part]) -> ObjectGraph | None:
        """The checkpoint's own object graph, which has the variables' keys.

        Where its bytes are missing, the SavedModel's graph with the keys that lead through it.
        """
        if bundle is None:
            return None

        def read() -> ObjectGraph | None:
            found = bundle.object_graph()
            return None if found is None else read_trackable_object_graph(found)

        saved = _objects_of(parts)
        if saved is None:
            return self._readable(read, unreadable_graph)
        try:
            return read()
        except ArtifactError as error:
            if not bundle.bundle.problems:
                self.problems.append(unreadable_graph(error))
            return with_keys(saved, bundle.stored)

    def _placement(
        self, parts: Sequence[Part], checkpoint: ObjectGraph | None, bundle: OpenBundle | None
    ) -> Placement | None:
        """What object holds each variable; None where no object graph tells."""
        saved = _objects_of(parts)
        graph = checkpoint or saved
        stored = bundle.stored if bundle is not None else {}
        if graph is None or (stored and checkpoint is None):
            return None
        metadata: Mapping[int, KerasNode] | None = {}
        if _METADATA in self.folder.sizes:
            source = self.open(_METADATA)
            metadata = self._readable(
                lambda: read_keras_metadata(message(source, self.limits)),
                lambda error: self._unread(_METADATA, error),
            )
        if saved is not None and metadata is not None:
            self.problems += untold_objects(saved, metadata, self.folder.path)
        return place(
            graph,
            stored,
            saved=saved,
            metadata=metadata or {},
            checksums=bundle.checksums if bundle is not None else {},
            limits=self.limits,
        )

    def _unread(self, name: str, error: ArtifactError) -> Problem:
        message = f"{name} cannot be read: {error.message}"
        return Problem("metadata", Severity.WARNING, message, self.folder.path, error.offset)

    def _facts(
        self,
        parts: Sequence[Part],
        found: Found,
        placement: Placement | None,
        stored: Mapping[str, Any],
    ) -> Callable[[str], dict[str, Any]]:
        """Fields of the variables' tensors, for a key."""
        known, problems = trained([part.meta for part in parts], self.folder.path)
        self.problems += problems
        if placement is None:
            return named_facts(stored, known, found.uses)
        places = placement.places

        def facts(key: str) -> dict[str, Any]:
            # What no object has as its value is no variable of the model.
            held: dict[str, Any] = {"section": Section.OTHER}
            if key in places:
                held = facts_of(places[key])
            # Graphs of TensorFlow 1 know a variable by its name, whatever its key is.
            name = held.get("stored_name")
            held["uses"] = found.uses.get(key) or found.uses.get(name or key, ())
            if held.get("trainable") is None:
                held["trainable"] = known.get(name or key)
            return held

        return facts

    # --- the other files ---

    def _charge_others(self, bundle: OpenBundle | None) -> None:
        """Tell what the files are that are neither the graphs nor the variables."""
        told = {self.folder.full(self.main)}
        told |= {entry.path for entry in bundle.files} if bundle is not None else set()
        for name, size in self.folder.sizes.items():
            if self.folder.full(name) in told:
                continue
            unread = bundle is None and name.startswith(_PREFIX)
            found = (label for start, label in _LABELS if name.startswith(start))
            self.charge({_UNREAD if unread else next(found, _OTHERS): size})
        if _FINGERPRINT in self.folder.sizes:
            source = self.open(_FINGERPRINT)
            self._readable(
                lambda: read_fingerprint(message(source, self.limits)),
                lambda error: self._unread(_FINGERPRINT, error),
            )

    def _assets(self, metas: Iterable[MetaGraph]) -> dict[str, int]:
        """The lines of each text among the assets; what is missing of them is noted."""
        lines: dict[str, int] = {}
        outside, missing = [], []
        for filename in dict.fromkeys(one.filename for meta in metas for one in meta.assets):
            name = posixpath.normpath(_ASSETS + filename)
            if filename.startswith("/") or not name.startswith(_ASSETS):
                outside.append(filename)
            elif name not in self.folder.sizes:
                missing.append(name)
            elif name.endswith(".txt") and self.folder.sizes[name] <= self.limits.member_bytes:
                count = _lines(self.open(name))
                lines |= {name: count} if count else {}
        if outside:
            message = f"assets lead out of the folder, and are not opened: {some(outside)}"
            self.note("asset-outside", Severity.ERROR, message)
        if missing:
            message = f"assets that the graph needs are missing: {some(missing)}"
            self.note("asset-missing", Severity.ERROR, message)
        return lines


def _lines(source: File) -> int:
    """How many lines a text has; 0 where it is none."""
    try:
        text = str(source.view(0, source.size), "utf-8")
    except UnicodeDecodeError:
        return 0
    return 0 if "\0" in text else text.count("\n") + (not text.endswith("\n") and bool(text))


def _kind(parts: Sequence[Part], placement: Placement | None, *, stored: bool) -> str:
    """What kind of SavedModel it is, in words. stored: whether it has any variable."""
    if all(part.meta.objects is None for part in parts):
        frozen = not stored and not any(part.variables for part in parts)
        return f"SavedModel of TensorFlow 1{', frozen' if frozen else ''}"
    if placement is None:
        return "SavedModel"
    if placement.uncounted is not None:
        return "SavedModel, tf.Module"
    if placement.flavor is Flavor.KERAS3:
        # Saved by tf.saved_model.save(), a model has no lists of its variables.
        return f"SavedModel, Keras 3 {'model' if placement.listed is None else 'export'}"
    keras = producer_of(placement.keras_version, None, placement.flavor)
    version = f" ({keras.name} {keras.version})" if keras is not None else ""
    return f"SavedModel, Keras model{version}"


def _objects_of(parts: Sequence[Part]) -> ObjectGraph | None:
    return next((part.objects for part in parts if part.objects is not None), None)


def _layers(placement: Placement | None, found: Found) -> tuple[Layer, ...]:
    """Layers told from names: of objects, and of the graphs' nodes where nothing else tells."""
    if placement is not None and (placement.model is not None or placement.guessed):
        return placement.guessed
    return found.layers
