"""What could run code when TensorFlow loads the artifact, told from its bytes alone.

Keras makes a model by calling what its config names: code kept in a Lambda, classes and functions
of whatever module stands there. A graph is a program, and some of its operators reach Python, files
or libraries. Sources: `deserialize_keras_object` of keras 3.15 and tf_keras 2.21, `TFOpLambda` and
`ClassMethod` in tf_keras' `tf_op_layer.py`, TensorFlow's SECURITY.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inspector.keras import tfmot
from inspector.keras.config import MODEL_CLASSES
from inspector.keras.layers import known_classes
from inspector.model import Artifact, Layer

_MOST = 1000  # sentences; an artifact with more is refused all the same

_KERAS = frozenset({"keras", "tf_keras", "keras_core"})
_TOOLKIT = "tensorflow_model_optimization"
# Parts of Keras whose classes and functions make models. Others fetch files, read them, start
# servers: `keras.utils.get_file` is a function that a config can name.
_PARTS = frozenset(
    {
        "activations",
        "constraints",
        "dtype_policies",
        "engine",
        "feature_column",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "premade_models",
        "quantizers",
        "random",
        "regularizers",
        "rnn",
    }
)
# Where TensorFlow kept Keras, and what is in front of the part.
_INSIDE = re.compile(r"^(?:tensorflow\.(?:python\.)?keras|(?:tf_)?keras(?:_core)?)(?:\.|$)")
_PREFIX = re.compile(r"^(?:src\.|api\.|_tf_keras\.|keras\.|v2\.|_v2\.|legacy\.)+")

# Layers that load other things than their config: what they do.
_LOADERS: Mapping[str, str] = {
    "KerasLayer": "loads a module of TensorFlow Hub, from wherever its config says",
    "TFSMLayer": "loads another SavedModel, from wherever its config says",
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "JaxLayer": "calls a Python function",
    "FlaxLayer": "calls a Python function",
}

# Namespaces of TensorFlow's API whose functions compute, and do nothing else, when a TFOpLambda
# calls them; of the functions outside any, those that do more.
_PURE = frozenset(
    {
        "__operators__",
        "audio",
        "bitwise",
        "dtypes",
        "image",
        "linalg",
        "math",
        "nest",
        "nn",
        "quantization",
        "ragged",
        "random",
        "sets",
        "signal",
        "sparse",
        "strings",
    }
)
_IMPURE = frozenset(
    {
        "function",
        "import_graph_def",
        "load_library",
        "load_op_library",
        "numpy_function",
        "print",
        "py_function",
        "recompute_grad",
    }
)
_CLASSES = frozenset({"RaggedTensor", "SparseTensor", "Tensor", "TensorShape", "IndexedSlices"})

_OPERATORS: Mapping[str, str] = {
    "DebugIdentity": "sends values to files or addresses that the graph names",
    "DebugIdentityV2": "sends values to files or addresses that the graph names",
    "DebugIdentityV3": "sends values to files or addresses that the graph names",
    "EagerPyFunc": "calls Python code",
    "PyFunc": "calls Python code",
    "PyFuncStateless": "calls Python code",
    "RemoteFusedGraphExecute": "hands a graph to a program outside",
    "WriteFile": "writes files that the graph names",
}
_RISKY_OPERATOR = re.compile(rf"\b(?:{'|'.join(_OPERATORS)})\b")

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
        if operator.name in _OPERATORS:
            yield f"the operator {operator.name} {_OPERATORS[operator.name]}"
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
    elif node.name in _LOADERS:
        yield f"{node} {_LOADERS[node.name]}"
    elif node.name in _CALLS:
        yield from _CALLS[node.name](node)
    elif node.module is not None and not _is_modelling(node.module):
        called = node.config if node.name == "function" else node.name
        yield (
            f"{called} of the module {node.module}, which loading may import and call, "
            f"is named in the config of {node.within}"
        )


def _of_classes(artifact: Artifact, model: Layer) -> Iterator[str]:
    """Layers of classes that other code must supply.

    A SavedModel has the graphs of such layers, and Keras revives them from those.
    """
    if artifact.format == "saved-model":
        return
    ours = known_classes(artifact.flavor) | tfmot.CLASSES | MODEL_CLASSES | _CALLS.keys()
    for layer in model.walk():
        node = _Node(layer.class_name, layer.config, layer.module, layer.registered, "")
        if node.is_registered:
            yield f"{node} is of code outside Keras ({layer.registered or layer.class_name})"
        elif layer.module is None and layer.class_name not in ours:
            yield f"{node} is of no class of Keras' own: other code must supply it"


def _lambda(config: Any) -> str:
    said: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    function = said.get("function")
    kept = isinstance(function, list) or (
        isinstance(function, Mapping) and function.get("class_name") == "__lambda__"
    )
    if kept or "lambda" in (said.get("function_type"), said.get("output_shape_type")):
        return "keeps Python code in its config, and loading makes a function of it"
    return "calls a Python function that its config names"


def _called_function(node: _Node) -> Iterator[str]:
    """A call of one of TensorFlow's functions, which tf_keras made a layer."""
    function = str(node.config.get("function")) if isinstance(node.config, Mapping) else "?"
    space, dot, _ = function.partition(".")
    if space not in _PURE if dot else function in _IMPURE:
        yield f"{node} calls tf.{function}, which may do more than compute"


def _called_method(node: _Node) -> Iterator[str]:
    owner = str(node.config.get("cls_symbol")) if isinstance(node.config, Mapping) else "?"
    if owner.rpartition(".")[2] not in _CLASSES:
        yield f"{node} calls a method of {owner}, which may do more than compute"


def _called_operator(node: _Node) -> Iterator[str]:
    text = str(node.config.get("node_def")) if isinstance(node.config, Mapping) else "?"
    found = _RISKY_OPERATOR.search(text)
    if found:
        yield f"{node} is the operator {found[0]}, which {_OPERATORS[found[0]]}"


# Layers that tf_keras makes of calls of TensorFlow's functions: what is called decides.
_CALLS: Mapping[str, Callable[[_Node], Iterator[str]]] = {
    "ClassMethod": _called_method,
    "InstanceMethod": lambda _: iter(()),
    "InstanceProperty": lambda _: iter(()),
    "SlicingOpLambda": _called_function,
    "TFOpLambda": _called_function,
    "TensorFlowOpLayer": _called_operator,
}


def _is_modelling(module: str) -> bool:
    """Whether what is in a module makes models and does nothing else."""
    if module in ("builtins", *_KERAS) or module.partition(".")[0] == _TOOLKIT:
        return True  # "builtins" stands for functions that Keras knows by name
    inside = _INSIDE.match(module)
    if inside is None:
        return False
    rest = _PREFIX.sub("", module[inside.end() :])
    return rest.partition(".")[0] in _PARTS
