"""Zeros: those that the policy claims, and those that got lost.

What is said of masks is in `sparsity_masks`, of zeros that are not stored in `sparsity_storage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inspector import deadline
from inspector.auditing.looks import KERNELS, agree, looks, named, short
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.auditing.rules.sparsity_masks import RULES as MASKS
from inspector.auditing.rules.sparsity_masks import masked_zeros
from inspector.auditing.rules.sparsity_storage import RULES as STORAGE
from inspector.globs import compiled, within
from inspector.model import Measurement, Role, Severity, Tensor
from inspector.words import count, listing, percent, some

_WEIGHTS = frozenset({Role.WEIGHT})
# Along these the toolkit groups; what holds along the outputs alone does so by chance.
_AXES = frozenset({"input", "block"})
_N_OF_M = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class _Zeros:
    """Zeros among elements."""

    zeros: int
    elements: int

    @property
    def share(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0

    def __str__(self) -> str:
        return f"{self.zeros:,} of {self.elements:,} are zero ({self.percent})"

    @property
    def percent(self) -> str:
        return percent(self.zeros, self.elements)

    def of(self, whole: str) -> str:
        """In words: "80 of 100 values of dense/kernel are zero (80 %)"."""
        values = count(self.elements, "value")
        verb = agree(self.zeros, "is", "are")
        return f"{self.zeros:,} of {values} of {whole} {verb} zero ({self.percent})"

    def reaches(self, share: float, tolerance: float) -> bool:
        """Whether there are as many zeros as pruning to that share leaves.

        The toolkit keeps max(1, round(elements * (1 - share))) values, rounded half to even.
        """
        kept = max(1, round(self.elements * (1 - share)))
        return self.share >= share - tolerance or self.zeros >= self.elements - kept


@dataclass(frozen=True, slots=True)
class _Layer:
    """A row of the report: its weights, and the largest of them with a shape of at least two sides.

    names: what a glob may call it: its path, and those of layers inside it.
    """

    path: str
    names: frozenset[str]
    whole: _Zeros
    kernel: Tensor | None
    of_kernel: _Zeros | None

    def is_called(self, glob: str) -> bool:
        return any(within(one, glob) or compiled(glob).fullmatch(one) for one in self.names)


def _layers(context: Context) -> Iterator[_Layer]:
    """The layers whose weights were all measured."""
    masked = masked_zeros(context.seen)
    weights = {look.tensor.name: look for look in looks(context, _WEIGHTS)}
    tensors = {one.name: one for one in context.seen.artifact.tensors}
    verdicts = context.seen.classified.verdicts
    for row in context.seen.counted.layers:
        held = [name for name in row.tensors if verdicts[name].role is Role.WEIGHT]
        zeros = {
            name: max(weights[name].measured.zeros, masked.get(name, 0))
            for name in held
            if name in weights
        }
        if len(zeros) < len(held):
            continue
        own = [tensors[name] for name in held]
        wide = [one for one in own if len(one.shape or ()) > 1]
        kernel = max(wide, key=lambda one: one.elements, default=None)
        yield _Layer(
            row.path,
            frozenset({row.path, *(one.layer for one in own if one.layer is not None)}),
            _Zeros(sum(zeros.values()), sum(one.elements for one in own)),
            kernel,
            _Zeros(zeros[kernel.name], kernel.elements) if kernel is not None else None,
        )


def _claim(context: Context) -> Iterator[Found]:
    claimed = context.policy.sparsity
    layers = list(_layers(context))
    yield from _overall(context)
    for glob, share in claimed.layers.items():
        deadline.check()
        called = [layer for layer in layers if layer.is_called(glob)]
        if not called:
            yield _nothing(glob, f"{share:g} of zeros", context)
        for layer in called:
            # A bias is not pruned: a claim is of the whole layer, or of its kernel.
            held = [one for one in (layer.whole, layer.of_kernel) if one is not None]
            reached = any(one.reaches(share, claimed.tolerance) for one in held)
            if reached or layer.kernel is None or layer.of_kernel is None:
                continue
            yield Found(
                f"{layer.of_kernel.of(named(layer.kernel))}, and the policy claims {share:g}",
                evidence=f'of the whole layer {layer.whole}; claimed of "{glob}", within'
                f" {claimed.tolerance:g}",
                tensor=layer.kernel.name,
                layer=layer.path,
            )


def _overall(context: Context) -> Iterator[Found]:
    claimed, report = context.policy.sparsity, context.seen.report
    if claimed.overall is None or report.weights is None or not report.weights.elements:
        return
    masked = masked_zeros(context.seen)
    more = (
        max(masked.get(look.tensor.name, 0) - look.measured.zeros, 0)
        for look in looks(context, _WEIGHTS)
    )
    held = _Zeros(report.weights.zeros + sum(more), report.weights.elements)
    if not held.reaches(claimed.overall, claimed.tolerance):
        yield Found(
            f"{held.of('all weights')}, and the policy claims {claimed.overall:g}",
            evidence=f"within {claimed.tolerance:g}; biases and the like are weights, too",
        )


def _nothing(glob: str, what: str, context: Context) -> Found:
    paths = [short(row.path) for row in context.seen.counted.layers]
    return Found(
        f'the policy claims {what} of "{glob}", and no layer is called so',
        evidence=f"layers: {some(paths, 8)}" if paths else "the artifact has no layers",
    )


def _pattern(context: Context) -> Iterator[Found]:
    layers = list(_layers(context))
    for glob, pattern in context.policy.sparsity.patterns.items():
        deadline.check()
        called = [layer for layer in layers if layer.is_called(glob)]
        if not called:
            yield _nothing(glob, f"{pattern} sparsity", context)
        for layer in called:
            if layer.kernel is not None:
                yield from _holds(layer, layer.kernel, pattern, context)


def _holds(layer: _Layer, kernel: Tensor, name: str, context: Context) -> Iterator[Found]:
    measured = context.values[kernel.name]
    if measured.zeros == kernel.elements or _is_implied(name, measured):
        return
    told = [one for one in measured.patterns if one.name == name and one.axis in _AXES]
    near = next((f"{one.held:,} of {one.groups:,} groups hold it" for one in told), None)
    why = _cannot(name, kernel)
    yield Found(
        f"{name} sparsity {'cannot be told of' if why else 'does not hold in'} {named(kernel)}",
        evidence=why or near or "along the input not even nearly all groups hold it",
        tensor=kernel.name,
        layer=layer.path,
        severity=Severity.INFO if why else None,
    )


def _is_implied(name: str, measured: Measurement) -> bool:
    """Whether a pattern holds, or one that it follows from (2:8 follows from 1:4)."""
    holding = [one.name for one in measured.patterns if one.holds and one.axis in _AXES]
    wanted = _N_OF_M.fullmatch(name)
    if name in holding or wanted is None:
        return name in holding
    n, m = map(int, wanted.groups())
    pairs = (map(int, found.groups()) for one in holding if (found := _N_OF_M.fullmatch(one)))
    return any(m % of == 0 and few * (m // of) <= n for few, of in pairs)


def _cannot(name: str, kernel: Tensor) -> str | None:
    """Why a pattern was not looked for in a kernel; None where it was."""
    from inspector.patterns import BLOCKS, N_OF_M

    known = [f"{n}:{m}" for m, ns in N_OF_M.items() for n in ns]
    known += [f"{height}x{width}" for height, width in BLOCKS]
    if name not in known:
        return f"only {listing(known)} are looked for"
    wanted = _N_OF_M.fullmatch(name)
    inputs = (kernel.shape or (0, 0))[-1 if kernel.outputs_first else -2]
    if wanted is not None and inputs < int(wanted[2]):
        return f"its groups would be {wanted[2]} inputs long, and it has {inputs:,}"
    return None


def _zero(context: Context) -> Iterator[Found]:
    for look in looks(context, _WEIGHTS):
        tensor, zeros = look.tensor, look.measured.zeros
        written = not tensor.storage.startswith("never allocated")  # else a rule of numbers tells
        if tensor.variable in KERNELS and zeros == tensor.elements > 1 and written:
            yield Found(
                f"all {count(zeros, 'value')} of {look.name} are zero",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _lost(context: Context) -> Iterator[Found]:
    before, after = context.compared.measured, context.seen.measured
    if before is None or after is None:
        return
    pairs = list(_pairs(context, before, after))
    if not pairs:  # what held nothing against anything must not pass for having lost nothing
        yield Found(
            "no kernel of the original is found again, so its zeros were not looked for",
            evidence=f"held against {context.compared.artifact.path}, by layer, shape and values",
            fix="Name what the artifact was made from.",
        )
    for layer, a, b in pairs:
        if a.share - b.share > context.policy.sparsity.lost:
            yield Found(
                f"{short(layer)}: {a.zeros:,} of {count(a.elements, 'weight')} were zero"
                f" ({a.percent}), and {b.zeros:,} {agree(b.zeros, 'is', 'are')} ({b.percent})",
                evidence=f"held against {context.compared.artifact.path}; the policy allows"
                f" {context.policy.sparsity.lost:g} less; {a.zeros - b.zeros:,} zeros are lost",
                layer=layer,
            )


def _pairs(
    context: Context, before: Mapping[str, Measurement], after: Mapping[str, Measurement]
) -> Iterator[tuple[str, _Zeros, _Zeros]]:
    """(layer, zeros of the original, zeros of this artifact), of kernels that both have whole.

    Quantized zeros are those at the zero point.
    """
    from inspector.pairing import Side, pair

    seen, compared = context.seen, context.compared
    found: dict[str, list[tuple[_Zeros, _Zeros]]] = {}
    masked_a, masked_b = masked_zeros(compared), masked_zeros(seen)
    pairing = pair(
        Side(compared.artifact, compared.classified.verdicts),
        Side(seen.artifact, seen.classified.verdicts),
        context.limits,
        rest=False,
    )
    for one in pairing.pairs:
        a, b = before.get(one.a.name), after.get(one.b.name)
        if a is None or b is None or one.a.elements != one.b.elements:
            continue
        if len(one.a.shape or ()) < 2 or not _is_weight(context, one.b):
            continue
        zeros_a = max(a.zeros, masked_a.get(one.a.name, 0))
        zeros_b = max(b.zeros, masked_b.get(one.b.name, 0))
        layer = one.b.layer or one.b.name
        found.setdefault(layer, []).append(
            (_Zeros(zeros_a, one.a.elements), _Zeros(zeros_b, one.b.elements))
        )
    for layer, both in found.items():
        yield layer, _sum(a for a, _ in both), _sum(b for _, b in both)


def _is_weight(context: Context, tensor: Tensor) -> bool:
    return context.seen.classified.verdicts[tensor.name].role is Role.WEIGHT


def _sum(parts: Iterable[_Zeros]) -> _Zeros:
    held = list(parts)
    return _Zeros(sum(one.zeros for one in held), sum(one.elements for one in held))


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="sparsity-claim",
        severity=Severity.ERROR,
        summary="Fewer weights are zero than the policy claims.",
        explanation="sparsity.overall is of all weights together, sparsity.layers of layers by a"
        " glob of their path (a wrapped layer is known by its inner name, too). A layer has what is"
        " claimed if all its weights have, or the largest of them: biases are not pruned."
        " sparsity.tolerance is allowed, and as much as rounding takes of few weights: the toolkit"
        " keeps at least one, and rounds half to even. -0.0 is zero, 1e-9 is not; of a quantized"
        " tensor the zero point is; masks that a graph multiplies each time count as applied. A"
        " glob that fits no layer is a finding: the claim would hold of nothing.",
        example='[sparsity.layers] "dense*" = 0.8: 5,000 of 20,280 values of dense/kernel are'
        " zero (24.65 %), and the policy claims 0.8.",
        fix="Look at which step lost the zeros (inspect diff ORIGINAL PATH); prune again, or lower"
        " the claim.",
        needs=Needs.VALUES,
        check=_claim,
    ),
    AuditRule(
        code="sparsity-pattern",
        severity=Severity.ERROR,
        summary="A claimed sparsity pattern does not hold.",
        explanation="2:4 says that of four consecutive inputs of one output at most two are not"
        " zero; kernels for sparse hardware rely on it in every group. It is looked for in the"
        " largest weight of each layer that sparsity.patterns names, along the input, as the"
        " toolkit lays it (sparsity_m_by_n); blocks (4x4) are wholly zero or without a zero. What"
        " follows from a stricter pattern holds. It is information where a kernel has too few"
        " inputs for one group, or nobody looks for such a pattern.",
        example='[sparsity.patterns] "dense*" = "2:4": 2:4 sparsity does not hold in dense/kernel;'
        " 30 of 32 groups hold it.",
        fix="Prune with sparsity_m_by_n, and do not train on without the masks.",
        needs=Needs.VALUES,
        check=_pattern,
    ),
    AuditRule(
        code="sparsity-lost",
        severity=Severity.ERROR,
        summary="Zeros of the original are not zero any more.",
        explanation="With --against ORIGINAL the kernels of both are paired, by layer, through"
        " renaming, turning, folding and quantization, and their zeros counted. Training for"
        " quantization, clustering without a zero centroid, and fine-tuning lose them."
        " sparsity.lost is how much smaller a layer's share of zeros may be. Where no kernel at all"
        " is found again, that is the finding.",
        example="A kernel of 80 zeros of 100 fine-tuned without masks: dense: 80 of 100 weights"
        " were zero (80 %), and 0 are (0 %).",
        fix="Use the sparsity-preserving variants (PQAT, PCQAT, preserve_sparsity=True), or keep"
        " the masks until the last step.",
        needs=Needs.ORIGINAL,
        check=_lost,
    ),
    *MASKS,
    AuditRule(
        code="sparsity-layer-zero",
        severity=Severity.WARNING,
        summary="All values of a kernel are zero.",
        explanation="The layer gives its bias, or nothing, whatever comes in: pruning with a target"
        " near 1, a threshold that was too large, or weights that were never loaded. Kernels and"
        " embeddings are looked at; a bias of zeros is how layers begin.",
        example="A kernel of 4 x 3 zeros: all 12 values of dense/kernel are zero.",
        fix="Load the weights that it should have, or take the layer out.",
        needs=Needs.VALUES,
        check=_zero,
    ),
    *STORAGE,
)
