"""What live TensorFlow says of a SavedModel, a checkpoint or a frozen graph.

The values come from TensorFlow's own readers; the roles from the generator, which walked the live
objects; the counts from the live Keras model. Nothing here knows how the inspector works.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samples import parts as parts_of
from samples import stored
from samples.parts import Part

COUNTS = ("count_params", "trainable", "non_trainable", "after_strip")

FEW = 40
"""A graph with no more constants than this has a row for each of them."""


@dataclass
class Built:
    """The writer of one sample, which also finds out where each part of the live model went.

    model: the live Keras model, where there is one. loads: whether live tf_keras loads the sample
    back; the model is asked in its place where not. probe: writes the copy that parts are found in,
    where `save` cannot write a second one. copies: the attribute under which a Keras 3 export
    tracks its variables once more. counts: `trainable` and `non_trainable`, where a live graph
    says them and no Keras model.
    """

    format: str
    save: Callable[[str], Any]
    parts: Sequence[Part]
    model: Any = None
    loads: bool = False
    probe: Callable[[str], Any] | None = None
    copies: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    variables: dict[str, Part] = field(default_factory=dict, init=False)
    constants: dict[str, Part] = field(default_factory=dict, init=False)

    def __call__(self, path: str) -> None:
        self.save(path)
        with tempfile.TemporaryDirectory() as folder:
            probe = os.path.join(folder, os.path.basename(path))
            with parts_of.filled(self.parts):
                (self.probe or self.save)(probe)
                arrays = {key: values for key, (_, values) in stored.variables(probe).items()}
                self.variables = parts_of.found(self.parts, arrays)
                # A graph beside variables holds none of their values, unless it captured them.
                self.constants = parts_of.found(
                    [part for part in self.parts if not arrays or part.content is not None],
                    {one.steady: one.values for one in stored.constants(probe)},
                )
        missing = [
            part
            for part in self.parts
            if part not in self.variables.values() and part not in self.constants.values()
        ]
        if missing:
            raise RuntimeError(f"{path} stores nothing of {missing}")


def measure(path: str, built: Built) -> dict[str, Any]:
    """Everything a sample's `.expected.json` holds."""
    rows = [_variable(key, *held, built) for key, held in stored.variables(path).items()]
    records = [row.pop("record") for row in rows]
    tensors = [row for row, record in zip(rows, records, strict=True) if not record]
    constants = [_constant(one, built) for one in sorted(stored.constants(path), key=_place)]
    said: dict[str, Any] = dict.fromkeys(COUNTS) | dict(built.counts)
    if built.model is not None:
        said |= counts(path, None if built.loads else built.model)
    held = {row["key"]: row["sha256"] for row in tensors}
    if any(row["sha256"] != held[row["of"]] for row in tensors if row["role"] == "alias"):
        raise RuntimeError(f"{path}: a copy is none, its parts were found in another order")
    roles: Counter[str] = Counter()
    for row in [*tensors, *constants]:
        roles[row["role"]] += _elements(row)
    said = {
        "loader": _loader(built),
        "format": built.format,
        "loads": built.loads,
        **said,
        "nonzero_weights": sum(
            _elements(row) - row["zeros"]
            for row in [*tensors, *constants]
            if row["role"] == "weight"
        ),
        "roles": dict(sorted(roles.items())),
        "file": {
            "variables": len(tensors),
            "elements": sum(_elements(row) for row in tensors),
            "records": [row["key"] for row, record in zip(rows, records, strict=True) if record],
            "constants": len(constants),
            "constant_elements": sum(map(_elements, constants)),
            "constants_sha256": constants_digest(constants),
        },
        "signatures": stored.signatures(path),
        "variables": tensors,
        "constants": [
            row for row in constants if len(constants) <= FEW or row["role"] != "constant"
        ],
    }
    if stored.is_saved_model(path):
        metas = stored.saved_model(path).meta_graphs
        said["tags"] = [list(meta.meta_info_def.tags) for meta in metas]
    return said


