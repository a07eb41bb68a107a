"""Pairs of tensors as rows of a difference: what each is of, and what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from inspector.render.bounded import bounded, more
from inspector.render.printable import shape, value
from inspector.render.rows import Table, full_name
from inspector.render.table import Column
from inspector.report import Diff, DiffPair, DiffTensor, DiffValues, Report, TensorReport
from inspector.words import ROLE_WORDS, keyless, number

SIGNS = {"added": "+", "removed": "-", "changed": "~", "unread": "?", "unchanged": "="}
_FEW = 8  # alike rows that are listed one by one
_OF_MODEL = ("weight", "statistic", "unknown")  # of these each is listed

# Pairs that stand in one row: one, or several that are alike.
Row = tuple[DiffPair, ...]


def matters(pair: DiffPair) -> bool:
    """Whether the two may not say the same because of it: nobody knows of what is unread."""
    return pair.counts or pair.status == "unread"


def spelled(report: Report, diff: Diff) -> list[DiffPair]:
    """The pairs, an optimizer's slots named after what they are of: "m of dense/kernel"."""
    a, b = ({one.name: one for one in artifact.tensors} for artifact in report.artifacts[:2])
    return [
        replace(pair, a=_slot(pair.a, a), b=_slot(pair.b, b)) if _is_slot(pair) else pair
        for pair in diff.pairs
    ]


def _is_slot(pair: DiffPair) -> bool:
    return "optimizer_slot" in {side.role for side in (pair.a, pair.b) if side}


def _slot(side: DiffTensor | None, by_name: Mapping[str, TensorReport]) -> DiffTensor | None:
    """Under its path where nothing tells what it is of: "m" alone says little."""
    if side is None or side.role != "optimizer_slot":
        return side
    entry = by_name.get(side.name)
    told = full_name(entry, by_name) if entry and entry.about in by_name else None
    return replace(side, layer=None, variable=told or None)


def fold(pairs: Sequence[DiffPair]) -> list[Row]:
    """Rows in the order of the pairs; where many are alike, one row for all of them."""
    many = {kind for kind, times in Counter(map(_kind, pairs)).items() if kind and times > _FEW}
    rows: dict[object, list[DiffPair]] = {}
    for at, pair in enumerate(pairs):
        kind = _kind(pair)
        rows.setdefault(kind if kind in many else at, []).append(pair)
    return [tuple(row) for row in rows.values()]


def _kind(pair: DiffPair) -> tuple[object, ...] | None:
    """Equal of pairs that a reader needs no names of; None where each tells something."""
    role = one_side(pair).role
    alone = pair.a is None or pair.b is None
    differs = pair.values is not None and pair.values.differing > 0
    if pair.status == "unread" or "renamed" in pair.changes or differs:
        return None
    if pair.counts and alone and role in _OF_MODEL:
        return None
    return (pair.status, role, pair.words, pair.why if pair.counts else "")


def shown(pairs: Sequence[DiffPair], everything: bool) -> tuple[list[Row], str]:
    """The rows of these pairs, and a note of what has none."""
    if everything:
        return [(pair,) for pair in pairs], ""
    rows, left = bounded(fold(pairs), lambda row: row[0].status)
    return rows, more(left, "tensors")


def one_side(pair: DiffPair) -> DiffTensor:
    """The tensor of A, or where it has none, of B. Raises ValueError where both have none."""
    found = pair.a or pair.b
    if found is None:
        raise ValueError("a pair of no tensors")
    return found


def name(row: Row) -> str:
    """What the row is of: "dense/kernel", "{dense_1 → dense}/kernel", "400 optimizer slots"."""
    pair = row[0]
    if len(row) > 1:
        role = one_side(pair).role
        return f"{number(len(row))} {ROLE_WORDS.get(role, (role, f'{role} tensors'))[1]}"
    names = sorted({_called(side) for side in (pair.a, pair.b) if side}, key=len)
    if "renamed" not in pair.changes and names[-1].endswith(f"/{names[0]}"):
        return names[0]  # the other has the name of a wrapper before it
    return turned(*(_called(side) for side in (pair.a, pair.b) if side))


def _called(tensor: DiffTensor) -> str:
    if tensor.variable is None:
        return keyless(tensor.name) or "(no name)"
    return f"{tensor.layer}/{tensor.variable}" if tensor.layer else tensor.variable


