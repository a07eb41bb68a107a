"""The answer in words: sentences about one artifact, each true by the numbers it was given.

Every function here answers one question and returns its sentence, or nothing when the question
does not arise. QUESTIONS is the order in which a person reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inspector import answer_converted as converted
from inspector.answer_counts import (
    OPTIMIZER,
    Facts,
    all_stored,
    moving_averages,
    parameters,
    stored_beside,
)
from inspector.model import GROUP_OF, Group, Role
from inspector.report import ArtifactReport, MeasureReport, TensorReport
from inspector.words import count, listing, number, percent

# Wrappers of quantization-aware training: tfmot's, and Vitis' of the same names.
_QAT = frozenset({"QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"})
# Where 1:4 holds, 2:4 does; where 2:4 does, 4:8 does, since its groups are two of those.
_TIGHTER = {"4:8": "2:4", "2:4": "1:4"}


def sentences(report: ArtifactReport, facts: Facts) -> tuple[str, ...]:
    """The answer: one line a question, of a sentence or a few."""
    lines = (" ".join(question(report, facts)) for question in QUESTIONS)
    return tuple(line for line in lines if line)


def _partial(_report: ArtifactReport, facts: Facts) -> Iterable[str]:
    if not facts.complete:
        yield "A part of the model is missing or cannot be read: every number is of what is known."


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
        if weights.elements == subject and all_stored(report, facts)
        else f"Of {count(weights.elements, 'weight element')}"
    )
    if not weights.zeros:
        yield "No weight is zero."
    elif not nonzero:
        yield "Every weight is zero."
    else:
        yield f"{whole}, {number(nonzero)} {verb} not zero{sparse}."


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
        whose = " of the optimizer" if kinds and kinds <= set(OPTIMIZER) else ""
        what = f"{count(len(originals), 'variable')}{whose}"
        verb = "is" if len(originals) == 1 else "are"
    times = "twice" if len(originals) == len(copies) else "more than once"
    yield f"{what} {verb} stored {times}: {cost}."


def _moving(report: ArtifactReport, _facts: Facts) -> Iterable[str]:
    found = moving_averages(report)
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
    averages = sum(tensor.nbytes for tensor in moving_averages(report))
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


QUESTIONS: tuple[Callable[[ArtifactReport, Facts], Iterable[str]], ...] = (
    _partial,
    parameters,
    _config,
    _strip,
    _finite,
    _patterns,
    _types,
    _converted,
    stored_beside,
    _copies,
    _moving,
    _training,
    _vocabulary,
    _unknown,
)
