"""Step 3b: verdicts and layers -> the totals, each by its own name, and a row a layer.

`count_params` is what Keras' `model.count_params()` says once the artifact is loaded; where that
cannot be known it is None, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from inspector.keras.config import SHARED_ID, shared_layers
from inspector.keras.layers import made_on_load
from inspector.keras.order import effective_trainable
from inspector.keras.specs import layers_of
from inspector.model import (
    GROUP_OF,
    Artifact,
    Flavor,
    Group,
    Layer,
    Measurement,
    Problem,
    Role,
    Section,
    Severity,
    Store,
    Tensor,
    Totals,
    Verdict,
)
from inspector.ties import Tie

# Roles that strip_pruning and strip_clustering take out with their wrappers.
_STRIPPED = frozenset(
    {Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP, Role.CENTROIDS, Role.CLUSTER_INDICES}
)
# Pairs that a message names.
_NAMED = 3
# Roles that are no variable of the model to Keras.
_NOT_COUNTED = frozenset({Role.ALIAS, Role.COUNTER, Role.LOOKUP})
# A member of the root model's list of layers in a v3 store.
_LISTED = re.compile(r"(layers|_layer_checkpoint_dependencies)/[^/]+")


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


@dataclass(frozen=True, slots=True)
class Counted:
    """Totals, rows, why a total is None (by field name), and what is odd about the counts."""

    totals: Totals
    layers: tuple[LayerRow, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Extra:
    """A variable that loading makes and no file stores."""

    layer: str
    name: str
    elements: int
    trainable: bool


def count(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None = None,
    ties: Sequence[Tie] = (),
) -> Counted:
    """Count. measured: by tensor name; without it `nonzero` is None.

    ties: weights that may be one variable saved twice (see `ties.find_ties`).
    """
    extras = _made_on_load(artifact)
    strays = _strays(artifact)
    counted = frozenset(
        t.name for t in artifact.tensors if _is_counted(t, verdicts[t.name], strays)
    )
    why = _why_unknown(artifact, verdicts, measured, ties, counted)
    model = [t for t in artifact.tensors if t.name in counted]
    params = sum(map(_elements, model)) + sum(one.elements for one in extras)
    trainable = sum(_elements(t) for t in model if verdicts[t.name].trainable) + sum(
        one.elements for one in extras if one.trainable
    )
    stripped = sum(_elements(t) for t in model if _goes_with_strip(artifact, t, verdicts[t.name]))
    totals = Totals(
        stored_elements=sum(tensor.elements for tensor in artifact.tensors),
        count_params=None if "count_params" in why else params,
        trainable=None if "trainable" in why else trainable,
        non_trainable=None if "non_trainable" in why else params - trainable,
        after_strip=None if "after_strip" in why else params - stripped,
        nonzero=None if "nonzero" in why else _nonzero(artifact, verdicts, measured or {}),
    )
    rows = _rows(artifact, verdicts, extras, counted)
    problems = (
        *_said(artifact, extras),
        *_sharing(artifact),
        *_tied(artifact, params, ties),
        *_stray(artifact, strays),
    )
    return Counted(totals, rows, why, problems)


def _elements(tensor: Tensor) -> int:
    return tensor.elements if tensor.keras_elements is None else tensor.keras_elements


def _is_counted(tensor: Tensor, verdict: Verdict, strays: Sequence[str]) -> bool:
    return (
        tensor.section is Section.MODEL
        and tensor.owner is not None
        and verdict.role not in _NOT_COUNTED
        and tensor.owner not in strays
    )


def _strays(artifact: Artifact) -> tuple[str, ...]:
    """Owners of variables that stand among the root model's layers and in no config.

    What lies deeper may belong to a layer whose class is not known, and is left alone.
    """
    if artifact.model is None or artifact.model.child("layers") is None:
        return ()
    known = layers_of(artifact.model, ())
    owners = dict.fromkeys(
        t.owner for t in artifact.tensors if t.section is Section.MODEL and t.owner is not None
    )
    return tuple(
        owner
        for owner in owners
        if owner not in known and (artifact.store is Store.LEGACY or _LISTED.fullmatch(owner))
    )


def _stray(artifact: Artifact, strays: Sequence[str]) -> tuple[Problem, ...]:
    """Layers that the file stores and the config lacks: Keras counts layers in HDF5 alone."""
    if not strays:
        return ()
    names = ", ".join(strays[:_NAMED]) + (" ..." if len(strays) > _NAMED else "")
    does = "leaves them out" if artifact.store is Store.V3 else "fails to load this file"
    message = f"variables are stored for {names}, which the config does not have: Keras {does}"
    return (Problem("layer-not-in-config", Severity.WARNING, message, artifact.path),)


def _goes_with_strip(artifact: Artifact, tensor: Tensor, verdict: Verdict) -> bool:
    if verdict.role not in _STRIPPED:
        return False
    # Cluster-preserving quantization keeps centroids too; strip_clustering does not touch those.
    owner = layers_of(artifact.model, ()).get(tensor.layer or "")
    return owner is None or not owner.class_name.startswith("Quantize")


def _why_unknown(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None,
    ties: Sequence[Tie],
    counted: frozenset[str],
) -> dict[str, str]:
    why: dict[str, str] = {}
    uncounted = _why_no_count(artifact) or _why_tied(ties)
    if uncounted is not None:
        why |= dict.fromkeys(
            ("count_params", "trainable", "non_trainable", "after_strip"), uncounted
        )
    open_ = [
        t.name for t in artifact.tensors if t.name in counted and verdicts[t.name].trainable is None
    ]
    if open_ and uncounted is None:
        reason = (
            "no model config: trainability is unknown"
            if artifact.model is None
            else f"the config does not tell whether {open_[0]} is trainable"
            + (f", nor {len(open_) - 1:,} more" if len(open_) > 1 else "")
        )
        why |= {"trainable": reason, "non_trainable": reason}
    if measured is None:
        why["nonzero"] = "not measured"
    else:
        unread = [
            t.name
            for t in artifact.tensors
            if verdicts[t.name].role is Role.WEIGHT and t.elements and t.name not in measured
        ]
        if unread:
            why["nonzero"] = f"the values of {unread[0]} could not be read"
    return why


def _why_no_count(artifact: Artifact) -> str | None:
    if not artifact.complete:
        return "parts of the model are missing or unreadable"
    if artifact.missing:
        more = f" and {len(artifact.missing) - 1:,} more" if len(artifact.missing) > 1 else ""
        return f"the config has layer {artifact.missing[0]}{more}, whose variables are not stored"
    stray = _strays(artifact)
    if stray and artifact.store is Store.LEGACY:
        return f"the file stores variables of {stray[0]}, which the config does not have"
    broken = {
        "missing-tensor",
        "missing-layer",
        "external-link",
        "external-storage",
        "virtual-dataset",
        "unreadable-object",
        "partial-shard",
    }
    found = next((p for p in artifact.problems if p.code in broken), None)
    return found.message if found is not None else None


def _why_tied(ties: Sequence[Tie]) -> str | None:
    if not ties:
        return None
    one, more = ties[0], len(ties) - 1
    return (
        f"{one.again.name} holds the values of {one.first.name}"
        + (f" (and {more:,} more such pair{'' if more == 1 else 's'})" if more else "")
        + ": one variable saved twice, or two; the file does not tell"
    )


def _nonzero(
    artifact: Artifact, verdicts: Mapping[str, Verdict], measured: Mapping[str, Measurement]
) -> int:
    return sum(
        tensor.elements - measured[tensor.name].zeros
        for tensor in artifact.tensors
        if verdicts[tensor.name].role is Role.WEIGHT and tensor.name in measured
    )


def _made_on_load(artifact: Artifact) -> tuple[_Extra, ...]:
    """Variables that the config makes anew on loading, such as LoRA's."""
    if artifact.model is None:
        return ()
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in artifact.tensors:
        if tensor.layer is not None and tensor.variable is not None and tensor.shape is not None:
            shapes.setdefault(tensor.layer, {})[tensor.variable] = tensor.shape
    repeats = shared_layers(artifact.model)
    gates = effective_trainable(artifact.model, artifact.flavor)
    return tuple(
        _Extra(layer.path, name, prod(shape), gates.get(layer.path, True))
        for layer in artifact.model.walk()
        if layer.path not in repeats
        for name, shape in made_on_load(layer, artifact.flavor, shapes.get(layer.path, {}))
    )


