"""What rules about configs share: every object that Keras would make, and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from inspector import deadline
from inspector.auditing.configs import Node, Text, nodes, texts
from inspector.auditing.contents import Document
from inspector.auditing.rule import Context, Found

_KEPT = 10_000  # objects, or texts, of a document that are kept for the next rule
_Thing = TypeVar("_Thing")


def every_node(context: Context) -> Iterator[Node]:
    """The objects of all configs of an artifact."""
    for document in context.contents.documents:
        yield from deadline.watched(_kept(document, nodes))


def every_text(context: Context) -> Iterator[Text]:
    """The texts of all configs of an artifact."""
    for document in context.contents.documents:
        yield from deadline.watched(_kept(document, texts))


def _kept(document: Document, find: Callable[[Document], Iterator[_Thing]]) -> Iterable[_Thing]:
    """What is in a document, which is looked through once for all rules where it is not much."""
    kept = document.kept.get(find)
    if kept is not None:
        return kept
    coming = find(document)
    first = tuple(islice(coming, _KEPT + 1))
    if len(first) <= _KEPT:
        document.kept[find] = first
    return chain(first, coming)


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
