"""Object graphs as TensorFlow writes them: numbered breadth first, keyed by the first path."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field

from inspector.wire.object_graph import (
    Attribute,
    KerasNode,
    ObjectGraph,
    ObjectNode,
    Reference,
    SavedVariable,
    SlotReference,
)

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(eq=False)
class Obj:
    """An object. slots: (name, variable, slot); info: Keras' metadata, in its node."""

    children: dict[str, Obj] = field(default_factory=dict)
    identifier: str = ""
    info: dict[str, object] = field(default_factory=dict)
    slots: list[tuple[str, Obj, Obj]] = field(default_factory=list)
    table: bool = False


@dataclass(eq=False)
class Var(Obj):
    """A variable: its own name, shape and dtype, and TensorFlow's flag."""

    name: str = ""
    shape: tuple[int, ...] = (2,)
    dtype: str = "float32"
    trainable: bool = True


def var(name: str, *shape: int, dtype: str = "float32", trainable: bool = True) -> Var:
    return Var(name=name, shape=shape, dtype=dtype, trainable=trainable)


def listing(*items: Obj) -> Obj:
    children = {str(index): item for index, item in enumerate(items)}
    return Obj(children, "trackable_list_wrapper")


def mapping(**items: Obj) -> Obj:
    return Obj(items, "trackable_dict_wrapper")


def layer(
    class_name: str,
    name: str,
    children: dict[str, Obj],
    *,
    identifier: str = "_tf_keras_layer",
    config: dict[str, object] | None = None,
    trainable: bool = True,
) -> Obj:
    """A Keras layer with its metadata."""
    info = {
        "class_name": class_name,
        "name": name,
        "trainable": trainable,
        "config": {"name": name, **(config or {})},
    }
    return Obj(children, identifier, info)


def model(class_name: str, children: dict[str, Obj], version: str = "2.21.0") -> Obj:
    made = layer(class_name, "model", children, identifier="_tf_keras_network")
    made.info["keras_version"] = version
    return made


@dataclass
class Built:
    """Both graphs of the same objects, and what would be in the bundle."""

    checkpoint: ObjectGraph
    saved: ObjectGraph
    stored: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[int, KerasNode]
    keys: dict[int, str]

    def key(self, one: Obj) -> str:
        return self.keys[id(one)]


def build(root: Obj) -> Built:
    order, paths = _breadth_first(root)
    numbers = {id(one): number for number, one in enumerate(order)}
    checkpoint, saved, stored, metadata, keys = [], [], {}, {}, {}
    for number, one in enumerate(order):
        children = tuple(Reference(name, numbers[id(c)]) for name, c in one.children.items())
        slots = tuple(SlotReference(n, numbers[id(v)], numbers[id(s)]) for n, v, s in one.slots)
        attributes: tuple[Attribute, ...] = ()
        variable, kind = None, "user_object"
        path = paths[id(one)]
        if isinstance(one, Var):
            key = f"{path}{VALUE}"
            stored[key] = (one.dtype, one.shape)
            attributes = (Attribute("VARIABLE_VALUE", one.name, key),)
            variable, kind = (
                SavedVariable(one.name, one.dtype, one.shape, one.trainable),
                "variable",
            )
            keys[id(one)] = key
        elif one.table:
            key = f"{path}/.ATTRIBUTES/table"
            attributes = (Attribute("table", "", key),)
            stored |= {f"{key}-keys": ("string", (1,)), f"{key}-values": ("int64", (1,))}
            keys[id(one)], kind = key, "resource"
        checkpoint.append(ObjectNode(number, "", children, attributes=attributes, slots=slots))
        saved.append(
            ObjectNode(
                number,
                kind,
                children,
                one.identifier or "_generic_user_object",
                variable=variable,
                slots=slots,
            )
        )
        if one.info:
            metadata[number] = KerasNode(number, path, one.identifier, json.dumps(one.info))
    return Built(ObjectGraph(tuple(checkpoint)), ObjectGraph(tuple(saved)), stored, metadata, keys)


def _breadth_first(root: Obj) -> tuple[list[Obj], dict[int, str]]:
    order, paths, queue = [root], {id(root): ""}, deque([root])
    while queue:
        one = queue.popleft()
        for name, child in one.children.items():
            if id(child) not in paths:
                prefix = paths[id(one)]
                escaped = name.replace(".", "..").replace("/", ".S")
                paths[id(child)] = f"{prefix}/{escaped}" if prefix else escaped
                order.append(child)
                queue.append(child)
    for number, one in enumerate(tuple(order)):
        for slot_name, variable, slot in one.slots:
            paths[id(slot)] = f"{paths[id(variable)]}/.OPTIMIZER_SLOT/{number}/{slot_name}"
            order.append(slot)
    return order, paths
