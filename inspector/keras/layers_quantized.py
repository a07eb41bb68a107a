"""Keras 3's quantized and LoRA layers: which mode the config asks for, and what is stored then.

Source: `variable_serialization_spec`, `save_own_variables`, `_*_build` and `enable_lora` of Dense,
EinsumDense, Embedding, ReversibleEmbedding and the convolutions, and `dtype_policies`, keras 3.15.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector.keras.layers_table import Variable
from inspector.model import Layer, Role

_MODES = ("int8", "int4", "float8", "gptq", "awq")
_UNGROUPED = (None, -1)


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a layer is quantized.

    mode: "int8", "int4", "float8", "gptq" or "awq".
    bits: of a weight, for gptq (awq is always 4).
    block: number of weights that share a scale, None where a whole channel does.
    """

    mode: str
    bits: int | None = None
    block: int | None = None


def quantization_of(layer: Layer) -> Quantization | None:
    """The quantization that the layer's dtype policy asks for; None where it asks for none.

    Takes every form that a config has: "int8_from_float32", a serialized policy, a DTypePolicyMap.
    """
    policy = layer.config.get("dtype")
    if isinstance(policy, Mapping) and policy.get("class_name") == "DTypePolicyMap":
        policy = _from_map(policy, layer.path)
    return _parse(_mode_text(policy))


def policy_of_child(layer: Layer, name: str) -> Any | None:
    """The dtype policy that `layer` hands to its sub-layer `name`."""
    policy = layer.config.get("dtype")
    if isinstance(policy, Mapping) and policy.get("class_name") == "DTypePolicyMap":
        return _from_map(policy, f"{layer.path}/{name}")
    return policy


def _from_map(policy: Mapping[str, Any], path: str) -> Any | None:
    """The policy that a DTypePolicyMap has for a layer's path.

    Keras takes an exact path, else a key that matches it whole as a pattern. Keys come from the
    file, so they are compared as text: exactly, or by the wildcard ".*" alone.
    """
    config = policy.get("config")
    entries = config.get("policy_map") if isinstance(config, Mapping) else None
    if isinstance(entries, Mapping):
        for key, value in entries.items():
            # A layer's path in the live model may have its models' names in front.
            if path == key or path.endswith(f"/{key}") or key.endswith(f"/{path}"):
                return value
        for key, value in entries.items():
            if ".*" in key and _matches(key, path):
                return value
    return config.get("default_policy") if isinstance(config, Mapping) else None


def _matches(pattern: str, path: str) -> bool:
    """Whether `path` is `pattern`, whose only special sign is ".*" (linear time)."""
    head, *rest = pattern.split(".*")
    if not path.startswith(head):
        return False
    at = len(head)
    for part in rest[:-1]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return path.endswith(rest[-1]) and len(path) - len(rest[-1]) >= at


def _mode_text(policy: Any) -> str | None:
    if isinstance(policy, str):
        return policy.partition("_from_")[0]
    if isinstance(policy, Mapping):
        config = policy.get("config")
        if isinstance(config, Mapping):
            mode = config.get("mode") or config.get("name")
            return mode.partition("_from_")[0] if isinstance(mode, str) else None
    return None


def _parse(text: str | None) -> Quantization | None:
    """ "int8", "int4/-1", "int4/128", "gptq/4/128", "awq/4/-1"; None for a float policy."""
    if text is None:
        return None
    mode, *numbers = text.split("/")
    if mode not in _MODES:
        return None
    values = [int(n) for n in numbers if re.fullmatch(r"-?\d{1,9}", n)]
    block = values[-1] if values else None
    bits = values[0] if mode in ("gptq", "awq") and len(values) > 1 else None
    return Quantization(mode, bits, None if block in _UNGROUPED else block)


def _parameter(name: str, about: str, rank: int | None, *, trainable: bool = False) -> Variable:
    return Variable(name, Role.QUANT_PARAM, trainable, rank, about)


def _kernel(name: str = "kernel", rank: int | None = None) -> Variable:
    return Variable(name, Role.WEIGHT, trainable=False, rank=rank)


_G_IDX = _parameter("g_idx", "kernel", 1)
_FLOAT8 = tuple(
    _parameter(f"{what}_{kind}", "kernel", rank, trainable=True)
    for what in ("inputs", "kernel", "outputs_grad")
    for kind, rank in (("scale", 0), ("amax_history", 1))
)
