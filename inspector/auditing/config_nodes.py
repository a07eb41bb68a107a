"""What rules about configs share: every object that Keras would make, and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.auditing.configs import Node, nodes
from inspector.auditing.rule import Context, Found


def every_node(context: Context) -> Iterator[Node]:
    """The objects of all configs of an artifact."""
    for document in context.contents.documents:
        yield from nodes(document)


def of_layer(node: Node) -> str:
    """The layer that an object is, or is in."""
    return f"layer {node.layer!r}" if node.layer else "the config"


def once(check: Callable[[Context], Iterator[Found]]) -> Callable[[Context], Iterator[Found]]:
    """A check that says the same of a layer once where the configs are a SavedModel's.

    Keras keeps a layer's there again with each model that it is in.
    """

    def checked(context: Context) -> Iterator[Found]:
        if context.contents.kind != "saved-model":
            yield from check(context)
            return
        seen: set[tuple[str, str | None]] = set()
        for found in check(context):
            if (found.message, found.layer) not in seen:
                seen.add((found.message, found.layer))
                yield found

    return checked
