"""A row a layer: the layers that a model holds directly, each with all that is inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.keras.paths import CONTAINERS
from inspector.keras.specs import layers_of
from inspector.model import (
    GROUP_OF,
    Artifact,
    Group,
    Layer,
    Role,
    Section,
    Tensor,
    Verdict,
)

_OF_LAYERS = frozenset({Section.MODEL, Section.GRAPH})


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer as the table shows it: a layer that the model holds directly, with all inside it.

    wraps: class of the wrapped layer, where it is a wrapper. overhead: elements of pruning,
    clustering and quantization among its count_params. roles: elements by role. tensors: names.
    """

    path: str
    class_name: str
    wraps: str | None
    trainable: bool | None
    count_params: int | None
    overhead: int
    roles: Mapping[Role, int]
    tensors: tuple[str, ...]
    macs: int | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """A variable that loading makes and that no tensor stands for.

    Made anew (LoRA's matrices), or read from a tensor that another variable is read from as well.
    """

    layer: str
    name: str
    elements: int
    trainable: bool
    referred: bool = False


def keras_elements(tensor: Tensor) -> int:
    """Elements as Keras counts them: of a packed int4 kernel, its bytes."""
    return tensor.elements if tensor.keras_elements is None else tensor.keras_elements


def layer_rows(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    extras: Sequence[Extra],
    names: frozenset[str],
) -> tuple[LayerRow, ...]:
    """The rows, in the config's order; `names`: tensors that count_params has.

    Where Keras would count nothing (`artifact.uncounted`) no row has a count.
    """
    layers = layers_of(artifact.model, artifact.guessed)
    known = None if artifact.uncounted is not None else names
    places = _row_places(artifact)
    grouped: dict[str, list[Tensor]] = {path: [] for path in _config_rows(artifact)}
    known_rows = frozenset(grouped)
    for tensor in artifact.tensors:
        if tensor.section not in _OF_LAYERS or tensor.owner is None:
            continue
        if verdicts[tensor.name].role is Role.CONSTANT:
            continue  # shapes and axes: of an operator rather than of a layer
        path = tensor.layer if tensor.layer is not None else tensor.owner
        grouped.setdefault(places.get(path, path), []).append(tensor)
    made: dict[str, list[Extra]] = {}
    for extra in extras:
        made.setdefault(places.get(extra.layer, extra.layer), []).append(extra)
    # Keys are in the order of the alphabet; layers that no config tells are in the graph's own.
    guessed = (places.get(one.path, one.path) for one in artifact.guessed)
    order = {path: at for at, path in enumerate(dict.fromkeys(guessed)) if path not in known_rows}
    return tuple(
        _row(path, layers.get(path), grouped[path], verdicts, made.get(path, []), known)
        for path in sorted(
            grouped, key=lambda path: -1 if path in known_rows else order.get(path, len(order))
        )
    )


def _config_rows(artifact: Artifact) -> list[str]:
    """Paths of the layers that some model of the tree holds directly, in the config's order."""
    if artifact.model is None:
        return []
    return [
        child.path
        for layer in artifact.model.walk()
        if layer.is_model
        for child in layer.children
        if not child.is_model
    ]


def _row_places(artifact: Artifact) -> dict[str, str]:
    """Layer path -> path of the row that shows it."""
    places: dict[str, str] = {}
    rows = set(_config_rows(artifact))

    def visit(layer: Layer, row: str | None) -> None:
        row = layer.path if layer.path in rows else row
        places[layer.path] = row if row is not None else layer.path
        for child in layer.children:
            visit(child, None if layer.is_model else row)

    if artifact.model is not None:
        visit(artifact.model, None)
    listed = {one.path for one in artifact.guessed if one.attr in CONTAINERS}
    for layer in artifact.guessed:
        places.setdefault(layer.path, _listed_around(layer.path, listed))
    return places


def _listed_around(path: str, listed: set[str]) -> str:
    """The innermost object around `path` that stands in a list of layers, else `path` itself.

    A wrapper and what it wraps share a row so: "layers/prune_low_magnitude/layer".
    """
    around = path
    while around and around not in listed:
        around = around.rpartition("/")[0]
    return around or path


def _row(
    path: str,
    layer: Layer | None,
    tensors: Sequence[Tensor],
    verdicts: Mapping[str, Verdict],
    extras: Sequence[Extra],
    names: frozenset[str] | None,
) -> LayerRow:
    counted = [t for t in tensors if names is not None and t.name in names]
    roles: dict[Role, int] = {}
    for tensor in tensors:
        role = verdicts[tensor.name].role
        roles[role] = roles.get(role, 0) + tensor.stored_elements
    flags = {verdicts[t.name].trainable for t in tensors if verdicts[t.name].role is Role.WEIGHT}
    inner = _wrapped(layer)
    return LayerRow(
        path=path,
        class_name=layer.class_name if layer is not None else "",
        wraps=inner,
        trainable=None if not flags or None in flags else True in flags,
        count_params=None
        if names is None
        else sum(map(keras_elements, counted)) + sum(e.elements for e in extras),
        overhead=sum(
            keras_elements(t)
            for t in counted
            if GROUP_OF[verdicts[t.name].role]
            in {Group.PRUNING, Group.CLUSTERING, Group.QUANTIZATION}
        ),
        roles=roles,
        tensors=tuple(tensor.name for tensor in tensors),
        macs=layer.macs if layer is not None else None,
    )


def _wrapped(layer: Layer | None) -> str | None:
    """Class of the layer inside a wrapper, and of the one inside that: "TimeDistributed(Dense)"."""
    if layer is None or layer.is_model:
        return None
    inner = next(
        (c for c in layer.children if c.attr in {"layer", "forward_layer"} and c.class_name), None
    )
    if inner is None:
        return None
    deeper = _wrapped(inner)
    return f"{inner.class_name}({deeper})" if deeper else inner.class_name
