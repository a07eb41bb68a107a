"""What live Keras says of a random model, and every way in which a file's reading can differ.

Each live variable gets values of its own, so that a stored array tells which variable it is. Where
two variables hold the same by chance (small integers), either is right.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inspector.classify import classify
from inspector.count import count
from inspector.keras.specs import layers_of
from inspector.limits import DEFAULT
from inspector.measure import measure_all
from inspector.model import Naming, Role, Section, Tensor
from inspector.read import read
from inspector.ties import find_ties

SUFFIXES3 = (".keras", ".weights.h5", ".h5", "npz", "shards")
SUFFIXES2 = (".keras", ".weights.h5", ".h5", "weights-only.h5", "npz")

_STATISTICS = {
    "BatchNormalization": {
        *("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"),
    },
    "Normalization": {"mean", "variance", "count"},
    "SpectralNormalization": {"vector_u", "sn_u"},
}
_QUANTIZED3 = re.compile(r"(_scale|_zero|_amax_history)$|^g_idx$")


@dataclass
class Variable:
    """A live variable: whose it is, what it holds, and the role that its owner gives it."""

    live: Any
    owners: set[tuple[str, str]] = field(default_factory=set)  # (layer path, variable name)
    classes: set[str] = field(default_factory=set)
    role: Role = Role.WEIGHT
    values: Any = None


class Live:
    """The model that was saved, its variables filled anew."""

    def __init__(self, case: Any) -> None:
        self.case = case
        self.three = case.kind.startswith("keras3")
        self.variables: dict[int, Variable] = {}
        self._walk(case.model, "", set())
        self._wrapped()
        self._fill(np.random.default_rng(case.seed))
        self.by_content: dict[tuple[Any, ...], list[Variable]] = {}
        self.by_bytes: dict[bytes, list[Variable]] = {}
        for one in self.variables.values():
            self.by_content.setdefault(_key(one.values), []).append(one)
            if one.values.dtype.name == "bfloat16":  # plain HDF5 has two opaque bytes a value
                self.by_bytes.setdefault(one.values.tobytes(), []).append(one)
        self.slots = dict(self._optimizer(np.random.default_rng(case.seed + 1)))

    def _walk(self, layer: Any, path: str, above: set[int]) -> None:
        if id(layer) in above:
            return
        names = ("_trainable_variables", "_non_trainable_variables")
        if not self.three:
            names = ("_trainable_weights", "_non_trainable_weights")
        own = [v for name in names for v in getattr(layer, name)]
        if self.three:
            own += [g.state for g in getattr(layer, "_seed_generators", ())]
        for variable in own:
            one = self.variables.setdefault(id(variable), Variable(variable))
            name = variable.name.split(":")[0]
            one.owners |= {(path, name), (path, name.rpartition("/")[2])}
            one.classes.add(type(layer).__name__)
            one.role = _role(type(layer).__name__, name.rpartition("/")[2], one.role, self.three)
        for inner in layer._flatten_layers(recursive=False, include_self=False):
            self._walk(inner, f"{path}/{inner.name}".lstrip("/"), above | {id(layer)})

    def _wrapped(self) -> None:
        """Roles of what tfmot's wrappers own, told by identity."""

        def says(variable: Any, role: Role) -> None:
            if id(variable) in self.variables:
                self.variables[id(variable)].role = role

        for layer in [] if self.three else self.case.model._flatten_layers():
            kind = type(layer).__name__
            if kind == "PruneLowMagnitude":
                says(layer.pruning_step, Role.PRUNING_STEP)
                for _, mask, threshold in layer.pruning_vars:
                    says(mask, Role.MASK)
                    says(threshold, Role.THRESHOLD)
            elif kind.startswith("ClusterWeights"):
                for name, centroids in layer.cluster_centroids.items():
                    says(centroids, Role.CENTROIDS)
                    says(layer.pulling_indices[name], Role.CLUSTER_INDICES)
            elif kind.startswith("Quantize") and kind != "QuantizeAnnotate":
                inner = {id(v) for v in layer.layer.weights} if hasattr(layer, "layer") else set()
                for variable in layer.weights:
                    name = variable.name.split(":")[0].rpartition("/")[2]
                    if id(variable) in inner:
                        continue
                    if name == "optimizer_step":
                        says(variable, Role.QUANT_STEP)
                    elif name.endswith(("_min", "_max")):
                        says(variable, Role.QUANT_PARAM)
                    elif name.startswith("cluster_centroids"):
                        says(variable, Role.CENTROIDS)
                    elif name.startswith("pulling_indices"):
                        says(variable, Role.CLUSTER_INDICES)
                    elif name.startswith("ori_weights"):
                        says(variable, Role.CLUSTER_ORIGINAL)

    def _fill(self, rng: np.random.Generator) -> None:
        for one in self.variables.values():
            values = _values(one.live)
            if one.role is Role.CLUSTER_INDICES:
                fresh = rng.integers(0, 2, values.shape)
            elif one.live.name.split(":")[0].rpartition("/")[2] == "g_idx":
                fresh = values
            elif one.live.name == "kernel_zero":
                fresh = np.zeros(values.shape)  # where zero lies in the stored values
            else:
                fresh = _random(rng, values)
            with contextlib.suppress(NotImplementedError):
                one.live.assign(fresh.astype(values.dtype))
            one.values = _values(one.live)

    def _optimizer(self, rng: np.random.Generator) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
        """Content of each slot -> the variables that it may serve."""
        optimizer = self.case.model.optimizer if self.case.trained else None
        if optimizer is None:
            return
        variables = optimizer.variables
        for variable in variables() if callable(variables) else variables:
            values = _values(variable)
            if values.ndim and np.issubdtype(values.dtype, np.floating):
                variable.assign(_random(rng, values).astype(values.dtype))
        found: dict[tuple[Any, ...], list[Any]] = {}
        for one in _optimizers(optimizer):
            for slot, owner in _slots(one, self.three, list(self.case.model.trainable_variables)):
                if np.ndim(_values(slot)):
                    found.setdefault(_key(_values(slot)), []).append(owner)
        yield from found.items()


