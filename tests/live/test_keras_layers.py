"""The catalogue of layers against live Keras 3 and tf_keras: every class is built and saved.

Each variable is given a value of its own first, so that a stored array tells which variable it is.
"""

import io
import json
import os
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tf_keras

from inspector.keras import layers as catalogue
from inspector.keras.config import parse_model
from inspector.model import Flavor, Layer, Role

pytestmark = pytest.mark.live

V, S, P2, P3, RGB = (8,), (6, 8), (8, 8, 4), (6, 6, 6, 3), (8, 8, 3)
FOREIGN = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
ABSTRACT = {"Layer", "Wrapper", "RNN", "AbstractRNNCell", "InputLayer"}
# Built inside others, or from feature columns.
ELSEWHERE = {"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells", "DenseFeatures"}


def _recurrent(make):
    for n, shape in ((1, (5, 8, 3)), (2, (5, 6, 6, 3)), (3, (3, 5, 5, 5, 2))):
        plain = {"filters": 2, "kernel_size": 2}
        yield f"ConvLSTM{n}D", plain, (shape,)
        yield f"ConvLSTM{n}D", {**plain, "use_bias": False, "recurrent_dropout": 0.2}, (shape,)
    for name in ("LSTM", "GRU", "SimpleRNN"):
        yield name, {"units": 3}, (S,)
        yield name, {"units": 3, "use_bias": False, "dropout": 0.2}, (S,)
    yield "GRU", {"units": 3, "reset_after": False}, (S,)
    yield "RNN", {"cell": make.LSTMCell(3)}, (S,)
    yield "RNN", {"cell": [make.GRUCell(3), make.LSTMCell(2)]}, (S,)
    yield "RNN", {"cell": make.StackedRNNCells([make.SimpleRNNCell(3), make.LSTMCell(2)])}, (S,)
    yield "Bidirectional", {"layer": make.LSTM(3)}, (S,)
    backward = make.GRU(3, go_backwards=True)
    yield "Bidirectional", {"layer": make.LSTM(3), "backward_layer": backward}, (S,)
    yield "TimeDistributed", {"layer": make.Dense(3)}, (S,)


def _convolutions(is3):
    for n, shape in ((1, (8, 4)), (2, P2), (3, P3)):
        plain = {"filters": 3, "kernel_size": 2}
        for name in (f"Conv{n}D", f"Conv{n}DTranspose"):
            yield name, plain, (shape,)
            yield name, {**plain, "use_bias": False}, (shape,)
        if n == 3:
            continue
        yield f"DepthwiseConv{n}D", {"kernel_size": 2}, (shape,)
        yield f"DepthwiseConv{n}D", {"kernel_size": 2, "use_bias": False}, (shape,)
        yield f"SeparableConv{n}D", plain, (shape,)
        yield f"SeparableConv{n}D", {**plain, "use_bias": False}, (shape,)
        if not is3:
            yield f"LocallyConnected{n}D", plain, (shape,)
            yield f"LocallyConnected{n}D", {**plain, "use_bias": False}, (shape,)
            yield f"LocallyConnected{n}D", {**plain, "implementation": 2}, (shape,)


def _core(make, is3):
    einsum = {"equation": "abc,cd->abd", "output_shape": (None, 5)}
    yield "Dense", {"units": 3}, (V,)
    yield "Dense", {"units": 3, "use_bias": False}, (V,)
    yield "EinsumDense", einsum, (S,)
    yield "EinsumDense", {**einsum, "bias_axes": "d"}, (S,)
    yield "Embedding", {"input_dim": 7, "output_dim": 4}, (V,)
    yield "PReLU", {}, (V,)
    yield "PReLU", {"shared_axes": [1, 2]}, (P2,)
    yield "SpectralNormalization", {"layer": make.Conv2D(3, 2)}, (P2,)
    yield "SpectralNormalization", {"layer": make.Conv2D(3, 2, use_bias=False)}, (P2,)
    attention = {"num_heads": 2, "key_dim": 3}
    yield "MultiHeadAttention", attention, (S, S)
    other = {"value_dim": 4, "output_shape": 5, "use_bias": False, "dropout": 0.1}
    yield "MultiHeadAttention", {**attention, **other}, (S, S)
    for scale in (False, True):
        for mode in ("dot", "concat"):
            yield "Attention", {"use_scale": scale, "score_mode": mode}, (S, S)
        yield "AdditiveAttention", {"use_scale": scale}, (S, S)
    if is3:
        yield "ReversibleEmbedding", {"input_dim": 7, "output_dim": 4}, (V,)
        untied = {"input_dim": 7, "output_dim": 4, "tie_weights": False}
        yield "ReversibleEmbedding", untied, (V,)
        grouped = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
        yield "GroupQueryAttention", grouped, (S, S)
        yield "GroupQueryAttention", {**grouped, "use_bias": False, "use_gate": True}, (S, S)
        yield "MultiHeadAttention", {**attention, "use_gate": True, "dropout": 0.1}, (S, S)
        yield "STFTSpectrogram", {"mode": "log", "frame_length": 16, "frame_step": 8}, ((80, 1),)
    else:
        yield "ThresholdedReLU", {}, (V,)


