"""A tree at the left, what is known of its line at the right: what both screens have in common."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static, Tree

from inspector.browse.dialogs import Choice
from inspector.browse.lines import Lines, clean, painted
from inspector.browse.outline import Key, Node, every
from inspector.browse.roles import look
from inspector.browse.searching import Wanted, beyond, every_key, step
from inspector.browse.source import Share, Source
from inspector.browse.status import Status, going_on
from inspector.browse.tree import OutlineTree
from inspector.browse.work import Done, Lane
from inspector.words import ROLE_LABELS, number

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer

_PAUSE = 0.08  # seconds that the cursor rests on a tensor before it is read
_WATCH = 0.2  # seconds between two looks at how far something is
_KEPT = 100  # tensors whose values were read, and are not read again
_OPEN = 300  # matches whose surroundings are all opened
_NARROW = 70  # columns under which the pane goes below the tree
_LONGEST = 10_000  # characters of a name that are copied


class Explorer(Screen[None]):
    """What a screen of this kind adds is in the methods that stand first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "match(True)", "Next", show=False),
        Binding("N", "match(False)", "Before", show=False),
        Binding("escape", "clear", "Clear", show=False),
        Binding("r", "role", "Role"),
        Binding("J", "scroll_pane(4)", "Scroll", show=False),
        Binding("K", "scroll_pane(-4)", "Scroll back", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.wanted = Wanted()
        self.order = "file"
        self.nodes: tuple[Node, ...] = ()
        self.found: OrderedDict[Key, Any] = OrderedDict()  # what reading told, by node
        self.reading = Lane(self)  # what the cursor is on
        self.asking = Lane(self)  # what a key asked for
        self.share = Share()
        self._rest: Timer | None = None
        self._matches = 0

    # --- what each screen has of its own --------------------------------------------------------

    def outline(self) -> tuple[Node, ...]:
        """The nodes, as `wanted` and `order` leave them."""
        raise NotImplementedError

    def describe(self, node: Node, width: int) -> Lines:
        """What the pane says of a node."""
        raise NotImplementedError

    def reader(self, node: Node) -> Callable[[], Any] | None:  # noqa: ARG002
        """The call that reads what a node is of, or what `found` lacks of it; None for nothing."""
        return None

    def heard(self, name: tuple[str, ...], result: Any) -> None:
        """What came of a call that a key asked for."""

    def copied(self, node: Node) -> str:
        """What "copy" copies."""
        raise NotImplementedError

    def roles(self) -> dict[str, int]:
        """The roles that there are, and tensors of each."""
        raise NotImplementedError

    # --- the parts ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        with Horizontal(id="main"):
            yield OutlineTree()
            with VerticalScroll(id="pane"):
                yield Static("", id="detail")
        yield Input(
            placeholder="search: words or a glob, as kernel, mask, dense_*/bias", id="search"
        )
        yield Status()
        yield Footer()

    @property
    def tree_widget(self) -> OutlineTree:
        """The left side."""
        return self.query_one(OutlineTree)

    def on_mount(self) -> None:
        """Show all, the first artifact open."""
        self.query_one("#search", Input).display = False
        self.rebuild(frozenset(node.key for node in self.outline()))
        self.tree_widget.focus()
        self.set_interval(_WATCH, self._watch)
        self._tell()

    def on_unmount(self) -> None:
        """Let nothing go on that nobody sees."""
        self.reading.stop()
        self.asking.stop()

    def on_resize(self, event: events.Resize) -> None:
        """Put the pane below the tree where both have no room, and wrap it anew."""
        self.set_class(event.size.width < _NARROW, "narrow")
        self.call_after_refresh(self.draw)

    def rebuild(self, opened: frozenset[Key] | None = None) -> None:
        """Make the tree anew. opened: what is to be open, None for what is."""
        tree = self.tree_widget
        self.nodes = self.outline()
        leaves = [one for one in every(self.nodes) if not one.children]
        self._matches = len(leaves)
        if opened is None:
            opened = tree.opened
        if self.wanted and len(leaves) <= _OPEN:
            opened |= {one.key for one in every(self.nodes) if one.children}
        tree.show(self.nodes, self.order, opened)
        self._tell()
        self.draw()

    # --- the pane -------------------------------------------------------------------------------

    @property
    def node(self) -> Node | None:
        """The node with the cursor."""
        found = self.tree_widget.cursor_node
        return None if found is None else found.data

    def draw(self) -> None:
        """Write the pane anew."""
        pane = self.query_one("#pane")
        node = self.node
        width = max(pane.scrollable_content_region.width, 20)
        lines = self.describe(node, width) if node is not None else self._nothing()
        self.query_one("#detail", Static).update(painted(lines))

    def _nothing(self) -> Lines:
        return [(("Nothing is called so. Esc clears the search.", "dim"),)]

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Node]) -> None:
        """The pane follows the cursor; what is to be read is read once the cursor rests."""
        self.query_one("#pane").scroll_home(animate=False)
        self.moved(event.node.data)
        if self._rest is not None:
            self._rest.stop()
        self.reading.stop()
        self._rest = self.set_timer(_PAUSE, self._read)
        self.draw()

    def moved(self, node: Node | None) -> None:
        """The cursor is on another node."""

    def _read(self) -> None:
        node = self.node
        call = None if node is None else self.reader(node)
        if node is not None and call is not None:
            self.reading.ask(("read", *node.key), call)

    def on_done(self, event: Done) -> None:
        """Something was read."""
        task = event.task
        node = self.node
        if task.name[:1] == ("ask",):
            self.heard(task.name[1:], task.result)
        else:
            key = task.name[1:]
            self.found[key] = task.result
            while len(self.found) > _KEPT:
                self.found.popitem(last=False)
            if node is not None and node.key == key:
                self.draw()
                self._read()  # what is left of it
        self._tell()

    # --- what keys ask for ----------------------------------------------------------------------

    def ask(self, name: tuple[str, ...], call: Callable[[Share], Any]) -> None:
        """Have a call made that may take a while; `heard` is told what came of it."""
        share = self.share = Share()
        self.say("")
        self.asking.ask(("ask", *name), lambda: call(share))
        self._tell()

    def say(self, text: str) -> None:
        """A message for some seconds."""
        self.query_one(Status).say(text)

    def _watch(self) -> None:
        if self.asking.busy:
            self._tell()

    def _tell(self) -> None:
        """What is going on, and what is left out of the tree."""
        busy = self.asking.busy
        status = self.query_one(Status)
        status.tell("" if busy is None else going_on(busy[1], self.share))
        status.tell_left_out(self.wanted, self._matches, self.order)

    # --- searching ------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Ask for words."""
        search = self.query_one("#search", Input)
        search.display = True
        search.value = self.wanted.text
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if event.input.id == "search" and event.input.display:
            self.want(Wanted(event.value, self.wanted.role))
            self.first()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the first match."""
        if event.input.id == "search":
            self._close_search()
            self.first()

    def _close_search(self) -> None:
        self.query_one("#search", Input).display = False
        self.tree_widget.focus()

    def first(self) -> None:
        """To the first match, where something is looked for."""
        found = step(self.nodes, None, forward=True)
        if self.wanted and found is not None:
            self.tree_widget.go(found.key)

    def want(self, wanted: Wanted) -> None:
        """Look for something else."""
        if wanted != self.wanted:
            self.wanted = wanted
            self.rebuild()

    def action_match(self, forward: bool) -> None:
        """The next match, or the one before."""
        if not self.wanted:
            self.say("/ searches, r looks for a role; n and N go through what is found")
            return
        found = step(self.nodes, self.tree_widget.at, forward)
        if found is not None:
            self.tree_widget.go(found.key)

    def action_clear(self) -> None:
        """Leave the search; else stop what is going on; else clear what is looked for."""
        search = self.query_one("#search", Input)
        if search.has_focus:
            self._close_search()
        elif self.asking.busy:
            self.asking.stop()
            self.say("stopped")
            return
        elif not self.wanted:
            self.leave()
            return
        self.want(Wanted())

    def leave(self) -> None:
        """Nothing is left to clear."""

    def stops(self, stops: Sequence[Node], forward: bool) -> Node | None:
        """The stop after the cursor, or before it."""
        return beyond(stops, every_key(self.nodes), self.tree_widget.at, forward)

    # --- other keys -----------------------------------------------------------------------------

    def action_role(self) -> None:
        """Ask for a role."""
        there = self.roles()
        width = max((len(ROLE_LABELS.get(role, role)) for role in there), default=0)
        choices = [("", Text("all"))]
        for role, tensors in there.items():
            found = look(role)
            label = f"{ROLE_LABELS.get(role, role):<{width}}  {number(tensors):>6}"
            choices.append((role, painted([((f"{found.symbol} ", found.tone), (label, ""))])))
        at = next((at for at, (role, _) in enumerate(choices) if role == self.wanted.role), 0)

        def chosen(role: str | None) -> None:
            if role is not None:
                self.want(Wanted(self.wanted.text, role))
                self.first()

        self.app.push_screen(Choice("Only tensors of", choices, at), chosen)

    def action_scroll_pane(self, lines: int) -> None:
        """Scroll the pane while the cursor stays in the tree."""
        self.query_one("#pane").scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Copy the name of what the cursor is on."""
        node = self.node
        if node is not None:
            name = self.copied(node)
            self.app.copy_to_clipboard(name[:_LONGEST])
            self.say(f"copied: {clean(name, 200)}")