def _optimizers(optimizer: Any) -> Iterator[Any]:
    yield optimizer
    for name in ("inner_optimizer", "_optimizer"):
        inner = getattr(optimizer, name, None)
        if inner is not None and inner is not optimizer and hasattr(inner, "get_config"):
            yield inner
            return


def _slots(optimizer: Any, three: bool, variables: list[Any]) -> Iterator[tuple[Any, Any]]:
    if hasattr(optimizer, "_slots") and hasattr(optimizer, "get_slot_names"):
        for variable in variables:
            for name in optimizer.get_slot_names():
                with contextlib.suppress(KeyError):
                    yield optimizer.get_slot(variable, name), variable
        return
    if three:
        variables = list(getattr(optimizer, "_trainable_variables", variables))
    for held in vars(optimizer).values():
        lists = [held] if isinstance(held, (list, tuple)) else []
        for one in lists:
            if len(one) != len(variables) or one is variables:
                continue
            for slot, variable in zip(one, variables, strict=True):
                if hasattr(slot, "assign") and slot is not variable:
                    yield slot, variable


def _role(class_name: str, name: str, before: Role, three: bool) -> Role:
    if name in _STATISTICS.get(class_name, ()):
        return Role.STATISTIC
    if name.startswith("seed_generator"):
        return Role.COUNTER
    if (
        three
        and class_name in (*("Dense", "EinsumDense", "Embedding", "ReversibleEmbedding"),)
        and _QUANTIZED3.search(name)
    ):
        return Role.QUANT_PARAM
    return before


def _values(variable: Any) -> Any:
    value = variable.numpy() if hasattr(variable, "numpy") else variable.value.numpy()
    return np.asarray(value)


def _random(rng: np.random.Generator, like: Any) -> Any:
    if like.dtype == bool:
        return rng.integers(0, 2, like.shape)
    if np.issubdtype(like.dtype, np.integer):
        top = 100 if like.dtype.itemsize == 1 else 2**31 - 1
        return rng.integers(0, top, like.shape)
    fresh = rng.normal(size=like.shape)
    if like.size >= 6:
        fresh = np.where(rng.random(like.shape) < 0.3, 0.0, fresh)
    return fresh


def _key(values: Any) -> tuple[Any, ...]:
    return (values.shape, str(values.dtype), values.tobytes())


# --- saving and loading ------------------------------------------------------------------------


