"""Code, and what reaches past the model, in the configs from which Keras makes it.

Sources: `deserialize_keras_object` of keras 3.15 and tf_keras 2.21; the advisories named in the
rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from inspector.auditing.config_nodes import every_node, of_layer, once
from inspector.auditing.configs import CODE_ARGUMENTS, Node, code_of
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.dangers import (
    CALLED,
    LOADERS,
    Origin,
    called,
    is_modelling,
    keeps_code,
    origin_of,
)
from inspector.keras import tfmot
from inspector.keras.config import MODEL_CLASSES
from inspector.keras.layers import known_classes
from inspector.keras.optimizer_tables import TF_KERAS
from inspector.model import Flavor, Severity

_KNOWN = (
    frozenset[str]().union(*(known_classes(one) for one in Flavor))
    | tfmot.CLASSES
    | MODEL_CLASSES
    | CALLED
    | LOADERS.keys()
)
# tf_keras registers its own optimizers as if somebody had made them.
_OPTIMIZERS = frozenset(f"Custom>{name}" for name in TF_KERAS)
_OLDER = "; safe_mode has no effect on HDF5 files in older Keras"


def _allowed(context: Context, *names: str | None) -> bool:
    """Whether a policy expects something that has one of these names."""
    return any(
        fnmatchcase(name, pattern)
        for name in names
        if name
        for pattern in context.policy.allow_custom
    )


def _full(node: Node) -> str:
    return f"{node.module}.{node.name}" if node.module else node.name


def _lambdas(context: Context) -> Iterator[Found]:
    for node in every_node(context):
        if node.name == "__lambda__":
            code = "; ".join(map(str, code_of(node)))
            yield Found(
                f"Python code in {of_layer(node)}, which loading makes a function of"
                + (_OLDER if node.legacy else ""),
                evidence=f"{node.place}: {code or 'empty'}",
                layer=node.layer,
            )
        elif node.name == "Lambda" and not node.function:
            yield _lambda(node)


def _lambda(node: Node) -> Found:
    code = code_of(node)
    if code or keeps_code(node.config):
        what, severity = "keeps Python code, which loading makes a function of", Severity.ERROR
        seen = "; ".join(map(str, code)) or "no code that can be decoded"
    else:
        what = "calls a function that its config names"
        severity = Severity.INFO if _calls_keras(node) else Severity.WARNING
        seen = _named(node)
    return Found(
        f"Lambda {of_layer(node)} {what}" + (_OLDER if node.legacy else ""),
        evidence=f"{node.place}: {seen}",
        layer=node.layer,
        severity=severity,
    )


def _calls_keras(node: Node) -> bool:
    """Whether all that a Lambda calls are functions of Keras that compute."""
    config = node.config if isinstance(node.config, dict) else {}
    called = [config.get(key) for key in CODE_ARGUMENTS if config.get(key) is not None]
    return bool(called) and all(
        isinstance(one, dict)
        and isinstance(one.get("config"), str)
        and isinstance(one.get("module"), str)
        and origin_of(one["config"], one["module"], None, function=True) is Origin.MODEL
        for one in called
    )


def _named(node: Node) -> str:
    """The functions that a Lambda names."""
    found = []
    config = node.config if isinstance(node.config, dict) else {}
    for key in CODE_ARGUMENTS:
        value = config.get(key)
        name = value.get("config") if isinstance(value, dict) else value
        if isinstance(name, str):
            module = value.get("module") if isinstance(value, dict) else config.get("module")
            found.append(f"{key}: {module}.{name}" if module else f"{key}: {name}")
    return "; ".join(found) or "no function"


def _modules(context: Context) -> Iterator[Found]:
    for node in every_node(context):
        if _origin(node) is Origin.OUTSIDE and not _allowed(context, _full(node)):
            yield Found(
                f"{_full(node)}, which is no part of a model, is named in {of_layer(node)}: loading"
                " may import and call it" + (_OLDER if node.legacy else ""),
                evidence=f"{node.place}: module {node.module!r}, name {node.name!r}",
                layer=node.layer,
            )
        elif node.name == "Lambda" and isinstance(node.config, dict):
            yield from _lambda_module(node, context)


def _lambda_module(node: Node, context: Context) -> Iterator[Found]:
    """The module that Keras 2 looks a Lambda's function up in, which stands beside it."""
    for key in CODE_ARGUMENTS:
        name, module = (
            node.config.get(key),
            node.config.get("module" if key == "function" else f"{key}_module"),
        )
        if not isinstance(module, str) or not isinstance(name, (str, list)):
            continue
        named = name if isinstance(name, str) else "<lambda>"
        outside = origin_of(named, module, None, function=True) is Origin.OUTSIDE
        if outside and not _allowed(context, f"{module}.{named}"):
            yield Found(
                f"{module}.{named}, which is no part of a model, is named in {of_layer(node)}:"
                " loading may look it up there" + (_OLDER if node.legacy else ""),
                evidence=f"{node.place}.config: module {module!r}, name {named!r}",
                layer=node.layer,
                severity=Severity.WARNING if named == "<lambda>" else None,
            )