def constants_digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of sorted lines, one a numeric constant: name, dtype, shape, digest of its values."""
    lines = sorted(
        f"{row['name']} {row['dtype']} {tuple(row['shape'])} {row['sha256']}"
        for row in rows
        if row["dtype"] != "string"
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _elements(row: Mapping[str, Any]) -> int:
    return int(np.prod(row["shape"], dtype=np.int64))


def _loader(built: Built) -> str:
    import tensorflow as tf

    if built.model is None:
        return f"tensorflow {tf.__version__}"
    package = __import__(type(built.model).__module__.partition(".")[0])
    return f"{package.__name__} {package.__version__}"


def _variable(key: str, dtype: str, values: np.ndarray, built: Built) -> dict[str, Any]:
    part = built.variables.get(key)
    row: dict[str, Any] = {"key": key, "role": None, "shape": list(values.shape), "dtype": dtype}
    row["record"] = part is None and dtype == "string" and values.shape == ()
    if row["record"]:
        return row
    if part is None:
        raise RuntimeError(f"{key}: no part of the live model is stored there")
    again = [one for one, other in built.variables.items() if other is part and one != key]
    row["role"] = part.role
    if again and built.copies is not None and key.startswith(built.copies):
        row |= {"role": "alias", "of": again[0]}
    elif part.of is not None:
        row["of"] = _key(part.of, built)
    row["trainable"] = part.trainable
    return row | numbers(values)


def _key(variable: Any, built: Built) -> str:
    return next(key for key, part in built.variables.items() if part.variable is variable)


def _place(constant: stored.Constant) -> tuple[Any, ...]:
    """Functions are stored in an order that depends on their numbers; this one does not."""
    return constant.tags, constant.steady, constant.values.shape, stored.digest(constant.values)


def _constant(constant: stored.Constant, built: Built) -> dict[str, Any]:
    part = built.constants.get(constant.steady)
    return {
        "name": constant.name,
        "tags": list(constant.tags),
        "role": "constant" if part is None else part.role,
        "dtype": constant.dtype,
        "shape": list(constant.values.shape),
        **numbers(constant.values),
    }


def numbers(values: np.ndarray) -> dict[str, Any]:
    """What is said of values: how many are zero, their range, their digest."""
    if values.dtype.kind in "OSU":
        return {"zeros": None, "min": None, "max": None, "sha256": stored.digest(values)}
    numbers = values.astype(np.float64)
    return {
        "zeros": int(values.size - np.count_nonzero(numbers)),
        "min": float(numbers.min()) if values.size else None,
        "max": float(numbers.max()) if values.size else None,
        "sha256": stored.digest(values),
    }


def counts(path: str, model: Any = None) -> dict[str, int]:
    """What a live Keras model counts: the one that tf_keras loads, or the one in memory."""
    model = load(path) if model is None else model
    said = {"count_params": int(model.count_params())}
    for name, variables in (
        ("trainable", model.trainable_weights),
        ("non_trainable", model.non_trainable_weights),
    ):
        once = {id(v): v for v in variables}.values()
        said[name] = sum(int(np.prod(v.shape, dtype=np.int64)) for v in once)
    said["after_strip"] = _after_strip(model)  # it changes the model, so it comes last
    return said


def _after_strip(model: Any) -> int:
    if type(model).__module__.startswith("keras."):
        return int(model.count_params())  # tfmot knows no Keras 3 model
    import tensorflow_model_optimization as tfmot

    model = tfmot.sparsity.keras.strip_pruning(model)
    return int(tfmot.clustering.keras.strip_clustering(model).count_params())


def load(path: str) -> Any:
    """The live tf_keras model of a SavedModel."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    with (
        tfmot.sparsity.keras.prune_scope(),
        tfmot.clustering.keras.cluster_scope(),
        tfmot.quantization.keras.quantize_scope(),
    ):
        return tf_keras.models.load_model(path, compile=False)
