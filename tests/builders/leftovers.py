"""Artifacts with what should not ship: leftovers of training, zeros that were lost, wrong numbers.

Next to each stands a twin that is like it and sound. The samples among them are what TensorFlow,
Keras and tfmot wrote; of those, `HELD` says what each has that an audit is right to name.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from tests.builders import bundles, samples, tflite
from tests.builders import cases as c
from tests.builders import saved_models as sm
from tests.builders.attacks_common import Attack
from tests.builders.hdf5 import whole_model

Make = Callable[[str], str]

KERNEL = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]], "f4") / 16
BIAS = np.zeros(3, "f4")
_CONFIG = c.sequential(c.dense("dense", 3))


def _sample(name: str) -> Make:
    """A copy of a sample: of a file, of a folder, or of a checkpoint's files."""

    def make(folder: str) -> str:
        source, target = samples.path(name), os.path.join(folder, name)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        elif os.path.isfile(source):
            shutil.copy(source, target)
        for one in _beside(source):
            shutil.copy(one, folder)
        return target

    return make


def _beside(source: str) -> list[str]:
    """The other files of a sample: a checkpoint's, the shards of a weight map."""
    stem = glob.escape(source.removesuffix(".weights.json"))
    found = [*glob.glob(f"{stem}.*"), *glob.glob(f"{stem}_*.weights.h5")]
    kept = re.compile(r".*\.(?:index|meta|data-\d+-of-\d+|weights\.h5)")
    return sorted(one for one in found if kept.fullmatch(one))


def _dense(kernel: Any = KERNEL, bias: Any = BIAS, **more: Any) -> Make:
    """Dense(3) on 4 in legacy HDF5."""
    weights = {"dense": {"dense/kernel:0": kernel, "dense/bias:0": bias}}
    return lambda folder: c.legacy(os.path.join(folder, "m.h5"), weights, _CONFIG, **more)


def _norm(**values: Any) -> Make:
    """BatchNormalization of three channels, as Keras makes it but for what is given."""
    fresh = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}
    held = {
        f"bn/{name}:0": np.array(values.get(name, [value] * 3), "f4")
        for name, value in fresh.items()
    }
    config = c.sequential(c.norm("bn"))
    return lambda folder: c.legacy(os.path.join(folder, "m.h5"), {"bn": held}, config)


def _changed(array: Any, *places: tuple[int, float]) -> Any:
    copy = np.array(array)
    for place, value in places:
        copy.flat[place] = value
    return copy


# --- the samples ----------------------------------------------------------------------------------

_PRUNED, _OPTIMIZER = "leftover-pruning", "leftover-optimizer"
_CLUSTERED, _QAT, _COMPILED = "leftover-clustering", "leftover-qat", "leftover-training-config"
_TRAINED = (_OPTIMIZER, _COMPILED)
_AS_MADE = "number-uninitialised"
# What samples hold that an audit is right to name at warning or above. All were trained by Adam but
# for those that were saved without it; scripts/samples makes them.
_HELD: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (_PRUNED, *_TRAINED),
        "pruned.h5 pruned.keras pruned_2by4.h5 pruned_convnet.h5 pruned_convnet.keras"
        " pruned_rnn.keras saved_pruned saved_pruned_lstm",
    ),
    ((_PRUNED, _OPTIMIZER), "ckpt_pruned pruned.weights.h5"),
    ((_PRUNED,), "frozen_contrib_pruned.pb pruned_weights.h5"),
    ((_CLUSTERED, *_TRAINED), "clustered.h5 clustered.keras saved_clustered"),
    ((_CLUSTERED, *_TRAINED, _AS_MADE), "clustered_conv.h5"),
    ((_QAT, *_TRAINED), "pcqat.h5 pqat.h5 qat.h5 qat.keras qat_conv.h5 saved_qat"),
    (("leftover-annotation", *_TRAINED), "qat_annotated.h5"),
    (("leftover-average", _OPTIMIZER), "ckpt_v1 ckpt_v1_format.ckpt"),
    (
        _TRAINED,
        "k3.h5 k3.keras k3_bfloat16.keras k3_dir k3_lora.keras k3_mixed_float16.keras"
        " k3_rnn.keras k3_sharded.keras k3_shared.h5 saved_adam saved_adam_legacy saved_untraced"
        " tfk_frozen.h5 tfk_rnn.h5 tfk_shared.h5",
    ),
    (
        (_OPTIMIZER,),
        "ckpt_adam ckpt_adam_legacy ckpt_manager k3.weights.h5 k3_bfloat16.weights.h5"
        " k3_mixed_float16.weights.h5 k3_sharded.weights.json",
    ),
    ((*_TRAINED, "safety-pickle"), "k3_npz.keras"),  # Keras pickled its variables
    ((_OPTIMIZER, "number-constant", _AS_MADE), "saved_v1"),
    (("number-constant",), "lite_shared.tflite"),
    (("safety-custom-operator",), "lite_compiled.tflite lite_custom.tflite"),
)
HELD: Mapping[str, tuple[str, ...]] = {
    name: codes for codes, names in _HELD for name in names.split()
}
_SAMPLES = tuple(Attack(f"sample-{name}", "", _sample(name), HELD[name]) for name in sorted(HELD))
_SAMPLE_TWINS = tuple(
    Attack(f"sample-{name}", "", _sample(name)) for name in samples.NAMES if name not in HELD
)


