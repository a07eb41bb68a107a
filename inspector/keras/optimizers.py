"""Which variables an optimizer keeps, in the order that Keras stores them.

A v3 store (`optimizer/vars/0` ... in `.keras` and `.weights.h5`) numbers them, an `.h5` file lists
them in `optimizer_weights`' attribute `weight_names`; both in the order of `optimizer.variables`.

Two things are stored differently from what `expected` says, and are the reader's to know: the
legacy optimizers of tf_keras put nothing into a v3 store; a wrapping optimizer's inner ones are
stored a second time there, under `optimizer/inner_optimizer/vars` (LossScaleOptimizer) and
`optimizer/optimizers/<class>/vars` (MultiOptimizer), each an unbroken run of the outer list: the
end of it for LossScaleOptimizer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspector.keras.optimizer_names import by_name
from inspector.keras.optimizer_tables import (
    KERAS3,
    KERAS3_FIRST,
    KERAS3_SCALED,
    LEGACY,
    LOSS_SCALE,
    MULTI,
    STANDALONE,
    STANDALONE_OLD_HEADS,
    TF_KERAS,
    TF_KERAS_FIRST,
    OptimizerVariable,
    Recipe,
    Round,
    Shape,
    Target,
    UntoldError,
    matches,
)
from inspector.model import Flavor, Role

__all__ = [
    "OptimizerVariable",
    "by_name",
    "by_shapes",
    "expected",
    "fitting",
    "is_legacy",
    "optimizer_of",
]

_MAX_WRAPPERS = 4  # Keras refuses a wrapper in a wrapper; a config may claim any depth
_OLD_OPTIONS = frozenset({"decay", "lr", "schedule_decay"})
_CANONICAL: Mapping[str, str] = {
    name.lower(): name for name in (*KERAS3, *TF_KERAS, *LOSS_SCALE, MULTI)
}


def optimizer_of(config: object) -> tuple[str, Mapping[str, Any]] | None:
    """An optimizer's class and config, from an `.h5` training_config or a `.keras` compile_config.

    The class comes without its package ("Custom>Adam" is "Adam"), and a bare name ("adam": all
    defaults) in its class's spelling. Wrappers (LossScaleOptimizer, MultiOptimizer) are returned
    as they are. None where the config names no optimizer.
    """
    if not isinstance(config, Mapping):
        return None
    found = next(
        (config[key] for key in ("optimizer_config", "optimizer") if key in config), config
    )
    if isinstance(found, str):
        return _canonical(found), {}
    return _class_and_config(found)


def expected(
    class_name: str,
    config: Mapping[str, Any],
    flavor: Flavor,
    trainable_shapes: Sequence[Shape],
    *,
    names: Sequence[str] = (),
    built: bool = True,
) -> tuple[OptimizerVariable, ...] | None:
    """The variables an optimizer of this config keeps for a model's trainable variables.

    names: the variables' Keras paths ("embedding/embeddings"), as many as shapes. Keras 1, Muon's
        exclusions (an embedding cannot be told from a kernel without), MultiOptimizer and float8
        training go by them.
    built: False for a model that was compiled and never fitted.
    Returns None for a class that is not Keras' own and where the names are needed and missing.
    """
    model = _Model(flavor, _targets(trainable_shapes, names), built)
    return next((_collect(found) for found in _lists(class_name, config, model)), None)


def fitting(
    shapes: Sequence[Shape],
    class_name: str,
    config: Mapping[str, Any],
    flavor: Flavor,
    trainable_shapes: Sequence[Shape],
    *,
    names: Sequence[str] = (),
) -> tuple[OptimizerVariable, ...] | None:
    """`expected`, checked against the stored shapes, in the order they are stored.

    Fitted, only compiled, and the lists of older releases are tried in turn; None where all of
    them disagree with the store.
    """
    targets = _targets(trainable_shapes, names)
    stored = [tuple(shape) for shape in shapes]
    for built in (True, False):
        for found in _lists(class_name, config, _Model(flavor, targets, built)):
            if (variables := _collect(found, stored)) is not None:
                return variables
    return None


def is_legacy(config: Mapping[str, Any]) -> bool:
    """Whether the config is an older class's: before TF 2.11, or `tf.keras.optimizers.legacy`."""
    if "is_legacy_optimizer" in config:
        return bool(config["is_legacy_optimizer"])
    return not _OLD_OPTIONS.isdisjoint(config) and "jit_compile" not in config


def by_shapes(
    shapes: Sequence[Shape],
    trainable_shapes: Sequence[Shape],
    flavor: Flavor | None = None,
    names: Sequence[str] = (),
) -> tuple[OptimizerVariable, ...] | None:
    """The variables of a v3 store without a config, from its shapes in order.

    Every optimizer of Keras 3 and tf_keras that would store just these shapes is considered (of
    `flavor` alone, where it is known). What they agree on is told; a slot they call differently is
    "slot 0", "slot 1" of its variable, a scalar "state"; a slot that they give to different
    variables has slot_of None. A custom optimizer is read as scalars, then k slots a variable,
    interleaved or in runs. None when nothing fits.
    """
    targets = _targets(trainable_shapes, names)
    stored = [tuple(shape) for shape in shapes]
    lists = (_collect(candidate, stored) for candidate in _all_lists(targets, flavor))
    found = {variables for variables in lists if variables is not None}
    found = found or set(_plain_lists(stored, targets))
    return _agreement(tuple(found)) if found else None


