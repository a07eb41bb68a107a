"""The screen of artifacts: their tensors, the findings of an audit, the way to a comparison."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from inspector.browse import detail, outline, overview
from inspector.browse.dialogs import Prompt
from inspector.browse.difference import Difference
from inspector.browse.explorer import Explorer
from inspector.browse.lines import Lines
from inspector.browse.outline import ORDERS, Key, Node
from inspector.browse.saving import ask_where
from inspector.browse.searching import matches, place_of
from inspector.browse.source import Read, Source, threshold_of
from inspector.browse.work import Failed
from inspector.report import ArtifactReport, Finding, TensorReport

_HINT = "Values were not read yet: m counts zeros, and what is not zero. f asks for findings."
_UNREAD = "Values are not read (--no-measure). f asks for findings."


class Artifacts(Explorer):
    """Shows the artifacts of a report, each by its path."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "finding(True)", "Finding"),
        Binding("F", "finding(False)", "Finding before", show=False),
        Binding("s", "sort", "Sort"),
        Binding("m", "measure", "Measure"),
        Binding("c", "compare", "Compare"),
        Binding("o", "page", "HTML", show=False),
    ]

    def __init__(self, source: Source, shown: Sequence[ArtifactReport]) -> None:
        super().__init__(source)
        self.shown = {one.path: one for one in shown}
        self.findings: dict[str, tuple[Finding, ...]] = {}
        self.measured: set[str] = set()
        self._finding: tuple[str, int] | None = None  # which one the pane shows: path, place
        self._forward = True

    # --- the tree and the pane ------------------------------------------------------------------

    def outline(self) -> tuple[Node, ...]:
        """The artifacts, those tensors in them that are wanted."""
        wanted = self.wanted
        roles = (wanted.role,) if wanted.role else ()

        def keep(tensor: TensorReport) -> bool:
            return matches(tensor, wanted)

        nodes = [
            outline.outline(one, keep if wanted else None, self.order, roles)
            for one in self.shown.values()
        ]
        return tuple(one for one in nodes if one.children or not wanted)

    @property
    def artifact(self) -> ArtifactReport | None:
        """That of the line with the cursor."""
        return None if self.node is None else self.shown[self.node.key[0]]

    def describe(self, node: Node, width: int) -> Lines:
        """The pane's lines; a finding that was jumped to stands above them."""
        shown = self.shown[node.key[0]]
        lines = self._finding_lines(width)
        if node.kind == "artifact":
            found = self.findings.get(shown.path)
            return lines + overview.artifact(shown, width, hint=self._hint(shown), findings=found)
        if node.kind == "layer":
            return lines + overview.layer(node.item, shown, width)
        if node.kind == "label":
            return overview.label(node, shown, width)
        if node.kind in ("group", "bytes"):
            return lines + overview.group(node, width)
        return lines + self._tensor(node, shown, width)

    def _hint(self, shown: ArtifactReport) -> str:
        if shown.path in self.measured:
            return "" if shown.path in self.findings else "f asks for findings."
        return _HINT if self.source.measure else _UNREAD

    def _finding_lines(self, width: int) -> Lines:
        if self._finding is None:
            return []
        path, place = self._finding
        found = self.findings[path]
        return detail.finding(found[place], place + 1, len(found), width)

    def _tensor(self, node: Node, shown: ArtifactReport, width: int) -> Lines:
        result = self.found.get(node.key)
        known = detail.unread(node.item, shown)
        if isinstance(result, Failed):
            return detail.tensor(known, width, failure=result.why)
        if isinstance(result, Read):
            return detail.tensor(result.known, width, threshold=result.threshold)
        return detail.tensor(known, width, state="reading …" if self.source.measure else "")

    def reader(self, node: Node) -> Callable[[], Any] | None:
        """Only tensors are read, and a weight's threshold behind it; where no values are read, its
        places in the file still are.
        """
        if node.kind != "tensor":
            return None
        path, tensor = node.key[0], node.item
        result = self.found.get(node.key)
        if result is None:
            left = threshold_of(tensor, self.shown[path]) if self.source.measure else None
            return lambda: self.source.tensor(path, tensor.name, left)
        if isinstance(result, Read) and result.left is not None:
            known, name = result, result.left
            return lambda: self.source.threshold(path, known, name)
        return None

    def moved(self, node: Node | None) -> None:
        """A finding is shown as long as the cursor is where it led."""
        if self._finding is not None and node is not None and node.key != self._place_of():
            self._finding = None

    def copied(self, node: Node) -> str:
        """The name in the artifact."""
        if node.kind == "artifact":
            return node.key[0]
        name = getattr(node.item, "name", None)
        return str(name if name is not None else node.item or node.title)

    def roles(self) -> dict[str, int]:
        """Those of all artifacts."""
        there: dict[str, int] = {}
        for one in self.shown.values():
            for role, found in one.roles.items():
                there[role] = there.get(role, 0) + found.tensors
        return there

    # --- measuring and sorting ------------------------------------------------------------------

    def action_sort(self) -> None:
        """By the next order; by sparsity once values are read."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        if self.order == "sparsity" and not self.source.measure:
            self.order = ORDERS[0]
            self.say("values are not read (--no-measure), so nothing is sorted by sparsity")
        self.rebuild()
        if self.order == "sparsity":
            self.action_measure()

    def action_measure(self) -> None:
        """Read all values of the artifact with the cursor."""
        shown = self.artifact
        if shown is None or not shown.readable:
            return
        if not self.source.measure:
            self.say("values are not read: --no-measure")
        elif shown.path not in self.measured:
            path = shown.path
            self.ask(("measuring", path), lambda share: self.source.measured(path, share))

    # --- findings -------------------------------------------------------------------------------

    def action_finding(self, forward: bool) -> None:
        """The next finding of the artifact with the cursor; the audit is run the first time."""
        shown = self.artifact
        if shown is None:
            return
        self._forward = forward
        path = shown.path
        if path not in self.findings:
            self.ask(
                ("looking for findings", path), lambda share: self.source.findings(path, share)
            )
            return
        found = self.findings[path]
        if not found:
            self.say("an audit finds nothing in it")
            return
        if self._finding is None or self._finding[0] != path:
            place = 0 if forward else len(found) - 1
        else:
            place = (self._finding[1] + (1 if forward else -1)) % len(found)
        self._finding = (path, place)
        self.tree_widget.go(self._place_of() or (path,))
        self.query_one("#pane").scroll_home(animate=False)
        self.draw()

    def _place_of(self) -> Key | None:
        """The node that the shown finding is of: its tensor's, its layer's, else the artifact's."""
        if self._finding is None:
            return None
        path, place = self._finding
        found = self.findings[path][place]
        return place_of(self.nodes, (path,), found.tensor, found.layer)

    # --- comparing and writing ------------------------------------------------------------------

    def action_compare(self) -> None:
        """With the other artifact where there are two; else with one that is asked for."""
        shown = self.artifact
        if shown is None:
            return
        paths = [path for path, one in self.shown.items() if one.readable]
        if len(paths) == 2:
            self._compare(*paths)
            return
        others = [path for path in paths if path != shown.path]

        def given(path: str | None) -> None:
            if path is not None:
                self._compare(shown.path, os.path.expanduser(path))

        question = "Compare it with which artifact?"
        self.app.push_screen(Prompt(question, others[0] if others else ""), given)

    def _compare(self, a: str, b: str) -> None:
        self.ask(("comparing", a, b), lambda share: self.source.difference(a, b, share))

    def action_page(self) -> None:
        """Write the report of the artifact as a page."""
        shown = self.artifact
        if shown is not None and shown.readable:
            path = shown.path
            ask_where(self, path, lambda share: self.source.page(path, share))

    def heard(self, name: tuple[str, ...], result: Any) -> None:
        """Put what was asked for where it belongs."""
        if isinstance(result, Failed):
            self.say(result.why)
            return
        what, path, *_ = name
        if what == "measuring":
            self.measured.add(path)
            if result.readable:
                self.shown[path] = result
                self.rebuild()
            else:
                self.say("; ".join(problem.message for problem in result.problems))
        elif what == "looking for findings":
            self.findings[path] = result
            self.draw()
            if self.artifact is not None and self.artifact.path == path:
                self.action_finding(self._forward)
        elif what == "comparing":
            self.app.push_screen(Difference(self.source, result))
        else:
            self.say(f"written: {result}")
