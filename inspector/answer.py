"""The answer in words: sentences about one artifact, each true by the numbers it was given.

Every function here answers one question and returns its sentence, or nothing when the question
does not arise. QUESTIONS is the order in which a person reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inspector import answer_converted as converted
from inspector.model import GROUP_OF, Group, Role
from inspector.report import ArtifactReport, MeasureReport, TensorReport
from inspector.words import ROLE_WORDS, count, listing, number, percent

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
# Wrappers of quantization-aware training: tfmot's, and Vitis' of the same names.
_QAT = frozenset({"QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"})
# Where 1:4 holds, 2:4 does; where 2:4 does, 4:8 does, since its groups are two of those.
_TIGHTER = {"4:8": "2:4", "2:4": "1:4"}
_CONSTANTS = f"of {ROLE_WORDS[Role.CONSTANT][1]}"
_MODEL = (Role.WEIGHT, Role.STATISTIC)
_AVERAGE = "average-names"  # the rule that tells moving averages from other slots
_OPTIMIZER = (Role.OPTIMIZER_SLOT, Role.OPTIMIZER_STATE)


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


def sentences(report: ArtifactReport, facts: Facts) -> tuple[str, ...]:
    """The answer: one line a question, of a sentence or a few."""
    lines = (" ".join(question(report, facts)) for question in QUESTIONS)
    return tuple(line for line in lines if line)


def _partial(_report: ArtifactReport, facts: Facts) -> Iterable[str]:
    if not facts.complete:
        yield "A part of the model is missing or cannot be read: every number is of what is known."


def _parameters(report: ArtifactReport, facts: Facts) -> Iterable[str]:
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


def _stored(report: ArtifactReport, facts: Facts) -> Iterable[str]:
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
    averages = sum(tensor.elements for tensor in _averages(report))
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
    if role in _OPTIMIZER:
        return "of the optimizer"
    if group is Group.TRAINING or group is Group.STRUCTURE:
        return f"of {ROLE_WORDS[role][1]}"
    return _OF_GROUP[group]


def _config(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    if facts.has_config or not facts.is_keras or report.totals.trainable is not None:
        return
    weights = [tensor for tensor in report.tensors if tensor.role == Role.WEIGHT]
    unsaid = [tensor.elements for tensor in weights if tensor.trainable is None]
    if 0 < len(unsaid) < len(weights):
        some = sum(unsaid)
        whether = f"whether {count(some, 'weight')} {'is' if some == 1 else 'are'} trainable"
        yield f"There is no model config: {whether} is unknown."
    else:
        yield "There is no model config: what is trainable is unknown."


def _strip(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """What stripping leaves, and how much of it is not zero."""
    calls = [
        call
        for call, group in (
            ("strip_pruning", Group.PRUNING),
            ("strip_clustering", Group.CLUSTERING),
        )
        if any(GROUP_OF[Role(role)] is group for role in report.roles)
    ]
    left = report.totals.after_strip
    subject = report.totals.count_params
    if calls and left is not None and not _is_qat(report, facts):
        yield f"{listing(calls)} {'leaves' if len(calls) == 1 else 'leave'} {number(left)}."
        subject = left
    weights, nonzero = report.weights, report.totals.nonzero
    if weights is None or nonzero is None or not weights.elements:
        return
    verb = "is" if nonzero == 1 else "are"
    sparse = f" ({percent(weights.zeros, weights.elements)} sparse)" if weights.zeros else ""
    whole = (
        "Of those"
        if weights.elements == subject and _all_stored(report, facts)
        else f"Of {count(weights.elements, 'weight element')}"
    )
    if not weights.zeros:
        yield "No weight is zero."
    elif not nonzero:
        yield "Every weight is zero."
    else:
        yield f"{whole}, {number(nonzero)} {verb} not zero{sparse}."


def _all_stored(report: ArtifactReport, facts: Facts) -> bool:
    """Whether Keras counts all that is stored of the model, and nothing else."""
    return sum(size for _, size in _counted_parts(facts)) == report.totals.count_params


def _is_qat(report: ArtifactReport, facts: Facts) -> bool:
    return bool(_QAT & facts.classes) or Role.QUANT_STEP in report.roles


# What no dtype name says.
_SAID = {"V2": "2-byte opaque values, probably bfloat16, which are not measured"}


def _types(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """How the weights are stored, where that is not plain float32."""
    if report.scheme is not None:
        yield from converted.scheme(report)
        return
    by_dtype: dict[str, list[TensorReport]] = {}
    for tensor in report.tensors:
        if tensor.role == Role.WEIGHT:
            by_dtype.setdefault(_SAID.get(tensor.dtype, tensor.dtype), []).append(tensor)
    each = listing([_typed(*item) for item in by_dtype.items()])
    how = (
        f"all weights are {next(iter(by_dtype), '')}" if len(by_dtype) == 1 else f"weights: {each}"
    )
    if by_dtype and _is_qat(report, facts):
        makes = "makes the kernels int8" if facts.quantizes_8_bit else "quantizes them"
        yield f"Not quantized yet: {how}; conversion to TFLite {makes}."
    elif by_dtype and "QuantizeAnnotate" in facts.classes:
        yield f"Only marked for quantization, by quantize_annotate: {how}."
    elif len(by_dtype) > 1:
        yield f"Weights are {each}."
    elif by_dtype and "float32" not in by_dtype:
        yield f"{how[0].upper()}{how[1:]}."


def _typed(dtype: str, tensors: list[TensorReport]) -> str:
    """In words: "int8 (kernel, 192 elements)"."""
    names = sorted({tensor.variable for tensor in tensors if tensor.variable})
    elements = count(sum(tensor.elements for tensor in tensors), "element")
    return f"{dtype} ({', '.join([*names, elements]) if len(names) <= 4 else elements})"


def _converted(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    yield from converted.sparsity(report)
    yield from converted.cost(report)
    yield from converted.shared(report)


def _copies(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    copies = [tensor for tensor in report.tensors if tensor.role == Role.ALIAS]
    if not copies or report.format == converted.CONVERTED:
        return
    nbytes = sum(facts.copied_bytes.values())
    cost = f"{count(nbytes, 'byte')} of copies" if nbytes else "at the cost of no byte"
    names = {tensor.variable for tensor in copies}
    originals = {tensor.alias_of for tensor in copies}
    kinds = {tensor.role for tensor in report.tensors if tensor.name in originals}
    if len(copies) == 1:
        name = copies[0].variable or "variable"
        what, verb = f"The {'variable ' if '_' in name else ''}{name}", "is"
    elif len(names) == 1 and None not in names and len(originals) == len(copies):
        what, verb = f"{number(len(copies))} {names.pop()}s", "are"
    else:
        whose = " of the optimizer" if kinds and kinds <= set(_OPTIMIZER) else ""
        what = f"{count(len(originals), 'variable')}{whose}"
        verb = "is" if len(originals) == 1 else "are"
    times = "twice" if len(originals) == len(copies) else "more than once"
    yield f"{what} {verb} stored {times}: {cost}."


def _averages(report: ArtifactReport) -> list[TensorReport]:
    """Averages of weights over the steps: slots by their role, and of use without training."""
    slots = (tensor for tensor in report.tensors if tensor.role == Role.OPTIMIZER_SLOT)
    return [tensor for tensor in slots if tensor.rule == _AVERAGE]


def _moving(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    found = _averages(report)
    if found:
        size = count(sum(tensor.nbytes for tensor in found), "byte")
        yield (
            f"Moving averages are stored of {count(len(found), 'variable')} ({size}), which "
            "evaluation may load instead."
        )


def _finite(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    """NaN and infinity, wherever they are: such a model computes nothing of use."""
    broken = [t for t in report.tensors if t.measure is not None and t.measure.nan + t.measure.inf]
    if not broken:
        return
    nan = sum(t.measure.nan for t in broken if t.measure)
    inf = sum(t.measure.inf for t in broken if t.measure)
    what = [f"{number(nan)} NaN"] * (nan > 0) + [f"{number(inf)} infinite"] * (inf > 0)
    more = f" and {count(len(broken) - 1, 'more tensor')}" if len(broken) > 1 else ""
    verb = "is" if nan + inf == 1 else "are"
    yield (
        f"{count(nan + inf, 'value')} {verb} not finite ({', '.join(what)}), "
        f"in {broken[0].name}{more}."
    )


def _patterns(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    """Sparsity patterns that hold in every group of a weight, along the axis that kernels for
    sparse hardware use; along the outputs a small kernel may hold one by chance.
    """
    holding: dict[str, list[TensorReport]] = {}
    for tensor in report.tensors:
        if tensor.role == Role.WEIGHT and tensor.measure is not None:
            for name, pattern in tensor.measure.patterns.items():
                if (
                    pattern.holds
                    and not name.endswith(" output")
                    and not _is_implied(name, tensor.measure)
                ):
                    holding.setdefault(name, []).append(tensor)
    for name, tensors in holding.items():
        groups = sum(t.measure.patterns[name].groups for t in tensors if t.measure)
        held = sum(t.measure.patterns[name].held for t in tensors if t.measure)
        kind, _, axis = name.partition(" ")
        where = tensors[0].name if len(tensors) == 1 else count(len(tensors), "weight tensor")
        if axis == "block":
            verb = "is" if held == 1 else "are"
            yield (
                f"The zeros of {where} come in whole {kind} blocks: "
                f"{number(held)} of {count(groups, 'block')} {verb} zero."
            )
        else:
            yield (
                f"{kind} sparsity along the {axis} axis holds in {where}: "
                f"{number(held)} of {count(groups, 'group')}."
            )


def _is_implied(name: str, measure: MeasureReport) -> bool:
    """Whether a tighter pattern along the same axis holds too, and says it already."""
    pattern, _, axis = name.partition(" ")
    tighter = measure.patterns.get(f"{_TIGHTER.get(pattern)} {axis}")
    return tighter is not None and tighter.holds


def _training(report: ArtifactReport, facts: Facts) -> Iterable[str]:
    """What no inference needs, in bytes."""
    # A frozen graph multiplies by the masks that were left in it.
    spare = (Group.TRAINING,) if facts.frozen else (Group.TRAINING, Group.PRUNING)
    sizes: dict[str, int] = {}
    for role, row in report.roles.items():
        group = GROUP_OF[Role(role)]
        if group in spare and row.nbytes:
            label = "pruning" if group is Group.PRUNING else _training_label(role)
            sizes[label] = sizes.get(label, 0) + row.nbytes
    averages = sum(tensor.nbytes for tensor in _averages(report))
    if averages and facts.complete:  # of what is missing no byte is there
        sizes["optimizer"] -= averages
        sizes = {label: size for label, size in sizes.items() if size}
    if not sizes:
        return
    total = sum(sizes.values())
    if len(sizes) == 1:
        (label,) = sizes
        what = f"{label} state" if label in ("pruning", "optimizer") else label
        yield f"Inference needs none of the {count(total, 'byte')} of {what} stored."
    else:
        parts = ", ".join(f"{label} {number(size)}" for label, size in sizes.items())
        yield f"Inference needs none of the {count(total, 'byte')} of training state ({parts})."


def _training_label(role: str) -> str:
    return {Role.METRIC: "metrics", Role.COUNTER: "counters"}.get(Role(role), "optimizer")


def _vocabulary(_report: ArtifactReport, facts: Facts) -> Iterable[str]:
    if facts.vocabulary:
        total = sum(facts.vocabulary.values())
        where = count(len(facts.vocabulary), "vocabulary", "vocabularies")
        yield f"Beside the parameters: {where} of {count(total, 'entry', 'entries')}."


def _unknown(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    row = report.roles.get(Role.UNKNOWN)
    if row:
        them = "it" if row.tensors == 1 else "them"
        yield (
            f"{count(row.tensors, 'tensor')} of {count(row.elements, 'element')} "
            f"{'is' if row.tensors == 1 else 'are'} unknown: no rule explains {them}."
        )


def _by_group(elements: Mapping[str, int]) -> dict[Group, int]:
    result: dict[Group, int] = {}
    for role, size in elements.items():
        group = GROUP_OF[Role(role)]
        result[group] = result.get(group, 0) + size
    return result


QUESTIONS: tuple[Callable[[ArtifactReport, Facts], Iterable[str]], ...] = (
    _partial,
    _parameters,
    _config,
    _strip,
    _finite,
    _patterns,
    _types,
    _converted,
    _stored,
    _copies,
    _moving,
    _training,
    _vocabulary,
    _unknown,
)
