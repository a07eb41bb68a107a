"""What is said of how models were compiled, on copies with one thing changed."""

from contextlib import ExitStack

import pytest

import inspector
from inspector.difference.training import training_facts
from tests.builders.edits import edited_h5, edited_keras, subject
from tests.builders.samples import KERAS, path


@pytest.fixture
def facts():
    with ExitStack() as stack:
        yield lambda a, b: training_facts(subject(stack, str(a)), subject(stack, str(b)))


def words(facts):
    return [fact.words for fact in facts]


# --- what readers give -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pruned.h5", "pruned.keras", "saved_pruned", "k3.h5", "k3_dir"])
def test_every_format_that_has_a_training_config_gives_it(name):
    with inspector.open(path(name)) as opened:
        assert opened.artifact.training["loss"] == "mse"


@pytest.mark.parametrize("name", ["stripped.h5", "stripped.keras", "saved_stripped"])
def test_a_model_that_was_not_compiled_has_none(name):
    with inspector.open(path(name)) as opened:
        assert opened.artifact.training is None


def test_a_training_config_that_is_nested_too_deep_is_none(tmp_path):
    def bury(config):
        for _ in range(300):
            config["loss"] = [config["loss"]]

    buried = edited_h5(path("k3.h5"), tmp_path / "b.h5", bury, "training_config")
    with inspector.open(buried) as opened:
        assert opened.artifact.training is None


# --- nothing to say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("pruned.h5", "pruned.keras"),
        ("pruned.h5", "saved_pruned"),
        ("pruned.keras", "saved_pruned"),
        ("qat.h5", "qat.keras"),
        ("k3.h5", "k3.keras"),
        ("k3.keras", "k3_dir"),
        ("stripped.h5", "saved_stripped"),
        ("pruned.h5", "pruned_weights.h5"),  # which cannot tell
        ("stripped.h5", "lite_float.tflite"),
    ],
)
def test_one_compilation_in_two_formats_is_the_same(facts, a, b):
    assert facts(path(a), path(b)) == facts(path(b), path(a)) == ()


@pytest.mark.parametrize("name", KERAS)
def test_a_model_is_compiled_as_itself(facts, name):
    assert facts(path(name), path(name)) == ()


# --- one change --------------------------------------------------------------------------------


def optimizer(config):
    return config["optimizer_config"]


CHANGES = [
    (
        "optimizer.learning_rate",
        lambda c: optimizer(c)["config"].update(learning_rate=0.01),
        "optimizer Adam: learning_rate 0.001 -> 0.01",
    ),
    (
        "optimizer.amsgrad",
        lambda c: optimizer(c)["config"].update(amsgrad=True),
        "optimizer Adam: amsgrad false -> true",
    ),
    (
        "optimizer.learning_rate",
        lambda c: optimizer(c)["config"].update(
            learning_rate={
                "module": "keras.optimizers.schedules",
                "class_name": "CosineDecay",
                "config": {"initial_learning_rate": 0.1, "decay_steps": 10},
            }
        ),
        "optimizer Adam: learning_rate 0.001 ->"
        " CosineDecay(initial_learning_rate=0.1, decay_steps=10)",
    ),
    (
        "optimizer",
        lambda c: optimizer(c).update(class_name="Nadam"),
        "optimizer Adam -> Nadam",
    ),
    ("loss", lambda c: c.update(loss="mae"), "loss mse -> mae"),
    ("metrics", lambda c: c.update(metrics=["accuracy"]), "metrics none -> (accuracy,)"),
    ("loss_weights", lambda c: c.update(loss_weights=[2.0]), "loss_weights none -> (2,)"),
]


@pytest.mark.parametrize(("what", "edit", "said"), CHANGES)
@pytest.mark.parametrize("name", ["pruned.h5", "k3.h5"])
def test_a_change_of_the_compilation_is_found_alone(facts, tmp_path, name, what, edit, said):
    changed = edited_h5(path(name), tmp_path / "b.h5", edit, "training_config")
    (found,) = facts(path(name), changed)
    assert (found.part, found.what, found.words) == ("training-config", what, said)
    assert found.counts
    (back,) = facts(changed, path(name))
    assert (back.a, back.b) == (found.b, found.a)


def test_a_loss_is_found_across_formats(facts, tmp_path):
    changed = edited_keras(
        path("pruned.keras"), tmp_path / "b.keras", lambda c: c["compile_config"].update(loss="mae")
    )
    assert words(facts(path("pruned.h5"), changed)) == ["loss mse -> mae"]


def test_a_loss_is_itself_under_its_long_name_in_another_format(facts, tmp_path):
    changed = edited_keras(
        path("pruned.keras"),
        tmp_path / "b.keras",
        lambda c: c["compile_config"].update(loss="mean_squared_error"),
    )
    assert facts(path("pruned.h5"), changed) == ()


def test_a_model_that_is_no_longer_compiled_is_told(facts):
    (found,) = facts(path("pruned.h5"), path("stripped.h5"))
    assert found.words == "A is compiled with Adam, B is not"
    assert found.counts
    (back,) = facts(path("stripped.h5"), path("pruned.h5"))
    assert back.words == "B is compiled with Adam, A is not"
