"""Every optimizer class of Keras 3 and tf_keras, trained one step and saved, against the tables."""

from __future__ import annotations

import inspect
import io
import itertools
import json
import zipfile

import pytest

from inspector.keras.optimizer_tables import KERAS3, LEGACY, LOSS_SCALE, MULTI, TF_KERAS
from inspector.keras.optimizers import by_name, by_shapes, expected, fitting, optimizer_of
from inspector.model import Flavor, Role

pytestmark = pytest.mark.live
pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

import h5py  # noqa: E402
import numpy as np  # noqa: E402

SCHEDULE = "schedule"
OPTIONS: dict[str, list[dict]] = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}],
    "Adam": [{"amsgrad": True}, {"weight_decay": 0.1}],
    "AdamW": [{"amsgrad": True}],
    "Muon": [{"exclude_layers": ["first"]}, {"exclude_embeddings": False}],
    "Adafactor": [{"relative_step": False}],
}
SHARED = {
    "keras": [
        {},
        {"use_ema": True},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "gradient_accumulation_steps": 2, "learning_rate": SCHEDULE},
        {"learning_rate": SCHEDULE},
    ],
    "tf_keras": [{}, {"use_ema": True}, {"learning_rate": SCHEDULE}, {"jit_compile": True}],
    "legacy": [{}, {"learning_rate": SCHEDULE}],
}
LINES = {"keras": keras, "tf_keras": tf_keras, "legacy": tf_keras}
TABLES = {"keras": KERAS3, "tf_keras": TF_KERAS, "legacy": LEGACY}
WRAPPERS = LOSS_SCALE | {MULTI, "OptimizerMap", "Optimizer"}


def module_of(line):
    return {
        "keras": keras.optimizers,
        "tf_keras": tf_keras.optimizers,
        "legacy": tf_keras.optimizers.legacy,
    }[line]


def classes_of(line):
    members = inspect.getmembers(module_of(line), inspect.isclass)
    return [name for name, _ in members if name not in WRAPPERS]


def cases():
    for line, shared in SHARED.items():
        for name in classes_of(line):
            accepted = set(inspect.signature(getattr(module_of(line), name)).parameters)
            extra = [o for o in OPTIONS.get(name, []) if line != "legacy" or set(o) <= accepted]
            for options, wrapped in itertools.product(shared + extra, (False, True)):
                if wrapped and options not in shared[:2]:
                    continue
                if line == "legacy" and name == "Nadam" and "learning_rate" in options:
                    continue  # it takes no schedule
                label = ",".join(f"{k}={v}" for k, v in options.items()) or "plain"
                yield pytest.param(
                    line, name, options, wrapped, id=f"{line}-{name}-{label}" + "-scaled" * wrapped
                )


def make(line, name, options, wrapped):
    module = module_of(line)
    options = dict(options)
    if options.get("learning_rate") == SCHEDULE:
        schedules = LINES[line].optimizers.schedules
        options["learning_rate"] = schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = getattr(module, name)(**options)
    if wrapped:
        wrapper = (
            keras.optimizers.LossScaleOptimizer
            if line == "keras"
            else tf_keras.mixed_precision.LossScaleOptimizer
        )
        optimizer = wrapper(optimizer)
    return optimizer


def model_of(line):
    k = LINES[line]
    k.backend.clear_session()
    ids = k.layers.Input((3,), dtype="int32")
    x = k.layers.Embedding(6, 2, name="embedding")(ids)
    x = k.layers.Flatten()(x)
    x = k.layers.Dense(4, name="first")(x)
    frozen = k.layers.Dense(4, name="frozen")
    frozen.trainable = False
    x = frozen(x)
    return k.Model(ids, k.layers.Dense(2, name="last")(x))


def train(model, optimizer):
    model.compile(optimizer, "mse", run_eagerly=True, jit_compile=False)
    model.train_on_batch(np.zeros((2, 3), "int32"), np.ones((2, 2), "float32"))
    return model


