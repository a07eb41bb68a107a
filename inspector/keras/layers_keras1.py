"""The variables of Keras 1's layers, in the order in which its files list them.

Source: the `build` methods of Keras 1.2's layers, and files that Keras 1.1 and 1.2 wrote. Classes
go by their later names (Convolution2D is Conv2D).
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.keras.layers_table import (
    WEIGHTLESS,
    Condition,
    Config,
    Row,
    always,
    on,
    statistic,
    weight,
)

_BIAS = on("bias", default=True)


def _affine(rank: int | None, bias_rank: int = 1) -> tuple[Row, ...]:
    return (weight("W", rank), weight("b", bias_rank, _BIAS))


def _fused(config: Config) -> bool:
    """The mode "gpu" keeps the gates of an RNN in one array."""
    return config.get("consume_less") == "gpu"


def _apart(config: Config) -> bool:
    return not _fused(config)


def _gate(name: str, when: Condition, rank: int = 2) -> tuple[Row, ...]:
    return (
        weight(f"W{name}", rank, when),
        weight(f"U{name}", rank, when),
        weight(f"b{name}", 1, when),
    )


def _gates(letters: str, when: Condition, rank: int = 2) -> tuple[Row, ...]:
    return tuple(row for letter in letters for row in _gate(f"_{letter}", when, rank))


def _alphas(*names: str) -> tuple[Row, ...]:
    return tuple(weight(name) for name in names)


KERAS1: Mapping[str, tuple[Row, ...]] = {
    **dict.fromkeys(WEIGHTLESS - {"MultiHeadAttention", "SeedGenerator"}, ()),
    "Merge": (),
    "Dense": _affine(2),
    "TimeDistributedDense": _affine(2),
    "MaxoutDense": _affine(3, 2),
    "Highway": (
        weight("W", 2),
        weight("W_carry", 2),
        weight("b", 1, _BIAS),
        weight("b_carry", 1, _BIAS),
    ),
    "Embedding": (weight("W", 2),),
    "Conv1D": _affine(4),  # kept as a two-dimensional convolution: (length, 1, in, out)
    "Conv2D": _affine(4),
    "Conv2DTranspose": _affine(4),
    "Conv3D": _affine(5),
    "SeparableConv2D": (
        weight("depthwise_kernel", 4),
        weight("pointwise_kernel", 4),
        weight("b", 1, _BIAS),
    ),
    "LocallyConnected1D": _affine(3, 2),
    "LocallyConnected2D": _affine(3, 3),
    "BatchNormalization": (
        weight("gamma", 1),
        weight("beta", 1),
        statistic("running_mean", 1),
        statistic("running_std", 1),
    ),
    "SimpleRNN": _gate("", always),
    "GRU": _gate("", _fused) + _gates("zrh", _apart),
    "LSTM": _gate("", _fused) + _gates("icfo", _apart),
    "ConvLSTM2D": _gates("icfo", always, rank=4),
    "PReLU": _alphas("alphas"),
    "ParametricSoftplus": _alphas("alphas", "betas"),
    "SReLU": _alphas("t_left", "a_left", "t_right", "a_right"),
}
