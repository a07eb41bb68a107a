"""What training and its toolkits leave in an artifact: wrappers, masks, optimizers, averages.

What else no inference needs (copies, files, slack, unread tensors) is told by `leftover_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from inspector.auditing.looks import agree
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.auditing.rules.leftover_bytes import RULES as BYTES
from inspector.keras.optimizer_tables import TF_KERAS
from inspector.model import Layer, Role, Severity, Tensor
from inspector.words import ROLE_WORDS, count, listing, percent, some

_PRUNING = frozenset({"PruneLowMagnitude"})
_CLUSTERING = frozenset({"ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA"})
# tfmot's, and Vitis' of the same names.
_QAT = frozenset({"QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"})
_ANNOTATED = frozenset({"QuantizeAnnotate"})

_OPTIMIZER = frozenset({Role.OPTIMIZER_SLOT, Role.OPTIMIZER_STATE})
# Slots that hold averages of the weights themselves, by the names that optimizers give them.
_AVERAGES = frozenset({"average", "average-names"})
_FREEZE_AGAIN = (
    "Multiply the weights by their masks, take the masks out of the graph, and freeze it again."
)
# Formats that exist to go on training: state of training is what they are for.
_RESUMES = frozenset({"checkpoint"})


def _tensors(context: Context, *roles: Role) -> list[Tensor]:
    verdicts = context.seen.classified.verdicts
    return [one for one in context.seen.artifact.tensors if verdicts[one.name].role in roles]


def _wrappers(context: Context, classes: frozenset[str]) -> dict[str, Layer]:
    """Layers of some classes by their path, in the config's order."""
    artifact = context.seen.artifact
    found = artifact.model.walk() if artifact.model is not None else iter(artifact.guessed)
    return {layer.path: layer for layer in found if layer.class_name in classes}


def _place(tensor: Tensor) -> str:
    """The layer of a tensor; where that is not known, what its name begins with."""
    return tensor.layer if tensor.layer is not None else tensor.name.rpartition("/")[0]


def _places(tensors: Iterable[Tensor]) -> list[str]:
    return list(dict.fromkeys(map(_place, tensors)))


def _elements(tensors: Iterable[Tensor]) -> str:
    return count(sum(one.elements for one in tensors), "element")


def _named(places: Iterable[str]) -> str:
    return f"layers: {some(list(places), 8)}"


def _pruning(context: Context) -> Iterator[Found]:
    masks = _tensors(context, Role.MASK)
    steps = _tensors(context, Role.PRUNING_STEP)
    wrapped = [*_wrappers(context, _PRUNING), *_places(steps)]
    # A frozen graph has masks, and no wrapper.
    noun = "pruning wrapper" if wrapped else "layer"
    idle = ("only counts steps", "only count steps")
    for found in _told(noun, wrapped, masks, "masks", idle):
        yield found if wrapped else replace(found, fix=_FREEZE_AGAIN)


def _clustering(context: Context) -> Iterator[Found]:
    qat = _wrappers(context, _QAT)
    held = [
        one
        for one in _tensors(context, Role.CENTROIDS, Role.CLUSTER_INDICES)
        if _place(one) not in qat  # which keeps clusters itself, and is told of as a whole
    ]
    idle = ("clusters nothing", "cluster nothing")
    wrapped = list(_wrappers(context, _CLUSTERING))
    yield from _told("clustering wrapper", wrapped, held, "centroids and indices", idle)


def _told(
    noun: str, wrapped: list[str], tensors: list[Tensor], what: str, idle: tuple[str, str]
) -> Iterator[Found]:
    """One finding for all wrappers: those with tensors, and those that are idle."""
    full = _places(tensors)
    empty = [one for one in dict.fromkeys(wrapped) if one not in full]
    parts = []
    if full:
        parts.append(f"{count(len(full), noun)} with {what} ({_elements(tensors)})")
    if empty:
        those = f"{len(empty):,}" if full else count(len(empty), noun)
        parts.append(f"{those} that {agree(len(empty), *idle)}")
    if parts:
        yield Found(", ".join(parts), evidence=_named([*full, *empty]))


def _qat(context: Context) -> Iterator[Found]:
    wrappers = _wrappers(context, _QAT)
    steps = _tensors(context, Role.QUANT_STEP)
    places = list(dict.fromkeys([*wrappers, *_places(steps)]))
    if not places:
        return
    weights = _tensors(context, Role.WEIGHT)
    dtypes = listing(list(dict.fromkeys(one.dtype for one in weights)))
    held = _tensors(context, Role.QUANT_PARAM, Role.QUANT_STEP)
    message = f"{count(len(places), 'layer')} wrapped for quantization-aware training"
    if weights:
        are = agree(len(weights), "is", "are")
        message += f", and nothing is quantized: {count(len(weights), 'weight')} {are} {dtypes}"
    parts = [listing(sorted({layer.class_name for layer in wrappers.values()}))]
    parts += [f"ranges and steps: {_elements(held)}"] if held else []
    yield Found(message, evidence="; ".join(filter(None, [*parts, _named(places)])))


