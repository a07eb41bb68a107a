"""Pair the weights of a model with those of the .tflite file that was converted of it.

The converter turns kernels, folds BatchNormalizations into them, makes floats integers, keeps equal
constants once and leaves zeros out. Its names are hints, and often none; so what fits by its shape
is tried, in the order of the hints, until the values agree. Where none agree the best of them is
kept, and its agreement says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from inspector.limits import Limits
from inspector.model import Role, Tensor
from inspector.pairing.agree import agrees, probe
from inspector.pairing.fits import BIAS_OF, KERNELS, Fit, fits
from inspector.pairing.hints import Hints
from inspector.pairing.hypotheses import Before, Norm, before, changes, norms_of, scaled
from inspector.pairing.layers import Unit, units_of
from inspector.pairing.names import Names, is_weight, variable_of
from inspector.pairing.nouns import Absorbed, Change, Folded, Pair, Pairing, Scaled, Side, in_order
from inspector.pairing.values import all_zero

# Below this a candidate that does not agree is no better than any other, decibels.
_LIKELY_DB = 10.0
# BatchNormalizations behind a layer that are tried where no name tells which.
_NEXT_NORMS = 3
# Layers before a Dense one that may have gone into it.
_NEAR = 4
# A variable is cut into so many parts at most: the gates of an LSTM.
_PARTS = 4


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A variable that can be what an operator takes. rank: the lower the likelier."""

    unit: Unit
    tensor: Tensor
    fit: Fit
    rank: tuple[int, ...]
    hinted: bool


def match_converted(a: Side, b: Side, limits: Limits) -> Pairing:
    """`a` is a model with layers, `b` the .tflite file of it."""
    return _Converted(a, b, limits).run()


