"""Globs of paths: `*` and `?` stay within a name, `**` is any number of folders."""

from __future__ import annotations

import functools
import re

_MAGIC = re.compile(r"[*?[]")


def has_magic(text: str) -> bool:
    """Whether it is a glob at all."""
    return _MAGIC.search(text) is not None


def escaped(text: str) -> str:
    """The glob that matches this text alone."""
    return _MAGIC.sub(lambda found: f"[{found[0]}]", text)


@functools.lru_cache(maxsize=1024)
def compiled(glob: str) -> re.Pattern[str]:
    """The regular expression of a glob, for `fullmatch` on paths with "/" between names."""
    parts: list[str] = []
    names = glob.split("/")
    for number, name in enumerate(names):
        last = number == len(names) - 1
        if name == "**":
            # Several in a row say no more than one, and would be slow.
            if number == 0 or names[number - 1] != "**":
                parts.append(r".*" if last else r"(?:[^/]+/)*")
            elif last:
                parts.append(r".*")
        else:
            parts.append(_of_name(name) + ("" if last else "/"))
    return re.compile("".join(parts), re.DOTALL)


def _of_name(name: str) -> str:
    """The regular expression of one name of a glob."""
    result: list[str] = []
    at = 0
    while at < len(name):
        one = name[at]
        end = name.find("]", at + 3 if name[at + 1 : at + 2] in ("!", "^") else at + 2)
        if one == "*":
            at += 1
            if result[-1:] != ["[^/]*"]:
                result.append("[^/]*")
        elif one == "?":
            at += 1
            result.append("[^/]")
        elif one == "[" and end > 0:
            result.append(_of_set(name[at + 1 : end]))
            at = end + 1
        else:
            at += 1
            result.append(re.escape(one))
    return "".join(result)


def _of_set(inside: str) -> str:
    """A set without its brackets ("!a-c"). A range that is none stands for its characters."""
    negated = inside[:1] in ("!", "^")
    body = inside[negated:]
    for candidate in (re.sub(r"([\\\[\]^&~|])", r"\\\1", body), re.escape(body)):
        try:
            re.compile(f"[{candidate}]")
        except re.error:
            continue
        return f"(?!/)[{'^' if negated else ''}{candidate}]"
    return re.escape(f"[{inside}]")


def within(path: str, glob: str) -> bool:
    """Whether a relative path, or a folder that it lies in, matches the glob.

    A glob without "/" may match a name at any depth. path: with "/" between names.
    """
    anywhere = "/" not in glob.strip("/")
    wanted = compiled(glob.strip("/").removeprefix("./"))
    names = path.split("/")
    for end in range(1, len(names) + 1):
        candidate = names[end - 1] if anywhere else "/".join(names[:end])
        if wanted.fullmatch(candidate):
            return True
    return False
