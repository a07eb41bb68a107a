"""Attacks by operators of graphs, and by what is beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tests.builders import saved_models as sm
from tests.builders import tflite
from tests.builders.attacks_common import NOWHERE, PICKLE, Attack, file, zip_of
from tests.builders.bundles import chunk, number, shape

# --- graphs ---------------------------------------------------------------------------------------

_STRING = 7


def text(name: str, value: str) -> bytes:
    """A Const of a string."""
    tensor = number(1, _STRING) + chunk(2, shape()) + chunk(8, value.encode())
    return sm.node(name, "Const", dtype=sm.dtype(_STRING), value=chunk(8, tensor))


def _strings(*values: str) -> bytes:
    return chunk(1, b"".join(chunk(2, one.encode()) for one in values))


def _saved_graph(
    nodes: Any = (), functions: Any = (), files: Any = None, **more: Any
) -> Callable[[str], str]:
    def make(folder: str) -> str:
        meta = sm.meta_graph(sm.graph(nodes, functions), **more)
        return sm.write(os.path.join(folder, "saved"), meta, files=files)

    return make


def _frozen(nodes: Any, functions: Any = ()) -> Callable[[str], str]:
    return file("frozen.pb", sm.graph(nodes, functions))


def _meta(nodes: Any) -> Callable[[str], str]:
    return file("model.meta", sm.meta_graph(sm.graph(nodes), tags=("train",)))


_PATH = f"{NOWHERE}/out"
_CALL = sm.node("call", "StatefulPartitionedCall", f=sm.called("inner"))
_OPERATIONS: Mapping[str, tuple[bytes, ...]] = {
    "ReadFile": (text("path", _PATH), sm.node("bad", "ReadFile", "path")),
    "WriteFile": (text("path", _PATH), sm.node("bad", "WriteFile", "path", "path")),
    "MatchingFiles": (text("path", _PATH), sm.node("bad", "MatchingFiles", "path")),
    "PyFunc": (sm.node("bad", "PyFunc"),),
    "EagerPyFunc": (sm.node("bad", "EagerPyFunc"),),
    "PyFuncStateless": (sm.node("bad", "PyFuncStateless"),),
    "TextLineReaderV2": (sm.node("bad", "TextLineReaderV2"),),
    "TFRecordDataset": (text("path", _PATH), sm.node("bad", "TFRecordDataset", "path")),
    "DebugIdentityV2": (sm.node("bad", "DebugIdentityV2", debug_urls=_strings(f"file://{_PATH}")),),
    "RemoteFusedGraphExecute": (sm.node("bad", "RemoteFusedGraphExecute"),),
    "RpcCall": (sm.node("bad", "RpcCall"),),
    "PrintV2": (sm.node("bad", "PrintV2", output_stream=chunk(2, f"file://{_PATH}".encode())),),
    "DecodeProtoV2": (sm.node("bad", "DecodeProtoV2", descriptor_source=chunk(2, _PATH.encode())),),
    "DatasetFromGraph": (sm.node("bad", "DatasetFromGraph"),),
    "ImmutableConst": (sm.node("bad", "ImmutableConst"),),
}
_SAVERS: Mapping[str, tuple[bytes, ...]] = {
    "SaveV2": (text("path", _PATH), sm.node("bad", "SaveV2", "path")),
    "RestoreV2": (text("path", _PATH), sm.node("bad", "RestoreV2", "path")),
    "MergeV2Checkpoints": (
        text("path", _PATH),
        sm.node("bad", "MergeV2Checkpoints", "path", "path"),
    ),
    "Save": (text("path", "relative"), sm.node("bad", "Save", "path")),
}
_TABLE = (
    sm.node("table", "HashTableV2"),
    text("path", f"{NOWHERE}/words.txt"),
    sm.node("init", "InitializeTableFromTextFileV2", "table", "path"),
)


def _in_function(nodes: tuple[bytes, ...]) -> bytes:
    return sm.function("inner", [], list(nodes), {})


def _passed_in(folder: str) -> str:
    """The saver's own function, called by the model with a path of the graph's."""
    body = [sm.node("SaveV2", "SaveV2", "prefix")]
    nodes = (
        text("path", _PATH),
        sm.node("serve", "StatefulPartitionedCall", "path", f=sm.called("saving")),
    )
    return _saved_graph(nodes, [sm.function("saving", ["prefix"], body, {})])(folder)


def _asset_link(folder: str) -> str:
    path = _saved_graph((), files={"assets/words.txt": b"a\n"})(folder)
    os.symlink(f"{NOWHERE}/secret", os.path.join(path, "assets", "link.txt"))
    return path


_GRAPHS = (
    *(
        Attack(f"operator-{name}-{kind}", "", make, ("safety-operator",), (name, "bad"))
        for name, nodes in _OPERATIONS.items()
        for kind, make in (
            ("saved", _saved_graph(nodes)),
            ("function", _saved_graph((_CALL,), [_in_function(nodes)])),
            ("unused-function", _saved_graph((), [_in_function(nodes)])),
            ("frozen", _frozen(nodes)),
            ("meta", _meta(nodes)),
        )
    ),
    *(
        Attack(f"saver-{name}-{kind}", "", make, ("safety-saver",), (name, "bad"))
        for name, nodes in _SAVERS.items()
        for kind, make in (
            ("saved", _saved_graph(nodes)),
            ("function", _saved_graph((_CALL,), [_in_function(nodes)])),
            ("frozen", _frozen(nodes)),
        )
    ),
    Attack("saver-called", "", _passed_in, ("safety-saver",), (_PATH, "saving")),
    Attack("table-saved", "", _saved_graph(_TABLE), ("safety-table",), (f"{NOWHERE}/words.txt",)),
    Attack("table-frozen", "", _frozen(_TABLE), ("safety-table",)),
    Attack(
        "custom-operator", "", _frozen((sm.node("mine", "MyOwnOp"),)), ("safety-custom-operator",)
    ),
    Attack(
        "asset-outside",
        "CVE-2025-12060",
        _saved_graph((), assets=(sm.asset("../../secret.txt"),)),
        ("safety-asset",),
        ("../../secret.txt",),
    ),
    Attack(
        "asset-link", "", _asset_link, ("safety-symlink",), ("assets/link.txt", f"{NOWHERE}/secret")
    ),
    Attack(
        "saved-python",
        "",
        _saved_graph((), files={"assets/run.py": b"x = 1\n"}),
        ("safety-foreign",),
        ("assets/run.py",),
    ),
    Attack(
        "saved-chunks",
        "",
        _saved_graph((), files={"saved_model.cpb": b"\0\1"}),
        ("safety-unread",),
        ("saved_model.cpb",),
    ),
    Attack("saved-strange", "", _saved_graph((), files={"blob.dat": b"\1"}), ("safety-foreign",)),
    Attack(
        "saved-pickle",
        "",
        _saved_graph((), files={"assets/x.pkl": PICKLE}),
        ("safety-pickle",),
        ("math.sqrt",),
    ),
)


def _saver(folder: str) -> str:
    """The saver that every SavedModel has."""
    body = [
        text("part", "_temp/part"),
        sm.node("Join", "StringJoin", "prefix", "part:output:0"),
        sm.node("Shard", "ShardedFilename", "Join:output:0"),
        sm.node("SaveV2", "SaveV2", "Shard:filename:0"),
        sm.node("Merge", "MergeV2Checkpoints", "Shard:filename:0", "prefix"),
    ]
    back = [sm.node("RestoreV2", "RestoreV2", "prefix")]
    nodes = (
        sm.node("saver_filename", "Placeholder", dtype=sm.dtype(_STRING)),
        sm.node("save_call", "StatefulPartitionedCall", "saver_filename", f=sm.called("saving")),
        sm.node("load_call", "StatefulPartitionedCall", "saver_filename", f=sm.called("loading")),
    )
    functions = [
        sm.function("saving", ["prefix"], body, {}),
        sm.function("loading", ["prefix"], back, {}),
    ]
    saver = chunk(1, b"saver_filename:0") + chunk(2, b"save_call:0") + chunk(3, b"load_call")
    meta = sm.meta_graph(sm.graph(nodes, functions)) + chunk(3, saver)
    return sm.write(os.path.join(folder, "saved"), meta)


def _saver_1(folder: str) -> str:
    """That of TensorFlow 1, in a graph that does not say so."""
    nodes = (
        text("save/Const", "model"),
        sm.node("save/SaveV2", "SaveV2", "save/Const"),
        sm.node("save/RestoreV2", "RestoreV2", "save/Const"),
    )
    return _frozen(nodes)(folder)


def _asset(folder: str) -> str:
    nodes = (
        sm.node("table", "HashTableV2"),
        text("path", f"{NOWHERE}/words.txt"),  # replaced by the loader
        sm.node("init", "InitializeTableFromTextFileV2", "table", "path"),
    )
    made = _saved_graph(nodes, assets=(sm.asset("words.txt"),), files={"assets/words.txt": b"a\n"})
    return made(folder)


_GRAPH_TWINS = (
    Attack("saver", "", _saver),
    Attack("saver-1", "", _saver_1),
    Attack("asset", "", _asset),
    Attack("module", "", lambda folder: sm.module(os.path.join(folder, "saved"))),
    Attack(
        "decode-proto",
        "",
        _frozen((sm.node("of", "DecodeProtoV2", descriptor_source=chunk(2, b"local://")),)),
    ),
    Attack("print", "", _frozen((sm.node("say", "PrintV2", output_stream=chunk(2, b"stderr")),))),
    Attack(
        "cache-in-memory",
        "",
        _frozen((text("none", ""), sm.node("kept", "CacheDataset", "none", "none"))),
    ),
    Attack(
        "named-like-one", "", _frozen((sm.node("WriteFile", "NoOp"), sm.node("PyFunc", "NoOp")))
    ),
    Attack("saved-readme", "", _saved_graph((), files={"README.md": b"a model\n"})),
)


# --- .tflite --------------------------------------------------------------------------------------


def _lite(operator: str, behind: bytes = b"", **more: Any) -> Callable[[str], str]:
    sides = [tflite.tensor("x", (1,)), tflite.tensor("y", (1,))]
    graph = tflite.graph(sides, [tflite.op(operator, [0], [1])], [0], [1])
    return file("model.tflite", bytes(tflite.model(graph, **more)) + behind)


_LITE = (
    Attack("lite-custom", "", _lite("custom:MyOwn"), ("safety-custom-operator",), ("MyOwn",)),
    *(
        Attack(f"lite-flex-{op}", "", _lite(f"custom:Flex{op}"), ("safety-flex",), (op,))
        for op in ("ReadFile", "WriteFile", "EagerPyFunc", "SaveV2")
    ),
    Attack("lite-flex-library", "", _lite("custom:FlexMyOwn"), ("safety-flex",), ("MyOwn",)),
    Attack(
        "lite-script",
        "",
        _lite("RELU", zip_of(labels_py=b"x = 1\n")),
        ("safety-foreign",),
        ("labels.py", "Python code"),
    ),
    Attack(
        "lite-pickle", "", _lite("RELU", zip_of(l_pkl=PICKLE)), ("safety-pickle",), ("math.sqrt",)
    ),
    Attack(
        "lite-metadata-script",
        "",
        _lite(
            "RELU",
            buffers=[b"#!/bin/sh\ntrue\n"],
            metadata=[{"name": "notes", "buffer": 1}],
        ),
        ("safety-foreign",),
        ("notes", "script"),
    ),
)
_LITE_TWINS = (
    Attack("lite-relu", "", _lite("RELU")),
    Attack("lite-flex", "", _lite("custom:FlexMatrixInverse")),
    Attack("lite-known", "", _lite("custom:TFLite_Detection_PostProcess")),
    Attack("lite-labels", "", _lite("RELU", zip_of(labels_txt=b"cat\ndog\n"))),
)

ATTACKS = (*_GRAPHS, *_LITE)
TWINS = (*_GRAPH_TWINS, *_LITE_TWINS)
