"""Markdown that several pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inspector.render.markdown import prose

NOTE = "<!-- Made by scripts/make_reference.py: change the code, then `make golden`. -->"
_CODE = re.compile(r"(`[^`]+`)")
_OPTION = re.compile(r"(?<![\w`-])(--?[a-z][a-z-]*(?:=[A-Z]+)?)(?![\w`])")


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page, one trailing newline."""
    return "\n\n".join((NOTE, f"# {title}", *(part for part in parts if part))) + "\n"


def sentence(text: str) -> str:
    """The same with a capital, unless it begins with a name of the code."""
    first = text.partition(" ")[0]
    return said(text if "_" in first else text[:1].upper() + text[1:])


def said(text: str) -> str:
    """Words of the code as Markdown on one line; options, and what is in backticks, are code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        code(part.strip("`")) if number % 2 else _OPTION.sub(r"`\1`", prose(part))
        for number, part in enumerate(parts)
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown, with "|" escaped."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """A word as code, in a table too."""
    return f"`{text}`".replace("|", "\\|")


def block(text: str, language: str = "sh") -> str:
    """Lines as they are."""
    return f"```{language}\n{text}\n```"
