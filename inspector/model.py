"""The nouns: artifact, tensor, layer, verdict ... Frozen, standard library only."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Role(enum.StrEnum):
    """What a tensor is for. The words are the JSON contract's."""

    WEIGHT = "weight"
    STATISTIC = "statistic"
    MASK = "mask"
    THRESHOLD = "threshold"
    PRUNING_STEP = "pruning_step"
    QUANT_PARAM = "quant_param"
    QUANT_STEP = "quant_step"
    CENTROIDS = "centroids"
    CLUSTER_INDICES = "cluster_indices"
    CLUSTER_ORIGINAL = "cluster_original"
    OPTIMIZER_SLOT = "optimizer_slot"
    OPTIMIZER_STATE = "optimizer_state"
    METRIC = "metric"
    COUNTER = "counter"
    ALIAS = "alias"
    CONSTANT = "constant"
    LOOKUP = "lookup"
    ACTIVATION = "activation"
    UNKNOWN = "unknown"


class Group(enum.StrEnum):
    """The families of roles."""

    WEIGHT = "weight"
    PRUNING = "pruning"
    QUANTIZATION = "quantization"
    CLUSTERING = "clustering"
    TRAINING = "training"
    STRUCTURE = "structure"
    UNKNOWN = "unknown"


GROUP_OF: Mapping[Role, Group] = {
    Role.WEIGHT: Group.WEIGHT,
    Role.STATISTIC: Group.WEIGHT,
    Role.MASK: Group.PRUNING,
    Role.THRESHOLD: Group.PRUNING,
    Role.PRUNING_STEP: Group.PRUNING,
    Role.QUANT_PARAM: Group.QUANTIZATION,
    Role.QUANT_STEP: Group.QUANTIZATION,
    Role.CENTROIDS: Group.CLUSTERING,
    Role.CLUSTER_INDICES: Group.CLUSTERING,
    Role.CLUSTER_ORIGINAL: Group.CLUSTERING,
    Role.OPTIMIZER_SLOT: Group.TRAINING,
    Role.OPTIMIZER_STATE: Group.TRAINING,
    Role.METRIC: Group.TRAINING,
    Role.COUNTER: Group.TRAINING,
    Role.ALIAS: Group.STRUCTURE,
    Role.CONSTANT: Group.STRUCTURE,
    Role.LOOKUP: Group.STRUCTURE,
    Role.ACTIVATION: Group.STRUCTURE,
    Role.UNKNOWN: Group.UNKNOWN,
}


class Section(enum.StrEnum):
    """Which part of an artifact a tensor was found in."""

    MODEL = "model"
    OPTIMIZER = "optimizer"
    METRICS = "metrics"
    OTHER = "other"
    GRAPH = "graph"  # constants of a graph and of its functions


class Naming(enum.StrEnum):
    """How a tensor's layer and variable were found."""

    POSITION = "position"  # its place in the list that Keras loads by, and the stored name agrees
    CONFIG = "config"  # its place, counted through the config: the file stores no name, or another
    CLASS = "class"  # its place, under a group named after a class; no config to check against
    STORED = "stored"  # the stored name alone
    OBJECTS = "objects"  # the attribute by which its object holds it, in the file's object graph
    NODES = "nodes"  # the graph: the operators that read it, and the names of their nodes
    NONE = "none"


