"""Small artifacts written by hand: what the reader, the rules and the count would have said.

Sizes are chosen so that everything adds up by hand; the numbers of `pruned` are those that live
tfmot gives for Dense(64, input 10) + Dense(10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inspector.model import (
    Artifact,
    Extent,
    FileEntry,
    Layer,
    Measurement,
    Naming,
    Pattern,
    Problem,
    Producer,
    Role,
    Section,
    Severity,
    Tensor,
    Totals,
    Verdict,
)

ITEMSIZE = {"float32": 4, "int64": 8, "int32": 4, "int8": 1, "float64": 8, "bfloat16": 2, "int4": 1}


@dataclass(frozen=True)
class Classified:
    verdicts: Mapping[str, Verdict]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Row:
    path: str
    class_name: str
    wraps: str | None
    trainable: bool | None
    count_params: int | None
    overhead: int
    roles: Mapping[Role, int]
    tensors: tuple[str, ...]
    macs: int | None = None


@dataclass(frozen=True)
class Counted:
    totals: Totals
    layers: tuple[Row, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass
class Case:
    """One artifact with all that the steps found in it."""

    path: str = "model.h5"
    format: str = "keras-h5"
    kind: str = "Keras HDF5, whole model"
    producer: Producer | None = field(
        default_factory=lambda: Producer("tf_keras", "2.21.0", "tensorflow")
    )
    tensors: list[Tensor] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    measured: dict[str, Measurement] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    overhead: dict[str, int] = field(
        default_factory=lambda: {"config": 1000, "HDF5 structure": 4096}
    )
    vocabulary: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    has_config: bool = True
    complete: bool = True
    after_strip: int | None = None
    counts: tuple[int | None, int | None, int | None] | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    offset: int = 2048

    def tensor(
        self,
        name: str,
        role: Role,
        shape: tuple[int, ...],
        *,
        dtype: str = "float32",
        zeros: int = 0,
        span: tuple[float, float] = (-0.5, 0.5),
        layer: str | None = None,
        variable: str | None = None,
        trainable: bool | None = None,
        about: str | None = None,
        alias_of: str | None = None,
        extent_of: str | None = None,
        distinct: int | None = None,
        patterns: Sequence[Pattern] = (),
        nbytes: int | None = None,
        keras_elements: int | None = None,
        evidence: str = "its place in the layer says so",
        rule: str = "keras-variable",
    ) -> Tensor:
        """Add one tensor, its bytes right behind the one before."""
        elements = 1
        for side in shape:
            elements *= side
        size = elements * ITEMSIZE[dtype] if nbytes is None else nbytes
        extents = (Extent(self.path, self.offset, size),)
        if extent_of is not None:
            extents = next(t.extents for t in self.tensors if t.name == extent_of)
        else:
            self.offset += size
        added = Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            nbytes=size,
            extents=extents,
            section=Section.OPTIMIZER if role is Role.OPTIMIZER_SLOT else Section.MODEL,
            layer=layer,
            variable=variable,
            naming=Naming.POSITION,
            keras_elements=keras_elements,
        )
        self.tensors.append(added)
        self.verdicts[name] = Verdict(
            role, rule, "position", evidence, trainable, about=about, alias_of=alias_of
        )
        self.measured[name] = Measurement(zeros, span[0], span[1], 0, 0, distinct, tuple(patterns))
        return added

    def row(
        self,
        path: str,
        class_name: str,
        params: int | None,
        *,
        wraps: str | None = None,
        trainable: bool | None = True,
        overhead: int = 0,
        config: Mapping[str, object] | None = None,
    ) -> None:
        """Add the layer that owns every tensor whose `layer` is `path` or lies under it."""
        mine = [t for t in self.tensors if t.layer and f"{t.layer}/".startswith(f"{path}/")]
        roles: dict[Role, int] = {}
        for tensor in mine:
            role = self.verdicts[tensor.name].role
            roles[role] = roles.get(role, 0) + tensor.elements
        self.rows.append(
            Row(
                path,
                class_name,
                wraps,
                trainable,
                params,
                overhead,
                roles,
                tuple(tensor.name for tensor in mine),
            )
        )
        self.layers.append(
            Layer(path, path.rsplit("/", 1)[-1], class_name, config=dict(config or {}))
        )

    def artifact(self) -> Artifact:
        """Files as large as tensors and overhead together."""
        places = {extent for tensor in self.tensors for extent in tensor.extents}
        size = sum(extent.length for extent in places) + sum(self.overhead.values())
        model = Layer("", "model", "Sequential", is_model=True, children=tuple(self.layers))
        return Artifact(
            path=self.path,
            format=self.format,
            kind=self.kind,
            files=(FileEntry(self.path, size),),
            tensors=tuple(self.tensors),
            overhead=self.overhead,
            producer=self.producer,
            model=model if self.has_config else None,
            complete=self.complete,
            vocabulary=self.vocabulary,
            problems=self.problems,
        )

    def classified(self) -> Classified:
        return Classified(self.verdicts)

    def counted(self, measure: bool) -> Counted:
        total, trainable, fixed = self.counts or (None, None, None)
        stored = sum(tensor.elements for tensor in self.tensors)
        weights = [t for t in self.tensors if self.verdicts[t.name].role is Role.WEIGHT]
        nonzero = None
        if measure and all(t.name in self.measured for t in weights):
            nonzero = sum(t.elements - self.measured[t.name].zeros for t in weights)
        totals = Totals(stored, total, trainable, fixed, self.after_strip, nonzero)
        return Counted(totals, tuple(self.rows), self.reasons)

    def build(self, measure: bool = True):
        """The artifact's report."""
        from inspector.assemble import build_show

        return build_show(
            self.artifact(),
            self.classified(),
            self.counted(measure),
            self.measured if measure else None,
        )


