"""Code, and what reaches past the model, in the configs from which Keras makes it.

Sources: `deserialize_keras_object` of keras 3.15 and tf_keras 2.21; the advisories named in the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from inspector.auditing.configs import CODE_ARGUMENTS, Node, code_of, nodes, texts
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
_VOCABULARY = re.compile(r"(?:Lookup|Vectorization|Tokenizer)$")
_VOCABULARY_KEYS = ("vocabulary", "idf_weights", "merges")
_REMOTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
# Keys under which configs name files that are opened.
_FILE_KEYS = frozenset(
    {
        "cache_dir",
        "export_dir",
        "file_path",
        "filename",
        "filepath",
        "fname",
        "handle",
        "log_dir",
        "origin",
        "path",
        "saved_model_path",
        "uri",
        "weights_path",
    }
)
_ABSOLUTE = re.compile(r"^(?:/|~|\\\\|[A-Za-z]:[\\/]|\.\.[\\/])")
_ADDRESS = re.compile(r"(?:https?|ftp|gs|s3|hdfs|file|wss?|grpc)://[^\s\"'<>\x00-\x1f]+")
_MOST = 20  # addresses that are told


def _all(context: Context) -> Iterator[Node]:
    for document in context.contents.documents:
        yield from nodes(document)


def _said(node: Node) -> str:
    return f"layer {node.layer!r}" if node.layer else "the config"


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
    for node in _all(context):
        if node.name == "__lambda__":
            code = "; ".join(map(str, code_of(node)))
            yield Found(
                f"Python code in {_said(node)}, which loading makes a function of"
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
        f"Lambda {_said(node)} {what}" + (_OLDER if node.legacy else ""),
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
    for node in _all(context):
        if _origin(node) is Origin.OUTSIDE and not _allowed(context, _full(node)):
            yield Found(
                f"{_full(node)}, which is no part of a model, is named in {_said(node)}: loading"
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
                f"{module}.{named}, which is no part of a model, is named in {_said(node)}:"
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
    for node in _all(context):
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


def _loaders(context: Context) -> Iterator[Found]:
    for node in _all(context):
        if node.name in LOADERS and not node.function:
            config = node.config if isinstance(node.config, dict) else {}
            files = [f"{key} {config[key]!r}" for key in sorted(_FILE_KEYS & config.keys())]
            yield Found(
                f"{node.name} {_said(node)} {LOADERS[node.name]}",
                evidence=", ".join([node.place, *files])[:300],
                layer=node.layer,
            )


def _calls(context: Context) -> Iterator[Found]:
    for node in _all(context):
        what = called(node.name, node.config)
        if what is not None:
            yield Found(f"{node.name} {_said(node)} {what}", evidence=node.place, layer=node.layer)


def _vocabularies(context: Context) -> Iterator[Found]:
    for node in _all(context):
        if not _VOCABULARY.search(node.name) or not isinstance(node.config, dict):
            continue
        for key in _VOCABULARY_KEYS:
            value = node.config.get(key)
            if isinstance(value, str) and value:
                where = "a remote file" if _REMOTE.match(value) else "a local file"
                yield Found(
                    f"{node.name} {_said(node)} reads its {key} from {where} when it is loaded",
                    evidence=f"{node.place}.config.{key}: {value[:200]!r}",
                    layer=node.layer,
                )


def _paths(context: Context) -> Iterator[Found]:
    for document in context.contents.documents:
        for one in texts(document):
            outside = _ABSOLUTE.match(one.value) or _REMOTE.match(one.value)
            if one.key in _FILE_KEYS and outside:
                where = f"layer {one.layer!r}" if one.layer else "the config"
                yield Found(
                    f"{one.key} of {where} names a file outside the model",
                    evidence=f"{one.place}: {one.value[:200]!r}",
                    layer=one.layer,
                )


def _addresses(context: Context) -> Iterator[Found]:
    found: dict[str, str] = {}
    for document in context.contents.documents:
        for one in texts(document):
            for match in _ADDRESS.findall(one.value):
                found.setdefault(match[:200], one.place)
    for item in context.contents.items:
        for match in _ADDRESS.findall(item.text):
            found.setdefault(match[:200], item.name)
    for address in context.contents.addresses:
        found.setdefault(address[:200], "the graph")
    for address, place in list(found.items())[:_MOST]:
        yield Found(f"the address {address} stands in the model", evidence=place)
    if len(found) > _MOST:
        yield Found("more addresses stand in the model", evidence=f"{len(found) - _MOST:,} more")


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
        check=_lambdas,
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
        check=_modules,
    ),
    AuditRule(
        code="safety-loader",
        severity=Severity.ERROR,
        summary="A layer that loads another model, or calls Python, when it is made.",
        explanation=(
            "TFSMLayer and KerasLayer load a SavedModel from wherever their config says"
            " (CVE-2026-1462), TorchModuleWrapper unpickles a PyTorch module, JaxLayer and"
            " FlaxLayer call a Python function. What they load is not in the artifact, so it cannot"
            " be looked at."
        ),
        example="model.keras: TFSMLayer layer 'inner' loads another SavedModel.",
        fix="Export the model as a whole, without the layer, or audit what it loads too.",
        needs=Needs.FILE,
        check=_loaders,
    ),
    AuditRule(
        code="safety-vocabulary",
        severity=Severity.ERROR,
        summary="A vocabulary that is a path or an address.",
        explanation=(
            "StringLookup, IntegerLookup and TextVectorization take a list of words, or the name of"
            " a file of them, which loading opens: any file that the process may read, or one on"
            " another machine (CVE-2025-12058). A list, or none, is fine. The file is not opened"
            " here."
        ),
        example="model.keras: StringLookup layer 'words' reads its vocabulary from a local file.",
        fix="Save the model with the vocabulary in it: adapt the layer, or give it the list.",
        needs=Needs.FILE,
        check=_vocabularies,
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
        check=_calls,
    ),
    AuditRule(
        code="safety-path",
        severity=Severity.WARNING,
        summary="A config names a file outside the model.",
        explanation=(
            "Under the names by which layers and functions take files (filepath, origin, handle"
            " ...) stands an absolute path or an address: what is loaded from there is not in the"
            " artifact."
        ),
        example="model.keras: filepath of layer 'embed' names a file outside the model.",
        fix="Keep what the model needs among its assets.",
        needs=Needs.FILE,
        check=_paths,
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
    AuditRule(
        code="safety-url",
        severity=Severity.INFO,
        summary="An address stands in the model.",
        explanation=(
            "Addresses in configs, assets and graphs are often just notes; they are listed, since"
            " a model needs none to compute."
        ),
        example="model.keras: the address https://example.com/a.h5 stands in the model.",
        fix="See what it is for.",
        needs=Needs.FILE,
        check=_addresses,
    ),
)
