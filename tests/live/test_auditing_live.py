"""What audit rules say of versions and of calibration, held against live Keras and tfmot."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

from inspector.auditing.look import audit_context  # noqa: E402
from inspector.auditing.policy import Policy, Runtime  # noqa: E402
from inspector.auditing.rules import integrity, quantization  # noqa: E402
from inspector.model import Severity  # noqa: E402
from tests.builders import samples  # noqa: E402

pytestmark = pytest.mark.live

NAMES = (
    *("k3.h5", "k3.keras", "k3_rnn.keras", "k3_normalization.keras", "stripped.h5"),
    *("stripped.keras", "stripped_convnet.h5", "stripped_rnn.keras", "tfk_rnn.h5", "pruned.h5"),
    *("pruned.keras", "saved_stripped", "saved_export"),
)


def severities(path, rules, policy):
    """How severe what each rule finds is: [(code, severity)]."""
    with audit_context(path, policy) as context:
        assert context.error is None
        return [
            (rule.code, found.severity or rule.severity)
            for rule in rules
            for found in rule.check(context)
        ]


def loads(module, path):
    """Whether a Keras loads an artifact, with tfmot's classes where they are layers of its own."""
    try:
        if module is tf_keras:
            with tfmot.sparsity.keras.prune_scope():
                module.models.load_model(path, compile=False)
        else:
            module.models.load_model(path, compile=False)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("module", [tf_keras, keras], ids=["tf_keras", "keras"])
@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_loads_unless_a_finding_says_that_it_does_not(name, module):
    path = samples.path(name)
    policy = Policy(runtime=Runtime(keras=module.__version__))
    rules = [
        rule
        for rule in integrity.RULES
        if rule.code in {"integrity-keras-version", "integrity-tfmot-version"}
    ]
    found = {severity for _, severity in severities(path, rules, policy)}
    if Severity.ERROR in found:
        assert not loads(module, path)
    elif not found:
        assert loads(module, path)


def test_a_range_is_as_made_until_training_moves_it(tmp_path):
    model = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(4,), activation="relu")])
    aware = tfmot.quantization.keras.quantize_model(model)
    aware.compile("sgd", "mse")
    path = str(tmp_path / "m.h5")
    aware.save(path)
    (rule,) = (one for one in quantization.RULES if one.code == "quant-uncalibrated")
    untrained = severities(path, [rule], Policy())
    # The input's range, the kernel's, and the activation's.
    assert untrained == [(rule.code, Severity.WARNING)] * 3
    aware.fit(np.ones((8, 4)), np.ones((8, 3)), epochs=1, verbose=0)
    aware.save(path)
    # A step moves the activation's range by a thousandth, and sets the others.
    assert severities(path, [rule], Policy()) == [(rule.code, Severity.INFO)]
