"""Rules for tfmot's variables where no class can be looked up: what stands beside what.

A weights-only file has no config. A wrapper still shows by its own variables: a mask is as large
as a weight beside it, each has a scalar threshold, and one int64 step closes the list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from inspector.classify.rule import Context, Rule, each_group, first_with_shape
from inspector.keras.tfmot import CLASSES, is_tfmot
from inspector.model import Role, Store, Tensor, Verdict

_SCALAR: tuple[int, ...] = ()
_WRAPPER = "prune_low_magnitude"
_CLUSTERED = re.compile(r"cluster_centroids_|pulling_indices_|ori_weights_vars_")
_MADE = ("forward_layer", "backward_layer", "_query_dense", "_key_dense", "_value_dense")
_TURNS = {name: turn for turn, name in enumerate((*_MADE, "_output_dense"), 1)}
_RANGE = re.compile(r"(.+)_(min|max)$")


def _may_be_tfmot(context: Context, owner: str) -> bool:
    """Whether tfmot's structure may be looked for: no config speaks against it."""
    layer = context.layers.get(owner)
    if context.artifact.model is None:
        return True
    return layer is not None and any(
        one.class_name in CLASSES and is_tfmot(one) for one in layer.walk()
    )


def _guessed(context: Context, owner: str, class_name: str) -> bool:
    layer = context.layers.get(owner)
    return (
        context.artifact.store is Store.V3
        and layer is not None
        and layer.class_name == class_name
        and _may_be_tfmot(context, owner)
    )


def _rank(tensor: Tensor) -> int:
    return 2 if tensor.shape is None else len(tensor.shape)


def _is_step(tensor: Tensor, dtype: str) -> bool:
    return tensor.shape == _SCALAR and tensor.dtype == dtype


def _by_prefix(tensors: Sequence[Tensor]) -> Mapping[str, list[Tensor]]:
    """Tensors of a legacy group by what stands before the variable in their stored names."""
    found: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        path = (tensor.stored_name or "").rpartition(tensor.variable or "")[0]
        found.setdefault(path, []).append(tensor)
    return found


def _parents(tensor: Tensor) -> list[str]:
    return (tensor.stored_name or "").split("/")[:-1]


# --- pruning ---------------------------------------------------------------------------------