# --- what training leaves -------------------------------------------------------------------------


def _masked(folder: str, mask: Any, kernel: Any = KERNEL, **own: Any) -> str:
    """A pruned Dense(3) with a mask of one's own; `own` replaces or (None) drops its variables."""
    wrapper = "prune_low_magnitude_dense"
    held = {"mask": mask, "threshold": c.scalar(0.25), "pruning_step": c.scalar(6, "int64"), **own}
    named = {f"{wrapper}/{name}:0": value for name, value in held.items() if value is not None}
    weights = {wrapper: {"dense/kernel:0": kernel, "dense/bias:0": BIAS, **named}}
    config = c.sequential(c.pruned(c.dense("dense", 3)))
    return c.legacy(os.path.join(folder, "m.h5"), weights, config)


def _copied(folder: str) -> str:
    """A wrapper of tf_keras in `.keras`, which stores its layer's kernel twice."""
    kernel = c.values(200, 50)
    wrapper = (kernel, c.mask_of(kernel), c.scalar(0.25), c.scalar(6, "int64"))
    config = c.sequential(c.pruned(c.dense("dense", 50, use_bias=False)))
    place = "layers/prune_low_magnitude"
    objects = {place: wrapper, f"{place}/layer": (kernel,)}
    return c.archive(os.path.join(folder, "m.keras"), config, objects)


def _plain_keras(folder: str) -> str:
    config = c.keras3(c.sequential(c.dense("dense", 50, use_bias=False)))
    path = os.path.join(folder, "m.keras")
    return c.archive(path, config, {"layers/dense": (c.values(200, 50),)}, version=c.KERAS3)


def _behind_deleted(group: h5py.Group, name: str) -> None:
    """HDF5 keeps the room of what was deleted, where something stands behind it."""
    group["old"] = np.ones(100_000, "f4")
    group.file.flush()
    group[name] = KERNEL
    del group["old"]


def _slack(folder: str) -> str:
    held = {"dense": {"dense/kernel:0": _behind_deleted, "dense/bias:0": BIAS}}
    return whole_model(os.path.join(folder, "m.h5"), held)


def _saved(files: Mapping[str, bytes]) -> Make:
    return lambda folder: sm.module(os.path.join(folder, "saved"), files=files)


