"""All that is known of one tensor, as text."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shape, shorten, value
from inspector.render.style import Style
from inspector.report import Explanation, ExtentReport, MaskReport, MeasureReport, Schedule
from inspector.words import count, keyless, number, percent

_LABEL = 11  # width of the left column
_LONGEST = 2_000  # what quotes the file may be as long as the file wishes
_SETTINGS = 40  # of a schedule: real ones have five
_EXTENTS = 12  # a sliced or chunked tensor may lie in thousands of places


def explain(explanation: Explanation, options: RenderOptions, style: Style) -> str:
    """Text: what it is and why, where its bytes are, what its values look like."""
    rule = explanation.rule
    width = options.width
    lines = [style.bold(line) for line in _wrapped_title(explanation, width)]
    lines.append("")
    previous = ""
    for label, text in facts(explanation):
        lines += _fact(
            "" if label == previous else label, shorten(safe(keyless(text)), _LONGEST), width, style
        )
        previous = label
    if explanation.histogram:
        lines += ["", *bars(explanation, width)]
    if rule:
        lines += ["", *textwrap.wrap(safe(rule.explanation), width)]
    for problem in explanation.problems:
        severity = problem.severity.value
        text = f"{severity}: {safe(problem.message)} [{safe(problem.code)}]"
        lines += ["", *(style.severity(severity, line) for line in textwrap.wrap(text, width))]
    return "\n".join(lines)


def _wrapped_title(explanation: Explanation, width: int) -> list[str]:
    return textwrap.wrap(shorten(safe(explanation.tensor.name), _LONGEST), width)


def facts(explanation: Explanation) -> list[tuple[str, str]]:
    """What is known, as (label, text), unescaped; a label that repeats goes on with its topic."""
    tensor, rule = explanation.tensor, explanation.rule
    serves = tensor.about if tensor.about != tensor.alias_of else None
    held = (("layer", tensor.layer), ("variable", tensor.variable))
    related = (("serves", serves), ("copy of", tensor.alias_of))
    return [
        ("artifact", f"{explanation.path} · {explanation.kind}"),
        ("role", tensor.role),
        ("evidence", tensor.evidence),
        ("rule", f"{tensor.rule}: {rule.summary}" if rule else tensor.rule),
        ("basis", tensor.basis),
        *((label, name) for label, name in held if name),
        *((label, name) for label, name in related if name),
        *(("also at", link) for link in tensor.links),
        ("trainable", {True: "yes", False: "no", None: "unknown"}[tensor.trainable]),
        ("values", f"{count(tensor.elements, 'element')}, {tensor.dtype}, {shape(tensor.shape)}"),
        ("stored", f"{count(tensor.nbytes, 'byte')}, {tensor.storage}"),
        *_places(explanation.extents),
        *(_measure(tensor.measure, tensor.elements) if tensor.measure else ()),
        *(_mask(explanation.mask, tensor.name) if explanation.mask else ()),
        *(_schedule(explanation.schedule) if explanation.schedule else ()),
    ]


def _fact(label: str, text: str, width: int, style: Style) -> list[str]:
    wrapped = textwrap.wrap(text, max(width - _LABEL, 20), break_on_hyphens=False) or [""]
    first = f"{style.dim(label)}{' ' * (_LABEL - len(label))}{wrapped[0]}"
    return [first, *(f"{'':{_LABEL}}{line}" for line in wrapped[1:])]


def _places(extents: tuple[ExtentReport, ...]) -> Iterable[tuple[str, str]]:
    for extent in extents[:_EXTENTS]:
        codec = f", {extent.codec}" if extent.codec else ""
        yield (
            "where",
            f"{extent.file}: {count(extent.length, 'byte')} at {number(extent.offset)}{codec}",
        )
    if len(extents) > _EXTENTS:
        yield "where", f"and {count(len(extents) - _EXTENTS, 'more place')} (all in --format json)"


def _measure(measure: MeasureReport, elements: int) -> Iterable[tuple[str, str]]:
    yield (
        "zeros",
        f"{number(measure.zeros)} of {number(elements)} ({percent(measure.zeros, elements)})",
    )
    ends = measure.min, measure.max
    yield "range", "none" if None in ends else " to ".join(map(value, ends))
    if measure.distinct is not None:
        yield "distinct", count(measure.distinct, "value")
    if measure.nan or measure.inf:
        yield "not finite", f"{number(measure.nan)} NaN, {number(measure.inf)} infinite"
    for name, pattern in measure.patterns.items():
        verdict = "holds" if pattern.holds else "does not hold"
        shares = f"{number(pattern.held)} of {number(pattern.groups)}"
        kind, _, axis = name.partition(" ")
        if axis == "block":
            text = f"zeros in whole {kind} blocks: {verdict}, {shares} blocks are zero"
        else:
            text = f"{kind} along the {axis} axis: {verdict}, in {shares} groups"
        yield "pattern", text


def _mask(mask: MaskReport, shown: str) -> Iterable[tuple[str, str]]:
    """How mask and weight agree; `shown`, either of them, is not named again."""
    subject = "it" if mask.mask == shown else mask.mask
    whole = f"{number(mask.elements)} ({percent(mask.masked, mask.elements)})"
    of = "" if mask.weight == shown else f" of {mask.weight}"
    yield "mask", f"{subject} removes {number(mask.masked)} of {whole}{of}"
    yield "mask", f"{count(mask.extra_zeros, 'zero')} of the weight where the mask is not 0"
    yield "mask", f"{count(mask.leaks, 'non-zero')} of the weight where the mask is 0"


def _schedule(schedule: Schedule) -> Iterable[tuple[str, str]]:
    yield "schedule", f"{schedule.class_name or 'unknown'} (of {schedule.wrapper})"
    for key, setting in itertools.islice(schedule.config.items(), _SETTINGS):
        yield "schedule", f"  {key} = {_setting(setting)}"
    for key, given in (
        ("block_size", schedule.block_size),
        ("block_pooling_type", schedule.block_pooling_type),
        ("m_by_n", schedule.m_by_n),
    ):
        if given is not None:
            yield "schedule", f"{key} = {_setting(given)}"


def _setting(given: Any) -> str:
    text = (
        json.dumps(given, ensure_ascii=False) if isinstance(given, (list, Mapping)) else str(given)
    )
    return shorten(text, 200)


def bars(explanation: Explanation, width: int) -> list[str]:
    """The histogram, one line a bar, the longest as wide as there is room."""
    found = explanation.histogram
    labels = [f"{value(bar.low)} to {value(bar.high)}" for bar in found]
    amounts = [number(bar.elements) for bar in found]
    left, right = max(map(len, labels)), max(map(len, amounts))
    most = max((bar.elements for bar in found), default=0) or 1
    room = max(width - left - right - 4, 8)
    return [
        f"{label:>{left}}  {amount:>{right}}  {_bar(bar.elements * room, most)}".rstrip()
        for label, amount, bar in zip(labels, amounts, found, strict=True)
    ]


def _bar(scaled: int, most: int) -> str:
    """Full blocks; anything that is there shows at least a sliver."""
    return "█" * (scaled // most) or ("▏" if scaled else "")
