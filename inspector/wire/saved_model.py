"""TensorFlow's SavedModel and MetaGraphDef: everything around the graph and the object graph.

Sources, of TensorFlow 2.21: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto,
fingerprint.proto and tensorflow/core/framework/variable.proto. The graph and the
object graph are large: they are left as messages, for the modules that know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inspector.errors import LimitExceeded
from inspector.model import Port, Signature
from inspector.wire.graph_def import REFERENCE
from inspector.wire.protobuf import Field, Message, Wire
from inspector.wire.protobuf_schema import Schema, many, mapping, one, parse
from inspector.wire.tensor_proto import DTYPES, TENSOR_SHAPE, VERSION_DEF

TENSOR_INFO: dict[int, Any] = {
    1: one("name", "string"),
    2: one("dtype", "enum"),
    3: one("tensor_shape", TENSOR_SHAPE),
    4: one(
        "coo_sparse",
        {1: one("values", "string"), 2: one("indices", "string"), 3: one("dense_shape", "string")},
    ),
}
# A composite tensor (ragged, sparse ...) is made of tensors, which may be composite again.
TENSOR_INFO[5] = one("composite_tensor", {2: many("components", TENSOR_INFO)})
SIGNATURE_DEF: Schema = {
    1: mapping("inputs", "string", TENSOR_INFO),
    2: mapping("outputs", "string", TENSOR_INFO),
    3: one("method_name", "string"),
}
META_INFO_DEF: Schema = {
    4: many("tags", "string"),
    5: one("tensorflow_version", "string"),
    6: one("tensorflow_git_version", "string"),
}
ASSET_FILE_DEF: Schema = {
    1: one("tensor_info", TENSOR_INFO),
    2: one("filename", "string"),
}
SAVE_SLICE_INFO_DEF: Schema = {
    1: one("full_name", "string"),
    2: many("full_shape", "int64"),
    3: many("var_offset", "int64"),
    4: many("var_shape", "int64"),
}
VARIABLE_DEF: Schema = {
    1: one("variable_name", "string"),
    2: one("initializer_name", "string"),
    3: one("snapshot_name", "string"),
    4: one("save_slice_info_def", SAVE_SLICE_INFO_DEF),
    5: one("is_resource", "bool"),
    6: one("initial_value_name", "string"),
    7: one("trainable", "bool"),
}
FINGERPRINT_DEF: Schema = {
    1: one("saved_model_checksum", "uint64"),
    2: one("graph_def_program_hash", "uint64"),
    3: one("signature_def_hash", "uint64"),
    4: one("saved_object_graph_hash", "uint64"),
    5: one("checkpoint_hash", "uint64"),
    6: one("version", VERSION_DEF),
    7: one("uuid", "string"),
}

# What the oneof of a CollectionDef can be.
COLLECTION_KINDS: Mapping[int, str] = {
    1: "nodes",
    2: "bytes",
    3: "int64",
    4: "float",
    5: "any",
}
# Collections of VariableDefs that TensorFlow 1 itself fills.
VARIABLE_COLLECTIONS = (
    "variables",
    "trainable_variables",
    "model_variables",
    "moving_average_variables",
    "concatenated_variables",
    "local_variables",
    "metric_variables",
    "global_step",
)
_ASSETS = "saved_model_assets"  # AssetFileDefs, where asset_file_def was not there yet
_ANY_VALUE = 2


@dataclass(frozen=True, slots=True)
class SaveSlice:
    """Which part of a partitioned variable a variable is; the checkpoint has it as `full_name`."""

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariableDef:
    """A variable of a TensorFlow 1 graph, as a collection has it.

    name: of its node ("net/w"). initializer, snapshot, initial_value: names of the operator that
    sets it, of the tensor that is read in its place, and of its first value. trainable: False too
    where the writer was older than the field; being in `trainable_variables` is what counts.
    """

    name: str
    initializer: str
    snapshot: str
    initial_value: str
    part: SaveSlice | None
    is_resource: bool
    trainable: bool

    @property
    def key(self) -> str:
        """Its key in the checkpoint; parts of one variable share it."""
        return self.part.full_name if self.part is not None else self.name


@dataclass(frozen=True, slots=True)
class Collection:
    """A named list of a graph. kind: a word of COLLECTION_KINDS, "" where it holds nothing."""

    name: str
    kind: str
    message: Message | None

    def nodes(self) -> tuple[str, ...]:
        """Names of operators or tensors; none where it holds something else."""
        return tuple(self.message.texts(1)) if self.message and self.kind == "nodes" else ()

    def messages(self) -> Iterator[Message]:
        """What its bytes, or its Anys, hold, taken as messages."""
        if self.message is None or self.kind not in {"bytes", "any"}:
            return
        for item in self.message.each(1):
            inner = item if self.kind == "bytes" else item.find(_ANY_VALUE)
            if inner is not None:
                yield inner


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file of the folder `assets`, and the tensor that is given its path."""

    filename: str
    tensor: str


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """A graph with what is needed to run it.

    signatures: by name. graph: a GraphDef; objects: a SavedObjectGraph, which TensorFlow 1 does
    not write; both as messages. message: the whole.
    """

    message: Message
    tags: tuple[str, ...]
    tensorflow_version: str | None
    git_version: str | None
    graph: Message | None
    objects: Message | None
    collections: Mapping[str, Collection]
    signatures: tuple[Signature, ...]
    assets: tuple[AssetFile, ...]

    def variables(self, collection: str) -> tuple[VariableDef, ...]:
        """The variables of a collection; none where there is no such one, or of no bytes.

        Raises what `parse` raises, and LimitExceeded (`tensors`).
        """
        held = self.collections.get(collection)
        if held is None or held.kind != "bytes":
            return ()
        limit = self.message.limits.tensors
        found: list[VariableDef] = []
        for message in held.messages():
            if len(found) >= limit:
                path = self.message.source.path
                raise LimitExceeded("tensors", len(found) + 1, limit, path, message.offset)
            found.append(read_variable(message))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class SavedModel:
    """All meta graphs of a saved_model.pb. schema_version: 1 so far."""

    message: Message
    schema_version: int
    meta_graphs: tuple[MetaGraph, ...]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies a SavedModel. hashes: by the names of FingerprintDef's fields."""

    uuid: str | None
    version: int
    hashes: Mapping[str, int]


