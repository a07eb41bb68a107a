"""Put digests and configs into the report of an artifact, where they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from inspector import filesystem
from inspector import report as r
from inspector.digests import Digests, config_digest, file_digest, own_config
from inspector.errors import ArtifactError
from inspector.model import Artifact, Layer


def with_digests(shown: r.ArtifactReport, artifact: Artifact, found: Digests) -> r.ArtifactReport:
    """The report with the digests of values and configs in it."""
    rows = {row.name for row in shown.layers}
    layers = {layer.path: layer for layer in _layers(artifact)}
    return replace(
        shown,
        tensors=tuple(replace(one, digest=found.tensors[one.name]) for one in shown.tensors),
        layers=tuple(
            replace(row, config_digest=row_digest(layers.get(row.name), rows))
            for row in shown.layers
        ),
        content_digest=found.content,
    )


def with_file_digests(shown: r.ArtifactReport) -> r.ArtifactReport:
    """The report with the digests of its files in it, which are read from end to end."""
    return replace(
        shown, files=tuple(replace(one, digest=_file_digest(one.path)) for one in shown.files)
    )


def _file_digest(path: str) -> str | UnsetType:
    try:
        return file_digest(path)
    except ArtifactError:
        return UNSET


def row_digest(layer: Layer | None, rows: set[str]) -> str | None:
    """Of the config of a row's layer, and of those inside it without a row: what a wrapper wraps.

    rows: the names of all rows. None where the layer has no config.
    """
    if layer is None or not layer.config:
        return None
    return config_digest(layer, *_inside(layer, rows))


def _inside(layer: Layer, rows: set[str]) -> Iterator[Layer]:
    for child in layer.children:
        if child.path not in rows and child.config:
            yield child
            yield from _inside(child, rows)


def with_file(failed: r.ArtifactReport) -> r.ArtifactReport:
    """The report of what could not be read, with the digest of its file where it is one."""
    try:
        digest = file_digest(failed.path)
        entry = r.FileReport(failed.path, filesystem.getsize(failed.path), digest)
    except (ArtifactError, OSError):
        return failed
    return replace(failed, files=(entry,))


def with_configs(shown: r.ArtifactReport, artifact: Artifact) -> r.ArtifactReport:
    """The report with the configs of all layers in it."""
    calls = dict(_calls(artifact))
    return replace(
        shown,
        configs=tuple(
            r.ConfigReport(layer.path, layer.class_name, own_config(layer), calls.get(layer.path))
            for layer in _layers(artifact)
            if layer.config
        ),
        training=None if artifact.training is None else dict(artifact.training),
    )


def _layers(artifact: Artifact) -> Iterator[Layer]:
    return artifact.model.walk() if artifact.model else iter(())


def _calls(artifact: Artifact) -> Iterator[tuple[str, Any]]:
    """(path of a layer, what it is called with), from the lists of the models around them."""
    for model in _layers(artifact):
        nodes = model.config.get("layers") if model.is_model else None
        called = {
            name: _brief(node["inbound_nodes"])
            for node in (nodes if isinstance(nodes, list) else ())
            if isinstance(node, dict) and node.get("inbound_nodes")
            for name in (node.get("name"), _of_config(node, "name"))
            if isinstance(name, str)
        }
        for child in model.children:
            if child.name in called:
                yield child.path, called[child.name]


def _brief(value: Any) -> Any:
    """Arguments of calls, with the name of its layer in place of each tensor.

    Keras 3 writes a tensor as an object with its `keras_history`, Keras 2 as [layer, call of it,
    output of that, arguments].
    """
    if isinstance(value, dict):
        history = _of_config(value, "keras_history")
        return (
            {key: _brief(one) for key, one in value.items()} if history is None else _brief(history)
        )
    if not isinstance(value, list):
        return value
    if len(value) in (3, 4) and [type(one) for one in value[:3]] == [str, int, int]:
        name, call, output = value[:3]
        tensor = f"{name}:{call}:{output}" if call or output else name
        return [tensor, _brief(value[3])] if any(value[3:]) else tensor
    return [_brief(one) for one in value]


def _of_config(node: dict[str, Any], key: str) -> Any:
    config = node.get("config")
    return config.get(key) if isinstance(config, dict) else None
