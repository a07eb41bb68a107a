"""The .tflite reader: TensorFlow Lite and LiteRT models, and the files appended to them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from inspector import deadline, filesystem
from inspector.errors import Unsupported
from inspector.limits import Limits
from inspector.model import (
    Artifact,
    FileEntry,
    Layer,
    Operator,
    Port,
    Problem,
    Producer,
    Severity,
    Signature,
    Store,
    Tensor,
)
from inspector.read.formats import TFLITE, Opened
from inspector.read.tflite_parts import parts_of
from inspector.read.tflite_tensors import MOST_ELEMENTS, Constants, shape_of, tensors_of
from inspector.storage import ByteSource
from inspector.tflite.cost import cost_of, macs_of, output_bytes
from inspector.tflite.faults import Fault, faults
from inspector.tflite.flow import Flow
from inspector.tflite.names import Names, names_of
from inspector.tflite.ops import BASIC_LSTM
from inspector.tflite.scheme import scheme_of
from inspector.wire.flatbuffer import IDENTIFIER as AT_IDENTIFIER
from inspector.wire.tflite_conversion import runtime_of, tensorflow_of
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteTensor, read_model
from inspector.wire.tflite_schema import IDENTIFIER
from inspector.wire.tflite_values import text_count
from inspector.words import count

VERSION = 3  # of the schema: the one that every runtime reads
_UNCOUNTED = "a converted model has operators, not Keras layers"
# Descriptions that converters write -> their names.
_CONVERTERS = {
    "MLIR Converted.": "TensorFlow Lite converter (MLIR)",
    "TOCO Converted.": "TensorFlow Lite converter (TOCO)",
}
_LONGEST = 80  # characters of a description that are shown
_SAID = 20  # faults that are told one by one
# Faults with which LiteRT, too, runs a model.
_HARMLESS = frozenset({"negative-shape", "quantization-does-not-fit"})
_KEYS = frozenset({("HASHTABLE_IMPORT", 1), ("HASHTABLE_LOOKUP", 1)})


def read(path: str, limits: Limits) -> Opened:
    """Open a .tflite file.

    Raises ArtifactError: Truncated and Corrupt with the offset, Unsupported for a schema before
    version 3, LimitExceeded.
    """
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(filesystem.opened(path))
        return Opened(_artifact(source, limits), stack.pop_all())


def _artifact(source: ByteSource, limits: Limits) -> Artifact:
    model = read_model(source, limits, None)
    if model.version < VERSION and not model.buffers:
        raise Unsupported(
            f"a TFLite model of schema version {model.version}, which keeps values elsewhere:"
            " convert it anew",
            source.path,
            model.root.offset,
        )
    names = names_of(model)
    flow = Flow(model, names, limits)
    constants = Constants(model, flow)
    pairs = list(tensors_of(constants, limits))
    tensors = tuple(one for _, one in pairs)
    parts = parts_of(model, (extent for one in tensors for extent in one.extents), limits)
    counts = macs_of(model)
    texts, faulty = _texts(model, pairs)
    subgraphs = count(len(model.subgraphs), "subgraph")
    return Artifact(
        path=source.path,
        format=TFLITE.name,
        kind=f"TFLite, {subgraphs} (schema version {model.version})",
        files=(FileEntry(source.path, source.size),),
        tensors=tensors,
        overhead=parts.overhead,
        producer=_producer(model, limits),
        model=_layers(flow, {key: one.count for key, one in counts.items()}),
        store=Store.NAMES,
        complete=not any(tensor.external for tensor, _ in pairs),
        vocabulary=texts,
        signatures=tuple(_signatures(model, names)),
        operators=_operators(model),
        uncounted=_UNCOUNTED,
        scheme=scheme_of(flow, constants.uses),
        cost=cost_of(model, counts),
        runtime=runtime_of(model),
        attached=parts.attached,
        problems=(
            *_problems(model, pairs),
            *_told([*faults(model, limits), *faulty], source.path),
            *parts.problems,
        ),
    )


def _producer(model: TfliteModel, limits: Limits) -> Producer | None:
    description = " ".join(model.description.split())
    name = _CONVERTERS.get(description, description.rstrip(".")[:_LONGEST])
    version = tensorflow_of(model, limits)
    if not name and version is None:
        return None
    return Producer(name or "TensorFlow Lite converter", version)


def _layers(flow: Flow, counts: dict[tuple[int, int], int | None]) -> Layer:
    """A layer for each operator, in the order in which they run."""
    children = tuple(
        Layer(
            path=flow.names.operators[key],
            name=flow.names.operators[key],
            class_name="LSTM" if word == BASIC_LSTM else word,
            macs=counts.get(key),
            output_bytes=output_bytes(flow.model.subgraphs[key[0]], flow.operator(key)),
        )
        for key, word in flow.words.items()
    )
    name = flow.names.graphs[0] if flow.names.graphs else ""
    return Layer("", name, "TFLite", is_model=True, children=children)


def _operators(model: TfliteModel) -> tuple[Operator, ...]:
    """The operators that the model uses, the most used first."""
    counts: Counter[tuple[str, bool, int]] = Counter()
    for graph in model.subgraphs:
        for one in deadline.watched(graph.operators):
            if 0 <= one.code < len(model.codes):
                code = model.codes[one.code]
                custom = code.custom is not None
                counts[
                    (code.custom or "CUSTOM") if custom else code.name, custom, code.version
                ] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Operator(name, number, custom, version) for (name, custom, version), number in ordered
    )


def _signatures(model: TfliteModel, names: Names) -> Iterator[Signature]:
    """How the model is called; where it has no signatures, its first subgraph's ends."""
    for one in model.signatures:
        if 0 <= one.subgraph < len(model.subgraphs):
            graph = model.subgraphs[one.subgraph]
            yield Signature(
                one.key, _ports(graph, names, one.inputs), _ports(graph, names, one.outputs)
            )
    if not model.signatures and model.subgraphs:
        graph = model.subgraphs[0]
        inputs, outputs = (
            _ports(graph, names, [("", index) for index in ends])
            for ends in (graph.inputs, graph.outputs)
        )
        yield Signature(names.graphs[0], inputs, outputs)


