"""A random model saved twice with one known edit between, and what a difference says of the two.

Each edit tells what has to be found: which pairs changed and how, by how much as numpy has it, and
which facts count. All else has to be the same. A seed always gives the same two files.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import random_oracle
import random_pruned
import random_tensorflow
from random_models import _Builder
from random_training import Case, train

from inspector.model import Group

# Formats by the Keras that writes them, those that hold a config of the model first.
DESCRIBED = {True: (".keras", ".h5", "npz"), False: (".keras", ".h5", "npz", "saved, no traces")}
BARE = {True: (".weights.h5", "shards"), False: (".weights.h5", "weights-only.h5", "checkpoint")}
_AS_IT_IS: Mapping[str, str] = {}


@dataclass
class Expected:
    """What has to be found, and nothing else.

    changes: kinds of change -> pairs of weights that have them. gone: elements of weights that only
    A has -> how many such; come: B. groups: of other tensors that may differ (a SavedModel keeps
    the names of its variables in constants). facts: patterns of "part what", each of which is found
    where both files have a config. more: such as may be found.
    before, after: the values of the one weight whose numbers are held against numpy's.
    """

    note: str = "nothing"
    changes: Counter[frozenset[str]] = field(default_factory=Counter)
    gone: Counter[int] = field(default_factory=Counter)
    come: Counter[int] = field(default_factory=Counter)
    groups: tuple[Group, ...] = ()
    facts: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    before: Any = None
    after: Any = None


Edit = Callable[[Case, random.Random], "Expected | None"]


# --- models ------------------------------------------------------------------------------------


def make(seed: int, keras: Any, kind: str) -> Case:
    """A random model, each of its weights with values of its own. Raises what Keras raises."""
    builder = _Builder(random.Random(seed), keras, kind)
    builder.limit = min(builder.limit, 5)
    model, described = builder.model()
    case = Case(seed, kind, keras, model, described=described, notes=builder.notes)
    random_pruned.fill(model, np.random.default_rng(seed)) if kind == "tf_keras" else _fill(case)
    return case


def _fill(case: Case) -> None:
    rng = np.random.default_rng(case.seed)
    for variable in case.model.weights:
        if "float" in str(variable.dtype):
            fresh = rng.normal(size=variable.shape)
            fresh = np.abs(fresh) + 0.5 if "variance" in variable.name else fresh
            variable.assign(fresh.astype("float32"))


def save(case: Case, form: str, folder: str) -> str:
    """Write the model, with its optimizer where it has one. Raises what Keras raises."""
    os.makedirs(folder, exist_ok=True)
    three = case.kind == "keras3"
    of_keras = form in random_oracle.SUFFIXES3 if three else form in random_oracle.SUFFIXES2
    return (random_oracle if of_keras else random_tensorflow).save(case, form, folder)


def _floats(case: Case) -> list[Any]:
    """Weights that can be told by their values: of floats, and of elements."""
    return [
        one
        for one in case.model.weights
        if str(random_oracle._values(one).dtype) in ("float32", "float64") and np.prod(one.shape)
    ]


def _layers(case: Case) -> list[Any]:
    """Layers right in a model that have weights, and no name that something else has."""
    model = case.model
    if not case.described:
        return []
    text = json.dumps(model.get_config(), default=str)
    often = Counter(
        json.loads(f'"{name}"') for name in re.findall(r'"name": "((?:[^"\\]|\\.)*)"', text)
    )
    return [one for one in model.layers if one.weights and often[one.name] <= 1]


def _rebuilt(
    case: Case,
    config: Mapping[str, Any],
    renamed: Mapping[str, str] = _AS_IT_IS,
    added: Sequence[str] = (),
) -> None:
    """The model of another config, with the values of the weights that fit.

    Raises ValueError where a config does not tell of layers that are in two places.
    """
    old = case.model
    case.model = type(old).from_config(config)
    more = sum(len(case.model.get_layer(name).weights) for name in added)
    if len(case.model.weights) != len(old.weights) + more:
        raise ValueError("layers were shared, and are not any more")
    _filled_like(case.model, old, renamed)


def _filled_like(model: Any, old: Any, renamed: Mapping[str, str] = _AS_IT_IS) -> None:
    """Layer by layer: a model may list those of a nested one in another order once rebuilt."""
    layers = {one.name: one for one in model.layers}
    for before in old.layers:
        after = layers[renamed.get(before.name, before.name)]
        if hasattr(before, "layers"):
            _filled_like(after, before)
            continue
        for one, value in zip(after.weights, before.weights, strict=True):
            if tuple(one.shape) == tuple(value.shape):
                one.assign(value)


def _config(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(case.model.get_config()))
    return found


def _place(config: dict[str, Any], layer: Any) -> dict[str, Any]:
    """The settings of a layer in the config of its model."""
    rows = [row["config"] for row in config["layers"] if row["config"].get("name") == layer.name]
    found: dict[str, Any] = rows[0]
    return found


# --- edits -------------------------------------------------------------------------------------


def _nothing(case: Case, rng: random.Random) -> Expected:
    return Expected()


def _assigned(case: Case, variable: Any, after: Any, note: str) -> Expected:
    before = np.asarray(random_oracle._values(variable))
    variable.assign(after)
    now = np.asarray(random_oracle._values(variable))
    path = getattr(variable, "path", variable.name)
    found = Expected(f"{note} {path} {before.shape}", before=before, after=now)
    found.groups = (Group.STRUCTURE,)  # copies of it
    return found if (before != now).any() else Expected()


def _some_values(case: Case, rng: random.Random) -> Expected | None:
    variables = _floats(case)
    if not variables:
        return None
    variable = rng.choice(variables)
    after = np.array(random_oracle._values(variable))
    many = rng.randint(1, after.size)
    for at in rng.sample(range(after.size), many):
        after.flat[at] += rng.choice((0.25, -0.5, 3.0, 1e-3))
    return _assigned(case, variable, after, f"{many} values of")


def _zeroed(case: Case, rng: random.Random) -> Expected | None:
    variables = _floats(case)
    if not variables:
        return None
    variable = rng.choice(variables)
    return _assigned(case, variable, np.zeros(variable.shape), "zeroed")


def _statistics(case: Case, rng: random.Random) -> Expected | None:
    found = [one for one in _floats(case) if "moving_" in one.name]
    if not found:
        return None
    variable = rng.choice(found)
    after = np.array(random_oracle._values(variable)) * 1.5
    return _assigned(case, variable, after, "statistics")


def _frozen(case: Case, rng: random.Random) -> Expected | None:
    layers = [one for one in _layers(case) if one.trainable_weights]
    if not layers:
        return None
    layer = rng.choice(layers)
    trained = len(layer.trainable_weights)
    layer.trainable = False
    return Expected(
        f"froze {layer.name}",
        Counter({frozenset({"trainable"}): trained}),
        groups=(Group.STRUCTURE,),  # copies of what was frozen
        facts=(rf"config {re.escape(layer.name)}[^ ]*\.trainable",),
    )


def _renamed(case: Case, rng: random.Random) -> Expected | None:
    layers = [one for one in _layers(case) if "/" not in one.name]
    if not layers:
        return None
    layer = rng.choice(layers)
    text = json.dumps(_config(case))
    if text.count(f'"{layer.name}"') > 12:
        return None
    changed = json.loads(text.replace(f'"{layer.name}"', '"another_name"'))
    _rebuilt(case, changed, {layer.name: "another_name"})
    return Expected(
        f"renamed {layer.name}",
        Counter({frozenset({"renamed"}): len(layer.weights)}),
        facts=(rf"layers {re.escape(layer.name)}\.name",),
        more=("signatures .*",),
    )


def _appended(case: Case, rng: random.Random) -> Expected | None:
    keras, model = case.keras, case.model
    if not case.described or "float" not in str(model.outputs[0].dtype):
        return None
    dense = keras.layers.Dense(3, name="appended")
    if isinstance(model, keras.Sequential):
        config = _config(case)
        config["layers"].append(_spelled(case, dense))
        _rebuilt(case, config, added=("appended",))
    else:
        made = [dense(model.outputs[0]), *model.outputs[1:]]
        case.model = keras.Model(model.inputs, made if len(made) > 1 else made[0], name=model.name)
    added = Counter(int(np.prod(one.shape)) for one in case.model.get_layer("appended").weights)
    return Expected(
        "appended a Dense layer",
        come=added,
        groups=(Group.STRUCTURE,),
        facts=("layers appended",),
        more=(r"config model\.outputs?.*", "signatures .*"),
    )


def _spelled(case: Case, layer: Any) -> dict[str, Any]:
    if case.kind == "keras3":
        found: dict[str, Any] = case.keras.saving.serialize_keras_object(layer)
        return found
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def _activation(case: Case, rng: random.Random) -> Expected | None:
    if not case.described:
        return None
    config = _config(case)
    layers = [
        one
        for one in _layers(case)
        if isinstance(_place(config, one).get("activation"), str) and not hasattr(one, "cell")
    ]
    if not layers:
        return None
    layer = rng.choice(layers)
    row = _place(config, layer)
    row["activation"] = "tanh" if row["activation"] != "tanh" else "relu"
    _rebuilt(case, config)
    return Expected(
        f"another activation of {layer.name}",
        facts=(rf"config {re.escape(layer.name)}\.activation",),
        more=("operators .*",),
    )


def _units(case: Case, rng: random.Random) -> Expected | None:
    keras, model = case.keras, case.model
    if not (case.described and isinstance(model, keras.Sequential)) or not model.layers:
        return None
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        return None
    config = _config(case)
    config["layers"][-1]["config"]["units"] += 1
    _rebuilt(case, config)
    return Expected(
        f"one unit more of {last.name}",
        Counter({frozenset({"reshaped"}): len(last.weights)}),
        facts=(rf"config {re.escape(last.name)}\.units",),
        more=("signatures .*",),
    )


MODEL_EDITS: tuple[Edit, ...] = (
    _nothing,
    _nothing,
    _some_values,
    _some_values,
    _zeroed,
    _statistics,
    _frozen,
    _renamed,
    _appended,
    _activation,
    _units,
)


def edited(
    case: Case, edit: Edit, forms: tuple[str, str], folder: str, rng: random.Random
) -> tuple[str, str, Expected] | None:
    """The two files, and what is to be found. Raises what Keras raises where it refuses."""
    a = save(case, forms[0], os.path.join(folder, "a"))
    expected = edit(case, rng)
    if expected is None:
        return None
    b = save(case, forms[1], os.path.join(folder, "b"))
    return a, b, expected


def _forget(case: Case) -> None:
    """The same model, never compiled."""
    _rebuilt(case, _config(case))


def optimized(
    case: Case, drops: bool, form: str, folder: str, rng: random.Random
) -> tuple[str, str, Expected] | None:
    """A trained model, and it with another learning rate, or without its optimizer."""
    if not (case.described and train(case, rng)):
        return None
    a = save(case, form, os.path.join(folder, "a"))
    config = form not in BARE[case.kind == "keras3"]
    if drops:
        _forget(case)
        fact = "training-config compiled"
    else:
        optimizer = case.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        optimizer.learning_rate = 0.375
        fact = r"training-config optimizer\.(.*\.)?learning_rate"
    case.trained = case.trained and not drops
    b = save(case, form, os.path.join(folder, "b"))
    note = "dropped the optimizer" if drops else "another learning rate"
    facts = (fact,) if config else ()
    # Without a config, nothing names what an optimizer inside another one keeps.
    groups = (Group.TRAINING, Group.STRUCTURE, *(() if config else (Group.UNKNOWN,)))
    return a, b, Expected(note, groups=groups, facts=facts)


def halved(case: Case, folder: str) -> tuple[str, str, Expected]:
    """A file, and a copy of it whose floats are of 16 bits."""
    path = save(case, ".h5", folder)
    copy = os.path.join(folder, "halved.h5")
    shutil.copy(path, copy)
    many = 0
    with h5py.File(copy, "r+") as file:
        names: list[str] = []
        file.visititems(
            lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None
        )
        for name in names:
            if file[name].dtype == np.float32:
                values = file[name][()]
                del file[name]
                file[name] = values.astype(np.float16)
                many += 1
    return path, copy, Expected("halved", Counter({frozenset({"retyped"}): many}))


def stripped(
    seed: int, keras: Any, toolkit: Any, rng: random.Random, folder: str
) -> tuple[tuple[str, str], str, str, Expected]:
    """A pruned or clustered model, and the same stripped."""
    forms = tuple(rng.choice((*DESCRIBED[False], *BARE[False])) for _ in "ab")
    if rng.random() < 0.6:
        two = random_pruned.make(seed, keras, toolkit)
        before, after, group = two.pruned, two.bare, Group.PRUNING
        changes: Counter[frozenset[str]] = Counter()
    else:
        before = make(seed, keras, "tfmot_clustered")
        if any("/" in layer.name for layer in before.model._flatten_layers()):
            raise ValueError(
                "a wrapper's name that is a path does not tell where the layer's begins"
            )
        clustering = toolkit.clustering.keras
        start = clustering.CentroidInitialization.LINEAR
        before.model = clustering.cluster_weights(
            before.model, number_of_clusters=3, cluster_centroids_init=start
        )
        bare = clustering.strip_clustering(before.model)
        after, group = Case(seed, before.kind, keras, bare), Group.CLUSTERING
        looked_up = [one for one in before.model.weights if "pulling_indices" in one.name]
        changes = Counter({frozenset({"clustered"}): len(looked_up)})
    count = after.model.count_params()  # where tfmot wraps no layer, the two are one
    paths = [
        save(case, form, os.path.join(folder, side))
        for case, form, side in zip((before, after), forms, "ab", strict=True)
    ]
    expected = Expected(
        f"stripped of {group.value}",
        changes,
        groups=(group, Group.TRAINING, Group.STRUCTURE),
        facts=(r"layers wrappers\..*",) if before.model.count_params() != count else (),
        more=(r"layers wrappers\..*", "training-config .*", "signatures .*"),
    )
    return (forms[0], forms[1]), paths[0], paths[1], expected
