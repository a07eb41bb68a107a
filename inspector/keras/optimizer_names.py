"""What an optimizer's variable is, from its stored name and shape alone.

The names that Keras has given over the years, for the variable `dense/kernel`:

    [Adam/]m/dense/kernel:0             TF 2.11 and later, tf_keras
    [training/]Adam/dense/kernel/m:0    TF 2.0 to 2.10, tf_keras' legacy classes
    adam/dense_kernel_momentum          Keras 3
    training/Adam/m_0:0                 standalone Keras 2.3
    training/Adam/Variable_3:0          standalone Keras 2.0 to 2.2, tf.keras 1.x
    Variable_4:0, param_4               Keras 1 (TensorFlow, Theano)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from inspector.keras.optimizer_tables import (
    SLOT_WORDS,
    STATE_WORDS,
    OptimizerVariable,
    Shape,
    Target,
    columns,
    rows,
)
from inspector.model import Role

_OUTPUT = re.compile(r":[0-9]{1,4}$")
_NUMBERED = re.compile(r"^(.+?)_([0-9]{1,9})$")
_ANONYMOUS = re.compile(r"^(variable|param)(_[0-9]{1,9})?$", re.IGNORECASE)
# Keras 3 has no slot of one letter.
_LONGEST_FIRST = sorted(
    (word for word in SLOT_WORDS if len(word) > 1), key=lambda word: (-len(word), word)
)


def by_name(
    stored_name: str, shape: Shape, variables: Sequence[tuple[str, Shape]]
) -> OptimizerVariable:
    """What a stored optimizer variable is.

    variables: stored or qualified name, and shape, of the model's trainable variables in order.
    A name is believed only where the shape agrees. A slot whose variable cannot be told (no name,
    and several variables of its shape) has slot_of None; one without a name of its own is "slot".
    """
    key = _OUTPUT.sub("", stored_name)
    for word, variable_name in _readings(key):
        owners = [i for i in _owners(variable_name, variables) if _fits(word, shape, variables[i])]
        if owners:
            owner = owners[0] if len(owners) == 1 else None
            return OptimizerVariable(word, Role.OPTIMIZER_SLOT, owner, shape)
    last = key.rsplit("/", 1)[-1]
    word, number = _split_number(last)
    if word in SLOT_WORDS and number is not None:
        numbered = variables[number : number + 1]
        if numbered and _fits(word, shape, numbered[0]):
            return OptimizerVariable(word, Role.OPTIMIZER_SLOT, number, shape)
    if shape == () and (state := _state_word(key)):
        return OptimizerVariable(state, Role.OPTIMIZER_STATE, None, shape)
    same_shape = [i for i, (_, own) in enumerate(variables) if tuple(own) == shape]
    slot = next((reading[0] for reading in _readings(key)), None)
    if same_shape or shape != ():
        # A slot's word in a name that fits no variable of that name says nothing of the owner.
        owner = same_shape[0] if len(same_shape) == 1 and slot is None else None
        return OptimizerVariable(slot or "slot", Role.OPTIMIZER_SLOT, owner, shape)
    name = "state" if _ANONYMOUS.match(last) else last
    return OptimizerVariable(name, Role.OPTIMIZER_STATE, None, shape)


def _readings(key: str) -> Iterator[tuple[str, str]]:
    """The ways to read a name as (slot, its variable's name), likeliest first."""
    parts = key.split("/")
    for at, part in enumerate(parts[:-1]):
        if part in SLOT_WORDS:
            yield part, "/".join(parts[at + 1 :])
    for word in dict.fromkeys((parts[-1], _split_number(parts[-1])[0])):
        if word in SLOT_WORDS and len(parts) > 1:
            yield word, "/".join(parts[:-1])
    for word in _LONGEST_FIRST:
        if parts[-1].endswith(f"_{word}"):
            yield word, parts[-1].removesuffix(f"_{word}")
            return


def _owners(name: str, variables: Sequence[tuple[str, Shape]]) -> list[int]:
    """Variables that the name means: those of exactly that name, else the longest common ending.

    Either name may carry more in front: a scope ("training/Adam/dense/kernel"), or the path of an
    inner model ("inner/dense/kernel"). Keras 3 writes "_" for "/".
    """
    best: list[int] = []
    longest = (False, 0)
    wanted = _flat(name)
    for index, (stored, _) in enumerate(variables):
        own = _flat(stored)
        exact = own == wanted
        if not (exact or wanted.endswith(f"_{own}") or own.endswith(f"_{wanted}")):
            continue
        score = (exact, min(len(own), len(wanted)))
        if score > longest:
            best, longest = [], score
        if score == longest:
            best.append(index)
    return best


def _fits(word: str, shape: Shape, variable: tuple[str, Shape]) -> bool:
    """Whether a slot of this word and shape can be the variable's."""
    own = tuple(variable[1])
    if word in {"r", "c"}:
        rule = rows if word == "r" else columns
        return shape == rule(Target(0, own), {})
    return shape == own or (word == "vhat" and shape == (1,))


def _state_word(key: str) -> str | None:
    last = key.rsplit("/", 1)[-1]
    if last == "variable" and key.split("/")[-2:-1] and key.split("/")[-2].startswith("nadam"):
        return "u_product"  # the one variable that Keras 3 leaves unnamed
    for word in (last, _split_number(last)[0]):
        if word in STATE_WORDS:
            return word
    # Keras 1 on Theano has "iterations_140..." : the name, then the object's number.
    return next((w for w in ("iterations", "iteration") if last.startswith(f"{w}_")), None)


def _split_number(word: str) -> tuple[str, int | None]:
    found = _NUMBERED.match(word)
    return (found[1], int(found[2])) if found else (word, None)


@functools.lru_cache(maxsize=1 << 15)  # each slot's name is held against every variable's
def _flat(name: str) -> str:
    return _OUTPUT.sub("", name).replace("/", "_")
