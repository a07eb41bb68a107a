"""The keys, said once: what help lists."""

from __future__ import annotations

from inspector.browse.lines import Line, Lines
from inspector.browse.roles import LOOKS
from inspector.meanings import role_meaning

_KEYS = (
    ("↑ ↓ j k", "move; the pane follows"),
    ("→ ←", "open and close, into and out of"),
    ("J K", "scroll the pane; Tab goes there and back"),
    ("/", "search names, layers and roles: words or a glob"),
    ("n N", "next match, the one before"),
    ("Esc", "clear search and role; stop what is going on"),
    ("f F", "next finding of an audit, the one before;"),
    ("", "in a comparison: next change, the one before"),
    ("r", "only tensors of one role"),
    ("s", "sort: order in the file, size, sparsity"),
    ("m", "read all values: zeros of layers, what is not zero"),
    ("c", "compare with another artifact; again: back"),
    ("y", "copy the name"),
    ("o", "write the report as a page (HTML)"),
    ("t", "colours: dark, light, the terminal's own"),
    ("?", "this"),
    ("q", "quit"),
)


def page() -> Lines:
    """Keys, then what the symbols mean."""
    lines: Lines = [(("Keys", "title"), ("     ↓: what the symbols mean   Esc: close", "dim"))]
    lines += [((f"{keys:<9}", "info"), (words, "")) for keys, words in _KEYS]
    lines += [(), (("Symbols", "title"),)]
    for role, found in LOOKS.items():
        means = role_meaning(role)
        symbol: Line = ((f"{found.symbol} {found.word:<11}", found.tone), (means, ""))
        lines.append(symbol)
    return lines
