"""What the names of a TF1 checkpoint say, where what stands beside them agrees.

A Saver keeps variables by name and nothing else. A name alone is weak evidence, so each finding
here rests on more: the variable that a slot is named after is stored too and is as large, a mask
is as large as the weight beside it and has a scalar threshold, a range has both its ends.
Sources: tensorflow/python/training (slot_creator.py, optimizers, moving_averages.py), and
tensorflow/contrib/model_pruning and contrib/quantize of TensorFlow 1.15.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

Shape = tuple[int, ...] | None
Stored = Mapping[str, tuple[str, Shape]]  # name -> dtype, shape

_FLOATS = ("float", "bfloat", "complex")
# Names that TensorFlow 1's optimizers, and BERT's, give their slots. More of one kind for a
# variable are numbered: Adam, Adam_1.
_SLOTS = (
    r"(Adam|AdamW|adam_[mv]|lamb_[mv]|AdaMax|Nadam|LazyAdam|LAMB|LARSOptimizer|Momentum|MomentumW|"
    r"RMSProp|Adagrad|AdagradDA|ProximalAdagrad|Ftrl|Adadelta|PowerSign|AddSign|AMSGrad|"
    # tf.keras' own, under Saver
    r"m|v|vhat|momentum|velocity|rms|mg|accumulator|linear|accum_grad|accum_var)(_\d+)?"
)
_SLOT = re.compile(_SLOTS)
_AVERAGE = re.compile(r"ExponentialMovingAverage(_\d+)?|(?:.+_)?ema")
_POWER = re.compile(r"beta[12]_power(_\d+)?")
_OPTIMIZER = re.compile(
    r"(Adam|SGD|RMSprop|Adagrad|Adadelta|Adamax|Nadam|Ftrl|LossScaleOptimizer)\w*"
)
_SETTING = re.compile(
    r"(iter|iterations|lr|learning_rate|decay|beta_[12]|rho|momentum|epsilon|schedule_decay|"
    r"m_schedule|current_loss_scale|num_good_steps|good_steps)(_\d+)?"
)
_ALONE = re.compile(r"(learning_rate|current_loss_scale|num_good_steps|loss_scale)(_\d+)?")
_STEP = re.compile(r"global_step(_\d+)?")
_MOMENTS = re.compile(r"(\w+_)?moments(_\d+)?")
_RENORM = re.compile(r"(moving_stddev|renorm_(mean|stddev)(_weight)?)")
_DEBIASED = ("biased", "local_step")
_RANGE = re.compile(r"(\w+_)?quant(_\d+)?")
_PRUNING = re.compile(r"(sparsity|last_mask_update_step)(_\d+)?")
_SCOPES = 16  # parts of a name that may stand before a variable's own
_TABLE = re.compile(r"(?P<table>.*[-/])(?P<side>keys|values)")


class Kind(enum.StrEnum):
    """What a variable is beside the model's own."""

    SLOT = "slot"
    AVERAGE = "average"
    OPTIMIZER = "optimizer"  # one value about the whole run
    STEP = "step"
    STATISTIC = "statistic"
    DEBIASED = "debiased"  # what a moving average is corrected with
    MASK = "mask"
    THRESHOLD = "threshold"
    PRUNING = "pruning"  # one value about all pruning
    RANGE = "range"
    TABLE = "table"


class Sense(NamedTuple):
    """What a name says. of: name of the variable that it serves; why: the reason, as a clause."""

    kind: Kind
    of: str | None
    why: str


Found = Iterator[tuple[str, Sense]]


def split(name: str) -> tuple[str, str]:
    """(scope, the variable's own name): "conv1/weights" is "weights" of "conv1"."""
    scope, _, variable = name.rpartition("/")
    return scope, variable


def _endings(path: str) -> Iterator[str]:
    """A path, then what is left of it without its first parts, longest first."""
    for _ in range(_SCOPES):
        if not path:
            return
        yield path
        path = path.partition("/")[2]


