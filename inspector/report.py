"""The report: typed, versioned, the one thing that renderers see.

The JSON contract is these types, and its schema (`inspector/schema/report-1.0.json`) is generated
from them. A field is only ever added within schema 1.x. None is written as null and means "the
artifact cannot say", never 0; UNSET fields are left out. JSON has no infinity: a `min` or `max`
that is infinite is the string "Infinity" or "-Infinity".
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from inspector.model import Severity

SCHEMA_VERSION = "1.0"

Extreme = int | float | Literal["Infinity", "-Infinity"] | None


class Tool(Struct, frozen=True):
    """What wrote the report."""

    name: str
    version: str


class FileReport(Struct, frozen=True):
    """One file of the artifact; nbytes is its size, digest of its bytes ("sha256:..."), where that
    was asked for.
    """

    path: str
    nbytes: int
    digest: str | UnsetType = UNSET


class ProducerReport(Struct, frozen=True):
    """What wrote the artifact, as far as it says: "tf_keras" 2.21.0, backend "tensorflow"."""

    name: str
    version: str | None
    backend: str | None
    flavor: str | None


class TotalsReport(Struct, frozen=True):
    """The counts, each by its own name, in elements.

    stored_elements: all elements in the file; count_params, trainable, non_trainable: what Keras
    says after loading; after_strip: count_params once strip_pruning / strip_clustering has run;
    nonzero: non-zero elements of role "weight", copies left out.
    """

    stored_elements: int | None
    count_params: int | None
    trainable: int | None
    non_trainable: int | None
    after_strip: int | None
    nonzero: int | None


class RoleReport(Struct, frozen=True):
    """All tensors of one role. What two tensors share, elements and bytes, counts once."""

    tensors: int
    elements: int
    nbytes: int


class WeightsReport(Struct, frozen=True):
    """Zeros among elements of role "weight": zeros / elements is the sparsity."""

    elements: int
    zeros: int
    sparsity: float | None


class LayerReport(Struct, frozen=True):
    """One layer. `name` is its path from the model down.

    wraps: class name of the layer inside a wrapper; overhead: elements that stripping removes;
    roles: elements stored, by role; weights: zeros among its weights, None when not measured.
    macs: multiply-accumulates of one call with one example, None where no rule or shape tells.
    config_digest: of its config without its name and without layers inside it that have an entry of
    their own, where digests were asked for; None where it has no config.
    """

    name: str
    class_name: str
    wraps: str | None
    trainable: bool | None
    count_params: int | None
    overhead: int
    roles: dict[str, int]
    weights: WeightsReport | None
    macs: int | None = None
    config_digest: str | UnsetType | None = UNSET


class PatternReport(Struct, frozen=True):
    """How far a sparsity pattern holds: in `held` of `groups` groups."""

    held: int
    groups: int
    holds: bool


class MeasureReport(Struct, frozen=True):
    """One pass over a tensor's values. Counts are elements; min and max leave NaN out.

    distinct: number of different values, None where it is over 256 or was not counted.
    patterns: by pattern and axis, "2:4 input".
    """

    zeros: int
    sparsity: float | None
    min: Extreme
    max: Extreme
    nan: int
    inf: int
    distinct: int | None
    patterns: dict[str, PatternReport]


class UseReport(Struct, frozen=True):
    """One place where a graph reads a tensor: at `input` (from 0) of the operator `node`, after the
    operators of `through`, which hand it on.
    """

    op: str
    input: int
    node: str
    through: tuple[str, ...]


class TensorReport(Struct, frozen=True):
    """One stored tensor: what it is, why, and where it came from.

    name: its path in the artifact; variable: the variable's own name; dtype: NumPy or ml_dtypes
    name; shape: None where the file declares no data space; nbytes: bytes of the file that hold
    it; about: the tensor it serves (a mask's kernel); alias_of: the tensor it repeats; storage:
    how it is stored, in words; links: further paths that lead to the same stored object.
    quantization: how its values are, or in training are to be, quantized: {"dtype", "parameters":
    {variable: name of the tensor that holds it}}, of TFLite {"dtype", "scheme", "count", "scale",
    "zero_point" (least and most of each), "axis", "block", "symmetric", "parameters"}; null where
    nothing quantizes it. sparsity describes sparse storage (TFLite): {"format", "block", "stored",
    "dense", "saved_bytes"}. digest: of the values ("sha256:..."), where that was asked for; null
    where they cannot be read, or there are none.
    """

    name: str
    variable: str | None
    layer: str | None
    role: str
    rule: str
    basis: str
    evidence: str
    dtype: str
    shape: tuple[int, ...] | None
    elements: int
    nbytes: int
    trainable: bool | None
    quantization: dict[str, Any] | None
    sparsity: dict[str, Any] | None
    alias_of: str | None
    about: str | None
    storage: str
    links: tuple[str, ...]
    measure: MeasureReport | None
    uses: tuple[UseReport, ...] = ()
    digest: str | UnsetType | None = UNSET


class ProblemReport(Struct, frozen=True):
    """Something in the artifact that a person should know. offset: bytes into the file."""

    code: str
    severity: Severity
    message: str
    path: str
    offset: int | None


class PortReport(Struct, frozen=True):
    """One input or output of a signature. A side of the shape that is not fixed is null; the shape
    is null where not even the rank is known. tensor: its name in the graph.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    tensor: str | None


class SignatureReport(Struct, frozen=True):
    """A way to call the model. tags: of the meta graph that has it."""

    name: str
    inputs: tuple[PortReport, ...]
    outputs: tuple[PortReport, ...]
    method: str | None
    tags: tuple[str, ...]


class CostReport(Struct, frozen=True):
    """What one call costs, by the rules named: multiply-accumulates, and bytes of activations that
    live at once, at most. uncounted: operators that macs leaves out.
    """

    macs: int | None
    macs_rule: str
    uncounted: int
    peak_activation_bytes: int | None
    peak_rule: str


class OperatorReport(Struct, frozen=True):
    """An operator that the graphs use `count` times. custom: it is none of TensorFlow's own."""

    name: str
    count: int
    custom: bool
    version: int | None


class ConfigReport(Struct, frozen=True):
    """The config of one layer, or of a model ("" is the whole), as Keras saved it.

    config: without its name, and without layers inside it, which have entries of their own.
    inputs: what it is called with, as the model around it has it; null where that does not say.
    """

    layer: str
    class_name: str
    config: dict[str, Any]
    inputs: Any


class Shown(Struct, frozen=True):
    """What a filter left of an artifact's rows; every count and byte is still of the whole."""

    layers: int
    of_layers: int
    tensors: int
    of_tensors: int


class ArtifactReport(Struct, frozen=True):
    """One artifact. answer: the answer in words, one line a question.

    readable: False where reading failed; then `problems` says why, format and nbytes may be None
    and every count is None. totals_reasons: why a total is None. bytes: by label, sums exactly to
    nbytes. in_no_layer: elements by role of tensors that no entry of `layers` holds. weights:
    zeros among all weights, None when not measured. tags: of each meta graph of a SavedModel;
    operators: of all its graphs and functions, the most used first. scheme: how the model is
    quantized, in words; min_runtime_version: the oldest LiteRT runtime that has all its operators,
    as the file says; attached: files inside it, bytes by name. content_digest: of all tensors, by
    role, layer, variable, dtype, shape and values, wherever and however they are stored; null where
    one of them could not be read. configs: of all layers, in the model's order, and training: how
    the model was compiled, where they were asked for.
    """

    path: str
    format: str | None
    nbytes: int | None
    files: tuple[FileReport, ...]
    producer: ProducerReport | None
    totals: TotalsReport
    roles: dict[str, RoleReport]
    bytes: dict[str, int]
    layers: tuple[LayerReport, ...]
    tensors: tuple[TensorReport, ...]
    problems: tuple[ProblemReport, ...]
    kind: str | None
    readable: bool
    answer: tuple[str, ...]
    totals_reasons: dict[str, str]
    in_no_layer: dict[str, int]
    weights: WeightsReport | None
    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[SignatureReport, ...] = ()
    operators: tuple[OperatorReport, ...] = ()
    scheme: str | None = None
    cost: CostReport | None = None
    min_runtime_version: str | None = None
    attached: dict[str, int] = {}
    shown: Shown | UnsetType = UNSET
    content_digest: str | UnsetType | None = UNSET
    configs: tuple[ConfigReport, ...] | UnsetType = UNSET
    training: dict[str, Any] | UnsetType | None = UNSET


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


class DiffSummary(Struct, frozen=True):
    """Tensors of two artifacts, paired.

    added: only B has them; removed: only A has them; unread: paired, and the values of one could
    not be read; ignored: left out as asked for.
    """

    added: int
    removed: int
    changed: int
    unchanged: int
    unread: int = 0
    ignored: int = 0


class DiffTensor(Struct, frozen=True):
    """One side of a pair."""

    name: str
    layer: str | None
    variable: str | None
    role: str
    trainable: bool | None
    dtype: str
    shape: tuple[int, ...] | None
    elements: int
    nbytes: int


class DiffValues(Struct, frozen=True):
    """How the values of B differ from those of A, once A's went through the pair's conversion.

    differing: elements of other value (NaN is NaN, -0.0 is 0.0), past the tolerances where there
    are any. largest, mean: of the absolute differences, the mean over all elements. relative_norm:
    norm of the difference over the norm of A's values; cosine: of the angle between both. Null
    where nothing can be subtracted. sign_flips: elements whose sign turned; zeros_gained: 0 in B
    alone; zeros_lost: 0 in A alone. ulps: largest difference in units of the last place of the
    dtype cast to; in_scale_units: in steps of the quantized side; clipped: elements past its range.
    same_bits: not one bit differs.
    """

    elements: int
    differing: int
    same_bits: bool
    largest: Extreme
    mean: Extreme
    relative_norm: Extreme
    cosine: float | None
    sign_flips: int
    zeros_a: int
    zeros_b: int
    zeros_gained: int
    zeros_lost: int
    ulps: Extreme = None
    in_scale_units: Extreme = None
    clipped: int = 0


class DiffPair(Struct, frozen=True):
    """A tensor of A and the one of B that it is; one of them is null where the other has none.

    status: "unchanged", "changed", "added" (only B has it), "removed" (only A), "unread". why: what
    told that the two are one, or why the other side has none; basis: one word of it. changes: what
    kinds there are ("values", "retyped", "reshaped", "transposed", "role", "trainable", "sparsity",
    "quantization", "renamed"); words: the same for people. conversion: what A's values went through
    before they were compared. values: null where they were not compared. counts: whether it makes
    the two artifacts differ; what only the formats' ways of storing do does not. clauses: of each
    of `changes` what the words say of it, "" where its name says all.
    """

    status: str
    a: DiffTensor | None
    b: DiffTensor | None
    why: str
    basis: str
    changes: tuple[str, ...]
    words: str
    conversion: str | None
    values: DiffValues | None
    counts: bool
    clauses: tuple[str, ...] = ()


class DiffFact(Struct, frozen=True):
    """Anything else that is not the same in both, or is only said of one.

    part: "totals", "roles", "bytes", "layers", "config", "training-config", "signatures",
    "operators", "producer", "format", "patterns" ...; what: of it ("count_params",
    "dense.activation"); a, b: as each has it, null where one has none; words: the same in a
    sentence. counts: as of pairs.
    """

    part: str
    what: str
    a: Any
    b: Any
    words: str
    counts: bool


class DiffPlace(Struct, frozen=True):
    """Bytes that differ: `length` of them at `offset` of A's file `a` and of B's `b`.

    what: whose bytes they are. A file, or an end of one, that only one of the two has is null in
    the other.
    """

    a: str | None
    b: str | None
    offset: int
    length: int
    what: str


class Diff(Struct, frozen=True):
    """The difference between two artifacts.

    same: they say the same, whatever their bytes. answer: the difference in words. pairs: every
    tensor of both, that which changed most first, unchanged ones last. places: where the bytes
    differ, where that was asked for.
    """

    summary: DiffSummary
    pairs: tuple[DiffPair, ...]
    same: bool = True
    answer: tuple[str, ...] = ()
    facts: tuple[DiffFact, ...] = ()
    places: tuple[DiffPlace, ...] | UnsetType = UNSET


class Finding(Struct, frozen=True):
    """What an audit rule found, and what to do about it.

    message: one line; path: the artifact, or the file of it that is to blame; offset: bytes into
    that. evidence: what was seen, in words. fingerprint: the same for the same finding in a later
    run, wherever the artifact then lies. artifact: that the rule was asked of, as it was given;
    fails: whether it is severe enough to fail the audit.
    """

    code: str
    severity: Severity
    message: str
    path: str
    tensor: str | None
    layer: str | None
    fix: str | None
    evidence: str | None = None
    offset: int | None = None
    fingerprint: str | None = None
    artifact: str | None = None
    fails: bool = False


class Suppressed(Struct, frozen=True):
    """A finding that was not reported. why: "baseline", "allowed: ..." with the policy's reason."""

    finding: Finding
    why: str


class Unasked(Struct, frozen=True):
    """Codes of rules that others were asked, and this artifact was not: its policy leaves them out,
    or it lacks what they look at.
    """

    artifact: str
    codes: tuple[str, ...]


class AuditRuleReport(Struct, frozen=True):
    """What an audit rule says of itself. family: what its code begins with; severity: the rule's
    own, which a policy may have changed in a finding.
    """

    code: str
    family: str
    severity: Severity
    summary: str
    explanation: str
    example: str
    fix: str


class AuditReport(Struct, frozen=True):
    """How an audit went.

    policy: where the policy came from, null for the default one. artifacts: how many were looked
    at; rules: how many were asked of them. errors, warnings, infos: findings by severity. fail_on:
    the severity from which on a finding fails the audit; failed: whether one did. suppressed: what
    the baseline and the allow-list took out. notes: what the rules could not look at, and why.
    asked: codes of the rules that were asked; unasked: of which artifacts some of them were not.
    explained: the rules whose findings are here, suppressed ones among them.
    """

    policy: str | None
    artifacts: int
    rules: int
    errors: int
    warnings: int
    infos: int
    fail_on: str
    failed: bool
    suppressed: tuple[Suppressed, ...] = ()
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    unasked: tuple[Unasked, ...] = ()
    explained: tuple[AuditRuleReport, ...] = ()


class ExtentReport(Struct, frozen=True):
    """`length` bytes at `offset` of `file`; codec None where they are the values themselves."""

    file: str
    offset: int
    length: int
    codec: str | None


class RuleReport(Struct, frozen=True):
    """A classification rule: its code, one line, one paragraph, an example."""

    code: str
    summary: str
    explanation: str
    example: str


class Bar(Struct, frozen=True):
    """One bar of a histogram: `elements` values in [low, high), the last bar's high included."""

    low: float
    high: float
    elements: int


class MaskReport(Struct, frozen=True):
    """A mask held against its weight, in elements.

    extra_zeros: zeros of the weight that the mask keeps; leaks: non-zeros of the weight that the
    mask removes; masked: zeros of the mask.
    """

    mask: str
    weight: str
    elements: int
    masked: int
    extra_zeros: int
    leaks: int


class Schedule(Struct, frozen=True):
    """How a pruning wrapper was told to prune, from the layer's config."""

    wrapper: str
    class_name: str | None
    config: dict[str, Any]
    block_size: Any
    block_pooling_type: str | None
    m_by_n: Any


class Explanation(Struct, frozen=True):
    """All that is known of one tensor."""

    path: str
    format: str
    kind: str
    tensor: TensorReport
    rule: RuleReport | None
    extents: tuple[ExtentReport, ...]
    histogram: tuple[Bar, ...]
    mask: MaskReport | None
    schedule: Schedule | None
    problems: tuple[ProblemReport, ...]


class Report(Struct, frozen=True):
    """What a command found, for any renderer."""

    schema_version: str
    tool: Tool
    command: str
    artifacts: tuple[ArtifactReport, ...]
    explanation: Explanation | UnsetType = UNSET
    reconciliation: Reconciliation | UnsetType = UNSET
    diff: Diff | UnsetType = UNSET
    findings: tuple[Finding, ...] | UnsetType = UNSET
    audit: AuditReport | UnsetType = UNSET


def report(command: str, artifacts: tuple[ArtifactReport, ...] = (), **sections: Any) -> Report:
    """A report of this version of the tool. sections: the optional fields of Report."""
    from inspector._version import __version__

    return Report(SCHEMA_VERSION, Tool("inspect", __version__), command, artifacts, **sections)


def schema() -> dict[str, Any]:
    """The JSON schema of Report."""
    import msgspec

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"inspect report {SCHEMA_VERSION}",
        **_undented(msgspec.json.schema(Report)),
    }


def _undented(node: Any) -> Any:
    """Descriptions come from docstrings, whose margins only Python 3.13 takes off."""
    if isinstance(node, dict):
        return {
            key: cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _undented(value)
            for key, value in node.items()
        }
    return [_undented(one) for one in node] if isinstance(node, (list, tuple)) else node
