"""Whole answers, worked out by hand from the shapes in tests/builders/artifacts.py."""

import shutil
from pathlib import Path

import pytest

import inspector
from inspector.model import Measurement, Pattern, Role
from tests.builders import artifacts
from tests.builders.artifacts import Case


def answer(case, measure=True):
    return list(case.build(measure).answer)


def test_a_plain_model():
    assert answer(artifacts.plain()) == [
        "1,354 parameters as Keras counts them, all trainable.",
        "No weight is zero.",
    ]


def test_a_pruned_model_says_what_pruning_added_and_what_strip_leaves():
    # 10*64+64 + 64*10+10 = 1354; masks 640+640; 2 thresholds; 2 steps. Half of each kernel is 0:
    # 640 / 1354 = 47.267...%
    assert answer(artifacts.pruned(optimizer=False)) == [
        "2,638 parameters as Keras counts them: 1,354 of the model + 1,284 of pruning "
        "(2 masks 1,280, 2 thresholds, 2 steps). 1,354 are trainable, 1,284 are not.",
        "strip_pruning leaves 1,354. Of those, 714 are not zero (47.27 % sparse).",
        # 1280*4 + 2*4 + 2*8
        "Inference needs none of the 5,144 bytes of pruning state stored.",
    ]


def test_optimizer_state_is_counted_apart_in_elements_and_bytes():
    # Adam: 2*1354 slots + 1 step = 2709 elements, 2*1354*4 + 8 = 10,840 bytes; 2638 + 2709 = 5347
    assert answer(artifacts.pruned())[2:] == [
        "5,347 elements are stored = 1,354 of the model + 1,284 of pruning + 2,709 of the "
        "optimizer.",
        "Inference needs none of the 15,984 bytes of training state (pruning 5,144, "
        "optimizer 10,840).",
    ]


def test_without_measures_nothing_is_said_of_zeros():
    text = " ".join(answer(artifacts.pruned(), measure=False))
    assert "zero" not in text
    assert "sparse" not in text
    assert "strip_pruning leaves 1,354." in text


def test_statistics_are_neither_trainable_nor_weights_that_could_be_sparse():
    # Conv2D 3*3*3*4+4 = 112, BatchNormalization 8 + 8; 86 / 120 = 71.666...%
    assert answer(artifacts.convnet()) == [
        "128 parameters as Keras counts them: 120 trainable + 8 of statistics.",
        "Of 120 weight elements, 34 are not zero (71.67 % sparse).",
    ]


def test_a_weights_file_says_that_it_cannot_say():
    assert answer(artifacts.weights_only()) == [
        "What Keras would count is unknown: the file holds no model config. "
        "131 elements are stored = 43 of the model + 88 of the optimizer.",
        "There is no model config: what is trainable is unknown.",
        "No weight is zero.",
        # 86 float32 slots, one int64 and one float32 scalar
        "Inference needs none of the 356 bytes of optimizer state stored.",
    ]


def test_a_clustered_model():
    # 264 + 150 = 414; centroids 6 + 6; indices 240 + 144
    assert answer(artifacts.clustered()) == [
        "810 parameters as Keras counts them: 414 of the model + 396 of clustering "
        "(2 sets of centroids 12, 2 sets of cluster indices 384). 426 are trainable, 384 are not.",
        "strip_clustering leaves 414. No weight is zero.",
    ]


def test_quantization_aware_training_has_not_quantized():
    assert answer(artifacts.qat()) == [
        "13 parameters as Keras counts them: 8 of the model + 5 of quantization "
        "(4 quantization parameters, 1 quantization step). 8 are trainable, 5 are not.",
        "No weight is zero.",
        "Not quantized yet: all weights are float32; conversion to TFLite makes the kernels int8.",
    ]


def test_a_scheme_of_another_toolkit_is_not_called_int8():
    case = artifacts.qat()
    case.layers[0].config["quantize_config"] = {"class_name": "Vitis>VitisQuantizeConfig"}
    assert "conversion to TFLite quantizes them." in " ".join(answer(case))


