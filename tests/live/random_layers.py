"""Random layers: each choice takes a shape and gives a layer that can be called on it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Names that look like something else: a variable's, a role's, a group's, another layer's prefix.
_NAMES = (
    *("mask", "threshold", "kernel", "vars", "optimizer", "layers", "layer", "metrics", "cell"),
    *("a", "a_1", "conv", "conv1", "conv1_1", "dense_2", "bias", "gamma", "inner", "name"),
    *("pruning_step", "prune_low_magnitude_x", "quant_x", "cluster_x", "model", "model_weights"),
)
_SLASHED = ("a/b", "conv1/bn", "dense/kernel", "a/a", "layer/vars", "mask/0")
_POLICIES = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64")
Shape = tuple[Any, ...]  # without the batch; ("ids", n) is n numbers for an Embedding
Choice = Callable[[dict[str, Any]], Any]


class Steps:
    """Chooses layers for one model. taken: the names in use, a set for each model around."""

    def __init__(self, rng: random.Random, keras: Any, kind: str) -> None:
        self.rng, self.keras, self.kind = rng, keras, kind
        self.layers = keras.layers
        self.three = kind.startswith("keras3")
        self.notes: list[str] = []
        self.policies = not kind.startswith("tfmot") and kind != "keras3_quantized"
        self.policies = self.policies and rng.random() < 0.3
        self.odd_names = rng.random() < 0.4
        self.taken: list[set[str]] = []
        self.limit = rng.choice((3, 5, 8))

    def _named(self) -> dict[str, str]:
        if not self.odd_names or self.rng.random() < 0.4:
            return {}
        names = _NAMES if self.three else (*_NAMES, *_SLASHED)
        name = self.rng.choice(names)
        if name in self.taken[-1]:
            return {}
        self.taken[-1].add(name)
        return {"name": name}

    def _any(self, shape: Shape, depth: int) -> Any:
        """A model that takes `shape`, `depth` models inside the outermost."""
        raise NotImplementedError

    def _step(self, shape: Shape, depth: int) -> Any:
        """A layer or a nested model that takes `shape` (without the batch)."""
        if depth < 3 and shape[0] != "ids" and self.rng.random() < 0.14:
            return self._any(shape, depth + 1)
        config: dict[str, Any] = self._named()
        if self.policies and self.rng.random() < 0.5:
            config["dtype"] = self.rng.choice(_POLICIES)
        return self.rng.choice(self._choices(shape))(config)

    def _choices(self, shape: Shape) -> Sequence[Choice]:
        if self.kind == "tfmot_qat":
            return self._quantizable(shape)
        if self.kind in ("tfmot_pruned", "tfmot_clustered"):
            return self._prunable(shape)
        if self.kind == "keras3_quantized":
            return self._int8(shape)
        rank = 0 if shape[0] == "ids" else len(shape)
        own = {
            0: self._on_ids,
            1: self._on_features,
            2: self._on_sequences,
            3: self._on_images,
            4: self._on_videos,
        }[rank]()
        return own if rank == 0 else [*own, *own, *self._on_anything(shape)]

    def _bias(self) -> dict[str, Any]:
        return {"use_bias": self.rng.random() < 0.7}

    def _on_ids(self) -> Sequence[Choice]:
        return [lambda c: self.layers.Embedding(7, self.rng.randint(2, 4), **c)]

    def _on_anything(self, shape: Shape) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        coin = lambda p=0.7: r.random() < p  # noqa: E731
        found = [
            lambda c: L.BatchNormalization(scale=coin(), center=coin(), **self._renorm(), **c),
            lambda c: L.LayerNormalization(scale=coin(), center=coin(), **c),
            lambda c: L.UnitNormalization(**c),
            lambda c: L.Dropout(0.2, **c),
            lambda c: L.GaussianNoise(0.2, **c),
            lambda c: L.GaussianDropout(0.2, **c),
            lambda c: L.Activation("relu", **c),
            lambda c: L.PReLU(**c),
            lambda c: L.Rescaling(0.5, **c),
            lambda c: L.Flatten(**c),
            lambda c: L.ReLU(**c),
            lambda c: self._normalization(shape, c),
            lambda c: L.Dense(r.randint(2, 5), activation=self._activation(), **self._bias(), **c),
        ]
        if all(isinstance(side, int) for side in shape) and shape[-1] % 2 == 0 and len(shape) > 1:
            found.append(lambda c: L.GroupNormalization(groups=2, scale=coin(), center=coin(), **c))
        if self.three:
            found.append(lambda c: L.RMSNormalization(**c))
        return found

    def _activation(self) -> Any:
        if self.rng.random() < 0.06:
            return self.layers.PReLU()
        return self.rng.choice((None, "relu", "tanh"))

    def _renorm(self) -> dict[str, Any]:
        return {"renorm": self.rng.random() < 0.3}

    def _normalization(self, shape: Shape, config: dict[str, Any]) -> Any:
        config = {k: v for k, v in config.items() if k != "dtype"}
        if self.rng.random() < 0.3:
            return self.layers.Normalization(mean=0.5, variance=2.0, **config)
        layer = self.layers.Normalization(**config)
        layer.adapt(np.random.default_rng(0).normal(size=(4, *shape)).astype("float32"))
        return layer

    def _on_features(self) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        return [
            lambda c: L.Dense(r.randint(2, 6), **self._bias(), **c),
            lambda c: L.Dense(6, **self._bias(), **c),
            lambda c: L.EinsumDense(
                "ab,bc->ac", r.randint(2, 5), bias_axes=r.choice((None, "c")), **c
            ),
            lambda c: L.SpectralNormalization(L.Dense(3, **self._bias()), **c),
            lambda c: L.RepeatVector(3, **c),
            lambda c: (
                L.Discretization([0.0, 1.0], **{k: v for k, v in c.items() if k != "dtype"})
                if r.random() < 0.3
                else L.Dense(4, **c)
            ),
        ]

    def _cell(self) -> Any:
        L, r = self.layers, self.rng  # noqa: N806
        return r.choice(
            (
                lambda: L.LSTMCell(2, **self._bias()),
                lambda: L.GRUCell(2, reset_after=r.random() < 0.5, **self._bias()),
                lambda: L.SimpleRNNCell(3, **self._bias()),
            )
        )()

    def _recurrent(self, config: dict[str, Any], *, sequences: bool) -> Any:
        L, r = self.layers, self.rng  # noqa: N806
        more = {**self._bias(), "return_sequences": sequences, **config}
        return r.choice(
            (
                lambda: L.LSTM(2, dropout=r.choice((0.0, 0.2)), **more),
                lambda: L.GRU(2, reset_after=r.random() < 0.5, **more),
                lambda: L.SimpleRNN(3, **more),
            )
        )()

    def _bidirectional(self, config: dict[str, Any]) -> Any:
        sequences = self.rng.random() < 0.6
        layer = self._recurrent({}, sequences=sequences)
        more: dict[str, Any] = {"merge_mode": self.rng.choice(("concat", "sum"))}
        if self.rng.random() < 0.3:
            more["merge_mode"] = "concat"
            more["backward_layer"] = self.layers.GRU(
                3, go_backwards=True, return_sequences=sequences
            )
        return self.layers.Bidirectional(layer, **more, **config)

    def _rnn(self, config: dict[str, Any]) -> Any:
        L, r = self.layers, self.rng  # noqa: N806
        sequences = r.random() < 0.6
        what = r.randrange(3)
        if what == 0:
            return L.RNN(self._cell(), return_sequences=sequences, **config)
        cells = [self._cell() for _ in range(r.randint(1, 3))]
        return L.RNN(
            cells if what == 1 else L.StackedRNNCells(cells), return_sequences=sequences, **config
        )

    def _timed(self, config: dict[str, Any]) -> Any:
        L, r = self.layers, self.rng  # noqa: N806
        inner = r.choice(
            (
                lambda: L.Dense(3, **self._bias()),
                L.BatchNormalization,
                lambda: L.Dense(2, name="inner"),
                self._nested_dense,
            )
        )()
        return L.TimeDistributed(inner, **config)

    def _nested_dense(self) -> Any:
        L = self.layers  # noqa: N806
        return self.keras.Sequential([L.Dense(3), L.BatchNormalization(), L.Dense(2)])

    def _on_sequences(self) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        return [
            lambda c: self._recurrent(c, sequences=r.random() < 0.6),
            lambda c: self._recurrent(c, sequences=r.random() < 0.6),
            self._bidirectional,
            self._rnn,
            self._timed,
            lambda c: L.Conv1D(r.randint(2, 4), 2, padding="same", **self._bias(), **c),
            lambda c: L.SeparableConv1D(3, 2, padding="same", **self._bias(), **c),
            lambda c: L.Conv1DTranspose(2, 2, **self._bias(), **c),
            lambda c: L.DepthwiseConv1D(2, padding="same", depth_multiplier=r.randint(1, 2), **c),
            lambda c: L.GlobalAveragePooling1D(**c),
            lambda c: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes=r.choice((None, "d")), **c),
            lambda c: L.SpectralNormalization(L.Conv1D(2, 2, padding="same"), **c),
            lambda c: L.SpatialDropout1D(0.2, **c),
        ]

    def _on_images(self) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        same = {"padding": "same"}
        found = [
            lambda c: L.Conv2D(r.randint(2, 4), 2, **same, **self._bias(), **c),
            lambda c: L.SeparableConv2D(2, 2, **same, **self._bias(), **c),
            lambda c: L.DepthwiseConv2D(2, **same, depth_multiplier=r.randint(1, 2), **c),
            lambda c: L.Conv2DTranspose(2, 2, **same, **self._bias(), **c),
            lambda c: L.SpectralNormalization(L.Conv2D(2, 2, **same), **c),
            lambda c: L.ConvLSTM1D(2, 2, return_sequences=r.random() < 0.5, **same, **c),
            lambda c: L.TimeDistributed(L.Conv1D(2, 2, **same), **c),
            lambda c: L.GlobalAveragePooling2D(**c),
            lambda c: L.MaxPooling2D(padding="same", **c),
            lambda c: L.RandomFlip(**c),
            lambda c: L.RandomRotation(0.1, **c),
            lambda c: L.RandomZoom(0.1, **c),
        ]
        if not self.three:
            found.append(lambda c: L.LocallyConnected2D(2, 1, **c))
        return found

    def _on_videos(self) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        same = {"padding": "same"}
        return [
            lambda c: L.Conv3D(2, 2, **same, **self._bias(), **c),
            lambda c: L.Conv3DTranspose(2, 2, **same, **self._bias(), **c),
            lambda c: L.ConvLSTM2D(2, 2, return_sequences=r.random() < 0.5, **same, **c),
            lambda c: L.Bidirectional(L.ConvLSTM2D(2, 2, **same), **c),
            lambda c: L.TimeDistributed(L.Conv2D(2, 2, **same), **c),
            lambda c: L.TimeDistributed(L.TimeDistributed(L.Dense(2)), **c),
            lambda c: L.GlobalAveragePooling3D(**c),
        ]

    def _int8(self, shape: Shape) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        rank = len(shape)
        found = [
            lambda c: L.Dense(
                r.randint(2, 9), activation=r.choice((None, "relu")), **self._bias(), **c
            ),
            lambda c: L.Dense(r.randint(2, 9), **self._bias(), **c),
            lambda c: L.BatchNormalization(**c),
            lambda c: L.LayerNormalization(**c),
            lambda c: L.Dropout(0.1, **c),
        ]
        if rank == 1:
            found.append(
                lambda c: L.EinsumDense(
                    "ab,bc->ac", r.randint(2, 5), bias_axes=r.choice((None, "c")), **c
                )
            )
        else:
            found += (
                [
                    lambda c: L.EinsumDense(
                        "abc,cd->abd", (None, 3), bias_axes=r.choice((None, "d")), **c
                    ),
                    lambda c: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", **c),
                    lambda c: L.TimeDistributed(L.Dense(3), **c),
                ]
                if rank == 2
                else [lambda c: L.Flatten(**c)]
            )
        return found

    def _prunable(self, shape: Shape) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        same = {"padding": "same"}
        rank = 0 if shape[0] == "ids" else len(shape)
        anything = [
            lambda c: L.BatchNormalization(scale=r.random() < 0.7, **c),
            lambda c: L.ReLU(**c),
            lambda c: L.Dropout(0.1, **c),
            lambda c: L.Flatten(**c),
            lambda c: L.Dense(r.randint(2, 6), **self._bias(), **c),
        ]
        own: dict[int, list[Choice]] = {
            0: [lambda c: L.Embedding(7, 4, **c)],
            1: [lambda c: L.Dense(r.randint(2, 6), **self._bias(), **c)],
            2: [
                lambda c: self._recurrent(c, sequences=True),
                lambda c: self._recurrent(c, sequences=False),
                self._bidirectional if self.kind == "tfmot_clustered" else self._rnn,
                self._rnn,
                lambda c: L.Conv1D(3, 2, **same, **self._bias(), **c),
                lambda c: L.SeparableConv1D(3, 2, **same, **c),
                lambda c: L.GlobalAveragePooling1D(**c),
            ],
            3: [
                lambda c: L.Conv2D(r.randint(2, 4), 2, **same, **self._bias(), **c),
                lambda c: L.SeparableConv2D(2, 2, **same, **self._bias(), **c),
                lambda c: L.DepthwiseConv2D(2, **same, **c),
                lambda c: L.Conv2DTranspose(2, 2, **same, **self._bias(), **c),
                lambda c: L.MaxPooling2D(padding="same", **c),
                lambda c: L.GlobalAveragePooling2D(**c),
            ],
            4: [
                lambda c: L.Conv3D(2, 2, **same, **self._bias(), **c),
                lambda c: L.Conv3DTranspose(2, 2, **same, **self._bias(), **c),
                lambda c: L.GlobalAveragePooling3D(**c),
            ],
        }
        return own[rank] if rank == 0 else [*own[rank], *own[rank], *anything]

    def _quantizable(self, shape: Shape) -> Sequence[Choice]:
        L, r = self.layers, self.rng  # noqa: N806
        same = {"padding": "same"}
        act = lambda: r.choice((None, "relu", "softmax", "tanh", "sigmoid"))  # noqa: E731
        if len(shape) == 1:
            return [
                lambda c: L.Dense(r.randint(2, 6), activation=act(), **self._bias(), **c),
                lambda c: L.Dense(6, **c),
                lambda c: L.ReLU(**c),
                lambda c: L.Dropout(0.1, **c),
                lambda c: L.Activation(r.choice(("relu", "softmax", "tanh")), **c),
            ]
        return [
            lambda c: L.Conv2D(r.randint(2, 4), 2, activation=act(), **same, **self._bias(), **c),
            lambda c: L.Conv2D(3, 2, **same, **c),
            lambda c: L.DepthwiseConv2D(2, activation=r.choice((None, "relu")), **same, **c),
            lambda c: L.SeparableConv2D(3, 2, **same, **c),
            lambda c: L.Conv2DTranspose(2, 2, **same, **c),
            lambda c: L.BatchNormalization(**c),
            lambda c: L.ReLU(max_value=r.choice((None, 6.0)), **c),
            lambda c: L.MaxPooling2D(padding="same", **c),
            lambda c: L.GlobalAveragePooling2D(**c),
            lambda c: L.Flatten(**c),
        ]
