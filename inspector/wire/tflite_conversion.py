"""What a converter says of itself in a .tflite file's metadata.

Source: conversion_metadata.fbs of TensorFlow's converter; associated buffers by the names that the
converter gives them (tflite/version.h, converter/flatbuffer_export.cc).
"""

from __future__ import annotations

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.storage import ByteSource
from inspector.wire.flatbuffer import Flatbuffer
from inspector.wire.flatbuffer_schema import Record, Schema
from inspector.wire.tflite_model import TfliteModel

RUNTIME = "min_runtime_version"
CONVERSION = "CONVERSION_METADATA"
CONVERSION_SCHEMA = Schema(
    {
        "ConversionMetadata": "environment:Environment options:ConversionOptions",
        "Environment": (
            "tensorflow_version:string api_version:uint32 model_type:int32 model_hash:uint64"
        ),
        "ConversionOptions": (
            "model_optimization_modes:[int32] allow_custom_ops:bool enable_select_tf_ops:bool"
            " force_select_tf_ops:bool"
        ),
    }
)
_LONGEST = 64  # bytes of a version


def metadata(model: TfliteModel, name: str, limits: Limits = DEFAULT) -> ByteSource | None:
    """The first metadata buffer of that name; None where there is none."""
    for one in model.metadata:
        if one.name == name and 0 <= one.buffer < len(model.buffers):
            span = model.buffers[one.buffer].span
            if span is not None and 0 < span.length <= limits.member_bytes:
                return model.source.window(*span, f"{model.source.path}!{name}")
    return None


def runtime_of(model: TfliteModel) -> str | None:
    """The oldest runtime that has all the model's operators; None where the file does not say."""
    found = metadata(model, RUNTIME)
    if found is None:
        return None
    text = bytes(found.view(0, min(found.size, _LONGEST))).partition(b"\0")[0]
    return text.decode("utf-8", "replace").strip() or None


def tensorflow_of(model: TfliteModel, limits: Limits = DEFAULT) -> str | None:
    """The version of TensorFlow that converted the model; None where the file does not say."""
    found = metadata(model, CONVERSION, limits)
    if found is None:
        return None
    try:
        root = Record(Flatbuffer(found, limits).root(), "ConversionMetadata", CONVERSION_SCHEMA)
        environment = root.record("environment")
        return (environment["tensorflow_version"] or None) if environment is not None else None
    except ArtifactError:
        return None
