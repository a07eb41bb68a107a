"""What a renderer is told beside the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """width: columns of the terminal; color: ANSI colours wanted; tensors: one row a tensor
    instead of one a layer. Of a difference, all: list everything, what did not change too; stat:
    one line a change, as `git diff --stat` does. root: the folder that relative paths start at, ""
    where that is not known.
    """

    width: int = 100
    color: bool = False
    tensors: bool = False
    all: bool = False
    stat: bool = False
    root: str = ""
