"""A page taken apart with Python's own parser, and what holds of every page."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

# What has no end tag (HTML, "void elements"), and what SVG closes by itself.
VOID = {"meta", "link", "br", "wbr", "hr", "img", "input", "col"}
# Controls, marks of direction, surrogates, separators: what no page may hold raw.
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
LOADING = {"script", "img", "iframe", "object", "embed", "video", "audio", "source", "use", "image",
           "form", "base", "frame", "track", "portal", "animate", "foreignobject"}  # fmt: skip


@dataclass(eq=False)
class Element:
    """A tag, its attributes, what is in it in order: texts and elements.

    order: all elements of the page, of which those within are from `first` until `last`.
    """

    tag: str
    attributes: dict[str, str]
    order: list[Element] = field(repr=False)
    children: list[Element | str] = field(default_factory=list, repr=False)
    first: int = 0
    last: int | None = None

    @property
    def text(self) -> str:
        return "".join(one if isinstance(one, str) else one.text for one in self.children)

    def all(self, tag: str = "", css: str = "") -> list[Element]:
        """Elements of that tag and class within, in order."""
        return [
            one
            for one in self.order[self.first : self.last]
            if tag in ("", one.tag) and (not css or css in one.attributes.get("class", "").split())
        ]

    def one(self, tag: str = "", css: str = "") -> Element:
        (found,) = self.all(tag, css)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {}, [])]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        order = self.open[0].order
        made = Element(tag, {name: value or "" for name, value in attrs}, order)
        order.append(made)
        made.first = len(order)
        self.open[-1].children.append(made)
        if tag in VOID:
            made.last = made.first
        else:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._close()

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID, f"</{tag}>"
        assert self.open[-1].tag == tag, f"</{tag}> where <{self.open[-1].tag}> is open"
        self._close()

    def _close(self) -> None:
        closed = self.open.pop()
        closed.last = len(closed.order)

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data[:80]!r}")


def parse(text: str) -> Element:
    """The page's root. Fails where tags are not nested."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert [one.tag for one in reader.open] == [""], [one.tag for one in reader.open]
    return reader.open[0]


def digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def assert_page(text: str) -> Element:
    """What every page must be, whatever file it is of; gives it back taken apart."""
    assert text.startswith("<!doctype html>")
    wrong = {char for char in set(text) - {"\n"} if unicodedata.category(char) in FORBIDDEN}
    assert not wrong, wrong
    root = parse(text)
    _allows_only_its_own(root)
    _loads_nothing(root)
    _refers_to_what_is_there(root)
    _can_be_walked(root)
    return root


def _allows_only_its_own(root: Element) -> None:
    style, script = root.one("style"), root.one("script")
    policies = [one for one in root.all("meta") if "http-equiv" in one.attributes]
    assert [one.attributes["http-equiv"] for one in policies] == ["Content-Security-Policy"]
    policy = dict(
        part.strip().split(" ", 1) for part in policies[0].attributes["content"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'{digest(style.text)}'",
        "script-src": f"'{digest(script.text)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    # Before anything that it is about.
    assert root.all()[1].tag == "head"
    assert root.all("meta")[1] is policies[0]
    for word in ("innerHTML", "eval(", "fetch(", "XMLHttpRequest", "document.write"):
        assert word not in script.text, word
    assert not re.search(r"url\((?!#)|@import|expression\(", style.text)


def _loads_nothing(root: Element) -> None:
    for one in root.all():
        assert one.tag not in LOADING or one.tag == "script", one.tag
        for name, value in one.attributes.items():
            assert name != "style", one
            assert not name.startswith("on"), (one.tag, name)
            assert name not in {"src", "srcset", "action", "formaction", "ping", "data"}, name
            if name.endswith("href"):
                inside = value.startswith("#")
                assert inside or (one.tag == "link" and value.startswith("data:image/")), value


def _refers_to_what_is_there(root: Element) -> None:
    ids = Counter(one.attributes["id"] for one in root.all() if "id" in one.attributes)
    assert all(times == 1 for times in ids.values()), ids.most_common(3)
    assert not any(re.search(r"\s", one) or not one for one in ids)
    for one in root.all():
        for name, value in one.attributes.items():
            if name in {"aria-labelledby", "aria-describedby", "for", "aria-controls"}:
                assert value, one
                assert set(value.split()) <= set(ids), value
            if name.endswith("href") and value.startswith("#"):
                assert value[1:] in ids, value
            for found in re.findall(r"url\(#([^)]*)\)", value):
                assert found in ids, found


def _can_be_walked(root: Element) -> None:
    """What a keyboard and a screen reader need."""
    assert root.one("html").attributes["lang"] == "en"
    assert root.one("head").one("title").text.strip()
    for landmark in ("header", "main", "footer", "h1"):
        root.one(landmark)
    levels = [int(one.tag[1]) for one in root.all() if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[0] == 1
    assert all(now <= before + 1 for before, now in itertools.pairwise(levels)), levels
    for one in root.all():
        if one.tag == "svg":
            named = "aria-labelledby" in one.attributes and one.attributes["role"] == "img"
            assert named or one.attributes.get("aria-hidden") == "true"
        if "tabindex" in one.attributes and one.attributes.get("role") == "region":
            assert one.attributes["aria-label"].strip()
    regions = [one.attributes for one in root.all() if one.attributes.get("role") == "region"]
    names = Counter(one["aria-label"] for one in regions)
    assert all(times == 1 for times in names.values()), names.most_common(3)
    for table in root.all("table"):
        assert table.one("caption").text.strip()
        heads = table.one("thead").all("th")
        assert all(one.attributes["scope"] == "col" for one in heads)
        for row in table.all("tr"):
            assert len(row.all("th")) + len(row.all("td")) == len(heads)
    # Nothing that does nothing without the script.
    assert not [one.tag for one in root.all() if one.tag in {"button", "select", "input", "form"}]
