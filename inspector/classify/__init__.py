"""Step 3: Tensor -> Verdict. Structure before names before content; the first rule that fits.

RULES is the order. A new rule is a function in a file here and a line in that file's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from inspector.classify import (
    catalog,
    constants,
    fallback,
    objects,
    structure,
    tf_names,
    tflite,
    training,
)
from inspector.classify.rule import Context, Rule
from inspector.model import Artifact, Problem, Tensor, Verdict

RULES: tuple[Rule, ...] = (
    # All tensors of a .tflite model, and none of another artifact.
    *tflite.RULES,
    *constants.FIRST,
    *objects.FIRST,
    *tf_names.RULES,
    *training.RULES,
    *catalog.RULES,
    *structure.RULES,
    *constants.RULES,
    *objects.OTHERS,
    *tf_names.LAST,
    *fallback.RULES,
)


@dataclass(frozen=True, slots=True)
class Classified:
    """A verdict for every tensor, by the tensor's name, and what looked odd on the way."""

    verdicts: Mapping[str, Verdict]
    problems: tuple[Problem, ...] = ()


def classify(artifact: Artifact) -> Classified:
    """Say what every tensor is. Reads no payload."""
    context = Context.of(artifact)
    verdicts: dict[str, Verdict] = {}
    for rule in RULES:
        undecided = [t for t in artifact.tensors if t.name not in verdicts]
        if not undecided:
            break
        verdicts |= rule.apply(context, undecided)
    return Classified({t.name: _flagged(t, verdicts[t.name]) for t in artifact.tensors})


def _flagged(tensor: Tensor, verdict: Verdict) -> Verdict:
    """The verdict with the file's own word on training, where no rule has another."""
    if verdict.trainable is not None or tensor.trainable is None:
        return verdict
    return replace(verdict, trainable=tensor.trainable)


__all__ = ["RULES", "Classified", "Rule", "classify"]