def turned(a: str, b: str | None = None) -> str:
    """Two paths as one, with what they share said once: "model/{conv → conv_1}/kernel"."""
    if b is None or a == b:
        return a
    old, new = a.split("/"), b.split("/")
    most = min(len(old), len(new)) - 1
    head = shared(old[:most], new[:most])
    tail = shared(old[::-1][: most - head], new[::-1][: most - head])
    if not head + tail:
        return f"{a} → {b}"
    middle = " → ".join("/".join(path[head : len(path) - tail]) for path in (old, new))
    return "/".join([*old[:head], f"{{{middle}}}", *old[len(old) - tail :]])


def shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many parts both begin with."""
    for at, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return at
    return min(len(a), len(b))


def tensor_changes(pairs: Sequence[DiffPair], everything: bool) -> Table:
    """A row a pair, or one for many that are alike, with the columns that say something; why two
    are one only where everything is wanted.
    """
    rows, note = shown(pairs, everything)
    made = {
        column: [cell(row) for row in rows]
        for column, cell in _CELLS.items()
        if everything or column is not _WHY
    }
    filled = {column: cells for column, cells in made.items() if any(cells)}
    cells = tuple(zip(*filled.values(), strict=True))
    return Table(tuple(filled), cells, (), note, tuple(row[0].status for row in rows))


def _role(row: Row) -> str:
    pair = row[0]
    return " → ".join(dict.fromkeys(side.role for side in (pair.a, pair.b) if side))


def change(row: Row) -> str:
    """What changed in words, without what other columns say of values and names."""
    pair = row[0]
    if pair.status == "unchanged":
        return pair.conversion or ""
    if pair.status == "unread" or not pair.clauses:
        return pair.words or pair.why
    told = [
        "values" if kind == "values" and pair.values else clause
        for kind, clause in zip(pair.changes, pair.clauses, strict=True)
        if kind != "renamed"
    ]
    return "; ".join(filter(None, told)) or ", ".join(pair.changes)


def _why(row: Row) -> str:
    """Why the two are one."""
    pair = row[0]
    return pair.why if pair.a and pair.b and len(row) == 1 else ""


def _form(row: Row) -> str:
    """The dtype and shape; none of a row of several."""
    if len(row) > 1:
        return ""
    return " → ".join(
        dict.fromkeys(f"{one.dtype} {shape(one.shape)}" for one in (row[0].a, row[0].b) if one)
    )


def _elements(row: Row) -> str:
    return number(sum(one_side(pair).elements for pair in row))


def _of_values(cell: Callable[[DiffValues], str]) -> Callable[[Row], str]:
    """A cell that only values fill of which some differ."""

    def made(row: Row) -> str:
        values = row[0].values if len(row) == 1 else None
        return cell(values) if values and values.differing else ""

    return made


def zeros(values: DiffValues) -> str:
    """Zeros of both, "640 → 652", or the one number where both have as many."""
    return " → ".join(dict.fromkeys(map(number, (values.zeros_a, values.zeros_b))))


def _steps(values: DiffValues) -> str:
    """The largest difference in the units that the change rounds to."""
    for units, words in ((values.in_scale_units, "steps"), (values.ulps, "ulp")):
        if units is not None:
            return f"{brief(units)} {words}"
    return ""


def brief(found: float | str | None) -> str:
    """A difference in three digits; "" where there is none to say."""
    if found is None:
        return ""
    return value(found) if isinstance(found, (str, int)) else f"{found:.3g}"


_WHY = Column("paired because", keep=20, words=True, least=24, said=True)
# What a row of tensors says; columns that are empty are left out.
_CELLS: dict[Column, Callable[[Row], str]] = {
    Column("", keep=110, words=True): lambda row: SIGNS.get(row[0].status, " "),
    Column("tensor", keep=100, words=True, least=20): name,
    Column("role", keep=60, words=True): _role,
    Column("change", keep=99, words=True, least=24, said=True): change,
    Column("differing", keep=98): _of_values(lambda found: number(found.differing)),
    Column("elements", keep=80): _elements,
    Column("max diff", keep=97): _of_values(lambda found: brief(found.largest)),
    Column("in units", keep=85): _of_values(_steps),
    Column("mean diff", keep=50): _of_values(lambda found: brief(found.mean)),
    Column("rel. norm", keep=55): _of_values(lambda found: brief(found.relative_norm)),
    Column("cosine", keep=36): _of_values(lambda found: value(found.cosine)),
    Column("sign flips", keep=40): _of_values(lambda found: number(found.sign_flips)),
    Column("zeros", keep=95): _of_values(zeros),
    Column("form", keep=35, words=True): _form,
    _WHY: _why,
}