def _normalizations(is3):
    for flags in ({}, {"scale": False}, {"center": False}, {"center": False, "scale": False}):
        yield "BatchNormalization", flags, (V,)
        yield "LayerNormalization", flags, (V,)
        yield "GroupNormalization", {"groups": 2, **flags}, (P2,)
    yield "BatchNormalization", {"renorm": True}, (V,)
    yield "UnitNormalization", {}, (V,)
    yield "Normalization", {}, (V,)
    yield "Normalization", {"mean": 1.0, "variance": 2.0}, (V,)
    yield "Normalization", {"axis": None}, (P2,)
    yield "Normalization", {"axis": (1, 3)}, (P2,)
    if is3:
        yield "RMSNormalization", {}, (V,)
        yield "LayerNormalization", {"rms_scaling": True}, (V,)


def _weightless(make, is3):
    for n, shape in ((1, (8, 4)), (2, P2), (3, P3)):
        for name in ("AveragePooling", "MaxPooling"):
            yield f"{name}{n}D", {"pool_size": 2}, (shape,)
        for name in ("GlobalAveragePooling", "GlobalMaxPooling", "UpSampling", "ZeroPadding"):
            yield f"{name}{n}D", {}, (shape,)
        yield f"Cropping{n}D", {}, (shape,)
        yield f"SpatialDropout{n}D", {"rate": 0.1}, (shape,)
        if is3:
            for name in ("AdaptiveAveragePooling", "AdaptiveMaxPooling"):
                yield f"{name}{n}D", {"output_size": 2}, (shape,)
    for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate"):
        yield name, {}, (V, V)
    for name in ("Flatten", "Identity", "ReLU", "LeakyReLU", "ELU", "Masking", "Softmax"):
        yield name, {}, (V,)
    yield "Dot", {"axes": 1}, (V, V)
    yield "ActivityRegularization", {"l1": 0.1}, (V,)
    yield "Activation", {"activation": "relu"}, (V,)
    yield "Permute", {"dims": (2, 1)}, (S,)
    yield "RepeatVector", {"n": 2}, (V,)
    yield "Reshape", {"target_shape": (2, 4)}, (V,)
    yield "Lambda", {"function": _double}, (V,)
    for name in ("Dropout", "AlphaDropout", "GaussianDropout"):
        yield name, {"rate": 0.2}, (V,)
    yield "GaussianNoise", {"stddev": 0.2}, (V,)


def _double(x):
    return x * 2


