"""Rules for variables that have names and no objects behind them: TensorFlow 1's Saver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from inspector.classify.rule import Apply, Context, Rule, each
from inspector.graph import names
from inspector.graph.names import Found, Kind, Stored
from inspector.model import Role, Section, Store, Tensor, Verdict

_ROLES: Mapping[Kind, Role] = {
    Kind.SLOT: Role.OPTIMIZER_SLOT,
    Kind.AVERAGE: Role.OPTIMIZER_SLOT,
    Kind.OPTIMIZER: Role.OPTIMIZER_STATE,
    Kind.STEP: Role.COUNTER,
    Kind.STATISTIC: Role.STATISTIC,
    Kind.DEBIASED: Role.OPTIMIZER_STATE,
    Kind.MASK: Role.MASK,
    Kind.THRESHOLD: Role.THRESHOLD,
    Kind.PRUNING: Role.PRUNING_STEP,
    Kind.RANGE: Role.QUANT_PARAM,
    Kind.TABLE: Role.LOOKUP,
}
_NUMBERS = ("float", "bfloat", "complex")


def _stored(context: Context) -> Stored:
    """The variables of an artifact: what constants of its graph are called says nothing here."""
    return {
        t.name: (t.dtype, t.shape)
        for t in context.artifact.tensors
        if t.section is not Section.GRAPH
    }


def _by(
    find: Callable[[Stored], Found], code: str, stores: tuple[Store, ...] = (Store.NAMES,)
) -> Apply:
    """A rule that gives what one finder finds its role."""

    def apply(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
        if context.artifact.store not in stores:
            return {}
        waiting = {t.name: t for t in undecided if t.section is not Section.GRAPH}
        found: dict[str, Verdict] = {}
        for name, sense in find(_stored(context)):
            if name in waiting:
                role, trained = _ROLES[sense.kind], bool(waiting[name].trainable)
                found.setdefault(
                    name, Verdict(role, code, "name", sense.why, trainable=trained, about=sense.of)
                )
        return found

    return apply


def _is_variable(context: Context, tensor: Tensor) -> bool:
    return context.artifact.store is Store.NAMES and tensor.section is Section.MODEL


def _counts(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_variable(context, tensor) or tensor.shape != ():
        return None
    if not tensor.dtype.startswith(("int", "uint")):
        return None
    evidence = (
        f"one whole number ({tensor.dtype}) that was saved by name: it counts something, as no"
        " parameter does"
    )
    return Verdict(Role.COUNTER, "saved-count", "structure", evidence, trainable=False)


def _text(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_variable(context, tensor) or tensor.dtype != "string":
        return None
    evidence = "text that was saved by name: no parameter"
    return Verdict(Role.CONSTANT, "saved-text", "structure", evidence, trainable=False)


def _variable(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_variable(context, tensor) or not tensor.dtype.startswith(_NUMBERS):
        return None
    said = {
        None: "no graph tells whether it is trained",
        True: "the graph lists it as trainable",
        False: "the graph does not list it as trainable",
    }[tensor.trainable]
    evidence = (
        "a floating-point variable that was saved by name, and no rule makes it anything else;"
        f" {said}"
    )
    return Verdict(Role.WEIGHT, "saved-variable", "structure", evidence, trainable=tensor.trainable)


RULES: tuple[Rule, ...] = (
    Rule(
        "table-pair",
        "keys or values of a lookup table",
        "A table is saved as two tensors whose names differ in their ends, keys and values, and "
        "which have as many entries.",
        "table/.ATTRIBUTES/table-keys beside table/.ATTRIBUTES/table-values",
        _by(names.tables, "table-pair", (Store.NAMES, Store.OBJECTS)),
    ),
    Rule(
        "pruning-names",
        "a mask or a threshold of TensorFlow 1's model_pruning",
        "A variable called mask that is as large as another one of its scope, with a scalar called "
        "threshold beside both. A variable of that name alone is none.",
        "conv1/mask beside conv1/weights and conv1/threshold",
        _by(names.pruning, "pruning-names"),
    ),
    Rule(
        "range-names",
        "an end of a range of quantization-aware training",
        "min and max in a scope that tf.contrib.quantize makes (weights_quant, act_quant): both "
        "are stored, and of one shape.",
        "conv1/weights_quant/min",
        _by(names.ranges, "range-names"),
    ),
    Rule(
        "debiased-names",
        "what a moving average is corrected for its start with",
        "biased and local_step under the name of a stored variable: the sum before the correction, "
        "as large as the variable, and the number of steps.",
        "bn/moving_mean/biased",
        _by(names.debiased, "debiased-names"),
    ),
    Rule(
        "average-names",
        "a variable's moving average over the steps of training",
        "Named after a stored variable and as large. Counted with the optimizer's arrays: it "
        "repeats the variable, and evaluation may load it in the variable's stead.",
        "w/ExponentialMovingAverage",
        _by(names.averages, "average-names"),
    ),
    Rule(
        "slot-names",
        "an optimizer's array for a variable, by its name",
        "TensorFlow 1 names a slot after its variable, with the optimizer's name behind it and "
        "perhaps a scope before it. The variable has to be stored too, of the same dtype and "
        "shape; a name alone is not enough.",
        "dense/kernel/Adam_1",
        _by(names.slots, "slot-names"),
    ),
    Rule(
        "optimizer-names",
        "an optimizer's single value, by its name",
        "A scalar: both powers of Adam's decays, a setting in the scope of an optimizer of Keras, "
        "the learning rate or the scale of the loss.",
        "beta1_power",
        _by(names.optimizer_values, "optimizer-names"),
    ),
    Rule(
        "step-name",
        "the number of steps that training has made",
        "An integer scalar called global_step.",
        "global_step",
        _by(names.steps, "step-name"),
    ),
    Rule(
        "moment-names",
        "moments of batch normalization",
        "moving_mean and moving_variance of one scope, of one shape; what batch renormalization "
        "keeps beside them; averages of the moments of a layer.",
        "bn/moving_variance",
        _by(names.statistics, "moment-names"),
    ),
)

# For what is still open once the graph's uses were looked at.
LAST: tuple[Rule, ...] = (
    Rule(
        "saved-count",
        "a whole number that was saved by name",
        "An integer scalar in a checkpoint of names, which no other rule explains.",
        "epoch",
        each(_counts),
    ),
    Rule(
        "saved-text",
        "text that was saved by name",
        "A string variable in a checkpoint of names: never a parameter.",
        "class_names",
        each(_text),
    ),
    Rule(
        "saved-variable",
        "a variable of the model, by the purpose of a Saver",
        "A Saver keeps what training has to find again. A floating-point variable that is no slot, "
        "no average, no mask, no range and no statistic is taken as a weight; whether it is "
        "trained only a graph can tell.",
        "dense/kernel",
        each(_variable),
    ),
)
