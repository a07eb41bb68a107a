"""What a pairing is made of. Standard library only."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inspector.model import Artifact, Tensor, Verdict


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two artifacts, with what the rules say of each of its tensors, by name."""

    artifact: Artifact
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Part:
    """Indices `start` up to `stop` of one axis."""

    axis: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Order:
    """Indices of one axis in another order: the i-th of the result is the `places[i]`-th."""

    axis: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Masked:
    """The weight was multiplied by its mask."""

    mask: Tensor


@dataclass(frozen=True, slots=True)
class Clustered:
    """The weight was looked up: centroids[indices]."""

    centroids: Tensor
    indices: Tensor


class Makes(enum.StrEnum):
    """What becomes of a BatchNormalization's variables; s = gamma / sqrt(variance + epsilon)."""

    KERNEL = "kernel"  # the kernel before it, times s
    BIAS = "bias"  # (bias - mean) * s + beta
    SCALE = "scale"  # s itself, where no layer came before
    OFFSET = "offset"  # beta - mean * s, of that


@dataclass(frozen=True, slots=True)
class Folded:
    """A BatchNormalization went into the layer before it, or is one product and one sum.

    gamma, beta and bias are None where the layers have none (1, 0, 0). axes: of the kernel, those
    that are the channels.
    """

    makes: Makes
    layer: str
    mean: Tensor
    variance: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    bias: Tensor | None
    epsilon: float
    axes: tuple[int, ...] = ()

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The tensors that go into what it makes, a kernel left out."""
        parts = [self.gamma, self.variance]
        if self.makes in (Makes.BIAS, Makes.OFFSET):
            parts += [self.beta, self.mean, self.bias]
        return tuple(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A product and a sum that came before a Dense layer went into it.

    With factors s and terms t, a value an input, the kernel becomes s * kernel, and the bias
    t @ kernel + bias. Each is a variable (gamma and beta of a LayerNormalization, the bias of the
    layer before), or what a BatchNormalization makes; None where there is none.
    """

    makes: Makes
    layer: str
    factors: Tensor | Folded | None
    terms: Tensor | Folded | None
    kernel: Tensor
    bias: Tensor | None = None

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The tensors that go into what it makes, a kernel left out."""
        parts = (self.factors,) if self.makes is Makes.KERNEL else (self.terms, self.bias)
        found: list[Tensor] = []
        for part in parts:
            found += part.operands if isinstance(part, Folded) else [part] if part else []
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Scaled:
    """A product with one number that followed went into it (attention divides its queries)."""

    factor: float


Value = Masked | Clustered | Folded | Absorbed | Scaled


@dataclass(frozen=True, slots=True)
class Change:
    """How one tensor of a pair is made of the other.

    kind: "same values" has no Change; else the steps joined by " + ", in their order: "masked",
        "clustered", "folded", "scaled", "sliced", "transposed", "reshaped", "cast", "quantized".
        "reordered" stands alone; so does "split", a part that is a tensor of its own, and "fused",
        the same told from the part. axes: as numpy.transpose takes them; part: what was cut out
        before that; shape: of the result; order: of one axis. value: what was done to the values
        first. words: one phrase for people. expected: a conversion does this on purpose; False
        where only the values say so.
    backwards: the pair's `a` is made of its `b`, not `b` of `a`. clips: the range of its integers
    was learned, so that values past it are cut off.
    """

    kind: str
    words: str
    axes: tuple[int, ...] | None = None
    part: Part | None = None
    shape: tuple[int, ...] | None = None
    value: Value | None = None
    order: Order | None = None
    expected: bool = True
    backwards: bool = False
    clips: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tensors that are one, before and after.

    why: what told so ("name", "wrapper" ...), in words for people; basis: one word of it: "name",
    "structure", "content", "place" or "graph". change: None where both should hold the same values
    in the same shape and dtype.
    mask: of the artifact that has one (of both: a's), where the other tensor should be 0 wherever
    it is; mask_of_a: it is a's.
    shared: another pair before this one has the same tensor of the other side whole (one constant
    that stands for several equal weights).
    """

    a: Tensor
    b: Tensor
    why: str
    basis: str
    change: Change | None = None
    mask: Tensor | None = None
    mask_of_a: bool = True
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs, and what is left: every tensor of both artifacts is in one of the three.

    pairs: in the order of `a`'s tensors. gone: name of a tensor in only_a or only_b -> why the
    other side has none of it, in words, where that is known ("folded into conv2d/kernel", "all
    zero, left out"). layers: layer of `a` -> layer of `b`, where the two have other names.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[Tensor, ...]
    only_b: tuple[Tensor, ...]
    gone_a: Mapping[str, str] = field(default_factory=dict)
    gone_b: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)


def in_order(pairs: Iterable[Pair], side: Side) -> tuple[Pair, ...]:
    """Pairs in the order that `side`, whose tensors come first, has them."""
    order = {tensor.name: at for at, tensor in enumerate(side.artifact.tensors)}
    return tuple(sorted(pairs, key=lambda pair: order[pair.a.name]))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the values of a pair agree, once `a` has gone through the pair's change.

    agrees: the difference is none, or as small as the change explains. same_bits: and dtypes; NaN
    is itself, -0.0 is not 0.0. same_values: -0.0 is 0.0. differing: elements of other value.
    largest: largest absolute difference, None where nothing can be subtracted (shapes that differ,
    no numbers); relative: it over the largest magnitude of `a`; where: its index in the changed
    tensor. ulps: largest difference in units of the last place of the dtype cast to.
    in_scale_units: largest difference in steps of the quantized side; clipped: elements beyond the
    quantized range, which it leaves out. snr_db: signal-to-noise ratio, decibels, None without
    noise. zeros_a, zeros_b: elements equal to zero. masked_nonzero: elements not zero where the
    mask is, None without a mask. why_not: what is wrong, in words, where it does not agree.
    mean: of absolute differences, over all elements; relative_norm: norm of the difference over the
    norm of the pair's `a`; cosine: of the angle between both; None where nothing can be subtracted,
    or a norm is 0 or not finite. sign_flips: elements positive in one and negative in the other;
    zeros_gained: 0 in the pair's `b` alone; zeros_lost: 0 in its `a` alone.
    """

    agrees: bool
    same_bits: bool
    same_values: bool
    elements: int
    differing: int
    zeros_a: int
    zeros_b: int
    largest: float | None = None
    relative: float | None = None
    where: tuple[int, ...] | None = None
    ulps: float | None = None
    in_scale_units: float | None = None
    clipped: int = 0
    snr_db: float | None = None
    masked_nonzero: int | None = None
    why_not: str | None = None
    mean: float | None = None
    relative_norm: float | None = None
    cosine: float | None = None
    sign_flips: int = 0
    zeros_gained: int = 0
    zeros_lost: int = 0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far values may be apart and still count as the same: absolute + relative * the larger
    magnitude of the two, so that neither side is the measure.
    """

    relative: float = 0.0
    absolute: float = 0.0
