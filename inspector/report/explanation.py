"""All that is known of one tensor."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from inspector.report.artifact import ProblemReport, TensorReport
from inspector.report.display import Displayed
from inspector.report.numbers import Bar


class ExtentReport(Struct, frozen=True):
    """`length` bytes at `offset` of `file`; codec None where they are the values themselves."""

    file: str
    offset: int
    length: int
    codec: str | None


class RuleReport(Struct, frozen=True):
    """A classification rule: its code, one line, one paragraph, an example."""

    code: str
    summary: str
    explanation: str
    example: str


class MaskReport(Struct, frozen=True):
    """A mask held against its weight, in elements.

    extra_zeros: zeros of the weight that the mask keeps; leaks: non-zeros of the weight that the
    mask removes; masked: zeros of the mask.
    """

    mask: str
    weight: str
    elements: int
    masked: int
    extra_zeros: int
    leaks: int


class Schedule(Struct, frozen=True):
    """How a pruning wrapper was told to prune, from the layer's config."""

    wrapper: str
    class_name: str | None
    config: dict[str, Any]
    block_size: Any
    block_pooling_type: str | None
    m_by_n: Any


class Explanation(Struct, Displayed, frozen=True):
    """All that is known of one tensor."""

    path: str
    format: str
    kind: str
    tensor: TensorReport
    rule: RuleReport | None
    extents: tuple[ExtentReport, ...]
    histogram: tuple[Bar, ...]
    mask: MaskReport | None
    schedule: Schedule | None
    problems: tuple[ProblemReport, ...]