def _dense(case: Case, layer: str, fan_in: int, units: int, zeros: int, prefix: str = "") -> str:
    path = f"{prefix}{layer}"
    kernel = f"model_weights/{path}/{layer}/kernel:0"
    case.tensor(
        kernel,
        Role.WEIGHT,
        (fan_in, units),
        zeros=zeros,
        layer=path,
        variable="kernel",
        trainable=True,
    )
    case.tensor(
        f"model_weights/{path}/{layer}/bias:0",
        Role.WEIGHT,
        (units,),
        layer=path,
        variable="bias",
        trainable=True,
    )
    return kernel


def plain() -> Case:
    """Dense(64, input 10) + Dense(10): 10*64+64 = 704, 64*10+10 = 650, together 1354."""
    case = Case(path="plain.h5", counts=(1354, 1354, 0), after_strip=1354)
    _dense(case, "dense", 10, 64, 0)
    _dense(case, "dense_1", 64, 10, 0)
    case.row("dense", "Dense", 704)
    case.row("dense_1", "Dense", 650)
    return case


def pruned(optimizer: bool = True) -> Case:
    """The same, pruned to half: masks 640 + 640, two thresholds, two steps: 2638."""
    case = Case(path="pruned.h5", counts=(2638, 1354, 1284), after_strip=1354)
    schedule = {
        "class_name": "ConstantSparsity",
        "config": {"target_sparsity": 0.5, "begin_step": 0, "end_step": -1, "frequency": 100},
    }
    for layer, fan_in, units, params in (("dense", 10, 64, 704), ("dense_1", 64, 10, 650)):
        path = f"prune_low_magnitude_{layer}"
        kernel = _dense(case, layer, fan_in, units, 320, "prune_low_magnitude_")
        base = f"model_weights/{path}"
        case.tensor(
            f"{base}/mask:0",
            Role.MASK,
            (fan_in, units),
            zeros=320,
            span=(0.0, 1.0),
            distinct=2,
            layer=path,
            variable="mask",
            trainable=False,
            about=kernel,
            rule="prune-mask",
            evidence="PruneLowMagnitude keeps a mask of the kernel's shape behind its weights",
        )
        case.tensor(
            f"{base}/threshold:0",
            Role.THRESHOLD,
            (),
            layer=path,
            variable="threshold",
            trainable=False,
            about=kernel,
            rule="prune-threshold",
        )
        case.tensor(
            f"{base}/pruning_step:0",
            Role.PRUNING_STEP,
            (),
            dtype="int64",
            span=(10, 10),
            layer=path,
            variable="pruning_step",
            trainable=False,
            rule="prune-step",
        )
        case.row(
            path,
            "PruneLowMagnitude",
            params + 642,
            wraps="Dense",
            overhead=642,
            config={
                "pruning_schedule": schedule,
                "block_size": [1, 1],
                "block_pooling_type": "AVG",
            },
        )
    if optimizer:
        for tensor in [t for t in case.tensors if case.verdicts[t.name].role is Role.WEIGHT]:
            for slot in "mv":
                case.tensor(
                    f"optimizer_weights/Adam/{slot}/{tensor.layer}/{tensor.variable}:0",
                    Role.OPTIMIZER_SLOT,
                    tensor.shape or (),
                    zeros=1,
                    about=tensor.name,
                    rule="optimizer-slot",
                )
        case.tensor(
            "optimizer_weights/Adam/iter:0",
            Role.OPTIMIZER_STATE,
            (),
            dtype="int64",
            span=(10, 10),
            rule="optimizer-state",
        )
    return case