def test_packed_int4_is_counted_as_keras_does_and_explained():
    # 16*8 = 128 values in 64 bytes; 64 + 8 bias = 72, + 8 scales = 80; 9 / 136 = 6.617...%
    assert answer(artifacts.int4()) == [
        "80 parameters as Keras counts them: 72 of the model + 8 of quantization "
        "(1 quantization parameter 8). 8 are trainable, 72 are not.",
        "Of 136 weight elements, 127 are not zero (6.62 % sparse).",
        "Weights are int4 (kernel, 128 elements) and float32 (bias, 8 elements).",
        "144 elements are stored = 136 of the model + 8 of quantization. "
        "Keras counts a packed int4 kernel by its bytes, two values each: "
        "64 fewer than the values.",
    ]


def test_lora_says_both_what_is_stored_and_what_loading_makes():
    assert answer(artifacts.lora()) == [
        "82 parameters as Keras counts them: 54 stored + 28 that loading makes anew, since LoRA "
        "kernels are merged into the kernel when a model is saved.",
        "No weight is zero.",
    ]


def test_a_second_copy_is_counted_in_bytes_and_not_as_a_parameter():
    # kernel 3*2 = 6 floats = 24 bytes, stored again; mask 24 + threshold 4 + step 8 = 36 bytes
    assert answer(artifacts.copies()) == [
        "14 parameters as Keras counts them: 6 of the model + 8 of pruning "
        "(1 mask 6, 1 threshold, 1 step). 6 are trainable, 8 are not.",
        "strip_pruning leaves 6. Of those, 3 are not zero (50 % sparse).",
        "20 elements are stored = 6 of the model + 8 of pruning + 6 of copies.",
        "The kernel is stored twice: 24 bytes of copies.",
        "Inference needs none of the 36 bytes of pruning state stored.",
    ]


def test_several_copies_of_different_variables():
    case = artifacts.copies()
    case.tensor("k2", Role.ALIAS, (2,), variable="bias", alias_of="elsewhere")
    assert "2 variables are stored twice: 32 bytes of copies." in answer(case)


def test_three_of_a_kind_are_stored_more_than_once():
    case = artifacts.copies()
    case.tensor("k2", Role.ALIAS, (3, 2), variable="kernel", alias_of=case.tensors[0].name)
    assert "1 variable is stored more than once: 48 bytes of copies." in answer(case)


def test_a_model_without_parameters():
    assert answer(artifacts.empty()) == [
        "0 parameters as Keras counts them: the model has nothing to train."
    ]


def test_an_unknown_tensor_is_shown_as_such():
    assert answer(artifacts.unknown()) == [
        "What Keras would count is unknown: one tensor is unexplained. 7 elements are stored.",
        "1 tensor of 7 elements is unknown: no rule explains it.",
    ]


def test_a_single_parameter_is_singular():
    case = Case(counts=(1, 1, 0))
    case.tensor("w", Role.WEIGHT, (1,), layer="d", variable="kernel", zeros=0)
    case.row("d", "Dense", 1)
    assert answer(case)[0] == "1 parameter as Keras counts it, all trainable."


def test_one_non_zero_weight_is_singular():
    case = Case(counts=(3, 3, 0))
    case.tensor("w", Role.WEIGHT, (3,), layer="d", variable="kernel", zeros=2)
    case.row("d", "Dense", 3)
    assert answer(case)[1] == "Of those, 1 is not zero (66.67 % sparse)."


def test_one_zero_in_many_is_not_rounded_away():
    case = Case(counts=(20280, 20280, 0))
    case.tensor("w", Role.WEIGHT, (2028, 10), layer="d", variable="kernel", zeros=20279)
    case.row("d", "Dense", 20280)
    assert answer(case)[1] == "Of those, 1 is not zero (99.995 % sparse)."


def test_a_frozen_model_has_nothing_trainable():
    case = artifacts.plain()
    case.counts = (1354, 0, 1354)
    assert answer(case)[0] == "1,354 parameters as Keras counts them, none trainable."


def test_a_partial_artifact_says_so_first():
    case = artifacts.plain()
    case.complete = False
    assert answer(case)[0] == (
        "A part of the model is missing or cannot be read: every number is of what is known."
    )


