"""The tree of the left side: nodes of an outline as lines, filled as they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree

from inspector.browse.lines import painted
from inspector.browse.outline import Key, Node, line, widest

if TYPE_CHECKING:
    from textual.widgets.tree import TreeNode

_GUIDE = 2  # columns of one level
_LEAVES = frozenset({"tensor", "label", "pair", "fact"})  # never have anything below them


class OutlineTree(Tree[Node]):
    """Shows nodes; its cursor is known by its key, so that it stays when the nodes are new."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "open", "Open", show=False),
        Binding("left,h", "close", "Close", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_home", "First", show=False),
        Binding("G", "scroll_end", "Last", show=False),
    ]

    def __init__(self) -> None:
        super().__init__("", id="tree")
        self.show_root = False
        self.guide_depth = _GUIDE
        self.order = "file"
        self._numbers = 0
        self._by_key: dict[Key, TreeNode[Node]] = {}

    # --- what is shown --------------------------------------------------------------------------

    def show(self, nodes: Sequence[Node], order: str, opened: frozenset[Key]) -> None:
        """Show these in place of what there is; those with keys in `opened` are open. The cursor
        stays on its key, or goes to the nearest thing around it that is still there.
        """
        at = self.at
        self.order = order
        self._numbers = widest(nodes, order)
        self.clear()
        self._by_key.clear()
        self._fill(self.root, nodes)
        self._open(nodes, opened)
        self.root.expand()
        self._land(at, nodes)

    def _land(self, at: Key | None, nodes: Sequence[Node]) -> None:
        while at:
            if at in self._by_key:
                self.go(at)
                return
            at = at[:-1]
        if nodes:
            self.go(nodes[0].key)

    def _open(self, nodes: Sequence[Node], opened: frozenset[Key]) -> None:
        for node in nodes:
            if node.key in opened and node.children:
                there = self._by_key[node.key]
                self._fill(there, node.children)
                there.expand()
                self._open(node.children, opened)

    def _fill(self, parent: TreeNode[Node], nodes: Sequence[Node]) -> None:
        """Put the nodes below their parent, once."""
        if parent.children:
            return
        for node in nodes:
            made = parent.add(Text(node.title), node, allow_expand=bool(node.children))
            self._by_key[node.key] = made

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Node]) -> None:
        """Fill what is opened, when it is."""
        if event.node.data is not None:
            self._fill(event.node, event.node.data.children)

    @property
    def opened(self) -> frozenset[Key]:
        """Keys of what is open."""
        return frozenset(key for key, node in self._by_key.items() if node.is_expanded)

    # --- where the cursor is --------------------------------------------------------------------

    @property
    def at(self) -> Key | None:
        """The key of the line with the cursor."""
        node = self.cursor_node
        return node.data.key if node is not None and node.data is not None else None

    def go(self, key: Key) -> bool:
        """Put the cursor on a node, opening what is around it; False where there is none."""
        for depth in range(1, len(key)):
            around = self._by_key.get(key[:depth])
            if around is not None and around.data is not None:
                self._fill(around, around.data.children)
                around.expand()
        found = self._by_key.get(key)
        if found is None:
            return False
        _ = self.last_line  # the lines are made now, so that the node has one
        self.move_cursor(found)
        return True

    def action_open(self) -> None:
        """Open the node, or go into it where it is open."""
        node = self.cursor_node
        if node is None or node.data is None or not node.allow_expand:
            return
        if node.is_expanded:
            self.go(node.data.children[0].key)
        else:
            # At once: the next key may go into it before anybody hears that it is open.
            self._fill(node, node.data.children)
            node.expand()

    def action_close(self) -> None:
        """Close the node, or go to what is around it."""
        node = self.cursor_node
        if node is None:
            return
        if node.is_expanded and node.allow_expand:
            node.collapse()
        elif node.parent is not None and not node.parent.is_root:
            self.move_cursor(node.parent)

    # --- how a line looks -----------------------------------------------------------------------

    def render_label(self, node: TreeNode[Node], base_style: Style, style: Style) -> Text:
        """The line of a node, as wide as the tree is."""
        if node.data is None:
            return Text("")
        depth = len(node.data.key)
        leaf = "" if node.data.kind in _LEAVES else "  "
        icon = ("▾ " if node.is_expanded else "▸ ") if node.allow_expand else leaf
        room = self.scrollable_content_region.width - _GUIDE * (depth - 1) - len(icon)
        text = painted([line(node.data, self.order, max(room, 1), self._numbers)])
        text.stylize(style)
        return Text.assemble((icon, base_style + Style(meta={"toggle": True})), text)

    def get_label_width(self, node: TreeNode[Node]) -> int:  # noqa: ARG002
        """No line is wider than the tree: nothing to measure, however many there are."""
        return 1