def _preprocessing(make, is3):
    words = {"vocabulary": ["a", "b"]}
    idf = {**words, "output_mode": "tf_idf", "idf_weights": [0.25, 0.5]}
    for name in ("StringLookup", "TextVectorization"):
        yield name, words, ((1,),)
        yield name, idf, ((1,),)
    yield "IntegerLookup", {"vocabulary": [1, 2]}, ((1,),)
    yield "Hashing", {"num_bins": 3}, ((1,),)
    yield "HashedCrossing", {"num_bins": 3}, ()
    yield "Discretization", {"bin_boundaries": [0.0, 1.0]}, (V,)
    yield "CategoryEncoding", {"num_tokens": 4}, (V,)
    for name in ("RandomBrightness", "RandomContrast", "RandomRotation"):
        yield name, {"factor": 0.2}, (RGB,)
    yield "RandomZoom", {"height_factor": 0.2}, (RGB,)
    yield "RandomTranslation", {"height_factor": 0.1, "width_factor": 0.1}, (RGB,)
    yield "RandomFlip", {}, (RGB,)
    for name in ("RandomCrop", "CenterCrop", "Resizing"):
        yield name, {"height": 4, "width": 4}, (RGB,)
    yield "Rescaling", {"scale": 2.0}, (V,)
    if not is3:
        yield "Discretization", {"num_bins": 3}, (V,)
        yield "RandomHeight", {"factor": 0.2}, (RGB,)
        yield "RandomWidth", {"factor": 0.2}, (RGB,)
        return
    for name in (  # noqa: SIM905
        "AutoContrast CutMix ContrastLimitedAdaptiveHistogramEqualization Equalization MixUp "
        "RandomColorJitter RandomElasticTransform RandomErasing RandomGaussianBlur "
        "RandomGrayscale RandomInvert RandomPerspective RandomShear RandAugment Solarization AugMix"
    ).split():
        yield name, {}, (RGB,)
    for name in ("RandomHue", "RandomSaturation", "RandomSharpness", "RandomColorDegeneration"):
        yield name, {"factor": 0.2}, (RGB,)
    jitter = {f"{what}_factor": 0.2 for what in ("brightness", "contrast", "saturation", "hue")}
    yield "RandomColorJitter", jitter, (RGB,)
    yield "RandomPosterization", {"factor": 4}, (RGB,)
    yield "MaxNumBoundingBoxes", {"max_number": 3}, ()
    yield "MelSpectrogram", {}, ((800,),)
    yield "Pipeline", {"layers": [make.Rescaling(2.0), make.Dropout(0.1)]}, (V,)


def _every(library):
    is3 = library is keras
    make = library.layers
    yield from _core(make, is3)
    yield from _convolutions(is3)
    yield from _recurrent(make)
    yield from _normalizations(is3)
    yield from _weightless(make, is3)
    yield from _preprocessing(make, is3)


def _built(library):
    """Every layer, built; a class whose call needs real data is only made."""
    made = []
    for number, (name, kwargs, shapes) in enumerate(_every(library)):
        layer = getattr(library.layers, name)(name=f"layer_{number}", **kwargs)
        text = name in ("StringLookup", "TextVectorization", "Hashing")
        dtype = "string" if text else "int64" if name == "IntegerLookup" else None
        inputs = [library.Input(shape, dtype=dtype) for shape in shapes]
        if len(inputs) == 2 and name in ("MultiHeadAttention", "GroupQueryAttention"):
            layer(*inputs)
        elif inputs:
            layer(inputs if len(inputs) > 1 else inputs[0])
        made.append(layer)
    return made


def _own(live, library):
    if library is keras:
        return [*live._trainable_variables, *live._non_trainable_variables]
    return [*live._trainable_weights, *live._non_trainable_weights]


def _name(variable):
    name = variable.name.rpartition("/")[2].partition(":")[0]
    return "idf_weights" if name == "Variable" else name  # the only one that Keras leaves unnamed


def _groups(layers):
    """The names that a store gives to the members of a list."""
    used, names = {}, {}
    for layer in layers:
        base = keras.src.utils.naming.to_snake_case(type(layer).__name__)
        used[base] = used.get(base, -1) + 1
        names[layer.name] = f"{base}_{used[base]}" if used[base] else base
    return names


def _pairs(node, live, path):
    """(catalogue's layer, live layer, path in the store), sub-layers too."""
    yield node, live, path
    for child in node.children:
        held = getattr(live, child.attr)
        if isinstance(held, (list, tuple)):
            names = _groups(held)
            inner = next(one for one in held if one.name == child.name)
            yield from _pairs(child, inner, f"{path}/{child.attr}/{names[inner.name]}")
        else:
            yield from _pairs(child, held, f"{path}/{child.attr}")


