"""Short, deterministic training, the same for both Kerases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from samples.catalog import SEED, Writer


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(SEED).normal(size=shape).astype("float32")


def tokens(rows: int, length: int, vocabulary: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, vocabulary, (rows, length)).astype("float32")


def train(
    model: Any,
    x: Any,
    steps: int = 1,
    callbacks: Sequence[Any] = (),
    optimizer: Any = "adam",
    metrics: Sequence[str] | None = None,
) -> Any:
    """Full-batch steps on random targets; returns the model, compiled with `mse`."""
    y = noise(*model(x).shape)
    model.compile(optimizer=optimizer, loss="mse", metrics=metrics)
    model.fit(
        x, y, batch_size=len(y), epochs=steps, shuffle=False, verbose=0, callbacks=list(callbacks)
    )
    return model


def without_optimizer(model: Any) -> Writer:
    return lambda path: model.save(path, include_optimizer=False)
