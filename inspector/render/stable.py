"""The report for `git diff`: one fact a line, in an order that does not change, the same anywhere.

Nothing in it depends on where the file lies, how it is stored, or who looks at it: no path, no
sizes of files, no widths. So a setting that changed is one changed line, and so is a weight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import asdict

from inspector.render.printable import safe, shape, value
from inspector.render.rows import full_name
from inspector.report import (
    ArtifactReport,
    ConfigReport,
    PortReport,
    ProblemReport,
    Report,
    TensorReport,
)
from inspector.words import count, keyless

_DIGITS = 12  # of a digest: 48 bits tell any two versions of one file apart
_LONG = 1_000  # characters of a setting; of longer ones the beginning and a digest
_BEGINNING = 200
_NESTED = 4  # dicts in dicts that have a line for each key, in how a model was compiled


def render(report: Report) -> str:
    """Text, one trailing newline; a blank line between parts, and two between artifacts."""
    return "\n\n".join("\n".join(_lines(artifact)) for artifact in report.artifacts) + "\n"


def _lines(artifact: ArtifactReport) -> Iterator[str]:
    """The lines of one artifact, without its path."""
    yield from map(safe, _artifact(artifact) if artifact.readable else _failed(artifact))


def _failed(artifact: ArtifactReport) -> Iterator[str]:
    yield from (f"cannot be read: {_placeless(artifact, one)}" for one in artifact.problems)
    # So that another version of it differs.
    yield from (f"file: {one.digest}" for one in artifact.files if one.digest)


def _placeless(artifact: ArtifactReport, problem: ProblemReport) -> str:
    """The message, without the temporary path that git may have given."""
    path = artifact.path
    return problem.message.replace(path, "this file") if "/" in path else problem.message


def _artifact(artifact: ArtifactReport) -> Iterator[str]:
    yield from _head(artifact)
    parts = (
        (f"training {line}" for line in _settings(artifact.training or {}, _NESTED)),
        (line for one in artifact.configs or () for line in _layer(one)),
        _calls(artifact),
        _tensors(artifact),
        sorted(
            f"{problem.severity.value}: {_placeless(artifact, problem)} [{problem.code}]"
            for problem in artifact.problems
        ),
    )
    for part in parts:
        lines = list(part)
        if lines:
            yield ""
            yield from lines


def _head(artifact: ArtifactReport) -> Iterator[str]:
    yield f"kind: {artifact.kind}"
    producer = artifact.producer
    if producer is not None:
        told = (producer.name, producer.version, producer.backend and f"on {producer.backend}")
        yield f"producer: {' '.join(filter(None, told))}"
    for name, number in asdict(artifact.totals).items():
        yield f"{name}: {'?' if number is None else number}"
    for role, row in artifact.roles.items():
        yield f"role {role}: {count(row.tensors, 'tensor')}, {count(row.elements, 'element')}"
    if artifact.scheme is not None:
        yield f"quantized: {artifact.scheme}"


def _layer(one: ConfigReport) -> Iterator[str]:
    name = one.layer or "(model)"
    yield f"layer {name}: {one.class_name}"
    settings = one.config if one.inputs is None else {**one.config, "inputs": one.inputs}
    yield from (f"layer {name} {line}" for line in _settings(settings, 1))


def _settings(settings: Mapping[str, Any], depth: int, before: str = "") -> Iterator[str]:
    """A line a key, in the order of the alphabet; depth: of dicts that are opened."""
    for key in sorted(settings):
        found = settings[key]
        if depth > 1 and isinstance(found, Mapping) and found:
            yield from _settings(found, depth - 1, f"{before}{key}.")
        else:
            yield f"{before}{key} = {_spelled(found)}"


def _spelled(setting: Any) -> str:
    text = json.dumps(setting, sort_keys=True, ensure_ascii=False, default=str)
    if len(text) <= _LONG:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{text[:_BEGINNING]}... {count(len(text), 'character')}, sha256:{digest}"


def _calls(artifact: ArtifactReport) -> Iterator[str]:
    yield from (f"tags: {', '.join(tags)}" for tags in artifact.tags)
    for signature in sorted(artifact.signatures, key=lambda one: (one.tags, one.name)):
        for kind, ports in (("input", signature.inputs), ("output", signature.outputs)):
            yield from (f"signature {signature.name} {kind} {_port(port)}" for port in ports)
    for operator in sorted(artifact.operators, key=lambda one: (one.name, one.version or 0)):
        version = "" if operator.version is None else f" v{operator.version}"
        yield f"operator {operator.name}{version}: {operator.count}"
    if artifact.min_runtime_version:
        yield f"runtime: {artifact.min_runtime_version}"
    for name in sorted(artifact.attached):
        yield f"file inside {name}: {count(artifact.attached[name], 'byte')}"


def _port(port: PortReport) -> str:
    sides = (
        "of any rank"
        if port.shape is None
        else f"({', '.join('?' if side is None else str(side) for side in port.shape)})"
    )
    return f"{port.name}: {port.dtype or '?'} {sides}"


def _tensors(artifact: ArtifactReport) -> list[str]:
    by_name = {one.name: one for one in artifact.tensors}
    called = {one.name: full_name(one, by_name) or keyless(one.name) for one in artifact.tensors}
    first: set[str] = set()
    lines = []
    for one in sorted(artifact.tensors, key=lambda one: (called[one.name], one.name)):
        # Copies, and what has its layer's and variable's name in common with another.
        name = called[one.name]
        lines.append(_tensor(one, f"{name} ({keyless(one.name)})" if name in first else name))
        first.add(name)
    return lines


def _tensor(one: TensorReport, name: str) -> str:
    frozen = "frozen" if one.role == "weight" and one.trainable is False else ""
    told = [one.role, one.dtype, shape(one.shape), frozen]
    if one.measure is not None:
        measure = one.measure
        told += [f"zeros {measure.zeros}", f"from {value(measure.min)} to {value(measure.max)}"]
        told += [f"{what} {n}" for what, n in (("nan", measure.nan), ("inf", measure.inf)) if n]
    found = one.quantization or {}
    told += [f"{key} {_spelled(found[key])}" for key in ("scale", "zero_point") if found.get(key)]
    told.append((one.digest or "").removeprefix("sha256:")[:_DIGITS])
    return f"tensor {name}: {' '.join(filter(None, told))}"
