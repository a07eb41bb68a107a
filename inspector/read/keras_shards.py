"""Keras 3 sharded weights: a `.weights.json` map and the `.weights.h5` files that it names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inspector import filesystem
from inspector.errors import ArtifactError, Corrupt, LimitExceeded
from inspector.limits import Limits
from inspector.model import Artifact, FileEntry, Problem, Severity, Store, Tensor
from inspector.read.formats import KERAS_SHARDS, Opened
from inspector.read.keras_common import CONFIG_LABELS, Config
from inspector.read.keras_store import (
    StoredObject,
    assign,
    flavor_of_store,
    number,
    objects_of,
    taken,
    tensors_of,
)
from inspector.wire.json_text import parse_json


def read(path: str, limits: Limits) -> Opened:
    """Open a weight map and its shards, which lie in its own folder.

    Raises Corrupt where the map makes no sense; a shard that is missing or broken is a problem.
    """
    with filesystem.opened(path) as source:
        if source.size > limits.config_bytes:
            raise LimitExceeded("config_bytes", source.size, limits.config_bytes, path)
        raw = bytes(source.view(0, source.size))
    content: dict[str, Any] = parse_json(raw, limits, path)
    places = _shards_of(content["weight_map"], path)
    with contextlib.ExitStack() as stack:
        artifact = _artifact(path, len(raw), content, places, stack, limits)
        return Opened(artifact, stack.pop_all())


def _shards_of(weight_map: Mapping[str, Any], path: str) -> dict[str, list[str]]:
    """Shard file -> the store's paths that it holds a part of."""
    places: dict[str, list[str]] = {}
    for place, names in weight_map.items():
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str):
                raise Corrupt(f"weight_map names no file for {place!r}", path)
            if os.path.basename(name) != name or name in {"", ".", ".."} or "\\" in name:
                raise Corrupt(
                    f"weight_map leads out of the folder, to {name!r}: it is not followed", path
                )
            places.setdefault(name, []).append(place)
    return places


@dataclass(slots=True)
class _Shards:
    """What all the shards hold. others: tensors outside any object; complete: none is missing."""

    files: list[FileEntry] = field(default_factory=list)
    objects: list[StoredObject] = field(default_factory=list)
    others: list[Tensor] = field(default_factory=list)
    overhead: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True


def _artifact(
    path: str,
    map_bytes: int,
    content: Mapping[str, Any],
    places: Mapping[str, list[str]],
    stack: contextlib.ExitStack,
    limits: Limits,
) -> Artifact:
    shards = _read_shards(path, places, stack, limits)
    merged = _merge(shards.objects)
    config = Config(None, flavor_of_store(merged), None)
    assigned = assign(merged, config)
    total = _check_total(content, merged, path, complete=shards.complete)
    return Artifact(
        path=path,
        format=KERAS_SHARDS.name,
        kind=f"Keras HDF5, weights only (v3 layout, {len(places)} shards)",
        files=(FileEntry(path, map_bytes), *shards.files),
        tensors=(*assigned.tensors, *shards.others),
        overhead={"weight map": map_bytes, **shards.overhead},
        store=Store.V3,
        complete=shards.complete,
        guessed=assigned.guessed,
        references=assigned.references,
        flavor=config.flavor,
        problems=(*shards.problems, *total),
    )


def _read_shards(
    path: str, places: Mapping[str, list[str]], stack: contextlib.ExitStack, limits: Limits
) -> _Shards:
    """Every shard that can be read; the others are problems, and name what they hold."""
    from inspector.wire.hdf5 import Hdf5File, overhead

    result = _Shards()
    for name, held in sorted(places.items()):
        shard = filesystem.join(os.path.dirname(path), name)
        try:
            source = stack.enter_context(filesystem.opened(shard))
            file = stack.enter_context(Hdf5File(source, limits))
        except ArtifactError as error:
            result.complete = False
            groups = sorted({place.strip("/").removesuffix("/vars") or "/" for place in held})
            message = f"shard {name}: {error.message}; it holds {', '.join(groups)}"
            result.problems.append(Problem("shard-unreadable", Severity.ERROR, message, path))
            continue
        result.files.append(FileEntry(shard, source.size))
        objects, others = objects_of(file, f"{name}/")
        taken_here = taken([*tensors_of(objects), *others])
        for label, size in overhead(file, CONFIG_LABELS, taken_here).items():
            result.overhead[label] = result.overhead.get(label, 0) + size
        result.objects += objects
        result.others += others
        result.problems += file.problems
    return result


def _merge(objects: list[StoredObject]) -> list[StoredObject]:
    """One object's variables may be spread over shards: `vars/0` here, `vars/1` in the next."""
    parts: dict[str, list[StoredObject]] = {}
    for one in objects:
        parts.setdefault(one.path, []).append(one)
    merged = []
    for place, pieces in parts.items():
        tensors = sorted(tensors_of(pieces), key=lambda t: number(t.name.rsplit("/", 1)[-1]))
        name = next((one.name for one in pieces if one.name is not None), None)
        merged.append(StoredObject(place, tuple(tensors), name))
    return merged


def _check_total(
    content: Mapping[str, Any], objects: list[StoredObject], path: str, *, complete: bool
) -> list[Problem]:
    metadata = content.get("metadata")
    said = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    held = sum(tensor.nbytes for tensor in tensors_of(objects))
    if not complete or not isinstance(said, (int, float)) or said == held:
        return []
    message = f"the map's total_size is {said:,.0f} bytes; the shards hold {held:,}"
    return [Problem("total-size-differs", Severity.WARNING, message, path)]
