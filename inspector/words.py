"""Numbers and lists as words: thousands, plurals, exact percentages. Plain strings in and out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

# One tensor, several tensors: the words of each role in sentences and column heads.
ROLE_WORDS: dict[str, tuple[str, str]] = {
    "weight": ("weight", "weights"),
    "statistic": ("statistic", "statistics"),
    "mask": ("mask", "masks"),
    "threshold": ("threshold", "thresholds"),
    "pruning_step": ("step", "steps"),
    "quant_param": ("quantization parameter", "quantization parameters"),
    "quant_step": ("quantization step", "quantization steps"),
    "centroids": ("set of centroids", "sets of centroids"),
    "cluster_indices": ("set of cluster indices", "sets of cluster indices"),
    "cluster_original": ("original before clustering", "originals before clustering"),
    "optimizer_slot": ("optimizer slot", "optimizer slots"),
    "optimizer_state": ("optimizer scalar", "optimizer scalars"),
    "metric": ("metric", "metrics"),
    "counter": ("counter", "counters"),
    "alias": ("copy", "copies"),
    "constant": ("constant", "constants"),
    "lookup": ("lookup table", "lookup tables"),
    "activation": ("activation", "activations"),
    "unknown": ("unknown tensor", "unknown tensors"),
}

# Labels of a file's bytes, and heads of the layer table's columns.
ROLE_LABELS: dict[str, str] = {
    "weight": "weights",
    "statistic": "statistics",
    "mask": "masks",
    "threshold": "thresholds",
    "pruning_step": "pruning steps",
    "quant_param": "quantization parameters",
    "quant_step": "quantization steps",
    "centroids": "centroids",
    "cluster_indices": "cluster indices",
    "cluster_original": "cluster originals",
    "optimizer_slot": "optimizer slots",
    "optimizer_state": "optimizer state",
    "metric": "metrics",
    "counter": "counters",
    "alias": "copies",
    "constant": "constants",
    "lookup": "lookup tables",
    "activation": "activations",
    "unknown": "unknown",
}


# What each key of an object graph ends in, whatever it leads to.
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def keyless(text: str) -> str:
    """A text without what the keys in it all end in: "dense/kernel", not what TensorFlow adds."""
    return text.replace(_VALUE, "")


def number(value: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{value:,}"


def count(value: int, one: str, many: str | None = None) -> str:
    """(1, "mask") -> "1 mask"; (1280, "mask") -> "1,280 masks"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def listing(parts: Sequence[str], last: str = "and") -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first `most` of many names, and how many more there are: "a, b, c and 2 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def in_general(why: str) -> str:
    """A reason without the tensor that it names: "folded into other weights"."""
    head, into, _ = why.partition(" into ")
    return f"{head} into other weights" if into else why


def percent(part: int, whole: int) -> str:
    """The share part / whole in percent: whole when exact ("80 %"), else two decimals ("79.63 %"),
    or as many as it takes not to read 0 or 100 when it is neither ("99.995 %"). Of nothing: "-".
    """
    if whole == 0:
        return "-"
    share = Fraction(100 * part, whole)
    if share.denominator == 1:
        return f"{share.numerator} %"
    for digits in range(2, 7):
        rounded = round(share, digits)
        if 0 < rounded < 100:
            return f"{float(rounded):.{digits}f}".rstrip("0").rstrip(".") + " %"
    return "under 0.000001 %" if share < 50 else "over 99.999999 %"