def _beginnings(path: str) -> Iterator[str]:
    """What is left of a path without its last parts, longest first."""
    for _ in range(_SCOPES):
        path = split(path)[0]
        if not path:
            return
        yield path


def _is_float(dtype: str) -> bool:
    return dtype.startswith(_FLOATS)


def _namesake(stored: Stored, name: str) -> tuple[str, str] | None:
    """(the variable that a name is made of, what is added), where that is as large.

    An optimizer's scope may stand before it: OptimizeLoss/dense/kernel/Adam is of dense/kernel.
    Estimators put a part's name between: dense/kernel/t_0/Adagrad.
    """
    path, added = split(name)
    known = _SLOT.fullmatch(added) or _AVERAGE.fullmatch(added)
    for stem in chain(_endings(path), _beginnings(path) if known else ()):
        if stem in stored and stored[stem] == stored[name]:
            return stem, added
    return None


def slots(stored: Stored) -> Found:
    """Arrays that an optimizer keeps for a variable."""
    for name, (dtype, shape) in stored.items():
        found = _namesake(stored, name) if _is_float(dtype) else None
        if found is None or _AVERAGE.fullmatch(found[1]) or found[1] in _DEBIASED:
            continue
        stem, added = found
        known = _SLOT.fullmatch(added)
        # Under a variable's own full name nothing else is made: a slot of any optimizer.
        if known or (name == f"{stem}/{added}" and shape):
            whose = f"{added} is a slot" if known else f"an optimizer that calls its slot {added}"
            yield name, Sense(Kind.SLOT, stem, f"named after {stem} and as large; {whose}")
    shapes = {shape for name, (_, shape) in stored.items() if not _keras_scope(name)}
    for name, (dtype, shape) in stored.items():
        if _keras_scope(name) and shape and shape in shapes and _is_float(dtype):
            why = (
                f"in the scope of a Keras optimizer ({split(name)[0]}), and as large as a variable"
            )
            yield name, Sense(Kind.SLOT, None, why)


def _keras_scope(name: str) -> bool:
    parts = name.split("/")
    return parts[0].startswith("training") and any(map(_OPTIMIZER.fullmatch, parts[1:-1]))


def averages(stored: Stored) -> Found:
    """Moving averages of variables, which evaluation may use in their stead."""
    for name in stored:
        found = _namesake(stored, name)
        if found is not None and _AVERAGE.fullmatch(found[1]):
            why = f"named after {found[0]} and as large: its moving average over the steps"
            yield name, Sense(Kind.AVERAGE, found[0], why)


def optimizer_values(stored: Stored) -> Found:
    """Single values of an optimizer: powers of Adam's decays, settings, the scale of the loss."""
    powers = {split(name)[1][:5] for name in stored if _POWER.fullmatch(split(name)[1])}
    for name, (_, shape) in stored.items():
        scope, variable = split(name)
        if shape != ():
            continue
        if _POWER.fullmatch(variable) and powers == {"beta1", "beta2"}:
            why = "a scalar, and both powers of Adam's decays are there"
        elif _SETTING.fullmatch(variable) and _OPTIMIZER.fullmatch(split(scope)[1]):
            why = f"a scalar in the scope of the optimizer {scope}"
        elif _ALONE.fullmatch(variable):
            why = f"a scalar called {variable}"
        else:
            continue
        yield name, Sense(Kind.OPTIMIZER, None, why)


def steps(stored: Stored) -> Found:
    """The number of steps that training has made."""
    for name, (dtype, shape) in stored.items():
        if shape == () and _STEP.fullmatch(split(name)[1]) and not _is_float(dtype):
            why = "one whole number called global_step: the steps that training has made"
            yield name, Sense(Kind.STEP, None, why)


