"""The variables of Keras' built-in layers, as data: Keras 2 (and tf_keras) and Keras 3.

Source: the `build` methods and `save_own_variables` of keras 3.15 and tf_keras 2.21; beside them
the spellings of older releases. A row is a variable and the config that makes the layer create it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inspector.model import Role

Config = Mapping[str, Any]
Condition = Callable[[Config], bool]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a layer class owns.

    name: the variable's own name ("kernel", "moving_mean", "kernel_scale").
    trainable: while its layer is trainable.
    rank: number of dimensions, where the class fixes it.
    about: the variable that this one serves or repeats ("kernel" for kernel_scale).
    counted: False where count_params does not count it: it repeats another layer's variable, or the
        layer stores it without having it among its weights.
    """

    name: str
    role: Role
    trainable: bool
    rank: int | None = None
    about: str | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A variable, when the layer has it, and whether it is then among `layer.weights`."""

    variable: Variable
    when: Condition
    in_weights: bool = True


def on(key: str, *, default: bool) -> Condition:
    """The config's flag `key` is set."""
    return lambda config: bool(config.get(key, default))


def equals(key: str, value: str) -> Condition:
    """The config says `value` for `key`."""
    return lambda config: config.get(key) == value


def always(_: Config) -> bool:
    """The layer has the variable whatever its config says."""
    return True


def weight(name: str, rank: int | None = None, when: Condition = always) -> Row:
    """A trainable variable."""
    return Row(Variable(name, Role.WEIGHT, trainable=True, rank=rank), when)


def statistic(name: str, rank: int | None = None, when: Condition = always) -> Row:
    """A variable that training measures and inference uses."""
    return Row(Variable(name, Role.STATISTIC, trainable=False, rank=rank), when)


_HAS_BIAS = on("use_bias", default=True)
_SCALED = on("scale", default=True)
_CENTERED = on("center", default=True)


def _gives_no_mean(config: Config) -> bool:
    return config.get("mean") is None


def _not_rms(config: Config) -> bool:
    return not config.get("rms_scaling", False)


def _bias_axes(config: Config) -> bool:
    return config.get("bias_axes") is not None


_BIAS = weight("bias", 1, _HAS_BIAS)
_NORM = (weight("gamma", when=_SCALED), weight("beta", when=_CENTERED))
_RENORM = on("renorm", default=False)


def _conv(spatial: int) -> tuple[Row, ...]:
    return (weight("kernel", spatial + 2), _BIAS)


def _depthwise(spatial: int, name: str) -> tuple[Row, ...]:
    return (weight(name, spatial + 2), _BIAS)


def _separable(spatial: int) -> tuple[Row, ...]:
    rank = spatial + 2
    return (weight("depthwise_kernel", rank), weight("pointwise_kernel", rank), _BIAS)


def _cell(kernel_rank: int | None, bias_rank: int | None) -> tuple[Row, ...]:
    return (
        weight("kernel", kernel_rank),
        weight("recurrent_kernel", kernel_rank),
        weight("bias", bias_rank, _HAS_BIAS),
    )


_DENSE = (weight("kernel", 2), _BIAS)
_LSTM_CELL = _cell(2, 1)
_GRU_CELL = _cell(2, None)  # the bias is (2, 3 * units) with reset_after, else (3 * units,)
_TF_IDF = equals("output_mode", "tf_idf")


def _lookups(own: Row) -> dict[str, tuple[Row, ...]]:
    """The lookup layers: vocabularies are assets, idf weights a variable."""
    name = own.variable.name
    about = f"_lookup_layer/{name}"
    again = replace(own.variable, role=Role.ALIAS, about=about, counted=False)
    return {
        "StringLookup": (own,),
        "IntegerLookup": (own,),
        # It stores the variable of its StringLookup as its own too.
        "TextVectorization": (Row(again, own.when, in_weights=False),),
    }


_IDF = statistic("idf_weights", 1, _TF_IDF)
_IDF_APART = Row(replace(_IDF.variable, counted=False), _TF_IDF, in_weights=False)
_BATCH_NORM = (
    *_NORM,
    statistic("moving_mean"),
    statistic("moving_variance"),
    statistic("moving_stddev", when=_RENORM),
    statistic("renorm_mean", when=_RENORM),
    statistic("renorm_stddev", when=_RENORM),
)


