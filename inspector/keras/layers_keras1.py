"""The variables of Keras 1's layers, in the order in which its files list them.

Source: the `build` and `trainable_weights` of Keras 1.2's layers, and files that Keras 1 wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.keras.layers_table import Row, on, statistic, weight

_BIAS = on("bias", default=True)


def _affine(rank: int | None) -> tuple[Row, ...]:
    return (weight("W", rank), weight("b", 1, _BIAS))


def _gates(*gates: str) -> tuple[Row, ...]:
    return tuple(
        weight(f"{name}{gate}", rank)
        for gate in gates
        for name, rank in (("W", 2), ("U", 2), ("b", 1))
    )


KERAS1: Mapping[str, tuple[Row, ...]] = {
    "Dense": _affine(2),
    "TimeDistributedDense": _affine(2),
}
