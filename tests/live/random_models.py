"""Random models, each from a seed: one builder for Keras 3 and for tf_keras, and tfmot on top.

Sizes are small and the structure is what varies: branches, nesting, sharing, freezing, dtypes,
names, wrappers. A seed always gives the same model.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from random_layers import Shape, Steps
from random_training import Case, quantize, sublayers, train, wrap_with_toolkit

KINDS = ("keras3", "tf_keras", "keras3_quantized", "tfmot_pruned", "tfmot_clustered", "tfmot_qat")


def kind_of(seed: int) -> str:
    return KINDS[(0, 0, 1, 1, 2, 3, 0, 4, 1, 5)[seed % 10]]


def make(seed: int, keras3: Any, tf_keras: Any, toolkit: Any) -> Case:
    """Build the model of a seed. Raises what Keras raises where it refuses the combination."""
    kind = kind_of(seed)
    keras = keras3 if kind.startswith("keras3") else tf_keras
    builder = _Builder(random.Random(seed), keras, kind)
    model, described = builder.model()
    case = Case(seed, kind, keras, model, described=described, notes=builder.notes)
    if kind == "keras3_quantized":
        quantize(case, builder.rng)
    elif kind.startswith("tfmot"):
        case.model = wrap_with_toolkit(case, builder.rng, toolkit)
    builder.freeze(case.model)
    case.trained = builder.rng.random() < 0.5 and train(case, builder.rng)
    return case


class _Builder(Steps):
    # --- whole models ------------------------------------------------------------------------

    def model(self) -> tuple[Any, bool]:
        wants = self.kind
        if wants in ("keras3", "tf_keras") and self.rng.random() < 0.12:
            return self._subclassed(), False
        shape = self._input_shape()
        if wants in ("tfmot_pruned", "tfmot_clustered", "tfmot_qat"):
            functional = self.rng.random() < 0.6
            return (self._functional if functional else self._sequential)(shape, 3), True
        return self._any(shape, 0), True

    def _any(self, shape: Shape, depth: int) -> Any:
        if self.rng.random() < 0.45:
            return self._sequential(shape, depth)
        return self._functional(shape, depth)

    def _input_shape(self) -> Shape:
        if self.kind == "tfmot_qat":
            return self.rng.choice(((6,), (8, 8, 3), (8, 8, 2)))
        if self.kind == "keras3_quantized":
            return self.rng.choice(((6,), (5, 4), (4, 8)))
        return self.rng.choice(
            ((6,), (4,), (5, 4), (6, 3), (8, 8, 3), (6, 6, 2), (3, 6, 6, 1), ("ids", 5))
        )

    def _input(self, shape: Shape, name: str | None = None) -> Any:
        if shape[0] == "ids":
            return self.keras.Input(shape[1:], dtype="int32", name=name)
        return self.keras.Input(shape, name=name)

    def _own_name(self) -> dict[str, str]:
        """A name for a nested model, unique in the model around it."""
        return self._named() if self.taken else {}

    def _sequential(self, shape: Shape, depth: int) -> Any:
        name = self._own_name()
        self.taken.append(set())
        model = self.keras.Sequential(**name)
        model.add(self._input(shape))
        for _ in range(self.rng.randint(1, self.limit)):
            now = shape if not model.layers else model.output_shape[1:]
            model.add(self._step(now, depth))
        self.taken.pop()
        return model

    def _functional(self, shape: Shape, depth: int) -> Any:
        name = self._own_name()
        self.taken.append(set())
        first = self._input(shape)
        inputs, x = [first], first
        whole = depth in (0, 3) and len(self.taken) == 1  # not inside another model
        if whole and shape[0] != "ids" and self.rng.random() < 0.3:
            second = self._input(shape)
            inputs.append(second)
            x = self._merge(first, second)
        if shape[0] == "ids":
            x = self._step(shape, depth)(x)
        outputs = []
        for _ in range(self.rng.randint(1, self.limit)):
            x = self._grow(x, depth)
            if whole and self.rng.random() < 0.15:
                outputs.append(x)
        outputs = [*outputs, x] if not outputs or outputs[-1] is not x else outputs
        outputs = [o for i, o in enumerate(outputs) if all(o is not p for p in outputs[:i])]
        self.rng.shuffle(outputs)
        self.taken.pop()
        ins = inputs if len(inputs) > 1 else inputs[0]
        return self.keras.Model(ins, outputs if len(outputs) > 1 else outputs[0], **name)

    def _merge(self, *tensors: Any) -> Any:
        kind = self.rng.choice(("Add", "Concatenate", "Maximum", "Multiply", "Average"))
        if self.kind == "tfmot_qat":
            kind = self.rng.choice(("Add", "Concatenate"))
        return getattr(self.layers, kind)(**self._named())(list(tensors))

    def _grow(self, x: Any, depth: int) -> Any:
        """One more step in a functional model: often a layer, at times a branch or a shared one."""
        shape = tuple(x.shape[1:])
        what = self.rng.random()
        plain = self.kind == "tfmot_qat"
        if what < 0.1 and not plain:
            shared = self._step(shape, depth)
            a = shared(x)
            if tuple(a.shape) == tuple(x.shape):
                return shared(a)
            return self._merge(a, shared(x))
        if what < 0.25:
            a, b = self._step(shape, depth)(x), self._step(shape, depth)(x)
            if tuple(a.shape) == tuple(b.shape):
                return self._merge(a, b)
            return a
        if what < 0.33 and len(shape) == 2 and not plain:
            return self._attention(x)
        if what < 0.37 and len(shape) == 2 and self.kind in ("keras3", "tf_keras"):
            # One layer, alone and in a wrapper.
            dense = self.layers.Dense(3, **self._named())
            timed = self.layers.TimeDistributed(dense, **self._named())
            return self._merge(timed(x), dense(x))
        if what < 0.42 and self.three and self.kind == "keras3":
            return self.keras.ops.multiply(x, 2.0)
        return self._step(shape, depth)(x)

    def _attention(self, x: Any) -> Any:
        L = self.layers  # noqa: N806
        what = self.rng.randrange(5 if self.three else 4)
        if what == 0:
            return L.Attention(
                use_scale=self.rng.random() < 0.5,
                score_mode=self.rng.choice(("dot", "concat")),
                **self._named(),
            )([x, x])
        if what == 1:
            return L.AdditiveAttention(use_scale=self.rng.random() < 0.7, **self._named())([x, x])
        if what == 4:
            return L.GroupQueryAttention(2, 4, 2, **self._named())(x, x)
        return L.MultiHeadAttention(
            2,
            self.rng.randint(1, 3),
            value_dim=self.rng.choice((None, 2)),
            use_bias=self.rng.random() < 0.7,
            dropout=self.rng.choice((0.0, 0.2)),
            output_shape=self.rng.choice((None, 3)),
            **self._named(),
        )(x, x)

    def _subclassed(self) -> Any:
        keras, rng = self.keras, self.rng
        self.taken.append(set())
        shape = rng.choice(((4,), (5, 4), (6, 6, 2)))
        steps: list[Any] = []
        x = self._input(shape)
        parts = rng.randint(2, 4)
        for _ in range(parts):
            steps.append(self._step(tuple(x.shape[1:]), 2))
            x = steps[-1](x)
        listed = rng.random() < 0.5
        attrs = rng.sample(("encoder", "head", "b1", "a2", "_body", "kernel", "mask"), parts)

        class Random(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                if listed:
                    self.steps = list(steps)
                else:
                    for attr, step in zip(attrs, steps, strict=True):
                        setattr(self, attr, step)
                self.order = None if listed else list(attrs)

            def call(self, inputs: Any) -> Any:
                for step in (
                    self.steps
                    if self.order is None
                    else [getattr(self, attr) for attr in self.order]
                ):
                    inputs = step(inputs)
                return inputs

        model = Random()
        model(np.zeros((1, *shape), "float32"))
        self.notes.append(f"subclassed: {'list' if listed else attrs}")
        self.taken.pop()
        return model

    # --- freezing ----------------------------------------------------------------------------

    def freeze(self, model: Any) -> None:
        """Switch off, and on again, at random places of the tree of layers."""
        if self.rng.random() < 0.5:
            return
        everything = list(sublayers(model, set()))
        if self.rng.random() < 0.12:
            model.trainable = False
            self.notes.append("froze the model")
        for layer in everything:
            if self.rng.random() < 0.2:
                layer.trainable = False
                self.notes.append(f"froze {type(layer).__name__} {layer.name}")
        for layer in everything:
            if self.rng.random() < 0.07:
                layer.trainable = True
                self.notes.append(f"thawed {type(layer).__name__} {layer.name}")
