"""Step 5a: the arithmetic of one artifact, between two, and against live counts.

The residual is what no line explains; it must be 0.
"""

from inspector.reconcile.lines import Line, Lines, Odd, lines_of
from inspector.reconcile.predict import Predicted, predict, staying
from inspector.reconcile.sizes import Sizes, deflated, sizes_of
from inspector.reconcile.words import Alone, story

__all__ = [
    "Alone",
    "Line",
    "Lines",
    "Odd",
    "Predicted",
    "Sizes",
    "deflated",
    "lines_of",
    "predict",
    "sizes_of",
    "staying",
    "story",
]
