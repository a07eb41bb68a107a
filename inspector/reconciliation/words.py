"""Why the count is what it is, in words made from the lines; and what people expect wrongly.

Every function answers one question and gives its sentences, or none where it does not arise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inspector.model import GROUP_OF, Artifact, Group, Role, Verdict
from inspector.reconciliation.lines import Line, Lines
from inspector.reconciliation.predict import Predicted
from inspector.reconciliation.sizes import Sizes, dense_bytes
from inspector.words import ROLE_LABELS, ROLE_WORDS, count, listing, number, percent

_SPELLED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_OPTIMIZER = (Role.OPTIMIZER_SLOT, Role.OPTIMIZER_STATE)
# Share of zeros from which on somebody pruned; fewer are biases that never moved.
_SPARSE = 0.2
_CALLS = (("strip_pruning", Group.PRUNING), ("strip_clustering", Group.CLUSTERING))


@dataclass(frozen=True, slots=True)
class Alone:
    """All that the sentences about one artifact are made of.

    sizes, leaks: None where values were not read; predicted: None where nothing would be taken out.
    """

    artifact: Artifact
    verdicts: Mapping[str, Verdict]
    lines: Lines
    count_params: int | None
    after_strip: int | None
    reason: str | None  # why count_params is None
    nonzero: int | None  # elements of weights
    leaks: int | None  # weights that are not 0 where their mask is
    sizes: Sizes | None
    predicted: Predicted | None

    def of(self, *roles: Role) -> list[Line]:
        """The lines of these roles."""
        return [line for line in self.lines.lines if line.role in roles]


def story(alone: Alone) -> tuple[str, ...]:
    """The answer: a line a question, the count first."""
    lines = (" ".join(question(alone)) for question in QUESTIONS)
    return tuple(line for line in lines if line)


def spelled(value: int, one: str, many: str) -> str:
    """(2, "mask", "masks") -> "two masks"; past ten in figures."""
    word = _SPELLED[value] if value < len(_SPELLED) else number(value)
    return f"{word} {one if value == 1 else many}"


def apiece(line: Line) -> str:
    """A line in words: "two masks of 640 each", "one threshold", "two masks (228 in all)"."""
    if line.role is None:
        return f"{spelled(line.tensors, 'variable', 'variables')} {line.label} ({line.counted:,})"
    words = spelled(line.tensors, *ROLE_WORDS[line.role])
    if line.each == 1:
        return words
    if line.tensors == 1:
        return f"{words} of {number(line.elements)}"
    if line.each is None:
        return f"{words} ({number(line.elements)} in all)"
    return f"{words} of {number(line.each)} each"


def _count(alone: Alone) -> Iterable[str]:
    total = alone.count_params
    if total is None:
        yield from _no_count(alone)
        return
    counted = [line for line in alone.lines.lines if line.counted]
    added = [line for line in counted if not _is_of_model(line)]
    base = total - sum(line.counted or 0 for line in added)
    if added:
        words = ", ".join(apiece(line) for line in added)
        yield f"{number(total)} - {number(base)} = {number(total - base)}: {words}."
    elif len(counted) > 1:
        parts = " + ".join(f"{number(line.counted or 0)} of {line.label}" for line in counted)
        yield f"{number(total)} = {parts}: Keras counts nothing else."
    elif counted:
        yield f"Keras counts {number(total)}, all of them {counted[0].label}."
    else:
        yield "Keras counts nothing here: 0."


def _no_count(alone: Alone) -> Iterable[str]:
    model = [line for line in alone.lines.lines if _is_of_model(line) and line.elements]
    total = sum(line.elements for line in model)
    parts = " + ".join(f"{number(line.elements)} of {line.label}" for line in model)
    if len(model) == 1:
        yield f"The model has {count(total, 'parameter')}, all of them {model[0].label}."
    elif total:
        yield f"The model has {count(total, 'parameter')}: {parts}."
    else:
        yield "No parameter of a model is stored here."
    if alone.reason:
        yield f"Keras' count_params does not apply: {alone.reason.rstrip('.')}."


def _is_of_model(line: Line) -> bool:
    return line.role is not None and GROUP_OF[line.role] is Group.WEIGHT


def _strip(alone: Alone) -> Iterable[str]:
    """What stripping leaves: with quantization, centroids may stay."""
    calls = [
        call
        for call, group in _CALLS
        if any(
            line.role and GROUP_OF[line.role] is group and line.counted != line.left
            for line in alone.lines.lines
        )
    ]
    if calls and alone.after_strip is not None:
        leave = "leaves" if len(calls) == 1 else "leave"
        yield f"{listing(calls)} {leave} {number(alone.after_strip)}."


def _stored(alone: Alone) -> Iterable[str]:
    """What is stored beside that."""
    held = [line for line in alone.lines.lines if line.elements]
    stored = sum(line.elements for line in held)
    total = alone.count_params
    if total == stored or not held:
        return
    verb = "is" if stored == 1 else "are"
    counted = sum(line.elements for line in held if line.counted == line.elements)
    if counted == total:
        rest = [line for line in held if line.counted != line.elements]
        parts = [f"{number(counted)} that Keras counts"]
    elif len(held) > 1:
        rest, parts = held, []
    else:
        return
    parts += [f"{number(line.elements)} of {line.label}" for line in rest]
    yield f"{count(stored, 'element')} {verb} stored: {' + '.join(parts)}."


def _masks(alone: Alone) -> Iterable[str]:
    masks = alone.of(Role.MASK)
    tensors = {tensor.name: tensor for tensor in alone.artifact.tensors}
    found = [t for t in tensors.values() if alone.verdicts[t.name].role is Role.MASK]
    served = {alone.verdicts[t.name].about for t in found}
    if not masks or not found:
        return
    size = sum(line.nbytes for line in masks)
    kernels = sum(dense_bytes(tensors[name]) for name in served if name in tensors)
    one = len(found) == 1
    whole = "the mask takes" if one else "the masks take"
    yield (
        f"Masks are dense, of the shape and dtype of {'the weight' if one else 'the weights'} that"
        f" {'it masks' if one else 'they mask'}: {whole} {count(size, 'byte')}"
        + (", as much as those." if size == kernels else f", those {number(kernels)}.")
    )
    if alone.leaks:
        are = "is" if alone.leaks == 1 else "are"
        yield f"{count(alone.leaks, 'weight')} {are} not 0 where a mask is: stripping keeps them."
    elif alone.leaks is not None:
        yield f"Where {'it is' if one else 'they are'} 0, every weight is."


def _sparsity(alone: Alone) -> Iterable[str]:
    """Zeros are counted, and stored, like any other value."""
    sizes, nonzero = alone.sizes, alone.nonzero
    weights = sum(line.elements for line in alone.of(Role.WEIGHT))
    if sizes is None or nonzero is None or nonzero >= weights:
        return
    zeros = weights - nonzero
    if zeros < _SPARSE * weights and not alone.of(Role.MASK):
        return
    yield (
        f"{number(zeros)} of {count(weights, 'weight element')} are zero"
        f" ({percent(zeros, weights)}), and counted like any other: sparsity changes no count."
    )
    if any(tensor.sparse is not None for tensor in alone.artifact.tensors):
        return
    small = f"with a bitmask they need {number(sizes.bitmask)} at least"
    if sizes.deflated is not None:
        small += f", deflated {number(sizes.deflated)}"
    yield (
        f"Nor does it change the file: a zero is stored like any other value, {number(sizes.dense)}"
        f" bytes at any sparsity; {small}."
    )


def _file(alone: Alone) -> Iterable[str]:
    predicted = alone.predicted
    if predicted is None:
        return
    about = (
        f"at least {number(predicted.nbytes)}, and its graph, which is traced anew"
        if predicted.at_least
        else f"about {number(predicted.nbytes)}"
    )
    yield f"{predicted.what}, its {count(alone.artifact.nbytes, 'byte')} would be {about}."


def _optimizer(alone: Alone) -> Iterable[str]:
    lines = alone.of(*_OPTIMIZER)
    if not lines:
        return
    elements, nbytes = (
        sum(line.elements for line in lines),
        sum(line.nbytes for line in lines),
    )
    yield (
        f"The optimizer's state is stored too: {count(elements, 'element')},"
        f" {count(nbytes, 'byte')}; inference needs none of it, and no count has it."
    )


def _copies(alone: Alone) -> Iterable[str]:
    for line in alone.of(Role.ALIAS):
        if line.elements:
            yield (
                f"{count(line.elements, 'element')} ({count(line.nbytes, 'byte')}) are stored a"
                f" second time, as {ROLE_LABELS[Role.ALIAS]}, and counted once."
            )


def _residual(alone: Alone) -> Iterable[str]:
    odd = alone.lines.odd
    if not odd:
        return
    first = odd[0]
    where = f"{first.tensor}: " if first.tensor else ""
    more = f" (and {len(odd) - 1:,} more)" if len(odd) > 1 else ""
    yield f"Unexplained: {count(alone.lines.residual, 'element')}. {where}{first.message}{more}."


QUESTIONS: tuple[Callable[[Alone], Iterable[str]], ...] = (
    _count,
    _strip,
    _masks,
    _sparsity,
    _stored,
    _optimizer,
    _copies,
    _file,
    _residual,
)
