"""What each optimizer keeps, as data.

From the classes' own `build`, `_create_slots` and `get_updates`: Keras 3.15
(`keras/src/optimizers`), tf_keras 2.21 (`tf_keras/src/optimizers`, its `legacy` folder and
`optimizer_v1`), Keras 1.2 to 2.3 (`keras/optimizers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inspector.model import Role

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OptimizerVariable:
    """One variable of an optimizer.

    name: the optimizer's own word for it ("iteration", "momentum", "velocity", "m", "vhat" ...).
    role: OPTIMIZER_SLOT where it belongs to one variable of the model, else OPTIMIZER_STATE.
    slot_of: index into the model's trainable variables, in the model's order; None for state, and
        where it cannot be told.
    shape: as the optimizer makes it; None where only the name was known.
    """

    name: str
    role: Role
    slot_of: int | None
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A trainable variable as an optimizer sees it."""

    index: int
    shape: Shape
    name: str = ""


ShapeRule = Callable[[Target, Mapping[str, Any]], Shape | None]


def same(target: Target, _config: Mapping[str, Any]) -> Shape | None:
    """The slot has its variable's shape; Keras 3 makes none for variables that it overwrites."""
    return None if overwritten(target) else target.shape


def always(target: Target, _config: Mapping[str, Any]) -> Shape | None:
    """The slot has its variable's shape, overwritten or not."""
    return target.shape


def rows(target: Target, _config: Mapping[str, Any]) -> Shape | None:
    """Adafactor's row factor; a scalar placeholder for vectors and scalars."""
    if len(target.shape) < 2:
        return ()
    return None if overwritten(target) else target.shape[:-1]


def columns(target: Target, _config: Mapping[str, Any]) -> Shape | None:
    """Adafactor's column factor; a scalar placeholder for vectors and scalars."""
    if len(target.shape) < 2:
        return ()
    return None if overwritten(target) else (*target.shape[:-2], target.shape[-1])


def rows_if_matrix(target: Target, config: Mapping[str, Any]) -> Shape | None:
    """The row factor where the placeholders are not stored."""
    return rows(target, config) if len(target.shape) >= 2 else None


def columns_if_matrix(target: Target, config: Mapping[str, Any]) -> Shape | None:
    """The column factor where the placeholders are not stored."""
    return columns(target, config) if len(target.shape) >= 2 else None


def unless_muon(target: Target, config: Mapping[str, Any]) -> Shape | None:
    """Muon's second moment: for the variables that it leaves to AdamW. Raises UntoldError."""
    if overwritten(target):
        return None
    excluded = config.get("exclude_layers") or []
    if not isinstance(excluded, list) or (excluded and not target.name):
        raise UntoldError
    by_adamw = (
        len(target.shape) != 2
        or (config.get("exclude_embeddings", True) and "embedding" in target.name.lower())
        or any(matches(word, target.name, whole=False) for word in excluded)
    )
    return target.shape if by_adamw else None


def vhat_or_placeholder(target: Target, config: Mapping[str, Any]) -> Shape | None:
    """Keras 2.1 to 2.3 keep one zero a variable where amsgrad is off; Keras 2.0 has no amsgrad."""
    if "amsgrad" not in config:
        return None
    return target.shape if config["amsgrad"] else (1,)


# Keras 3 writes the new value of these straight from the "gradient"
# (`Variable.overwrite_with_gradient`, float8 training), so they need no slots.
OVERWRITTEN = frozenset(
    f"{what}_{kind}"
    for what in ("inputs", "kernel", "outputs_grad")
    for kind in ("scale", "amax_history")
)


def overwritten(target: Target) -> bool:
    """Whether the optimizer assigns this variable instead of stepping it."""
    return target.name.rsplit("/", 1)[-1] in OVERWRITTEN


class UntoldError(Exception):
    """What an optimizer keeps cannot be told: a name is missing, or a pattern is no plain one."""