def read_saved_model(message: Message) -> SavedModel:
    """A SavedModel message. Raises what `Message.fields` and `parse` raise."""
    version = message.number(1)
    return SavedModel(message, version, tuple(read_meta_graph(one) for one in message.each(2)))


def read_meta_graph(message: Message) -> MetaGraph:
    """A MetaGraphDef message. Raises what `Message.fields` and `parse` raise."""
    parts: dict[int, list[Field]] = {}
    for field in message.fields():
        if field.wire == Wire.BYTES:
            parts.setdefault(field.number, []).append(field)

    def last(number: int) -> Message | None:
        return message.child(parts[number][-1]) if number in parts else None

    def each(number: int) -> Iterator[Message]:
        return (message.child(field) for field in parts.get(number, ()))

    info = last(1)
    about = parse(info, META_INFO_DEF) if info is not None else {"tags": []}
    tags = tuple(about["tags"])
    collections = {held.name: held for held in map(_collection, each(4))}
    assets = [parse(asset, ASSET_FILE_DEF) for asset in each(6)]
    if not assets and _ASSETS in collections:
        assets = [parse(asset, ASSET_FILE_DEF) for asset in collections[_ASSETS].messages()]
    signatures = {held.name: replace(held, tags=tags) for held in map(_signature, each(5))}
    return MetaGraph(
        message=message,
        tags=tags,
        tensorflow_version=about.get("tensorflow_version") or None,
        git_version=about.get("tensorflow_git_version") or None,
        graph=last(2),
        objects=last(7),
        collections=collections,
        signatures=tuple(signatures[name] for name in sorted(signatures)),
        assets=tuple(_asset(values) for values in assets),
    )


