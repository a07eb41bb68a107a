"""An artifact as a saved report tells it: all that is known of its tensors but their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from inspector import report as r
from inspector.errors import Corrupt, LimitExceeded
from inspector.limits import Limits
from inspector.model import (
    Artifact,
    Cost,
    FileEntry,
    Flavor,
    Layer,
    Operator,
    Port,
    Problem,
    Producer,
    Quantized,
    Role,
    Section,
    Signature,
    Sparse,
    Store,
    Tensor,
    Use,
    Verdict,
)
from inspector.pairing.names import bare
from inspector.words import ROLE_LABELS

_SECTIONS: Mapping[Role, Section] = {
    Role.OPTIMIZER_SLOT: Section.OPTIMIZER,
    Role.OPTIMIZER_STATE: Section.OPTIMIZER,
    Role.METRIC: Section.METRICS,
    Role.COUNTER: Section.OTHER,
    Role.CONSTANT: Section.GRAPH,
}
# Formats whose layers are a flat list of operators, and whose tensors are all the graph's.
_GRAPHS = frozenset({"tflite", "frozen-graph"})
# Formats whose rows of layers come from a config; of SavedModels only Keras' own have one.
_CONFIGURED = frozenset({"keras-h5", "keras-zip", "keras-dir", "tflite"})
_OF_VERSION_3 = "/vars/"
_OF_OBJECTS = "/.ATTRIBUTES/VARIABLE_VALUE"
# What Bidirectional calls its two layers, and which they are.
_BOTH_WAYS = "Bidirectional"
_DIRECTIONS: Mapping[str, str] = {"forward": "forward_layer", "backward": "backward_layer"}
# Labels that only make the sum of the bytes come out.
_DIFFERENCES = frozenset({"unaccounted", "shared by several"})


_T = TypeVar("_T")


class _Quantization(msgspec.Struct):
    """What TensorReport.quantization has of a tensor that is quantized."""

    scheme: str
    count: int = 0
    scale: tuple[r.Extreme, r.Extreme] | None = None
    zero_point: tuple[int, int] | None = None
    axis: int | None = None
    block: int | None = None
    symmetric: bool | None = None
    parameters: dict[str, str] = {}


class _Sparsity(msgspec.Struct):
    """What TensorReport.sparsity has."""

    format: str
    stored: int
    dense: int
    saved_bytes: int
    block: tuple[int, ...] | None = None


def rebuilt(saved: r.ArtifactReport, path: str, limits: Limits) -> Artifact:
    """The artifact, without payloads and extents. path: of the saved report.

    Raises Corrupt for what no artifact can be, LimitExceeded (`depth`).
    """
    tensors = tuple(_tensor(one, saved.format in _GRAPHS, path) for one in saved.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise Corrupt("a saved report with two tensors of one name", path)
    store = _store(saved)
    configured = saved.format in _CONFIGURED or (
        saved.format == "saved-model"
        and store is Store.OBJECTS
        and any(row.class_name for row in saved.layers)
    )
    root = _Tree(limits, path, flat=saved.format in _GRAPHS or not configured).of(saved)
    return Artifact(
        path=path,
        format=saved.format or "",
        kind=saved.kind or "",
        files=tuple(FileEntry(one.path, one.nbytes) for one in saved.files),
        tensors=tensors,
        overhead={
            label: nbytes
            for label, nbytes in saved.bytes.items()
            if label not in _DIFFERENCES and label not in ROLE_LABELS.values()
        },
        producer=_producer(saved.producer),
        model=root if configured else None,
        store=store,
        flavor=_flavor(saved.producer) or Flavor.TF_KERAS,
        # Names of groups are no layers: nothing says what they are.
        guessed=() if configured or store is Store.LEGACY else tuple(root.walk()),
        tags=saved.tags,
        signatures=tuple(map(_signature, saved.signatures)),
        operators=tuple(
            Operator(one.name, one.count, one.custom, one.version) for one in saved.operators
        ),
        scheme=saved.scheme,
        cost=_cost(saved.cost),
        runtime=saved.min_runtime_version,
        attached=saved.attached,
        training=saved.training or None,
        problems=tuple(
            Problem(one.code, one.severity, one.message, one.path, one.offset)
            for one in saved.problems
        ),
    )


def verdicts_of(saved: r.ArtifactReport, path: str) -> dict[str, Verdict]:
    """What each tensor is, as the report says. Raises Corrupt for a role that there is not."""
    return {
        one.name: Verdict(
            role=_role(one, path),
            rule=one.rule,
            basis=one.basis,
            evidence=one.evidence,
            trainable=one.trainable,
            about=one.about,
            alias_of=one.alias_of,
        )
        for one in saved.tensors
    }


def _role(one: r.TensorReport, path: str) -> Role:
    try:
        return Role(one.role)
    except ValueError:
        message = f"a saved report in which {one.name} has the role {one.role!r}, which is none"
        raise Corrupt(message, path) from None


def _tensor(one: r.TensorReport, in_graph: bool, path: str) -> Tensor:
    if one.nbytes < 0 or any(side < 0 for side in one.shape or ()):
        raise Corrupt(f"a saved report in which {one.name} has a size below 0", path)
    role = _role(one, path)
    made = role is Role.ACTIVATION
    return Tensor(
        name=one.name,
        dtype=one.dtype,
        shape=one.shape,
        nbytes=one.nbytes,
        storage=one.storage,
        section=Section.GRAPH if in_graph else _SECTIONS.get(role, Section.MODEL),
        layer=one.layer,
        variable=one.variable,
        owner=one.layer,
        slot_of=one.about if role is Role.OPTIMIZER_SLOT else None,
        repeats=one.alias_of,
        serves=one.about if role is Role.MASK else None,
        links=one.links,
        uses=tuple(Use(use.op, use.input, use.node, use.through) for use in one.uses),
        trainable=one.trainable,
        made=one.evidence if made else None,
        stored=0 if made else None,
        quantized=_quantized(one.quantization, path),
        sparse=_sparse(one.sparsity, path),
    )


def _quantized(found: Mapping[str, Any] | None, path: str) -> Quantized | None:
    """None also where only training will quantize: then there is no scheme yet."""
    if found is None or found.get("scheme") is None:
        return None
    one = _typed(found, _Quantization, path)
    scale = None if one.scale is None else (_number(one.scale[0]), _number(one.scale[1]))
    return Quantized(
        scheme=one.scheme,
        count=one.count,
        scale=scale,
        zero_point=one.zero_point,
        axis=one.axis,
        block=one.block,
        symmetric=one.symmetric,
        tensors=one.parameters,
    )


def _sparse(found: Mapping[str, Any] | None, path: str) -> Sparse | None:
    if found is None:
        return None
    one = _typed(found, _Sparsity, path)
    return Sparse(one.format, one.stored, one.dense, one.saved_bytes, one.block)


def _typed(found: Mapping[str, Any], kind: type[_T], path: str) -> _T:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise Corrupt(f"a saved report that was changed: {error}", path) from None


def _number(end: r.Extreme) -> float:
    """A number that JSON may have had to spell as text."""
    return math.nan if end is None else float(end)


def _store(saved: r.ArtifactReport) -> Store:
    """How the variables were laid out: the names of tensors show it."""
    if saved.format in ("keras-zip", "keras-dir"):
        return Store.V3
    if saved.format in ("saved-model", "checkpoint"):
        objects = any(one.name.endswith(_OF_OBJECTS) for one in saved.tensors)
        return Store.OBJECTS if objects else Store.NAMES
    if saved.format in _GRAPHS:
        return Store.NAMES
    numbered = any(_OF_VERSION_3 in one.name for one in saved.tensors)
    return Store.V3 if saved.format == "keras-weights-h5" and numbered else Store.LEGACY


def _flavor(producer: r.ProducerReport | None) -> Flavor | None:
    flavors = {flavor.value: flavor for flavor in Flavor}
    return None if producer is None or producer.flavor is None else flavors.get(producer.flavor)


def _producer(found: r.ProducerReport | None) -> Producer | None:
    if found is None:
        return None
    return Producer(found.name, found.version, found.backend, _flavor(found))


def _signature(found: r.SignatureReport) -> Signature:
    inputs, outputs = (
        tuple(Port(one.name, one.dtype, one.shape, one.tensor) for one in ports)
        for ports in (found.inputs, found.outputs)
    )
    return Signature(found.name, inputs, outputs, found.method, found.tags)


def _cost(found: r.CostReport | None) -> Cost | None:
    if found is None:
        return None
    return Cost(
        found.macs, found.macs_rule, found.uncounted, found.peak_activation_bytes, found.peak_rule
    )


@dataclass(slots=True)
class _Node:
    """A layer on the way to being one."""

    path: str
    name: str
    class_name: str = ""
    trainable: bool | None = None
    is_model: bool = False
    wraps: str | None = None
    macs: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    inside: list[_Node] = field(default_factory=list)

    def layer(self, attr: str = "layers") -> Layer:
        """What it has become. attr: how the layer around it holds it."""
        return Layer(
            path=self.path,
            name=self.name,
            class_name=self.class_name,
            attr=attr,
            config=self.config,
            trainable=self.trainable,
            is_model=self.is_model,
            children=tuple(node.layer(self._attr(node)) for node in self.inside),
            macs=self.macs,
        )

    def _attr(self, inside: _Node) -> str:
        """How it holds a layer inside it, as far as names tell."""
        if self.is_model:
            return "layers"
        direction = inside.name.partition("_")[0]
        return _DIRECTIONS.get(direction, "layer") if self.class_name == _BOTH_WAYS else "layer"


@dataclass(slots=True)
class _Tree:
    """The layers of a report: its rows, the models around them, and what tensors lie inside them.

    flat: rows stand beside each other, whatever slashes are in their names.
    """

    limits: Limits
    path: str
    flat: bool
    nodes: dict[str, _Node] = field(default_factory=dict)

    def of(self, saved: r.ArtifactReport) -> Layer:
        root = self.nodes[""] = _Node("", "", is_model=True)
        for row in saved.layers:
            node = self._node(row.name, root) if row.name else root
            node.class_name, node.wraps = row.class_name, row.wraps
            node.trainable, node.macs, node.is_model = row.trainable, row.macs, node is root
        rows = frozenset(row.name for row in saved.layers)
        for tensor in saved.tensors:
            # Constants of a graph lie in scopes, which are no layers.
            if tensor.layer and not self.flat and not rows.isdisjoint(_steps(tensor.layer)):
                self._node(tensor.layer, root)
        for one in saved.configs or ():
            node = self._node(one.layer, root) if one.layer else root
            node.class_name, node.config = one.class_name, one.config
        # What a wrapper of nothing but weightless layers wraps is named after it.
        pending = list(self.nodes.values())
        for node in pending:
            if node.wraps is not None and not node.inside:
                pending.append(self._inside(node, bare(node.name)))
        return root.layer()

    def _node(self, path: str, root: _Node) -> _Node:
        """The node at a path; those around it are made on the way."""
        if path in self.nodes:
            return self.nodes[path]
        if self.flat:
            node = self.nodes[path] = _Node(path, path.rpartition("/")[2])
            root.inside.append(node)
            return node
        node = root
        depth = path.count("/")
        if depth > self.limits.depth:
            raise LimitExceeded("depth", depth, self.limits.depth, self.path)
        for part in _steps(path):
            node = self.nodes.get(part) or self._inside(node, part.rpartition("/")[2])
        return node

    def _inside(self, around: _Node, name: str) -> _Node:
        """A new layer inside another. Around the rows are models; in a wrapper is what it wraps."""
        path = f"{around.path}/{name}" if around.path else name
        node = self.nodes[path] = _Node(path, name, is_model=around.is_model)
        if around.wraps is not None and not around.inside:
            # Of a wrapper in a wrapper: "TimeDistributed(Dense)".
            node.class_name, _, deeper = around.wraps.partition("(")
            node.wraps = deeper[:-1] or None
        around.inside.append(node)
        return node


def _steps(path: str) -> Iterator[str]:
    """All paths on the way: of "a/b", "a" and "a/b"."""
    reached = ""
    for part in path.split("/"):
        reached = f"{reached}/{part}" if reached else part
        yield reached