def convnet() -> Case:
    """Conv2D(4, 3) on 3 channels + BatchNormalization: 112 + 16, of which 8 are statistics."""
    case = Case(
        path="conv.keras",
        format="keras-zip",
        kind="Keras zip, whole model",
        counts=(128, 120, 8),
        after_strip=128,
        producer=Producer("keras", "3.15.1", "tensorflow"),
        overhead={"config": 700, "zip structure": 312},
    )
    case.tensor(
        "layers/conv2d/vars/0",
        Role.WEIGHT,
        (3, 3, 3, 4),
        zeros=86,
        layer="conv2d",
        variable="kernel",
        trainable=True,
    )
    case.tensor(
        "layers/conv2d/vars/1", Role.WEIGHT, (4,), layer="conv2d", variable="bias", trainable=True
    )
    for at, (name, role) in enumerate(
        (
            ("gamma", Role.WEIGHT),
            ("beta", Role.WEIGHT),
            ("moving_mean", Role.STATISTIC),
            ("moving_variance", Role.STATISTIC),
        )
    ):
        case.tensor(
            f"layers/batch_normalization/vars/{at}",
            role,
            (4,),
            layer="batch_normalization",
            variable=name,
            trainable=role is Role.WEIGHT,
        )
    case.row("conv2d", "Conv2D", 112)
    case.row("batch_normalization", "BatchNormalization", 16)
    return case


def weights_only() -> Case:
    """Dense(5) on 4 + Dense(3) with Adam, save_weights: 43 + 88 elements, no config."""
    case = Case(
        path="m.weights.h5",
        format="keras-weights-h5",
        kind="Keras weights, v3 layout",
        producer=None,
        has_config=False,
        reasons={"count_params": "the file holds no model config"},
    )
    for layer, fan_in, units in (("dense", 4, 5), ("dense_1", 5, 3)):
        case.tensor(
            f"layers/{layer}/vars/0", Role.WEIGHT, (fan_in, units), layer=layer, variable="kernel"
        )
        case.tensor(f"layers/{layer}/vars/1", Role.WEIGHT, (units,), layer=layer, variable="bias")
        case.row(layer, "?", None, trainable=None)
    case.tensor("optimizer/vars/0", Role.OPTIMIZER_STATE, (), dtype="int64")
    case.tensor("optimizer/vars/1", Role.OPTIMIZER_STATE, ())
    for at, tensor in enumerate(case.tensors[:4]):
        for slot in (0, 1):
            case.tensor(
                f"optimizer/vars/{2 + 2 * at + slot}",
                Role.OPTIMIZER_SLOT,
                tensor.shape or (),
                about=tensor.name,
            )
    return case


def clustered() -> Case:
    """Dense(24, input 10) + Dense(6), 6 clusters: 414 + 12 centroids + 384 indices = 810."""
    case = Case(path="clustered.h5", counts=(810, 426, 384), after_strip=414)
    for layer, fan_in, units, params in (("dense", 10, 24, 264), ("dense_1", 24, 6, 150)):
        path = f"cluster_{layer}"
        _dense(case, layer, fan_in, units, 0, "cluster_")
        case.tensor(
            f"model_weights/{path}/cluster_centroids_kernel:0",
            Role.CENTROIDS,
            (6,),
            layer=path,
            variable="cluster_centroids_kernel",
            trainable=True,
        )
        case.tensor(
            f"model_weights/{path}/pulling_indices_kernel:0",
            Role.CLUSTER_INDICES,
            (fan_in, units),
            dtype="int64",
            span=(0, 5),
            zeros=30,
            distinct=6,
            layer=path,
            variable="pulling_indices_kernel",
            trainable=False,
        )
        case.row(
            path,
            "ClusterWeights",
            params + 6 + fan_in * units,
            wraps="Dense",
            overhead=6 + fan_in * units,
        )
    return case


def qat() -> Case:
    """Dense(2) on 3 with its quantization wrapper: 8 + kernel_min/max 2 + step 1 + output 2."""
    case = Case(path="qat.h5", counts=(13, 8, 5), after_strip=None)
    path = "quant_dense"
    _dense(case, "dense", 3, 2, 0, "quant_")
    for name in ("kernel_min", "kernel_max", "post_activation_min", "post_activation_max"):
        case.tensor(
            f"model_weights/{path}/{name}:0",
            Role.QUANT_PARAM,
            (),
            layer=path,
            variable=name,
            trainable=False,
        )
    case.tensor(
        f"model_weights/{path}/optimizer_step:0",
        Role.QUANT_STEP,
        (),
        dtype="int32",
        span=(-1, -1),
        layer=path,
        variable="optimizer_step",
        trainable=False,
    )
    case.row(
        path,
        "QuantizeWrapperV2",
        13,
        wraps="Dense",
        overhead=5,
        config={"quantize_config": {"class_name": "Default8BitQuantizeConfig"}},
    )
    return case


