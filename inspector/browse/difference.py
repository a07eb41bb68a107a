"""The screen of a comparison: what changed from one artifact to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from inspector.browse import compare
from inspector.browse.explorer import Explorer
from inspector.browse.lines import Lines
from inspector.browse.outline import Node, every
from inspector.browse.saving import ask_where
from inspector.browse.searching import says
from inspector.browse.source import Source
from inspector.browse.work import Failed
from inspector.errors import InspectorError
from inspector.render.pair_rows import matters, one_side
from inspector.report import Diff, DiffPair, DiffTensor, Explanation, Report


class Sides(NamedTuple):
    """Both tensors of a pair once they are read; None where there is none, or it failed."""

    before: Explanation | None
    after: Explanation | None
    failures: tuple[str, ...]


class Difference(Explorer):
    """Shows the difference in a report that has one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "change(True)", "Change"),
        Binding("F", "change(False)", "Change before", show=False),
        Binding("c", "back", "Back"),
        Binding("o", "page", "HTML", show=False),
    ]

    def __init__(self, source: Source, report: Report) -> None:
        super().__init__(source)
        self.report = report
        if not report.diff:
            raise ValueError("a report without a difference")
        self.diff: Diff = report.diff
        self.paths = tuple(one.path for one in report.artifacts)

    def outline(self) -> tuple[Node, ...]:
        """Pairs by layer, those that are wanted."""
        return compare.outline(self.report, self.diff, self._keep if self.wanted else None)

    def _keep(self, pair: DiffPair) -> bool:
        each = [side for side in (pair.a, pair.b) if side is not None]
        role = self.wanted.role
        if role and role not in {side.role for side in each}:
            return False
        names = [name for side in each for name in _names(side)]
        return says(self.wanted.text, [*names, pair.status])

    def describe(self, node: Node, width: int) -> Lines:
        """The pane's lines."""
        if node.kind == "difference":
            return compare.summary(self.report, self.diff, width)
        if node.kind in ("layer", "part"):
            return compare.of_many(node, width)
        if node.kind == "fact":
            return compare.fact(node.item, width)
        result = self.found.get(node.key)
        if isinstance(result, Failed):
            return compare.pair(node.item, width, failures=(result.why,))
        if isinstance(result, Sides):
            before, after, failures = result
            return compare.pair(node.item, width, before=before, after=after, failures=failures)
        return compare.pair(node.item, width, state="reading …" if self.source.measure else "")

    def reader(self, node: Node) -> Callable[[], Any] | None:
        """Both tensors of a pair."""
        if node.kind != "pair" or not self.source.measure or node.key in self.found:
            return None
        pair: DiffPair = node.item
        return lambda: self._both(pair)

    def _both(self, pair: DiffPair) -> Sides:
        known: list[Explanation | None] = []
        failures: list[str] = []
        for path, side in zip(self.paths, (pair.a, pair.b), strict=True):
            try:
                found = self.source.tensor(path, side.name).known if side else None
            except InspectorError as error:
                # A saved report stands for its artifact, and has no values.
                failures.append(str(error))
                found = None
            known.append(found)
        return Sides(known[0], known[1], tuple(failures))

    def copied(self, node: Node) -> str:
        """The name in the later artifact, where it has one there."""
        if isinstance(node.item, DiffPair):
            return (node.item.b or one_side(node.item)).name
        return node.title

    def roles(self) -> dict[str, int]:
        """Those of both sides."""
        there: dict[str, int] = {}
        for pair in self.diff.pairs:
            for role in {side.role for side in (pair.a, pair.b) if side}:
                there[role] = there.get(role, 0) + 1
        return there

    def action_change(self, forward: bool) -> None:
        """The next pair or fact that makes the two differ."""
        changed = [one for one in every(self.nodes) if _is_change(one)]
        found = self.stops(changed, forward)
        if found is None:
            self.say("nothing that counts changed")
        else:
            self.tree_widget.go(found.key)

    def action_back(self) -> None:
        """To the artifacts."""
        self.app.pop_screen()

    def leave(self) -> None:
        """Escape leads back too."""
        self.action_back()

    def action_page(self) -> None:
        """Write the difference as a page."""
        a, b = self.paths
        ask_where(self, b, lambda share: self.source.difference(a, b, share, pictures=True))

    def heard(self, name: tuple[str, ...], result: Any) -> None:  # noqa: ARG002
        """The page is written, or not."""
        self.say(result.why if isinstance(result, Failed) else f"written: {result}")


def _names(side: DiffTensor) -> tuple[str, ...]:
    return side.name, "/".join(filter(None, (side.layer, side.variable))), side.role


def _is_change(node: Node) -> bool:
    if node.kind == "pair":
        return node.item.status != "unchanged" and matters(node.item)
    return node.kind == "fact" and bool(node.item.counts)
