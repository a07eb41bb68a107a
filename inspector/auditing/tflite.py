"""What of a .tflite file is no operator of the runtime's own, and what lies beside the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from inspector import deadline
from inspector.auditing.contents import Custom
from inspector.auditing.sniff import HEAD, ends_in_zip
from inspector.dangers import REACHING
from inspector.errors import LimitExceeded
from inspector.limits import Limits
from inspector.storage import ByteSource
from inspector.wire.tflite_model import TfliteModel, read_model

_FLEX = "Flex"
# The name of an operator as a text has it: behind its length, or the end of a wider one.
_NAMED = re.compile(
    b"([\\0-\x7f])(" + "|".join(sorted(REACHING, key=len, reverse=True)).encode() + b")"
)


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
    counts += _hidden(model, names, source, limits)
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


def _hidden(
    model: TfliteModel, names: Mapping[int, str], source: ByteSource, limits: Limits
) -> Counter[str]:
    """Flex operators that are another one than they are called.

    TensorFlow makes what the NodeDef in the options names, whatever follows "Flex"
    (`InitializeNodeDef` of the Flex delegate's kernel.cc). Its bytes are searched for operators
    that reach past the graph, since one written to deceive need not be laid out as others are.
    """
    found: Counter[str] = Counter()
    spans = {
        (one.custom_options.offset, one.custom_options.length): names[one.code]
        for graph in model.subgraphs
        for one in graph.operators
        if one.custom_options is not None and names.get(one.code, "").startswith(_FLEX)
    }
    total = sum(length for _, length in spans)
    if total > limits.config_bytes:
        raise LimitExceeded("config_bytes", total, limits.config_bytes, source.path)
    for (offset, length), name in deadline.watched(spans.items()):
        ops = {
            match[2].decode()
            for match in _NAMED.finditer(source.view(offset, length))
            if match[1][0] in (0, len(match[2]))
        }
        found.update(f"{_FLEX}{op}" for op in ops if f"{_FLEX}{op}" != name)
    return found