@pytest.fixture(scope="module", params=[keras, tf_keras], ids=["keras3", "tf_keras"])
def world(request, tmp_path_factory):
    """Every layer of one library, with what its two kinds of files have."""
    library = request.param
    folder = tmp_path_factory.mktemp("layers")
    layers = _built(library)

    class Holder(library.Model):
        def __init__(self, held):
            super().__init__()
            self.held = held

        def call(self, x):
            return x

    model = Holder(layers)
    model.built = True
    number = 0
    for layer in layers:
        for variable in layer.weights:
            if None not in tuple(variable.shape):
                number += 1
                variable.assign(np.full(variable.shape, number))
    model.save_weights(str(folder / "m.weights.h5"))
    if library is keras:
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
    else:
        from tf_keras.src.saving.legacy.hdf5_format import save_weights_to_hdf5_group
    with h5py.File(folder / "m.h5", "w") as file:
        save_weights_to_hdf5_group(file, model)
    flavor = Flavor.KERAS3 if library is keras else Flavor.TF_KERAS
    serialize = library.layers.serialize
    tree = parse_model(
        {
            "class_name": "Functional",
            "config": {
                "name": "m",
                "layers": [_frame(serialize(layer)) for layer in layers],
                "output_layers": [],
            },
        },
        flavor,
    )
    return library, flavor, layers, tree, folder


def _frame(serialized):
    """A serialized layer as JSON has it."""
    return json.loads(json.dumps(serialized, default=str))


def test_every_class_is_known_and_built_here(world):
    library, flavor, layers, _, _ = world
    kinds = {
        kind.__name__
        for kind in vars(library.layers).values()
        if isinstance(kind, type) and issubclass(kind, library.layers.Layer)
    }
    exported = {name for name, value in vars(library.layers).items() if isinstance(value, type)}
    assert (kinds | exported) - {"InputSpec"} <= catalogue.known_classes(flavor)
    assert kinds - {type(layer).__name__ for layer in layers} <= FOREIGN | ABSTRACT | ELSEWHERE


def test_children_variables_and_their_order_in_a_store_by_position(world):
    library, flavor, layers, tree, folder = world
    names = _groups(layers)
    with h5py.File(folder / "m.weights.h5") as file:
        root = "held" if library is keras else "layers"
        for node, layer in zip(tree.children, layers, strict=True):
            for inner, live, path in _pairs(node, layer, f"{root}/{names[layer.name]}"):
                assert path in file
                stored = file[f"{path}/vars"]
                own = catalogue.own_variables(inner, flavor, len(stored))
                assert own is not None, inner
                assert len(own) == len(stored), inner
                for position, variable in enumerate(own):
                    key = "idf_weights" if variable.name == "idf_weights" else str(position)
                    value = stored[key][()]
                    assert variable.rank in (None, value.ndim), (inner, variable)
                    if key == str(position) and value.size:
                        match = [v for v in _own(live, library) if np.array_equal(v.numpy(), value)]
                        assert [_name(v) for v in match] == [variable.name], (inner, variable)


def test_no_stored_array_is_left_out(world):
    library, flavor, layers, tree, folder = world
    names = _groups(layers)
    root = "held" if library is keras else "layers"
    expected = set()
    for node, layer in zip(tree.children, layers, strict=True):
        for inner, _, path in _pairs(node, layer, f"{root}/{names[layer.name]}"):
            for position, variable in enumerate(catalogue.own_variables(inner, flavor)):
                by_name = variable.name == "idf_weights"
                expected.add(f"{path}/vars/{variable.name if by_name else position}")
    found = set()
    with h5py.File(folder / "m.weights.h5") as file:
        file.visititems(lambda name, item: found.add(name) if hasattr(item, "shape") else None)
    assert found == expected


def test_order_and_trainability_of_the_live_weights(world):
    library, flavor, layers, tree, _ = world
    for node, layer in zip(tree.children, layers, strict=True):
        for inner, live, _ in _pairs(node, layer, ""):
            own = catalogue.weights_order(inner, flavor)
            assert [v.name for v in own] == [_name(v) for v in _own(live, library)], inner
            for variable, real in zip(own, _own(live, library), strict=True):
                trainable = catalogue.trainable_on_load(inner, flavor, variable)
                assert trainable == real.trainable, (inner, variable)


def test_names_in_an_h5_of_whole_layers(world):
    """Trainable first, then the rest; a repeated variable once, where it comes first."""
    _, flavor, layers, tree, folder = world
    with h5py.File(folder / "m.h5") as file:
        for node, layer in zip(tree.children, layers, strict=True):
            order = []
            for inner in node.walk():
                for variable in catalogue.weights_order(inner, flavor):
                    repeated = any(
                        v.role is Role.ALIAS and v.about.rpartition("/")[2] == variable.name
                        for v, _ in order
                    )
                    if not repeated:
                        order.append((variable, inner))
            expected = [v.name for v, _ in order if v.trainable]
            expected += [v.name for v, _ in order if not v.trainable]
            stored = [
                n.rpartition("/")[2].partition(":")[0]
                for n in file[layer.name].attrs["weight_names"]
            ]
            stored = ["idf_weights" if n == "Variable" else n for n in stored]
            assert stored == expected, node


