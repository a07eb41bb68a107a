"""What pictures are drawn from: worked out only where a page is asked for.

All of it is bounded: of many tensors the largest have a picture, and how many there are is said.
"""

from __future__ import annotations

from msgspec import Struct

from inspector.report.numbers import Bar
from inspector.report.reconciliation import ReconciliationLine


class AreaReport(Struct, frozen=True):
    """A part of the artifact's bytes, for a map of all of them.

    label: as in `ArtifactReport.bytes`, whose numbers the areas of a label add up to. role, layer:
    of the tensors whose bytes these are, null where they are no tensors'. Of tensors the layer is
    null where they are in none, and for what smaller layers have together, where there are very
    many; layers: how many smaller ones these are, null where they are of one or of none. tensors:
    how many. Bytes that several tensors share are the first one's. nbytes is below 0 where a
    label's is ("shared by several", of a broken file).
    """

    label: str
    role: str | None
    layer: str | None
    nbytes: int
    tensors: int
    layers: int | None = None


class HistogramReport(Struct, frozen=True):
    """How the values of a weight spread.

    bars: of the finite values that are not zero, equally wide; none where there are none. zeros:
    how many are 0 (of quantized values: at their zero point), not_finite: how many are NaN or
    infinite. Bars, zeros and not_finite add up to `elements`. Quantized values are the integers
    that are stored. threshold: below which magnitudes were pruned, as the mask's own threshold
    says; null without one. masked: how many values its mask removes, null without a mask.
    """

    tensor: str
    layer: str | None
    variable: str | None
    role: str
    elements: int
    bars: tuple[Bar, ...]
    zeros: int
    not_finite: int
    threshold: float | None
    masked: int | None


class HeatReport(Struct, frozen=True):
    """Where a matrix's zeros are.

    rows, columns: of the matrix that the kernel is taken for (all but the axis of outputs as rows);
    row_words, column_words: what they stand for ("inputs", "outputs"). cells: rows of cells, each
    the share of zeros in it, to four decimals, 0 and 1 only where exact; a cell holds `cell_rows`
    by `cell_columns` values, the last ones fewer.
    """

    tensor: str
    layer: str | None
    variable: str | None
    shape: tuple[int, ...]
    rows: int
    columns: int
    row_words: str
    column_words: str
    cell_rows: int
    cell_columns: int
    cells: tuple[tuple[float, ...], ...]


class OperatorCostReport(Struct, frozen=True):
    """What one operator of a converted model takes.

    macs: multiply-accumulates of one call. weight_bytes: of the constants that it works on, through
    operators that only unpack them; what several work on is the first one's. activation_bytes: of
    what it puts out, a side that is not fixed as it stands in the file, mostly 1. Null where no
    rule or shape tells, or constants are in another file.
    """

    name: str
    op: str
    macs: int | None
    weight_bytes: int | None
    activation_bytes: int | None


class PicturesReport(Struct, frozen=True):
    """What the pictures of one artifact show.

    areas: all its bytes. steps: from the count of the model alone to all elements stored, a line
    for each kind of tensor, as `reconcile` has them of the one artifact: first what stripping
    leaves, then what else is among the model's variables, then what is stored besides. Their
    `elements` add up to totals.stored_elements, their `count_params` to totals.count_params, and
    their `after_strip` to totals.after_strip where that is known; variables that loading makes are
    a line without elements. There are no steps where count_params is null. histograms: of the
    largest weights, of histograms_of that could have one; heats likewise, of weights with 1 to
    99.9 % zeros. operators: in the order in which they run, the costliest where there are many, of
    operators_of.
    """

    areas: tuple[AreaReport, ...]
    steps: tuple[ReconciliationLine, ...]
    histograms: tuple[HistogramReport, ...]
    histograms_of: int
    heats: tuple[HeatReport, ...]
    heats_of: int
    operators: tuple[OperatorCostReport, ...]
    operators_of: int


class DiffPicture(Struct, frozen=True):
    """The values of a pair before and after, in bars with the same edges on both sides.

    a, b: names of the tensors. Zeros and what is not finite are in no bar. Where one of them is
    quantized the values of both are real ones.
    """

    a: str
    b: str
    bars_a: tuple[Bar, ...]
    bars_b: tuple[Bar, ...]
    zeros_a: int
    zeros_b: int
