"""What the tree shows, as plain data: artifacts, layers, tensors, and bytes that are no tensors.

Numbers are those of the report. A layer's are of all its elements, whatever a filter leaves of its
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inspector.browse.lines import Line, clean, columns, fit
from inspector.browse.roles import look
from inspector.render.rows import full_name, row_around
from inspector.report import ArtifactReport, LayerReport, TensorReport
from inspector.words import ROLE_LABELS, number, percent

Key = tuple[str, ...]  # of a node, from the top down
ORDERS = ("file", "size", "sparsity")  # how siblings may be sorted
_TITLE = 300  # characters of a name that no column has room for
_WORD = 10  # columns of the short word
_LEAST = 12  # columns of a title: where there are fewer, the word goes


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the tree.

    kind: "artifact", "layer", "group", "tensor", "bytes", "label"; in a difference "pair" and
    "fact" too. title: fit to be shown. marks: what stands in the column of words: (text, tone).
    elements, nbytes: None where there is nothing to say; about: "≤" where nbytes counts what is
    shared twice. zeros: (how many, of how many), None where not measured. item: what the report
    says of it.
    """

    key: Key
    kind: str
    title: str
    symbol: str = ""
    tone: str = ""
    marks: Line = ()
    elements: int | None = None
    nbytes: int | None = None
    about: str = ""
    zeros: tuple[int, int] | None = None
    item: Any = None
    children: tuple[Node, ...] = ()


def outline(
    artifact: ArtifactReport,
    keep: Callable[[TensorReport], bool] | None = None,
    order: str = "file",
    roles: Sequence[str] = (),
) -> Node:
    """The artifact's tree. keep: which tensors are in it, None for all, and all else; roles: of
    which the counts of layers are, none for all.
    """
    key: Key = (artifact.path,)
    title = clean(artifact.path, _TITLE)
    if not artifact.readable:
        return Node(key, "artifact", title, "✗", "error", (("unreadable", "error"),), item=artifact)
    held = by_layer(artifact)
    parts = [*_layers(artifact, held, keep, roles), *_groups(artifact, held[None], keep)]
    parts = _sorted(parts, order)
    if keep is None:
        parts += _others(artifact, key)
    weights = artifact.weights
    return Node(
        key,
        "artifact",
        title,
        elements=artifact.totals.stored_elements,
        nbytes=artifact.nbytes,
        zeros=(weights.zeros, weights.elements) if weights else None,
        item=artifact,
        children=tuple(
            replace(one, children=tuple(_sorted(one.children, order))) if one.children else one
            for one in parts
        ),
    )


def _layers(
    artifact: ArtifactReport,
    held: Mapping[str | None, Sequence[TensorReport]],
    keep: Callable[[TensorReport], bool] | None,
    roles: Sequence[str],
) -> list[Node]:
    by_name = {one.name: one for one in artifact.tensors}
    about = _about(artifact)
    nodes = []
    for row in artifact.layers:
        key = (artifact.path, f"layer {row.name}")
        tensors = [one for one in held[row.name] if keep is None or keep(one)]
        if keep is not None and not tensors:
            continue
        nodes.append(
            Node(
                key,
                "layer",
                clean(row.name, _TITLE) or "(the model)",
                tone="title",
                marks=_symbols(row),
                elements=sum(n for role, n in row.roles.items() if not roles or role in roles),
                nbytes=sum(one.nbytes for one in held[row.name]),
                about=about,
                zeros=(row.weights.zeros, row.weights.elements) if row.weights else None,
                item=row,
                children=tuple(_tensor(one, key, by_name, row.name) for one in tensors),
            )
        )
    return nodes


def by_layer(artifact: ArtifactReport) -> dict[str | None, list[TensorReport]]:
    """The tensors of each layer's row; None has those that are in none."""
    rows = {row.name: row for row in artifact.layers}
    held: dict[str | None, list[TensorReport]] = {None: [], **{name: [] for name in rows}}
    for tensor in artifact.tensors:
        row = row_around(tensor.layer, rows)
        # A layer's row counts no constants: they are an operator's.
        inside = row is not None and tensor.role in rows[row].roles
        held[row if inside else None].append(tensor)
    return held


def _groups(
    artifact: ArtifactReport,
    loose: Sequence[TensorReport],
    keep: Callable[[TensorReport], bool] | None,
) -> list[Node]:
    """Tensors in no layer, by role."""
    by_name = {one.name: one for one in artifact.tensors}
    held: dict[str, list[TensorReport]] = {}
    for tensor in loose:
        if keep is None or keep(tensor):
            held.setdefault(tensor.role, []).append(tensor)
    about = _about(artifact)
    return [
        Node(
            (artifact.path, f"role {role}"),
            "group",
            ROLE_LABELS.get(role, role),
            look(role).symbol,
            look(role).tone,
            marks=((f"×{number(len(tensors))}", "dim"),),
            elements=artifact.in_no_layer.get(role),
            nbytes=sum(one.nbytes for one in tensors),
            about=about,
            item=role,
            children=tuple(
                _tensor(one, (artifact.path, f"role {role}"), by_name, None) for one in tensors
            ),
        )
        for role, tensors in held.items()
    ]