def test_counted_variables_are_those_that_count_params_counts(world):
    _, flavor, layers, tree, _ = world
    for node, layer in zip(tree.children, layers, strict=True):
        if any(None in tuple(w.shape) for w in layer.weights) or not layer.built:
            continue
        counted = [v for inner in node.walk() for v in catalogue.own_variables(inner, flavor)]
        assert sum(v.counted for v in counted) == len(layer.weights), node


KERNELS = {
    "dense": (lambda: keras.layers.Dense(5), (7,)),
    "dense_no_bias": (lambda: keras.layers.Dense(4, use_bias=False), (7,)),
    "einsum": (lambda: _einsum("abc,cde->abde", (None, 3, 5), bias_axes="de"), (4, 6)),
    "einsum_no_bias": (lambda: _einsum("abcd,cde->abe", (None, 6)), (4, 2, 3)),
    "embedding": (lambda: keras.layers.Embedding(9, 5), (7,)),
    "tied": (lambda: keras.layers.ReversibleEmbedding(9, 5), (7,)),
    "untied": (lambda: keras.layers.ReversibleEmbedding(9, 5, tie_weights=False), (7,)),
    "conv1d": (lambda: keras.layers.Conv1D(4, 2, groups=2), (8, 4)),
    "conv2d": (lambda: keras.layers.Conv2D(3, 2), (8, 8, 4)),
    "conv3d": (lambda: keras.layers.Conv3D(3, 2, use_bias=False), (4, 4, 4, 2)),
}
INTEGER = ["dense", "dense_no_bias", "einsum", "einsum_no_bias", "embedding", "tied", "untied"]


def _einsum(equation, output_shape, **kwargs):
    return keras.layers.EinsumDense(equation, output_shape=output_shape, **kwargs)


def _model(kind):
    make, shape = KERNELS[kind]
    return keras.Sequential([keras.Input(shape), make()])


def _quantize(model, mode):
    if mode.startswith("int4/"):
        size = int(mode.partition("/")[2])
        model.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=size))
    else:
        model.quantize(mode)


def _number(layer):
    """Give every variable a value of its own; returns value -> name."""
    names = {}
    for number, variable in enumerate(layer.weights, start=1):
        variable.assign(np.full(variable.shape, number))
        names[number] = _name(variable)
    return names


def _saved(model, folder):
    """(the layer as read from the config, its stored arrays in order, the path)."""
    path = str(folder / "m.keras")
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        tree = parse_model(json.loads(archive.read("config.json")), Flavor.KERAS3)
        node = next(one for one in tree.children if one.class_name != "InputLayer")
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            (group,) = file["layers"].values()
            stored = [group["vars"][str(i)][()] for i in range(len(group["vars"]))]
    return node, stored, path


MODES = [
    *((kind, mode) for kind in INTEGER for mode in ("int8", "int4", "int4/2", "int4/-1")),
    *((kind, "float8") for kind in INTEGER[:4]),
]


@pytest.mark.parametrize(("kind", "mode"), MODES)
def test_quantized_layers_store_and_load_in_the_orders_told(kind, mode, tmp_path):
    model = _model(kind)
    _quantize(model, mode)
    names = _number(model.layers[0])
    node, stored, path = _saved(model, tmp_path)
    own = catalogue.own_variables(node, Flavor.KERAS3)
    assert [v.name for v in own] == [names[int(array.flat[0])] for array in stored]
    assert all(v.rank in (None, array.ndim) for v, array in zip(own, stored, strict=True))
    # The number of arrays alone tells the names, where the config says nothing of quantization.
    if mode in ("int8", "int4", "float8"):
        silent = type(node)(**{**_fields(node), "config": {**node.config, "dtype": "float32"}})
        if len(own) != len(catalogue.own_variables(silent, Flavor.KERAS3)) and kind != "untied":
            assert catalogue.own_variables(silent, Flavor.KERAS3, len(stored)) == own
    loaded = keras.models.load_model(path, compile=False).layers[0]
    order = catalogue.weights_order(node, Flavor.KERAS3)
    assert [v.name for v in order] == [_name(v) for v in loaded.weights]
    assert [v.trainable for v in order] == [v.trainable for v in loaded.weights]
    assert sum(array.size for array in stored) == loaded.count_params()


