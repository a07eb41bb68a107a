"""From what the steps found to the report: everything is computed here, so renderers need not."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from inspector import deadline
from inspector import report as r
from inspector.answer import sentences
from inspector.answer_counts import Facts
from inspector.assemble_digests import with_digests
from inspector.bytes_once import bytes_once
from inspector.errors import ArtifactError
from inspector.layer_rows import keras_elements
from inspector.model import (
    Artifact,
    Cost,
    Measurement,
    Problem,
    Role,
    Section,
    Severity,
    Signature,
    Sparse,
    Tensor,
    Verdict,
)
from inspector.words import ROLE_LABELS

if TYPE_CHECKING:
    from inspector.classify import Classified
    from inspector.count import Counted
    from inspector.digests import Digests
    from inspector.layer_rows import LayerRow

_PLACES = {role: place for place, role in enumerate(Role)}
_UNKNOWN = r.TotalsReport(None, None, None, None, None, None)


def build_show(
    artifact: Artifact,
    classified: Classified,
    counted: Counted,
    measured: Mapping[str, Measurement] | None = None,
    problems: Iterable[Problem] = (),
    digests: Digests | None = None,
) -> r.ArtifactReport:
    """The report of one artifact.

    measured: by tensor name, None when nothing was measured; problems: those found on the way,
    beside the artifact's own and the steps'; digests: where they are to be in it.
    """
    verdicts = classified.verdicts
    stored = bytes_once(artifact, verdicts)
    quantized = _quantization(artifact, verdicts)
    tensors = tuple(
        tensor_report(
            tensor,
            verdicts[tensor.name],
            (measured or {}).get(tensor.name),
            quantized.get(tensor.name),
        )
        for tensor in deadline.watched(artifact.tensors)
    )
    by_name = {tensor.name: tensor for tensor in tensors}
    layers = tuple(
        _layer(row, [by_name[name] for name in row.tensors], measured is not None)
        for row in counted.layers
    )
    roles = _roles(artifact, tensors, stored)
    held = {name for row in counted.layers for name in row.tensors}
    result = r.ArtifactReport(
        path=artifact.path,
        format=artifact.format,
        nbytes=artifact.nbytes,
        files=tuple(r.FileReport(entry.path, entry.nbytes) for entry in artifact.files),
        producer=_producer(artifact),
        totals=r.TotalsReport(**dataclasses.asdict(counted.totals)),
        roles=roles,
        bytes=_labels(artifact, roles),
        layers=layers,
        tensors=tensors,
        problems=tuple(
            problem_report(problem)
            for problem in (
                *artifact.problems,
                *classified.problems,
                *counted.problems,
                *problems,
            )
        ),
        kind=artifact.kind,
        readable=True,
        answer=(),
        totals_reasons=dict(counted.reasons),
        in_no_layer=_elements(
            artifact.tensors, {name: verdicts[name].role for name in verdicts if name not in held}
        ),
        weights=_weights(tensors) if measured is not None else None,
        tags=artifact.tags,
        signatures=tuple(map(_signature, artifact.signatures)),
        operators=tuple(
            r.OperatorReport(one.name, one.count, one.custom, one.version)
            for one in artifact.operators
        ),
        scheme=artifact.scheme,
        cost=None if artifact.cost is None else _cost(artifact.cost),
        min_runtime_version=artifact.runtime,
        attached=dict(artifact.attached),
    )
    if digests is not None:
        result = with_digests(result, artifact, digests)
    return replace(result, answer=sentences(result, _facts(artifact, verdicts, stored)))


def build_unreadable(path: str, error: ArtifactError) -> r.ArtifactReport:
    """The place of an artifact that could not be read."""
    problem = r.ProblemReport(
        _kebab(type(error).__name__), Severity.ERROR, error.message, error.path, error.offset
    )
    return r.ArtifactReport(
        path=path,
        format=None,
        nbytes=None,
        files=(),
        producer=None,
        totals=_UNKNOWN,
        roles={},
        bytes={},
        layers=(),
        tensors=(),
        problems=(problem,),
        kind=None,
        readable=False,
        answer=(),
        totals_reasons={},
        in_no_layer={},
        weights=None,
    )


def narrow(
    artifact: r.ArtifactReport, layers: tuple[str, ...] = (), roles: tuple[str, ...] = ()
) -> r.ArtifactReport:
    """Only rows of these layers and roles; counts and bytes stay those of the whole.

    layers: globs, of which one must match the path or the name of the layer, of one around it, or
    of one inside it.
    """
    if not artifact.readable or not (layers or roles):
        return artifact

    def named(layer: str | None) -> bool:
        path = layer or ""
        return not layers or any(
            fnmatch.fnmatchcase(one, glob)
            for glob in layers
            for one in (*_paths_to(path), *path.split("/"))
        )

    # A wrapper has a row, and the layer inside it none.
    around = {
        path
        for layer in {tensor.layer for tensor in artifact.tensors if tensor.layer}
        if named(layer)
        for path in _paths_to(layer)
    }
    kept = tuple(
        row
        for row in artifact.layers
        if (named(row.name) or row.name in around)
        and (not roles or any(row.roles.get(role) for role in roles))
    )
    kept_tensors = tuple(
        tensor
        for tensor in artifact.tensors
        if named(tensor.layer) and (not roles or tensor.role in roles)
    )
    shown = r.Shown(len(kept), len(artifact.layers), len(kept_tensors), len(artifact.tensors))
    return replace(artifact, layers=kept, tensors=kept_tensors, shown=shown)


def _paths_to(path: str) -> list[str]:
    """All paths on the way: of "a/b", "a" and "a/b"."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def _quantization(artifact: Artifact, verdicts: Mapping[str, Verdict]) -> dict[str, dict[str, Any]]:
    """For each tensor that quantization parameters serve: which tensors hold them."""
    dtypes = {tensor.name: tensor.dtype for tensor in artifact.tensors}
    found: dict[str, dict[str, Any]] = {}
    for tensor in artifact.tensors:
        verdict, served = verdicts[tensor.name], verdicts[tensor.name].about
        if verdict.role is Role.QUANT_PARAM and served is not None and served in dtypes:
            entry = found.setdefault(served, {"dtype": dtypes[served], "parameters": {}})
            entry["parameters"][tensor.variable or tensor.name] = tensor.name
    return found