def save(case: Any, suffix: str, folder: str) -> str:
    """Write the model. Raises what Keras raises where it cannot."""
    model, path = case.model, os.path.join(folder, f"model{suffix}")
    three = case.kind.startswith("keras3")
    if suffix in (".keras", ".h5"):
        model.save(path)
    elif suffix == ".weights.h5":
        model.save_weights(path)
    elif suffix == "weights-only.h5":
        path = os.path.join(folder, "only.h5")
        model.save_weights(path)
    elif suffix == "shards":
        path = os.path.join(folder, "model.weights.json")
        model.save_weights(path, max_shard_size=2e-6)
    else:
        path = os.path.join(folder, "npz.keras")
        if three:
            from keras.src.saving import saving_lib
        else:
            from tf_keras.src.saving import saving_lib
        saving_lib.save_model(model, path, weights_format="npz")
    return path


@contextlib.contextmanager
def scopes(toolkit: Any) -> Iterator[None]:
    with (
        toolkit.sparsity.keras.prune_scope(),
        toolkit.clustering.keras.cluster_scope(),
        toolkit.quantization.keras.quantize_scope(),
    ):
        yield


def load(case: Any, path: str, toolkit: Any) -> Any:
    """The live model of a file that has a config."""
    if case.kind.startswith("keras3"):
        return case.keras.models.load_model(path, compile=False)
    with scopes(toolkit):
        return case.keras.models.load_model(path, compile=False)


def elements(variables: Any) -> int:
    return sum(
        int(np.prod(v.shape, dtype=np.int64)) for v in {id(v): v for v in variables}.values()
    )


def stripped(model: Any, toolkit: Any) -> int:
    """count_params once tfmot's wrappers are gone."""
    model = toolkit.sparsity.keras.strip_pruning(model)
    model = toolkit.clustering.keras.strip_clustering(model)
    return int(model.count_params())


def stored_elements(path: str) -> int:
    """Elements of every array that h5py or NumPy finds."""
    import h5py

    def of_h5(file: Any) -> int:
        sizes: list[int] = []
        with h5py.File(file, "r") as opened:
            opened.visititems(
                lambda _, node: sizes.append(node.size) if isinstance(node, h5py.Dataset) else None
            )
        return sum(sizes)

    if path.endswith(".weights.json"):
        folder = os.path.dirname(path)
        return sum(
            of_h5(os.path.join(folder, name))
            for name in os.listdir(folder)
            if re.fullmatch(r"model_\d{5}\.weights\.h5", name)
        )
    if not path.endswith(".keras"):
        return of_h5(path)
    with zipfile.ZipFile(path) as archive:
        if "model.weights.h5" in archive.namelist():
            return of_h5(io.BytesIO(archive.read("model.weights.h5")))
        with np.load(io.BytesIO(archive.read("model.weights.npz")), allow_pickle=True) as held:
            return sum(
                np.asarray(value).size
                for name in held.files
                for value in held[name].item().values()
            )


# --- the comparison ----------------------------------------------------------------------------