def read_variable(message: Message) -> VariableDef:
    """A VariableDef message. Raises what `parse` raises."""
    values = parse(message, VARIABLE_DEF)
    part = values["save_slice_info_def"]
    return VariableDef(
        name=_node_of(values["variable_name"]),
        initializer=values["initializer_name"],
        snapshot=values["snapshot_name"],
        initial_value=values["initial_value_name"],
        part=None
        if part is None
        else SaveSlice(
            part["full_name"],
            tuple(part["full_shape"]),
            tuple(part["var_offset"]),
            tuple(part["var_shape"]),
        ),
        is_resource=values["is_resource"],
        trainable=values["trainable"],
    )


def read_fingerprint(message: Message) -> Fingerprint:
    """A FingerprintDef message. Raises what `parse` raises."""
    values = parse(message, FINGERPRINT_DEF)
    version = values.pop("version") or {"producer": 0}
    uuid = values.pop("uuid") or None
    return Fingerprint(uuid, version["producer"], values)


def _collection(entry: Message) -> Collection:
    name, held = entry.text(1), entry.find(2)
    # Of a oneof the last member given wins.
    chosen: Field | None = None
    if held is not None:
        for field in held.fields(*COLLECTION_KINDS):
            chosen = field if field.wire == Wire.BYTES else chosen
    if held is None or chosen is None:
        return Collection(name, "", None)
    return Collection(name, COLLECTION_KINDS[chosen.number], held.child(chosen))


def _signature(entry: Message) -> Signature:
    name, held = entry.text(1), entry.find(2)
    if held is None:
        return Signature(name, (), ())
    values = parse(held, SIGNATURE_DEF)
    return Signature(
        name,
        tuple(_port(key, values["inputs"][key]) for key in sorted(values["inputs"])),
        tuple(_port(key, values["outputs"][key]) for key in sorted(values["outputs"])),
        values["method_name"] or None,
    )


def _port(name: str, info: Mapping[str, Any]) -> Port:
    names = list(_tensors(info))
    number = _dtype(info)
    dtype = DTYPES.get(number - REFERENCE if number > REFERENCE else number)
    return Port(name, dtype.name if dtype else None, _shape(info), ", ".join(names) or None)


def _dtype(info: Mapping[str, Any]) -> int:
    """The number of a port's dtype; of a composite tensor, that of its first part, the values."""
    composite = info["composite_tensor"]
    if info["dtype"] or not composite or not composite["components"]:
        return int(info["dtype"])
    return _dtype(composite["components"][0])


def _shape(info: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    proto = info["tensor_shape"]
    if proto is None:
        # Without a shape a tensor is a scalar; that of a composite one is not told here.
        return () if info["composite_tensor"] is None else None
    sides = tuple(dim["size"] if dim["size"] >= 0 else None for dim in proto["dim"])
    return None if proto["unknown_rank"] else sides


def _tensors(info: Mapping[str, Any]) -> Iterator[str]:
    """Names of the tensors that make up what a TensorInfo describes: one, for a plain tensor."""
    sparse = info["coo_sparse"] or {}
    for name in (info["name"], *sparse.values()):
        if name:
            yield name
    composite = info["composite_tensor"]
    for part in composite["components"] if composite else ():
        yield from _tensors(part)


def _asset(values: Mapping[str, Any]) -> AssetFile:
    info = values["tensor_info"]
    return AssetFile(values["filename"], info["name"] if info else "")


def _node_of(tensor: str) -> str:
    """The node of a tensor: "net/w" of "net/w:0"."""
    name, colon, output = tensor.rpartition(":")
    return name if colon and output.isdecimal() else tensor
