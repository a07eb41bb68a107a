"""The layers that a Keras layer makes itself: files hold them, its config does not spell them out.

Source: `__init__`, `build` and `_build_from_signature` of keras 3.15 and tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inspector.keras.layers_policy import policy_of_child
from inspector.keras.layers_table import Condition, Config, always, on
from inspector.model import Flavor, Layer


def _bare(_: Config) -> Config:
    return {}


def _same(config: Config) -> Config:
    own = ("name", "trainable", "shared_object_id")
    return {key: value for key, value in config.items() if key not in own}


@dataclass(frozen=True, slots=True)
class _Child:
    """One sub-layer: how the parent holds it, its name and class, its config from the parent's.

    attr: the path component in a store by position, for Keras 3 and for tf_keras.
    """

    attr: Mapping[Flavor, str]
    name: str
    class_name: str
    config: Callable[[Config], Config] = _bare
    when: Condition = always


def _held(attr: str, keras3: str | None = None) -> Mapping[Flavor, str]:
    return {Flavor.TF_KERAS: attr, Flavor.KERAS3: keras3 or attr}


def _cell(class_name: str, name: str) -> tuple[_Child, ...]:
    return (_Child(_held("cell"), name, class_name, _same),)


def _projection(equation: str, heads: str, size: str) -> Callable[[Config], Config]:
    """The EinsumDense of one input: (batch, sequence, features) to (.., heads, size)."""

    def config(parent: Config) -> Config:
        return {
            "equation": equation,
            "output_shape": [None, parent.get(heads), parent.get(size) or parent.get("key_dim")],
            "bias_axes": "de" if parent.get("use_bias", True) else None,
        }

    return config


def _output(parent: Config) -> Config:
    """The EinsumDense back from (.., heads, size) to features."""
    given = parent.get("output_shape")
    features = list(given) if isinstance(given, (list, tuple)) else [given]
    axes = "efghij"[: len(features)]
    return {
        "equation": f"abcd,cd{axes}->ab{axes}",
        "output_shape": [None, *features],
        "bias_axes": axes if parent.get("use_bias", True) else None,
    }


def _attention(
    attrs: Callable[[str], Mapping[Flavor, str]], heads: tuple[str, str], sizes: tuple[str, str]
) -> tuple[_Child, ...]:
    """Query, key, gate, value and output: the order in which the class builds them."""
    into = "abc,cde->abde"
    query, key = (_projection(into, head, sizes[0]) for head in heads)
    value = _projection(into, heads[1], sizes[1])
    return (
        _Child(attrs("query"), "query", "EinsumDense", query),
        _Child(attrs("key"), "key", "EinsumDense", key),
        _Child(_held("_gate_dense"), "gate", "EinsumDense", query, on("use_gate", default=False)),
        _Child(attrs("value"), "value", "EinsumDense", value),
        _Child(attrs("output"), "attention_output", "EinsumDense", _output),
        _Child(_held("_softmax"), "softmax", "Softmax"),
        _Child(_held("_dropout_layer"), "dropout", "Dropout"),
    )


def _image_step(name: str, when: Condition = always) -> _Child:
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return _Child(_held(name), name, class_name, when=when)


def _given(key: str) -> Condition:
    return lambda config: config.get(key) is not None


_AUGMENTATIONS = tuple(
    _image_step(name)
    for name in (
        "random_shear",
        "random_translation",
        "random_rotation",
        "random_brightness",
        "random_color_degeneration",
        "random_contrast",
        "random_sharpness",
        "solarization",
        "random_posterization",
        "auto_contrast",
        "equalization",
    )
)

_CHILDREN: Mapping[str, tuple[_Child, ...]] = {
    "LSTM": _cell("LSTMCell", "lstm_cell"),
    "GRU": _cell("GRUCell", "gru_cell"),
    "SimpleRNN": _cell("SimpleRNNCell", "simple_rnn_cell"),
    **{f"ConvLSTM{n}D": _cell("ConvLSTMCell", "conv_lstm_cell") for n in (1, 2, 3)},
    "MultiHeadAttention": _attention(
        # Keras 3 has a public property for each, and the first name in order is the path.
        lambda which: _held(f"_{which}_dense", f"{which}_dense"),
        ("num_heads", "num_heads"),
        ("key_dim", "value_dim"),
    ),
    "GroupedQueryAttention": _attention(
        lambda which: _held(f"_{which}_dense"),
        ("num_query_heads", "num_key_value_heads"),
        ("head_dim", "head_dim"),
    ),
    "TextVectorization": (_Child(_held("_lookup_layer"), "string_lookup", "StringLookup", _same),),
    "AugMix": _AUGMENTATIONS,
    "RandAugment": _AUGMENTATIONS,
    "RandomColorJitter": tuple(
        _image_step(f"random_{what}", _given(f"{what}_factor"))
        for what in ("brightness", "contrast", "saturation", "hue")
    ),
}


def children_of(layer: Layer, class_name: str, flavor: Flavor) -> tuple[Layer, ...]:
    """The sub-layers that the class (by its usual spelling) makes and `layer.children` lacks."""
    present = {child.attr for child in layer.children}
    made = []
    for child in _CHILDREN.get(class_name, ()):
        attr = child.attr.get(flavor)
        if attr is None or attr in present or not child.when(layer.config):
            continue
        config = dict(child.config(layer.config))
        policy = policy_of_child(layer, child.name)
        if policy is not None:
            config["dtype"] = policy
        made.append(
            Layer(
                path=f"{layer.path}/{child.name}",
                name=child.name,
                class_name=child.class_name,
                attr=attr,
                config=config,
                trainable=layer.trainable,
            )
        )
    return tuple(made)