def _annotated(context: Context) -> Iterator[Found]:
    marked = _wrappers(context, _ANNOTATED)
    if marked:
        yield Found(
            f"{count(len(marked), 'layer')} {agree(len(marked), 'is', 'are')} only marked for"
            " quantization",
            evidence=_named(marked),
        )


def _is_average(context: Context, tensor: Tensor) -> bool:
    rule = context.seen.classified.verdicts[tensor.name].rule
    return rule in _AVERAGES or (tensor.variable or "") in _AVERAGES


def _optimizer(context: Context) -> Iterator[Found]:
    state = [one for one in _tensors(context, *_OPTIMIZER) if not _is_average(context, one)]
    if not state:
        return
    verdicts = context.seen.classified.verdicts
    kinds = [
        count(number, *ROLE_WORDS[role])
        for role in (Role.OPTIMIZER_SLOT, Role.OPTIMIZER_STATE)
        if (number := sum(verdicts[one.name].role is role for one in state))
    ]
    nbytes = sum(one.nbytes for one in state)
    yield Found(
        f"the optimizer's state is stored: {_elements(state)}, {count(nbytes, 'byte')}",
        evidence=f"{listing(kinds)}; {percent(nbytes, context.seen.artifact.nbytes)} of all bytes",
        severity=_of_optimizer(context, state),
    )


def _of_optimizer(context: Context, state: list[Tensor]) -> Severity | None:
    """How bad its state is; None for the rule's own severity."""
    verdicts = context.seen.classified.verdicts
    if not any(verdicts[one.name].role is Role.OPTIMIZER_SLOT for one in state):
        return Severity.INFO  # a step and a learning rate: of no size
    return Severity.WARNING if context.seen.artifact.format in _RESUMES else None


def _average(context: Context) -> Iterator[Found]:
    found = [one for one in _tensors(context, *_OPTIMIZER) if _is_average(context, one)]
    if found:
        yield Found(
            f"moving averages of {count(len(found), 'variable')} are stored: {_elements(found)},"
            f" {count(sum(one.nbytes for one in found), 'byte')}",
            evidence=some([one.name for one in found]),
        )


def _metric(context: Context) -> Iterator[Found]:
    found = _tensors(context, Role.METRIC)
    if found:
        yield Found(
            f"the state of metrics is stored: {_elements(found)},"
            f" {count(sum(one.nbytes for one in found), 'byte')}",
            evidence=some([one.name for one in found]),
        )


def _training(context: Context) -> Iterator[Found]:
    training = context.seen.artifact.training
    if not training:
        return
    told = [
        f"{what} {name}"
        for what, keys in _COMPILED.items()
        if (name := next((_name(training[key]) for key in keys if training.get(key)), None))
    ]
    severity = None
    evidence = "with the optimizer's state beside it the artifact is one to train on"
    if not _tensors(context, Role.OPTIMIZER_SLOT):
        registered = sorted(set(_registered(training)))
        severity = Severity.WARNING if registered else Severity.INFO
        evidence = "no slot of an optimizer is stored with it"
        if registered:
            evidence += f"; to load it with its compilation takes {listing(registered)}"
    yield Found(
        f"how the model was compiled is stored: {', '.join(told) or 'without names'}",
        evidence=evidence,
        severity=severity,
    )


