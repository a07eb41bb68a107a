"""Layers of a graph, told by the names of its nodes: "sequential/conv2d/Conv2D" is in a layer.

Names are made by Keras, tf.layers, tf-slim and by people; what they share is that an operator, the
weights that it reads, and the nodes between the two are in one scope. Freezing a variable names the
constant after the node that read the variable: "dense/MatMul/ReadVariableOp/resource".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inspector.graph.ops import reading
from inspector.graph.passing import ARITHMETIC
from inspector.model import GROUP_OF, Group, Use

# What convert_variables_to_constants_v2 puts behind the name of the node that read a variable.
_FROZEN = re.compile(r"(/ReadVariableOp(_\d+)?)?/resource(_\d+)?$|/ReadVariableOp(_\d+)?$")
_MARKS = "/ReadVariableOp", "/resource"  # one of them is in every such name
# Scopes that functions of TensorFlow and Keras open inside a layer, and that are no nodes.
_INNER = re.compile(
    r"(batchnorm|moments|while|cond|(Stateful)?PartitionedCall|Tensordot|embedding_lookup"
    r"|TensorArray\w*|(All|Last|MovingAvg|Fixed)\w*Quant(ize)?|weights_quant|act_quant)(_\d+)?"
)
_BATCHNORM = re.compile(r"(^|/)batchnorm(_\d+)?/")  # tf.nn.batch_normalization: sums and products
_DEEPEST = 16  # such scopes inside one another
# What TensorFlow calls a constant that nobody named.
_NAMELESS = re.compile(r"(\d+|[a-z]|Const|axis|shape|input)(_\d+)?")


class Place(NamedTuple):
    """Where a constant belongs.

    layer: path of the layer; variable: what it is there ("kernel"), None where nothing tells;
    op: the operator of the layer that it is a weight or another variable of, None where it is
    neither.
    """

    layer: str | None
    variable: str | None = None
    op: str | None = None


class Scopes:
    """The scopes of a graph's nodes. Where a name is both, a node and a scope, it is the node's."""

    def __init__(self, names: Iterable[str]) -> None:
        self._nodes = frozenset(names)
        self._around = {_parent(_bare(name)) for name in self._nodes}
        self._layers: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Whether nodes are in a scope of this name, those that read a variable aside."""
        return name in self._around and name not in self._nodes

    def layer(self, scope: str) -> str:
        """The scope around those that are only a part of a layer."""
        found = self._layers.get(scope)
        if found is None:
            found = self._layers[scope] = self._layer(scope)
        return found

    def _layer(self, scope: str) -> str:
        for _ in range(_DEEPEST):
            around = _parent(scope)
            own = scope.rpartition("/")[2]
            if not around or not (scope in self._nodes or _INNER.fullmatch(own)):
                break
            scope = around
        return scope


def place(name: str, uses: Sequence[Use], scopes: Scopes) -> Place:
    """The place of the constant that the node `name` is. uses: the operators that read it."""
    frozen = _bare(name) != name
    # Frozen by TensorFlow 1, a variable keeps its name, and an Identity is what read it.
    was_variable = frozen or any(use.through[:1] == ("Identity",) for use in uses)
    main = next((use for use in uses if _is_weight(use, was_variable)), None)
    use = main if main is not None else next(iter(uses), None)
    layer = _layer(name, use.node if use is not None else "", scopes) or None
    if use is None or (main is None and not was_variable):
        return Place(layer)
    own = name.rpartition("/")[2]
    named = not frozen and (was_variable or _NAMELESS.fullmatch(own) is None)
    variable = own if named else reading(use.op, use.input).variable
    summed = main is None and _BATCHNORM.search(use.node) is not None
    return Place(layer, variable, "batchnorm" if summed else use.op)


def _is_weight(use: Use, was_variable: bool) -> bool:
    """Whether an operator takes what it reads for a weight."""
    how = reading(use.op, use.input)
    is_weight = how.role is not None and GROUP_OF[how.role] is Group.WEIGHT
    if was_variable or not is_weight:
        return is_weight
    # What nobody trained is a setting where it is computed with, and data as the first matrix.
    first_matrix = how.variable == "kernel" and how.axis is None
    return not first_matrix and ARITHMETIC.isdisjoint(use.through)


def _layer(name: str, reader: str, scopes: Scopes) -> str:
    """The scope that a constant is in, together with the node `reader`, which reads it.

    A node outside all scopes is a layer of its own.
    """
    bare = _bare(name)
    if reader and name.startswith(f"{reader}/"):
        scope = _parent(reader)  # a constant that was made for its reader
    elif bare != name and scopes.has(bare):
        scope = bare  # the node that read the variable was called "bn/ReadVariableOp"
    else:
        scope = _parent(bare)
    return scopes.layer(scope or _parent(reader)) or reader


def _bare(name: str) -> str:
    """The name of a constant without what TensorFlow 2 adds where it takes a variable's place."""
    return _FROZEN.sub("", name) if _MARKS[0] in name or _MARKS[1] in name else name


def _parent(name: str) -> str:
    return name.rpartition("/")[0]
