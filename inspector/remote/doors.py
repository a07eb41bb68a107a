"""Which storage may be asked: where somebody named a URL, and nowhere else.

What an artifact says can never make a URL that is opened: a path is one only if it lies in a folder
of which somebody gave a URL. Secrets of URLs are kept here, and are in no path that anything shows.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import NamedTuple

from inspector.errors import UsageError, one_line
from inspector.globs import has_magic
from inspector.remote import urls

# They keep copies on disk, lead to any other URL, or ask others to open it.
_REFUSED = ("blockcache", "cached", "dask", "filecache", "generic", "reference", "simplecache")
_ENVIRONMENT = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET",
)  # fmt: skip
_END = r"(?=[:;,.)]*(?:[&\s'\"]|$))"  # what ends a sentence is no part of what it quotes
_PARAMETER = re.compile(
    r"(?i)((?:sig|[\w-]*(?:token|signature|credential|secret)[\w-]*)=)[^&\s'\"]+?" + _END
)
_QUOTED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"]+?(?=[:;,.)]*(?:[\s'\"]|$))")
_SHORT = 4  # characters: a word so short would be taken out of other words
_NAMED = 10_000  # URLs that are known to be given: the last ones of what may be millions
HIDDEN = "***"


class Door(NamedTuple):
    """What another process needs to open what was opened here. Its text says no secret.

    shown, outer: as of `urls.Url`; root: the folder in which paths are opened; kept: the folder of
    copies, None where there are none.
    """

    shown: str
    outer: str
    root: str
    kept: str | None = None

    def __repr__(self) -> str:
        return f"Door({self.shown!r})"


@dataclass(slots=True)
class _House:
    """All doors of this process. outer: of a shown URL, with its secrets; named: shown URLs that
    were given, the latest last.
    """

    doors: dict[str, Door]
    outer: dict[str, str]
    secrets: dict[str, None]
    named: dict[str, None]
    kept: str | None = None


_house = _House({}, {}, {}, {})


def admit(given: str) -> str:
    """Let a URL be opened, and what lies beside it. The path that stands for it from here on.

    Raises UsageError for a kind that is not opened.
    """
    url = urls.parsed(given)
    scheme = urls.scheme_of(url.shown)
    if scheme in _REFUSED:
        more = "; --cache DIR keeps copies" if "cache" in scheme else ""
        raise UsageError(f"{url.shown}: URLs of {scheme} are not opened{more}")
    open_door(Door(url.shown, url.outer, _root(url.shown), _house.kept))
    return url.shown


def _root(shown: str) -> str:
    """The folder in which paths are opened: of a glob that which is fixed."""
    root = urls.folder_of(shown)
    while has_magic(root) and root != urls.folder_of(root):
        root = urls.folder_of(root)
    return root


def open_door(door: Door) -> None:
    """Open it, as `admit` did in another process."""
    _house.doors[door.root] = door
    outermost = urls.outermost(door.shown)
    named(door.shown)
    if door.outer == outermost:  # of millions nothing needs to be kept
        _house.outer.pop(outermost, None)
    else:
        _house.outer[outermost] = door.outer
    _house.kept = door.kept
    _, secrets = urls.without_secrets(door.outer)
    _house.secrets.update(dict.fromkeys(one for one in secrets if len(one) >= _SHORT))


def named(shown: str) -> None:
    """Somebody gave its URL: that it is refused is said; of what lies beside it, it is not."""
    outermost = urls.outermost(shown)
    _house.named.pop(outermost, None)
    _house.named[outermost] = None
    if len(_house.named) > _NAMED:
        del _house.named[next(iter(_house.named))]


def doors_of(paths: tuple[str, ...] | list[str]) -> tuple[Door, ...]:
    """What another process needs for some paths."""
    found = (_door(path) for path in paths)
    return tuple(
        door._replace(shown=path, outer=real_outer(path), kept=_house.kept)
        for path, door in zip(paths, found, strict=True)
        if door is not None
    )


def keep_copies(folder: str | None) -> None:
    """Have copies kept in a folder of this machine from now on, or nowhere (None).

    Raises UsageError for a URL.
    """
    if folder is not None and urls.is_url(folder):
        raise UsageError(f"{hidden(folder)}: copies are kept in a folder of this machine")
    _house.kept = None if folder is None else os.path.abspath(folder)


def kept_in() -> str | None:
    """The folder of copies."""
    return _house.kept


def is_open(path: str) -> bool:
    """Whether it is a path that a door leads to."""
    return "://" in path and _door(path) is not None


def is_named(path: str) -> bool:
    """Whether somebody gave its URL, or that of the archive it lies in, not long ago."""
    return urls.outermost(path) in _house.named


def _door(path: str) -> Door | None:
    at = path.rstrip("/")
    while True:
        door = _house.doors.get(at)
        if door is not None:
            return door
        above = urls.folder_of(at)
        if above == at:
            return None
        at = above


def real_outer(path: str) -> str:
    """The URL to ask for, with its secrets, where a door leads to the path."""
    outer = urls.outermost(path)
    full = _house.outer.get(outer)
    if full is not None:
        return full
    door = _door(path)
    user = _user(door.outer) if door is not None else ""
    root, mark, rest = outer.partition("://")
    return f"{root}{mark}{user}{rest}"


def _user(outer: str) -> str:
    """Whatever stands before the host, its "@" included; "" where there is nothing."""
    host = outer.partition("://")[2].partition("/")[0]
    user, at, _ = host.rpartition("@")
    return f"{user}{at}"


def full(path: str) -> str:
    """A path as fsspec takes it, secrets and all: for nobody's eyes."""
    return urls.chained(path, real_outer(path))


def scrubbed(text: str) -> str:
    """A message of somebody else's, without secrets and on one line."""
    return one_line(hidden(text))


def hidden(text: str) -> str:
    """A text without secrets: those that are known here, and those of whatever URL it quotes."""
    known = [*_house.secrets, *(os.environ.get(name, "") for name in _ENVIRONMENT)]
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, HIDDEN)
    text = _QUOTED.sub(lambda url: _without_user(url[0]), text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text)


def _without_user(url: str) -> str:
    user = _user(url)
    lets_in = bool(user) and (urls.is_web(url) or ":" in user)
    return url.replace(user, f"{HIDDEN}@", 1) if lets_in else url