def differences(
    case: Any, live: Live, path: str, suffix: str, toolkit: Any
) -> tuple[list[str], str]:
    """(how our reading differs from live Keras, why a comparison was left out or "")."""
    found: list[str] = []
    with read(path, DEFAULT) as opened:
        artifact = opened.artifact
        verdicts = classify(artifact).verdicts
        measured, unread = measure_all(artifact.tensors, DEFAULT, threads=1)
        ties = find_ties(artifact, verdicts, measured)
        counted = count(artifact, verdicts, measured, ties)
        values = {t.name: _payload(t) for t in artifact.tensors}
    totals, skipped = counted.totals, ""
    with_config = suffix in (".keras", ".h5", "npz")

    def check(label: str, ours: Any, theirs: Any) -> None:
        if ours != theirs:
            found.append(f"{label}: ours {ours!r}, live {theirs!r}")

    _bytes(artifact, path, check)
    check(
        "stored_elements",
        sum(t.elements if t.keras_elements is None else t.keras_elements for t in artifact.tensors),
        stored_elements(path),
    )
    unknown = [t.name for t in artifact.tensors if verdicts[t.name].role is Role.UNKNOWN]
    check("unknown", unknown, [])
    check("unread", sorted(unread), [])
    check("problems", [p.code for p in artifact.problems if p.severity == "error"], [])
    flags_kept = _tells_optimizer(path)
    loaded = None
    if with_config and case.described:
        try:
            # Keras cannot load its own npz; the `.keras` beside it has the same config.
            whole = os.path.join(os.path.dirname(path), "model.keras") if suffix == "npz" else path
            loaded = load(case, whole, toolkit)
        except Exception as error:  # noqa: BLE001  (Keras fails in many ways on its own files)
            skipped = f"load: {type(error).__name__}: {str(error)[:80]!r}"
        # A flag that no config keeps changes which variables the optimizer would have slots for.
        flags_kept = (
            flags_kept
            and loaded is not None
            and len(loaded.trainable_variables) == len(case.model.trainable_variables)
        )
    _tensors(case, live, artifact, verdicts, values, with_config, flags_kept, found)
    if not case.described:
        skipped = "subclassed"
        if totals.count_params is not None and not with_config:
            check("count_params", totals.count_params, case.model.count_params())
    elif not with_config:
        loaded = case.model
        lora = any("lora" in note for note in case.notes)
        each = sum(int(layer.count_params()) for layer in case.model.layers)
        if totals.count_params is not None:
            # Without a config nothing says that loading makes LoRA's matrices, nor that a layer is
            # shared with a wrapper, which a legacy file has in both places.
            if not lora and totals.count_params != each:
                check("count_params", totals.count_params, loaded.count_params())
        elif ties and each != loaded.count_params():
            pass  # a layer that is shared with a wrapper: its equal values are seen
        elif artifact.tensors:  # a file without any may be of a model that was never built
            found.append(f"count_params None: {counted.reasons.get('count_params')}")
    else:
        if loaded is None:
            return found, skipped
        check("count_params", totals.count_params, loaded.count_params())
        check("trainable", totals.trainable, elements(loaded.trainable_weights))
        check("non_trainable", totals.non_trainable, elements(loaded.non_trainable_weights))
        # Saving merges LoRA's matrices into the kernel, which moves its zeros; and a layer shared
        # with a wrapper is two layers once a legacy file is loaded.
        apart = loaded.count_params() != case.model.count_params()
        if not apart and not any("lora" in note for note in case.notes):
            check("nonzero", totals.nonzero, _nonzero(live, artifact, verdicts, values))
        rows = [row.count_params for row in counted.layers]
        check("rows", sum(n or 0 for n in rows), totals.count_params)
        if case.kind.startswith("tfmot"):
            try:
                check("after_strip", totals.after_strip, stripped(loaded, toolkit))
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                skipped = f"strip: {type(error).__name__}: {str(error)[:60]!r}"
    return found, skipped


def _tells_optimizer(path: str) -> bool:
    """Whether the file says which optimizer its state is of."""
    import json

    import h5py

    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            compiled = json.loads(archive.read("config.json")).get("compile_config") or {}
            return "optimizer" in compiled
    if path.endswith(".json"):
        return False
    with h5py.File(path, "r") as file:
        return "training_config" in file.attrs


def _payload(tensor: Tensor) -> Any:
    if tensor.payload is None or tensor.shape is None:
        return None
    blocks = [np.array(block) for block in tensor.payload.blocks(1 << 20)]
    return (np.concatenate(blocks) if blocks else np.zeros(0)).reshape(tensor.shape)


def _bytes(artifact: Any, path: str, check: Any) -> None:
    size = sum(
        os.path.getsize(os.path.join(os.path.dirname(path), os.path.basename(one.path)))
        for one in artifact.files
    )
    extents = {(e.file, e.offset): e.length for t in artifact.tensors for e in t.extents}
    check("nbytes", artifact.nbytes, size)
    check("bytes", sum(extents.values()) + sum(artifact.overhead.values()), artifact.nbytes)


def _nonzero(live: Live, artifact: Any, verdicts: Any, values: Any) -> int:
    """Non-zero elements of live weights, each variable once (int4: of the unpacked values)."""
    packed = {t.name for t in artifact.tensors if t.keras_elements is not None}
    total = sum(
        int(np.count_nonzero(values[name])) for name in packed if verdicts[name].role is Role.WEIGHT
    )
    names = {(t.layer, t.variable) for t in artifact.tensors if t.keras_elements is not None}
    return total + sum(
        int(np.count_nonzero(np.asarray(one.values, dtype=np.float64)))
        for one in live.variables.values()
        if one.role is Role.WEIGHT and not one.owners & names
    )