def matches(pattern: object, text: str, *, whole: bool) -> bool:
    """Whether `pattern` is found in `text` (`whole`: covers it).

    A pattern comes from the artifact, and a hostile regular expression can run for ever: only
    literal text and `.*` are read. Raises UntoldError for anything else.
    """
    if not isinstance(pattern, str):
        raise UntoldError
    pieces = pattern.split(".*")
    if any(char in piece for piece in pieces for char in r".^$*+?{}[]\|()"):
        raise UntoldError
    first, *rest = pieces
    if whole and not text.startswith(first):
        return False
    at = text.find(first)
    if at < 0:
        return False
    at += len(first)
    last = rest.pop() if whole and rest else None
    for piece in rest:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if not whole:
        return True
    return at == len(text) if last is None else len(text) - at >= len(last) and text.endswith(last)


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable kept for each variable of the model; `shape` gives None for those without."""

    name: str
    shape: ShapeRule = same


@dataclass(frozen=True, slots=True)
class Round:
    """Slots made in one walk over the model's variables: all of one variable, then the next.

    when: the option of the config that must be set (not 0, False or None) for the walk to happen.
    """

    slots: tuple[Slot, ...]
    when: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """One optimizer class: scalars, walks over the variables, scalars.

    head: scalars that are there once it is compiled; built_head, tail: made when it is built.
    options: what its shape rules look at in the config.
    """

    rounds: tuple[Round, ...]
    head: tuple[str, ...] = ()
    built_head: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def _walk(*slots: str | Slot, when: str | None = None) -> Round:
    return Round(tuple(Slot(s) if isinstance(s, str) else s for s in slots), when)


def _runs(*slots: str | Slot) -> tuple[Round, ...]:
    return tuple(_walk(slot) for slot in slots)


_MOMENTS = (_walk("momentum", "velocity"),)
_ADAM = (*_MOMENTS, _walk("velocity_hat", when="amsgrad"))
_RMSPROP = (
    _walk("velocity"),
    _walk("momentum", when="momentum"),
    _walk("average_gradient", when="centered"),
)

KERAS3: Mapping[str, Recipe] = {
    "SGD": Recipe((_walk("momentum", when="momentum"),)),
    "RMSprop": Recipe(_RMSPROP),
    "Adagrad": Recipe((_walk("accumulator"),)),
    "Adadelta": Recipe((_walk("accumulated_grad", "accumulated_delta_var"),)),
    "Adam": Recipe(_ADAM),
    "AdamW": Recipe(_ADAM),
    "Adamax": Recipe((_walk("momentum", "norm"),)),
    "Nadam": Recipe(_MOMENTS, tail=("u_product",)),
    "Ftrl": Recipe((_walk("accumulator", "linear"),)),
    "Lamb": Recipe(_MOMENTS),
    "Lion": Recipe((_walk("momentum"),)),
    "ScheduleFreeAdamW": Recipe(_MOMENTS),
    "Adafactor": Recipe((_walk(Slot("r", rows), Slot("c", columns), "velocity"),)),
    "Muon": Recipe(
        (_walk("momentum", Slot("velocity", unless_muon)),), options=("exclude_embeddings",)
    ),
}
# LossScaleOptimizer builds its inner optimizer with attribute tracking off, and what the class
# keeps by assignment only (`self._u_product = Variable(...)`, the placeholders) is then not saved.
KERAS3_SCALED: Mapping[str, Recipe] = {
    **KERAS3,
    "Nadam": Recipe(_MOMENTS),
    "Adafactor": Recipe(
        (_walk(Slot("r", rows_if_matrix), Slot("c", columns_if_matrix), "velocity"),)
    ),
}
KERAS3_FIRST = (
    _walk("average", when="use_ema"),
    _walk(Slot("gradient_accumulator", always), when="gradient_accumulation_steps"),
)

_TF_ADAM = (_walk("m", "v"), _walk("vhat", when="amsgrad"))

# The optimizers of TF 2.11 and later, `tf.keras.optimizers.experimental` before that.
TF_KERAS: Mapping[str, Recipe] = {
    "SGD": Recipe((_walk("m"),)),  # whatever its momentum
    "RMSprop": Recipe(_RMSPROP),
    "Adagrad": Recipe((_walk("accumulator"),)),
    "Adadelta": Recipe((_walk("accumulated_grad", "accumulated_delta_var"),)),
    "Adam": Recipe(_TF_ADAM),
    "AdamW": Recipe(_TF_ADAM),
    "Adamax": Recipe((_walk("m", "u"),)),
    "Nadam": Recipe((_walk("m", "v"),)),  # its u_product is not stored
    "Ftrl": Recipe((_walk("accumulator", "linear"),)),
    "Lion": Recipe((_walk("m"),)),
    "Adafactor": Recipe(
        (_walk(Slot("r", rows_if_matrix), Slot("c", columns_if_matrix), Slot("v")),)
    ),
}
TF_KERAS_FIRST = (_walk("average", when="use_ema"),)

# `tf.keras.optimizers` of TF 2.0 to 2.10, `tf.keras.optimizers.legacy` since. Hyperparameters are
# variables too, but not among its `weights`.
LEGACY: Mapping[str, Recipe] = {
    "SGD": Recipe((_walk("momentum", when="momentum"),)),
    "RMSprop": Recipe(
        (_walk("rms"), _walk("momentum", when="momentum"), _walk("mg", when="centered"))
    ),
    "Adagrad": Recipe((_walk("accumulator"),)),
    "Adadelta": Recipe(_runs("accum_grad", "accum_var")),
    "Adam": Recipe((*_runs("m", "v"), _walk("vhat", when="amsgrad"))),
    "Adamax": Recipe(_runs("m", "v")),
    "Nadam": Recipe(_runs("m", "v"), built_head=("momentum_cache",)),
    "Ftrl": Recipe((_walk("accumulator", "linear"),)),
}

# Keras 1, standalone Keras 2, tf.keras of TF 1.x. `head` is what the newest of them keep.
STANDALONE: Mapping[str, Recipe] = {
    "SGD": Recipe(_runs("moment"), head=("iterations",)),
    "RMSprop": Recipe(_runs("accumulator"), head=("iterations",)),
    "Adagrad": Recipe(_runs("accumulator"), head=("iterations",)),
    "Adadelta": Recipe(_runs("accumulator", "delta_accumulator"), head=("iterations",)),
    "Adam": Recipe(_runs("m", "v", Slot("vhat", vhat_or_placeholder)), head=("iterations",)),
    "Adamax": Recipe(_runs("m", "u"), head=("iterations",)),
    "Nadam": Recipe(_runs("m", "v"), head=("iterations", "m_schedule")),
}
# Heads of the same classes before Keras 2.3 (tf.keras 1.x: Nadam as in STANDALONE).
STANDALONE_OLD_HEADS: Mapping[str, tuple[str, ...]] = {
    "RMSprop": (),
    "Adagrad": (),
    "Adadelta": (),
    "Nadam": ("iterations",),
}

LOSS_SCALE = frozenset({"LossScaleOptimizer", "LossScaleOptimizerV3", "LossScaleOptimizerV1"})
MULTI = "MultiOptimizer"

# Words in stored names.
SLOT_WORDS = frozenset(
    slot.name
    for table in (KERAS3, TF_KERAS, LEGACY, STANDALONE)
    for recipe in table.values()
    for walk in (*recipe.rounds, *KERAS3_FIRST)
    for slot in walk.slots
)
STATE_WORDS = frozenset(
    {
        "iteration",
        "iterations",
        "iter",
        "global_step",
        "learning_rate",
        "current_learning_rate",
        "lr",
        "decay",
        "rho",
        "beta_1",
        "beta_2",
        "beta1_power",
        "beta2_power",
        "momentum_cache",
        "m_schedule",
        "u_product",
        "step_counter",
        "dynamic_scale",
        "current_loss_scale",
        "good_steps",
    }
)
