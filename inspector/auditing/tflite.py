"""What of a .tflite file is no operator of the runtime's own, and what lies beside the model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspector.auditing.contents import Custom
from inspector.auditing.sniff import HEAD, ends_in_zip
from inspector.limits import Limits
from inspector.storage import ByteSource
from inspector.wire.tflite_model import read_model


@dataclass(frozen=True, slots=True)
class Beside:
    """customs: operators of others. groups: files that hold values. metadata: the beginning of each
    of its entries, by name. has_files: whether a zip of files follows the model.
    """

    customs: tuple[Custom, ...]
    groups: tuple[str, ...]
    metadata: tuple[tuple[str, bytes], ...]
    has_files: bool


def look_at_tflite(source: ByteSource, path: str, limits: Limits) -> Beside:
    """Look at a .tflite file. Raises what `read_model` raises."""
    model = read_model(source, limits, None)
    names = {
        number: code.custom for number, code in enumerate(model.codes) if code.custom is not None
    }
    counts = Counter(
        names[one.code] for graph in model.subgraphs for one in graph.operators if one.code in names
    )
    # An operator that is listed and never used is asked for all the same.
    for name in names.values():
        counts.setdefault(name, 0)
    metadata = []
    for one in model.metadata:
        span = model.buffers[one.buffer].span if 0 <= one.buffer < len(model.buffers) else None
        if span is not None:
            head = bytes(source.view(span.offset, min(span.length, HEAD)))
            metadata.append((one.name, head))
    return Beside(
        tuple(Custom(name, count, path) for name, count in counts.items()),
        model.external_groups,
        tuple(metadata),
        ends_in_zip(source),
    )
