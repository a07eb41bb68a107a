"""Models converted to .tflite: every scheme of quantization, sparse tensors, subgraphs, extras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from samples import tflite_edits, tflite_models
from samples.catalog import Writer, family
from samples.tflite_live import Lite
from samples.training import noise

Converter, Ops, Optimize = tf.lite.TFLiteConverter, tf.lite.OpsSet, tf.lite.Optimize

DEFAULT, SPARSE = Optimize.DEFAULT, Optimize.EXPERIMENTAL_SPARSITY
INT8 = (Ops.TFLITE_BUILTINS_INT8,)
INT16_INT8 = (Ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,)
SOME_INT8 = (Ops.TFLITE_BUILTINS_INT8, Ops.TFLITE_BUILTINS)


def convert(
    model: Any,
    *optimizations: Any,
    ops: Sequence[Any] = (),
    types: Sequence[Any] = (),
    calibrated: bool = False,
    ports: Any = None,
    **settings: Any,
) -> bytes:
    """A Keras model or a module's `call`, converted.

    calibrated: activations are quantized, by what eight examples make of them. ports: the type of
    inputs and outputs. settings: further attributes of the converter.
    """
    if isinstance(model, tf_keras.Model):
        converter = Converter.from_keras_model(model)
        if calibrated:
            shape = model.input_shape[1:]
            converter.representative_dataset = lambda: ([x[None]] for x in noise(8, *shape))
    else:
        converter = Converter.from_concrete_functions([model.call.get_concrete_function()], model)
    converter.optimizations = list(optimizations)
    if ops:
        converter.target_spec.supported_ops = list(ops)
    converter.target_spec.supported_types = list(types)
    if ports is not None:
        converter.inference_input_type = converter.inference_output_type = ports
    for name, value in settings.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def keras(
    model: Any,
    scheme: str,
    make: Callable[[], bytes],
    differences: Mapping[str, int] | None = None,
) -> Lite:
    """A sample of a Keras model, whose variables are known by name and counted by Keras."""
    return Lite(
        make,
        scheme,
        dict(tflite_models.variables(model)),
        int(model.count_params()),
        differences or {},
        tflite_models.macs(model),
    )


def module(
    model: Any,
    make: Callable[[], bytes],
    macs: int | None = None,
    differences: Mapping[str, int] | None = None,
    learned: Mapping[str, frozenset[int]] | None = None,
) -> Lite:
    """A float sample of a tf.Module."""
    held = dict(tflite_models.variables(model))
    count = sum(int(values.size) for values in held.values())
    return Lite(make, "float32", held, count, differences or {}, macs, learned or {})


FOLDED = {"BatchNormalization, folded into the convolution before it": -16}


@family(
    "lite_float.tflite",
    "lite_float16.tflite",
    "lite_int8.tflite",
    "lite_int8_float_io.tflite",
    "lite_16x8.tflite",
    "lite_qat.tflite",
    "lite_offsets.tflite",
    "lite_metadata.tflite",
)
def convnet() -> Mapping[str, Writer]:
    """One model in every scheme that takes all of it: 818 parameters, 802 of them converted."""
    model = tflite_models.convnet()

    def sample(scheme: str, make: Callable[[], bytes]) -> Lite:
        return keras(model, scheme, make, FOLDED)

    aware = tflite_models.quantization_aware(tf_keras.models.clone_model(model))
    return {
        "lite_float.tflite": sample("float32", lambda: convert(model)),
        "lite_float16.tflite": sample(
            "float16", lambda: convert(model, DEFAULT, types=[tf.float16])
        ),
        "lite_int8.tflite": sample(
            "int8 (int8 io)",
            lambda: convert(model, DEFAULT, ops=INT8, calibrated=True, ports=tf.int8),
        ),
        "lite_int8_float_io.tflite": sample(
            "int8 (float io)", lambda: convert(model, DEFAULT, ops=INT8, calibrated=True)
        ),
        "lite_16x8.tflite": sample(
            "16x8", lambda: convert(model, DEFAULT, ops=INT16_INT8, calibrated=True)
        ),
        "lite_qat.tflite": sample("int8 (float io)", lambda: convert(aware, DEFAULT)),
        "lite_offsets.tflite": sample(
            "float32", lambda: convert(model, _experimental_use_buffer_offset=True)
        ),
        "lite_metadata.tflite": sample("float32", lambda: tflite_edits.described(convert(model))),
    }


@family("lite_dynamic.tflite")
def dynamic() -> Mapping[str, Writer]:
    """The Dense kernel is int8; the convolution's, of 36 elements, stays float32."""
    model = tflite_models.digits()
    return {"lite_dynamic.tflite": keras(model, "dynamic-range", lambda: convert(model, DEFAULT))}