def _fields(node):
    return {name: getattr(node, name) for name in node.__slots__}


@pytest.mark.parametrize("kind", INTEGER)
@pytest.mark.parametrize("mode", ["int4", "int4/2", "int4/-1"])
def test_packed_kernels_unpack_as_keras_unpacks_them(kind, mode, tmp_path):
    model = _model(kind)
    _quantize(model, mode)
    node, stored, _ = _saved(model, tmp_path)
    own = catalogue.own_variables(node, Flavor.KERAS3)
    shapes = {v.name: array.shape for v, array in zip(own, stored, strict=True)}
    for variable, array in zip(own, stored, strict=True):
        found = catalogue.unpacked(node, variable.name, array.shape, shapes)
        if variable.name not in ("kernel", "embeddings", "reverse_embeddings"):
            assert found is None
            continue
        shape, axis = found
        values = keras.quantizers.unpack_int4(array, shape[axis], axis=axis)
        assert tuple(values.shape) == shape
        again, *_ = keras.quantizers.pack_int4(np.asarray(values), axis=axis)
        assert np.array_equal(again, array)
    layer = model.layers[0]
    real = {"kernel": "kernel", "embeddings": "embeddings"}.get(own[0].name)
    live = getattr(layer, real)
    assert np.prod(live.shape) == np.prod(catalogue.unpacked(node, real, shapes[real], shapes)[0])


@pytest.mark.parametrize("policy", ["gptq/4/2", "gptq/8/-1", "awq/4/-1"])
@pytest.mark.parametrize("kind", ["dense", "dense_no_bias", "einsum", "einsum_no_bias"])
def test_calibrated_layers_store_no_zero_point_but_have_one(kind, policy, tmp_path):
    make, shape = KERNELS[kind]
    config = {**make().get_config(), "dtype": f"{policy}_from_float32"}
    layer = type(make()).from_config(config)
    model = keras.Sequential([keras.Input(shape), layer])
    names = _number(layer)
    node, stored, _ = _saved(model, tmp_path)
    own = catalogue.own_variables(node, Flavor.KERAS3, len(stored))
    assert own == catalogue.own_variables(node, Flavor.KERAS3)
    assert [v.name for v in own] == [names[int(array.flat[0])] for array in stored]
    order = catalogue.weights_order(node, Flavor.KERAS3)
    assert [v.name for v in order] == [_name(v) for v in layer.weights]
    assert [v.trainable for v in order] == [v.trainable for v in layer.weights]
    assert len(order) == len(own) + 1
    assert len(catalogue.own_variables(node, Flavor.KERAS3, len(order))) == len(order)
    at = [v.name for v in own].index("kernel")
    found = catalogue.unpacked(node, "kernel", stored[at].shape, {})
    if policy.startswith("gptq/8"):
        assert found is None
    else:
        outputs, axis = found[0][0], found[1]
        assert axis == 0
        values = keras.quantizers.unpack_int4(stored[at], outputs, axis=0, dtype="uint8")
        assert tuple(values.shape) == found[0]
        assert outputs == next(w for w in layer.weights if _name(w) == "kernel_scale").shape[0]


ADAPTED = [
    *((kind, None) for kind in KERNELS if kind not in ("untied", "tied")),
    *((kind, mode) for kind in ("dense", "einsum", "embedding") for mode in ("int8", "int4")),
]


@pytest.mark.parametrize(("kind", "mode"), ADAPTED)
def test_lora_matrices_are_made_on_load(kind, mode, tmp_path):
    model = _model(kind)
    if mode:
        model.quantize(mode)
    model.layers[0].enable_lora(2)
    node, stored, path = _saved(model, tmp_path)
    own = catalogue.own_variables(node, Flavor.KERAS3)
    assert len(own) == len(stored)
    loaded = keras.models.load_model(path, compile=False).layers[0]
    order = catalogue.weights_order(node, Flavor.KERAS3)
    assert [v.name for v in order] == [_name(v) for v in loaded.weights]
    shapes = {v.name: array.shape for v, array in zip(own, stored, strict=True)}
    made = catalogue.made_on_load(node, Flavor.KERAS3, shapes)
    # Of a packed einsum kernel only the product of its sides is told.
    live = [(_name(v), int(np.prod(v.shape))) for v in loaded.weights]
    sizes = [(name, int(np.prod(shape))) for name, shape in made]
    assert sizes == [entry for entry in live if entry[0] not in shapes]
    trainable = {v.name: catalogue.trainable_on_load(node, Flavor.KERAS3, v) for v in order}
    assert trainable == {_name(v): v.trainable for v in loaded.weights}
    total = sum(array.size for array in stored) + sum(int(np.prod(shape)) for _, shape in made)
    assert total == loaded.count_params()


