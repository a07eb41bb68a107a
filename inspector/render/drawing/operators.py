"""What each operator of a converted model takes: three bars each, aligned by operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.render.drawing.labels import fitted, whole, wide
from inspector.render.drawing.scale import Scale
from inspector.render.drawing.shapes import SIZE, WIDE, Box, Drawing, Text, amount, box, place
from inspector.report import OperatorCostReport
from inspector.words import number

_COLUMNS: tuple[tuple[str, str, str, Callable[[OperatorCostReport], int | None]], ...] = (
    ("multiply-accumulates", "", "cost-macs", lambda one: one.macs),
    ("bytes of weights", " bytes", "cost-weights", lambda one: one.weight_bytes),
    ("bytes of activations", " bytes", "cost-activations", lambda one: one.activation_bytes),
)
_ROW, _BAR, _PAD = 22, 14, 14
_NAMES = 0.28  # of the width
_HEAD = SIZE + 12


def operator_bars(operators: Sequence[OperatorCostReport], width: float = WIDE) -> Drawing:
    """A line an operator in the order given, each column on a scale of its own.

    A narrow picture has the columns beneath each other, with the names in each.
    """
    if not operators:
        return Drawing(width, 0)
    boxes: list[Box] = []
    texts: list[Text] = []
    beside = width > WIDE / 2
    names = width * _NAMES if beside else 0
    column = (width - names) / len(_COLUMNS) if beside else width
    y = 0.0
    for at, (head, unit, css, of) in enumerate(_COLUMNS):
        left = names + at * column if beside else 0
        texts.append(Text(place(left), place(y + SIZE), head, "row-total"))
        values = [of(one) for one in operators]
        said = ["?" if value is None else number(value) for value in values]
        room = max(map(wide, said)) + 6
        start = left if beside else column * 0.4
        most = max(map(amount, values))
        scale = Scale(0, most, start, left + column - room - (_PAD if beside else 0))
        for row, (one, value) in enumerate(zip(operators, values, strict=True)):
            top = y + _HEAD + row * _ROW
            base = place(top + SIZE - 2)
            end = scale(amount(value))
            if not at or not beside:
                name = fitted(_called(one), (names or start) - _PAD)
                texts.append(Text(0, base, name, "row-name"))
            if amount(value):
                title = f"{whole(_called(one))}: {said[row]}{unit or ' multiply-accumulates'}"
                boxes.append(box(start, top, max(end, start + 1), top + _BAR, css, title))
            texts.append(Text(place(end + 6), base, said[row], "row-number"))
        y += 0 if beside else _HEAD + len(operators) * _ROW + _PAD
    height = y if not beside else _HEAD + len(operators) * _ROW
    kept = tuple(text for text in texts if text.text)
    return Drawing(width, place(height), tuple(boxes), kept)


def _called(one: OperatorCostReport) -> str:
    return one.name if one.op in one.name else f"{one.op} {one.name}".strip()