def statistics(stored: Stored) -> Found:
    """Moments that batch normalization uses at inference."""
    pairs = set()
    for name in stored:
        scope, variable = split(name)
        other = f"{scope}/moving_variance" if scope else "moving_variance"
        if variable == "moving_mean" and stored.get(other) == stored[name]:
            pairs.add(scope)
            for one, twin in ((name, other), (other, name)):
                yield one, Sense(Kind.STATISTIC, None, f"{twin} is beside it, and as large")
    for name, (_, shape) in stored.items():
        scope, variable = split(name)
        if scope in pairs and _RENORM.fullmatch(variable):
            why = f"beside {scope}/moving_mean: a moment of batch renormalization"
            yield name, Sense(Kind.STATISTIC, None, why)
        elif len(shape or ()) == 1 and _AVERAGE.fullmatch(variable) and _in_moments(scope):
            yield name, Sense(Kind.STATISTIC, None, "a vector, the average of a layer's moments")


def _in_moments(scope: str) -> bool:
    return any(map(_MOMENTS.fullmatch, scope.split("/")))


def debiased(stored: Stored) -> Found:
    """What keeps a moving average from leaning to its start: biased sums, and their steps."""
    for name, (_, shape) in stored.items():
        path, variable = split(name)
        if variable not in _DEBIASED or any(f"{path}/{one}" not in stored for one in _DEBIASED):
            continue
        for stem in _endings(path):
            if stem in stored and shape == (() if variable == "local_step" else stored[stem][1]):
                why = f"named after {stem}, a moving average that is corrected for its start"
                yield name, Sense(Kind.DEBIASED, stem, why)
                break


def pruning(stored: Stored) -> Found:
    """Masks and thresholds of TensorFlow 1's model_pruning, and its own state."""
    beside: dict[str, list[str]] = {}
    for name in stored:
        beside.setdefault(split(name)[0], []).append(name)
    masks = 0
    for scope, names in beside.items():
        prefix = f"{scope}/" if scope else ""
        mask, threshold = f"{prefix}mask", f"{prefix}threshold"
        if mask not in stored or stored.get(threshold, ("", None))[1] != ():
            continue
        weight = next((one for one in names if one != mask and stored[one] == stored[mask]), None)
        if weight is None or not stored[mask][1]:
            continue
        masks += 1
        why = f"beside {weight} and as large, with a scalar threshold"
        yield mask, Sense(Kind.MASK, weight, why)
        yield threshold, Sense(Kind.THRESHOLD, weight, f"a scalar beside the mask of {weight}")
    for name, (_, shape) in stored.items() if masks else ():
        if shape == () and _PRUNING.fullmatch(split(name)[1]):
            yield name, Sense(Kind.PRUNING, None, f"one value, and {masks:,} masks are stored")


def ranges(stored: Stored) -> Found:
    """Ends of the ranges that quantization-aware training learns."""
    for name in stored:
        scope, variable = split(name)
        twin = f"{scope}/max" if variable == "min" else f"{scope}/min"
        if variable not in {"min", "max"} or not _RANGE.fullmatch(split(scope)[1]):
            continue
        if stored.get(twin) == stored[name]:
            yield name, Sense(Kind.RANGE, None, f"with {twin} the two ends of a range")


def tables(stored: Stored) -> Found:
    """Keys and values of lookup tables."""
    for name, (_, shape) in stored.items():
        found = _TABLE.fullmatch(name)
        if found is None or not shape:
            continue
        twin = found["table"] + {"keys": "values", "values": "keys"}[found["side"]]
        other = stored.get(twin, ("", None))[1]
        if other and other[0] == shape[0]:
            why = f"the {found['side']} of a lookup table; {twin} has as many"
            yield name, Sense(Kind.TABLE, None, why)


# The first that finds a name is right.
FINDERS: tuple[Callable[[Stored], Found], ...] = (
    tables,
    pruning,
    ranges,
    debiased,
    averages,
    slots,
    optimizer_values,
    steps,
    statistics,
)


def senses(stored: Stored) -> dict[str, Sense]:
    """What each name says that says more than that it is a variable."""
    found: dict[str, Sense] = {}
    for finder in FINDERS:
        for name, sense in finder(stored):
            found.setdefault(name, sense)
    return found
