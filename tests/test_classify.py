"""What a tensor is, and why: look-alikes above all, each by its file.

The rule, its basis and the words of the evidence are held, since people act on them.
"""

import dataclasses
from inspect import getsource

import h5py
import numpy as np
import pytest

import inspector
from inspector.classify import RULES, catalog, classify, fallback, structure, training
from inspector.model import GROUP_OF, Group, Role
from tests.builders import cases as c

KERNEL = c.values(4, 3, zeros=6)
MASK = c.mask_of(KERNEL)
PRUNED = {"kernel": KERNEL, "bias": c.values(3), "mask": MASK}
# What tfmot's wrapper lists, in the legacy layout and (a copy of the kernel first) in the v3 one.
WRAPPED = c.wrapped_weights(
    {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": PRUNED["bias"]}},
    {"dense": "dense/kernel:0"},
)
OBJECTS = {
    "layers/prune_low_magnitude/layer": [KERNEL, PRUNED["bias"]],
    "layers/prune_low_magnitude": [KERNEL, MASK, c.scalar(0.25), c.scalar(6, "int64")],
}
DENSE = c.dense("dense", 3)
PRUNING = {Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP}


def judged(path):
    """Short name -> verdict; a name's last two parts, or the whole name in the v3 layout."""
    with inspector.open(path) as opened:
        artifact = opened.artifact
        verdicts = classify(artifact).verdicts
        return {t.stored_name or t.name: verdicts[t.name] for t in artifact.tensors}


def roles(found):
    return {name: verdict.role for name, verdict in found.items()}


# --- what tfmot wrote --------------------------------------------------------------------------


def test_a_wrappers_variables_are_known_by_class_config_and_place(tmp_path):
    path = c.legacy(tmp_path / "m.h5", WRAPPED, c.sequential(c.pruned(DENSE)))
    found = judged(path)
    mask = found["prune_low_magnitude_dense/mask:0"]
    assert (mask.role, mask.rule, mask.basis) == (Role.MASK, "tfmot-mask", "position")
    assert mask.about.endswith("dense/kernel:0")
    assert f"pruning mask of {mask.about}" in mask.evidence
    threshold = found["prune_low_magnitude_dense/threshold:0"]
    assert (threshold.role, threshold.rule) == (Role.THRESHOLD, "tfmot-threshold")
    step = found["prune_low_magnitude_dense/pruning_step:0"]
    assert (step.role, step.rule) == (Role.PRUNING_STEP, "tfmot-pruning-step")
    assert "step counter of the pruning wrapper" in step.evidence
    kernel = found["dense/kernel:0"]
    assert (kernel.role, kernel.rule, kernel.trainable) == (Role.WEIGHT, "keras-weight", True)


def test_without_a_config_names_and_structure_must_agree(tmp_path):
    found = judged(c.legacy(tmp_path / "m.h5", WRAPPED))
    mask = found["prune_low_magnitude_dense/mask:0"]
    assert (mask.role, mask.rule, mask.basis) == (Role.MASK, "pruning-structure", "structure")
    assert "as large as" in mask.evidence
    assert "threshold and a pruning step beside it" in mask.evidence


@pytest.mark.parametrize(
    "spoil",
    [
        {"mask:0": MASK[:2]},  # smaller than any weight
        {"mask:0": MASK.astype("float64")},  # of another dtype
        {"threshold:0": c.values(3)},  # no scalar
        {"pruning_step:0": c.scalar(1)},  # no integer
    ],
)
def test_names_alone_make_no_mask(tmp_path, spoil):
    name = "prune_low_magnitude_dense"
    changed = {f"{name}/{key}": value for key, value in spoil.items()}
    path = c.legacy(tmp_path / "m.h5", {name: {**WRAPPED[name], **changed}})
    found = judged(path)
    assert not PRUNING & set(roles(found).values())
    unknown = found[f"{name}/mask:0"]
    assert (unknown.role, unknown.rule) == (Role.UNKNOWN, "unknown")
    assert "a name alone does not tell" in unknown.evidence


def test_the_kernel_beside_a_mask_of_its_shape_is_a_copy_by_its_place(tmp_path):
    path = c.archive(tmp_path / "m.keras", c.sequential(c.pruned(DENSE)), OBJECTS)
    found = judged(path)
    copy, mask, threshold, step = (
        found[f"layers/prune_low_magnitude/vars/{index}"] for index in range(4)
    )
    assert (copy.role, copy.rule) == (Role.ALIAS, "wrapper-copy")
    assert copy.alias_of == "layers/prune_low_magnitude/layer/vars/0"
    assert "stored once more by the wrapper" in copy.evidence
    assert (mask.role, mask.rule, mask.about) == (Role.MASK, "tfmot-mask", copy.alias_of)
    assert (threshold.role, step.role) == (Role.THRESHOLD, Role.PRUNING_STEP)
    report = inspector.show([path]).artifacts[0]
    (shown,) = (t for t in report.tensors if t.role == "alias")
    assert "byte-identical" in shown.evidence
    assert report.problems == ()


def test_the_same_is_found_without_a_config(tmp_path):
    found = judged(c.store(tmp_path / "m.weights.h5", OBJECTS))
    copy, mask = (found[f"layers/prune_low_magnitude/vars/{index}"] for index in range(2))
    assert (copy.role, copy.rule) == (Role.ALIAS, "wrapper-copy-structure")
    assert "same shape and dtype" in copy.evidence
    assert (mask.role, mask.rule) == (Role.MASK, "pruning-structure")


def test_a_copy_with_other_values_is_a_problem_and_still_a_copy(tmp_path):
    objects = {**OBJECTS, "layers/prune_low_magnitude": [KERNEL + 1, *OBJECTS[
        "layers/prune_low_magnitude"][1:]]}  # fmt: skip
    path = c.archive(tmp_path / "m.keras", c.sequential(c.pruned(DENSE)), objects)
    report = inspector.show([path]).artifacts[0]
    (copy,) = (t for t in report.tensors if t.role == "alias")
    assert "byte-identical" not in copy.evidence
    (problem,) = report.problems
    assert (problem.code, problem.severity) == ("copy-differs", "warning")
    assert copy.name in problem.message


def test_a_mask_that_is_not_binary_is_a_problem_and_still_a_mask(tmp_path):
    name = "prune_low_magnitude_dense"
    weights = {name: {**WRAPPED[name], f"{name}/mask:0": MASK * 0.5}}
    path = c.legacy(tmp_path / "m.h5", weights, c.sequential(c.pruned(DENSE)))
    report = inspector.show([path]).artifacts[0]
    assert report.roles["mask"].tensors == 1
    (problem,) = report.problems
    assert problem.code == "mask-not-binary"
    assert "from 0.0 to 0.5" in problem.message


def test_two_masks_of_one_shape_serve_the_two_kernels_of_an_lstm(tmp_path):
    # With as many inputs as units both kernels are (4, 16): only the place tells the masks apart.
    lstm = c.layer("LSTM", "lstm", units=4, use_bias=True)
    kernel, recurrent = c.values(4, 16, zeros=8), c.values(4, 16, zeros=40)
    masks = c.mask_of(kernel), c.mask_of(recurrent)
    step = c.scalar(6, "int64")
    objects = {
        "layers/prune_low_magnitude/layer/cell": [kernel, recurrent, c.values(16)],
        "layers/prune_low_magnitude": [
            kernel, recurrent, masks[0], c.scalar(1), masks[1], c.scalar(2), step,
        ],
    }  # fmt: skip
    path = c.archive(tmp_path / "lstm.keras", c.sequential(c.pruned(lstm)), objects)
    found = judged(path)
    inner = "layers/prune_low_magnitude/layer/cell/vars"
    own = "layers/prune_low_magnitude/vars"
    assert found[f"{own}/0"].alias_of == f"{inner}/0"
    assert found[f"{own}/1"].alias_of == f"{inner}/1"
    assert (found[f"{own}/2"].role, found[f"{own}/2"].about) == (Role.MASK, f"{inner}/0")
    assert (found[f"{own}/4"].role, found[f"{own}/4"].about) == (Role.MASK, f"{inner}/1")
    assert found[f"{own}/6"].role is Role.PRUNING_STEP
    assert inspector.show([path]).artifacts[0].problems == ()


def test_a_quantize_annotate_wrapper_adds_nothing(tmp_path):
    node = c.layer("QuantizeAnnotate", "quantize_annotate", layer=c.inner(DENSE),
                   quantize_config=None)  # fmt: skip
    weights = {"quantize_annotate": {"dense/kernel:0": KERNEL, "dense/bias:0": PRUNED["bias"]}}
    found = judged(c.legacy(tmp_path / "m.h5", weights, c.sequential(node)))
    assert {(v.role, v.rule, v.trainable) for v in found.values()} == {
        (Role.WEIGHT, "keras-weight", True)
    }


# --- what only looks like it -------------------------------------------------------------------

NAMES = (
    "mask",
    "threshold",
    "pruning_step",
    "prune_low_magnitude_dense",
    "optimizer",
    "metrics",
    "vars",
    "layers",
    "cluster_dense",
    "kernel",
    "optimizer_weights",
    "model_weights",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_dense_is_a_dense_under_any_name(tmp_path, name):
    weights = {name: {f"{name}/kernel:0": KERNEL, f"{name}/bias:0": PRUNED["bias"]}}
    config = c.sequential(c.dense(name, 3))
    objects = {"layers/dense": [KERNEL, PRUNED["bias"]]}
    whole = c.legacy(tmp_path / "m.h5", weights, config)
    archive = c.archive(
        tmp_path / "m.keras", c.keras3(config), objects, {"layers/dense": name}, version=c.KERAS3
    )
    for path in (whole, archive):
        found = judged(path)
        assert {(v.role, v.rule) for v in found.values()} == {(Role.WEIGHT, "keras-weight")}
        kernel = next(iter(found.values()))
        assert f"kernel of Dense {name}" in kernel.evidence
        assert inspector.show([path]).artifacts[0].totals.count_params == 15


@pytest.mark.parametrize("name", [name for name in NAMES if name != "model_weights"])
def test_a_plain_dense_is_a_weight_under_any_name_without_a_config(tmp_path, name):
    weights = {name: {f"{name}/kernel:0": KERNEL, f"{name}/bias:0": PRUNED["bias"]}}
    found = judged(c.legacy(tmp_path / "m.h5", weights))
    assert {(v.role, v.rule, v.basis) for v in found.values()} == {
        (Role.WEIGHT, "keras-name", "name")
    }
    assert all("no config tells its class" in v.evidence for v in found.values())


@pytest.mark.parametrize(
    "name", ["mask", "threshold", "pruning_step", "prune_low_magnitude", "vars", "cluster_dense"]
)
def test_an_attribute_of_a_subclassed_model_may_have_any_name(tmp_path, name):
    found = judged(c.store(tmp_path / "m.weights.h5", {name: [KERNEL, PRUNED["bias"]]}, {}))
    assert set(roles(found).values()) == {Role.WEIGHT}


GATE = {
    "my_gate/kernel:0": KERNEL,
    "my_gate/mask:0": MASK,
    "my_gate/threshold:0": c.scalar(0.25),
    "my_gate/pruning_step:0": c.scalar(6, "int64"),
}


@pytest.mark.parametrize("config", [c.sequential(c.layer("My>Gate", "my_gate", units=3)), None])
def test_a_custom_layer_with_tfmots_names_has_no_mask(tmp_path, config):
    found = judged(c.legacy(tmp_path / "m.h5", {"my_gate": GATE}, config))
    assert found.pop("my_gate/kernel:0").role is Role.WEIGHT
    for name, verdict in found.items():
        assert (verdict.role, verdict.rule, verdict.basis) == (Role.UNKNOWN, "unknown", "none")
        assert name.partition("/")[2].partition(":")[0] in verdict.evidence
        assert "my_gate is none of them" in verdict.evidence


@pytest.mark.parametrize("config", [c.sequential(c.layer("My>Gate", "my_gate", units=3)), None])
def test_a_custom_layers_arrays_are_no_mask_where_nothing_is_named(tmp_path, config):
    objects = {"layers/my_gate": list(GATE.values())}
    if config is None:
        path = c.store(tmp_path / "m.weights.h5", objects, {})
    else:
        path = c.archive(tmp_path / "m.keras", c.keras3(config), objects, {}, version=c.KERAS3)
    found = judged(path)
    assert not PRUNING & set(roles(found).values())
    second = found["layers/my_gate/vars/1"]
    assert second.rule == "custom-layer"
    assert "none of Keras' own" in second.evidence


def not_tfmots(*, registered=None, module=None, class_name=None, drop=()):
    node = c.pruned(DENSE)
    config = {key: value for key, value in node["config"].items() if key not in drop}
    frame = {"registered_name": registered, "module": module} if registered or module else {}
    return {**node, "class_name": class_name or node["class_name"], "config": config, **frame}


OTHERS = {
    "another package's class": not_tfmots(class_name="mylib>PruneLowMagnitude"),
    "registered by another package": not_tfmots(registered="mylib>PruneLowMagnitude"),
    "of another module": not_tfmots(module="mylib.pruning"),
    "without a pruning schedule": not_tfmots(drop=("pruning_schedule",)),
}


@pytest.mark.parametrize("node", OTHERS.values(), ids=OTHERS)
def test_a_wrapper_that_is_not_tfmots_has_no_mask(tmp_path, node):
    found = judged(c.legacy(tmp_path / "m.h5", WRAPPED, c.sequential(node)))
    assert found["dense/kernel:0"].role is Role.WEIGHT
    for name in ("mask", "threshold", "pruning_step"):
        verdict = found[f"prune_low_magnitude_dense/{name}:0"]
        assert (verdict.role, verdict.rule) == (Role.UNKNOWN, "unknown")
        assert "not tensorflow-model-optimization's" in verdict.evidence
    found = judged(c.archive(tmp_path / "m.keras", c.sequential(node), OBJECTS))
    own = {v.role for name, v in found.items() if name.startswith("layers/prune_low_magnitude/v")}
    assert own == {Role.UNKNOWN}
    assert found["layers/prune_low_magnitude/layer/vars/0"].role is Role.WEIGHT


def test_another_toolkits_quantize_wrapper_is_named_and_not_explained(tmp_path):
    node = {**c.quantized(DENSE, ["kernel"]), "class_name": "Vitis>QuantizeWrapper"}
    weights = {
        "quant_dense": {
            "dense/kernel:0": KERNEL,
            "dense/bias:0": PRUNED["bias"],
            "quant_dense/optimizer_step:0": c.scalar(0, "int32"),
            "quant_dense/kernel_min:0": c.scalar(-1),
            "quant_dense/kernel_max:0": c.scalar(1),
        }
    }
    found = judged(c.legacy(tmp_path / "m.h5", weights, c.sequential(node)))
    own = [verdict for name, verdict in found.items() if name.startswith("quant_dense")]
    assert {v.role for v in own} == {Role.UNKNOWN}
    assert all("Vitis>QuantizeWrapper" in v.evidence for v in own)
    # Nothing is claimed of strip_pruning or of training either.
    totals = inspector.show([tmp_path / "m.h5"]).artifacts[0].totals
    assert (totals.count_params, totals.trainable) == (18, None)


def test_place_decides_where_the_stored_names_lie(tmp_path):
    weights = {
        "conv": {"other/bias:0_0_0_0_0": c.values(3, 3, 1, 4), "other/kernel:0": c.values(4)},
        "other": {"conv/gamma:0": c.values(4, 2), "conv/moving_mean:0": c.values(2)},
    }
    config = c.sequential(c.conv("conv", 4), c.dense("other", 2))
    found = judged(c.legacy(tmp_path / "m.h5", weights, config))
    assert {(v.role, v.rule, v.basis) for v in found.values()} == {
        (Role.WEIGHT, "keras-weight", "config")
    }
    kernel = found["other/bias:0_0_0_0_0"]
    assert "kernel of Conv2D conv" in kernel.evidence
    assert "the file calls it 'other/bias:0_0_0_0_0'" in kernel.evidence
    assert "bias of Dense other" in found["conv/moving_mean:0"].evidence


def test_optimizer_step_is_no_optimizers(tmp_path):
    node = c.quantized(DENSE, ["kernel"])
    ranges = ("kernel_min", "kernel_max", "post_activation_min", "post_activation_max")
    weights = {
        "quant_dense": {
            "dense/kernel:0": KERNEL,
            "dense/bias:0": PRUNED["bias"],
            "quant_dense/optimizer_step:0": c.scalar(0, "int32"),
            **{f"quant_dense/{name}:0": c.scalar(1) for name in ranges},
        }
    }
    for config in (c.sequential(node), None):
        found = judged(c.legacy(tmp_path / "m.h5", weights, config))
        assert found["quant_dense/optimizer_step:0"].role is Role.QUANT_STEP
        assert {found[f"quant_dense/{name}:0"].role for name in ranges} == {Role.QUANT_PARAM}


def test_a_dataset_that_no_list_names_is_unknown_and_said_so(tmp_path):
    path = c.legacy(tmp_path / "m.h5", {"dense": {"kernel:0": KERNEL}}, c.sequential(DENSE))
    with h5py.File(path, "r+") as file:
        file["model_weights/dense/mask:0"] = MASK
    with inspector.open(path) as opened:
        verdicts = classify(opened.artifact).verdicts
    verdict = verdicts["model_weights/dense/mask:0"]
    assert (verdict.role, verdict.rule) == (Role.UNKNOWN, "unknown")


# --- the rules themselves ----------------------------------------------------------------------


def test_classifying_reads_no_values(tmp_path):
    class Shut:
        def blocks(self, max_bytes):
            raise AssertionError("a rule read the values")

    path = c.archive(tmp_path / "m.keras", c.sequential(c.pruned(DENSE)), OBJECTS)
    with inspector.open(path) as opened:
        tensors = tuple(dataclasses.replace(t, payload=Shut()) for t in opened.artifact.tensors)
        artifact = dataclasses.replace(opened.artifact, tensors=tensors)
    found = classify(artifact).verdicts
    assert {v.role for v in found.values()} == {Role.WEIGHT, Role.ALIAS, *PRUNING}


def test_every_tensor_has_one_verdict_in_the_artifacts_order(tmp_path):
    path = c.legacy(tmp_path / "m.h5", WRAPPED, c.sequential(c.pruned(DENSE)))
    with inspector.open(path) as opened:
        names = [t.name for t in opened.artifact.tensors]
        assert list(classify(opened.artifact).verdicts) == names


def test_every_rule_has_a_code_of_its_own_and_words_for_people():
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    assert codes[-1] == "unknown"
    for rule in RULES:
        assert rule.code == rule.code.lower()
        assert " " not in rule.code
        for words in (rule.summary, rule.explanation, rule.example):
            assert words.strip() == words != ""
        assert not rule.summary.endswith(".")
        assert rule.explanation.endswith((".", "`")), rule.code


# Roles that no Keras file has: they are those of graphs (SavedModel, GraphDef, TFLite).
OF_GRAPHS = {Role.CONSTANT, Role.ACTIVATION, Role.LOOKUP}


def test_every_role_of_a_keras_file_is_given_by_some_rule():
    given = set(catalog._CODES)
    words = " ".join(map(getsource, (fallback, structure, training)))
    given |= {role for role in Role if f"Role.{role.name}" in words}
    assert given == set(Role) - OF_GRAPHS
    assert all(GROUP_OF[role] is Group.STRUCTURE for role in OF_GRAPHS)


@pytest.mark.parametrize("dtype", ["int64", "uint32"])
def test_a_seed_generators_state_is_a_counter(tmp_path, dtype):
    objects = {
        "layers/dense": [KERNEL, PRUNED["bias"]],
        "layers/dropout/seed_generator": [np.array([3, 1], dtype)],
    }
    found = judged(c.store(tmp_path / "m.weights.h5", objects, {}))
    state = found["layers/dropout/seed_generator/vars/0"]
    assert (state.role, state.rule) == (Role.COUNTER, "seed-generator")
    assert "random generator of dropout" in state.evidence


def test_two_integers_of_another_layer_are_no_seed(tmp_path):
    objects = {"layers/seeds": [np.array([3, 1], "int64")]}
    found = judged(c.store(tmp_path / "m.weights.h5", objects, {}))
    assert set(roles(found).values()) == {Role.UNKNOWN}