class Severity(enum.StrEnum):
    """How bad a problem or finding is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Flavor(enum.StrEnum):
    """Which line of Keras wrote an artifact: they order and name variables differently."""

    KERAS1 = "keras1"
    TF_KERAS = "tf_keras"  # Keras 2, standalone or tf.keras, and tf_keras
    KERAS3 = "keras3"


class Payload(Protocol):
    """A tensor's values, read when asked for and never whole.

    `blocks` yields one-dimensional arrays of the tensor's own dtype in C order, together all
    `elements` values; none is larger than about `max_bytes`. Arrays may be read-only, and each is
    good only until the next one is asked for: its memory may be used again, so whoever keeps one
    copies it. Every call of `blocks` has memory of its own.
    Raises ArtifactError when the bytes cannot be read.
    """

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]: ...


@runtime_checkable
class Divisible(Payload, Protocol):
    """A payload that several threads can read parts of.

    count: how many values it has. part: `count` values from the `start`-th on in C order, as a
    payload of their own. grain: where it is cut at a multiple of so many values, nothing is read or
    decoded twice.
    """

    @property
    def count(self) -> int: ...

    @property
    def grain(self) -> int: ...

    def part(self, start: int, count: int) -> Payload: ...


class Check(Protocol):
    """A checksum that the file has of a tensor's stored bytes.

    holds: one pass over the bytes; whether they have it. Raises ArtifactError when bytes cannot be
    read. watch: the tensor's payload, which sums up what is read of it; None where that would not
    sum up the bytes as they are stored.
    """

    def holds(self) -> bool: ...

    def watch(self) -> Watched | None: ...


class Watched(Payload, Protocol):
    """A payload that is read once, to its end, and then knows whether the checksum holds."""

    @property
    def held(self) -> bool: ...


class Real(Protocol):
    """How integers of a tensor stand for real values: (value - zero point) * scale.

    steps: the scales and the zero points of a part of the tensor (slices of all its sides), float64
    arrays that broadcast against it. ends: the least and the greatest integer that there is.
    """

    def steps(
        self, index: tuple[slice, ...]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]: ...

    @property
    def ends(self) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class Extent:
    """Where bytes of a tensor are: `length` bytes at `offset` of `file` (a path in Artifact.files).

    codec is None where the bytes are the values themselves, else what they went through
    ("gzip", "shuffle+gzip", "int4 packed", "member deflated" ...).
    """

    file: str
    offset: int
    length: int
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class Quantized:
    """How a tensor's integers stand for real values: scale * (value - zero_point).

    scheme: "per-tensor", "per-channel", "blockwise", or the name of a custom one. scales and
    zero_points: how many, and the range of each: (least, most); None where the file gives none, or
    keeps them in other tensors. axis: the side with a scale each; block: values a block.
    symmetric: every zero point is 0 (of unsigned integers: the middle); None where not known.
    """

    scheme: str
    count: int = 0
    scale: tuple[float, float] | None = None
    zero_point: tuple[int, int] | None = None
    axis: int | None = None
    block: int | None = None
    symmetric: bool | None = None
    tensors: Mapping[str, str] = field(default_factory=dict)  # "scales" -> the tensor with them


@dataclass(frozen=True, slots=True)
class Sparse:
    """How a tensor is stored without (most of) its zeros.

    format: "CSR", "block CSR" ...; block: shape of a block, where there are blocks; stored: values
    in the file, of `dense` that the shape has; saved: bytes less than all values would take
    (negative where the indices cost more).
    """

    format: str
    stored: int
    dense: int
    saved: int
    block: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a graph reads a tensor.

    op: the operator that does ("Conv2D"); input: at which of its inputs, from 0; node: that
    operator's own name; through: operators that the value passed on its way, in order, each of
    which hands it on as it is, or in another shape or dtype ("Identity", "Cast", "Reshape").
    """

    op: str
    input: int
    node: str
    through: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """Anything stored with a dtype and a shape. Readers fill it; they assign no role.

    name: its path in the artifact, unique ("model_weights/dense/dense/kernel:0").
    dtype: NumPy or ml_dtypes name of the values as the model sees them ("float32", "int4").
    shape: as the model sees it; None where the file declares no data space.
    nbytes: bytes of the file that hold its values (after any codec).
    layer: path of the owning Layer ("inner/dense"), None where unknown.
    variable: the variable's own name ("kernel"), None where unknown.
    slot_of: for optimizer slots, name of the tensor or variable that the slot belongs to.
    repeats: name of the tensor that it stores again, where the store's layout alone says so.
    serves: name of the tensor that it was made for, where the store itself says so (a mask's
        kernel).
    stored_name: the name that the file itself gives, where it gives one ("dense/kernel:0").
    keras_elements: elements of the variable as Keras counts it, where that differs from
        `elements` (int4 kernels are kept packed, two values a byte).
    storage: how it is stored, in words ("contiguous", "chunked (4, 8), gzip", "never allocated").
    links: further paths in the file that lead to the same stored object.
    centred: values less their zero points, where those are not 0: what counts as zero.
    real: how its integers stand for real values, value by value; None where they do not.
    owner, position: the layer whose ordered list of variables holds it, and its place there.
    uses: where a graph reads it, where the artifact has a graph; empty where nothing does.
    trainable: as the file itself says of this variable; None where it says nothing.
    check: what the file has to check the stored bytes with; None where it has nothing.
    made: what makes it when the model runs, in words, where the file has no values of it ("made by
        CONV_2D conv/Relu", "an input of the model"); None for what is stored.
    quantized: how its integers stand for real values; sparse: how it is stored without its zeros.
    `payload` gives all values of a sparse tensor, those that are not stored too.
    outputs_first: a kernel's first side is its outputs (OI, OHWI), not its last one (IO, HWIO).
    stored: elements to count as stored, where not all are: 0 without data, and where a tensor
        before it has the same bytes. Of a sparse tensor all count, zeros that are left out too.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    nbytes: int
    extents: tuple[Extent, ...] = ()
    storage: str = "contiguous"
    section: Section = Section.MODEL
    layer: str | None = None
    variable: str | None = None
    naming: Naming = Naming.NONE
    slot_of: str | None = None
    repeats: str | None = None
    serves: str | None = None
    stored_name: str | None = None
    keras_elements: int | None = None
    links: tuple[str, ...] = ()
    owner: str | None = None
    position: int | None = None
    uses: tuple[Use, ...] = ()
    trainable: bool | None = None
    made: str | None = None
    quantized: Quantized | None = None
    sparse: Sparse | None = None
    outputs_first: bool = False
    stored: int | None = None
    check: Check | None = field(default=None, compare=False, repr=False)
    payload: Payload | None = field(default=None, compare=False, repr=False)
    centred: Payload | None = field(default=None, compare=False, repr=False)
    real: Real | None = field(default=None, compare=False, repr=False)

    @property
    def elements(self) -> int:
        """Number of values: 1 for a scalar, 0 for no data space."""
        if self.shape is None:
            return 0
        return math.prod(self.shape)

    @property
    def stored_elements(self) -> int:
        """Number of values in the file; what tensors share counts with the first of them."""
        return self.elements if self.stored is None else self.stored


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the model's config, with the layers inside it.

    path: unique, from the model down, "/" between ("inner/dense"); the root model's is "".
    attr: how its parent holds it: "layers" in a model, "layer" in a wrapper, "cell" in an RNN ...
    registered: Keras' `registered_name`, where the config gives one ("Vitis>QuantizeWrapper").
    trainable: the config's own flag; None where it says nothing.
    macs: multiply-accumulates of one call with one example, where an operator's shapes tell;
    output_bytes: what it puts out, likewise.
    """

    path: str
    name: str
    class_name: str
    attr: str = "layers"
    registered: str | None = None
    module: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    trainable: bool | None = None
    is_model: bool = False
    children: tuple[Layer, ...] = ()
    macs: int | None = None
    output_bytes: int | None = None

    def walk(self) -> Iterator[Layer]:
        """This layer, then those inside it, depth first in the config's order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def child(self, attr: str) -> Layer | None:
        """The first inner layer held as `attr`."""
        return next((c for c in self.children if c.attr == attr), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a tensor is, and why.

    rule: the code of the rule that said so; basis: what it looked at ("structure", "config",
    "position", "name", "content"); evidence: one sentence for people.
    about: name of the tensor that this one serves (a mask's kernel); alias_of: name of the tensor
    that this one repeats.
    """

    role: Role
    rule: str
    basis: str
    evidence: str
    trainable: bool | None = None
    about: str | None = None
    alias_of: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the artifact that a person should know; reading went on."""

    code: str
    severity: Severity
    message: str
    path: str
    offset: int | None = None


class Store(enum.StrEnum):
    """How Keras laid the variables out."""

    LEGACY = "legacy"  # a list of names a layer, as `layer.weights` orders them
    V3 = "v3"  # numbered variables under the path of each object
    OBJECTS = "objects"  # an object graph: variables under the attributes that hold them
    NAMES = "names"  # variables or graph nodes by name, with nothing behind the names


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the artifact."""

    path: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Producer:
    """What wrote the artifact, as far as it says."""

    name: str  # "tf_keras", "keras"
    version: str | None = None
    backend: str | None = None
    flavor: Flavor | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a signature.

    tensor: its name in the graph, where it has one; dtype: None where the file does not say.
    shape: a side that is not fixed is None; None where not even the rank is known.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    tensor: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A way to call the model.

    method: "tensorflow/serving/predict" or the like; tags: of the meta graph that has it.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    method: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that the graph uses `count` times. custom: it is none of TensorFlow's own."""

    name: str
    count: int
    custom: bool = False
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs, as far as the shapes tell.

    macs: multiply-accumulates of all operators that have a rule, None where a shape is not known;
    uncounted: operators without a rule, or with an unknown shape. peak: bytes of activations that
    live at once, at most, None where unknown. The rules are named in words.
    """

    macs: int | None
    macs_rule: str
    uncounted: int
    peak: int | None
    peak_rule: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A saved model as read: no roles, no measures.

    overhead: bytes that are no tensor, by label ("config", "HDF5 structure", "slack" ...); with the
    tensors' extents (each counted once) they add up to `nbytes`, exactly.
    model: the layer tree from the config, None where there is no config. missing: layers whose
    variables the config promises and the file does not hold.
    guessed: layers told from the store's own paths, where no config has them. references: places of
    variables that lead to a tensor stored once, and held by another variable. vocabulary: number of
    entries by name.
    complete: False where parts of it are missing (one shard of several).
    tags: of each meta graph; signatures: how the model is called; operators: what its graphs use,
    the most used first.
    listed: names of the tensors that the file itself lists as the model's weights -> whether they
    are among the trainable ones; None where it has no such list.
    uncounted: why Keras would count nothing here; None where it would.
    scheme: how the model as a whole is quantized, in words. cost: what a call costs. runtime: the
    oldest runtime that has all its operators, as the file says. attached: files inside it, by name
    -> bytes (metadata's associated files). training: how the model was compiled (optimizer, loss,
    metrics), as the file has it; None where it has nothing of it.
    """

    path: str
    format: str
    kind: str  # for people: "Keras HDF5, whole model"
    files: tuple[FileEntry, ...]
    tensors: tuple[Tensor, ...]
    overhead: Mapping[str, int]
    producer: Producer | None = None
    model: Layer | None = None
    store: Store = Store.LEGACY
    flavor: Flavor = Flavor.TF_KERAS
    guessed: tuple[Layer, ...] = ()
    references: tuple[Tensor, ...] = ()
    complete: bool = True
    missing: tuple[str, ...] = ()
    vocabulary: Mapping[str, int] = field(default_factory=dict)
    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[Signature, ...] = ()
    operators: tuple[Operator, ...] = ()
    listed: Mapping[str, bool] | None = None
    uncounted: str | None = None
    scheme: str | None = None
    cost: Cost | None = None
    runtime: str | None = None
    attached: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, Any] | None = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()

    @property
    def nbytes(self) -> int:
        """Size of all its files, bytes."""
        return sum(entry.nbytes for entry in self.files)


