"""Sentences about counts: what Keras counts, what else is stored, and how it adds up.

`answer.py` has the other questions, and the order of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inspector import answer_converted as converted
from inspector.model import GROUP_OF, Group, Role
from inspector.report import ArtifactReport, TensorReport
from inspector.words import ROLE_WORDS, count, number

# In which words a group of roles is named after "N of ...".
_OF_GROUP: Mapping[Group, str] = {
    Group.WEIGHT: "of the model",
    Group.PRUNING: "of pruning",
    Group.CLUSTERING: "of clustering",
    Group.QUANTIZATION: "of quantization",
    Group.TRAINING: "of training",
    Group.STRUCTURE: "of copies and constants",
    Group.UNKNOWN: "that no rule explains",
}
_COUNTED = (Group.WEIGHT, Group.PRUNING, Group.CLUSTERING, Group.QUANTIZATION)
_CONSTANTS = f"of {ROLE_WORDS[Role.CONSTANT][1]}"
_MODEL = (Role.WEIGHT, Role.STATISTIC)
_AVERAGE = "average-names"  # the rule that tells moving averages from other slots
OPTIMIZER = (Role.OPTIMIZER_SLOT, Role.OPTIMIZER_STATE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentences need beside the report.

    keras_elements: elements by role as Keras counts them (packed int4 values two a byte);
    classes: of every layer; lora: a layer's config names a lora_rank; quantizes_8_bit: a
    quantization wrapper was given one of the toolkit's 8-bit schemes; vocabulary: entries by
    name; copied_bytes: bytes that each copy takes of the file. is_keras: Keras could load it, and
    would count; frozen: it has no variables, and weights among the constants of its graph.
    """

    keras_elements: Mapping[str, int]
    classes: frozenset[str]
    lora: bool
    quantizes_8_bit: bool
    has_config: bool
    is_keras: bool
    frozen: bool
    complete: bool
    vocabulary: Mapping[str, int]
    copied_bytes: Mapping[str, int]


