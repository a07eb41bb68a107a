"""A page of a report taken apart by the standard library: what it says, and that it is sound."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from inspector.render import RENDERERS, RenderOptions
from inspector.report import Report

_EMPTY = {"meta", "link", "input", "br", "wbr"}  # without an end tag
_INLINE = {"a", "wbr", "b", "strong", "code", "span"}  # what stands within a word or a line
_SILENT = {"style", "script"}
# What may steer a terminal, or turn the direction of what follows.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass
class Grid:
    """A table: what it is called, its heads, and its rows of cells."""

    caption: str = ""
    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Webpage(HTMLParser):
    """text: all that can be read, in order; tables; ids; tags: how often each is there; attributes:
    (tag, name, value) of all.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.words: list[str] = []
        self.tables: list[Grid] = []
        self.ids: list[str] = []
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, self._open

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def table(self, caption: str) -> Grid:
        """The one table that is called so."""
        (found,) = [one for one in self.tables if one.caption == caption]
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "table":
            self.tables.append(Grid())
        if tag == "tr" and "thead" not in self._open:
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self._cells().append("")
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in _SILENT:
            return
        self.words.append(data)
        if "caption" in self._open:
            self.tables[-1].caption += data
        if {"th", "td"} & set(self._open):
            self._cells()[-1] += data

    def _break(self, tag: str) -> None:
        if tag not in _INLINE:
            self.words.append(" ")

    def _cells(self) -> list[str]:
        table = self.tables[-1]
        return table.heads if "thead" in self._open else table.rows[-1]


def webpage(report: Report) -> Webpage:
    """The report's page, which is sound whatever the report says."""
    found = Webpage(RENDERERS["html"](report, RenderOptions()))
    sound(found)
    return found


def sound(found: Webpage) -> None:
    """Nothing but ours runs or styles, references lead somewhere, and nothing steers who reads."""
    assert found.tags["script"] == found.tags["style"] == 1
    assert not {"img", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert len(found.ids) == len(set(found.ids))
    assert not _CONTROLS.search(found.page)
    for tag, name, value in found.attributes:
        assert name != "style", tag
        assert not name.startswith("on"), (tag, name)
        if name in ("aria-labelledby", "aria-describedby"):
            assert set(value.split()) <= set(found.ids), value
        if name in ("href", "src", "xlink:href") and tag != "link":
            assert value.startswith("#"), value
            assert value[1:] in found.ids, value
    for table in found.tables:
        assert {len(row) for row in table.rows} <= {len(table.heads)}, table.caption
