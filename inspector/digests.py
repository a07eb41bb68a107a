"""Digests: of a tensor's values, of a file, of all that an artifact holds, of a layer's config.

All are SHA-256, written "sha256:" and 64 hexadecimal digits. That of values is the same however and
wherever they are stored, so two files with the same weights are told without having them at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector import filesystem
from inspector.errors import ArtifactError
from inspector.keras.config import SHARED_ID
from inspector.limits import DEFAULT, MIB, Limits
from inspector.model import Artifact, Layer, Role, Tensor, Verdict

_OF_GRAPHS = frozenset({Role.ACTIVATION, Role.CONSTANT})
_STEP = 1 * MIB  # bytes of a file read at once


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one artifact: of its tensors by name, and of all of them together.

    None where there is nothing to make one of, or it could not be read.
    """

    tensors: Mapping[str, str | None]
    content: str | None


def values_digests(
    artifact: Artifact, verdicts: Mapping[str, Verdict], tensors: Mapping[str, str | None]
) -> Digests:
    """All digests of values. tensors: that of each, by name."""
    texts = {
        t.name: _stored(t) for t in artifact.tensors if t.dtype == "string" and t.payload is None
    }
    return Digests(tensors, content_digest(artifact, verdicts, {**tensors, **texts}))


def tensor_digest(tensor: Tensor, limits: Limits = DEFAULT) -> str | None:
    """Of the values in C order, little-endian: of `numpy.ascontiguousarray(x).tobytes()`.

    int4 and the like take a byte a value, as ml_dtypes has them. Of strings it is each one's length
    (8 bytes, little-endian), then its bytes. None without values, and for values that are nowhere
    in the file and would take more than limits.bomb_bytes. Raises ArtifactError.
    """
    from inspector.value_digest import ValueDigest, is_endless

    payload = tensor.payload
    if payload is None or is_endless(tensor, limits):
        return None
    digest = ValueDigest(tensor)
    for block in payload.blocks(limits.slice_bytes):
        digest.add(block)
    return digest.spelled()


def file_digest(path: str) -> str:
    """Of a file's bytes, read a part at a time. Raises NotFound, ArtifactError."""
    state = hashlib.sha256()
    with filesystem.opened(path) as file:
        file.expect([(0, file.size)])
        for start in range(0, file.size, _STEP):
            state.update(file.view(start, min(_STEP, file.size - start)))
    return _spelled(state)


def _stored(tensor: Tensor) -> str | None:
    """Of the bytes that hold texts of which nothing reads the values: TensorFlow writes one way."""
    state = hashlib.sha256()
    try:
        for extent in tensor.extents:
            with filesystem.opened(extent.file) as file:
                for start in range(0, extent.length, _STEP):
                    size = min(_STEP, extent.length - start)
                    state.update(file.view(extent.offset + start, size))
    except ArtifactError:
        return None
    return _spelled(state) if tensor.extents else None


def content_digest(
    artifact: Artifact, verdicts: Mapping[str, Verdict], digests: Mapping[str, str | None]
) -> str | None:
    """Of all tensors: role, layer, variable, what they serve, dtype, shape, values, and scales.

    It is the same for two files that say the same, however they store it: in which order, chunks
    and compression, at which date. Not in it are copies that hold what the first of them holds
    (formats store more or fewer of them; a copy that differs is in it, since it is what Keras would
    load), configs, and graphs with their constants and what they make. A tensor goes by its layer's
    and variable's name, where no other one has the same, else by its own.
    digests: by name, as of `tensor_digest`. None where the values of one have none.
    """
    counted = [tensor for tensor in artifact.tensors if _is_content(tensor, verdicts, digests)]
    by_name = {tensor.name: tensor for tensor in artifact.tensors}
    called = {tensor.name: _called(tensor, verdicts, by_name) for tensor in counted}
    many = Counter(called.values())
    lines = []
    for tensor in counted:
        digest = digests.get(tensor.name)
        if digest is None and tensor.elements:
            return None
        name = called[tensor.name]
        if many[name] > 1:
            name = (*name, tensor.name)
        shape = None if tensor.shape is None else list(tensor.shape)
        lines.append(_canonical([*name, tensor.dtype, shape, digest, *_steps(tensor)]))
    return _spelled(hashlib.sha256("\n".join(sorted(lines)).encode()))


def _is_content(
    tensor: Tensor, verdicts: Mapping[str, Verdict], digests: Mapping[str, str | None]
) -> bool:
    verdict = verdicts[tensor.name]
    if verdict.role in _OF_GRAPHS:
        return False
    original = digests.get(verdict.alias_of or "")
    return original is None or original != digests.get(tensor.name)


def _called(
    tensor: Tensor, verdicts: Mapping[str, Verdict], by_name: Mapping[str, Tensor]
) -> tuple[str | None, ...]:
    """(role, layer, variable or name, those of what it serves)."""
    verdict = verdicts[tensor.name]
    served = by_name.get(verdict.about or tensor.slot_of or "")
    about = (None, None) if served is None else (served.layer, served.variable or served.name)
    return verdict.role.value, tensor.layer, tensor.variable or tensor.name, *about


def _steps(tensor: Tensor) -> list[Any]:
    """The scales and zero points of integers that stand for real values, each once."""
    real, axis = tensor.real, tensor.quantized.axis if tensor.quantized else None
    if real is None:
        return []
    sides = enumerate(tensor.shape or ())
    steps = real.steps(tuple(slice(0, side if at == axis else min(side, 1)) for at, side in sides))
    return [numbers.reshape(-1).tolist() for numbers in steps]


def config_digest(layer: Layer, *inside: Layer) -> str:
    """Of a layer's own config (and those of layers inside it), as JSON with its keys in order."""
    configs = [own_config(one) for one in (layer, *inside)]
    return _spelled(hashlib.sha256(_canonical(configs if inside else configs[0]).encode()))


def own_config(layer: Layer) -> dict[str, Any]:
    """A layer's config without its name, and of the layers inside it with no more than the class.

    A model's list of layers is left out. So are Keras' marks of what is shared, which are numbered
    anew each time.
    """
    inside = {(child.class_name, child.name) for child in layer.children}

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            config = value.get("config")
            if isinstance(config, Mapping):
                name = config.get("name", value.get("name"))
                if (value.get("class_name"), name) in inside:
                    return {"class_name": value["class_name"]}
            return {key: without(one) for key, one in value.items() if key != SHARED_ID}
        return [without(one) for one in value] if isinstance(value, list | tuple) else value

    left_out = {SHARED_ID, "name", *(["layers"] if layer.is_model else [])}
    return {key: without(value) for key, value in layer.config.items() if key not in left_out}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _spelled(state: Any) -> str:
    return f"sha256:{state.hexdigest()}"
