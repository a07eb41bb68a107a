"""Step 5a: the arithmetic of one artifact, between two, and against live counts.

The residual is what no line explains; it must be 0.
"""

from inspector.reconciliation.against import Against, Row, against, verdict
from inspector.reconciliation.between import Between, Gone, Held, Known, between
from inspector.reconciliation.lines import Line, Lines, Odd, lines_of
from inspector.reconciliation.predict import Predicted, predict, staying
from inspector.reconciliation.sizes import Sizes, deflated, sizes_of
from inspector.reconciliation.words import Alone, story
from inspector.reconciliation.words_between import how, story_between

__all__ = [
    "Against",
    "Alone",
    "Between",
    "Gone",
    "Held",
    "Known",
    "Line",
    "Lines",
    "Odd",
    "Predicted",
    "Row",
    "Sizes",
    "against",
    "between",
    "deflated",
    "how",
    "lines_of",
    "predict",
    "sizes_of",
    "staying",
    "story",
    "story_between",
    "verdict",
]
