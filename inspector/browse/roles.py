"""How each role looks: a symbol, a short word, a tone.

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


LOOKS: dict[str, Look] = {
    "weight": Look("■", "weight", "weight"),
    "statistic": Look("□", "statistic", "statistic"),
    "mask": Look("▲", "mask", "pruning"),
    "threshold": Look("△", "threshold", "pruning"),
    "pruning_step": Look("△", "step", "pruning"),
    "quant_param": Look("◆", "quant", "quantization"),
    "quant_step": Look("◇", "q step", "quantization"),
    "centroids": Look("●", "centroids", "clustering"),
    "cluster_indices": Look("○", "indices", "clustering"),
    "cluster_original": Look("○", "original", "clustering"),
    "optimizer_slot": Look("+", "slot", "training"),
    "optimizer_state": Look("+", "optimizer", "training"),
    "metric": Look("+", "metric", "training"),
    "counter": Look("+", "counter", "training"),
    "alias": Look("=", "copy", "structure"),
    "constant": Look("·", "constant", "structure"),
    "lookup": Look("≡", "lookup", "structure"),
    "activation": Look("~", "activation", "structure"),
    "unknown": Look("?", "unknown", "unknown"),
}

_NOTHING = Look("?", "unknown", "unknown")


def look(role: str) -> Look:
    """How the role looks; one that this version does not know looks unknown."""
    return LOOKS.get(role, _NOTHING)
