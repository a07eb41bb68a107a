"""What a Keras 3 dtype policy says of quantization, in every form that a config has it.

Source: `keras.src.dtype_policies`, keras 3.15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector.model import Layer

_MODES = ("int8", "int4", "float8", "gptq", "awq")


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

    Takes "int8_from_float32", a serialized policy, and a DTypePolicyMap.
    """
    return _parse(_mode_text(_resolve(layer.config.get("dtype"), layer.path)))


def policy_of_child(layer: Layer, name: str) -> Any | None:
    """The dtype policy that `layer` hands to its sub-layer `name`."""
    return _resolve(layer.config.get("dtype"), f"{layer.path}/{name}")


def _resolve(policy: Any, path: str) -> Any | None:
    """The policy itself, or what a DTypePolicyMap has for the layer at `path`.

    Keras takes an exact path, else a key that matches it as a pattern. Keys come from the file, so
    of all patterns only the wildcard ".*" is understood.
    """
    if (
        isinstance(policy, str)
        or not isinstance(policy, Mapping)
        or policy.get("class_name") != "DTypePolicyMap"
    ):
        return policy
    config = policy.get("config")
    if not isinstance(config, Mapping):
        return None
    entries = config.get("policy_map")
    if isinstance(entries, Mapping):
        for same in (str.__eq__, _is_tail, _matches):
            for key, value in entries.items():
                if same(key, path):
                    return value
    return config.get("default_policy")


def _is_tail(key: str, path: str) -> bool:
    """One has names of enclosing models in front that the other lacks."""
    return path.endswith(f"/{key}") or key.endswith(f"/{path}")


def _matches(pattern: str, path: str) -> bool:
    """Whether `path` is `pattern`, whose only special sign is ".*" (linear time)."""
    head, *parts = pattern.split(".*")
    if not parts or not path.startswith(head):
        return False
    at = len(head)
    for part in parts[:-1]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return path.endswith(parts[-1]) and len(path) - len(parts[-1]) >= at


def _mode_text(policy: Any) -> str | None:
    if not isinstance(policy, str) and isinstance(policy, Mapping):
        config = policy.get("config")
        policy = (config.get("mode") or config.get("name")) if isinstance(config, Mapping) else None
    return policy.partition("_from_")[0] if isinstance(policy, str) else None


def _parse(text: str | None) -> Quantization | None:
    """Read "int8", "int4/-1", "int4/128", "gptq/4/128", "awq/4/-1"; None for a float policy."""
    mode, *numbers = (text or "").split("/")
    if mode not in _MODES:
        return None
    values = [int(n) for n in numbers if n.removeprefix("-").isdecimal() and len(n) < 10]
    block = values[-1] if values else -1
    bits = values[0] if mode in ("gptq", "awq") and len(values) > 1 else None
    return Quantization(mode, bits, block if block > 0 else None)
