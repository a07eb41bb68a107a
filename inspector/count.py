"""Step 3b: verdicts and layers -> the totals, each by its own name, and a row a layer.

`count_params` is what Keras' `model.count_params()` says once the artifact is loaded; where that
cannot be known it is None, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from inspector import caveats
from inspector.keras.config import shared_layers
from inspector.keras.layers import made_on_load
from inspector.keras.order import effective_trainable
from inspector.keras.specs import Spec, layers_of, misfits, specs_of, stored_shapes
from inspector.layer_rows import Extra, LayerRow, keras_elements, layer_rows
from inspector.model import (
    Artifact,
    Flavor,
    Measurement,
    Problem,
    Role,
    Section,
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
# Roles that are no variable of the model to Keras.
_NOT_COUNTED = frozenset({Role.ALIAS, Role.COUNTER, Role.LOOKUP})
# Stores that Keras reads by the places that a config gives its variables.
_BY_PLACE = frozenset({Store.LEGACY, Store.V3})
# A member of the root model's list of layers in a v3 store.
_LISTED = re.compile(r"(layers|_layer_checkpoint_dependencies)/[^/]+")


@dataclass(frozen=True, slots=True)
class Counted:
    """Totals, rows, why a total is None (by field name), and what is odd about the counts.

    counted: names of the tensors among the model's variables, and whether each is trained (None
    where nothing says so); stripped: those of them that stripping takes out; extras: variables that
    are counted and no tensor stands for.
    """

    totals: Totals
    layers: tuple[LayerRow, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    counted: Mapping[str, bool | None] = field(default_factory=dict)
    stripped: frozenset[str] = frozenset()
    extras: tuple[Extra, ...] = ()


def count(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None = None,
    ties: Sequence[Tie] = (),
    specs: Mapping[str, Spec] | None = None,
) -> Counted:
    """Count. measured: by tensor name; without it `nonzero` is None.

    ties: weights that may be one variable saved twice (see `ties.find_ties`); specs: what
    `specs_of` says of the artifact, where that is known already.
    """
    placed = (*artifact.tensors, *artifact.references)
    if specs is None:
        specs = specs_of(artifact.model, artifact.guessed, artifact.flavor, placed, artifact.store)
    extras = (*_made_on_load(artifact), *_referred(artifact, specs))
    strays = _strays(artifact)
    # A legacy file that stores layers which the config lacks is refused, whatever is tied in it.
    refused = bool(strays) and artifact.store is Store.LEGACY
    ties = () if refused else (*ties, *_unexplained(artifact, specs))
    # What layers store without having it among their weights, and copies.
    apart = frozenset(name for name, spec in specs.items() if not spec.variable.counted)
    trained = _trained(artifact, verdicts, strays, apart)
    counted = frozenset(trained)
    why = _why_unknown(artifact, verdicts, measured, ties, trained, specs)
    model = [t for t in artifact.tensors if t.name in counted]
    params = sum(map(keras_elements, model)) + sum(one.elements for one in extras)
    trainable = sum(keras_elements(t) for t in model if trained[t.name]) + sum(
        one.elements for one in extras if one.trainable
    )
    leaving = [t for t in model if _goes_with_strip(artifact, t, verdicts[t.name])]
    stripped = sum(map(keras_elements, leaving))
    totals = Totals(
        stored_elements=sum(tensor.stored_elements for tensor in artifact.tensors),
        count_params=None if "count_params" in why else params,
        trainable=None if "trainable" in why else trainable,
        non_trainable=None if "non_trainable" in why else params - trainable,
        after_strip=None if "after_strip" in why else params - stripped,
        nonzero=None if "nonzero" in why else _nonzero(artifact, verdicts, measured or {}),
    )
    rows = layer_rows(artifact, verdicts, extras, counted)
    problems = (
        *caveats.made_anew(artifact, extras),
        *caveats.once_shared(artifact),
        *caveats.stored_once(artifact),
        *caveats.not_among_weights(artifact, verdicts, apart),
        *caveats.tied(artifact, params, ties),
        *caveats.stray_layers(artifact, strays),
    )
    return Counted(totals, rows, why, problems, trained, frozenset(t.name for t in leaving), extras)


def _trained(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    strays: Sequence[str],
    apart: frozenset[str],
) -> dict[str, bool | None]:
    """Names of the tensors that are counted, and whether each is trainable.

    They are what the file itself lists as the model's weights; where it has no list, and is a
    Keras model, the variables of its layers; else the variables that say whether they are trained.
    """
    if artifact.listed is not None:
        return {
            t.name: artifact.listed[t.name] for t in artifact.tensors if t.name in artifact.listed
        }
    if artifact.uncounted is not None:
        return {
            t.name: t.trainable
            for t in artifact.tensors
            if t.section is Section.MODEL
            and t.trainable is not None
            and verdicts[t.name].role is not Role.ALIAS
        }
    return {
        t.name: verdicts[t.name].trainable
        for t in artifact.tensors
        if _is_counted(t, verdicts[t.name], strays) and t.name not in apart
    }


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
    if artifact.store not in _BY_PLACE:
        return ()
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


def _goes_with_strip(artifact: Artifact, tensor: Tensor, verdict: Verdict) -> bool:
    if verdict.role not in _STRIPPED:
        return False
    # Cluster-preserving quantization keeps centroids too; strip_clustering does not touch those.
    owner = layers_of(artifact.model, artifact.guessed).get(tensor.layer or "")
    return owner is None or not owner.class_name.startswith("Quantize")


def _why_unknown(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None,
    ties: Sequence[Tie],
    trained: Mapping[str, bool | None],
    specs: Mapping[str, Spec],
) -> dict[str, str]:
    why: dict[str, str] = {}
    broken = _why_no_count(artifact, specs) or _why_tied(ties)
    uncounted = broken or artifact.uncounted
    if uncounted is not None:
        why |= dict.fromkeys(("count_params", "after_strip"), uncounted)
    if uncounted is not None and (broken is not None or not trained):
        why |= dict.fromkeys(("trainable", "non_trainable"), uncounted)
    open_ = [name for name, one in trained.items() if one is None]
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


def _why_no_count(artifact: Artifact, specs: Mapping[str, Spec]) -> str | None:
    if artifact.model is None and not artifact.tensors and artifact.uncounted is None:
        return "no variable is stored (the model has none, or was saved before it was built)"
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
        "bundle-shard-missing",
        "bundle-shard-short",
    }
    if artifact.flavor is Flavor.KERAS3:
        broken.add("soft-link")
    found = next((p for p in artifact.problems if p.code in broken), None)
    if found is not None:
        return found.message
    if artifact.store not in _BY_PLACE:
        return None
    tensors = (*artifact.tensors, *artifact.references)
    # Guessed layers are none of the config's.
    known = None if artifact.guessed else specs
    wrong = misfits(artifact.model, artifact.flavor, tensors, artifact.store, known)
    return f"{wrong[0]}: Keras refuses to load this file" if wrong else None


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


def _referred(artifact: Artifact, specs: Mapping[str, Spec]) -> tuple[Extra, ...]:
    """Variables that Keras loads from a tensor which another variable is loaded from too."""
    return tuple(
        Extra(
            one.layer or "",
            one.variable or "",
            keras_elements(one),
            bool(specs[one.name].trainable) if one.name in specs else False,
            referred=True,
        )
        for one in artifact.references
        if one.name not in specs or specs[one.name].variable.role not in _NOT_COUNTED
    )


def _unexplained(artifact: Artifact, specs: Mapping[str, Spec]) -> tuple[Tie, ...]:
    """References in layers of unknown class: one variable, or two loaded from one place."""
    stored = {t.name: t for t in artifact.tensors}
    return tuple(
        Tie(stored[one.repeats], one)
        for one in artifact.references
        if one.name not in specs and one.repeats in stored
    )


def _made_on_load(artifact: Artifact) -> tuple[Extra, ...]:
    """Variables that the config makes anew on loading, such as LoRA's."""
    if artifact.model is None or artifact.store not in _BY_PLACE:
        return ()
    shapes = stored_shapes(artifact.tensors)
    repeats = shared_layers(artifact.model)
    gates = effective_trainable(artifact.model, artifact.flavor)
    return tuple(
        Extra(layer.path, name, prod(shape), gates.get(layer.path, True))
        for layer in artifact.model.walk()
        if layer.path not in repeats
        for name, shape in made_on_load(layer, artifact.flavor, shapes.get(layer.path, {}))
    )