def test_constants_that_stand_for_weights_are_no_parameters_of_keras():
    # A Normalization layer whose mean and variance the graph holds as constants.
    case = artifacts.plain()
    case.counts = (1350, 1350, 0)
    assert answer(case)[0] == (
        "1,350 parameters as Keras counts them, all trainable. Keras does not count 4 more "
        "elements that the model uses."
    )


def test_what_keras_does_not_count_is_no_part_of_what_it_counts():
    case = artifacts.pruned(optimizer=False)
    case.counts = (2637, 1353, 1284)
    assert answer(case)[0] == (
        "2,637 parameters as Keras counts them: 1,353 of the model + 1,284 of pruning "
        "(2 masks 1,280, 2 thresholds, 2 steps). 1,353 are trainable, 1,284 are not. Keras does "
        "not count 1 more element that the model uses."
    )


def test_vocabularies_are_never_parameters():
    case = artifacts.plain()
    case.vocabulary = {"text_vectorization": 10, "lookup": 3}
    assert "Beside the parameters: 2 vocabularies of 13 entries." in answer(case)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_a_dtype_that_is_not_the_usual_one_is_named(dtype):
    case = Case(counts=(3, 3, 0))
    case.tensor("w", Role.WEIGHT, (3,), dtype=dtype, layer="d", variable="kernel")
    case.row("d", "Dense", 3)
    assert f"All weights are {dtype}." in answer(case)


def test_a_weight_that_could_not_be_measured_leaves_zeros_unsaid():
    case = artifacts.plain()
    del case.measured[case.tensors[0].name]
    built = case.build()
    assert built.weights is None
    assert built.totals.nonzero is None
    assert "zero" not in " ".join(built.answer)


def test_all_zero_weights():
    case = Case(counts=(4, 4, 0))
    case.tensor("w", Role.WEIGHT, (4,), layer="d", variable="kernel")
    case.measured["w"] = Measurement(4, 0.0, 0.0, 0, 0, 1)
    case.row("d", "Dense", 4)
    assert answer(case)[1] == "Every weight is zero."


def test_a_layer_marked_for_quantization_is_not_quantized():
    case = artifacts.plain()
    case.rows, case.layers = [], []
    case.row("dense", "QuantizeAnnotate", 704, wraps="Dense")
    case.row("dense_1", "Dense", 650)
    assert "Only marked for quantization, by quantize_annotate: all weights are float32." in answer(
        case
    )


def kernel_with(*patterns):
    case = Case(counts=(128, 128, 0))
    case.tensor("k", Role.WEIGHT, (16, 8), zeros=64, layer="d", patterns=patterns)
    case.row("d", "Dense", 128)
    return answer(case)


def test_a_pattern_that_holds_is_said_with_its_groups():
    # 16 inputs in groups of 4, for each of 8 outputs: 4 * 8 = 32 groups
    lines = kernel_with(Pattern("2:4", "input", 32, 32, True))
    assert "2:4 sparsity along the input axis holds in k: 32 of 32 groups." in lines


def test_a_pattern_that_a_tighter_one_implies_is_not_said():
    lines = kernel_with(
        Pattern("2:4", "input", 32, 32, True), Pattern("4:8", "input", 16, 16, True)
    )
    assert not any("4:8" in line for line in lines)


def test_a_pattern_that_almost_holds_is_not_said_to():
    assert not any("2:4" in line for line in kernel_with(Pattern("2:4", "input", 31, 32, False)))


def test_a_pattern_along_the_outputs_may_be_chance():
    assert not any("2:4" in line for line in kernel_with(Pattern("2:4", "output", 32, 32, True)))


def test_values_that_are_not_finite_are_said_with_their_place():
    case = Case(counts=(8, 8, 0))
    case.tensor("a", Role.WEIGHT, (4,), layer="d")
    case.tensor("b", Role.WEIGHT, (4,), layer="d")
    case.measured["a"] = Measurement(0, 1.0, 2.0, 1, 0)
    assert "1 value is not finite (1 NaN), in a." in answer(case)
    case.measured["b"] = Measurement(0, 1.0, 2.0, 1, 2)
    assert "4 values are not finite (2 NaN, 2 infinite), in a and 1 more tensor." in answer(case)