def _lora(folder: str) -> str:
    own = {"dense/lora_kernel_a:0": c.values(4, 2), "dense/lora_kernel_b:0": c.values(2, 3)}
    weights = {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": BIAS, **own}}
    return c.legacy(os.path.join(folder, "w.h5"), weights)


_LOSS = {"class_name": "function", "config": "loss", "registered_name": "mine>loss"}
_OWN_LOSS = {**c.ADAM, "loss": _LOSS}
_SLOTS = c.adam(dense__kernel=KERNEL, dense__bias=BIAS)
_TRAINING = (
    Attack("optimizer", "", _dense(optimizer=_SLOTS, training=c.ADAM), (_OPTIMIZER, _COMPILED)),
    Attack("compiled", "", _dense(training=_OWN_LOSS), (_COMPILED,)),
    Attack("copies", "", _copied, (_PRUNED, "leftover-copy")),
    Attack("deleted-values", "", _slack, ("leftover-slack",)),
    Attack("debug-info", "", _saved({"debug/x.pb": bytes(5000)}), ("leftover-file",)),
    Attack("lora", "", _lora, ("leftover-lora",)),
)
_TRAINING_TWINS = (
    Attack("fresh-optimizer", "", _dense(optimizer={"iteration:0": c.scalar(0, "int64")})),
    Attack("never-compiled", "", _dense(training={})),
    Attack("no-copies", "", _plain_keras),
    Attack("fingerprint", "", _saved({"fingerprint.pb": b""})),
)


# --- zeros that were lost -------------------------------------------------------------------------

_HALF = c.values(4, 3, zeros=6)
_LEAK = _changed(c.mask_of(KERNEL), (0, 0), (5, 0))
_SPARSITY = (
    Attack("mask-disagrees", "", lambda to: _masked(to, _LEAK), (_PRUNED, "sparsity-mask-leak")),
    Attack(
        "mask-of-halves",
        "",
        lambda to: _masked(to, _changed(c.mask_of(_HALF), (0, 0.5)), _HALF),
        (_PRUNED, "sparsity-mask-values"),
    ),
    Attack(
        "mask-without-threshold",
        "",
        lambda to: _masked(to, c.mask_of(_HALF), _HALF, threshold=None),
        (_PRUNED, "sparsity-mask-incomplete"),
    ),
    Attack("layer-of-zeros", "", _dense(np.zeros((4, 3), "f4")), ("sparsity-layer-zero",)),
)
_SPARSITY_TWINS = (Attack("half-zeros", "", _dense(_HALF)),)


# --- wrong numbers --------------------------------------------------------------------------------

_TINY = ((0, 1e-40), (1, -1e-40), (2, 1e-45))


def _unwritten(folder: str) -> str:
    """Space that is declared, and never filled."""
    path = _dense()(folder)
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/dense/kernel:0"]
        file.create_dataset("model_weights/dense/dense/kernel:0", (4, 3), "f4")
    return path


_NUMBERS = (
    Attack("nan", "", _dense(_changed(KERNEL, (0, np.nan))), ("number-nan",)),
    Attack("infinity", "", _dense(_changed(KERNEL, (3, -np.inf))), ("number-inf",)),
    Attack("denormals", "", _dense(_changed(KERNEL, *_TINY)), ("number-denormal",)),
    Attack("all-equal", "", _dense(np.full((4, 3), 0.5, "f4")), ("number-constant",)),
    Attack("exploded", "", _dense(_changed(KERNEL, (0, -1e30))), ("number-range",)),
    Attack("never-written", "", _unwritten, (_AS_MADE,)),
    Attack("float64", "", _dense(KERNEL, BIAS.astype("f8")), ("number-float64",)),
    Attack(
        "dead-channels", "", _dense(KERNEL * np.array([0, 0, 1], "f4")), ("number-dead-channel",)
    ),
    Attack(
        "negative-variance",
        "",
        _norm(moving_variance=[0, 1, -0.5], moving_mean=[1, 2, 3]),
        ("number-negative-variance",),
    ),
    Attack("statistics-as-made", "", _norm(gamma=[0.5, 1, 1.5]), (_AS_MADE,)),
)
_NUMBER_TWINS = (
    Attack("sound", "", _dense()),
    Attack("largest-sound", "", _dense(_changed(KERNEL, (0, 900)))),
    Attack("normalization", "", _norm()),
    Attack("variance-of-zero", "", _norm(moving_variance=[0, 1, 2], moving_mean=[-1, 0, 1])),
)


# --- wrong quantization ---------------------------------------------------------------------------

_INTEGERS = np.arange(-126, 130, 2, dtype="i2").reshape(4, 32).clip(-127, 127).astype("i1")


def _integers(scale: Any = 0.5, point: int = 3, count: int = 4) -> Make:
    """A FULLY_CONNECTED of int8: x, kernel, y."""
    tensors = [
        tflite.tensor("x", (1, 32), "int8", scale=[0.25], zero_point=[point]),
        tflite.tensor("k", (4, 32), "int8", buffer=1, scale=[0.5] * (count - 1) + [scale], axis=0),
        tflite.tensor("y", (1, 4), "int8", scale=[0.25], zero_point=[0]),
    ]
    graph = tflite.graph(tensors, [tflite.op("FULLY_CONNECTED", [0, 1], [2])], [0], [2])
    content = bytes(tflite.model(graph, buffers=[_INTEGERS]))

    def make(folder: str) -> str:
        path = os.path.join(folder, "m.tflite")
        with open(path, "wb") as file:
            file.write(content)
        return path

    return make


_QUANTIZED = (
    Attack("scale-of-zero", "", _integers(scale=0.0), ("quant-scale",)),
    Attack("scale-of-nan", "", _integers(scale=np.nan), ("quant-scale",)),
    Attack("zero-point-outside", "", _integers(point=128), ("quant-zero-point",)),
    Attack("scales-too-few", "", _integers(count=3), ("quant-mismatch",)),
)
_QUANTIZED_TWINS = (
    Attack("integers", "", _integers()),
    Attack("zero-point-at-the-end", "", _integers(point=-128)),
)


# --- damage ---------------------------------------------------------------------------------------


def _checkpoint(damage: Callable[[str, bytes], bytes | None]) -> Make:
    def make(folder: str) -> str:
        items = [sm.floats("a", [1.0, 2.0, 3.0]), sm.floats("b", [4.0, 5.0])]
        for name, data in bundles.bundle(*items).items():
            changed = damage(name, data)
            if changed is not None:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(changed)
        return os.path.join(folder, "ckpt")

    return make


def _flipped(name: str, data: bytes) -> bytes:
    return data if "index" in name else data[:1] + bytes([data[1] ^ 1]) + data[2:]


def _lost(name: str, data: bytes) -> bytes | None:
    return None if "data-00000" in name else data


def _truncated(folder: str) -> str:
    path = _dense()(folder)
    os.truncate(path, os.path.getsize(path) - 1000)
    return path


def _out_of_bounds(folder: str, reads: int = 9) -> str:
    tensors = [tflite.tensor("x", (2,)), tflite.tensor("y", (2,))]
    graph = tflite.graph(tensors, [tflite.op("RELU", [reads], [1])], [0], [1])
    path = os.path.join(folder, "m.tflite")
    with open(path, "wb") as file:
        file.write(bytes(tflite.model(graph)))
    return path


_DAMAGED = (
    Attack("flipped-bit", "", _checkpoint(_flipped), ("integrity-checksum",)),
    Attack("lost-shard", "", _checkpoint(_lost), ("integrity-missing",)),
    Attack("cut-off", "", _truncated, ("integrity-truncated",)),
    Attack("index-past-the-end", "", _out_of_bounds, ("integrity-bounds",)),
)
_DAMAGED_TWINS = (
    Attack("checkpoint", "", _checkpoint(lambda _, data: data)),
    Attack("in-bounds", "", lambda folder: _out_of_bounds(folder, 0)),
)

FAMILIES: Mapping[str, tuple[tuple[Attack, ...], tuple[Attack, ...]]] = {
    "samples": (_SAMPLES, _SAMPLE_TWINS),
    "left by training": (_TRAINING, _TRAINING_TWINS),
    "sparsity": (_SPARSITY, _SPARSITY_TWINS),
    "numbers": (_NUMBERS, _NUMBER_TWINS),
    "quantization": (_QUANTIZED, _QUANTIZED_TWINS),
    "damage": (_DAMAGED, _DAMAGED_TWINS),
}
LEFTOVERS: tuple[Attack, ...] = tuple(one for found, _ in FAMILIES.values() for one in found)
TWINS: tuple[Attack, ...] = tuple(one for _, twins in FAMILIES.values() for one in twins)
