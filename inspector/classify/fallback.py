"""Rules for what no class and no structure tells: names with their ranks, and at last `unknown`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inspector.classify.rule import Context, Rule, each
from inspector.keras.tfmot import CLASSES, is_tfmot
from inspector.model import Flavor, Role, Section, Store, Tensor, Verdict

# Names that Keras' built-in layers give their variables -> ranks they come in.
_WEIGHTS: Mapping[str, range] = {
    "kernel": range(1, 7),
    "bias": range(1, 5),
    "gamma": range(1, 5),
    "beta": range(1, 5),
    "embeddings": range(2, 3),
    "recurrent_kernel": range(2, 7),
    "depthwise_kernel": range(3, 6),
    "pointwise_kernel": range(3, 6),
    "alpha": range(1, 5),
    "scale": range(5),
    # Keras 1, after the layer's own name: dense_1_W, lstm_1_U_i
    "W": range(1, 7),
    "U": range(1, 7),
    "b": range(1, 5),
}
_STATISTICS = frozenset(
    {
        "moving_mean",
        "moving_variance",
        "moving_std",
        "moving_stddev",
        "renorm_mean",
        "renorm_stddev",
        "running_mean",
        "running_std",
        "mean",
        "variance",
        "count",
    }
)
# Names of tfmot's variables: one in another class's layer does not make it what tfmot's are.
_TOOLKIT = re.compile(
    r"^(mask|threshold|pruning_step|optimizer_step|(cluster_centroids|pulling_indices)_.+)$"
)
# Where a v3 store keeps the state of `keras.random.SeedGenerator`.
_SEED = re.compile(r"(?:^|/)(?P<holder>[^/]+)/seed_generator(_\d+)?/vars/0$")
_QUANTIZED = re.compile(r"(_scale|_scales|_zero|_amax_history)$|^(g_idx|zero_point)$")
_KERAS1 = re.compile(r"_(?P<name>running_mean|running_std|gamma|beta|[WUb])(_[a-z]+)?$")


def _bare(tensor: Tensor) -> str:
    name = tensor.variable or ""
    old = _KERAS1.search(name)
    return old["name"] if old else re.sub(r"_\d+$", "", name)


def _other_toolkit(context: Context, tensor: Tensor) -> str | None:
    """The registered name of a wrapper around the tensor that only looks like tfmot's."""
    for path in (tensor.owner, tensor.layer):
        layer = context.layers.get(path or "")
        if (
            layer is not None
            and layer.class_name.rpartition(">")[2] in CLASSES
            and not is_tfmot(layer)
        ):
            return layer.registered or layer.class_name
    return None


def by_keras_name(context: Context, tensor: Tensor) -> Verdict | None:
    """What a variable is by a name that Keras' own layers give, of a rank that fits it."""
    if tensor.section is not Section.MODEL or tensor.shape is None:
        return None
    name, rank = _bare(tensor), len(tensor.shape)
    trainable = False if name in _STATISTICS else None
    if name in _STATISTICS and rank <= 1:
        role, said = Role.STATISTIC, "used at inference, not trained"
    elif name == "vector_u" and rank == 2:
        role, said = Role.STATISTIC, "the vector that SpectralNormalization keeps between steps"
        trainable = False
    elif context.artifact.flavor is Flavor.KERAS3 and _QUANTIZED.search(name):
        role, said = Role.QUANT_PARAM, "what Keras 3 reads a quantized variable with"
    elif rank in _WEIGHTS.get(name, range(0)):
        role, said = Role.WEIGHT, "a weight of a Keras layer"
    else:
        return None
    why = "no config tells its class"
    if context.artifact.model is not None:
        owner = f"{context.class_of(tensor.owner)} {tensor.owner or '(the model)'}"
        why = f"the list of variables of {owner} is not one that is known"
    return Verdict(
        role,
        "keras-name",
        "name",
        f"called {tensor.variable!r}, of rank {rank}: {said}; {why}",
        trainable=trainable,
    )


def _seed(context: Context, tensor: Tensor) -> Verdict | None:
    if context.artifact.store is not Store.V3 or tensor.section is not Section.MODEL:
        return None
    found = _SEED.search(tensor.name)
    if found is None or tensor.shape != (2,) or not tensor.dtype.startswith(("int", "uint")):
        return None
    evidence = (
        f"two integers under a group called seed_generator: the state of the random generator of"
        f" {found['holder']}, no parameter"
    )
    return Verdict(Role.COUNTER, "seed-generator", "structure", evidence, trainable=False)