def tensor_report(
    tensor: Tensor,
    verdict: Verdict,
    measurement: Measurement | None,
    quantization: dict[str, Any] | None = None,
) -> r.TensorReport:
    """One tensor's entry."""
    return r.TensorReport(
        name=tensor.name,
        variable=tensor.variable,
        layer=tensor.layer,
        role=verdict.role.value,
        rule=verdict.rule,
        basis=verdict.basis,
        evidence=verdict.evidence,
        dtype=tensor.dtype,
        shape=tensor.shape,
        elements=tensor.elements,
        nbytes=tensor.nbytes,
        trainable=verdict.trainable,
        quantization=_quantized(tensor) or quantization,
        sparsity=None if tensor.sparse is None else _sparse(tensor.sparse),
        alias_of=verdict.alias_of,
        about=verdict.about,
        storage=tensor.storage,
        links=tensor.links,
        measure=None if measurement is None else measure_report(measurement, tensor.elements),
        uses=tuple(r.UseReport(one.op, one.input, one.node, one.through) for one in tensor.uses),
    )


def _quantized(tensor: Tensor) -> dict[str, Any] | None:
    found = tensor.quantized
    if found is None:
        return None
    return {
        "dtype": tensor.dtype,
        "scheme": found.scheme,
        "count": found.count,
        "scale": _ends(found.scale),
        "zero_point": _ends(found.zero_point),
        "axis": found.axis,
        "block": found.block,
        "symmetric": found.symmetric,
        "parameters": dict(found.tensors),
    }


def _ends(ends: tuple[float, float] | None) -> list[r.Extreme] | None:
    """The least and the most, spelled as JSON can."""
    return None if ends is None else [extreme(end) for end in ends]


def _sparse(sparse: Sparse) -> dict[str, Any]:
    return {
        "format": sparse.format,
        "block": None if sparse.block is None else list(sparse.block),
        "stored": sparse.stored,
        "dense": sparse.dense,
        "saved_bytes": sparse.saved,
    }


def problem_report(problem: Problem) -> r.ProblemReport:
    """One problem's entry."""
    return r.ProblemReport(
        problem.code, problem.severity, problem.message, problem.path, problem.offset
    )


def measure_report(measurement: Measurement, elements: int) -> r.MeasureReport:
    """What was measured of a tensor of so many elements."""
    return r.MeasureReport(
        zeros=measurement.zeros,
        sparsity=measurement.zeros / elements if elements else None,
        min=extreme(measurement.minimum),
        max=extreme(measurement.maximum),
        nan=measurement.nan,
        inf=measurement.inf,
        distinct=measurement.distinct,
        patterns={
            f"{pattern.name} {pattern.axis}": r.PatternReport(
                pattern.held, pattern.groups, pattern.holds
            )
            for pattern in measurement.patterns
        },
    )


