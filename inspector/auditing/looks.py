"""What rules about values look at: each tensor with its verdict and its measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from inspector import deadline
from inspector.auditing.rule import Context
from inspector.model import Layer, Measurement, Role, Tensor, Verdict

LEARNED = frozenset({Role.WEIGHT, Role.STATISTIC})
# Arrays whose values are as spread as training leaves them; biases and gammas may be all one value.
KERNELS = frozenset(
    {"kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel", "embeddings"}
)


class Look(NamedTuple):
    """A tensor with its verdict and its measurement."""

    tensor: Tensor
    verdict: Verdict
    measured: Measurement

    @property
    def name(self) -> str:
        """How a person knows it."""
        return named(self.tensor)


def named(tensor: Tensor) -> str:
    """Layer and variable ("dense/kernel") where both are known, else the tensor's own name."""
    if tensor.layer and tensor.variable:
        return f"{short(tensor.layer)}/{tensor.variable}"
    return short(tensor.name)


def short(name: str) -> str:
    """A name; of the names that a converter joined when it fused layers, the first."""
    first, joined, _ = name.partition(";")
    return f"{first};…" if joined else first


def agree(number: int, one: str, many: str) -> str:
    """The verb of so many: (1, "is", "are") -> "is"."""
    return one if number == 1 else many


def looks(context: Context, roles: frozenset[Role] | None = None) -> Iterator[Look]:
    """The measured tensors of some roles, all where None, in the artifact's order."""
    seen, values = context.seen, context.values
    for tensor in deadline.watched(seen.artifact.tensors):
        verdict = seen.classified.verdicts[tensor.name]
        measured = values.get(tensor.name)
        if measured is not None and (roles is None or verdict.role in roles):
            yield Look(tensor, verdict, measured)


def layers(context: Context) -> Mapping[str, Layer]:
    """Every layer of the artifact by its path: of a wrapper, the layer inside it."""
    root = context.seen.artifact.model
    found: dict[str, Layer] = {}
    for layer in root.walk() if root is not None else context.seen.artifact.guessed:
        inner = layer
        while (held := inner.child("layer")) is not None:
            inner = held
        found[layer.path] = inner
    return found
