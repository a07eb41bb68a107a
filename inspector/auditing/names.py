"""What the names of files say: where a link leads, and which shards a map passes over."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Container

from inspector import filesystem


def leads_out(name: str, target: str) -> bool:
    """Whether a link at `name` of a folder leads out of that, by the letter of it."""
    target = target.replace("\\", "/")
    if target.startswith("/") or re.match(r"[A-Za-z]:", target):
        return True
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return place == ".." or place.startswith("../")


def strays(path: str, named: Container[str]) -> list[str]:
    """Files beside a weight map that are called like its shards, and that it does not name."""
    folder, name = os.path.split(path)
    shard = re.compile(rf"{re.escape(name.removesuffix('.weights.json'))}_\d{{5}}\.weights\.h5")
    found = sorted(filesystem.listdir(folder or os.curdir))
    return [one for one in found if shard.fullmatch(one) and one not in named]