def v3_store(path):
    """Shapes of optimizer/vars in order, and the compile config."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json")).get("compile_config")
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            group = file.get("optimizer/vars", {})
            return [group[str(i)].shape for i in range(len(group))], config


def h5_store(path):
    """(name, shape) in the order of weight_names, and the training config."""
    with h5py.File(path) as file:
        group = file["optimizer_weights"]
        stored = [(name, group[name].shape) for name in group.attrs["weight_names"]]
        return stored, json.loads(file.attrs["training_config"])


def stored_name(line, variable, target):
    """What Keras calls the slot `variable` of the trainable variable `target`."""
    if line == "keras":
        return f"{target.path.replace('/', '_')}_{variable.name}"
    own = target.name.removesuffix(":0")
    return f"{variable.name}/{own}:0" if line == "tf_keras" else f"{own}/{variable.name}:0"


@pytest.mark.parametrize("line", SHARED)
def test_every_optimizer_class_of_the_installed_keras_is_in_the_tables(line):
    assert set(classes_of(line)) <= set(TABLES[line])


@pytest.mark.parametrize(("line", "name", "options", "wrapped"), list(cases()))
def test_the_variables_are_those_that_keras_saves(line, name, options, wrapped, tmp_path):
    flavor = Flavor.KERAS3 if line == "keras" else Flavor.TF_KERAS
    model = train(model_of(line), make(line, name, options, wrapped))
    targets = model.trainable_variables
    shapes = [tuple(v.shape) for v in targets]
    names = [v.path if line == "keras" else v.name for v in targets]
    assert len(targets) == 5

    model.save(tmp_path / "m.keras")
    v3_shapes, compile_config = v3_store(tmp_path / "m.keras")
    class_name, config = optimizer_of(compile_config)
    table = expected(class_name, config, flavor, shapes, names=names)
    assert table is not None
    if line == "legacy":
        assert v3_shapes == []
    else:
        assert v3_shapes == [v.shape for v in table]
        assert fitting(v3_shapes, class_name, config, flavor, shapes, names=names) == table
        guessed = by_shapes(v3_shapes, shapes, flavor, names)
        if guessed is None:  # which layers Muon leaves out is said by the config alone
            assert "exclude_layers" in options
            guessed = table
        for guess, truth in zip(guessed, table, strict=True):
            assert guess.role is truth.role
            assert guess.slot_of in {None, truth.slot_of}
            assert guess.name == truth.name or guess.name.startswith(("slot", "state"))

    if line == "keras" and name == "Adafactor":
        return  # Keras 3 cannot save it to .h5: two variables of one name
    model.save(tmp_path / "m.h5")
    stored, training_config = h5_store(tmp_path / "m.h5")
    class_name, config = optimizer_of(training_config)
    assert expected(class_name, config, flavor, shapes, names=names) == table
    assert [shape for _, shape in stored] == [v.shape for v in table]
    for (stored_as, shape), variable in zip(stored, table, strict=True):
        last = stored_as.rsplit("/", 1)[-1].removesuffix(":0")
        if variable.slot_of is None:
            assert variable.role is Role.OPTIMIZER_STATE
            assert last == {"u_product": "variable"}.get(variable.name, variable.name)
        else:
            assert variable.role is Role.OPTIMIZER_SLOT
            assert stored_as.endswith(stored_name(line, variable, targets[variable.slot_of]))
        assert by_name(stored_as, shape, list(zip(names, shapes, strict=True))) == variable


@pytest.mark.parametrize("line", SHARED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_optimizer_that_never_stepped_keeps_its_scalars_only(line, wrapped, tmp_path):
    flavor = Flavor.KERAS3 if line == "keras" else Flavor.TF_KERAS
    model = model_of(line)
    model.compile(make(line, "Adam", {}, wrapped), "mse")
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        if "optimizer_weights" not in file:
            assert line == "legacy"
            return
    stored, training_config = h5_store(tmp_path / "m.h5")
    class_name, config = optimizer_of(training_config)
    found = [shape for _, shape in stored]
    variables = expected(class_name, config, flavor, shapes, built=False)
    assert [v.shape for v in variables] == found
    assert fitting(found, class_name, config, flavor, shapes) == variables


def test_multi_optimizer_keeps_each_inner_ones_variables_in_turn(tmp_path):
    k = keras.optimizers
    mapping = k.OptimizerMap(k.SGD(momentum=0.9), {"first/.*": k.Adam(), "last/bias": k.Lion()})
    model = train(model_of("keras"), k.MultiOptimizer(mapping))
    targets = model.trainable_variables
    shapes, names = [tuple(v.shape) for v in targets], [v.path for v in targets]
    model.save(tmp_path / "m.h5")
    stored, training_config = h5_store(tmp_path / "m.h5")
    table = expected(*optimizer_of(training_config), Flavor.KERAS3, shapes, names=names)
    assert [shape for _, shape in stored] == [v.shape for v in table]
    for (stored_as, _), variable in zip(stored, table, strict=True):
        owner = targets[variable.slot_of] if variable.slot_of is not None else None
        end = variable.name if owner is None else stored_name("keras", variable, owner)
        assert stored_as.endswith(end)
    model.save(tmp_path / "m.keras")
    assert v3_store(tmp_path / "m.keras")[0] == [v.shape for v in table]


def test_float8_scales_get_no_slots(tmp_path):
    model = model_of("keras")
    model.get_layer("first").quantize("float8")
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    targets = model.trainable_variables
    assert any("amax_history" in v.path for v in targets)
    shapes, names = [tuple(v.shape) for v in targets], [v.path for v in targets]
    model.save(tmp_path / "m.keras")
    stored, compile_config = v3_store(tmp_path / "m.keras")
    table = expected(*optimizer_of(compile_config), Flavor.KERAS3, shapes, names=names)
    assert [v.shape for v in table] == stored


ADAM_OPTIONS = [("Adam", {}), ("Adam", {"amsgrad": True})]
OTHERS = [(name, {}) for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam")]


@pytest.mark.parametrize(("name", "options"), ADAM_OPTIONS + OTHERS)
def test_the_optimizers_of_tensorflow_1_keep_what_their_own_code_says(name, options):
    from tf_keras.src.optimizers import optimizer_v1

    optimizer = getattr(optimizer_v1, name)(**options)
    own = [(5, 4), (4,)]
    optimizer._create_all_weights([tf_keras.backend.zeros(shape) for shape in own])
    found = [tuple(w.shape) for w in optimizer.weights]
    table = fitting(found, name, optimizer.get_config(), Flavor.TF_KERAS, own)
    assert table is not None
    assert [v.shape for v in table] == found