def _registered(node: object) -> Iterator[str]:
    """Names in a training config that somebody registered for what is not Keras' own."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            names = (one.get("class_name"), one.get("registered_name"))
            yield from (name for name in names if isinstance(name, str) and _is_custom(name))
            waiting += one.values()
        elif isinstance(one, (list, tuple)):
            waiting += one


def _is_custom(name: str) -> bool:
    package, _, own = name.rpartition(">")
    # tf_keras registers its own optimizers as if somebody had made them.
    return package not in ("", "Keras") and own not in TF_KERAS


# What is told of a training config -> the keys that have it: of HDF5 and SavedModels, of .keras.
_COMPILED: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("optimizer_config", "optimizer"),
    "loss": ("loss",),
}


def _name(value: object) -> str | None:
    """What a serialized object is called; None where it has no single name."""
    if isinstance(value, Mapping):
        named = value.get("class_name")
        inner = value.get("config")
        # A function is serialized as its name under "config".
        named = inner if named == "function" and isinstance(inner, str) else named
        return str(named).rpartition(">")[2] if isinstance(named, str) else None
    return value if isinstance(value, str) else None


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="leftover-pruning",
        severity=Severity.ERROR,
        summary="Pruning wrappers or masks are still there.",
        explanation="prune_low_magnitude wraps each layer, and keeps a mask as large as its kernel,"
        " a threshold and a step. They do nothing at inference, nearly double the model, and need"
        " tensorflow_model_optimization to load. Wrappers of layers that are not pruned"
        " (BatchNormalization, Flatten) only count steps, and leave with the others. One finding an"
        " artifact: of wrappers in the config, and of masks and steps among the tensors where there"
        " is no config.",
        example="Five wrapped layers, two of them pruned: 2 pruning wrappers with masks (20,388"
        " elements), 3 that only count steps.",
        fix="tfmot.sparsity.keras.strip_pruning(model), then save that.",
        needs=Needs.ARTIFACT,
        check=_pruning,
    ),
    AuditRule(
        code="leftover-clustering",
        severity=Severity.ERROR,
        summary="Clustering wrappers are still there.",
        explanation="cluster_weights keeps centroids, and an index for each value of a kernel"
        " beside the kernel itself: the file is larger than before clustering, and needs"
        " tensorflow_model_optimization to load.",
        example="A wrapped Dense layer of 8 clusters and 96 weights: 1 clustering wrapper with"
        " centroids and indices (104 elements).",
        fix="tfmot.clustering.keras.strip_clustering(model), then save that.",
        needs=Needs.ARTIFACT,
        check=_clustering,
    ),
    AuditRule(
        code="leftover-qat",
        severity=Severity.ERROR,
        summary="A model for quantization-aware training ships as if it were quantized.",
        explanation="quantize_model wraps layers so that training feels the rounding. The weights"
        " stay floats, as large as before, and fake-quantization is computed on top: the model is"
        " larger and slower than the plain one. Only conversion makes integers of it.",
        example="qat.h5 with three wrappers: 3 layers wrapped for quantization-aware training, and"
        " nothing is quantized: 4 weights are float32.",
        fix="Convert it: tf.lite.TFLiteConverter with optimizations = [tf.lite.Optimize.DEFAULT].",
        needs=Needs.ARTIFACT,
        check=_qat,
    ),
    AuditRule(
        code="leftover-annotation",
        severity=Severity.ERROR,
        summary="Layers are only marked for quantization.",
        explanation="quantize_annotate_layer puts a mark around a layer, which quantize_apply turns"
        " into quantization. A model that is saved between the two is neither trained for"
        " quantization nor loadable without tensorflow_model_optimization.",
        example="Two marked Dense layers: 2 layers are only marked for quantization.",
        fix="Call tfmot.quantization.keras.quantize_apply(model) and train on, or save the model"
        " from before the marks.",
        needs=Needs.ARTIFACT,
        check=_annotated,
    ),
    AuditRule(
        code="leftover-optimizer",
        severity=Severity.ERROR,
        summary="The optimizer's state is stored.",
        explanation="Adam keeps two values for each weight, so a saved model is three times as"
        " large as it need be. Inference reads none of them. Copies, metrics and moving averages"
        " are told by rules of their own. Of a checkpoint, which exists to train on, it is a"
        " warning; where no slot is stored, but a step and a learning rate, information.",
        example="A model of 40,805 parameters trained with Adam: the optimizer's state is stored:"
        " 40,821 elements, 163,288 bytes.",
        fix="Save with include_optimizer=False (.h5 and SavedModel of Keras 2), or load with"
        " compile=False and save again; or export the model for serving.",
        needs=Needs.ARTIFACT,
        check=_optimizer,
    ),
    AuditRule(
        code="leftover-average",
        severity=Severity.WARNING,
        summary="Moving averages of weights are stored beside the weights.",
        explanation="Evaluation may load them in place of the weights; in a model that ships one of"
        " the two is too many, and it should be known which was meant.",
        example="A checkpoint with conv/weights/ExponentialMovingAverage: moving averages of 1"
        " variable are stored.",
        fix="Save the averages as the weights (optimizer.finalize_variable_values), without the"
        " rest.",
        needs=Needs.ARTIFACT,
        check=_average,
    ),
    AuditRule(
        code="leftover-metric",
        severity=Severity.INFO,
        summary="The state of metrics is stored.",
        explanation="A total and a count for each metric, as the last batch left them. It is of no"
        " use, and of no size.",
        example="A compiled SavedModel: the state of metrics is stored: 2 elements, 8 bytes.",
        fix="Load with compile=False and save again.",
        needs=Needs.ARTIFACT,
        check=_metric,
    ),
    AuditRule(
        code="leftover-training-config",
        severity=Severity.ERROR,
        summary="How the model was compiled is stored.",
        explanation="Optimizer, loss and metrics are for training. Loading builds them again, and"
        " fails where a loss or a metric is somebody's own and not at hand. With the optimizer's"
        " slots beside it, the artifact was saved to train on, and not to ship. Without any it is"
        " information, and a warning where it names what somebody registered (Custom>Loss).",
        example="how the model was compiled is stored: optimizer Adam, loss mse.",
        fix="Save with include_optimizer=False, or load with compile=False and save again.",
        needs=Needs.ARTIFACT,
        check=_training,
    ),
    *BYTES,
)
