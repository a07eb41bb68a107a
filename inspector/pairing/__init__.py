"""Step 5's ground: which tensor of one artifact is which of another, and do their values agree.

Pairs are told by the names of layers and variables, then by structure, then by content, and each
says why. What a conversion does on purpose (a kernel turned, a BatchNormalization folded in, floats
made integers) is a `Change`, which `agreement` goes through before it compares.
"""

from inspector.pairing.agree import agreement
from inspector.pairing.nouns import (
    Absorbed,
    Agreement,
    Change,
    Clustered,
    Folded,
    Makes,
    Masked,
    Order,
    Pair,
    Pairing,
    Part,
    Scaled,
    Side,
    Tolerance,
)
from inspector.pairing.pair import pair

__all__ = [
    "Absorbed",
    "Agreement",
    "Change",
    "Clustered",
    "Folded",
    "Makes",
    "Masked",
    "Order",
    "Pair",
    "Pairing",
    "Part",
    "Scaled",
    "Side",
    "Tolerance",
    "agreement",
    "pair",
]