def _tensors(
    case: Any,
    live: Live,
    artifact: Any,
    verdicts: Any,
    values: Any,
    with_config: bool,
    flags_kept: bool,
    found: list[str],
) -> None:
    layers = layers_of(artifact.model, artifact.guessed)
    for tensor in artifact.tensors:
        verdict, array = verdicts[tensor.name], values[tensor.name]
        where = f"{tensor.name} ({tensor.layer!r}, {tensor.variable!r}, {verdict.role})"
        if verdict.alias_of is not None:
            other = values.get(verdict.alias_of)
            if array is None or other is None or _key(array) != _key(other):
                found.append(f"alias: {where} is not {verdict.alias_of}")
        if tensor.section is Section.OPTIMIZER:
            strict = with_config and case.described and flags_kept
            _slot(live, tensor, verdict, array, values, strict, found)
            continue
        if tensor.section is not Section.MODEL or tensor.keras_elements is not None:
            continue
        if array is None:
            found.append(f"no values: {where}")
            continue
        candidates = live.by_content.get(_key(array)) or live.by_bytes.get(array.tobytes())
        if candidates is None:
            if not (tensor.variable or "").startswith(("kernel", "embeddings")) or not any(
                "lora" in note for note in case.notes
            ):
                found.append(f"no live variable holds: {where}")
            continue
        roles = {one.role for one in candidates}
        # Nothing tells the class of an attribute's object in a subclassed model.
        owner = layers.get(tensor.layer or "")
        open_ = not case.described and (owner is None or not owner.class_name)
        if open_ and Role.STATISTIC in roles:
            roles.add(Role.WEIGHT)
        if verdict.role is not Role.ALIAS and verdict.role not in roles:
            found.append(f"role: {where} should be {sorted(roles)}; live {_say(candidates)}")
        if not case.described:
            continue
        name = tensor.variable or ""
        if with_config:
            path = re.sub(r"#\d+", "", tensor.layer or "")
            if verdict.role is Role.ALIAS:
                owned = any(n == name for one in candidates for _, n in one.owners)
            else:
                # tfmot's wrappers may keep a variable of the layer inside.
                near = case.kind.startswith("tfmot")
                owned = any(
                    (p == path or (near and path.startswith(f"{p}/"))) and _same_name(n, name)
                    for one in candidates
                    for p, n in one.owners
                )
            if not owned:
                found.append(f"place: {where} is live {_say(candidates)}")
        elif tensor.naming is not Naming.NONE and name:
            if not any(_same_name(n, name) for one in candidates for _, n in one.owners):
                found.append(f"name: {where} is live {_say(candidates)}")
            layer = layers.get(tensor.layer or "")
            if (
                layer is not None
                and layer.class_name
                and not layer.is_model
                and verdict.role is not Role.ALIAS
                and not any(layer.class_name in one.classes for one in candidates)
            ):
                found.append(f"class: {where} is {layer.class_name}; live {_say(candidates)}")


def _same_name(live: str, ours: str) -> bool:
    # A wrapper's list has an inner variable under its live name, "layer/kernel" or plain.
    return live == ours or live.endswith(f"/{ours}") or re.sub(r"_\d+$", "", live) == ours


def _say(candidates: list[Variable]) -> str:
    return "; ".join(
        f"{one.role} {sorted(one.owners)[:2]} {sorted(one.classes)}" for one in candidates[:2]
    )


def _slot(
    live: Live,
    tensor: Tensor,
    verdict: Any,
    array: Any,
    values: Any,
    strict: bool,
    found: list[str],
) -> None:
    if array is None or not array.ndim or verdict.role is Role.ALIAS:
        return
    owners = live.slots.get(_key(array))
    if owners is None:
        return
    # Without a config a slot of one value looks like a value about the whole run.
    if verdict.role is not Role.OPTIMIZER_SLOT and (strict or array.size > 1):
        found.append(f"slot role: {tensor.name} is {verdict.role}")
    served = verdict.about or tensor.slot_of
    if served is None:
        if strict:
            found.append(f"slot of none: {tensor.name} ({tensor.variable!r})")
        return
    held = values.get(served)
    if held is None:
        if strict and "lora" not in served:
            found.append(f"slot of no tensor: {tensor.name} of {served!r}")
        return
    if all(_key(_values(owner)) != _key(held) for owner in owners):
        found.append(f"slot: {tensor.name} ({tensor.variable!r}) serves {served}, live another")