def _ports(graph: Subgraph, names: Names, ends: Iterable[tuple[str, int]]) -> tuple[Port, ...]:
    found = []
    for name, index in ends:
        if not 0 <= index < len(graph.tensors):
            continue
        tensor = graph.tensors[index]
        known = names.tensors[graph.index, index]
        found.append(Port(name or tensor.name or known, tensor.dtype, _sides(tensor), known))
    return tuple(found)


def _sides(tensor: TfliteTensor) -> tuple[int | None, ...] | None:
    """The shape with None for a side that is not fixed."""
    sides = tensor.shape if tensor.signature is None else tensor.signature
    if sides is None:
        return shape_of(tensor)
    return tuple(side if side >= 0 else None for side in sides)


def _texts(
    model: TfliteModel, pairs: Sequence[tuple[TfliteTensor, Tensor]]
) -> tuple[dict[str, int], list[Fault]]:
    """(entries of each table of texts by the name of its keys, texts that do not fit)."""
    entries: dict[str, int] = {}
    wrong: list[Fault] = []
    for tensor, one in pairs:
        if tensor.dtype != "string" or not one.extents:
            continue
        held = text_count(model, tensor)
        if held is None or (one.shape is not None and held != one.elements):
            what = "are cut off" if held is None else f"are {held:,}"
            message = f"tensor {tensor.index} {tensor.name!r} has shape {list(one.shape or ())}"
            wrong.append(Fault("data-does-not-fit", f"{message}, its texts {what}", tensor.offset))
        elif _KEYS & {(use.op, use.input) for use in one.uses}:
            entries[one.name] = held
    return entries, wrong


def _problems(
    model: TfliteModel, pairs: Sequence[tuple[TfliteTensor, Tensor]]
) -> Iterator[Problem]:
    """What is odd about the file as a whole."""
    path = model.source.path
    found = bytes(model.source.view(AT_IDENTIFIER.start, len(AT_IDENTIFIER)))
    if found != IDENTIFIER:
        message = "it has no file identifier (TFL3 at byte 4): LiteRT refuses to load it"
        yield Problem("no-identifier", Severity.WARNING, message, path, AT_IDENTIFIER.start)
    if model.version != VERSION:
        message = f"schema version {model.version}: LiteRT loads version {VERSION} alone"
        yield Problem("schema-version", Severity.WARNING, message, path, model.root.offset)
    elsewhere = sum(tensor.external != 0 for tensor, _ in pairs)
    if elsewhere:
        groups = ", ".join(model.external_groups[:3])
        message = f"{count(elsewhere, 'tensor')} in another file{groups and f' ({groups})'}"
        yield Problem("values-elsewhere", Severity.INFO, message, path)
    huge = [
        tensor
        for tensor, one in pairs
        if one.shape is None and tensor.shape and all(side >= 0 for side in tensor.shape)
    ]
    if huge:
        message = f"{count(len(huge), 'tensor')} of more than {MOST_ELEMENTS:,} values by the shape"
        yield Problem("huge-shape", Severity.WARNING, message, path, huge[0].offset)


def _told(found: Sequence[Fault], path: str) -> Iterator[Problem]:
    """Faults as problems; after many, only how many more there are."""
    for one in found[:_SAID]:
        severity = Severity.WARNING if one.code in _HARMLESS else Severity.ERROR
        yield Problem(one.code, severity, one.message, path, one.offset)
    if len(found) > _SAID:
        more = f"{len(found) - _SAID:,} more such faults"
        yield Problem("more-faults", Severity.ERROR, more, path)