def _origin(node: Node) -> Origin:
    if node.name.startswith("__") and node.module is None:
        return Origin.MODEL  # Keras' own marks of tensors, arrays, bytes, slices
    ours = node.module is None or is_modelling(node.module)
    if ours and (node.name == "Lambda" or (node.name in LOADERS and not node.function)):
        return Origin.MODEL  # told by rules of their own
    origin = origin_of(node.name, node.module, node.registered, function=node.function)
    if origin is Origin.CUSTOM and node.module is None and not _is_custom(node):
        return Origin.MODEL
    return origin


def _is_custom(node: Node) -> bool:
    """Whether an object that names no module is of none of Keras' classes."""
    said = node.registered or node.name
    if ">" in said:
        return said not in _OPTIMIZERS
    return node.in_list and node.name not in _KNOWN


def _customs(context: Context) -> Iterator[Found]:
    seen: set[str] = set()
    for node in every_node(context):
        name = node.registered if node.registered and ">" in node.registered else _full(node)
        if _origin(node) is not Origin.CUSTOM or name in seen:
            continue
        seen.add(name)
        if not _allowed(context, node.name, _full(node), node.registered):
            yield Found(
                f"{name} is no class or function of Keras: the program that loads the model must"
                " supply it",
                evidence=node.place,
                layer=node.layer,
            )


def _calls(context: Context) -> Iterator[Found]:
    for node in every_node(context):
        what = called(node.name, node.config)
        if what is not None:
            yield Found(
                f"{node.name} {of_layer(node)} {what}", evidence=node.place, layer=node.layer
            )


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="safety-lambda",
        severity=Severity.ERROR,
        summary="A Lambda layer, or other Python code in a config.",
        explanation=(
            "A Lambda keeps marshalled Python bytecode in the config, and whoever loads the model"
            " runs it. safe_mode stops that in new files of new releases only: in HDF5 it had no"
            " effect before Keras 3.11 (CVE-2025-9905), and older releases have none"
            " (CVE-2024-3660). Looked at is every object in config.json, model_config,"
            " training_config, metadata.json and keras_metadata.pb, wherever it is nested. The code"
            " is decoded from base64, measured and digested, and never unmarshalled. A Lambda that"
            " names a function, and keeps no code, is a warning; a note where that is Keras' own."
        ),
        example=(
            "twice.h5: Lambda layer 'twice' keeps Python code, which loading makes a function of."
        ),
        fix="Replace it with a layer of Keras, or with a registered class of your own.",
        needs=Needs.FILE,
        check=once(_lambdas),
    ),
    AuditRule(
        code="safety-module",
        severity=Severity.ERROR,
        summary="A config names a module or function that makes no model.",
        explanation=(
            "Keras imports the module that a config names, and calls what it finds there: with"
            " os.system for an initializer, loading runs a program (CVE-2025-1550). So do functions"
            " of Keras itself that load, fetch or switch off safe_mode: keras.utils.get_file"
            " (CVE-2025-8747, CVE-2024-55459, CVE-2025-12060), keras.models.load_model and"
            " keras.config.enable_unsafe_deserialization (CVE-2025-9906). Looked at are module,"
            " class_name and registered_name of every object, in any config."
        ),
        example="model.keras: math.sqrt, which is no part of a model, is named in layer 'dense'.",
        fix="Find out who wrote the config; name modules that you expect in allow-custom.",
        needs=Needs.FILE,
        check=once(_modules),
    ),
    AuditRule(
        code="safety-call",
        severity=Severity.ERROR,
        summary="A layer that calls a TensorFlow function that does more than compute.",
        explanation=(
            "tf_keras makes layers of calls of TensorFlow's functions (TFOpLambda, ClassMethod) and"
            " of operators (TensorFlowOpLayer). Arithmetic is harmless; tf.io.read_file or"
            " tf.numpy_function is not."
        ),
        example="model.h5: TFOpLambda layer 'read' calls tf.io.read_file.",
        fix="Make the call outside the model, or in a registered layer of your own.",
        needs=Needs.FILE,
        check=once(_calls),
    ),
    AuditRule(
        code="safety-custom",
        severity=Severity.INFO,
        summary="A class or function that is not Keras' own.",
        explanation=(
            "The model cannot be loaded without code that somebody supplies. That is usual, and no"
            " danger by itself: it says whose code must be looked at. Objects that are registered"
            ' with Keras ("Custom>Scale"), and those of packages of layers, are such; globs in'
            " allow-custom take them from the list."
        ),
        example="model.keras: Custom>Scale is no class or function of Keras.",
        fix="List those that you expect in allow-custom.",
        needs=Needs.FILE,
        check=_customs,
    ),
)
