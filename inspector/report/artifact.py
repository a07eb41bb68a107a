"""What is said of one artifact: its tensors, layers, counts and bytes."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from inspector.model import Severity
from inspector.report.display import Displayed
from inspector.report.numbers import Extreme
from inspector.report.pictures import PicturesReport


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


class ArtifactReport(Struct, Displayed, frozen=True):
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
    pictures: PicturesReport | UnsetType = UNSET