def _pruning_names(context: Context, owner: str, group: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Legacy layout: variables called mask, threshold and pruning_step that also fit together."""
    if context.artifact.store is not Store.LEGACY or not _may_be_tfmot(context, owner):
        return {}
    names = {"mask", "threshold", "pruning_step"}
    weights = [t for t in group if t.variable not in names]
    found: dict[str, Verdict] = {}
    used: set[str] = set()
    # A nested model's group has the wrappers of all its layers.
    for path, own in _by_prefix([t for t in group if t.variable in names]).items():
        # tfmot names each wrapper after its class, whatever name it is asked for.
        _, marked, inner = path.rpartition(_WRAPPER)
        steps = [t for t in own if t.variable == "pruning_step" and _is_step(t, "int64")]
        masks = [t for t in own if t.variable == "mask"]
        thresholds = [t for t in own if t.variable == "threshold" and t.shape == _SCALAR]
        near = [w for w in weights if inner.strip("_/") in _parents(w)]
        pairs = [(mask, first_with_shape([*near, *weights], mask, used)) for mask in masks]
        whole = len(steps) == 1 and len(masks) == len(thresholds)
        if not marked or not whole or any(weight is None for _, weight in pairs):
            continue
        held = [(m, w) for m, w in pairs if w is not None]
        name = path.strip("/") or owner
        found |= _pruning_verdicts(name, held, thresholds, steps[0], "its name, and")
    return found


def _pruning_verdicts(
    owner: str,
    pairs: Sequence[tuple[Tensor, Tensor]],
    thresholds: Sequence[Tensor],
    step: Tensor,
    also: str,
) -> dict[str, Verdict]:
    found = {
        step.name: Verdict(
            Role.PRUNING_STEP,
            "pruning-structure",
            "structure",
            f"known by {also} its place: the one int64 scalar of the pruning wrapper {owner}",
            trainable=False,
        )
    }
    for (mask, weight), threshold in zip(pairs, thresholds, strict=True):
        found[mask.name] = Verdict(
            Role.MASK,
            "pruning-structure",
            "structure",
            f"known by {also} its structure: as large as {weight.name}, in its dtype, with a"
            " scalar threshold and a pruning step beside it",
            trainable=False,
            about=weight.name,
        )
        found[threshold.name] = Verdict(
            Role.THRESHOLD,
            "pruning-structure",
            "structure",
            f"known by {also} its structure: the scalar beside the mask of {weight.name}",
            trainable=False,
            about=weight.name,
        )
    return found


def _pruning_places(context: Context, owner: str, group: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """v3 layout: copies of k weights, then k times (mask, threshold), then the step."""
    if not _guessed(context, owner, "PruneLowMagnitude") or not group:
        return {}
    count, rest = divmod(len(group) - 1, 3)
    copies, tail, step = group[:count], group[count:-1], group[-1]
    masks, thresholds = tail[0::2], tail[1::2]
    inner = sorted(context.inside(owner), key=_turn)
    used: set[str] = set()
    partners = [first_with_shape(inner, copy, used) for copy in copies]
    sound = (
        rest == 0
        and _is_step(step, "int64")
        and all(t.shape == _SCALAR for t in thresholds)
        and all(
            m.shape == c.shape and m.dtype == c.dtype for m, c in zip(masks, copies, strict=True)
        )
    )
    if not sound or any(partner is None for partner in partners):
        return {}
    weights = [partner for partner in partners if partner is not None]
    found = _pruning_verdicts(
        owner, list(zip(masks, weights, strict=True)), thresholds, step, "the group's name, and"
    )
    for copy, weight in zip(copies, weights, strict=True):
        found[copy.name] = _copy(copy, weight, owner)
    return found


def _turn(tensor: Tensor) -> int:
    """A store lists sub-layers by the alphabet; a wrapper tracks them as their layer made them."""
    return max((_TURNS.get(part, 0) for part in (tensor.owner or "").split("/")), default=0)


def _copy(copy: Tensor, weight: Tensor, owner: str) -> Verdict:
    return Verdict(
        Role.ALIAS,
        "wrapper-copy-structure",
        "structure",
        f"{weight.name}, stored once more by the wrapper {owner}: same shape and dtype, in the"
        " place where the wrapper tracks it",
        about=weight.name,
        alias_of=weight.name,
    )


# --- clustering ------------------------------------------------------------------------------


def _clustering_names(
    context: Context, owner: str, group: Sequence[Tensor]
) -> Mapping[str, Verdict]:
    """Legacy layout: cluster_centroids_X beside int64 pulling_indices_X."""
    if context.artifact.store is not Store.LEGACY or not _may_be_tfmot(context, owner):
        return {}
    named = {
        (path, t.variable): t for path, own in _by_prefix(group).items() for t in own if t.variable
    }
    weights = [t for t in group if not _CLUSTERED.match(t.variable or "")]
    found: dict[str, Verdict] = {}
    used: set[str] = set()
    for (path, variable), tensor in named.items():
        if not variable.startswith("cluster_centroids_"):
            continue
        label = variable.removeprefix("cluster_centroids_")
        partner = named.get((path, f"pulling_indices_{label}"))
        if partner is None or partner.dtype not in {"int32", "int64"}:
            continue
        near = [w for w in weights if _is_inside(path, w) and _is_called(label, w)]
        like = replace(partner, dtype=tensor.dtype)
        weight = first_with_shape([*near, *weights], like, used)
        if weight is None:
            continue
        found |= _clustering_verdicts(tensor, partner, weight, owner)
        original = named.get((path, f"ori_weights_vars_{label}"))
        if original is not None and original.shape == weight.shape:
            found[original.name] = _original(original, weight, owner)
    return found


def _is_inside(path: str, weight: Tensor) -> bool:
    """Whether a wrapper's path ("cluster_dense/") names a layer around the weight."""
    wrapper = path.strip("/").rpartition("/")[2]
    return any(part and wrapper.endswith(f"_{part}") for part in _parents(weight))


def _is_called(label: str, weight: Tensor) -> bool:
    return label == "tf" or label.partition("/")[0].rpartition(".")[2] == weight.variable


def _original(tensor: Tensor, weight: Tensor, owner: str) -> Verdict:
    return Verdict(
        Role.CLUSTER_ORIGINAL,
        "clustering-structure",
        "structure",
        f"as large as {weight.name}, with centroids and indices beside it: its copy from before"
        f" clustering, in the quantization wrapper {owner}",
        about=weight.name,
    )


def _clustering_places(
    context: Context, owner: str, group: Sequence[Tensor]
) -> Mapping[str, Verdict]:
    """v3 layout: k times (weight, centroids), then k int64 arrays of indices."""
    names = ("ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA")
    if not any(_guessed(context, owner, name) for name in names) or len(group) % 3 or not group:
        return {}
    count = len(group) // 3
    pairs, indices = group[: 2 * count], group[2 * count :]
    weights, centroids = pairs[0::2], pairs[1::2]
    if not all(
        i.dtype == "int64" and i.shape == w.shape for i, w in zip(indices, weights, strict=True)
    ):
        return {}
    found: dict[str, Verdict] = {}
    for weight, centroid, index in zip(weights, centroids, indices, strict=True):
        found[weight.name] = Verdict(
            Role.WEIGHT,
            "clustering-structure",
            "structure",
            f"the weight that the clustering wrapper {owner} keeps, before its centroids",
        )
        found |= _clustering_verdicts(centroid, index, weight, owner)
    return found


def _clustering_verdicts(
    centroids: Tensor, indices: Tensor, weight: Tensor, owner: str
) -> dict[str, Verdict]:
    return {
        centroids.name: Verdict(
            Role.CENTROIDS,
            "clustering-structure",
            "structure",
            f"the centroids of {weight.name} in the clustering wrapper {owner}: its indices stand"
            " beside it",
            about=weight.name,
        ),
        indices.name: Verdict(
            Role.CLUSTER_INDICES,
            "clustering-structure",
            "structure",
            f"int64 in the shape of {weight.name}: which centroid each value takes",
            trainable=False,
            about=weight.name,
        ),
    }


# --- quantization-aware training -------------------------------------------------------------


def _quantization(context: Context, owner: str, group: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """An int32 optimizer_step, with pairs of min and max behind it (or before, QuantizeLayer)."""
    if not _may_be_tfmot(context, owner):
        return {}
    if context.artifact.store is Store.LEGACY:
        found: dict[str, Verdict] = {}
        for path, own in _by_prefix(group).items():
            steps = [t for t in own if t.variable == "optimizer_step" and _is_step(t, "int32")]
            ranges = [t for t in own if _RANGE.match(t.variable or "") and _rank(t) < 2]
            found |= _step_and_ranges(path.strip("/") or owner, steps, ranges)
        return found
    layer = context.layers.get(owner)
    if not any(
        _guessed(context, owner, n)
        for n in ("QuantizeWrapperV2", "QuantizeWrapper", "QuantizeLayer")
    ):
        return {}
    steps = [t for t in group if _is_step(t, "int32")]
    after = list(group[group.index(steps[0]) + 1 :]) if len(steps) == 1 else []
    indices = list(takewhile(lambda t: _rank(t) > 0 and t.dtype in {"int32", "int64"}, after))
    ranges = after[len(indices) :]
    if layer is not None and layer.class_name == "QuantizeLayer":
        ranges = list(group[:-1])
    verdicts = _step_and_ranges(owner, steps, ranges)
    if not verdicts:
        return {}
    verdicts |= _preserved(owner, group[: group.index(steps[0])], indices)
    verdicts |= _quantized_copies(context, owner, group, set(verdicts))
    for tensor in group:
        if tensor.name not in verdicts and tensor.dtype.startswith(("float", "bfloat")):
            verdicts[tensor.name] = Verdict(
                Role.WEIGHT,
                "quantization-structure",
                "structure",
                f"before the step and the ranges of the quantization wrapper {owner}: a weight"
                " that it keeps for the layer inside",
            )
    return verdicts


def _preserved(
    owner: str, before: Sequence[Tensor], indices: Sequence[Tensor]
) -> dict[str, Verdict]:
    """Cluster-preserving quantization: centroids and the weight's copy stand side by side."""
    found: dict[str, Verdict] = {}
    for index in indices:
        # The weight, where it was not frozen; its copy behind the centroids; the weight (again).
        alike = [i for i, t in enumerate(before) if t.shape == index.shape and t.name not in found]
        if len(alike) < 2 or alike[-2] == 0:
            continue
        at = alike[-2]
        weight = before[alike[0] if len(alike) > 2 else alike[-1]]
        found |= _clustering_verdicts(before[at - 1], index, weight, owner)
        found[before[at].name] = _original(before[at], weight, owner)
    return found


def _step_and_ranges(
    owner: str, steps: Sequence[Tensor], ranges: Sequence[Tensor]
) -> dict[str, Verdict]:
    if len(steps) != 1 or len(ranges) % 2:
        return {}
    step = steps[0]
    found = {
        step.name: Verdict(
            Role.QUANT_STEP,
            "quantization-structure",
            "structure",
            f"the one int32 scalar of the quantization wrapper {owner}: its step counter",
            trainable=False,
        )
    }
    for tensor in ranges:
        found[tensor.name] = Verdict(
            Role.QUANT_PARAM,
            "quantization-structure",
            "structure",
            f"one end of a range (min or max) of the quantization wrapper {owner}",
            trainable=False,
        )
    return found


def _quantized_copies(
    context: Context, owner: str, group: Sequence[Tensor], taken: set[str]
) -> dict[str, Verdict]:
    """v3 layout: the wrapper's list repeats what the inner layer has, or its own first one."""
    if context.artifact.store is not Store.V3:
        return {}
    inner, used = list(context.inside(owner)), set[str]()
    found: dict[str, Verdict] = {}
    own = [t for t in group if t.name not in taken]
    for index, tensor in enumerate(own):
        partner = first_with_shape(inner, tensor, used)
        if partner is None:
            partner = next(
                (t for t in own[:index] if t.shape == tensor.shape and t.name not in found), None
            )
        if partner is not None:
            found[tensor.name] = _copy(tensor, partner, owner)
    return found


RULES: tuple[Rule, ...] = (
    Rule(
        "pruning-structure",
        "masks, thresholds and steps of pruning wrappers, without a config",
        "Where no config names the class: one int64 scalar closes the list, and each mask has the "
        "shape and dtype of a weight beside it and a scalar threshold. In the legacy layout the "
        "names must say so as well; in the v3 layout the group's name must be the wrapper's.",
        "prune_low_magnitude_dense/mask:0 in a weights-only file",
        each_group(_pruning_names),
    ),
    Rule(
        "wrapper-copy-structure",
        "a wrapper's copy of the inner layer's variable, without a config",
        "In the v3 layout a wrapper's list begins with the variables of the inner layer that it "
        "tracks, stored once more. Shape, dtype and place decide; equal bytes confirm it.",
        "layers/prune_low_magnitude/vars/0 in `.weights.h5`",
        each_group(_pruning_places),
    ),
    Rule(
        "clustering-structure",
        "centroids and indices of clustering wrappers, without a config",
        "Centroids stand beside an int64 array of indices in the shape of a weight.",
        "cluster_dense/cluster_centroids_kernel:0 in a weights-only file",
        each_group(lambda c, o, g: {**_clustering_names(c, o, g), **_clustering_places(c, o, g)}),
    ),
    Rule(
        "quantization-structure",
        "steps and ranges of quantization wrappers, without a config",
        "One int32 scalar named optimizer_step, and pairs of min and max.",
        "quant_dense/kernel_min:0 in a weights-only file",
        each_group(_quantization),
    ),
)