@dataclass(slots=True)
class _Converted:
    a: Side
    b: Side
    limits: Limits
    pairs: list[Pair] = field(default_factory=list)
    used: dict[str, Change | None] = field(default_factory=dict)
    taken: dict[str, Pair] = field(default_factory=dict)
    gone_a: dict[str, str] = field(default_factory=dict)
    gone_b: dict[str, str] = field(default_factory=dict)
    units: tuple[Unit, ...] = ()
    norms: tuple[Norm, ...] = ()
    owner: dict[str, Unit] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, list[tuple[int, Unit, Tensor]]] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    learned: bool = False
    hints: Hints = field(init=False)

    def run(self) -> Pairing:
        self._index()
        weights = [t for t in self.b.artifact.tensors if self._is_weight(t)]
        biases = self._biases(weights)
        for tensor in weights:
            if tensor.name not in biases:
                self._kernel(tensor)
        for sure in (True, False):
            for name, kernels in biases.items():
                for kernel in kernels:
                    if kernel in self.taken and (sure or name not in self.taken):
                        self._bias(self.weights[name], self.taken[kernel], sure=sure)
        for name in biases:
            if name not in self.taken and not all_zero(self.weights[name], self.limits):
                self._kernel(self.weights[name])
        self._single()
        self._shared(weights)
        self._reasons(weights)
        return self._result()

    def _index(self) -> None:
        names = Names(self.a.artifact)
        self.units = units_of(self.a, names)
        self.norms = norms_of(self.a, self.units, names)
        self.hints = Hints(unit.path for unit in self.units)
        for at, unit in enumerate(self.units):
            self.places[unit.path] = at
            for tensor in unit.tensors:
                self.owner[tensor.name] = unit
                self.sizes.setdefault(tensor.elements, []).append((at, unit, tensor))
        # Quantization-aware training learns ranges, and the last step may leave weights past them.
        self.learned = any(v.role is Role.QUANT_PARAM for v in self.a.verdicts.values())
        self.weights = {tensor.name: tensor for tensor in self.b.artifact.tensors}

    def _is_weight(self, tensor: Tensor) -> bool:
        return is_weight(self.b.verdicts[tensor.name].role) and tensor.shape is not None

    def _biases(self, weights: Iterable[Tensor]) -> Mapping[str, list[str]]:
        """Name of each bias -> the kernels of the operators that take it."""
        kernels: dict[str, list[str]] = {}
        for tensor in weights:
            for use in tensor.uses:
                if use.op in BIAS_OF and use.input == 1:
                    kernels.setdefault(use.node, []).append(tensor.name)
        found: dict[str, list[str]] = {}
        for tensor in weights:
            for use in tensor.uses:
                if BIAS_OF.get(use.op) == use.input:
                    found.setdefault(tensor.name, []).extend(kernels.get(use.node, ()))
        return found

    # --- one tensor of the file ------------------------------------------------------------------

    def _kernel(self, tensor: Tensor) -> None:
        """Find what a tensor was made of: whatever fits, the likeliest first."""
        best: tuple[float, Pair] | None = None
        for one in self._candidates(tensor):
            for change in self._changes(one, tensor):
                pair = self._pair(one, tensor, change)
                close = probe(pair, self.limits)
                if close.agrees and agrees(pair, self.limits):
                    self._take(pair)
                    return
                better = self._scaled(one, tensor, change)
                if better is not None:
                    self._take(better)
                    return
                likely = close.snr_db if close.snr_db is not None else float("-inf")
                if not self._is_free(pair):
                    continue
                if best is None or likely > max(best[0], _LIKELY_DB):
                    best = (likely, pair)
        if best is None:
            return
        # Zeros that no name explains are the operator's own: they are of no variable's kind.
        if best[1].basis == "name" or not all_zero(tensor, self.limits):
            self._take(best[1])

    def _single(self) -> None:
        """Variables of one element, which look like the graph's own numbers: named and equal."""
        for tensor in self.b.artifact.tensors:
            is_number = self.b.verdicts[tensor.name].role is Role.CONSTANT
            if not is_number or tensor.elements != 1 or tensor.name in self.taken:
                continue
            ways = (
                self._pair(one, tensor, change)
                for one in self._candidates(tensor)
                if one.hinted and one.tensor.elements == 1 and one.tensor.name not in self.used
                for change in self._changes(one, tensor)
            )
            found = next((pair for pair in ways if agrees(pair, self.limits)), None)
            if found is not None:
                self._take(found)

    def _scaled(self, one: _Candidate, tensor: Tensor, change: Change | None) -> Pair | None:
        """The pair with a factor that all values have in common, where that makes them agree."""
        if not one.hinted or (change is not None and change.value is not None):
            return None
        if not {use.op for use in tensor.uses} & KERNELS:
            return None
        found = scaled(one.tensor, tensor, change, self.limits)
        return None if found is None else self._pair(one, tensor, found)

    def _is_free(self, pair: Pair) -> bool:
        """Whether its variable is in no pair yet, or only in other parts."""
        if pair.a.name not in self.used:
            return True
        change, before = pair.change, self.used[pair.a.name]
        return (
            change is not None
            and before is not None
            and change.part is not None
            and before.part is not None
            and change.part != before.part
        )

    def _candidates(self, tensor: Tensor) -> list[_Candidate]:
        found = []
        hints = self.hints.of(tensor)
        sites = {(use.op, use.input) for use in tensor.uses}
        for at, unit, one in self._of_size(tensor.elements):
            hint, name = hints.get(unit.path, 0), variable_of(one)
            for op, where in sorted(sites):
                for fit in fits(op, where, name, one.shape or (), tensor.shape or ()):
                    used = one.name in self.used and fit.part is None
                    named = tensor.variable is None or name != tensor.variable
                    rank = (-hint, int(used), int(named), abs(at - len(self.taken)))
                    found.append(_Candidate(unit, one, fit, rank, hint > 0))
        return sorted(found, key=lambda one: one.rank)

    def _of_size(self, elements: int) -> Iterator[tuple[int, Unit, Tensor]]:
        """Variables with so many values, or with some more of which it may be a part."""
        for size, variables in self.sizes.items():
            if elements <= size <= _PARTS * elements:
                yield from variables

    def _changes(self, one: _Candidate, tensor: Tensor) -> Iterator[Change | None]:
        """What may have become of a variable: nothing but its layout, or a fold."""
        op = next((use.op for use in tensor.uses if use.op in BIAS_OF and use.input == 1), None)
        norms = self._norms_behind(one.unit, tensor)
        yield from changes(one.tensor, tensor, one.fit, None if op is None else (op, norms))
        if op == "FULLY_CONNECTED" and one.fit.part is None:
            for part in self._before(one.unit, one.tensor, tensor):
                if part.factors is not None:
                    yield part.kernel(one.tensor, tensor, one.fit)
        if op is None:
            yield from self._alone(one, tensor)

    def _alone(self, one: _Candidate, tensor: Tensor) -> Iterator[Change]:
        """A BatchNormalization that no layer comes before is a product and a sum."""
        for norm in self.norms:
            if norm.unit is one.unit:
                yield from norm.alone(one.tensor, tensor, one.fit)

    def _before(self, unit: Unit, kernel: Tensor, tensor: Tensor) -> Iterator[Before]:
        """What came before a Dense layer and may be in it: the layers named, then the nearest."""
        hints = self.hints.of(tensor)
        at = self.places[unit.path]
        near = list(reversed(self.units[max(at - _NEAR, 0) : at]))
        named = [one for one in self.units if one.path in hints and one is not unit]
        others = [one for one in near if one not in named]
        yield from before(kernel, [*named, *others], self.norms)

    def _norms_behind(self, unit: Unit, tensor: Tensor) -> list[Norm]:
        """BatchNormalizations that may have gone into a layer: those named, then the next ones."""
        hints = self.hints.of(tensor)
        named = [norm for norm in self.norms if norm.unit.path in hints]
        at = self.places[unit.path]
        behind = [norm for norm in self.norms if self.places[norm.unit.path] > at]
        unordered = [norm for norm in self.norms if norm not in behind]
        rest = [norm for norm in (*behind[:_NEXT_NORMS], *unordered) if norm not in named]
        return [*named, *rest]

    def _bias(self, tensor: Tensor, kernel: Pair, *, sure: bool) -> None:
        """The bias of an operator whose kernel is known: of the same layer, and folded alike.

        sure: only where the values agree, and else only where its variable has no partner yet.
        """
        best: Pair | None = None
        why = f"the bias of {kernel.b.name}"
        for one, change in self._ways(tensor, kernel):
            pair = Pair(one, tensor, why, "graph", change)
            if agrees(pair, self.limits):
                self._take(pair)
                return
            best = best or pair
        if not sure and best is not None and best.a.name not in self.used:
            self._take(best)

    def _ways(self, tensor: Tensor, kernel: Pair) -> Iterator[tuple[Tensor, Change | None]]:
        """What a bias may have been made of, and how."""
        unit = self.owner[kernel.a.name]
        value = kernel.change.value if kernel.change is not None else None
        bias = next((t for t in unit.tensors if variable_of(t) == "bias"), None)
        if isinstance(value, Folded):
            for norm in self.norms:
                if norm.unit.path == value.layer:
                    yield from norm.bias(bias, tensor)
            return
        if bias is not None and not isinstance(value, Absorbed):
            for fit in fits("", 0, "bias", bias.shape or (), tensor.shape or ()):
                for change in changes(bias, tensor, fit, None):
                    found = None
                    if isinstance(value, Scaled):
                        found = scaled(bias, tensor, change, self.limits)
                    yield bias, found or change
        for part in self._before(unit, kernel.a, tensor):
            if not isinstance(value, Absorbed) or part.layer == value.layer:
                yield from part.bias(kernel.a, bias, tensor)

    # --- what is left ----------------------------------------------------------------------------

    def _shared(self, weights: Iterable[Tensor]) -> None:
        """Variables whose values a constant has that stands for another one already."""
        many = [t for t in weights if t.name in self.taken and len(t.uses) > 1]
        went_in = {one.name for pair in self.pairs for one in operands(pair)}
        for unit in self.units:
            for one in unit.tensors:
                if one.name in self.used or one.name in went_in:
                    continue
                for tensor in many:
                    pair = self._again(one, tensor)
                    if pair is not None:
                        self._take(pair)
                        break

    def _again(self, one: Tensor, tensor: Tensor) -> Pair | None:
        for use in tensor.uses:
            for fit in fits(
                use.op, use.input, variable_of(one), one.shape or (), tensor.shape or ()
            ):
                for change in changes(one, tensor, fit, None):
                    why = f"equal to {self.taken[tensor.name].a.name}, and kept once"
                    pair = Pair(one, tensor, why, "content", change, shared=True)
                    if probe(pair, self.limits).agrees and agrees(pair, self.limits):
                        return pair
        return None

    def _reasons(self, weights: Iterable[Tensor]) -> None:
        for pair in self.pairs:
            for one in operands(pair):
                if one.name not in self.used:
                    self.gone_a.setdefault(one.name, f"folded into {pair.b.name}")
        for unit in self.units:
            for one in unit.tensors:
                told = one.name in self.used or one.name in self.gone_a
                if not told and all_zero(one, self.limits):
                    self.gone_a[one.name] = "all zero, left out"
        for tensor in weights:
            if tensor.name not in self.taken and all_zero(tensor, self.limits):
                self.gone_b[tensor.name] = "zeros, which the operator asks for"

    def _pair(self, one: _Candidate, tensor: Tensor, change: Change | None) -> Pair:
        if change is not None and self.learned:
            change = replace(change, clips=True)
        why = "named in the file" if one.hinted else "by its values"
        return Pair(one.tensor, tensor, why, "name" if one.hinted else "content", change)

    def _take(self, pair: Pair) -> None:
        again = not self._is_free(pair) or pair.b.name in self.taken
        part = pair.change is not None and pair.change.part is not None
        shared = pair.shared or (again and not part) or not self._is_free(pair)
        made = Pair(pair.a, pair.b, pair.why, pair.basis, pair.change, shared=shared)
        self.pairs.append(made)
        self.used[pair.a.name] = pair.change
        self.taken.setdefault(pair.b.name, made)

    def _result(self) -> Pairing:
        return Pairing(
            pairs=in_order(self.pairs, self.a),
            only_a=tuple(t for t in self.a.artifact.tensors if t.name not in self.used),
            only_b=tuple(t for t in self.b.artifact.tensors if t.name not in self.taken),
            gone_a=self.gone_a,
            gone_b=self.gone_b,
        )


def operands(pair: Pair) -> tuple[Tensor, ...]:
    """What went into the result of a pair besides its own two tensors."""
    value = None if pair.change is None else pair.change.value
    return value.operands if isinstance(value, Folded | Absorbed) else ()