@family("lite_int4.tflite")
def int4() -> Mapping[str, Writer]:
    """A kernel of nine values in five bytes."""
    model = tflite_models.nibbles()
    return {
        "lite_int4.tflite": keras(
            model,
            "int4 (float io)",
            lambda: tflite_edits.four_bits(convert(model, DEFAULT, ops=INT8, calibrated=True)),
        )
    }


@family("lite_blockwise.tflite")
def blockwise() -> Mapping[str, Writer]:
    """Two scales for each of eight outputs, in a tensor of their own."""
    model = tflite_models.wide()
    return {
        "lite_blockwise.tflite": keras(
            model, "dynamic-range", lambda: tflite_edits.blockwise(convert(model), 32)
        )
    }


@family("lite_compiled.tflite")
def compiled() -> Mapping[str, Writer]:
    """One custom operator of a device has swallowed the weights."""
    model = tflite_models.convnet()

    def make() -> bytes:
        content = convert(model, DEFAULT, ops=INT8, calibrated=True, ports=tf.int8)
        return tflite_edits.compiled(content)

    return {"lite_compiled.tflite": Lite(make, "int8 (int8 io)", count=0)}


@family("lite_mixed.tflite")
def mixed() -> Mapping[str, Writer]:
    """Conv3D stays float32, its bias and all after it is int8."""
    model = tflite_models.volume()
    return {
        "lite_mixed.tflite": keras(
            model,
            "mixed",
            lambda: convert(model, DEFAULT, ops=SOME_INT8, calibrated=True),
        )
    }


@family(
    "lite_sparse.tflite",
    "lite_sparse_float16.tflite",
    "lite_sparse_int8.tflite",
    "lite_pruned_dense.tflite",
)
def pruned() -> Mapping[str, Writer]:
    """Three quarters of the values are zero, wherever they are; one file stores them all."""
    model = tflite_models.pruned(1, 1)
    return {
        "lite_sparse.tflite": keras(model, "float32", lambda: convert(model, SPARSE)),
        "lite_sparse_float16.tflite": keras(
            model, "float16", lambda: convert(model, SPARSE, DEFAULT, types=[tf.float16])
        ),
        "lite_sparse_int8.tflite": keras(
            model,
            "int8 (float io)",
            lambda: convert(model, SPARSE, DEFAULT, ops=INT8, calibrated=True),
        ),
        "lite_pruned_dense.tflite": keras(model, "float32", lambda: convert(model)),
    }


@family("lite_sparse_block.tflite")
def pruned_in_blocks() -> Mapping[str, Writer]:
    """Blocks of 1x4 as LiteRT has its kernels, (outputs, inputs): 4x1 of Keras'."""
    model = tflite_models.pruned(4, 1)
    return {"lite_sparse_block.tflite": keras(model, "float32", lambda: convert(model, SPARSE))}


@family("lite_sparse_block_int8.tflite")
def pruned_in_wide_blocks() -> Mapping[str, Writer]:
    """Of int8 kernels the converter knows blocks of 1x16."""
    model = tflite_models.pruned(16, 1)
    return {
        "lite_sparse_block_int8.tflite": keras(
            model,
            "int8 (float io)",
            lambda: convert(model, SPARSE, DEFAULT, ops=INT8, calibrated=True),
        )
    }


@family("lite_clustered.tflite")
def clustered() -> Mapping[str, Writer]:
    model = tflite_models.clustered()
    return {"lite_clustered.tflite": keras(model, "float32", lambda: convert(model))}


@family("lite_embedding.tflite")
def embedding() -> Mapping[str, Writer]:
    model = tflite_models.embedding()
    return {"lite_embedding.tflite": keras(model, "float32", lambda: convert(model))}


# Scale and offset stay of its gamma, beta, mean and variance, three values each.
MERGED = {"BatchNormalization, as one product and one sum": -6}


@family("lite_layers.tflite", "lite_layers_int8.tflite")
def kinds() -> Mapping[str, Writer]:
    """A BatchNormalization that nothing comes before, a transposed convolution, PReLU ..."""
    model = tflite_models.kinds()
    return {
        "lite_layers.tflite": keras(model, "float32", lambda: convert(model), MERGED),
        "lite_layers_int8.tflite": keras(
            model,
            "int8 (float io)",
            lambda: convert(model, DEFAULT, ops=INT8, calibrated=True),
            MERGED,
        ),
    }