# --- one optimizer -------------------------------------------------------------------------------

Variables = Iterator[OptimizerVariable]


@dataclass(frozen=True, slots=True)
class _Model:
    """What an optimizer meets: the trainable variables, and whether it was built for them."""

    flavor: Flavor
    targets: Sequence[Target]
    built: bool = True


@dataclass(frozen=True, slots=True)
class _Plan:
    """A recipe with what its line of Keras adds to each."""

    recipe: Recipe
    head: tuple[str, ...]
    first: tuple[Round, ...] = ()
    by_name: bool = False


def _lists(
    class_name: str, config: Mapping[str, Any], model: _Model, depth: int = 0
) -> Iterator[Variables]:
    """The lists that this class and config can mean, likeliest first, each made as it is read."""
    if depth > _MAX_WRAPPERS:
        return
    name = _canonical(class_name)
    if name in LOSS_SCALE:
        inner = _class_and_config(config.get("inner_optimizer", config.get("optimizer")))
        if inner is None:
            return
        own: tuple[str, ...] = ()  # in tf_keras only checkpoints hold the scale
        if model.flavor is Flavor.KERAS3:
            own = ("iteration", "learning_rate")
            own += ("step_counter", "dynamic_scale") if model.built else ()
        for variables in _lists(*inner, model, depth + 1):
            yield itertools.chain(_scalars(own), variables)
    elif name == MULTI:
        if model.flavor is Flavor.KERAS3:
            yield _multi(config, model)
    else:
        for plan in _plans(name, config, model.flavor, scaled=depth > 0):
            yield _fill(plan, config, model)


def _plans(
    name: str, config: Mapping[str, Any], flavor: Flavor, *, scaled: bool = False
) -> Iterator[_Plan]:
    """Which recipes apply, likeliest first; scaled: inside a LossScaleOptimizer."""
    if flavor is Flavor.KERAS3:
        if recipe := (KERAS3_SCALED if scaled else KERAS3).get(name):
            # A schedule is no variable.
            fixed = isinstance(config.get("learning_rate", 0.0), int | float)
            head = ("iteration", "learning_rate") if fixed else ("iteration",)
            yield _Plan(recipe, head, KERAS3_FIRST)
    elif flavor is Flavor.KERAS1 or ("name" not in config and is_legacy(config)):
        if recipe := STANDALONE.get(name):
            heads = (recipe.head, STANDALONE_OLD_HEADS.get(name, recipe.head))
            # Keras 2.3 calls "learning_rate" what was "lr".
            for old_or_new in reversed(heads) if "lr" in config else heads:
                yield _Plan(recipe, old_or_new, by_name=flavor is Flavor.KERAS1)
    elif is_legacy(config):
        if recipe := LEGACY.get(name):
            yield _Plan(recipe, ("iter",))
    elif recipe := TF_KERAS.get(name):
        yield _Plan(recipe, ("iteration",), TF_KERAS_FIRST)


def _fill(plan: _Plan, config: Mapping[str, Any], model: _Model) -> Variables:
    """Walk the recipe over the variables. Raises UntoldError."""
    yield from _scalars(plan.head)
    if not model.built:
        return
    recipe, targets = plan.recipe, model.targets
    yield from _scalars(recipe.built_head)
    if plan.by_name:  # Keras 1 updates the variables in the order of their names
        _require_names(targets)
        targets = sorted(targets, key=lambda target: target.name)
    for walk in (*plan.first, *recipe.rounds):
        if walk.when is None or config.get(walk.when):
            for target, slot in itertools.product(targets, walk.slots):
                if (shape := slot.shape(target, config)) is not None:
                    yield OptimizerVariable(slot.name, Role.OPTIMIZER_SLOT, target.index, shape)
    yield from _scalars(recipe.tail)


def _multi(config: Mapping[str, Any], model: _Model) -> Variables:
    """MultiOptimizer: its own scalars, then each inner optimizer over the variables mapped to it.

    Raises UntoldError.
    """
    _require_names(model.targets)
    _, mapping = _class_and_config(config.get("optimizer_map")) or ("", {})
    table, default = mapping.get("optimizer_map"), mapping.get("default_optimizer")
    rules: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
    inners: list[Any] = []  # equal configs, names included, are one optimizer under two patterns
    for inner in (*rules.values(), default):
        if inner not in inners:
            inners.append(inner)
    shares: list[list[Target]] = [[] for _ in inners]
    for target in model.targets:
        key: str | None = target.name
        if key not in rules:
            key = next((rule for rule in rules if matches(rule, target.name, whole=True)), None)
        shares[inners.index(default if key is None else rules[key])].append(target)
    yield from _scalars(("iteration", "learning_rate"))
    for inner, share in zip(inners, shares, strict=True):
        class_name, inner_config = _class_and_config(inner) or ("", {})
        part = _Model(model.flavor, share, model.built and bool(share))
        plan = next(_plans(class_name, inner_config, model.flavor), None)
        if plan is None:
            raise UntoldError
        yield from _fill(plan, inner_config, part)


