"""A random pruned model and its stripped one, reconciled in every format; then tampered with."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import random_oracle
import random_tensorflow
import tensorflow as tf
import tensorflow_model_optimization as toolkit

from inspector import api
from inspector.model import Role

if TYPE_CHECKING:
    from random_pruned import Two
    from random_training import Case

    from inspector.report import ArtifactReport, Reconciliation

QUICK = (".h5", ".keras", ".weights.h5", "weights-only.h5", "weights", "checkpoint")
TRACED, FROZEN = ("saved",), ("frozen",)  # take seconds
DESCRIBED = (".h5", ".keras", "saved")  # the file has the whole model in it
LOADED = (".h5", ".keras")
LITE = ("float", "dynamic", "float16")
OVERHEAD = {Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP}
MODEL = {Role.WEIGHT, Role.STATISTIC}


def save(case: Case, form: str, folder: str) -> str:
    """Write the model. Raises what Keras and TensorFlow raise where they cannot."""
    if form in LITE:
        return _lite(case, form, folder)
    module = random_oracle if form in random_oracle.SUFFIXES2 else random_tensorflow
    return module.save(case, form, folder)


def _lite(case: Case, form: str, folder: str) -> str:
    call = random_tensorflow.concrete(case.model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], case.model)
    if form != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    path = os.path.join(folder, f"{form}.tflite")
    with open(path, "wb") as file:
        file.write(converter.convert())
    return path


def save_all(case: Case, forms: Sequence[str], folder: str) -> dict[str, str]:
    """The path of each form that this model can be saved in."""
    os.makedirs(folder, exist_ok=True)
    found = {}
    for form in forms:
        with contextlib.suppress(Exception):  # they refuse in many ways
            found[form] = save(case, form, folder)
    return found


# --- one artifact ------------------------------------------------------------------------------


def alone(case: Case, bare: Case, path: str, form: str) -> Iterator[str]:
    """How the lines of one artifact differ from the live model."""
    report = api.reconcile(path)
    found, artifact = report.reconciliation, report.artifacts[0]
    yield from _residual(found)
    model = case.model
    if form in LOADED:
        # A layer may be frozen otherwise once it is loaded: wrappers make theirs anew.
        try:
            model = random_oracle.load(case, path, toolkit)
        except (ValueError, TypeError, KeyError):
            return  # Keras cannot load what it saved
        if model.count_params() != case.model.count_params():
            return  # .h5 does not know a layer that is in two places
    live = {
        "count_params": model.count_params(),
        "trainable": random_oracle.elements(model.trainable_weights),
        "non_trainable": random_oracle.elements(model.non_trainable_weights),
        "after_strip": bare.model.count_params(),
    }
    for name, theirs in live.items():
        ours = getattr(artifact.totals, name)
        if ours != theirs and (form in DESCRIBED or ours is not None):
            yield f"{name}: ours {ours}, live {theirs} ({artifact.totals_reasons.get(name)})"
    if artifact.totals.count_params is not None:
        counted = sum(line.count_params or 0 for line in found.lines)
        if counted != live["count_params"]:
            yield f"lines add up to {counted}, live {live['count_params']}"


def _residual(found: Reconciliation) -> Iterator[str]:
    if found.residual:
        yield f"residual {found.residual}: {[(o.tensor, o.message) for o in found.odd[:4]]}"


# --- two artifacts -----------------------------------------------------------------------------


def between(two: Two, a: str, b: str) -> Iterator[str]:
    """How pruned against stripped differs from zero; both are files of Keras or TensorFlow."""
    report = api.reconcile(a, b, measure=False)
    found = report.reconciliation
    yield from _residual(found)
    yield from (f"only {one.of} has {one.tensor} ({one.why})" for one in found.gone)
    for one in found.pairs:
        if one.agrees != "bits":
            yield f"{one.a} and {one.b}: {one.agrees}, {one.change_words}, {one.why_not}"
    pairs = [one for one in found.pairs if one.role in MODEL and one.elements]
    for which, names, artifact in zip(
        "AB",
        ([one.a for one in pairs], [one.b for one in pairs]),
        report.artifacts,
        strict=True,
    ):
        if sorted(names) != sorted(_variables(artifact)):
            yield f"{which}: pairs have {sorted(names)}, it has {sorted(_variables(artifact))}"
    if sum(one.elements for one in pairs) != two.bare.model.count_params():
        yield f"pairs have {sum(one.elements for one in pairs)} elements"
    overhead = sum(line.elements for line in found.lines if line.role in OVERHEAD)
    growth = two.pruned.model.count_params() - two.bare.model.count_params()
    if overhead != growth:
        yield f"overhead lines add up to {overhead}, the model grew by {growth}"


def _variables(artifact: ArtifactReport) -> list[str]:
    # LayerNormalization calls an operator with statistics of no element.
    return [one.name for one in artifact.tensors if one.role in MODEL and one.elements]


def converted(path: str, lite: str) -> Iterator[str]:
    """What a conversion leaves unexplained."""
    found = api.reconcile(path, lite, measure=False).reconciliation
    yield from _residual(found)
    for one in found.pairs:
        if one.agrees not in ("bits", "values", "close"):
            yield f"{one.a} and {one.b}: {one.agrees}, {one.change_words}, {one.why_not}"


# --- tampering ---------------------------------------------------------------------------------


def tampered(pruned: str, bare: str, folder: str, rng: random.Random) -> Iterator[str]:
    """What is not noticed, or not named, once a copy of a `.h5` file was tampered with."""
    untouched = api.reconcile(pruned, bare, measure=False).reconciliation.pairs
    partners = {one.b: one.a for one in untouched}
    for tamper in (_one_weight, _one_mask_bit, _one_kernel, _one_layer):
        of_pruned = tamper is _one_mask_bit
        copy = os.path.join(folder, f"{tamper.__name__}.h5")
        shutil.copy(pruned if of_pruned else bare, copy)
        names = tamper(copy, rng)
        for a, b in ((copy, bare), (pruned, copy)) if of_pruned else ((pruned, copy), (bare, copy)):
            found = api.reconcile(a, b, measure=False).reconciliation
            said = "\n".join(f"{odd.tensor} {odd.message}" for odd in found.odd)
            for name in names:
                if not found.residual or not (name in said or partners.get(name, name) in said):
                    where = " and ".join(map(os.path.basename, (a, b)))
                    yield f"{tamper.__name__}, {where}: {name} is not named: {said}"


def _datasets(file: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def visit(path: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and path.startswith("model_weights/"):
            found.append((path, node))

    file.visititems(visit)
    return found


def _one_weight(path: str, rng: random.Random) -> list[str]:
    with h5py.File(path, "r+") as file:
        found = [(name, node) for name, node in _datasets(file) if node.dtype.kind == "f"]
        if not found:
            return []
        name, node = rng.choice(found)
        values = node[()]
        values.flat[rng.randrange(values.size)] += 0.25
        node[()] = values
        return [name]


def _one_mask_bit(path: str, rng: random.Random) -> list[str]:
    """A weight that was kept is masked."""
    with h5py.File(path, "r+") as file:
        found = [(name, node) for name, node in _datasets(file) if name.endswith("/mask:0")]
        found = [(name, node) for name, node in found if node[()].any()]
        if not found:
            return []
        name, node = rng.choice(found)
        values = node[()]
        values.flat[rng.choice(list(np.flatnonzero(values)))] = 0
        node[()] = values
        return [name]


def _one_kernel(path: str, rng: random.Random) -> list[str]:
    """Its axes the other way round, in a shape of its own."""
    with h5py.File(path, "r+") as file:
        found = [
            (name, node)
            for name, node in _datasets(file)
            if node.ndim > 1 and node.dtype.kind == "f" and max(node.shape) < node.size
        ]
        if not found:
            return []
        name, node = rng.choice(found)
        values = node[()].T
        del file[name]
        file[name] = values
        return [name]


def _one_layer(path: str, rng: random.Random) -> list[str]:
    """A layer, and the description of the model, which would tell of it, are gone."""
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        for name in ("model_config", "training_config"):
            file.attrs.pop(name, None)
        full = [
            name for name in group.attrs["layer_names"] if len(group[name].attrs["weight_names"])
        ]
        if len(full) < 2:
            return []
        layer = rng.choice(full)
        below = f"model_weights/{layer if isinstance(layer, str) else layer.decode()}/"
        gone = [name for name, _ in _datasets(file) if name.startswith(below)]
        del group[layer]
        group.attrs["layer_names"] = [name for name in group.attrs["layer_names"] if name != layer]
        return gone