def _said(artifact: Artifact, extras: Sequence[_Extra]) -> tuple[Problem, ...]:
    if not extras:
        return ()
    names = ", ".join(sorted({one.name for one in extras}))
    total = sum(one.elements for one in extras)
    message = (
        f"the config has Keras make {names} anew on loading: {total:,} parameters that the file"
        " does not store are part of count_params"
    )
    return (Problem("made-on-load", Severity.INFO, message, artifact.path),)


def _tied(artifact: Artifact, params: int, ties: Sequence[Tie]) -> tuple[Problem, ...]:
    if not ties:
        return ()
    again = sum(_elements(tie.again) for tie in ties)
    size = sum(tie.again.nbytes for tie in ties)
    names = "; ".join(f"{tie.again.name} = {tie.first.name}" for tie in ties[:_NAMED])
    message = (
        f"equal values in layers of unknown class: {names}{' ...' if len(ties) > _NAMED else ''}."
        f" If each pair is one variable, count_params is {params - again:,} and {size:,} bytes are"
        f" stored twice; if they are two, it is {params:,}"
    )
    return (Problem("equal-tensors", Severity.WARNING, message, artifact.path),)


def _sharing(artifact: Artifact) -> tuple[Problem, ...]:
    """Layers that the model shared, and which loading takes apart (or cannot load at all)."""
    if artifact.model is None:
        return ()
    layers = layers_of(artifact.model, ())
    found: list[Problem] = []
    for again, first in shared_layers(artifact.model).items():
        # Keras 3 joins them again where both places carry the mark; a place inside a wrapper or a
        # model that is written before the other one carries none. tf_keras never joins layers.
        marked = all(SHARED_ID in layers[path].config for path in (again, first))
        joined = marked and artifact.flavor is Flavor.KERAS3
        if joined or layers[again].children:
            continue
        held = [t for t in artifact.tensors if t.layer in {again, first}]
        if not held:
            continue
        if artifact.store is Store.LEGACY:
            message = (
                f"{again} and {first} were one layer: the file stores it twice, and loading makes"
                " two of it, so count_params counts both"
            )
        else:
            message = (
                f"{again} and {first} were one layer, stored once; loading makes two of it and"
                " finds variables for one, so Keras fails to load this file"
            )
        found.append(Problem("shared-layer", Severity.WARNING, message, artifact.path))
    return tuple(found)


