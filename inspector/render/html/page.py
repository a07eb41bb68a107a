"""The shell of every page: its templates, its one style and script, and a policy that allows no
other.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from inspector.errors import UsageError
from inspector.render.drawing.roles import css_of
from inspector.render.printable import optional, safe, shape, shorten, value
from inspector.render.table import Column
from inspector.report import Report
from inspector.words import ROLE_LABELS, count, keyless, number, percent

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_STYLES = ("page.css", "drawings.css", "compared.css")
_LONGEST = 2_000  # characters of one text: a message that quotes the file is as long as it wishes
_NAME = 200  # of a name in a table
# A shape, or a number in a sentence that is worth an eye, and none in a name: "1,354", "47.27 %".
_NUMBER = re.compile(
    r"[(\[]\d++(?:, \d++)++[)\]]"
    r"|(?<![\w.,/:-])(\d{1,3}(?:,\d{3})++|\d{2,}|\d++(?:\.\d++)? %)(?![\w/-]|[.,]\w)"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a command's page is made of.

    template: its file in templates/; title: of the browser's tab; contents: (id, words) of its
    parts, for the table of contents, none where there is one part; values: what the template reads.
    """

    template: str
    title: str
    values: Mapping[str, Any]
    contents: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Asset:
    """A text of ours that a page holds, and its hash for the policy: "sha256-..."."""

    text: Markup
    digest: str


def shell(report: Report, made: Page) -> dict[str, Any]:
    """All that a page's template reads: what the base of all pages wants, and the page's own."""
    style, script = _asset(*_STYLES), _asset("page.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{style.digest}'",
            f"script-src '{script.digest}'",
            "img-src data:",  # the tab's icon
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return {
        **made.values,
        "title": made.title,
        "contents": made.contents,
        "policy": policy,
        "style": style.text,
        "script": script.text,
        "report": report,
    }


@functools.cache
def environment() -> Environment:
    """The templates, compiled as they are asked for. Raises UsageError without jinja2 or squarify.

    Autoescape is on for all of them, and `_printed` sees whatever they put out.
    """
    try:
        import jinja2
        import squarify  # noqa: F401 - pictures are drawn with it
    except ImportError as missing:
        raise UsageError(
            f'a page needs {missing.name}, which is not installed: pip install "tf-inspector[html]"'
        ) from missing
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("inspector.render.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "count": count,
        "css_of": css_of,
        "name": name,
        "number": number,
        "numerals": numerals,
        "numeric": numeric,
        "optional": optional,
        "path": path,
        "pieces": pieces,
        "percent": percent,
        "prose": prose,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:].rstrip('.')}.",
        "role_label": lambda role: ROLE_LABELS.get(role, role),
        "shape": shape,
        "value": value,
    }
    return made


def _printed(given: Any) -> Any:
    """Whatever a template puts out, made fit for it: text printable and bounded (then escaped by
    jinja2), floats as lengths on the screen, None as "?", since the artifact cannot say.
    """
    if given is None:
        return "?"
    if isinstance(given, float):
        return f"{given:.2f}".rstrip("0").rstrip(".")
    if type(given) is str:  # markup of ours is a subclass
        return shorten(safe(given), _LONGEST)
    return given


def prose(text: str) -> str:
    """A sentence, which may quote the file, as other renderers have it."""
    return shorten(safe(keyless(text)), _LONGEST)


def name(text: str | None) -> str:
    """A name from the file, short enough for a table."""
    return shorten(safe(keyless(text or "")), _NAME)


def path(text: str | None) -> Markup:
    """The same, with places to break a line at behind its slashes."""
    from markupsafe import Markup

    return Markup("/<wbr>").join(name(text).split("/"))


def pieces(text: str | None) -> Markup:
    """The same for a narrow column: a line may break behind an underscore too."""
    from markupsafe import Markup

    return Markup("_<wbr>").join(path(text).split("_"))


def numerals(text: str) -> Markup:
    """A sentence with its numbers set apart, so that an eye finds them."""
    from markupsafe import Markup

    words, parts, at = prose(text), [], 0
    for found in _NUMBER.finditer(words):
        if found[1]:  # a shape is left as it is
            parts += [words[at : found.start()], Markup("<b>{}</b>").format(found[1])]
            at = found.end()
    return Markup("").join([*parts, words[at:]])


def numeric(columns: Sequence[Column]) -> str:
    """The classes of a table that say which of its columns are of numbers: "n3 n4"."""
    return " ".join(f"n{at}" for at, one in enumerate(columns, 1) if not one.words)


@functools.cache
def _asset(*files: str) -> _Asset:
    from markupsafe import Markup

    folder = resources.files("inspector.render.html").joinpath("assets")
    text = "".join(folder.joinpath(file).read_text("utf-8") for file in files)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return _Asset(Markup(text), f"sha256-{digest}")  # noqa: S704 - ours
