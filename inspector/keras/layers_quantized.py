"""Keras 3's quantized and LoRA layers: which mode the config asks for, and what is stored then.

Source: `variable_serialization_spec`, `save_own_variables`, `_*_build` and `enable_lora` of Dense,
EinsumDense, Embedding, ReversibleEmbedding and the convolutions, keras 3.15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from math import prod

from inspector.keras.layers_policy import Quantization, quantization_of
from inspector.keras.layers_table import Variable
from inspector.model import Layer, Role

Shape = tuple[int, ...]

# The variable that quantization replaces, the modes a class has, and the one that LoRA adapts.
_INTEGER = ("int8", "int4")
_MODES: Mapping[str, tuple[str, ...]] = {
    "Dense": (*_INTEGER, "float8", "gptq", "awq"),
    "EinsumDense": (*_INTEGER, "float8", "gptq", "awq"),
    "Embedding": _INTEGER,
    "ReversibleEmbedding": _INTEGER,
}
_ADAPTED: Mapping[str, str] = {
    "Dense": "kernel",
    "EinsumDense": "kernel",
    "Embedding": "embeddings",
    "ReversibleEmbedding": "embeddings",
    **{f"Conv{n}D": "kernel" for n in (1, 2, 3)},
}
_LONGEST_EQUATION = 200  # an einsum has 52 letters for its axes, and names each at most thrice
_KINDS = 256  # of layers of one model: what is told apart is class, bias and mode
_FLOAT8 = tuple(
    Variable(f"{what}_{kind}", Role.QUANT_PARAM, trainable=True, rank=rank, about="kernel")
    for what in ("inputs", "kernel", "outputs_grad")
    for kind, rank in (("scale", 0), ("amax_history", 1))
)


def mode_of(layer: Layer, class_name: str) -> Quantization | None:
    """How the layer is quantized; None where it is not, or its class cannot be."""
    quantization = quantization_of(layer)
    if quantization and quantization.mode in _MODES.get(class_name, ()):
        return quantization
    return None


def _parameter(name: str, about: str, rank: int | None) -> Variable:
    return Variable(name, Role.QUANT_PARAM, trainable=False, rank=rank, about=about)


def _parameters(class_name: str, main: str, how: Quantization) -> Iterator[Variable]:
    """What a mode keeps beside the variable `main`."""
    if how.mode == "float8":
        yield from _FLOAT8
        return
    calibrated = how.mode in ("gptq", "awq")
    grouped = calibrated or how.block is not None
    channel_rank = None if class_name == "EinsumDense" and how.mode == "int8" else 1
    yield _parameter(f"{main}_scale", main, 2 if grouped else channel_rank)
    if grouped:
        own_name = calibrated and class_name == "EinsumDense"
        yield _parameter("zero_point" if own_name else f"{main}_zero", main, 2)
    if how.mode == "awq":
        yield _parameter("awq_scales", main, 1)
    if grouped and main != "reverse_embeddings":
        yield _parameter("g_idx", main, 1)


def _frozen(variable: Variable, how: Quantization) -> Variable:
    """The variable as the mode keeps it: integers are not trained; packed kernels are flat."""
    if how.mode == "float8":
        return variable
    return replace(variable, trainable=False, rank=variable.rank if how.mode == "int8" else 2)


@lru_cache(_KINDS)
def _parts(
    plain: tuple[Variable, ...], class_name: str, how: Quantization
) -> tuple[tuple[Variable, ...], tuple[Variable, ...], tuple[Variable, ...]]:
    """The bias, the quantized variables, and what each of them is read with."""
    bias = tuple(v for v in plain if v.name == "bias")
    mains = [_frozen(v, how) for v in plain if v.name != "bias"]
    first, *others = mains
    rest = [*_parameters(class_name, first.name, how)]
    for other in others:
        rest += [other, *_parameters(class_name, other.name, how)]
    return bias, (first,), tuple(rest)


@lru_cache(_KINDS)
def _stored_order(
    plain: tuple[Variable, ...], class_name: str, how: Quantization
) -> tuple[Variable, ...]:
    bias, main, rest = _parts(plain, class_name, how)
    if how.mode in ("gptq", "awq"):
        return bias + main + rest
    return main + bias + rest


def stored_variables(
    layer: Layer, class_name: str, plain: tuple[Variable, ...], stored: int | None
) -> tuple[Variable, ...]:
    """The layer's variables as a v3 store numbers them. `plain`: those without quantization.

    `stored`, the number of arrays that a file has for the layer, settles what the config leaves
    open. keras 3.15 writes no zero point in the modes gptq and awq, other releases do; and the
    config of an attention layer does not say that its projections were quantized.
    """
    if class_name not in _MODES:
        return plain
    how = mode_of(layer, class_name)
    if how is None:
        return _guessed(plain, class_name, stored)
    order = _stored_order(plain, class_name, how)
    if how.mode in ("gptq", "awq") and len(order) != stored:
        return tuple(v for v in order if v.name not in ("kernel_zero", "zero_point"))
    return order


@lru_cache(_KINDS)
def _guessed(
    plain: tuple[Variable, ...], class_name: str, stored: int | None
) -> tuple[Variable, ...]:
    """The variables by their number alone, where the config tells of no quantization."""
    for guess in (Quantization("int8"), Quantization("int4", block=1), Quantization("float8")):
        order = _stored_order(plain, class_name, guess)
        if guess.mode in _MODES[class_name] and len(order) == stored:
            return order
    return plain


def adapters(layer: Layer, class_name: str) -> tuple[Variable, ...]:
    """The two matrices that `lora_rank` in the config adds."""
    adapted = _ADAPTED.get(class_name)
    if adapted is None or _rank_of(layer) is None:
        return ()
    return tuple(
        Variable(f"lora_{adapted}_{side}", Role.WEIGHT, trainable=True, about=adapted)
        for side in "ab"
    )


def is_adapted(layer: Layer, class_name: str, name: str) -> bool:
    """Whether LoRA freezes the variable `name`."""
    return _rank_of(layer) is not None and _ADAPTED.get(class_name) == name


def _rank_of(layer: Layer) -> int | None:
    rank = layer.config.get("lora_rank")
    return rank if isinstance(rank, int) and rank > 0 else None


def loaded_order(
    layer: Layer, class_name: str, plain: tuple[Variable, ...], *, quantized_later: bool = False
) -> tuple[Variable, ...]:
    """The layer's own variables in the order of `layer.weights` once it is built from its config.

    quantized_later: instead once it was built in float and then quantized. Trainable ones come
    first, in the order of `build`; a kernel that LoRA froze keeps its place.
    """
    lora = adapters(layer, class_name)
    how = mode_of(layer, class_name)
    if how is None:
        return plain + lora
    bias, main, rest = _parts(plain, class_name, how)
    if how.mode == "float8":
        return main + bias + rest + lora if quantized_later else rest + main + bias + lora
    return bias + lora + main + rest


def adapter_shapes(
    layer: Layer, class_name: str, shapes: Mapping[str, Shape]
) -> tuple[tuple[str, Shape], ...]:
    """(name, shape) of the LoRA matrices that a file does not store; they are trainable.

    Kernel (.., out): a is (.., rank), b is (rank, out). Empty too where the kernel's own shape
    cannot be told.
    """
    rank = _rank_of(layer)
    names = [v.name for v in adapters(layer, class_name)]
    if rank is None or not names or names[0] in shapes:
        return ()
    shape = _logical(layer, class_name, _ADAPTED[class_name], shapes)
    if not shape:
        return ()
    return ((names[0], (*shape[:-1], rank)), (names[1], (rank, shape[-1])))


def _logical(layer: Layer, class_name: str, name: str, shapes: Mapping[str, Shape]) -> Shape | None:
    """A variable's shape as the layer sees it, up to the split of all its axes but the last."""
    stored = shapes.get(name)
    how = mode_of(layer, class_name)
    if stored is None or how is None or how.mode in ("int8", "float8"):
        return stored
    packing = _packing(layer, class_name, name, how, shapes)
    if packing is None or len(stored) != 2:
        return None
    # `stored` may be unpacked already.
    axis, size = packing
    if stored[axis] not in (size, (size + 1) // 2):
        return None
    shape = (*stored[:axis], size, *stored[axis + 1 :])
    if class_name != "EinsumDense":
        return shape
    # An int4 kernel is kept flat, (reduced, kept): its last axis is one of the kept.
    last = _einsum_sizes(layer)[-1:]
    total = prod(shape)
    return (total // last[0], last[0]) if last and last[0] and total % last[0] == 0 else None


def _einsum_sizes(layer: Layer) -> tuple[int, ...]:
    """Sizes of the kernel's axes that an EinsumDense keeps in its output; () where unknown."""
    equation, given = layer.config.get("equation"), layer.config.get("output_shape")
    if not isinstance(equation, str) or len(equation) > _LONGEST_EQUATION or given is None:
        return ()
    inputs, _, output = equation.replace(" ", "").replace("...", "").partition("->")
    data, _, kernel = inputs.partition(",")
    sizes = list(given) if isinstance(given, (list, tuple)) else [given]
    size_of = dict(zip(reversed(output), reversed(sizes), strict=False))
    found = [size_of.get(label) for label in kernel if label in output and label not in data]
    return tuple(n for n in found if isinstance(n, int)) if None not in found else ()


def unpacked_shape(
    layer: Layer,
    class_name: str,
    name: str,
    stored: Shape,
    shapes: Mapping[str, Shape],
) -> tuple[Shape, int] | None:
    """For a variable kept two values a byte: its logical shape, and the axis that is halved.

    The size of that axis is the config's, else that of the scales (`shapes`). None where the
    variable is not packed, or its size cannot be told: keras 3.11 and 3.12 packed Dense and
    EinsumDense along the input, whose size no config of a layer has.
    """
    how = mode_of(layer, class_name)
    if how is None or len(stored) != 2:
        return None
    packing = _packing(layer, class_name, name, how, shapes)
    if packing is None or (packing[1] + 1) // 2 != stored[packing[0]]:
        return None
    axis, size = packing
    return (*stored[:axis], size, *stored[axis + 1 :]), axis


def _packing(
    layer: Layer, class_name: str, name: str, how: Quantization, shapes: Mapping[str, Shape]
) -> tuple[int, int] | None:
    """The axis along which the variable is packed, and the size of that axis unpacked."""
    if name == "reverse_embeddings" and how.mode == "int4":
        axis, size = 0, layer.config.get("output_dim")
    elif name == "embeddings" and how.mode == "int4":
        axis, size = 1, layer.config.get("output_dim")
    elif name == "kernel" and (how.mode in ("int4", "awq") or how.bits == 4):
        # gptq and awq keep the kernel transposed: (out, in).
        axis, size = int(how.mode == "int4"), _outputs(layer, class_name, how, shapes)
    else:
        return None
    return (axis, size) if isinstance(size, int) else None


def _outputs(
    layer: Layer, class_name: str, how: Quantization, shapes: Mapping[str, Shape]
) -> int | None:
    """Number of columns of the unpacked kernel."""
    if class_name == "Dense":
        units = layer.config.get("units")
        return units if isinstance(units, int) else None
    sizes = _einsum_sizes(layer)
    if sizes:
        return prod(sizes)
    scale = shapes.get("kernel_scale")
    if not scale:
        return None
    return scale[-1] if how.mode == "int4" else scale[0]