def parameters(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """What Keras counts, and of what it is made."""
    total = report.totals.count_params
    if not facts.is_keras:
        yield from _uncounted(report, facts)
        return
    if total is None:
        reason = report.totals_reasons.get("count_params")
        yield "What Keras would count is unknown" + (f": {reason.rstrip('.')}." if reason else ".")
        yield from _stored_sentence(report, facts)
        return
    head = f"{count(total, 'parameter')} as Keras counts {'it' if total == 1 else 'them'}"
    parts, made = _counted_parts(facts), _made(total, facts)
    if total == 0:
        yield f"{head}: the model has nothing to train."
    elif facts.lora and made > 0:
        yield (
            f"{head}: {number(total - made)} stored + {number(made)} that loading makes anew, "
            "since LoRA kernels are merged into the kernel when a model is saved."
        )
        if report.totals.stored_elements != total - made:
            yield from _stored_sentence(report, facts)
    elif made > 0:
        yield f"{head} once loaded."
        yield from _stored_sentence(report, facts)
    elif len(parts) == 1:
        yield head + _trainability(report) + "."
        yield from _left_out(-made)
    else:
        words = [
            f"{number(size + (made if group is Group.WEIGHT else 0))} {_OF_GROUP[group]}"
            + ("" if group is Group.WEIGHT else f" ({_details(report, group)})")
            for group, size in parts
        ]
        yield f"{head}: {' + '.join(words)}."
        yield from _trained(report)
        yield from _left_out(-made)


def _made(total: int, facts: Facts) -> int:
    """Parameters that loading makes; below 0, how many of the model's elements are none."""
    return total - sum(size for _, size in _counted_parts(facts))


def _left_out(elements: int) -> Iterable[str]:
    """What the model uses and Keras does not count: constants that stand for weights."""
    if elements > 0:
        yield f"Keras does not count {count(elements, 'more element')} that the model uses."


def _uncounted(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """What the model has, where Keras would count nothing."""
    rows = {role: report.roles[role] for role in _MODEL if role in report.roles}
    total = _model_elements(report)
    if total:
        tensors = count(sum(row.tensors for row in rows.values()), "tensor")
        parts = [f"{number(row.elements)} of {ROLE_WORDS[role][1]}" for role, row in rows.items()]
        apart = f": {' + '.join(parts)}" if len(parts) > 1 else ""
        yield f"The model has {count(total, 'parameter')} in {tensors}{apart}."
    else:
        yield converted.opaque(report) or "No parameter of a model is stored here."
    trainable, fixed = report.totals.trainable, report.totals.non_trainable
    if trainable is not None and fixed is not None and trainable + fixed:
        if trainable == total:
            yield f"{'It is' if total == 1 else 'All are'} trainable, as the file says."
        else:
            # What is no parameter may be a variable (a counter); a captured constant is none.
            whose = "" if trainable + fixed == total else " elements of variables"
            some, rest = (number(one) if one else "none" for one in (trainable, fixed))
            yield f"The file lists {some}{whose} as trainable and {rest} as not."
    if facts.frozen and Role.MASK in report.roles:
        yield "The graph still multiplies its weights by the pruning masks."
    reason = report.totals_reasons.get("count_params")
    if facts.frozen:
        yield "There are no variables: freezing made the weights constants of the graph."
    # Nobody looks for Keras' count in a model that was converted for a device.
    elif reason and total and facts.complete and report.format != converted.CONVERTED:
        yield f"Keras' own count does not apply: {reason.rstrip('.')}."


def _model_elements(report: ArtifactReport) -> int:
    return sum(report.roles[role].elements for role in _MODEL if role in report.roles)


def _counted_parts(facts: Facts) -> list[tuple[Group, int]]:
    """Elements by group, as Keras counts them."""
    groups = _by_group(facts.keras_elements)
    return [(group, groups[group]) for group in _COUNTED if groups.get(group)]


def _trainability(report: ArtifactReport) -> str:
    trainable, fixed = report.totals.trainable, report.totals.non_trainable
    if trainable is None or fixed is None:
        return ""
    if not fixed:
        return ", all trainable"
    if not trainable:
        return ", none trainable"
    row = report.roles.get(Role.STATISTIC)
    statistics = row.elements if row else 0
    frozen = sum(t.elements for t in report.tensors if t.role == Role.WEIGHT and not t.trainable)
    if statistics + frozen != fixed:
        return f": {number(trainable)} trainable + {number(fixed)} not"
    parts = (f"{number(frozen)} frozen" if frozen else "", _of_statistics(statistics))
    return f": {' + '.join(filter(None, (f'{number(trainable)} trainable', *parts)))}"


def _of_statistics(elements: int) -> str:
    return f"{number(elements)} of statistics" if elements else ""


def _trained(report: ArtifactReport) -> Iterable[str]:
    trainable, fixed = report.totals.trainable, report.totals.non_trainable
    if trainable is None or fixed is None:
        return
    if not trainable or not fixed:
        yield "All are trainable." if trainable else "None is trainable."
        return
    yield (
        f"{number(trainable)} {'is' if trainable == 1 else 'are'} trainable, "
        f"{number(fixed)} {'is' if fixed == 1 else 'are'} not."
    )


def _details(report: ArtifactReport, group: Group) -> str:
    """In words: "2 masks 1,280, 2 thresholds": elements where they are more than the tensors."""
    words = []
    for role, row in report.roles.items():
        if GROUP_OF[Role(role)] is group:
            word = count(row.tensors, *ROLE_WORDS[role])
            words.append(word if row.elements == row.tensors else f"{word} {number(row.elements)}")
    return ", ".join(words)


def stored_beside(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """What the file holds, where that is not what Keras counts, and was not said yet."""
    total = report.totals.count_params
    if not facts.is_keras:
        if report.totals.stored_elements != _model_elements(report):
            yield from _stored_sentence(report, facts)
        return
    if total is None:
        return
    if _made(total, facts) <= 0 and report.totals.stored_elements != total:
        yield from _stored_sentence(report, facts)
    packed = sum(row.elements for row in report.roles.values()) - sum(facts.keras_elements.values())
    if packed > 0:
        yield (
            "Keras counts a packed int4 kernel by its bytes, two values each: "
            f"{number(packed)} fewer than the values."
        )


def _stored_sentence(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    stored = report.totals.stored_elements
    parts: dict[str, int] = {}
    for role, row in report.roles.items():
        if role == Role.ACTIVATION:
            continue
        label = _stored_as(role)
        parts[label] = parts.get(label, 0) + row.elements
    averages = sum(tensor.elements for tensor in moving_averages(report))
    if averages:
        parts["of the optimizer"] -= averages
        parts["of moving averages"] = averages
    words = [f"{number(size)} {label}" for label, size in parts.items() if size]
    if stored:
        verb = "is" if stored == 1 else "are"
        # An index lists what a missing file holds.
        how = "stored" if facts.complete else "listed"
        apart = f" = {' + '.join(words)}" if len(words) > 1 else ""
        if parts.keys() == {_CONSTANTS}:
            apart = f", all {_CONSTANTS}"
        yield f"{count(stored, 'element')} {verb} {how}{apart}."


def _stored_as(role: str) -> str:
    group = GROUP_OF[Role(role)]
    if role in OPTIMIZER:
        return "of the optimizer"
    if group is Group.TRAINING or group is Group.STRUCTURE:
        return f"of {ROLE_WORDS[role][1]}"
    return _OF_GROUP[group]


def all_stored(report: ArtifactReport, facts: Facts) -> bool:
    """Whether Keras counts all that is stored of the model, and nothing else."""
    return sum(size for _, size in _counted_parts(facts)) == report.totals.count_params


def moving_averages(report: ArtifactReport) -> list[TensorReport]:
    """Averages of weights over the steps: slots by their role, and of use without training."""
    slots = (tensor for tensor in report.tensors if tensor.role == Role.OPTIMIZER_SLOT)
    return [tensor for tensor in slots if tensor.rule == _AVERAGE]


def _by_group(elements: Mapping[str, int]) -> dict[Group, int]:
    result: dict[Group, int] = {}
    for role, size in elements.items():
        group = GROUP_OF[Role(role)]
        result[group] = result.get(group, 0) + size
    return result
