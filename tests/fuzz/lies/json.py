"""Configs that are JSON still: a value of another type, huge, deep, doubled or gone."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.fuzz.lies import raw

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 1e308, 0.5, "", "0", "float32",
    [], {}, [None], [[]], [[[]]], {"": None}, [0] * 1000, [-1, 10**12], "n" * 5000,
    {"class_name": "Functional", "config": {}}, {"class_name": 5, "config": None}, *raw.NAMES,
)  # fmt: skip
# Texts that no value is dumped as: put in place of a mark once all else has been dumped.
TEXTS = (
    "[" * 200 + "]" * 200, "[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, "NaN", "-Infinity",
    "1" * 4_000, "1" * 5_000, "1e999", "-0", "1.5e-400", '"\\ud800"', '{"a":1,"a":2}', "tru", "",
    '"\\u0000"', "1" * 300 + ".5",
)  # fmt: skip
CLASSES = (
    "Functional", "Sequential", "Dense", "Bidirectional", "TimeDistributed", "RNN", "LSTM",
    "PruneLowMagnitude", "ClusterWeights", "QuantizeWrapperV2", "Lambda", "StackedRNNCells",
    "InputLayer", "Conv2D", "EinsumDense", "MultiHeadAttention", "Embedding", "Normalization",
)  # fmt: skip
_MARK = "@@lie@@"


def is_one(content: bytes) -> bool:
    return content.lstrip()[:1] in (b"{", b"[")


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return raw.lie(content, rng)
    holder = [whole]
    _lie_in(holder, rng)
    text = json.dumps(holder[0])
    return text.replace(f'"{_MARK}"', rng.choice(TEXTS), 1).encode("utf-8", "surrogatepass")


def _lie_in(holder: Any, rng: random.Random) -> None:
    """Change one value somewhere in `holder`: go down at random, stop at random."""
    passed: list[Any] = []
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = rng.choice(list(keys))
        value = holder[key]
        if not isinstance(value, (dict, list)) or not value or rng.random() < 0.12:
            break
        passed.append(value)
        holder = value
    kind = rng.randrange(10)
    if kind < 4:
        holder[key] = rng.choice(VALUES)
    elif kind == 4:
        holder[key] = _MARK
    elif kind == 5 and len(holder) > 1:
        del holder[key]
    elif kind == 6 and passed:
        holder[key] = json.loads(json.dumps(rng.choice(passed)))  # its own ancestor, once more
    elif kind == 7 and isinstance(holder, dict):
        holder[rng.choice(raw.NAMES[:-2])] = holder.pop(key)
    elif kind == 8 and isinstance(holder, list):
        holder += [value] * rng.choice((1, 3, 500))
    elif isinstance(holder, dict) and "class_name" in holder and rng.random() < 0.7:
        holder["class_name"] = rng.choice(CLASSES)
    elif isinstance(value, (int, float)):
        holder[key] = rng.choice((-value, value * 1000, value + 1, str(value), [value], 10**18))
    else:
        holder[key] = [value] if rng.random() < 0.5 else {"value": value}
