"""Checkpoints: of objects, of names (TensorFlow 1's Saver), and of version 1's one table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inspector import filesystem
from inspector.errors import ArtifactError, Corrupt
from inspector.limits import Limits
from inspector.model import (
    Artifact,
    FileEntry,
    Operator,
    Problem,
    Producer,
    Section,
    Severity,
    Signature,
    Store,
    Tensor,
    Use,
)
from inspector.read.bundle_common import (
    Contents,
    OpenBundle,
    contents,
    facts_of,
    named_facts,
    open_bundle,
    unreadable_graph,
)
from inspector.read.checkpoint_paths import NAMED, Place, find_checkpoint
from inspector.read.formats import CHECKPOINT, Opened
from inspector.read.keras_common import producer_of
from inspector.storage import File, covered
from inspector.wire.protobuf import Message, message
from inspector.wire.saved_slices import SavedTensor, is_saved_slices, read_saved_slices
from inspector.wire.sstable import read_table
from inspector.words import some

_BY_NAME = "a Saver keeps variables by name, and no model"
_NO_OBJECTS = "the object graph, which tells the model, cannot be read"


def read(path: str, limits: Limits) -> Opened:
    """Open the checkpoint at a prefix, one of its files, or its folder.

    Raises NotFound, UnknownFormat (a folder with several checkpoints and no word on which), and
    what reading an index raises. A missing shard, a graph that cannot be read, are problems.
    """
    place = find_checkpoint(path)
    with contextlib.ExitStack() as held:
        return Opened(_artifact(path, place, held, limits), held.pop_all())


@dataclass(frozen=True, slots=True)
class _Graph:
    """What the `.meta` beside a checkpoint of names tells. constants: bytes of their values."""

    files: tuple[FileEntry, ...] = ()
    constants: int = 0
    trained: Mapping[str, bool] = field(default_factory=dict)
    uses: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[Signature, ...] = ()
    operators: tuple[Operator, ...] = ()
    producer: Producer | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def labels(self) -> dict[str, int]:
        """Its bytes by label."""
        size = sum(one.nbytes for one in self.files) - self.constants
        found = {"graph": size, "graph constants": self.constants}
        return {label: size for label, size in found.items() if size}


def _artifact(path: str, place: Place, held: contextlib.ExitStack, limits: Limits) -> Artifact:
    graph = _read_meta(place.meta, held, limits) if place.meta is not None else _Graph()
    if place.index is not None and not _is_version_1(place.index, limits):
        opened = open_bundle(place.prefix, held, limits)
        artifact = _of_bundle(path, opened, graph)
    else:
        tables = place.tables or ((place.index,) if place.index is not None else ())
        sources = [held.enter_context(filesystem.opened(one)) for one in tables]
        artifact = _of_tables(path, place, sources, graph, limits)
    return _with_folder(artifact, place)


def _is_version_1(path: str, limits: Limits) -> bool:
    with filesystem.opened(path) as source:
        return is_saved_slices(read_table(source, limits))


def _of_bundle(path: str, opened: OpenBundle, graph: _Graph) -> Artifact:
    problems: tuple[Problem, ...] = ()
    try:
        objects = opened.object_graph()
        if objects is not None:
            return _of_objects(path, opened, objects, graph)
    except ArtifactError as error:
        problems = (unreadable_graph(error),)
    found = contents(opened, named_facts(opened.stored, graph.trained, graph.uses))
    found = replace(found, problems=(*found.problems, *problems))
    shards = len(opened.bundle.shards)
    cut = f", {shards:,} shards" if shards > 1 else ""
    artifact = _named(path, f"TensorFlow checkpoint, variables by name{cut}", found, graph)
    return replace(artifact, uncounted=_NO_OBJECTS) if problems else artifact


def _named(path: str, kind: str, found: Contents, graph: _Graph) -> Artifact:
    """A checkpoint that has names and nothing behind them, but perhaps a graph beside it."""
    return Artifact(
        path=path,
        format=CHECKPOINT.name,
        kind=kind,
        files=(*found.files, *graph.files),
        tensors=found.tensors,
        overhead={**found.overhead, **graph.labels},
        producer=graph.producer,
        store=Store.NAMES,
        complete=found.complete,
        vocabulary=found.vocabulary,
        tags=graph.tags,
        signatures=graph.signatures,
        operators=graph.operators,
        uncounted=_BY_NAME,
        problems=(*found.problems, *graph.problems),
    )


# --- version 1 -----------------------------------------------------------------------------------


def _of_tables(
    path: str, place: Place, sources: list[File], graph: _Graph, limits: Limits
) -> Artifact:
    saved = read_saved_slices(sources, limits)
    stored = {one.name: (one.values or one.dtype, one.shape) for one in saved.tensors}
    facts = named_facts(stored, graph.trained, graph.uses)
    problems = saved.problems
    if place.missing:
        message = f"{place.missing:,} of its shards are missing, and what they hold is not known"
        problems += (Problem("shard-missing", Severity.ERROR, message, place.tables[0]),)
    found = Contents(
        tensors=tuple(_slices_tensor(one, facts(one.name)) for one in saved.tensors),
        files=tuple(FileEntry(one.path, one.size) for one in sources),
        overhead=saved.overhead,
        problems=problems,
        complete=not place.missing,
        vocabulary={},
    )
    return _named(path, "TensorFlow checkpoint, version 1", found, graph)


def _slices_tensor(one: SavedTensor, facts: Mapping[str, Any]) -> Tensor:
    extents = tuple(extent for part in one.parts for extent in part.extents)
    words = []
    if len(one.parts) > 1:
        words.append(f"in {len(one.parts):,} slices")
    if one.compressed:
        words.append("in blocks compressed with Snappy")
    if one.values not in {None, one.dtype}:
        words.append(one.dtype)
    return Tensor(
        name=one.name,
        dtype=one.values or one.dtype,
        shape=one.shape,
        nbytes=sum(extent.length for extent in extents),
        extents=extents,
        storage=", ".join(words) or "contiguous",
        payload=one.payload,
        **facts,
    )


# --- objects -------------------------------------------------------------------------------------


def _of_objects(path: str, opened: OpenBundle, objects: Message, graph: _Graph) -> Artifact:
    """A checkpoint whose object graph tells what each key is."""
    from inspector.keras.objects import place
    from inspector.wire.object_graph import read_trackable_object_graph

    placed = place(
        read_trackable_object_graph(objects),
        opened.stored,
        limits=opened.limits,
    )
    places = placed.places
    found = contents(
        opened,
        # What no object of the graph has as its value is no variable of the model.
        lambda key: facts_of(places[key]) if key in places else {"section": Section.OTHER},
    )
    shards = len(opened.bundle.shards)
    cut = f", {shards:,} shards" if shards > 1 else ""
    producer = graph.producer
    if placed.keras_version is not None:
        producer = producer_of(placed.keras_version, None, placed.flavor)
    return Artifact(
        path=path,
        format=CHECKPOINT.name,
        kind=f"TensorFlow checkpoint, object graph{cut}",
        files=(*found.files, *graph.files),
        tensors=found.tensors,
        overhead={**found.overhead, **graph.labels},
        producer=producer,
        model=placed.model,
        store=Store.OBJECTS,
        flavor=placed.flavor,
        guessed=placed.guessed,
        complete=found.complete,
        vocabulary=found.vocabulary,
        listed=placed.listed,
        uncounted=placed.uncounted,
        problems=(*found.problems, *graph.problems),
    )


# --- beside the checkpoint -----------------------------------------------------------------------


def _read_meta(path: str, held: contextlib.ExitStack, limits: Limits) -> _Graph:
    """The graph beside a checkpoint of names: who reads its variables, and which are trained.

    Its constants are no part of the checkpoint; their bytes have a label of their own.
    """
    from inspector.graph.flow import uses_of
    from inspector.read.graph_common import operators_of, read_constants, variable_uses
    from inspector.read.saved_model_graphs import trained
    from inspector.wire.graph_def import read_graph
    from inspector.wire.saved_model import VARIABLE_COLLECTIONS, read_meta_graph

    source = held.enter_context(filesystem.opened(path))
    files = (FileEntry(path, source.size),)
    try:
        meta = read_meta_graph(message(source, limits))
        known, problems = trained((meta,), path)
        told = _Graph(
            files,
            trained=known,
            tags=(meta.tags,) if meta.tags else (),
            signatures=meta.signatures,
            producer=_tensorflow(meta.tensorflow_version),
            problems=problems,
        )
        if meta.graph is None:
            raise Corrupt("a MetaGraphDef without a graph", path)
        graph = read_graph(meta.graph)
        flow = uses_of(graph, limits=limits)
        defined = [one for name in VARIABLE_COLLECTIONS for one in meta.variables(name)]
        values = covered(e for t in read_constants(graph, flow).tensors for e in t.extents)
        return replace(
            told,
            constants=values,
            uses=variable_uses(graph, flow, defined),
            operators=operators_of((graph,)),
        )
    except ArtifactError as error:
        note = f"the graph beside the checkpoint cannot be read: {error.message}"
        problem = Problem("meta-graph", Severity.ERROR, note, error.path, error.offset)
        return _Graph(files, problems=(problem,))


def _tensorflow(version: str | None) -> Producer | None:
    return None if version is None else Producer("tensorflow", version)


def _with_folder(artifact: Artifact, place: Place) -> Artifact:
    """What the folder adds: its `checkpoint` file, and word of the other checkpoints."""
    files, overhead, problems = artifact.files, dict(artifact.overhead), artifact.problems
    name = os.path.basename(place.prefix)
    if place.state is not None:
        size = filesystem.getsize(place.state)
        files = (*files, FileEntry(place.state, size))
        overhead["checkpoint state"] = size
        if place.remark is not None:
            message = f"the `checkpoint` file {place.remark}; {name} is read"
            problems += (Problem("checkpoint-state", Severity.WARNING, message, place.state),)
    inside = os.path.dirname(os.path.dirname(filesystem.abspath(place.prefix)))
    if name == "variables" and filesystem.isfile(os.path.join(inside, "saved_model.pb")):
        message = "variables of a SavedModel: its own folder, one up, tells more of them"
        problems += (Problem("part-of-saved-model", Severity.INFO, message, artifact.path),)
    if place.others:
        message = f"{name} is read; also in this folder: {some(place.others, NAMED)}"
        problems += (Problem("other-checkpoints", Severity.INFO, message, artifact.path),)
    return replace(artifact, files=files, overhead=overhead, problems=problems)