def extreme(value: float | None) -> r.Extreme:
    """A number as JSON can spell it."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _cost(cost: Cost) -> r.CostReport:
    return r.CostReport(cost.macs, cost.macs_rule, cost.uncounted, cost.peak, cost.peak_rule)


def _signature(signature: Signature) -> r.SignatureReport:
    inputs, outputs = (
        tuple(r.PortReport(one.name, one.dtype, one.shape, one.tensor) for one in ports)
        for ports in (signature.inputs, signature.outputs)
    )
    return r.SignatureReport(signature.name, inputs, outputs, signature.method, signature.tags)


def _producer(artifact: Artifact) -> r.ProducerReport | None:
    producer = artifact.producer
    if producer is None:
        return None
    flavor = producer.flavor.value if producer.flavor else None
    return r.ProducerReport(producer.name, producer.version, producer.backend, flavor)


def _roles(
    artifact: Artifact, tensors: Iterable[r.TensorReport], stored: Mapping[str, int]
) -> dict[str, r.RoleReport]:
    # Activations are stored nowhere: of those, what the model makes of them is told.
    held = {t.name: t.elements if t.made else t.stored_elements for t in artifact.tensors}
    result: dict[str, list[int]] = {}
    for tensor in tensors:
        row = result.setdefault(tensor.role, [0, 0, 0])
        row[0] += 1
        row[1] += held[tensor.name]
        row[2] += stored[tensor.name]
    return {role: r.RoleReport(*result[role]) for role in Role if role in result}


def _labels(artifact: Artifact, roles: Mapping[str, r.RoleReport]) -> dict[str, int]:
    """Bytes by label, tensors first. Should the parts of a broken file overlap, the difference has
    a label of its own, so that the sum still holds.
    """
    result = {ROLE_LABELS[role]: row.nbytes for role, row in roles.items() if row.nbytes}
    for label, nbytes in artifact.overhead.items():
        if nbytes:
            result[label] = result.get(label, 0) + nbytes
    rest = artifact.nbytes - sum(result.values())
    if rest:
        result["unaccounted" if rest > 0 else "shared by several"] = rest
    return result


def _elements(tensors: Iterable[Tensor], roles: Mapping[str, Role]) -> dict[str, int]:
    """Stored elements by role, of the tensors that `roles` has."""
    result: dict[Role, int] = {}
    for tensor in tensors:
        role = roles.get(tensor.name)
        if role is not None and tensor.elements and not tensor.stored_elements:
            continue  # made while the model runs, or another tensor's bytes
        if role is not None:
            result[role] = result.get(role, 0) + tensor.stored_elements
    return {role.value: result[role] for role in Role if role in result}


def _weights(tensors: Iterable[r.TensorReport]) -> r.WeightsReport | None:
    """Zeros among the weights, None when one of them has no measure."""
    elements = zeros = 0
    for tensor in tensors:
        if tensor.role == Role.WEIGHT:
            if tensor.measure is None:
                return None
            elements += tensor.elements
            zeros += tensor.measure.zeros
    return r.WeightsReport(elements, zeros, zeros / elements if elements else None)


def _layer(row: LayerRow, tensors: list[r.TensorReport], measured: bool) -> r.LayerReport:
    return r.LayerReport(
        name=row.path,
        class_name=row.class_name,
        wraps=row.wraps,
        trainable=row.trainable,
        count_params=row.count_params,
        overhead=row.overhead,
        roles={
            role.value: row.roles[role]
            for role in sorted(row.roles, key=_PLACES.__getitem__)
            if row.roles[role]
        },
        weights=_weights(tensors) if measured else None,
        macs=row.macs,
    )


def _facts(artifact: Artifact, verdicts: Mapping[str, Verdict], stored: Mapping[str, int]) -> Facts:
    counted: dict[str, int] = {}
    for tensor in artifact.tensors:
        role = verdicts[tensor.name].role.value
        counted[role] = counted.get(role, 0) + keras_elements(tensor)
    classes: set[str] = set()
    lora = quantizes_8_bit = False
    for layer in artifact.model.walk() if artifact.model else ():
        classes.add(layer.class_name)
        lora = lora or bool(layer.config.get("lora_rank"))
        scheme = layer.config.get("quantize_config")
        quantizes_8_bit = quantizes_8_bit or "8Bit" in str(
            scheme.get("class_name") if isinstance(scheme, Mapping) else ""
        )
    return Facts(
        keras_elements=counted,
        classes=frozenset(classes),
        lora=lora,
        quantizes_8_bit=quantizes_8_bit,
        has_config=artifact.model is not None,
        is_keras=artifact.uncounted is None,
        frozen=Role.WEIGHT in counted
        and artifact.format != "tflite"
        and all(tensor.section is Section.GRAPH for tensor in artifact.tensors),
        complete=artifact.complete,
        vocabulary=dict(artifact.vocabulary),
        copied_bytes={
            name: size for name, size in stored.items() if verdicts[name].role is Role.ALIAS
        },
    )


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