def _rows(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    extras: Sequence[_Extra],
    names: frozenset[str],
) -> tuple[LayerRow, ...]:
    layers = layers_of(artifact.model, artifact.guessed)
    places = _row_places(artifact)
    grouped: dict[str, list[Tensor]] = {path: [] for path in _config_rows(artifact)}
    for tensor in artifact.tensors:
        if tensor.section is not Section.MODEL or tensor.owner is None:
            continue
        path = tensor.layer if tensor.layer is not None else tensor.owner
        grouped.setdefault(places.get(path, path), []).append(tensor)
    return tuple(
        _row(
            path,
            layers.get(path),
            tensors,
            verdicts,
            [e for e in extras if places.get(e.layer, e.layer) == path],
            names,
        )
        for path, tensors in grouped.items()
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
    for layer in artifact.guessed:
        # A wrapper and what it wraps share a row: "layers/prune_low_magnitude/layer".
        head = layer.path.partition("/layer")[0] if layer.path.startswith("layer") else layer.path
        places.setdefault(layer.path, _guessed_row(layer.path, artifact.guessed) or head)
    return places


def _guessed_row(path: str, guessed: Sequence[Layer]) -> str | None:
    """The innermost object around `path` that stands in a list of layers."""
    listed = [
        one.path
        for one in guessed
        if one.attr in {"layers", "_layer_checkpoint_dependencies"}
        and (path == one.path or path.startswith(f"{one.path}/"))
    ]
    return max(listed, key=len, default=path)


def _row(
    path: str,
    layer: Layer | None,
    tensors: Sequence[Tensor],
    verdicts: Mapping[str, Verdict],
    extras: Sequence[_Extra],
    names: frozenset[str],
) -> LayerRow:
    counted = [t for t in tensors if t.name in names]
    roles: dict[Role, int] = {}
    for tensor in tensors:
        role = verdicts[tensor.name].role
        roles[role] = roles.get(role, 0) + tensor.elements
    flags = {verdicts[t.name].trainable for t in tensors if verdicts[t.name].role is Role.WEIGHT}
    inner = _wrapped(layer)
    return LayerRow(
        path=path,
        class_name=layer.class_name if layer is not None else "",
        wraps=inner,
        trainable=None if not flags or None in flags else True in flags,
        count_params=sum(map(_elements, counted)) + sum(e.elements for e in extras),
        overhead=sum(
            _elements(t)
            for t in counted
            if GROUP_OF[verdicts[t.name].role]
            in {Group.PRUNING, Group.CLUSTERING, Group.QUANTIZATION}
        ),
        roles=roles,
        tensors=tuple(tensor.name for tensor in tensors),
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
