"""Random models saved in TensorFlow's own formats, against the live models that were saved.

`random_oracle.Live` gives each live variable values of its own, which tell in a SavedModel, a
checkpoint or a frozen graph which variable each tensor is.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from random_oracle import Live, Variable, _key, _say, _values, elements, scopes, stripped
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from inspector.classify import classify
from inspector.count import count
from inspector.limits import DEFAULT
from inspector.measure import measure_all
from inspector.model import Role, Section, Tensor
from inspector.read import read
from inspector.ties import find_ties
from tests.builders.checks import claimed

FORMS2 = ("saved", "saved, no traces", "saved, no optimizer", "checkpoint", "weights", "frozen")
FORMS3 = ("export", "saved", "checkpoint", "frozen")
_SAVED = ("saved", "export")
_COUNTED = (Role.WEIGHT, Role.STATISTIC)
_METRICS = (("mae",), ("mae", "accuracy"), ("AUC",), ("Precision", "Recall"), ("MeanIoU",))


def metrics(case: Any, rng: random.Random) -> None:
    """Compile with metrics and call them once, where the outputs suit them."""
    keras, model = case.keras, case.model
    names = rng.choice(_METRICS)
    made: list[Any] = [
        name if name[0].islower() else getattr(keras.metrics, name)(*([2] * (name == "MeanIoU")))
        for name in names
    ]
    if len(getattr(model, "outputs", None) or ()) != 1:
        return
    try:
        model.compile(model.optimizer, "mse", metrics=made, run_eagerly=True)
        model.evaluate(inputs(model), np.zeros((2, *model.output_shape[1:])), verbose=0)
        case.notes.append("/".join(names))
    except Exception:  # noqa: BLE001  (a metric may not take outputs of this shape)
        model.compile(model.optimizer, "mse")


def inputs(model: Any) -> Any:
    """Zeros that the model takes, two examples of them."""
    given = [np.zeros((2, *one.shape[1:]), tf.as_dtype(one.dtype).name) for one in model.inputs]
    return given if len(given) > 1 else given[0]


def settled(case: Any) -> Live:
    """The live model's variables, once it has made all: activations make theirs when called."""
    with contextlib.suppress(Exception):
        concrete(case.model)
    return Live(case)


def again(live: Live) -> None:
    """Look at the values again: saving calls a model, and clustering assigns as it is called."""
    live.by_content = {}
    for one in live.variables.values():
        one.values = _values(one.live)
        live.by_content.setdefault(_key(one.values), []).append(one)


# --- saving ------------------------------------------------------------------------------------


def save(case: Any, form: str, folder: str) -> str:
    """Write the model. Raises what Keras and TensorFlow raise where they cannot."""
    model, path = case.model, os.path.join(folder, form.replace(", ", "-").replace(" ", "-"))
    three = case.kind.startswith("keras3")
    if form == "export":
        model.export(path, verbose=False)
    elif form == "saved" and three:
        tf.saved_model.save(model, path)
    elif form.startswith("saved"):
        more = {"save_traces": False} if form == "saved, no traces" else {}
        if form == "saved, no optimizer":
            more = {"include_optimizer": False, "save_traces": False}
        model.save(path, save_format="tf", **more)
    elif form == "checkpoint":
        parts = {"model": model}
        if case.trained:
            parts["optimizer"] = model.optimizer
        path = tf.train.Checkpoint(**parts).save(path)
    elif form == "weights":
        model.save_weights(path, save_format="tf")
    else:
        path += ".pb"
        call = concrete(model)
        with open(path, "wb") as file:
            frozen = convert_variables_to_constants_v2(call)
            file.write(frozen.graph.as_graph_def().SerializeToString())
    return path


def concrete(model: Any) -> Any:
    """The model's call for inference, traced."""
    specs = [tf.TensorSpec((1, *one.shape[1:]), one.dtype) for one in model.inputs]
    if len(specs) > 1:
        return tf.function(lambda *xs: model(list(xs), training=False)).get_concrete_function(
            *specs
        )
    return tf.function(lambda x: model(x, training=False)).get_concrete_function(*specs)