@family("lite_lstm.tflite", "lite_lstm_int8.tflite")
def lstm() -> Mapping[str, Writer]:
    """One operator, which keeps its states in variable tensors without data."""
    model = tflite_models.lstm()
    return {
        "lite_lstm.tflite": keras(model, "float32", lambda: convert(model)),
        "lite_lstm_int8.tflite": keras(
            model,
            "int8 (float io)",
            lambda: convert(model, DEFAULT, ops=INT8, calibrated=True),
        ),
    }


@family("lite_lstm_unrolled.tflite")
def lstm_unrolled() -> Mapping[str, Writer]:
    """The kernels once, each step's operators for themselves."""
    model = tflite_models.lstm_unrolled()
    sample = keras(model, "float32", lambda: convert(model))
    # The state is zero before the first step, so its product is left out: 5 x 5 of four gates.
    macs = tflite_models.macs(model) - 4 * 5 * 5
    return {"lite_lstm_unrolled.tflite": dataclasses.replace(sample, macs=macs)}


@family("lite_lstm_while.tflite")
def lstm_loop() -> Mapping[str, Writer]:
    """A WHILE, the kernels in its body; how often it runs, no field of the file says."""
    model = tflite_models.lstm_loop()
    sample = keras(model, "float32", lambda: convert(model))
    return {"lite_lstm_while.tflite": dataclasses.replace(sample, macs=None)}


@family("lite_flow.tflite")
def flow() -> Mapping[str, Writer]:
    """WHILE and IF; the tensors of two subgraphs share one buffer."""
    model = tflite_models.Flow()
    doubled = {"the kernel, doubled, in a branch": 16}
    return {"lite_flow.tflite": module(model, lambda: convert(model), None, doubled)}


@family("lite_shared.tflite")
def shared() -> Mapping[str, Writer]:
    """220 parameters: one kernel of 100 is left, since both were alike and both biases zero."""
    model = tflite_models.ones()
    left_out = {"a kernel like the first": -100, "biases of zeros": -20}
    return {"lite_shared.tflite": keras(model, "float32", lambda: convert(model), left_out)}


@family("lite_custom.tflite")
def custom() -> Mapping[str, Writer]:
    model = tflite_models.Custom()
    learned = {"Igamma": frozenset({1})}
    return {
        "lite_custom.tflite": module(
            model, lambda: convert(model, allow_custom_ops=True), 4 * 3, learned=learned
        )
    }


@family("lite_flex.tflite")
def flex() -> Mapping[str, Writer]:
    """The last product is of two activations: a row of three by a 3x3 matrix."""
    model = tflite_models.Flex()
    ops = (Ops.TFLITE_BUILTINS, Ops.SELECT_TF_OPS)
    return {"lite_flex.tflite": module(model, lambda: convert(model, ops=ops), 4 * 3 + 3 * 3)}


@family("lite_batched.tflite")
def batched() -> Mapping[str, Writer]:
    model = tflite_models.Batched()
    return {"lite_batched.tflite": module(model, lambda: convert(model), 2 * 5 * 4 * 3)}


@family("lite_variable.tflite")
def variable() -> Mapping[str, Writer]:
    """A subgraph that is called once gives the variable its first value."""
    model = tflite_models.Sum()
    return {
        "lite_variable.tflite": module(
            model, lambda: convert(model, experimental_enable_resource_variables=True), 4 * 4
        )
    }


@family("lite_table.tflite")
def table() -> Mapping[str, Writer]:
    model = tflite_models.Table()
    return {"lite_table.tflite": Lite(lambda: convert(model), None, count=0)}


@family("lite_signatures.tflite")
def signatures() -> Mapping[str, Writer]:
    """A subgraph for each signature; the kernel is stored once for each direction."""
    model = tflite_models.Coder()

    def make() -> bytes:
        functions = [one.get_concrete_function() for one in (model.encode, model.decode)]
        return bytes(Converter.from_concrete_functions(functions, model).convert())

    turned = {"the kernel, turned, for the other way": int(np.prod(model.kernel.shape))}
    return {"lite_signatures.tflite": module(model, make, None, turned)}


FAMILIES = (
    convnet,
    dynamic,
    int4,
    blockwise,
    compiled,
    mixed,
    pruned,
    pruned_in_blocks,
    pruned_in_wide_blocks,
    clustered,
    embedding,
    kinds,
    lstm,
    lstm_unrolled,
    lstm_loop,
    flow,
    shared,
    custom,
    flex,
    batched,
    variable,
    table,
    signatures,
)
