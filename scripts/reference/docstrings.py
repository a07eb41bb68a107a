"""Docstrings that say "name: words; name: words" of parameters and fields, taken apart.

The class is an extension of griffe, which reads the docstrings for docs/reference/python.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any

import griffe

_AND = re.compile(r", and |, | and ")
# What a paragraph says after its last name is of all of it.
_REST = re.compile(r"(?<=[.;)]) (?=Raises |Returns |Yields )")


def split(text: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """What a text says first, and what it says of each of the names."""
    said = {}
    choice = "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or "(?!)"
    start = re.compile(
        rf"(?:(?<=[.;(:,] )|(?<=, and )|^)((?:{choice})(?:(?:, and |, | and )(?:{choice}))*): "
    )
    found = list(start.finditer(text))
    for one, following in pairwise([*found, None]):
        words = text[one.end() : following.start() if following else None]
        for name in _AND.split(one[1]):
            said[name] = words.strip().rstrip(";,").removesuffix(", and")
    return (text[: found[0].start()] if found else text), said


class FieldLists(griffe.Extension):
    """Makes a list of what a docstring says of the names."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        _rewrite(func.docstring, [one.name for one in func.parameters])

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        names = [name for name, one in cls.members.items() if not name.startswith("_")]
        _rewrite(cls.docstring, names)


def _rewrite(docstring: griffe.Docstring | None, names: Collection[str]) -> None:
    if docstring is not None and names:
        paragraphs = docstring.value.split("\n\n")
        docstring.value = "\n\n".join("\n\n".join(_listed(one, names)) for one in paragraphs)


def _listed(paragraph: str, names: Collection[str]) -> Iterator[str]:
    if paragraph.startswith("    "):
        yield paragraph
        return
    lead, said = split(" ".join(paragraph.split()), names)
    if not said:
        yield paragraph
        return
    last = list(said)[-1]
    said[last], *rest = _REST.split(said[last], maxsplit=1)
    if lead:
        yield lead
    yield "\n".join(f"- `{name}`: {words.rstrip('.')}." for name, words in said.items())
    yield from rest