def _embeds(config: Config) -> bool:
    inner = config.get("layer")
    return isinstance(inner, Mapping) and inner.get("class_name") == "Embedding"


def _repeated(name: str, when: Condition) -> Row:
    about = f"layer/{name}"
    return Row(Variable(name, Role.ALIAS, trainable=True, about=about, counted=False), when)


_SPECTRAL_NORM = (
    # The wrapper holds its layer's kernel as an attribute of its own, so a store by position has
    # it in both places.
    _repeated("kernel", lambda config: not _embeds(config)),
    _repeated("embeddings", _embeds),
    statistic("vector_u", 2),
)

# Classes that make the same variables in Keras 2 and in Keras 3.
_BOTH: dict[str, tuple[Row, ...]] = {
    "Dense": _DENSE,
    "EinsumDense": (weight("kernel"), weight("bias", when=_bias_axes)),
    "Embedding": (weight("embeddings", 2),),
    **{f"Conv{n}D": _conv(n) for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _conv(n) for n in (1, 2, 3)},
    **{f"SeparableConv{n}D": _separable(n) for n in (1, 2)},
    "SimpleRNNCell": _LSTM_CELL,
    "LSTMCell": _LSTM_CELL,
    "GRUCell": _GRU_CELL,
    "ConvLSTMCell": _cell(None, 1),
    "BatchNormalization": _BATCH_NORM,
    "LayerNormalization": (
        weight("gamma", when=_SCALED),
        weight("beta", when=lambda config: _CENTERED(config) and _not_rms(config)),
    ),
    "GroupNormalization": (
        weight("gamma", 1, _SCALED),
        weight("beta", 1, _CENTERED),
    ),
    "Normalization": tuple(
        statistic(name, rank, _gives_no_mean)
        for name, rank in (("mean", None), ("variance", None), ("count", 0))
    ),
    "SpectralNormalization": _SPECTRAL_NORM,
    "PReLU": (weight("alpha"),),
    "Attention": (
        weight("scale", 0, on("use_scale", default=False)),
        weight("concat_score_weight", 0, equals("score_mode", "concat")),
    ),
    "AdditiveAttention": (weight("scale", 1, on("use_scale", default=True)),),
}

_KERAS3: dict[str, tuple[Row, ...]] = {
    **{f"DepthwiseConv{n}D": _depthwise(n, "kernel") for n in (1, 2)},
    "RMSNormalization": (weight("scale"),),
    "ReversibleEmbedding": (
        weight("embeddings", 2),
        weight("reverse_embeddings", 2, lambda config: not config.get("tie_weights", True)),
    ),
    "Discretization": (),
    **_lookups(_IDF_APART),
    "STFTSpectrogram": (weight("real_kernel", 3), weight("imag_kernel", 3)),
}

_TF_KERAS: dict[str, tuple[Row, ...]] = {
    **{f"DepthwiseConv{n}D": _depthwise(n, "depthwise_kernel") for n in (1, 2)},
    **_lookups(_IDF),
    "Discretization": (statistic("summary", 2, lambda config: not config.get("bin_boundaries")),),
    "RandomFourierFeatures": (
        weight("kernel_scale", 1),
        statistic("unscaled_kernel", 2),
        statistic("bias", 1),
    ),
    "LocallyConnected1D": (weight("kernel"), weight("bias", 2, _HAS_BIAS)),
    "LocallyConnected2D": (weight("kernel"), weight("bias", 3, _HAS_BIAS)),
    # cuDNN keeps one bias for the input and one for the state: 6 * units and 8 * units values.
    "CuDNNGRU": tuple(replace(row, when=always) for row in _cell(2, 1)),
    "CuDNNLSTM": tuple(replace(row, when=always) for row in _cell(2, 1)),
    **{f"ConvLSTM{n}DCell": _cell(n + 2, 1) for n in (1, 2, 3)},
}

