"""How each role looks and what it is, in a few words: a symbol, a short word, a tone, a sentence.

Symbol and word say the same as the colour, for terminals and eyes that have none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """symbol: one column; word: at most ten letters; tone: a name of `lines.STYLES`."""

    symbol: str
    word: str
    tone: str
    meaning: str


LOOKS: dict[str, Look] = {
    "weight": Look("■", "weight", "weight", "Learned, and used at inference."),
    "statistic": Look("□", "statistic", "statistic", "Not trained, and used at inference."),
    "mask": Look("▲", "mask", "pruning", "Which values pruning keeps. Gone after strip_pruning."),
    "threshold": Look(
        "△", "threshold", "pruning", "Below which magnitude pruning cuts. Gone after strip_pruning."
    ),
    "pruning_step": Look(
        "△", "step", "pruning", "How far pruning's schedule was. Gone after strip_pruning."
    ),
    "quant_param": Look("◆", "quant", "quantization", "A range, scale or zero point."),
    "quant_step": Look("◇", "q step", "quantization", "How far training for quantization was."),
    "centroids": Look("●", "centroids", "clustering", "The values that a clustered weight has."),
    "cluster_indices": Look("○", "indices", "clustering", "Which centroid each value has."),
    "cluster_original": Look("○", "original", "clustering", "The weight before it was clustered."),
    "optimizer_slot": Look("+", "slot", "training", "The optimizer's memory of a weight."),
    "optimizer_state": Look("+", "optimizer", "training", "The optimizer's own state."),
    "metric": Look("+", "metric", "training", "A metric's state; inference needs none."),
    "counter": Look("+", "counter", "training", "A counter or a seed; inference needs none."),
    "alias": Look("=", "copy", "structure", "The same variable, stored again."),
    "constant": Look("·", "constant", "structure", "A constant of the graph that is no weight."),
    "lookup": Look("≡", "lookup", "structure", "A vocabulary, or another table."),
    "activation": Look("~", "activation", "structure", "A value between operators: no bytes."),
    "unknown": Look("?", "unknown", "unknown", "No rule explains it."),
}

_NOTHING = Look("?", "unknown", "unknown", "No rule explains it.")


def look(role: str) -> Look:
    """How the role looks; one that this version does not know looks unknown."""
    return LOOKS.get(role, _NOTHING)