@dataclass(frozen=True, slots=True)
class Pattern:
    """How far a sparsity pattern holds along an axis: `held` of `groups`."""

    name: str  # "2:4", "4:8", "1x4", "4x4", "16x1"
    axis: str  # "input" (the toolkit's), "output", "block"
    held: int
    groups: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """What a closer look at a tensor's values tells. Counts are elements.

    denormals: floats that are not 0 and nearer to it than the least normal number of their dtype;
    None of what is no float. ends: integers of at most 16 bits at the least and at the greatest of
    their dtype (of signed ones the least but one is an end, too: weights leave the least out); None
    of others. zero_slices: for each side, how many of its positions hold nothing but zeros; None
    for less than two sides, and where one is too long to look at. spans: the least and the greatest
    integer of each position of the side that has a scale each; None where no side has. leaked: of a
    weight or its mask, whichever lies behind the other, how many weights are not 0 where the mask
    is; None of others, and where that was not looked at in passing.
    """

    denormals: int | None = None
    ends: tuple[int, int] | None = None
    zero_slices: tuple[int, ...] | None = None
    spans: tuple[tuple[int, int], ...] | None = None
    leaked: int | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pass over a tensor's values. Counts are elements; min and max leave NaN out.

    distinct: number of different values where it is at most 256, else None. detail: None unless it
    was asked for; digest: of the values ("sha256:..."), likewise, and where they are not too many
    that are nowhere in the file.
    """

    zeros: int
    minimum: float | int | None
    maximum: float | int | None
    nan: int
    inf: int
    distinct: int | None = None
    patterns: tuple[Pattern, ...] = ()
    detail: Detail | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts, each by its own name; None is "the artifact cannot say"."""

    stored_elements: int
    count_params: int | None
    trainable: int | None
    non_trainable: int | None
    after_strip: int | None
    nonzero: int | None
