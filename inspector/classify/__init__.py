"""Step 3: Tensor -> Verdict. Structure before names before content; the first rule that fits.

RULES is the order. A new rule is a function in a file here and a line in that file's table.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inspector import deadline
from inspector.changed import changed
from inspector.classify.rule import Context, Rule
from inspector.keras.specs import Spec
from inspector.model import Artifact, Problem, Store, Tensor, Verdict

if TYPE_CHECKING:
    RULES: tuple[Rule, ...]

# The tables of rules in their order: module, name. Rules about operators and objects decide nothing
# in a file of Keras' own, and what they know of graphs takes long to import.
_TABLES = (
    # All tensors of a .tflite model, and none of another artifact.
    ("tflite", "RULES"),
    ("constants", "FIRST"),
    ("objects", "FIRST"),
    ("tf_names", "RULES"),
    ("training", "RULES"),
    ("catalog", "RULES"),
    ("structure", "RULES"),
    ("constants", "RULES"),
    ("objects", "OTHERS"),
    ("tf_names", "LAST"),
    ("fallback", "RULES"),
)
_OF_KERAS = frozenset({"training", "catalog", "structure", "fallback"})
_KERAS_STORES = frozenset({Store.LEGACY, Store.V3})


@dataclass(frozen=True, slots=True)
class Classified:
    """A verdict for every tensor, by the tensor's name, and what looked odd on the way.

    specs: what classes say of the tensors, for whoever counts them.
    """

    verdicts: Mapping[str, Verdict]
    problems: tuple[Problem, ...] = ()
    specs: Mapping[str, Spec] | None = field(default=None, compare=False, repr=False)


def classify(artifact: Artifact) -> Classified:
    """Say what every tensor is. Reads no payload."""
    context = Context.of(artifact)
    verdicts: dict[str, Verdict] = {}
    undecided = list(artifact.tensors)
    for rule in _rules(keras=artifact.store in _KERAS_STORES and artifact.format[:5] == "keras"):
        if not undecided:
            break
        deadline.check()
        found = rule.apply(context, undecided)
        if found:
            verdicts |= found
            undecided = [tensor for tensor in undecided if tensor.name not in verdicts]
    flagged = {t.name: _flagged(t, verdicts[t.name]) for t in artifact.tensors}
    return Classified(flagged, specs=context.specs)


@functools.cache
def _rules(*, keras: bool) -> tuple[Rule, ...]:
    """All rules in their order; keras: only those that may decide in a file of Keras' own."""
    return tuple(
        rule
        for module, table in _TABLES
        if module in _OF_KERAS or not keras
        for rule in getattr(importlib.import_module(f"{__name__}.{module}"), table)
    )


def _flagged(tensor: Tensor, verdict: Verdict) -> Verdict:
    """The verdict with the file's own word on training, where no rule has another."""
    if verdict.trainable is not None or tensor.trainable is None:
        return verdict
    return changed(verdict, trainable=tensor.trainable)


def __getattr__(name: str) -> object:
    if name == "RULES":
        return _rules(keras=False)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["RULES", "Classified", "Rule", "classify"]
