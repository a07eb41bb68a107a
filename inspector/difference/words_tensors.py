"""The sentences about tensors of a difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector import report as r
from inspector.difference.told import (
    LAYOUTS,
    Told,
    are,
    by_role,
    elements,
    group_of,
    is_renaming,
    label,
    labels,
    largest,
    of_kind,
    shape,
)
from inspector.model import Group
from inspector.words import count, in_general, listing, number

_NAMED = 3  # tensors that a sentence tells of
# What a model has around it at times: the words for when it goes, and for when it comes.
_AROUND = {
    Group.PRUNING: ("Pruning overhead was stripped", "Pruning was added"),
    Group.CLUSTERING: ("Clustering overhead was stripped", "Clustering was added"),
    Group.QUANTIZATION: ("Quantization state was stripped", "Quantization was added"),
    Group.TRAINING: ("Training state was dropped", "Training state was added"),
}
_LAYOUT_WORDS = {
    "reshaped": "has another shape",
    "transposed": "was transposed",
    "reordered": "was reordered",
    "split": "was split",
    "fused": "was fused",
}


def architectures(told: Told) -> Iterable[str]:
    """Whether the two are one model at all."""
    if told.apart:
        both, most = told.partners
        have = "have" if both > 1 else "has"
        yield (
            f"These are two architectures: {number(both) if both else 'none'} of"
            f" {count(most, 'layer')} with weights {have} a partner."
        )


def overhead(told: Told) -> Iterable[str]:
    """What was around the model and is gone, or came."""
    found = list(_overhead(told))
    kept = told.kept and told.whole and told.weights and told.a.format == told.b.format
    if found and kept:
        found[0] += "; no weight changed"
    elif kept and not told.same:
        yield _unchanged(told)
    for text in found:
        yield f"{text}."


def _overhead(told: Told) -> Iterable[str]:
    for group, titles in _AROUND.items():
        for status, other, title in zip(
            ("removed", "added"), ("added", "removed"), titles, strict=True
        ):
            pairs = told.lone(status, group)
            if not pairs:
                continue
            all_of_it = not (told.of(group) or told.lone(other, group))
            what = "gone" if status == "removed" else "new"
            head = f"{title}: " if all_of_it else ""
            yield (
                f"{head}{by_role(pairs)} {are(len(pairs))} {what}"
                f" ({count(elements(pairs), 'element')})"
            )


def _unchanged(told: Told) -> str:
    values = [one.values for one in told.weights]
    if None in values:
        how = "the same by their digests"
    elif all(one is not None and one.same_bits for one in values):
        how = "equal bit for bit"
    else:
        how = "equal by value"
    if len(values) == 1:
        return f"No weight changed: the one that both have is {how}."
    return f"No weight changed: all {len(values):,} are {how}."


def changed(told: Told) -> Iterable[str]:
    """Weights with other values, or other places of them."""
    weights = told.weights
    found = of_kind(weights, "values")
    if found:
        noun = "tensor" if len(weights) == len(told.pairs) else "weight"
        yield f"{number(len(found))} of {count(len(weights), noun)} changed: {_sizes(found)}."
    for kind in LAYOUTS:
        turned = of_kind(weights, kind)
        if turned:
            told_of = "; ".join(
                f"{label(one)} {_LAYOUT_WORDS[kind]}{_shapes(one)}" for one in turned[:_NAMED]
            )
            more = f"; and {len(turned) - _NAMED:,} more" if len(turned) > _NAMED else ""
            yield f"{told_of}{more}."


def _shapes(one: r.DiffPair) -> str:
    if one.a is None or one.b is None or one.a.shape == one.b.shape:
        return ""
    return f", {shape(one.a.shape)} -> {shape(one.b.shape)}"


def _sizes(found: Sequence[r.DiffPair]) -> str:
    """As in "3 of 20,280 values of dense/kernel, by up to 0.5"."""
    parts = []
    for one in found[:_NAMED]:
        values = one.values
        if values is None:
            parts.append(f"{label(one)} ({one.words})")
            continue
        by = _by(values.largest)
        zeros = _zeros(values)
        parts.append(
            f"{number(values.differing)} of {count(values.elements, 'value')} of {label(one)}"
            f"{by}{zeros}"
        )
    more = len(found) - _NAMED
    if more > 0:
        parts.append(f"and {number(more)} more")
    return "; ".join(parts)


def _by(largest: r.Extreme) -> str:
    if isinstance(largest, str):
        return ", some finite in one alone"
    return "" if largest is None else f", by up to {largest:.6g}"


def _zeros(values: r.DiffValues) -> str:
    told = [
        count(many, f"zero {what}", f"zeros {what}")
        for many, what in ((values.zeros_lost, "lost"), (values.zeros_gained, "gained"))
        if many
    ]
    return f" ({listing(told)})" if told else ""


def converted(told: Told) -> Iterable[str]:
    """Weights that became others on purpose: of another dtype, folded, masked."""
    weights = [one for one in told.weights if "values" not in one.changes]
    for dtypes, pairs in _by_dtypes(of_kind(weights, "retyped")).items():
        yield f"{count(len(pairs), 'weight')} went from {dtypes}{_loss(pairs)}."
    scaled = [one for one in of_kind(weights, "quantization") if "retyped" not in one.changes]
    if scaled:
        yield (
            f"{count(len(scaled), 'weight')} {are(len(scaled))} quantized otherwise:"
            f" {label(scaled[0])} ({scaled[0].words})."
        )
    for kind, words in (
        ("folded", "had a BatchNormalization folded in"),
        ("masked", "went through the mask"),
        ("clustered", "went through the centroids"),
        ("scaled", "took in a factor"),
    ):
        pairs = of_kind(weights, kind)
        if pairs:
            yield f"{count(len(pairs), 'weight')} {words}: {labels(pairs)}."
    stored = [one for one in of_kind(weights, "sparsity") if set(one.changes) == {"sparsity"}]
    if stored:
        yield f"{count(len(stored), 'weight')}: {stored[0].words}."


def _by_dtypes(pairs: Iterable[r.DiffPair]) -> dict[str, list[r.DiffPair]]:
    found: dict[str, list[r.DiffPair]] = {}
    for one in pairs:
        if one.a is not None and one.b is not None:
            found.setdefault(f"{one.a.dtype} to {one.b.dtype}", []).append(one)
    return found


def _loss(pairs: Sequence[r.DiffPair]) -> str:
    steps, units = largest(pairs, "in_scale_units"), largest(pairs, "ulps")
    if steps:
        return f", off by up to {steps:.3g} steps of the scale"
    if units:
        return f", off by up to {units:.3g} units in the last place"
    lost = [one for one in pairs if one.values is None or one.values.differing]
    return "" if lost else ", no value lost"


def lone(told: Told) -> Iterable[str]:
    """Weights that only one has, and why."""
    for status, of in (("removed", "A"), ("added", "B")):
        pairs = told.lone(status, Group.WEIGHT, Group.UNKNOWN, Group.STRUCTURE)
        plain = [one for one in pairs if one.counts]
        if plain:
            yield (
                f"Only {of} has {by_role(plain)} ({count(elements(plain), 'element')}):"
                f" {labels(plain)}."
            )
        reasons: dict[str, list[r.DiffPair]] = {}
        for one in pairs:
            if not one.counts and group_of(one) is Group.WEIGHT:
                reasons.setdefault(in_general(one.why), []).append(one)
        for why, gone in reasons.items():
            yield (
                f"{by_role(gone)} of {of} ({count(elements(gone), 'element')})"
                f" {are(len(gone))} {why}."
            )
        kept = [one for one in pairs if not one.counts and group_of(one) is not Group.WEIGHT]
        if kept:
            yield f"Only {of} has {by_role(kept)}: its format keeps them, the other does not."


def frozen(told: Told) -> Iterable[str]:
    """Weights that are trained no longer, or again."""
    found = of_kind(told.weights, "trainable")
    for now, words in ((False, "frozen"), (True, "made trainable")):
        pairs = [one for one in found if one.b is not None and one.b.trainable is now]
        if pairs:
            was = "was" if len(pairs) == 1 else "were"
            yield f"{count(len(pairs), 'weight')} {was} {words}: {labels(pairs)}."


def renamed(told: Told) -> Iterable[str]:
    """Layers that have another name: of configs where both have one, else those of tensors."""
    if told.apart:
        return
    facts = [one for one in told.facts if one.counts and is_renaming(one)]
    clauses = (
        clause
        for one in told.pairs
        for kind, clause in zip(one.changes, one.clauses, strict=True)
        if kind == "renamed"
    )
    names = [f"{one.a} is now {one.b}" for one in facts] or list(dict.fromkeys(clauses))
    if names:
        was = "layer was" if len(names) == 1 else "layers were"
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield f"{number(len(names))} {was} renamed: {', '.join(names[:_NAMED])}{more}."


_REST = {
    Group.PRUNING: "of pruning",
    Group.CLUSTERING: "of clustering",
    Group.QUANTIZATION: "of quantization",
    Group.STRUCTURE: "beside the weights",
    Group.UNKNOWN: "that no rule explains",
}


def rest(told: Told) -> Iterable[str]:
    """What changed and is no weight."""
    for group, words in _REST.items():
        held = told.of(group)
        found = [one for one in held if one.counts and set(one.changes) - {"renamed", "trainable"}]
        if found:
            yield (
                f"{number(len(found))} of {count(len(held), 'tensor')} {words} changed:"
                f" {label(found[0])} ({found[0].words}){_more(len(found) - 1)}."
            )
    roles = of_kind(told.weights, "role")
    if roles:
        yield f"{count(len(roles), 'weight')} changed in role: {labels(roles)}."


def _more(many: int) -> str:
    return f" and {many:,} more" if many else ""


def states(told: Told) -> Iterable[str]:
    """What of the optimizer's and the metrics' state changed."""
    held = told.of(Group.TRAINING)
    found = [one for one in held if one.counts and set(one.changes) - {"renamed"}]
    if found:
        yield (
            f"{number(len(found))} of {count(len(held), 'tensor')} of training state changed:"
            f" {labels(found)}."
        )