# --- the comparison ----------------------------------------------------------------------------


class Compared:
    """One file, read and held against the live model; `found` has every difference."""

    def __init__(self, case: Any, live: Live, path: str, form: str, toolkit: Any) -> None:
        self.case, self.live, self.path, self.form = case, live, path, form
        self.found: list[str] = []
        again(live)
        self.skipped = ""
        self.lacking = False
        with read(path, DEFAULT) as opened:
            self.artifact = opened.artifact
            self.verdicts = classify(self.artifact).verdicts
            measured, unread = measure_all(self.artifact.tensors, DEFAULT, threads=1)
            ties = find_ties(self.artifact, self.verdicts, measured)
            self.counted = count(self.artifact, self.verdicts, measured, ties)
            self.values = {t.name: _payload(t) for t in self.artifact.tensors}
            broken = [
                t.name for t in self.artifact.tensors if t.check is not None and not t.check.holds()
            ]
            bytes_of_tensors = claimed(self.artifact)
        self.check("checksums", broken, [])
        self.check("unread", sorted(unread), [])
        self.check(
            "bytes",
            bytes_of_tensors + sum(self.artifact.overhead.values()),
            self.artifact.nbytes,
        )
        unknown = [n for n, verdict in self.verdicts.items() if verdict.role is Role.UNKNOWN]
        self.check("unknown", unknown, [])
        self.check(
            "problems", [p.message for p in self.artifact.problems if p.severity != "info"], []
        )
        if form == "frozen":
            self.frozen()
        else:
            self.stored()
            self.totals(toolkit)

    def check(self, label: str, ours: Any, theirs: Any) -> None:
        if ours != theirs:
            self.found.append(f"{label}: ours {ours!r}, live {theirs!r}")

    # --- variables -----------------------------------------------------------------------------

    def stored(self) -> None:
        """Each variable of a SavedModel or checkpoint: values, role, place, slot."""
        folder = self.form.startswith(_SAVED)
        prefix = os.path.join(self.path, "variables", "variables") if folder else self.path
        held: dict[int, list[Tensor]] = {}
        reader = tf.train.load_checkpoint(prefix) if os.path.exists(f"{prefix}.index") else None
        shapes = reader.get_variable_to_shape_map() if reader is not None else {}
        ours = {t.name: t for t in self.artifact.tensors if t.section is not Section.GRAPH}
        records = ("_CHECKPOINTABLE_OBJECT_GRAPH",)
        self.check(
            "keys",
            sorted(ours),
            sorted(
                k
                for k in shapes
                if k not in records and not k.endswith("/.ATTRIBUTES/OBJECT_CONFIG_JSON")
            ),
        )
        for tensor in ours.values():
            array = self.values[tensor.name]
            if tensor.dtype != "string" and reader is not None:
                theirs = reader.get_tensor(tensor.name)
                if array is None or _key(array) != _key(np.asarray(theirs)):
                    self.found.append(f"values: {tensor.name}")
            for one in self.variable(tensor, array):
                held.setdefault(id(one), []).append(tensor)
        for one in self.live.variables.values():
            # Keras 3 does not track the state of its random generators for TensorFlow, nor what
            # is in lists; where such is missing, no total may be given.
            untracked = self.live.three and self.counted.totals.count_params is None
            if id(one) not in held and one.role is not Role.COUNTER:
                self.lacking = True
                if not untracked:
                    self.found.append(f"not stored: {_say([one])}")

    def variable(self, tensor: Tensor, array: Any) -> Sequence[Variable]:
        verdict = self.verdicts[tensor.name]
        where = (
            f"{tensor.name} ({tensor.section}, {tensor.layer!r}, {tensor.variable!r},"
            f" {tensor.stored_name!r}, {verdict.role} by {verdict.rule})"
        )
        if array is None:
            return ()
        candidates = self.live.by_content.get(_key(array)) or []
        if verdict.alias_of is not None:
            other = self.values.get(verdict.alias_of)
            if other is None or _key(array) != _key(other):
                self.found.append(f"alias: {where} is not {verdict.alias_of}")
        if tensor.section is not Section.MODEL:
            self.slot(tensor, array, where)
            if candidates and array.size > 1:
                self.found.append(f"section: {where} is live {_say(candidates)}")
            return candidates if array.size > 1 else ()
        if not candidates:
            if verdict.role not in (Role.COUNTER, Role.METRIC, Role.ALIAS):
                self.found.append(f"no live variable holds: {where}")
            return ()
        if verdict.role is Role.ALIAS:
            return candidates
        roles = {one.role for one in candidates}
        if verdict.role not in roles:
            self.found.append(f"role: {where} should be {sorted(roles)}; live {_say(candidates)}")
        ids = {id(v) for v in self.case.model.trainable_variables}
        flags = {id(one.live) in ids for one in candidates}
        if self.flags_are_tensorflow_s():
            flags |= {one.live.value.trainable for one in candidates}
        unlisted = self.form.startswith("saved, no") and self.case.kind == "tfmot_qat"
        if verdict.trainable not in {None, *flags} and not unlisted:
            self.found.append(f"trainable: {where} is {verdict.trainable}, live {flags}")
        if not any(self.is_place(tensor, one) for one in candidates):
            self.found.append(
                f"place: {where} is live {_say(candidates)} {candidates[0].live.name}"
            )
        return candidates

    def flags_are_tensorflow_s(self) -> bool:
        """Whether only TensorFlow's flags are stored: Keras 3 freezes a layer without them."""
        return self.live.three and self.form == "saved"

    def is_place(self, tensor: Tensor, one: Variable) -> bool:
        """Whether a layer that has the variable, or that its own name says, is the tensor's."""
        live = getattr(one.live, "path", one.live.name).split(":")[0]
        *scopes, _ = live.split("/")
        names = {*(name for _, name in one.owners), live}
        if not any(f"/{name}".endswith(f"/{tensor.variable}") for name in names):
            return False
        path = re.sub(r"#\d+", "", tensor.layer or "")
        if path in {owner for owner, _ in one.owners}:
            return True
        *around, last = path.split("/")
        known = {*scopes, *(part for owner, _ in one.owners for part in owner.split("/"))}
        if last in known:
            return True
        if self.form == "export" and path == "/".join(scopes[1:]):
            return True  # where all names begin alike, the model may be called so
        if self.form.startswith(_SAVED):
            return False
        # A checkpoint names layers as their variables do. One that is an attribute of a wrapper is
        # called as the attribute is, and one whose variables have no scope may be called anything.
        attribute = last == "layer" or f"/{last}/" in tensor.name
        return not scopes or (attribute and bool(around) and around[-1] in known)

    def slot(self, tensor: Tensor, array: Any, where: str) -> None:
        owners = self.live.slots.get(_key(array))
        if owners is None or not array.ndim:
            return
        verdict = self.verdicts[tensor.name]
        if verdict.role is not Role.OPTIMIZER_SLOT:
            if verdict.role is not Role.ALIAS:
                self.found.append(f"slot role: {where}")
            return
        served = verdict.about or tensor.slot_of
        held = self.values.get(served or "")
        if held is None:
            self.found.append(f"slot of none: {where} serves {served}, live {owners[0].name}")
        elif all(_key(_values(owner)) != _key(held) for owner in owners):
            self.found.append(f"slot: {where} serves {served}, live {owners[0].name}")

    # --- counts --------------------------------------------------------------------------------

    def totals(self, toolkit: Any) -> None:
        model, totals = self.case.model, self.counted.totals
        if not self.artifact.tensors:
            return  # of a model without any variable
        self.check(
            "stored_elements",
            totals.stored_elements,
            sum(t.elements for t in self.artifact.tensors),
        )
        # Nothing in a checkpoint shows that a subclassed model is one, unless it was compiled.
        shown = self.case.described or self.form != "checkpoint"
        if totals.count_params is None and (not shown or self.lacking):
            return
        self.check("count_params", totals.count_params, model.count_params())
        told = self.form.startswith(_SAVED) or totals.trainable is not None
        if told and not self.flags_are_tensorflow_s():
            trained = elements(model.trainable_weights)
            if totals.trainable != trained and self.form.startswith("saved, no"):
                # Without lists, flags are what loading makes of them: it builds wrappers again.
                with scopes(toolkit):
                    loaded = self.case.keras.models.load_model(self.path, compile=False)
                trained = elements(loaded.trainable_weights)
            self.check("trainable", totals.trainable, trained)
            # A wrapper and its layer may disagree: the variable is in both lists then.
            frozen = model.count_params() - trained
            self.check("non_trainable", totals.non_trainable, frozen)
        weights = [v for v in self.live.variables.values() if v.role is Role.WEIGHT]
        nonzero = sum(int(np.count_nonzero(np.asarray(v.values, np.float64))) for v in weights)
        self.check("nonzero", totals.nonzero, nonzero)
        rows = sum(row.count_params or 0 for row in self.counted.layers)
        self.check("rows", rows, totals.count_params)
        if self.case.kind.startswith("tfmot"):
            try:
                self.check("after_strip", totals.after_strip, stripped(model, toolkit))
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                self.skipped = f"strip: {type(error).__name__}: {str(error)[:60]!r}"
        else:
            self.check("after_strip", totals.after_strip, totals.count_params)

    # --- graphs --------------------------------------------------------------------------------

    def frozen(self) -> None:
        """Weights and statistics of a frozen graph are those that inference reads."""
        captured = {id(outer) for outer, _ in concrete(self.case.model).graph.captures}
        used = [
            one
            for one in self.live.variables.values()
            if id((one.live.value if self.live.three else one.live).handle) in captured
            and one.values.size
        ]
        tensors = {t.name: t for t in self.artifact.tensors}
        left = {id(one): one for one in used if one.role in _COUNTED}
        total = 0
        for name, array in self.values.items():
            verdict, tensor = self.verdicts[name], tensors[name]
            if array is None or not array.size:
                continue
            if verdict.role in _COUNTED and not self.is_normalization(tensor):
                total += array.size
            candidates = [
                one
                for one in self.live.by_content.get(_key(array), [])
                if id(one) in {id(u) for u in used}
            ]
            where = f"{name} {array.shape} {array.dtype} ({verdict.role} by {verdict.rule})"
            where += f" read by {[(use.op, use.input) for use in tensor.uses[:3]]}"
            if not candidates:
                if verdict.role in _COUNTED and not self.is_normalization(tensor):
                    self.found.append(f"constant: {where} is no variable")
                continue
            for one in candidates:
                left.pop(id(one), None)
            roles = {one.role for one in candidates}
            if Role.QUANT_PARAM in roles:
                roles.add(Role.CONSTANT)  # float8: scales and histories that nothing tells by
            if verdict.role not in roles | {Role.ALIAS}:
                self.found.append(f"role: {where} should be {sorted(roles)}: {_say(candidates)}")
        self.found += [f"not in the graph: {_say([one])} {one.live.name}" for one in left.values()]
        self.check("elements", total, sum(one.values.size for one in used if one.role in _COUNTED))

    def is_normalization(self, tensor: Tensor) -> bool:
        """Normalization calls with a copy of its statistics, taken when it was adapted."""
        layers = self.case.keras.layers
        names = {
            one.name
            for one in self.case.model._flatten_layers()
            if isinstance(one, layers.Normalization)
        }
        return any(f"/{name}" in f"/{tensor.layer}" for name in names)


def _payload(tensor: Tensor) -> Any:
    if tensor.payload is None or tensor.shape is None:
        return None
    blocks = [np.array(block) for block in tensor.payload.blocks(1 << 20)]
    return (np.concatenate(blocks) if blocks else np.zeros(0, tensor.dtype)).reshape(tensor.shape)
