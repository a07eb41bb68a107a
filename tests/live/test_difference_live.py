"""What real Keras writes of one model, and of models with one thing changed.

The oracle is Keras: two saves of one model have one config, whichever package and format wrote
them, and a model built with one other argument differs in that argument alone.
"""

from contextlib import ExitStack

import pytest

pytest.importorskip("tensorflow")

import keras
import tf_keras

from inspector.difference.configs import config_facts
from inspector.difference.training import training_facts
from inspector.pairing import pair
from tests.builders.edits import subject

pytestmark = pytest.mark.live

FLAVORS = {"tf_keras": tf_keras, "keras": keras}


def functional(package, **changed):
    """Every kind of setting: initializers, regularizers, a wrapper, a model inside, a branch."""
    given = {
        "filters": 4, "rate": 0.2, "activation": "softmax", "seed": 3, "l2": 1e-4, "side": 8,
        "name": "head", "policy": None, "pool": "GlobalAveragePooling2D", "swap": False,
        "learning_rate": 1e-3, "loss": "sparse_categorical_crossentropy", "momentum": 0.9,
        **changed,
    }  # fmt: skip
    keras_layers = package.layers
    start = package.Input((given["side"], given["side"], 3), name="image")
    x = keras_layers.Conv2D(
        given["filters"],
        3,
        activation="relu",
        kernel_regularizer=package.regularizers.L2(given["l2"]),
        dtype=given["policy"],
        name="conv",
    )(start)
    x = keras_layers.BatchNormalization(momentum=given["momentum"], name="norm")(x)
    x = keras_layers.Dropout(given["rate"], name="drop")(x)
    inner = package.Sequential(
        [
            package.Input(x.shape[1:], name="piece"),
            keras_layers.Conv2D(given["filters"], 1, name="point"),
        ],
        name="inner",
    )
    y = inner(x)
    x = keras_layers.Concatenate(name="join")([y, x] if given["swap"] else [x, y])
    x = getattr(keras_layers, given["pool"])(name="pool")(x)
    x = keras_layers.Reshape((2, given["filters"]), name="rows")(x)
    x = keras_layers.Bidirectional(keras_layers.LSTM(3, name="memory"), name="both")(x)
    initializer = package.initializers.HeNormal(seed=given["seed"])
    x = keras_layers.Dense(
        5, activation=given["activation"], kernel_initializer=initializer, name=given["name"]
    )(x)
    model = package.Model(start, x, name="made")
    optimizer = package.optimizers.Adam(given["learning_rate"])
    # By its word tf_keras would say what it is a metric of only once the model was trained.
    metric = package.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(optimizer, loss=given["loss"], metrics=[metric])
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(package, format) -> the model, with the same weights in all."""
    folder = tmp_path_factory.mktemp("saved")
    found, weights = {}, None
    for name, package in FLAVORS.items():
        model = functional(package)
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        for suffix in ("h5", "keras"):
            found[name, suffix] = str(folder / f"{name}.{suffix}")
            model.save(found[name, suffix])
        if name == "tf_keras":
            found[name, "saved"] = str(folder / name)
            model.save(found[name, "saved"], save_format="tf")
    return found


def facts(a, b):
    with ExitStack() as stack:
        one, other = subject(stack, a), subject(stack, b)
        layers = pair(one.side, other.side).layers
        return (*config_facts(one, other, layers), *training_facts(one, other))


PLACES = [(name, suffix) for name in FLAVORS for suffix in ("h5", "keras")] + [
    ("tf_keras", "saved")
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("other", PLACES)
def test_one_model_in_both_packages_and_all_formats_says_no_difference(saved, place, other):
    assert facts(saved[place], saved[other]) == ()


CHANGES = [
    ({"rate": 0.5}, ["drop: rate 0.2 -> 0.5"]),
    ({"activation": "sigmoid"}, ["head: activation softmax -> sigmoid"]),
    ({"seed": 4}, ["head: kernel_initializer seed 3 -> 4"]),
    ({"l2": 1e-2}, ["conv: kernel_regularizer l2 0.0001 -> 0.01"]),
    ({"momentum": 0.5}, ["norm: momentum 0.9 -> 0.5"]),
    ({"pool": "GlobalMaxPooling2D"}, ["pool: class GlobalAveragePooling2D -> GlobalMaxPooling2D"]),
    ({"swap": True}, ["join: inputs drop, inner -> inner, drop"]),
    ({"name": "logits"}, ["layer renamed: head -> logits"]),
    ({"learning_rate": 0.5}, ["optimizer Adam: learning_rate 0.001 -> 0.5"]),
    ({"loss": "mse"}, ["loss sparse_categorical_crossentropy -> mse"]),
    (
        {"side": 10},
        ["image: input shape [?, 8, 8, 3] -> [?, 10, 10, 3]",
         "inner/piece: input shape [?, 6, 6, 4] -> [?, 8, 8, 4]"],
    ),
    ({"policy": "mixed_float16"}, ["conv: dtype float32 -> mixed_float16"]),
]  # fmt: skip


@pytest.mark.parametrize("name", FLAVORS)
@pytest.mark.parametrize(("changed", "said"), CHANGES)
def test_a_model_built_with_one_other_argument_differs_in_it_alone(
    saved, tmp_path, name, changed, said
):
    place = str(tmp_path / "changed.h5")
    functional(FLAVORS[name], **changed).save(place)
    found = [fact.words for fact in facts(saved[name, "h5"], place) if fact.counts]
    assert found == said
