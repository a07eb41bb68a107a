"""Sizes against budgets, and tensors stored twice. Numbers are counted by hand."""

import os

import numpy as np
import pytest

from inspector import api
from inspector.auditing.look import audit_context
from inspector.auditing.policy import Budgets, Policy
from inspector.auditing.rules.size import RULES
from tests.builders import cases, tflite
from tests.builders import samples as stored


def found(path, code, *, measure=True, **budgets):
    """What the rule of that code says, with budgets of the policy."""
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, Policy(budgets=Budgets(**budgets)), measure=measure) as context:
        assert context.error is None
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def every(path, **budgets):
    with audit_context(path, Policy(budgets=Budgets(**budgets))) as context:
        return {rule.code for rule in RULES if list(rule.check(context))}


def two(tmp_path, first, again, **more):
    """Two Dense layers without biases."""
    weights = {"a": {"a/kernel:0": first}, "b": {"b/kernel:0": again}}
    nodes = [
        cases.dense(name, kernel.shape[1], use_bias=False)
        for name, kernel in (("a", first), ("b", again))
    ]
    return cases.legacy(tmp_path / "two.h5", weights, cases.sequential(*nodes), **more)


def lite(tmp_path, *, batch=1):
    """y = x @ k.T + b: (1, 4) -> (1, 3): 12 multiply-accumulates, 16 + 12 bytes of activations."""
    tensors = [
        tflite.tensor("x", (batch, 4)),
        tflite.tensor("k", (3, 4), buffer=1),
        tflite.tensor("b", (3,), buffer=2),
        tflite.tensor("y", (batch, 3)),
    ]
    graph = tflite.graph(tensors, [tflite.op("FULLY_CONNECTED", [0, 1, 2], [3])], [0], [3])
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.model(graph, buffers=[np.ones((3, 4), "f4"), np.ones(3, "f4")]))
    return str(path)


def test_without_budgets_nothing_is_said(tmp_path):
    assert every(two(tmp_path, cases.values(40, 30), cases.values(30, 40))) == set()


def test_all_files_are_held_against_the_budget(tmp_path):
    path = two(tmp_path, cases.values(4, 3), cases.values(3, 2))
    size = os.path.getsize(path)
    assert found(path, "size-nbytes", nbytes=size) == []
    assert found(path, "size-nbytes", nbytes=100) == [
        (f"{size:,} bytes, and the budget is 100", "error")
    ]


def test_all_files_of_a_checkpoint_count():
    path = stored.path("ckpt_sharded")  # an index of 270 bytes, shards of 160 and 32
    assert found(path, "size-nbytes", nbytes=462) == []
    assert found(path, "size-nbytes", nbytes=461) == [("462 bytes, and the budget is 461", "error")]


def test_parameters_are_those_that_keras_counts(tmp_path):
    path = two(tmp_path, cases.values(4, 3), cases.values(3, 2))
    assert found(path, "size-count-params", count_params=18) == []
    assert found(path, "size-count-params", count_params=17) == [
        ("18 parameters, and the budget is 17", "error")
    ]


def test_a_count_that_is_not_known_is_information(tmp_path):
    ((message, severity),) = found(lite(tmp_path), "size-count-params", count_params=100)
    assert message.startswith("parameters cannot be held against their budget: ")
    assert severity == "info"
    assert found(lite(tmp_path), "size-count-params") == []


def test_stored_elements_are_those_of_the_optimizer_too(tmp_path):
    kernel, again = cases.values(4, 3), cases.values(3, 2)
    optimizer = cases.adam(a__kernel=kernel, b__kernel=again)
    path = two(tmp_path, kernel, again, optimizer=optimizer, training=cases.ADAM)
    # 18 weights, two slots for each, and the iteration.
    assert found(path, "size-stored-elements", stored_elements=55) == []
    assert found(path, "size-stored-elements", stored_elements=54) == [
        ("55 stored elements, and the budget is 54", "error")
    ]


def test_macs_are_those_of_the_graph(tmp_path):
    path = lite(tmp_path)
    assert found(path, "size-macs", macs=12) == []
    assert found(path, "size-macs", macs=11) == [
        ("12 multiply-accumulates, and the budget is 11", "error")
    ]


