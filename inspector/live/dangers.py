"""What could run code when TensorFlow loads the artifact, told from its bytes alone.

Keras makes a model by calling what its config names: code kept in a Lambda, classes and functions
of whatever module stands there. A graph is a program, and some of its operators reach Python, files
or libraries. Sources: `deserialize_keras_object` of keras 3.15 and tf_keras 2.21, `TFOpLambda` and
`ClassMethod` in tf_keras' `tf_op_layer.py`, TensorFlow's SECURITY.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inspector.dangers import (
    CALLED,
    LOADERS,
    RUNNING,
    Origin,
    called,
    is_modelling,
    keeps_code,
    origin_of,
)
from inspector.keras import tfmot
from inspector.keras.config import MODEL_CLASSES
from inspector.keras.layers import known_classes
from inspector.model import Artifact, Layer

_MOST = 1000  # sentences; an artifact with more is refused all the same
_PICKLED = "in a pickled npz member"


def dangers(artifact: Artifact) -> tuple[str, ...]:
    """What could run code on load, each in a sentence without its stop; empty where nothing could.

    Not every finding is an attack: a Lambda is often just that. Raises nothing; reads no payload.
    """
    found: dict[str, None] = {}
    for sentence in _all(artifact):
        found.setdefault(sentence)
        if len(found) >= _MOST:
            break
    return tuple(found)


def _all(artifact: Artifact) -> Iterator[str]:
    if artifact.format == "tflite":
        return  # it is never run, and the interpreter has no operators but its own
    if artifact.model is not None:
        for node in _nodes(artifact.model):
            yield from _of_node(node)
        yield from _of_classes(artifact, artifact.model)
    if any(tensor.storage.startswith(_PICKLED) for tensor in artifact.tensors):
        yield "the weights are pickled NumPy arrays, and unpickling calls what the pickle names"
    for operator in artifact.operators:
        if operator.name in RUNNING:
            yield f"the operator {operator.name} {RUNNING[operator.name]}"
        elif operator.custom:
            yield f"the operator {operator.name} is not TensorFlow's own: a library must supply it"


@dataclass(frozen=True, slots=True)
class _Node:
    """An object that Keras makes from a config. within: the layer in whose config it stands."""

    name: str
    config: Any
    module: str | None
    registered: str | None
    within: str

    def __str__(self) -> str:
        own = self.config.get("name") if isinstance(self.config, Mapping) else None
        if isinstance(own, str):
            return f"the {self.name} layer {own!r}"
        return f"{self.name!r} in {self.within}"

    @property
    def called(self) -> Any:
        """The name of what it is: of a function, that of the function."""
        return self.config if self.name == "function" else self.name

    @property
    def is_registered(self) -> bool:
        """Whether Keras knows it under a package that some program registered."""
        registered = self.registered or self.name
        return ">" in registered


def _nodes(model: Layer) -> Iterator[_Node]:
    """The layers in the config's order, each with all that its config holds, wherever it stands."""
    layers = list(model.walk())
    # An outer layer's config holds the inner ones': each object is looked at once, as the
    # innermost layer's, which therefore come first.
    seen: set[int] = set()
    of_layers = {id(layer.config) for layer in layers}
    groups = [list(_inside(layer, seen, of_layers)) for layer in reversed(layers)]
    for group in reversed(groups):
        yield from group


def _inside(layer: Layer, seen: set[int], of_layers: set[int]) -> Iterator[_Node]:
    where = f"the layer {layer.path or layer.name!r}"
    yield _Node(layer.class_name, layer.config, layer.module, layer.registered, where)
    stack: list[Any] = [layer.config]
    while stack:
        item = stack.pop()
        if not isinstance(item, (Mapping, list)) or id(item) in seen:
            continue
        seen.add(id(item))
        stack.extend(reversed(item if isinstance(item, list) else list(item.values())))
        name = item.get("class_name") if isinstance(item, Mapping) else None
        if isinstance(item, Mapping) and isinstance(name, str):
            config = item.get("config", {})
            said = (item.get("module"), item.get("registered_name"))
            module, registered = (one if isinstance(one, str) else None for one in said)
            if id(config) not in of_layers:
                yield _Node(name, config, module, registered, where)


def _of_node(node: _Node) -> Iterator[str]:
    if node.name == "__lambda__":
        yield f"the config of {node.within} keeps Python code, and loading makes a function of it"
    elif node.name == "Lambda":
        yield f"{node} {_lambda(node.config)}"
    elif node.name in LOADERS:
        yield f"{node} {LOADERS[node.name]}"
    elif node.name in CALLED:
        what = called(node.name, node.config)
        if what is not None:
            yield f"{node} {what}"
    elif node.module is not None and _is_outside(node, node.module):
        yield (
            f"{node.called} of the module {node.module}, which loading may import and call, "
            f"is named in the config of {node.within}"
        )


def _is_outside(node: _Node, module: str) -> bool:
    function = node.name == "function"
    origin = origin_of(str(node.called), module, node.registered, function=function)
    return origin is Origin.OUTSIDE or not is_modelling(module)


def _of_classes(artifact: Artifact, model: Layer) -> Iterator[str]:
    """Layers of classes that other code must supply.

    A SavedModel has the graphs of such layers, and Keras revives them from those.
    """
    if artifact.format == "saved-model":
        return
    ours = known_classes(artifact.flavor) | tfmot.CLASSES | MODEL_CLASSES | CALLED
    for layer in model.walk():
        node = _Node(layer.class_name, layer.config, layer.module, layer.registered, "")
        if node.is_registered:
            yield f"{node} is of code outside Keras ({layer.registered or layer.class_name})"
        elif layer.module is None and layer.class_name not in ours:
            yield f"{node} is of no class of Keras' own: other code must supply it"


def _lambda(config: Any) -> str:
    if keeps_code(config):
        return "keeps Python code in its config, and loading makes a function of it"
    return "calls a Python function that its config names"
