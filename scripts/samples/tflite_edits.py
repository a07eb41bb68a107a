"""What the converter does not write: 4-bit kernels, described models, files behind the model."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as litert

LABELS = b"cat\ndog\nbird\n"
METADATA = "TFLITE_METADATA"

TENSOR_AXIS_LABELS = 2  # of the metadata schema's AssociatedFileType


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """The model after `edit` has changed the objects of LiteRT's generated schema."""
    model = litert.ModelT.InitFromObj(litert.Model.GetRootAs(content, 0))
    edit(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def halves(values: np.ndarray) -> np.ndarray:
    """Numbers from -8 to 7, two in a byte, the first in the lower half."""
    even = np.append(values.ravel(), np.zeros(values.size % 2, "int8")).view("uint8") & 0xF
    return even[0::2] | even[1::2] << 4


def four_bits(content: bytes) -> bytes:
    """int8 kernels as int4, whose numbers go from -7 to 7."""

    def edit(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            buffer = model.buffers[tensor.buffer]
            if tensor.type != litert.TensorType.INT8 or buffer.data is None:
                continue
            values = np.asarray(buffer.data).view("int8").astype("float32")
            narrow = np.round(values * 7 / 127).astype("int8")
            buffer.data = halves(narrow)
            tensor.type = litert.TensorType.INT4
            tensor.quantization.scale = [float(s) * 127 / 7 for s in tensor.quantization.scale]

    return edited(content, edit)


def blockwise(content: bytes, block: int) -> bytes:
    """The kernel of a float model's one Dense as int4, with a scale for each `block` inputs."""

    def edit(model: Any) -> None:
        tensors = model.subgraphs[0].tensors
        (dense,) = model.subgraphs[0].operators
        kernel = tensors[dense.inputs[1]]
        outputs, inputs = kernel.shape
        buffer = model.buffers[kernel.buffer]
        values = np.asarray(buffer.data).view("float32").reshape(outputs, -1, block)
        scales = (np.abs(values).max(axis=-1) / 7).astype("float16")
        buffer.data = halves(np.round(values / scales[..., None].astype("float32")).astype("int8"))
        kernel.type = litert.TensorType.INT4
        held = litert.TensorT()
        held.name, held.type, held.hasRank = "scales", litert.TensorType.FLOAT16, True
        held.shape, held.buffer = [outputs, inputs // block], len(model.buffers)
        model.buffers.append(litert.BufferT(data=scales.view("uint8").ravel()))
        details = litert.BlockwiseQuantizationT(len(tensors), -1, block)
        tensors.append(held)
        kernel.quantization = litert.QuantizationParametersT(
            detailsType=litert.QuantizationDetails.BlockwiseQuantization, details=details
        )

    return edited(content, edit)


EDGE_TPU = "edgetpu-custom-op"


def compiled(content: bytes) -> bytes:
    """As a compiler for a device leaves it: one operator, with everything in its own bytes."""

    def edit(model: Any) -> None:
        subgraph = model.subgraphs[0]
        weights = [t.buffer for t in subgraph.tensors if t.buffer]
        ports = {*subgraph.inputs, *subgraph.outputs}
        opaque = b"".join(
            bytes(model.buffers[i].data) for i in weights if model.buffers[i].data is not None
        )
        code = litert.OperatorCodeT(
            litert.BuiltinOperator.CUSTOM, EDGE_TPU, 1, litert.BuiltinOperator.CUSTOM
        )
        model.operatorCodes = [code]
        kept = sorted(ports)
        new = {old: place for place, old in enumerate(kept)}
        subgraph.tensors = [subgraph.tensors[i] for i in kept]
        for port in subgraph.tensors:
            port.buffer = 0
        subgraph.inputs = [new[i] for i in subgraph.inputs]
        subgraph.outputs = [new[i] for i in subgraph.outputs]
        for signature in model.signatureDefs:
            for one in (*signature.inputs, *signature.outputs):
                one.tensorIndex = new[one.tensorIndex]
        one = litert.OperatorT(inputs=subgraph.inputs, outputs=subgraph.outputs)
        one.customOptions = np.frombuffer(opaque, "uint8")
        subgraph.operators = [one]
        names = {entry.buffer for entry in model.metadata}
        for number, buffer in enumerate(model.buffers):
            if number not in names:
                buffer.data = None

    return edited(content, edit)


def described(content: bytes) -> bytes:
    """With the metadata of the TFLite Metadata schema, and its associated files in a zip behind."""

    def edit(model: Any) -> None:
        buffer, entry = litert.BufferT(), litert.MetadataT()
        buffer.data = np.frombuffer(model_metadata(), "uint8")
        entry.name, entry.buffer = METADATA, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)

    return with_files(edited(content, edit), {"labels.txt": LABELS, "notes/about.txt": b"tiny\n"})


def with_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A model with a zip appended, as readers of associated files look for it."""
    whole = io.BytesIO(content)
    with zipfile.ZipFile(whole, "a") as archive:  # its offsets count from the model's first byte
        for name, held in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, held, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def model_metadata() -> bytes:
    """A ModelMetadata of the schema metadata_schema.fbs, whose file identifier is M001."""
    builder = flatbuffers.Builder(256)
    file = _table(builder, 5, {0: "labels.txt", 1: "one label a line"}, {2: TENSOR_AXIS_LABELS})
    files = _vector(builder, file)
    output = _table(builder, 7, {0: "scores", 1: "one score a label"}, references={6: files})
    outputs = _vector(builder, output)
    subgraphs = _vector(builder, _table(builder, 7, {0: "main"}, references={3: outputs}))
    model = _table(
        builder,
        8,
        {0: "tiny classifier", 1: "tells three animals", 2: "v1", 4: "nobody", 5: "Apache 2.0"},
        references={3: subgraphs},
    )
    builder.Finish(model, b"M001")
    return bytes(builder.Output())


def _table(
    builder: Any,
    fields: int,
    texts: Mapping[int, str],
    bytes_: Mapping[int, int] | None = None,
    references: Mapping[int, int] | None = None,
) -> int:
    """A table of `fields` fields: texts, single bytes and references, each by its field's place."""
    held = {place: builder.CreateString(text) for place, text in texts.items()}
    builder.StartObject(fields)
    for place, offset in {**held, **(references or {})}.items():
        builder.PrependUOffsetTRelativeSlot(place, offset, 0)
    for place, number in (bytes_ or {}).items():
        builder.PrependInt8Slot(place, number, 0)
    return builder.EndObject()


def _vector(builder: Any, *tables: int) -> int:
    builder.StartVector(4, len(tables), 4)
    for offset in reversed(tables):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