# Other spellings of the classes above, as old configs and module paths write them.
SPELLINGS: Mapping[str, str] = {
    **{f"Convolution{n}D": f"Conv{n}D" for n in (1, 2, 3)},
    **{f"Convolution{n}DTranspose": f"Conv{n}DTranspose" for n in (1, 2, 3)},
    **{f"Deconvolution{n}D": f"Conv{n}DTranspose" for n in (2, 3)},
    **{f"Deconv{n}D": f"Conv{n}DTranspose" for n in (2, 3)},
    **{f"SeparableConvolution{n}D": f"SeparableConv{n}D" for n in (1, 2)},
    **{f"DepthwiseConvolution{n}D": f"DepthwiseConv{n}D" for n in (1, 2)},
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "FusedBatchNormalization": "BatchNormalization",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMCellV2": "LSTMCell",
    "GRUCellV2": "GRUCell",
    "ConvLSTM2DV2": "ConvLSTM2D",
    "GroupQueryAttention": "GroupedQueryAttention",
    "NormalizationV1": "Normalization",
    **{f"AtrousConvolution{n}D": f"Conv{n}D" for n in (1, 2)},
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _dims(patterns: str) -> frozenset[str]:
    return frozenset(pattern.replace("#", n) for pattern in patterns.split() for n in "123")


# Layers that own nothing that a file of weights stores. (The seed state of the random ones is a
# variable, but no file of Keras 2 or Keras 3 holds it; checkpoints and SavedModels may.)
WEIGHTLESS: frozenset[str] = _words(
    """
        Activation ActivityRegularization Add Average Concatenate Dot Dropout ELU Flatten
        AlphaDropout GaussianDropout GaussianNoise Identity InputLayer Lambda Layer LeakyReLU
        Masking Maximum Minimum Multiply Permute RNN ReLU RepeatVector Rescaling Reshape Resizing
        Softmax StackedRNNCells Subtract TimeDistributed UnitNormalization Wrapper Bidirectional
        LSTM GRU SimpleRNN MultiHeadAttention CategoryEncoding CenterCrop Hashing
        HashedCrossing ThresholdedReLU
        RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation
        RandomTranslation RandomWidth RandomZoom SeedGenerator
        Sequential Functional Model Graph Network Container
        """
) | _dims(
    "AveragePooling#D AvgPool#D MaxPooling#D MaxPool#D GlobalAveragePooling#D "
    "GlobalAvgPool#D GlobalMaxPooling#D GlobalMaxPool#D UpSampling#D ZeroPadding#D "
    "Cropping#D SpatialDropout#D ConvLSTM#D"
)
_WEIGHTLESS_KERAS3: frozenset[str] = _words(
    """
    AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
    GroupedQueryAttention MaxNumBoundingBoxes MelSpectrogram MixUp Pipeline RandAugment
    RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomErasing
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
    RandomPosterization RandomSaturation RandomSharpness RandomShear Solarization
    """
) | _dims("AdaptiveAveragePooling#D AdaptiveMaxPooling#D")
_WEIGHTLESS_TF_KERAS: frozenset[str] = _words(
    """
    AbstractRNNCell DeviceWrapper DropoutWrapper Merge PreprocessingLayer
    ResidualWrapper TFOpLambda SlicingOpLambda TensorFlowOpLayer
    ClassMethod InstanceMethod InstanceProperty
    """
)

# Layers whose variables foreign code or feature columns make: the class alone does not tell them.
OPAQUE: frozenset[str] = frozenset(
    (
        "DenseFeatures",
        "DynamicEmbedding",
        "DynamicLookup",
        "FlaxLayer",
        "JaxLayer",
        "KerasLayer",
        "SequenceFeatures",
        "TFSMLayer",
        "TorchModuleWrapper",
    )
)

KERAS3: Mapping[str, tuple[Row, ...]] = {
    **dict.fromkeys(WEIGHTLESS | _WEIGHTLESS_KERAS3, ()),
    **_BOTH,
    **_KERAS3,
}
TF_KERAS: Mapping[str, tuple[Row, ...]] = {
    **dict.fromkeys(WEIGHTLESS | _WEIGHTLESS_TF_KERAS, ()),
    **_BOTH,
    **_TF_KERAS,
}
