"""What a Keras config would load from elsewhere: other models, vocabularies, files, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inspector.auditing.config_nodes import every_node, every_text, of_layer, once
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.dangers import LOADERS
from inspector.model import Severity

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
        "spm_path",
        "uri",
        "vocab_file",
        "vocab_path",
        "vocabulary_file",
        "weights_path",
    }
)
_ABSOLUTE = re.compile(r"^(?:/|~|\\\\|[A-Za-z]:[\\/]|\.\.[\\/])")
_ADDRESS = re.compile(r"(?:https?|ftp|gs|s3|hdfs|file|wss?|grpc)://[^\s\"'<>\x00-\x1f]+")
_MOST = 20  # addresses that are told


def _loaders(context: Context) -> Iterator[Found]:
    for node in every_node(context):
        if node.name in LOADERS and not node.function:
            config = node.config if isinstance(node.config, dict) else {}
            files = [f"{key} {config[key]!r}" for key in sorted(_FILE_KEYS & config.keys())]
            yield Found(
                f"{node.name} {of_layer(node)} {LOADERS[node.name]}",
                evidence=", ".join([node.place, *files])[:300],
                layer=node.layer,
            )


def _vocabularies(context: Context) -> Iterator[Found]:
    for node in every_node(context):
        if not _VOCABULARY.search(node.name) or not isinstance(node.config, dict):
            continue
        for key in _VOCABULARY_KEYS:
            value = node.config.get(key)
            if isinstance(value, str) and value:
                where = "a remote file" if _REMOTE.match(value) else "a local file"
                yield Found(
                    f"{node.name} {of_layer(node)} reads its {key} from {where} when it is loaded",
                    evidence=f"{node.place}.config.{key}: {value[:200]!r}",
                    layer=node.layer,
                )


def _paths(context: Context) -> Iterator[Found]:
    for one in every_text(context):
        if one.key in _FILE_KEYS and (_ABSOLUTE.match(one.value) or _REMOTE.match(one.value)):
            where = f"layer {one.layer!r}" if one.layer else "the config"
            yield Found(
                f"{one.key} of {where} names a file outside the model",
                evidence=f"{one.place}: {one.value[:200]!r}",
                layer=one.layer,
            )


def _addresses(context: Context) -> Iterator[Found]:
    found: dict[str, str] = {}
    for one in every_text(context):
        if "://" not in one.value:
            continue
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
        check=once(_loaders),
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
        check=once(_vocabularies),
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
        check=once(_paths),
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
