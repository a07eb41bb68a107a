"""Put digests and configs into the report of an artifact, where they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from inspector import report as r
from inspector.digests import Digests, config_digest, own_config
from inspector.model import Artifact, Layer


def with_digests(shown: r.ArtifactReport, artifact: Artifact, found: Digests) -> r.ArtifactReport:
    """The report with all digests in it."""
    rows = {row.name for row in shown.layers}
    layers = {layer.path: layer for layer in _layers(artifact)}
    return replace(
        shown,
        tensors=tuple(replace(one, digest=found.tensors[one.name]) for one in shown.tensors),
        files=tuple(replace(one, digest=found.files[one.path] or UNSET) for one in shown.files),
        layers=tuple(
            replace(row, config_digest=_config_digest(layers.get(row.name), rows))
            for row in shown.layers
        ),
        content_digest=found.content,
    )


def _config_digest(layer: Layer | None, rows: set[str]) -> str | None:
    """Of a row's layer, with those inside it that have no row: what a wrapper wraps."""
    if layer is None or not layer.config:
        return None
    return config_digest(layer, *_inside(layer, rows))


def _inside(layer: Layer, rows: set[str]) -> Iterator[Layer]:
    for child in layer.children:
        if child.path not in rows and child.config:
            yield child
            yield from _inside(child, rows)


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
            name: node["inbound_nodes"]
            for node in (nodes if isinstance(nodes, list) else ())
            if isinstance(node, dict) and "inbound_nodes" in node
            for name in (node.get("name"), _name(node))
            if isinstance(name, str)
        }
        for child in model.children:
            if called.get(child.name):
                yield child.path, called[child.name]


def _name(node: dict[str, Any]) -> Any:
    config = node.get("config")
    return config.get("name") if isinstance(config, dict) else None
