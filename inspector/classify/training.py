"""Rules for what only training needs: optimizer state and metrics."""

from __future__ import annotations

from inspector.classify.rule import Context, Rule, each
from inspector.model import Naming, Role, Section, Tensor, Verdict

_BASIS = {
    Naming.CONFIG: "config",
    Naming.CLASS: "structure",
    Naming.STORED: "name",
    Naming.POSITION: "position",
    Naming.OBJECTS: "structure",
    Naming.NODES: "structure",
    Naming.NONE: "structure",
}


def _copy(context: Context, tensor: Tensor) -> Verdict | None:
    if tensor.repeats is None or tensor.section is Section.GRAPH:
        return None
    evidence = (
        f"{tensor.repeats}, stored once more under {tensor.owner}: the outer optimizer's list has"
        " the inner optimizer's variables too"
    )
    return Verdict(
        Role.ALIAS,
        "optimizer-copy",
        "structure",
        evidence,
        about=tensor.repeats,
        alias_of=tensor.repeats,
    )


def _slot(context: Context, tensor: Tensor) -> Verdict | None:
    if tensor.section is not Section.OPTIMIZER or not _is_slot(tensor):
        return None
    what = tensor.variable or "a slot"
    if tensor.slot_of is not None:
        evidence = f"the optimizer's {what} of {_called(context, tensor.slot_of)}"
    else:
        evidence = f"the optimizer's {what}, an array kept for one of the model's variables"
    return Verdict(
        Role.OPTIMIZER_SLOT,
        "optimizer-slot",
        _BASIS[tensor.naming],
        evidence,
        trainable=False,
        about=tensor.slot_of,
    )


def _called(context: Context, name: str) -> str:
    """A variable as people know it, where a path to it (layer_with_weights-0) says less."""
    found = context.by_name.get(name)
    if found is None or found.naming is not Naming.OBJECTS or not found.variable:
        return name
    return "/".join(filter(None, (found.layer, found.variable)))


def _is_slot(tensor: Tensor) -> bool:
    # A slot follows a variable; state about the whole run is a single value.
    return tensor.slot_of is not None or tensor.shape not in {(), (1,), None}


def _state(context: Context, tensor: Tensor) -> Verdict | None:
    if tensor.section is not Section.OPTIMIZER or _is_slot(tensor):
        return None
    what = tensor.variable or "one value"
    evidence = f"the optimizer's {what}: one value about the whole run, of no variable"
    basis = _BASIS[tensor.naming]
    return Verdict(Role.OPTIMIZER_STATE, "optimizer-state", basis, evidence, trainable=False)


def _metric(context: Context, tensor: Tensor) -> Verdict | None:
    if tensor.section is not Section.METRICS:
        return None
    evidence = f"stored under {tensor.owner}: the running state of a metric"
    return Verdict(Role.METRIC, "metric-state", "structure", evidence, trainable=False)


RULES: tuple[Rule, ...] = (
    Rule(
        "optimizer-copy",
        "an inner optimizer's variable, stored once more",
        "LossScaleOptimizer and MultiOptimizer list their inner optimizers' variables; the v3 "
        "layout saves the outer list, and then each inner optimizer under its own path.",
        "optimizer/inner_optimizer/vars/0",
        each(_copy),
    ),
    Rule(
        "optimizer-slot",
        "an optimizer's array for one of the model's variables",
        "Stored in the optimizer's part of the file, and shaped like the variable it serves "
        "(Adam keeps two for each trainable variable: momentum and velocity). Matched by the "
        "optimizer's class and config and the order of the trainable variables; else by the "
        "stored name; else by the run of shapes.",
        "optimizer_weights/Adam/m/dense/kernel:0",
        each(_slot),
    ),
    Rule(
        "optimizer-state",
        "an optimizer's value about the whole run",
        "Stored in the optimizer's part of the file, a single value, and of no variable: the "
        "iteration, the learning rate, Nadam's product, a loss scale.",
        "optimizer/vars/0, the iteration",
        each(_state),
    ),
    Rule(
        "metric-state",
        "the running state of a metric",
        "Stored under `metrics` in the v3 layout: sums and counts of the last epoch.",
        "metrics/mean/vars/0",
        each(_metric),
    ),
)