def _tensor(
    tensor: TensorReport, at: Key, by_name: Mapping[str, TensorReport], row: str | None
) -> Node:
    found = look(tensor.role)
    # Activations and whatever else stores nothing have no elements in the file.
    stored = tensor.elements if tensor.nbytes or tensor.role != "activation" else None
    name = full_name(tensor, by_name) or tensor.name
    inside = name.removeprefix(f"{row}/") if row and tensor.variable else name
    return Node(
        (*at, tensor.name),
        "tensor",
        clean(inside, _TITLE) or "(no name)",
        found.symbol,
        found.tone,
        marks=((found.word, found.tone),),
        elements=stored,
        nbytes=tensor.nbytes,
        zeros=(tensor.measure.zeros, tensor.elements) if tensor.measure else None,
        item=tensor,
    )


def _others(artifact: ArtifactReport, at: Key) -> list[Node]:
    """The bytes that hold no tensor, by label."""
    labels = {label: n for label, n in artifact.bytes.items() if label not in _of_tensors(artifact)}
    if not labels:
        return []
    key = (*at, "no tensors")
    children = tuple(
        Node((*key, label), "label", clean(label, _TITLE), "·", "dim", nbytes=n, item=label)
        for label, n in labels.items()
    )
    return [
        Node(key, "bytes", "no tensors", "·", "dim", nbytes=sum(labels.values()), children=children)
    ]


def _of_tensors(artifact: ArtifactReport) -> set[str]:
    """Labels of bytes that are those of tensors."""
    return {ROLE_LABELS.get(role, role) for role in artifact.roles}


def _about(artifact: ArtifactReport) -> str:
    """The sign "≤" where tensors share bytes, so that a sum over tensors says too much."""
    each = sum(one.nbytes for one in artifact.tensors)
    return "≤" if each != sum(one.nbytes for one in artifact.roles.values()) else ""


def _symbols(row: LayerReport) -> Line:
    """What a layer holds at a glance: a symbol a kind."""
    found = {look(role).symbol: look(role).tone for role, n in row.roles.items() if n}
    return tuple(found.items())


def _sorted(nodes: Sequence[Node], order: str) -> list[Node]:
    if order == "size":
        return sorted(nodes, key=lambda one: -(one.nbytes or 0))
    if order == "sparsity":
        return sorted(nodes, key=_density)
    return list(nodes)


def _density(node: Node) -> float:
    """The share of what is not zero; what was not measured comes last."""
    if node.zeros is None or not node.zeros[1]:
        return 2.0
    return 1 - node.zeros[0] / node.zeros[1]


def amount(node: Node, order: str) -> str:
    """The number at the end of the line: elements, bytes where sorted by size, or the share of
    zeros.
    """
    if order == "sparsity" and node.kind not in ("bytes", "label"):
        return percent(*node.zeros) if node.zeros else "-"
    if order == "size" or (node.elements is None and node.kind in ("bytes", "label")):
        return "" if node.nbytes is None else f"{node.about}{number(node.nbytes)} B"
    return "" if node.elements is None else number(node.elements)


def line(node: Node, order: str, width: int, numbers: int) -> Line:
    """The node in `width` columns: symbol, title, word, and its number in the last `numbers`."""
    symbol = f"{node.symbol} " if node.symbol else ""
    end = f" {amount(node, order):>{numbers}}"
    room = width - len(symbol) - len(end)
    words: Line = ()
    taken = sum(columns(text) for text, _ in node.marks)
    # Words of tensors stand in a column; the symbols of a layer leave its name the room.
    column = max(_WORD, taken) if node.kind in ("tensor", "pair") else taken
    if node.marks and room - column - 1 >= _LEAST:
        words = ((" ", ""), *node.marks, (" " * (column - taken), ""))
        room -= column + 1
    title = fit(node.title, max(room, 1))
    return ((symbol, node.tone), (title, _title_tone(node)), *words, (end, ""))


def _title_tone(node: Node) -> str:
    return {"layer": "title", "artifact": "title", "label": "dim", "bytes": "dim"}.get(
        node.kind, ""
    )


def every(nodes: Sequence[Node]) -> Iterator[Node]:
    """All nodes, as the tree would show them with everything open."""
    for node in nodes:
        yield node
        yield from every(node.children)


def widest(nodes: Sequence[Node], order: str) -> int:
    """Columns of the longest number; what is no tensor may take more."""
    numbers = (one for one in every(nodes) if one.kind not in ("bytes", "label"))
    return max((len(amount(one, order)) for one in numbers), default=0)