def test_blocks_are_said_with_those_that_are_zero():
    lines = kernel_with(Pattern("4x4", "block", 4, 8, True))
    assert "The zeros of k come in whole 4x4 blocks: 4 of 8 blocks are zero." in lines


def test_copies_of_optimizer_variables_are_said_to_be_that():
    case = artifacts.pruned()
    slots = [t for t in case.tensors if case.verdicts[t.name].role is Role.OPTIMIZER_SLOT][:2]
    for at, slot in enumerate(slots):
        case.tensor(f"c{at}", Role.ALIAS, (2,), variable=f"m{at}", alias_of=slot.name)
    assert "2 variables of the optimizer are stored twice: 16 bytes of copies." in answer(case)


SAMPLES = Path(__file__).parent.parent / "sample_models"
FIRST = {
    # Conv2D 3*3*3*4+4 = 112, gamma and beta 4+4, Dense 144*10+10 = 1450; mean and variance 4+4
    "frozen_convnet.pb": "The model has 1,578 parameters in 8 tensors: 1,570 of weights + 8 of "
    "statistics. There are no variables: freezing made the weights constants of the graph.",
    # Conv2D 3*3*1*4+4 = 40, MatMul 64*3+3 = 195
    "frozen_contrib_pruned.pb": "The model has 235 parameters in 4 tensors. The graph still "
    "multiplies its weights by the pruning masks. There are no variables: freezing made the "
    "weights constants of the graph.",
    # emb 10*4, w 4*2
    "ckpt_sharded": "The model has 48 parameters in 2 tensors. Keras' own count does not apply: a "
    "Saver keeps variables by name, and no model.",
    "ckpt_v1": "The model has 8 parameters in 1 tensor. All are trainable, as the file says. Keras'"
    " own count does not apply: a Saver keeps variables by name, and no model.",
    # Dense 4*3+3, gamma and beta 3+3; mean and variance 3+3
    "saved_v1": "The model has 27 parameters in 6 tensors: 21 of weights + 6 of statistics. The "
    "file lists 21 as trainable and 6 as not. Keras' own count does not apply: a SavedModel of "
    "TensorFlow 1 has variables by name, and no layers.",
    # a variable of 4 and a captured constant of 6*4
    "saved_captured": "The model has 28 parameters in 2 tensors. The file lists 4 elements of "
    "variables as trainable and none as not. Keras' own count does not apply: what was saved is no "
    "Keras model.",
    "ckpt_v1.meta": "No parameter of a model is stored here.",
}


@pytest.mark.parametrize("name", FIRST)
def test_what_keras_does_not_count_begins_with_what_the_model_has(name):
    said = inspector.show(SAMPLES / name).artifacts[0].answer
    assert said[0] == FIRST[name]


def test_elements_that_are_all_constants_are_said_to_be():
    said = inspector.show(SAMPLES / "ckpt_v1.meta").artifacts[0].answer
    assert "103 elements are stored, all of constants." in said


def test_where_training_tells_of_some_variables_the_others_are_unknown():
    # Adam has slots for both layers that are trained; frozen: Dense 5*3+3 = 18.
    said = inspector.show(SAMPLES / "ckpt_adam").artifacts[0].answer
    assert "There is no model config: whether 18 weights are trainable is unknown." in said


def test_moving_averages_are_told_from_the_optimizer_s_state():
    # w 4*2; Adam has two slots of 8, beta1_power and beta2_power; the average has 8; one step.
    said = inspector.show(SAMPLES / "ckpt_v1").artifacts[0].answer
    assert said[-3:] == (
        "35 elements are stored = 8 of the model + 18 of the optimizer + 1 of counters + 8 of "
        "moving averages.",
        "Moving averages are stored of 1 variable (32 bytes), which evaluation may load instead.",
        # 18 * 4 bytes, and an int64
        "Inference needs none of the 80 bytes of training state (optimizer 72, counters 8).",
    )


def test_averages_whose_values_are_missing_take_no_bytes(tmp_path):
    shutil.copy(SAMPLES / "ckpt_v1.index", tmp_path)
    said = inspector.show(tmp_path / "ckpt_v1").artifacts[0].answer
    assert "35 elements are listed = 8 of the model + 18 of the optimizer" in " ".join(said)
    assert "Inference needs none" not in " ".join(said)
