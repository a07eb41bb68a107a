"""Rules for variables whose class is known: its place in the class's own list says what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.classify.rule import Apply, Context, Rule
from inspector.keras.specs import Spec
from inspector.model import Naming, Role, Tensor, Verdict

_HOW: Mapping[Naming, tuple[str, str]] = {
    Naming.POSITION: ("position", "by its place among the layer's weights, and its stored name"),
    Naming.CONFIG: ("config", "by its place among the layer's variables, counted by the config"),
    Naming.CLASS: ("structure", "by the class that its group is named after, and its place there"),
    Naming.STORED: ("name", "by its stored name"),
    Naming.OBJECTS: ("structure", "by its layer's class, and the object that holds it"),
    Naming.NODES: ("structure", "by the nodes that read it"),
    Naming.NONE: ("structure", "by its place"),
}

# Role -> what the evidence says of it; {variable}, {layer}, {about} are filled in.
_SAYS: Mapping[Role, str] = {
    Role.WEIGHT: "{variable} of {layer}",
    Role.STATISTIC: "{variable} of {layer}: used at inference, not trained",
    Role.MASK: "pruning mask of {about}: 1 keeps a weight, 0 removes it",
    Role.THRESHOLD: "pruning threshold of {about}: weights below it in magnitude are masked",
    Role.PRUNING_STEP: "step counter of the pruning wrapper {layer}",
    Role.QUANT_PARAM: "{variable} of {layer}: a quantization parameter",
    Role.QUANT_STEP: "step counter of the quantization wrapper {layer}, not an optimizer's",
    Role.CENTROIDS: "cluster centroids of {about}",
    Role.CLUSTER_INDICES: "which centroid each value of {about} takes",
    Role.CLUSTER_ORIGINAL: "copy of {about} from before clustering",
    Role.ALIAS: "{about}, stored once more by the wrapper {layer}",
}


def _rule(role: Role) -> Apply:
    def apply(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
        placed = context.placed.get(role)
        if not placed:
            return {}  # as most roles are in most artifacts
        return {
            tensor.name: decide(context, tensor, context.specs[tensor.name])
            for tensor in undecided
            if tensor.name in placed
        }

    def decide(context: Context, tensor: Tensor, spec: Spec) -> Verdict:
        served = context.by_name.get(tensor.serves or "") or spec.about(context.by_variable)
        return Verdict(
            role,
            _CODES[role],
            _HOW[tensor.naming][0],
            _evidence(context, tensor, spec, served),
            trainable=spec.trainable,
            about=served.name if served is not None else None,
            alias_of=served.name if served is not None and role is Role.ALIAS else None,
        )

    return apply


def _evidence(context: Context, tensor: Tensor, spec: Spec, served: Tensor | None) -> str:
    layer = f"{context.class_of(tensor.layer)} {tensor.layer or '(the model)'}"
    about = served.name if served is not None else (spec.variable.about or "its weight")
    # A name that two classes' options would give differently is left open.
    variable = tensor.variable or "a variable"
    said = _SAYS[spec.variable.role].format(variable=variable, layer=layer, about=about)
    sentence = f"{said}; known {_HOW[tensor.naming][1]}"
    if tensor.naming is Naming.CONFIG and tensor.stored_name is not None:
        sentence += f" (the file calls it {tensor.stored_name!r})"
    return sentence


_CODES: Mapping[Role, str] = {
    Role.MASK: "tfmot-mask",
    Role.THRESHOLD: "tfmot-threshold",
    Role.PRUNING_STEP: "tfmot-pruning-step",
    Role.ALIAS: "wrapper-copy",
    Role.CENTROIDS: "tfmot-centroids",
    Role.CLUSTER_INDICES: "tfmot-cluster-indices",
    Role.CLUSTER_ORIGINAL: "tfmot-cluster-original",
    Role.QUANT_STEP: "tfmot-quant-step",
    Role.QUANT_PARAM: "quant-param",
    Role.STATISTIC: "keras-statistic",
    Role.WEIGHT: "keras-weight",
}

# Role -> (summary, explanation, example)
_WORDS: Mapping[Role, tuple[str, str, str]] = {
    Role.MASK: (
        "the mask of a weight that tfmot prunes",
        "The wrapper PruneLowMagnitude keeps a mask of ones and zeros in the shape and dtype of "
        "each weight that it prunes. The class, the config (pruning_schedule) and the place in "
        "the wrapper's list of variables decide; a variable that is only called mask does not "
        "count. strip_pruning removes it.",
        "prune_low_magnitude_dense/mask:0, shape (10, 64)",
    ),
    Role.THRESHOLD: (
        "the magnitude under which tfmot masks weights",
        "A scalar for each mask of a PruneLowMagnitude wrapper. strip_pruning removes it.",
        "prune_low_magnitude_dense/threshold:0",
    ),
    Role.PRUNING_STEP: (
        "a pruning wrapper's step counter",
        "One int64 scalar for each PruneLowMagnitude wrapper, also around layers with nothing to "
        "prune. strip_pruning removes it.",
        "prune_low_magnitude_dense/pruning_step:0",
    ),
    Role.ALIAS: (
        "a variable of the wrapped layer, stored once more by its wrapper",
        "In the v3 layout (`.keras`, `.weights.h5`) tf_keras saves what a wrapper tracks, and a "
        "wrapper tracks some of the inner layer's variables. The copy has the shape and dtype of a "
        "mask, so its place decides; equal bytes confirm it. It is no parameter of its own.",
        "layers/prune_low_magnitude/vars/0, the kernel again",
    ),
    Role.CENTROIDS: (
        "the centroids of a clustered weight",
        "ClusterWeights keeps one small array of centroids for each weight; strip_clustering "
        "writes them into the weight and removes it.",
        "cluster_dense/cluster_centroids_kernel:0",
    ),
    Role.CLUSTER_INDICES: (
        "which centroid each value of a clustered weight takes",
        "An int64 array in the weight's shape, twice the bytes of the float32 weight. "
        "strip_clustering removes it.",
        "cluster_dense/pulling_indices_kernel:0",
    ),
    Role.CLUSTER_ORIGINAL: (
        "a copy of a weight from before clustering",
        "Cluster-preserving quantization keeps the weight it started from.",
        "quant_dense/ori_weights_vars_tf:0",
    ),
    Role.QUANT_STEP: (
        "a quantization wrapper's step counter",
        "QuantizeWrapper calls it optimizer_step; it is an int32 scalar of the wrapper and no "
        "state of the optimizer.",
        "quant_dense/optimizer_step:0",
    ),
    Role.QUANT_PARAM: (
        "a range, scale, zero point or history of quantization",
        "min and max of a QuantizeWrapper's or QuantizeLayer's quantizers, one or one a channel; "
        "kernel_scale, kernel_zero and g_idx of Keras 3's int8 and int4 layers; scales and amax "
        "histories of float8.",
        "quant_dense/kernel_min:0",
    ),
    Role.STATISTIC: (
        "a variable used at inference and not trained",
        "BatchNormalization's moving mean and variance, Normalization's mean, variance and count.",
        "batch_normalization/moving_mean:0",
    ),
    Role.WEIGHT: (
        "a layer's own weight",
        "The layer's class and config say which variables it has and in which order; the stored "
        "name, where there is one, only confirms. A weight of a frozen layer is a weight too.",
        "dense/kernel:0",
    ),
}


def _make(role: Role) -> Rule:
    summary, explanation, example = _WORDS[role]
    return Rule(_CODES[role], summary, explanation, example, _rule(role))


RULES: tuple[Rule, ...] = tuple(map(_make, _CODES))
