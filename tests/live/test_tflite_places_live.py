"""At which input LiteRT's operators take what: constants that their values tell, as converted.

What the interpreter lists of each operator is compared with what was given to TensorFlow's
function of the same meaning, by the name that its documentation gives the argument.
"""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from inspector.tflite.ops import reading


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


X = tf.TensorSpec((1, 4, 4, 2))
ROWS = tf.TensorSpec((4, 6))
KERNEL, BIAS = numbers(3, 3, 2, 2), numbers(2, seed=1)
DEEP, TABLE, MATRIX = numbers(2, 2, 2, 3, 2), numbers(9, 5), numbers(6, 7)

# A function, what it takes, and its constants: (what it is given for, the values).
CASES = {
    "conv": (
        lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME") + BIAS,
        [X],
        [("kernel", KERNEL), ("bias", BIAS)],
    ),
    "depthwise": (
        lambda x: tf.nn.depthwise_conv2d(x, KERNEL, [1, 1, 1, 1], "SAME"),
        [X],
        [("depthwise kernel", KERNEL)],
    ),
    "transposed": (
        lambda x: tf.nn.conv2d_transpose(x, KERNEL, [1, 8, 8, 2], 2) + BIAS,
        [X],
        [("kernel", KERNEL), ("shape", [1, 8, 8, 2]), ("bias", BIAS)],
    ),
    "volume": (
        lambda x: tf.nn.conv3d(x, DEEP, [1, 1, 1, 1, 1], "SAME"),
        [tf.TensorSpec((1, 4, 4, 4, 3))],
        [("kernel", DEEP)],
    ),
    "volume transposed": (
        lambda x: tf.nn.conv3d_transpose(x, DEEP, [1, 8, 8, 8, 3], 2),
        [tf.TensorSpec((1, 4, 4, 4, 2))],
        [("kernel", DEEP), ("shape", [1, 8, 8, 8, 3])],
    ),
    "dense": (lambda x: x @ MATRIX, [ROWS], [("kernel", MATRIX)]),
    # Of two transposed matrices the second comes first: the constant one is the kernel again.
    "matrix first": (lambda x: tf.constant(numbers(3, 4)) @ x, [ROWS], [("kernel", numbers(3, 4))]),
    "matrices": (
        lambda x: x @ numbers(2, 6, 7),
        [tf.TensorSpec((2, 4, 6))],
        [("matrix", numbers(2, 6, 7))],
    ),
    "gather": (
        lambda i: tf.gather(TABLE, i),
        [tf.TensorSpec((3,), tf.int32)],
        [("table", TABLE)],
    ),
    "gather indices": (lambda x: tf.gather(x, [3, 1]), [ROWS], [("indices", [3, 1])]),
    "gather_nd": (
        lambda i: tf.gather_nd(TABLE, i),
        [tf.TensorSpec((3, 1), tf.int32)],
        [("table", TABLE)],
    ),
    "one hot": (
        lambda i: tf.one_hot(i, 5, 7.0, 3.0),
        [tf.TensorSpec((3,), tf.int32)],
        [("depth", 5), ("value to fill in", 7.0), ("value to fill in", 3.0)],
    ),
    "pad": (
        lambda x: tf.pad(x, [[1, 2], [3, 4]], constant_values=9.0),
        [ROWS],
        [("paddings", [[1, 2], [3, 4]]), ("value to fill in", 9.0)],
    ),
    "mirror": (
        lambda x: tf.pad(x, [[1, 2], [3, 0]], "REFLECT"),
        [ROWS],
        [("paddings", [[1, 2], [3, 0]])],
    ),
    "tile": (lambda x: tf.tile(x, [3, 2]), [ROWS], [("multiples", [3, 2])]),
    "slice": (
        lambda x: tf.slice(x, [1, 2], [3, 4]),
        [ROWS],
        [("start of the slice", [1, 2]), ("size", [3, 4])],
    ),
    "strided slice": (
        lambda x: tf.strided_slice(x, [1, 0], [4, 5], [2, 3]),
        [ROWS],
        [("start of the slice", [1, 0]), ("end of the slice", [4, 5]), ("strides", [2, 3])],
    ),
    "transpose": (
        lambda x: tf.transpose(x, [2, 0, 1]),
        [tf.TensorSpec((2, 3, 4))],
        [("permutation", [2, 0, 1])],
    ),
    "split": (lambda x: tf.split(x, 3, 1), [ROWS], [("axis", 1)]),
    "split sizes": (
        lambda x: tf.split(x, [4, 2], 1),
        [ROWS],
        [("size", [4, 2]), ("axis", 1)],
    ),
    "scatter": (
        lambda i: tf.scatter_nd(i, numbers(2, 5), [8, 5]),
        [tf.TensorSpec((2, 1), tf.int32)],
        [("values to put in", numbers(2, 5)), ("shape", [8, 5])],
    ),
    "select": (
        lambda c: tf.where(c, numbers(4, 6), numbers(4, 6, seed=3)),
        [tf.TensorSpec((4, 6), tf.bool)],
        [
            ("values to choose from", numbers(4, 6)),
            ("values to choose from", numbers(4, 6, seed=3)),
        ],
    ),
    "top": (lambda x: tf.math.top_k(x, 3), [ROWS], [("number of results", 3)]),
    "cumulative": (lambda x: tf.cumsum(x, 1), [ROWS], [("axis", 1)]),
    "reduce": (lambda x: tf.reduce_sum(x, [1]), [ROWS], [("axis", [1])]),
    "arg": (lambda x: tf.argmax(x, 1), [ROWS], [("axis", 1)]),
    "reverse": (
        lambda x: tf.reverse_sequence(x, [1, 2, 3, 4], 1),
        [ROWS],
        [("lengths", [1, 2, 3, 4])],
    ),
    "segments": (
        lambda x: tf.math.segment_sum(x, [0, 0, 1, 2]),
        [ROWS],
        [("segments", [0, 0, 1, 2])],
    ),
    "unsorted segments": (
        lambda x: tf.math.unsorted_segment_max(x, [2, 0, 1, 0], 5),
        [ROWS],
        [("segments", [2, 0, 1, 0]), ("number of results", 5)],
    ),
    "resize": (lambda x: tf.image.resize(x, [6, 9]), [X], [("size", [6, 9])]),
    "fill": (
        lambda shape: tf.fill(shape, 4.5),
        [tf.TensorSpec((2,), tf.int32)],
        [("value to fill in", 4.5)],
    ),
    "blocks": (
        lambda x: tf.space_to_batch(x, [2, 4], [[0, 0], [1, 3]]),
        [X],
        [("shape of a block", [2, 4]), ("paddings", [[0, 0], [1, 3]])],
    ),
    "batches": (
        lambda x: tf.batch_to_space(x, [2, 3], [[0, 1], [2, 0]]),
        [tf.TensorSpec((6, 4, 4, 2))],
        [("shape of a block", [2, 3]), ("crops", [[0, 1], [2, 0]])],
    ),
    "broadcast": (lambda x: tf.broadcast_to(x, [3, 4, 6]), [ROWS], [("shape", [3, 4, 6])]),
    "diagonal": (
        lambda x: tf.linalg.set_diag(x, numbers(4)),
        [ROWS],
        [("values to put in", numbers(4))],
    ),
    "suppression": (
        lambda boxes, scores: tf.raw_ops.NonMaxSuppressionV4(
            boxes=boxes,
            scores=scores,
            max_output_size=7,
            iou_threshold=0.25,
            score_threshold=0.125,
            pad_to_max_output_size=True,
        ),
        [tf.TensorSpec((9, 4)), tf.TensorSpec((9,))],
        [("number of results", 7), ("threshold", 0.25), ("threshold", 0.125)],
    ),
    "multiplier": (
        lambda x: tf.nn.relu(x) * numbers(6) + numbers(6, seed=4),
        [ROWS],
        [("operand of arithmetic", numbers(6)), ("operand of arithmetic", numbers(6, seed=4))],
    ),
    "compared": (lambda x: x > numbers(6), [ROWS], [("number that it compares with", numbers(6))]),
    "power": (lambda x: tf.pow(x, numbers(6)), [ROWS], [("exponent", numbers(6))]),
}


def converted(function, inputs):
    concrete = tf.function(function, input_signature=inputs).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()


def places(content):
    """(what an operator takes it for, its values) of every constant that one reads."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    made = {one for op in interpreter._get_ops_details() for one in op["outputs"]}
    made |= {one["index"] for one in interpreter.get_input_details()}
    for op in interpreter._get_ops_details():
        for place, index in enumerate(op["inputs"]):
            if index >= 0 and index not in made:
                found = reading(op["op_name"], place, len(op["inputs"]))
                yield op["op_name"], found, np.asarray(interpreter.get_tensor(index))


def same(one, other):
    """Whether both have the same values: converters put kernels in another order."""
    return np.array_equal(np.sort(one.reshape(-1)), np.sort(np.asarray(other).reshape(-1)))


@pytest.mark.parametrize("case", CASES)
def test_an_operator_takes_a_constant_for_what_it_was_given_as(case):
    function, inputs, given = CASES[case]
    found = list(places(converted(function, inputs)))
    assert all(read is not None for _, read, _ in found), found
    for what, values in given:
        mine = [read.what for _, read, stored in found if same(stored, values)]
        assert what in mine, (what, [(op, read.what, stored) for op, read, stored in found])
