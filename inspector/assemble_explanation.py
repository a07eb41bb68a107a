"""From what the steps found of one tensor to its part of the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from inspector import report as r
from inspector.assemble import problem_report, tensor_report
from inspector.model import Artifact, Measurement, Problem, Tensor, Verdict

if TYPE_CHECKING:
    from inspector.classify import Rule
    from inspector.measure import Histogram, MaskReport


def build_explanation(
    artifact: Artifact,
    tensor: Tensor,
    verdict: Verdict,
    rule: Rule | None,
    *,
    measurement: Measurement | None = None,
    histogram: Histogram | None = None,
    check: tuple[Tensor, Tensor, MaskReport] | None = None,
    problems: Iterable[Problem] = (),
) -> r.Explanation:
    """All that is known of one tensor. check: a mask, its weight, and how they agree."""
    edges = histogram.edges if histogram else ()
    return r.Explanation(
        path=artifact.path,
        format=artifact.format,
        kind=artifact.kind,
        tensor=tensor_report(tensor, verdict, measurement),
        rule=None
        if rule is None
        else r.RuleReport(rule.code, rule.summary, rule.explanation, rule.example),
        extents=tuple(
            r.ExtentReport(extent.file, extent.offset, extent.length, extent.codec)
            for extent in tensor.extents
        ),
        histogram=tuple(
            r.Bar(low, high, elements)
            for low, high, elements in zip(
                edges, edges[1:], histogram.counts if histogram else (), strict=False
            )
        ),
        mask=None if check is None else _mask(*check),
        schedule=_schedule(artifact, tensor),
        problems=tuple(problem_report(problem) for problem in problems),
    )


def _mask(mask: Tensor, weight: Tensor, found: MaskReport) -> r.MaskReport:
    return r.MaskReport(
        mask=mask.name,
        weight=weight.name,
        elements=mask.elements,
        masked=found.mask_zeros,
        extra_zeros=found.kept_zeros,
        leaks=found.leaked,
    )


def _schedule(artifact: Artifact, tensor: Tensor) -> r.Schedule | None:
    """What the innermost pruning wrapper around the tensor's layer was told, by its config
    (tfmot, PruneLowMagnitude.get_config).
    """
    if artifact.model is None or tensor.layer is None:
        return None
    around = [
        layer
        for layer in artifact.model.walk()
        if layer.class_name == "PruneLowMagnitude"
        and f"{tensor.layer}/".startswith(f"{layer.path}/")
    ]
    if not around:
        return None
    config = around[-1].config
    given = config.get("pruning_schedule")
    schedule = given if isinstance(given, Mapping) else {}
    pooling = config.get("block_pooling_type")
    name, settings = schedule.get("class_name"), schedule.get("config")
    return r.Schedule(
        wrapper=around[-1].path,
        class_name=name if isinstance(name, str) else None,
        config={str(key): _plain(value) for key, value in settings.items()}
        if isinstance(settings, Mapping)
        else {},
        block_size=_plain(config.get("block_size")),
        block_pooling_type=pooling if isinstance(pooling, str) else None,
        m_by_n=_plain(config.get("sparsity_m_by_n")),
    )


def _plain(value: Any) -> Any:
    """A value of a config as JSON can hold it: no NaN, no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
        return _plain(value.get("items"))  # as tf_keras writes a tuple into a SavedModel
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