def _collect(
    variables: Variables, shapes: Sequence[Shape] | None = None
) -> tuple[OptimizerVariable, ...] | None:
    """The list, whole; None where it cannot be told, or is not of these shapes."""
    result: list[OptimizerVariable] = []
    try:
        for variable in variables:
            if shapes is not None and (
                len(result) == len(shapes) or variable.shape != shapes[len(result)]
            ):
                return None
            result.append(variable)
    except UntoldError:
        return None
    return tuple(result) if shapes is None or len(result) == len(shapes) else None


# --- no config -----------------------------------------------------------------------------------

_MAX_SCALARS = 8  # more than any of Keras' own optimizers keeps


def _all_lists(targets: Sequence[Target], flavor: Flavor | None) -> Iterator[Variables]:
    """What every optimizer would store, under every combination of its options."""
    tables = {
        Flavor.KERAS3: (KERAS3, KERAS3_FIRST),
        Flavor.TF_KERAS: (TF_KERAS, TF_KERAS_FIRST),
    }
    for line, (table, first) in tables.items():
        if flavor not in (None, line):
            continue
        models = [_Model(line, targets, built) for built in (True, False)]
        for name, recipe in table.items():
            options = [w.when for w in (*first, *recipe.rounds) if w.when] + [*recipe.options]
            for schedule, *setting in itertools.product((False, True), repeat=len(options) + 1):
                config: dict[str, Any] = dict(zip(options, setting, strict=True))
                config["learning_rate"] = {} if schedule else 0.0
                wrapped = {"inner_optimizer": {"class_name": name, "config": config}}
                for model in models:
                    yield from _lists(name, config, model)
                    yield from _lists("LossScaleOptimizer", wrapped, model)


def _plain_lists(
    shapes: Sequence[Shape], targets: Sequence[Target]
) -> Iterator[tuple[OptimizerVariable, ...]]:
    """Scalars, then the same number of slots for every variable, interleaved or in runs."""
    if not targets:
        return
    own = [target.shape for target in targets]
    for scalars in range(min(_MAX_SCALARS, len(shapes)) + 1):
        if any(shape != () for shape in shapes[:scalars]):
            return
        rest = list(shapes[scalars:])
        count, odd = divmod(len(rest), len(own))
        if odd or not count:
            continue
        head = tuple(_scalars(["state"] * scalars))
        interleaved = [(t, k) for t in targets for k in range(count)]
        runs = [(t, k) for k in range(count) for t in targets]
        for order in (interleaved, runs):
            if [t.shape for t, _ in order] == rest:
                yield (
                    *head,
                    *(
                        OptimizerVariable(f"slot {k}", Role.OPTIMIZER_SLOT, t.index, t.shape)
                        for t, k in order
                    ),
                )


def _agreement(lists: Sequence[tuple[OptimizerVariable, ...]]) -> tuple[OptimizerVariable, ...]:
    """What all the lists say, position by position."""
    result: list[OptimizerVariable] = []
    seen: dict[int | None, int] = {}
    for column in zip(*lists, strict=True):
        first = column[0]
        names, roles, owners = (
            {getattr(variable, field) for variable in column}
            for field in ("name", "role", "slot_of")
        )
        role = first.role if len(roles) == 1 else Role.OPTIMIZER_STATE
        owner = first.slot_of if len(owners) == 1 else None
        nth = seen.get(owner, 0)
        if role is Role.OPTIMIZER_SLOT:
            seen[owner] = nth + 1
        anonymous = "state" if role is Role.OPTIMIZER_STATE else "slot"
        if role is Role.OPTIMIZER_SLOT and owner is not None:
            anonymous = f"slot {nth}"
        name = first.name if len(names) == 1 else anonymous
        result.append(OptimizerVariable(name, role, owner, first.shape))
    return tuple(result)


# --- small parts ---------------------------------------------------------------------------------


def _scalars(names: Sequence[str]) -> Variables:
    return (OptimizerVariable(name, Role.OPTIMIZER_STATE, None, ()) for name in names)


def _require_names(targets: Sequence[Target]) -> None:
    if any(not target.name for target in targets):
        raise UntoldError


def _targets(shapes: Sequence[Shape], names: Sequence[str]) -> tuple[Target, ...]:
    known = names if len(names) == len(shapes) else [""] * len(shapes)
    return tuple(
        Target(index, tuple(shape), name.removesuffix(":0"))
        for index, (shape, name) in enumerate(zip(shapes, known, strict=True))
    )


def _canonical(class_name: str) -> str:
    bare = class_name.removeprefix("Custom>")
    return _CANONICAL.get(bare.lower(), bare)


def _class_and_config(found: object) -> tuple[str, Mapping[str, Any]] | None:
    if not isinstance(found, Mapping) or not isinstance(found.get("class_name"), str):
        return None
    config = found.get("config")
    return _canonical(found["class_name"]), config if isinstance(config, Mapping) else {}