def test_activations_are_those_that_live_at_once(tmp_path):
    path = lite(tmp_path)  # x and y, four bytes a value
    assert found(path, "size-activation-bytes", activation_bytes=28) == []
    assert found(path, "size-activation-bytes", activation_bytes=27) == [
        ("28 bytes of activations, and the budget is 27", "error")
    ]


@pytest.mark.parametrize(
    ("code", "field", "noun"),
    [
        ("size-macs", "macs", "multiply-accumulates"),
        ("size-activation-bytes", "activation_bytes", "bytes of activations"),
    ],
)
def test_costs_without_a_graph_are_information(tmp_path, code, field, noun):
    path = two(tmp_path, cases.values(4, 3), cases.values(3, 2))
    assert found(path, code, **{field: 1}) == [
        (
            f"{noun} cannot be held against their budget: only a LiteRT model has shapes for every"
            " operator",
            "info",
        )
    ]


def test_the_largest_layer_is_held_against_the_budget(tmp_path):
    path = two(tmp_path, cases.values(4, 3), cases.values(3, 9))
    assert found(path, "size-layer-params", layer_params=27) == []
    assert found(path, "size-layer-params", layer_params=26) == [
        ("27 elements of one layer, and the budget is 26", "error")
    ]
    with audit_context(path, Policy(budgets=Budgets(layer_params=1))) as context:
        (rule,) = (one for one in RULES if one.code == "size-layer-params")
        (one,) = rule.check(context)
    assert one.layer == "b"


def test_equal_kernels_are_told_with_the_bytes_they_cost(tmp_path):
    kernel = cases.values(40, 40)
    path = two(tmp_path, kernel, kernel.copy())
    assert found(path, "size-duplicate") == [
        ("a/kernel is stored 2 times: 6,400 bytes too many", "info")
    ]
    assert found(path, "size-duplicate-bytes", duplicate_bytes=6399) == [
        ("6,400 bytes of duplicates, and the budget is 6,399", "error")
    ]
    assert found(path, "size-duplicate-bytes", duplicate_bytes=6400) == []


def test_kernels_of_the_same_values_in_another_order_are_two(tmp_path):
    kernel = cases.values(40, 40)
    path = two(tmp_path, kernel, kernel[::-1].copy())
    assert found(path, "size-duplicate") == []
    assert found(path, "size-duplicate-bytes", duplicate_bytes=0) == []


def test_small_tensors_and_those_of_one_value_are_no_duplicates(tmp_path):
    small = cases.values(30, 30)  # 3,600 bytes
    assert found(two(tmp_path, small, small.copy()), "size-duplicate") == []
    zeros = np.zeros((2000, 2), "f4")
    assert found(two(tmp_path, zeros, zeros.copy()), "size-duplicate") == []


def test_copies_of_one_variable_are_no_duplicates(tmp_path):
    kernel = cases.values(200, 50)
    wrapper = (kernel, cases.mask_of(kernel), cases.scalar(0.25), cases.scalar(6, "int64"))
    config = cases.sequential(cases.pruned(cases.dense("dense", 50, use_bias=False)))
    objects = {
        "layers/prune_low_magnitude": wrapper,
        "layers/prune_low_magnitude/layer": (kernel,),
    }
    path = cases.archive(tmp_path / "m.keras", config, objects)
    assert found(path, "size-duplicate") == []


def test_duplicates_are_not_known_without_values(tmp_path):
    kernel = cases.values(40, 40)
    path = two(tmp_path, kernel, kernel)
    assert found(path, "size-duplicate-bytes", measure=False, duplicate_bytes=0) == [
        (
            "bytes of duplicates cannot be held against their budget: values were not read"
            " (--no-measure)",
            "info",
        )
    ]


def test_a_budget_of_a_policy_fails_the_audit(tmp_path):
    path = stored.path("stripped.h5")  # 1,354 parameters
    policy = tmp_path / "inspector.toml"
    policy.write_text("[budgets]\ncount-params = 1353\n")
    report = api.audit([path], policy=str(policy))
    assert report.audit.failed
    assert [one.message for one in report.findings] == ["1,354 parameters, and the budget is 1,353"]
    policy.write_text("[budgets]\ncount-params = 1354\n")
    assert not api.audit([path], policy=str(policy)).audit.failed