def int4() -> Case:
    """Keras 3 Dense(8) on 16, int4: the kernel's 128 values in 64 bytes, 8 + 8 beside it."""
    case = Case(
        path="int4.keras",
        format="keras-zip",
        kind="Keras zip, whole model",
        counts=(80, 8, 72),
        producer=Producer("keras", "3.15.1"),
        overhead={"config": 700, "zip structure": 312},
    )
    case.tensor(
        "layers/dense/vars/0",
        Role.WEIGHT,
        (16, 8),
        dtype="int4",
        nbytes=64,
        keras_elements=64,
        zeros=9,
        span=(-7, 7),
        layer="dense",
        variable="kernel",
        trainable=False,
    )
    case.tensor(
        "layers/dense/vars/1", Role.WEIGHT, (8,), layer="dense", variable="bias", trainable=True
    )
    case.tensor(
        "layers/dense/vars/2",
        Role.QUANT_PARAM,
        (8,),
        layer="dense",
        variable="kernel_scale",
        trainable=False,
    )
    case.row("dense", "Dense", 80)
    return case


def lora() -> Case:
    """Dense(6) on 8 with enable_lora(2): 54 stored; 8*2 + 2*6 = 28 more once loaded, 82."""
    case = Case(
        path="lora.keras",
        format="keras-zip",
        kind="Keras zip, whole model",
        counts=(82, 34, 48),
        producer=Producer("keras", "3.15.1"),
        overhead={"config": 700, "zip structure": 312},
    )
    _dense(case, "dense", 8, 6, 0)
    case.row("dense", "Dense", 82, config={"lora_rank": 2})
    return case


def copies() -> Case:
    """A pruned Dense(2, no bias) on 3 in a `.keras`: the wrapper stores the kernel again."""
    case = Case(
        path="copies.keras",
        format="keras-zip",
        kind="Keras zip, whole model",
        counts=(14, 6, 8),
        after_strip=6,
        overhead={"config": 700, "zip structure": 312},
    )
    path, base = "prune_low_magnitude_dense", "layers/prune_low_magnitude"
    kernel = f"{base}/layer/vars/0"
    case.tensor(kernel, Role.WEIGHT, (3, 2), zeros=3, layer=path, variable="kernel", trainable=True)
    case.tensor(
        f"{base}/vars/0",
        Role.ALIAS,
        (3, 2),
        zeros=3,
        layer=path,
        variable="kernel",
        trainable=True,
        alias_of=kernel,
        rule="wrapper-copy",
    )
    case.tensor(
        f"{base}/vars/1",
        Role.MASK,
        (3, 2),
        zeros=3,
        span=(0.0, 1.0),
        distinct=2,
        layer=path,
        variable="mask",
        trainable=False,
        about=kernel,
    )
    case.tensor(
        f"{base}/vars/2", Role.THRESHOLD, (), layer=path, variable="threshold", trainable=False
    )
    case.tensor(
        f"{base}/vars/3",
        Role.PRUNING_STEP,
        (),
        dtype="int64",
        layer=path,
        variable="pruning_step",
        trainable=False,
    )
    case.row(path, "PruneLowMagnitude", 14, wraps="Dense", overhead=8)
    return case


def empty() -> Case:
    """A model without a variable."""
    case = Case(path="empty.h5", counts=(0, 0, 0), after_strip=0)
    case.row("flatten", "Flatten", 0)
    return case


def unknown() -> Case:
    """One tensor that no rule explains, beside a problem of the file."""
    case = Case(
        path="odd.h5",
        counts=None,
        reasons={"count_params": "one tensor is unexplained"},
        problems=(
            Problem(
                "stray-group", Severity.WARNING, "group /extra belongs to no layer", "odd.h5", 800
            ),
        ),
    )
    case.tensor("extra/blob", Role.UNKNOWN, (7,), rule="none", evidence="no rule explains it")
    return case


def hostile() -> Case:
    """Names that would steer a terminal, break a table or become a formula."""
    case = Case(path="evil.h5", counts=(3, 3, 0), after_strip=3)
    layer = "\x1b[31mred|`|\u202eltr\nnew"
    case.tensor(
        "=cmd()|'/c'!A1",
        Role.WEIGHT,
        (3,),
        span=(float("-inf"), float("inf")),
        layer=layer,
        variable="kernel",
        trainable=True,
    )
    case.row(layer, "Dense\ud800", 3)
    return case


CASES = {
    builder.__name__: builder
    for builder in (
        plain,
        pruned,
        convnet,
        weights_only,
        clustered,
        qat,
        int4,
        lora,
        copies,
        empty,
        unknown,
        hostile,
    )
}