def _shapes(context: Context, tensor: Tensor) -> Verdict | None:
    """v3 without a class: a matrix or a kernel first, then a vector as long as its last side."""
    if context.artifact.store is not Store.V3 or tensor.section is not Section.MODEL:
        return None
    group = context.owners.get(tensor.owner or "", ())
    if tensor.shape is None or not group or not tensor.dtype.startswith(("float", "bfloat")):
        return None
    if _other_toolkit(context, tensor) is not None:
        return None
    first = group[0]
    if tensor is first and len(tensor.shape) >= 2:
        said = f"the first variable of {tensor.owner}, with {len(tensor.shape)} dimensions"
    elif (
        tensor.position == 1
        and len(tensor.shape) == 1
        and len(first.shape or ()) >= 2
        and tensor.shape[-1] == (first.shape or (0,))[-1]
    ):
        said = f"a vector as long as the last side of {first.name}, right behind it"
    else:
        return None
    evidence = f"{said}; the file names no class and no variable"
    return Verdict(Role.WEIGHT, "v3-shapes", "structure", evidence)


def _custom(context: Context, tensor: Tensor) -> Verdict | None:
    """A variable that some layer saved, of a class that is not Keras' own."""
    if tensor.section is not Section.MODEL or tensor.owner is None or tensor.shape is None:
        return None
    if _other_toolkit(context, tensor) is not None or _TOOLKIT.match(tensor.variable or ""):
        return None
    if not tensor.dtype.startswith(("float", "bfloat", "complex")):
        return None
    what = context.class_of(tensor.owner)
    known = f"of class {what}" if what != "a layer" else "of a class that the file does not tell"
    evidence = (
        f"one of the variables that {tensor.owner or 'the model'} saved, {known}, which is none of"
        " Keras' own; whether it is trained is not known"
    )
    return Verdict(Role.WEIGHT, "custom-layer", "structure", evidence)


def _unknown(context: Context, tensor: Tensor) -> Verdict:
    other = _other_toolkit(context, tensor)
    if other is not None:
        evidence = (
            f"{tensor.variable or tensor.name!r} of {other}, a wrapper that is not"
            " tensorflow-model-optimization's: no rule knows its variables"
        )
    elif _TOOLKIT.match(tensor.variable or ""):
        evidence = (
            f"called {tensor.variable!r}, as a variable of tensorflow-model-optimization's wrappers"
            f" is; {tensor.owner} is none of them, and a name alone does not tell"
        )
    elif tensor.section is Section.OTHER:
        evidence = "stored outside every list that Keras loads: no rule explains it"
    else:
        evidence = f"{tensor.dtype} of shape {tensor.shape}: no rule explains it"
    return Verdict(Role.UNKNOWN, "unknown", "none", evidence)


RULES: tuple[Rule, ...] = (
    Rule(
        "seed-generator",
        "the state of a layer's random generator",
        "Keras 3 gives Dropout, noise and augmentation layers a seed generator, whose state is two "
        "integers. Its weights files leave the state out; where one holds it all the same, it is "
        "known by the group's name, its dtype and its shape. count_params leaves it out.",
        "layers/dropout/seed_generator/vars/0",
        each(_seed),
    ),
    Rule(
        "keras-name",
        "a variable by the name that Keras' own layers use",
        "Only where the class is not known: the stored name is one that Keras' layers use, and the "
        "number of dimensions fits it.",
        "dense/kernel:0 in a weights-only file",
        each(by_keras_name),
    ),
    Rule(
        "v3-shapes",
        "a weight by its place and shape, where a v3 store tells no class",
        "A subclassed model's `.weights.h5` names its groups after attributes. A variable with two "
        "or more dimensions in the first place, and a vector of its last side's length behind it, "
        "are a kernel and its bias.",
        "encoder/vars/0",
        each(_shapes),
    ),
    Rule(
        "custom-layer",
        "a variable of a layer class that is not Keras' own",
        "Keras saves a layer's own weights only, so a floating-point array in a layer's list is "
        "one; its name and whether it is trained are the class's business.",
        "my_layer/centers:0",
        each(_custom),
    ),
    Rule(
        "unknown",
        "nothing explains it",
        "No rule knows the class, the structure or the name. Shown as it is, counted as stored.",
        "a dataset that no list names",
        each(_unknown),
    ),
)