def test_quantized_attention_is_told_by_the_number_of_its_arrays(tmp_path):
    """Keras leaves the quantization of the projections out of the attention layer's config."""
    inputs = keras.Input((4, 6))
    attention = keras.layers.MultiHeadAttention(2, 3)
    model = keras.Model(inputs, attention(inputs, inputs))
    model.quantize("int8")
    tree = parse_model(_frame(keras.saving.serialize_keras_object(model)), Flavor.KERAS3)
    node = next(one for one in tree.children if one.class_name == "MultiHeadAttention")
    model.save_weights(str(tmp_path / "m.weights.h5"))
    with h5py.File(tmp_path / "m.weights.h5") as file:
        for inner, live, path in _pairs(node, attention, "layers/multi_head_attention"):
            stored = file[f"{path}/vars"]
            own = catalogue.own_variables(inner, Flavor.KERAS3, len(stored))
            assert len(own) == len(stored)
            if inner.class_name == "EinsumDense":
                assert [v.name for v in own] == ["kernel", "bias", "kernel_scale"]
                assert {v.name for v in own} == {_name(v) for v in live.weights}


LOADED = [
    *((kind, mode) for kind in ("dense", "einsum") for mode in (None, "float8", "lora")),
    *((kind, mode) for kind in ("embedding", "untied") for mode in (None, "int8", "int4")),
    *((kind, mode) for kind in ("dense", "einsum") for mode in ("int8", "int4")),
    ("embedding", "lora"),
]


@pytest.mark.parametrize(("kind", "mode"), LOADED)
def test_names_in_an_h5_of_a_loaded_model(kind, mode, tmp_path):
    model = _model(kind)
    if mode == "lora":
        model.layers[0].enable_lora(2)
    elif mode:
        model.quantize(mode)
    node, _, path = _saved(model, tmp_path)
    loaded = keras.models.load_model(path, compile=False)
    loaded.save(str(tmp_path / "m.h5"))
    with h5py.File(tmp_path / "m.h5") as file:
        names = file["model_weights"][loaded.layers[0].name].attrs["weight_names"]
        stored = [name.rpartition("/")[2] for name in names]
    order = catalogue.weights_order(node, Flavor.KERAS3)
    flags = [catalogue.trainable_on_load(node, Flavor.KERAS3, v) for v in order]
    expected = [v.name for v, flag in zip(order, flags, strict=True) if flag]
    expected += [v.name for v, flag in zip(order, flags, strict=True) if not flag]
    assert stored == expected


def test_operations_own_nothing_whatever_class_they_are_called_after():
    inputs = keras.Input((4,))
    outputs = keras.ops.concatenate([inputs * 2 + inputs, keras.ops.relu(inputs)])[:, :2]
    config = json.loads(keras.Model(inputs, outputs).to_json())
    tree = parse_model(config, Flavor.KERAS3)
    assert len(tree.children) == 6
    assert all(catalogue.own_variables(one, Flavor.KERAS3) == () for one in tree.children)


def test_classes_that_tf_keras_keeps_out_of_its_layers_module():
    from tf_keras.src.layers.kernelized import RandomFourierFeatures
    from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    for layer in (RandomFourierFeatures(5), CuDNNGRU(3), CuDNNLSTM(3)):
        layer.build((None, 5) if isinstance(layer, RandomFourierFeatures) else (None, 4, 5))
        node = Layer("a", "a", type(layer).__name__, config=layer.get_config())
        own = catalogue.own_variables(node, Flavor.TF_KERAS)
        assert [v.name for v in own] == [_name(v) for v in layer.weights]
        assert [v.rank for v in own] == [len(v.shape) for v in layer.weights]
        assert [v.trainable for v in own] == [v.trainable for v in layer.weights]
