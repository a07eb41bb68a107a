"""The arithmetic between counts, and what live TensorFlow says of them."""

from __future__ import annotations

from msgspec import Struct

from inspector.report.numbers import Extreme


class LineOfOther(Struct, frozen=True):
    """The same line of the other artifact."""

    tensors: int
    elements: int
    nbytes: int
    count_params: int | None


class ReconciliationLine(Struct, frozen=True):
    """One line of the arithmetic: so many elements, and on what ground.

    role: null where no tensor stands for the line (variables that loading makes). each: elements of
    every one of its tensors, null where they differ; nbytes: bytes of the files that hold them;
    count_params, after_strip: elements that these totals have of it. Of two artifacts all are A's,
    and `other` has B's.
    """

    label: str
    elements: int
    basis: str
    role: str | None = None
    tensors: int | None = None
    each: int | None = None
    nbytes: int | None = None
    count_params: int | None = None
    after_strip: int | None = None
    other: LineOfOther | None = None


class PairReport(Struct, frozen=True):
    """A tensor of A and the one of B that it is, and how their values agree.

    why: what told so; change: how b is made of a ("transposed + cast", in words beside it), null
    where both should be the same. agrees: "bits", "values" (-0.0 is 0.0), "close" (as far as the
    change keeps values), "differs" or "unread". largest: largest difference; in_scale_units: the
    same in steps of the quantized side; masked_nonzero: elements not zero where the mask is 0, null
    without a mask. why_not: what is wrong.
    """

    a: str
    b: str
    layer: str | None
    variable: str | None
    layer_b: str | None
    variable_b: str | None
    role: str
    elements: int
    why: str
    change: str | None
    change_words: str | None
    agrees: str
    zeros_a: int | None
    zeros_b: int | None
    differing: int | None
    largest: Extreme
    in_scale_units: Extreme
    snr_db: Extreme
    masked_nonzero: int | None
    why_not: str | None


class GoneReport(Struct, frozen=True):
    """A weight that one of the two has alone. of: "A" or "B"; why: null where nothing tells."""

    tensor: str
    of: str
    role: str
    elements: int
    why: str | None


class OddReport(Struct, frozen=True):
    """What does not fit: `elements` of `tensor` (null: of the whole), and why."""

    tensor: str | None
    elements: int
    message: str


class SizesReport(Struct, frozen=True):
    """The weights that stay after stripping, in bytes, without any file's own structure.

    elements, zeros: of them. dense: every value; bitmask: a bit a value and the values that are not
    zero; csr: compressed rows, by bits of an index; a tensor that is no smaller so counts as it is.
    deflated: as gzip would, null where that was not asked for.
    """

    elements: int
    zeros: int
    dense: int
    bitmask: int
    csr: dict[str, int]
    deflated: int | None


class PredictedReport(Struct, frozen=True):
    """The size of the same file once stripped and without training state, in bytes.

    at_least: the format's graph, which cannot be foretold, is left out. what: what was done.
    """

    nbytes: int
    at_least: bool
    what: str


class LiveRow(Struct, frozen=True):
    """One number twice, in elements. residual: TensorFlow's less the file's, null where either is
    unknown; reason says why.
    """

    what: str
    file: int | None
    tensorflow: int | None
    residual: int | None
    reason: str | None


class LiveArtifact(Struct, frozen=True):
    """What live TensorFlow says of one artifact.

    loader: what loaded it, and its version; versions: of all packages; error: why it refused, in
    its own words, null where it did not. totals and layers: a row each; tensors: of all elements
    that it lists, null where it lists none; unlike: single tensors that do not fit. residual:
    elements of difference over all rows, null where no row has both numbers.
    """

    path: str
    loader: str
    versions: dict[str, str]
    error: str | None
    totals: tuple[LiveRow, ...]
    layers: tuple[LiveRow, ...]
    tensors: LiveRow | None
    unlike: tuple[str, ...]
    residual: int | None


class Live(Struct, frozen=True):
    """What live TensorFlow says. residual: over all artifacts, null where there was nothing to hold
    against each other, or it refused one.
    """

    artifacts: tuple[LiveArtifact, ...]
    residual: int | None


class Reconciliation(Struct, frozen=True):
    """The arithmetic between counts. residual: what it leaves unexplained, 0 when it balances.

    live: what TensorFlow says, null where it was not asked; it has a residual of its own.
    answer: the same in words; odd: what the residual is made of. sizes: null where values were not
    read; predicted: null where stripping would change nothing, or there is no stripping. pairs,
    gone: of two artifacts, every variable of the models that both have, and every weight that one
    has alone.
    """

    lines: tuple[ReconciliationLine, ...]
    live: Live | None
    residual: int | None
    answer: tuple[str, ...] = ()
    odd: tuple[OddReport, ...] = ()
    sizes: SizesReport | None = None
    predicted: PredictedReport | None = None
    pairs: tuple[PairReport, ...] = ()
    gone: tuple[GoneReport, ...] = ()
