"""URLs as paths, and as fsspec has them; what of one is a secret.

fsspec writes a chain from the inside out: `zip://a.h5::s3://bucket/x.zip`. Here it is a path like
any other, from the outside in: `s3://bucket/x.zip!zip/a.h5`. So its last part is the file's name,
and what is before that is a folder, however deep in containers it lies.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from inspector.errors import UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = ("file://", "local://")
# A container within a path: "x.zip!zip/inner".
CONTAINERS = ("libarchive", "tar", "zip")
_INNER = re.compile(rf"!({'|'.join(CONTAINERS)})(?=/|$)")
_SAME = {"s3a": "s3", "gcs": "gs"}
_PORTS = {"http": ":80", "https": ":443"}
_WEB = ("http://", "https://")
# What stands first in a URL of each.
_FIRST = {
    "s3": "bucket", "gs": "bucket", "az": "container", "abfs": "container", "abfss": "container",
    "http": "server", "https": "server",
}  # fmt: skip
# Names of parameters that let whoever has them in: signed URLs of S3, Google, Azure and others.
_SECRET = re.compile(
    r"sig|token|key|secret|pass|cred|auth|session|access|^x-(amz|goog|ms)-|^(s[a-z]|sk[a-z]+|expires|policy)$",
    re.IGNORECASE,
)
_LONG = re.compile(r"[\w+/=.~%-]{24,}")  # a value that nobody would have typed


class Url(NamedTuple):
    """A URL that somebody gave. shown: without its secrets, a path; outer: that of the file that
    the storage is asked for, with them.
    """

    shown: str
    outer: str


def is_url(path: str) -> bool:
    """Whether it is spelled like a URL, or a chain of them."""
    return _SCHEME.match(path) is not None


def of_this_machine(url: str) -> str | None:
    """The path of a file:// URL; None of all others."""
    for scheme in _LOCAL:
        if url.lower().startswith(scheme) and "::" not in url:
            return url[len(scheme) :].removeprefix("localhost") or "/"
    return None


def parsed(given: str) -> Url:
    """A URL as somebody typed it."""
    *inner, outer = given.split("::")
    outer = _SCHEME.sub(lambda scheme: scheme[0].lower(), outer, count=1)
    if not is_url(outer):
        outer = f"file://{os.path.abspath(outer)}"
    outer = _usual(outer)
    root, rest = _rooted(outer)
    first = _FIRST.get(scheme_of(outer))
    if first is not None and rest[:1] in ("", "/"):
        raise UsageError(f"{root}: names no {first}; write {root}{first.upper()}/...")
    shown, _ = without_secrets(outer)
    for one in reversed(inner):
        scheme, _, path = one.partition("://")
        if scheme not in CONTAINERS:
            known = ", ".join(CONTAINERS)
            raise UsageError(f"{shown}: {scheme}:: is no archive that is looked into ({known})")
        shown = f"{shown}!{scheme}/{path.lstrip('/')}".rstrip("/")
    return Url(shown, outer)


def _usual(url: str) -> str:
    """A URL in the spelling that all have in common that mean the same."""
    root, rest = _rooted(url)
    scheme = root.removesuffix("://").lower()
    scheme = _SAME.get(scheme, scheme)
    if scheme in _PORTS:
        place = re.match(r"[^/?#]*", rest)
        where = place[0] if place else ""
        user, at, host = where.rpartition("@")
        rest = f"{user}{at}{host.lower().removesuffix(_PORTS[scheme])}{rest[len(where) :]}"
    elif scheme == "memory":
        rest = rest.lstrip("/")
    return f"{scheme}://{rest}"


def scheme_of(shown: str) -> str:
    """The outermost one's: that of the storage that is asked."""
    return shown.partition("://")[0].lower()


def chained(shown: str, outer: str) -> str:
    """A shown path as fsspec takes it. outer: the outermost URL with its secrets."""
    parts = _INNER.split(shown)
    chain = [outer]
    for scheme, path in zip(parts[1::2], parts[2::2], strict=True):
        chain.insert(0, f"{scheme}://{path.lstrip('/')}")
    return "::".join(chain)


def outermost(shown: str) -> str:
    """The URL of the file that is asked for: what is inside of it left out."""
    return _INNER.split(shown, maxsplit=1)[0]


def is_web(url: str) -> bool:
    """Whether it is one of a web server: such alone have a query."""
    return url.lower().startswith(_WEB)


def is_inside(shown: str) -> bool:
    """Whether it lies within a container, as a member of an archive does."""
    return _INNER.search(shown) is not None


def folder_of(shown: str) -> str:
    """The folder that it lies in; the root of a storage is above itself."""
    root, path = _rooted(shown.rstrip("/"))
    return (
        f"{root}{path.rpartition('/')[0].rstrip('/')}".removesuffix("/") if "/" in path else shown
    )


def _rooted(shown: str) -> tuple[str, str]:
    """("s3://", "bucket/key")."""
    scheme = _SCHEME.match(shown)
    end = scheme.end() if scheme else 0
    return shown[:end], shown[end:]


def secrets_of(given: str) -> tuple[str, ...]:
    """What of a URL, or of a chain of them, lets in."""
    return without_secrets(given.rpartition("::")[2])[1]


def without_secrets(url: str) -> tuple[str, tuple[str, ...]]:
    """A URL without user, password and whatever else lets in; and what was taken out."""
    root, rest = _rooted(url)
    web = is_web(root)
    where, _, query = rest.partition("?") if web else (rest, "", "")
    host, slash, path = where.partition("/")
    user, _, host_alone = host.rpartition("@")
    secrets = []
    if web or ":" in user:  # elsewhere it may be a container's name: abfs://container@account
        secrets = [part for part in (user, *user.split(":")) if part]
        host = host_alone
    text = root.lower() + f"{host}{slash}{path}".rstrip("/")
    kept = []
    for name, value in parse_qsl(query.partition("#")[0], keep_blank_values=True):
        if _SECRET.search(name) or _LONG.fullmatch(value):
            secrets += [value, quote(value), quote_plus(value)]
        else:
            kept.append((name, value))
    return f"{text}?{urlencode(kept)}" if kept else text, tuple(secrets)
