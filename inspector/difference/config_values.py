"""Values of Keras configs: what means the same is the same, however it was spelled.

Sources: keras.saving.serialization_lib and keras.src.legacy.saving of keras 3.15, tf_keras 2.21's
`serialize_keras_object` and `saving/legacy/saved_model/json_utils.py`.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from inspector.difference.nouns import Subject
from inspector.keras.config import SHARED_ID, snake_case
from inspector.limits import DEFAULT

# Objects that only wrap a value -> where in them it is.
_WRAPPED: Mapping[str, tuple[str, ...]] = {
    "__tuple__": ("items",),
    "TensorShape": ("items",),
    "ListWrapper": ("items",),
    "function": ("config",),
    "DTypePolicy": ("config", "name"),
    "FloatDTypePolicy": ("config", "name"),
    "Policy": ("config", "name"),
    "PolicyV1": ("config", "name"),
    # tfmot puts it around a layer's own activation while it trains for quantization.
    "QuantizeAwareActivation": ("config", "activation"),
}
# Before 2.3, Keras wrote the general initializer for each of these.
_VARIANCE_SCALING: Mapping[tuple[Any, ...], str] = {
    (1, "fan_avg", "uniform"): "GlorotUniform",
    (1, "fan_avg", "normal"): "GlorotNormal",
    (2, "fan_in", "uniform"): "HeUniform",
    (2, "fan_in", "normal"): "HeNormal",
    (1, "fan_in", "uniform"): "LecunUniform",
    (1, "fan_in", "normal"): "LecunNormal",
}
# One key under the name that Keras 3 has for it.
_KEYS: Mapping[str, str] = {"batch_input_shape": "batch_shape"}
# What marks an object in one file and says nothing of the model.
_MARKS = frozenset({SHARED_ID})
# Keys whose value counts axes: Keras 2 counts them from the front, Keras 3 as they were given.
_AXES = frozenset({"axis", "axes"})
# Words that one line of Keras has for what another calls otherwise.
_SYNONYMS: Mapping[str, str] = {
    "auto": "sum_over_batch_size",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
}
_DEEP = "... nested too deep to compare"
_KEPT = 400  # characters of a value in the report
_SAID = 60  # characters of a value in a sentence
_LED = 20  # of those, before the first that differs


class Writers(enum.Enum):
    """What wrote the two: how far a key that only one has tells a difference."""

    SAME = "same"  # it does
    VERSIONS = "versions"  # it need not: the other may have had it without a name
    FLAVORS = "flavors"  # it does not


class Difference(NamedTuple):
    """A value that is not the same. key: "kernel_initializer.config.seed"."""

    key: str
    a: Any
    b: Any
    counts: bool = True
    lacks: str | None = None  # the side that does not have the key: "A" or "B"


def writers_of(a: Subject, b: Subject) -> Writers:
    """How alike the two packages are that wrote the configs."""
    ours, theirs = a.artifact, b.artifact
    if ours.flavor is not theirs.flavor:
        return Writers.FLAVORS
    named = [p and (p.name, p.version) for p in (ours.producer, theirs.producer)]
    return Writers.SAME if named[0] == named[1] else Writers.VERSIONS


def normal(value: Any, depth: int = 0) -> Any:
    """A value without the frames and marks that differ between files: plain JSON.

    An object keeps its class and its config: {"class_name": "HeNormal", "config": {"seed": 3}}.
    """
    if depth > DEFAULT.depth:
        return _DEEP
    if isinstance(value, Mapping):
        if isinstance(value.get("class_name"), str):
            return _object(value, depth)
        return {
            _KEYS.get(key, key): normal(one, depth + 1)
            for key, one in value.items()
            if key not in _MARKS
        }
    if isinstance(value, (list, tuple)):
        return [normal(one, depth + 1) for one in value]
    return value


def _object(node: Mapping[str, Any], depth: int) -> Any:
    class_name = unpackaged(node["class_name"])
    where = _WRAPPED.get(class_name)
    if where is not None:
        found: Any = node
        for key in where:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is not None:
            inner = normal(found, depth + 1)
            return unpackaged(inner) if class_name == "function" else inner
    config = normal(node["config"], depth + 1) if "config" in node else None
    if class_name == "VarianceScaling" and isinstance(config, dict):
        mode = tuple(config.get(key) for key in ("scale", "mode", "distribution"))
        distribution = str(mode[2]).removeprefix("truncated_")
        known = _VARIANCE_SCALING.get((*mode[:2], distribution)) if _hashable(mode) else None
        if known is not None:
            class_name, config = known, {"seed": config.get("seed")}
    if "config" in node:
        return {"class_name": class_name, "config": config}
    rest = {k: normal(v, depth + 1) for k, v in node.items() if k not in _MARKS}
    return {**rest, "class_name": class_name}


def _hashable(values: tuple[Any, ...]) -> bool:
    return not any(isinstance(one, (list, dict)) for one in values)


def unpackaged(name: Any) -> Any:
    """A registered name without its package: "Custom>Adam" is "Adam"."""
    return name.rpartition(">")[2] if isinstance(name, str) else name


def differences(a: Any, b: Any, writers: Writers, key: str = "") -> Iterator[Difference]:
    """What differs between two normal values, down to the single one."""
    if isinstance(a, dict) and isinstance(b, dict):
        if _class_name(a) != _class_name(b):
            yield Difference(key, a, b)
            return
        for name in dict.fromkeys((*a, *b)):
            inner = f"{key}.{name}" if key else name
            if name in a and name in b:
                yield from differences(a[name], b[name], writers, inner)
            elif _tells(writers, (a | b)[name]):
                lacks = "B" if name in a else "A"
                counts = writers is Writers.SAME
                yield Difference(inner, a.get(name), b.get(name), counts, lacks)
    elif isinstance(a, list) and isinstance(b, list) and _has_objects(a, b):
        for at, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from differences(one, other, writers, f"{key}[{at}]")
    elif not _same(a, b, writers, key.rpartition(".")[2]):
        yield Difference(key, a, b)


def _tells(writers: Writers, value: Any) -> bool:
    """Whether a key that only one has says something: none is what a key that is not there says."""
    return (
        value is not None
        if writers is Writers.SAME
        else writers is Writers.VERSIONS and bool(value)
    )


def _class_name(value: dict[str, Any]) -> str | None:
    found = value.get("class_name")
    return found if isinstance(found, str) else None


def _has_objects(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and any(isinstance(one, dict) for one in (*a, *b))


def _same(a: Any, b: Any, writers: Writers, key: str) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return False
        return all(_same(one, other, writers, key) for one, other in zip(a, b, strict=True))
    if writers is not Writers.SAME:
        if isinstance(a, list) or isinstance(b, list):  # one value, or a list of it
            a, b = (one if isinstance(one, list) else [one] for one in (a, b))
            return _same(a, b, writers, key)
        a, b = _spelled(a, b), _spelled(b, a)
        if key in _AXES and _is_integer(a) and _is_integer(b) and min(a, b) < 0 <= max(a, b):
            return True  # what -1 stands for only the rank of the layer's input tells
    if isinstance(a, float) or isinstance(b, float):
        return _same_number(a, b)
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _spelled(value: Any, other: Any) -> Any:
    """A word by its usual spelling; an object as one, where the other has only a word."""
    if isinstance(value, dict) and isinstance(other, str) and "class_name" in value:
        value = snake_case(str(value["class_name"]))
    return _SYNONYMS.get(value.lower(), value) if isinstance(value, str) else value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _same_number(a: Any, b: Any) -> bool:
    """Keras reads some settings back from float32 variables: 0.001 is 0.0010000000474974513."""
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (a, b)):
        return False
    try:
        return math.isclose(a, b, rel_tol=2**-24) or (math.isnan(a) and math.isnan(b))
    except OverflowError:  # an integer past what a float can be
        return False


def kept(value: Any) -> Any:
    """The value for the report: as it is, or as words where it is long."""
    return value if len(text_of(value)) <= _KEPT else said(value)


def text_of(value: Any) -> str:
    """The value in one spelling."""
    return json.dumps(value, sort_keys=True)


def said(value: Any) -> str:
    """The value in a sentence: "none", "true", "0.001", "(3, 3)", "HeNormal(seed=3)"."""
    return _cut(_words(value, 0), value)


def _cut(words: str, value: Any) -> str:
    if len(words) <= _SAID:
        return words
    many = f" ({len(value):,} of them)" if isinstance(value, list) else ""
    return f"{words[:_SAID]}...{many}"


def _words(value: Any, depth: int) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(_words(one, depth + 1) for one in value[:_SAID])}{comma})"
    if isinstance(value, dict) and "class_name" in value:
        config = value.get("config")
        inside = config if isinstance(config, dict) else {}
        return f"{value['class_name']}({_settings(inside, depth)})"
    if isinstance(value, dict):
        return f"{{{_settings(value, depth)}}}"
    return str(value)


def _settings(config: dict[str, Any], depth: int) -> str:
    if depth > 3:
        return "..."
    given = [(key, one) for key, one in config.items() if one is not None]
    return ", ".join(f"{key}={_words(one, depth + 1)}" for key, one in given[:_SAID])


def clause(found: Difference) -> str:
    """It for people: "activation relu -> gelu", "input shape [?, 10] -> [?, 12]"."""
    name = found.key.replace(".config.", " ").replace(".", " ")
    if found.lacks is not None:
        has, value = ("A", found.a) if found.lacks == "B" else ("B", found.b)
        return f"only {has} has {name} ({said(value)})"
    if found.key.rpartition(".")[2] == "batch_shape":
        return f"input shape {_shape(found.a)} -> {_shape(found.b)}"
    a, b = _apart(_words(found.a, 0), _words(found.b, 0))
    return f"{name} {_cut(a, found.a)} -> {_cut(b, found.b)}"


def _apart(a: str, b: str) -> tuple[str, str]:
    """Both without what they begin with alike, where one of them is long."""
    alike = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
    if max(len(a), len(b)) <= _SAID or alike <= _LED:
        return a, b
    return f"...{a[alike - _LED :]}", f"...{b[alike - _LED :]}"


def _shape(sides: Any) -> str:
    """A shape, with "?" for a side that is not fixed."""
    if not isinstance(sides, (list, tuple)):
        return said(sides)
    return f"[{', '.join('?' if side is None else said(side) for side in sides[:_SAID])}]"
