"""What lies where in a storage: a file's size and version, a folder's entries, each asked once.

What is known is kept until a path is admitted anew, so that one call sees one state: whether a file
is there, how large it is and what its bytes are.
"""

from __future__ import annotations

import bisect
import datetime as dt
import hashlib
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

from inspector.errors import ArtifactError, LimitExceeded, NotFound
from inspector.remote import doors, storages, urls
from inspector.remote.failures import Denied
from inspector.storage import ALONE

_MOST = 600_000  # facts that are kept: more than a listing may have (limits.nodes)
# What storages call that which is another one when the bytes are: the first that there is.
_VERSIONS = (
    "ETag", "etag", "Etag", "md5Hash", "content_md5", "Content-MD5", "Digest", "ukey", "crc32c",
    "CRC",
)  # fmt: skip
_QUOTES = '"'
_TIMES = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")


class Fact(NamedTuple):
    """What is at a path. nbytes: None where the storage does not say; version: another one once
    the bytes are, None where there is none.
    """

    path: str
    is_folder: bool
    nbytes: int | None = None
    version: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


_path = operator.attrgetter("path")
_known: dict[str, Fact | None] = {}
_folders: dict[str, tuple[Fact, ...]] = {}  # each in order of paths


_generation = 0


def generation() -> int:
    """Another number once something is to be asked for again."""
    return _generation


def forget(path: str) -> None:
    """Let it be asked for again, and what lies in its folder, and in it."""
    global _generation  # noqa: PLW0603 - of this process, as what is known is
    _generation += 1
    below = path in _folders
    if not path.endswith(ALONE):  # files whose names begin so are of it, as a checkpoint's shards
        for one in [one for one in tuple(_known) if one.startswith(path)]:
            _known.pop(one, None)
    for one in (path, urls.folder_of(path)):
        _known.pop(one, None)
        _folders.pop(one, None)
    inside = [one for one in tuple(_folders) if one.startswith(f"{path}/")] if below else []
    for one in inside:
        _folders.pop(one, None)


def forget_all(facts: Iterable[Fact]) -> None:
    """Let go of what was learnt for a while: a process that reads one artifact after another would
    come to know them all.
    """
    for fact in facts:
        _known.pop(fact.path, None)
        _folders.pop(fact.path, None)


def _remember(path: str, fact: Fact | None) -> None:
    if len(_known) >= _MOST:
        _known.clear()
        _folders.clear()
    _known[path] = fact


def fact_of(path: str, *, anew: bool = False) -> Fact | None:
    """What is at a path; None for nothing. Raises ArtifactError where the storage does not say.

    anew: ask, whatever is known.
    """
    if not anew:
        known = _known.get(path)
        if path in _known and (known is None or known.is_folder or known.nbytes is not None):
            return known
        if path in _folders:
            return Fact(path, is_folder=True)
        listed = _folders.get(urls.folder_of(path))
        if listed is not None:
            at = bisect.bisect_left(listed, path, key=_path)
            found = listed[at] if at < len(listed) and listed[at].path == path else None
            if found is None or found.is_folder or found.nbytes is not None:
                return found
    fs, inner = storages.storage(path)
    try:
        info = storages.ask(path, lambda: fs.info(inner, **_anew(fs)))
        found = _fact(path, info)
        if _may_be_index(info) and _has_links(path):
            found = Fact(path, is_folder=True)
    except NotFound:
        found = None
    except Denied:
        # A signature lets in to one file. What would lie beside it is nothing to us.
        if doors.is_named(path):
            raise
        storages.asked.fail(-1)
        found = None
    _remember(path, found)
    return found


def _may_be_index(info: dict[str, Any]) -> bool:
    """Whether it may be what a web server shows of a folder."""
    return str(info.get("mimetype", "")).startswith("text/html")


def _has_links(path: str) -> bool:
    """Whether a web page has links to what lies below it."""
    try:
        return bool(entries_of(path))
    except ArtifactError:
        return False


def _anew(fs: Any) -> dict[str, bool]:
    return {"refresh": True} if "s3" in _protocols(fs) else {}


def _fact(path: str, info: dict[str, Any]) -> Fact:
    if info.get("type") == "directory":
        return Fact(path, is_folder=True)
    size = info.get("size")
    return Fact(path, is_folder=False, nbytes=size, version=_version(info))


def _version(info: dict[str, Any]) -> str | None:
    """What stands for the bytes: the storage's own word, or its time with the size."""
    for key in _VERSIONS:
        if info.get(key):
            return f"{key.lower()}:{str(info[key]).strip(_QUOTES)}"
    for key in _TIMES:
        if info.get(key):
            return f"{key.lower()}:{_moment(info[key])}/{info.get('size')}"
    return None


def _moment(value: Any) -> Any:
    """A time in one spelling: a listing may have seconds where a look has a date."""
    return value.timestamp() if isinstance(value, dt.datetime) else value


def is_same(before: Fact, now: Fact) -> bool:
    """Whether the bytes are, as far as the storage tells: a listing may tell less than a look."""
    if before.nbytes != now.nbytes:
        return False
    kinds = [(one.version or "").partition(":")[0] for one in (before, now)]
    return kinds[0] != kinds[1] or before.version == now.version


def entries_of(folder: str, prefix: str = "") -> tuple[Fact, ...]:
    """What lies in a folder, by name. prefix: what all names of interest begin with.

    Raises NotFound, ArtifactError.
    """
    known = _folders.get(folder)
    if known is not None:
        return tuple(one for one in known if one.name.startswith(prefix))
    fs, inner = storages.storage(folder)

    def listed() -> list[dict[str, Any]]:
        if prefix and {"s3", "s3a", "gs", "gcs"} & {*_protocols(fs)}:
            try:
                found = fs.find(inner, maxdepth=1, withdirs=True, detail=True, prefix=prefix)
                return list(found.values())
            except (NotImplementedError, TypeError, ValueError):
                pass
        found = fs.ls(inner, detail=True)
        return list(found)

    try:
        infos = storages.ask(folder, listed)
    except Denied:
        if doors.is_named(folder):
            raise
        storages.asked.fail(-1)
        raise NotFound("no such folder", folder) from None
    facts = _below(folder, inner, infos)
    if not prefix:
        _folders[folder] = facts
        for one in facts:
            if not one.is_folder:
                _remember(one.path, one)
    return tuple(one for one in facts if one.name.startswith(prefix))


def _protocols(fs: Any) -> tuple[str, ...]:
    protocol = fs.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _below(folder: str, inner: str, infos: Iterable[dict[str, Any]]) -> tuple[Fact, ...]:
    """Facts of what a storage lists, one name deep, as paths below ours."""
    facts: dict[str, Fact] = {}
    for info in infos:
        name = _name(str(info["name"]), inner)
        if name:
            path = f"{folder}/{name}"
            facts.setdefault(path, _fact(path, info))
    return tuple(facts[path] for path in sorted(facts))


def _name(listed: str, inner: str) -> str:
    """The name of what is listed in a folder; "" of the folder itself and of what is elsewhere."""
    path, within = _plain(listed), _plain(inner)
    if within and not path.startswith(f"{within}/"):
        return ""
    name = path[len(within) :].strip("/")
    return "" if "/" in name or name in {".", ".."} else name


def all_below(root: str, most: int) -> None:
    """Ask for all files below a folder in one go, where the storage can: every folder among them is
    known from here on. most: how many there may be. Raises NotFound, LimitExceeded (`nodes`),
    ArtifactError.
    """
    fs, inner = storages.storage(root)
    found = storages.ask(root, lambda: fs.find(inner, withdirs=False, detail=True))
    if len(found) > most:
        raise LimitExceeded("nodes", len(found), most, root)
    within = _plain(inner)
    below = ((_short(str(listed), within), info) for listed, info in sorted(found.items()))
    # A name that ends with a slash is no file: consoles make such objects to show a folder.
    files = [(short, info) for short, info in below if short and not short.endswith("/")]
    _plant(root, [_fact(f"{root}/{short}", info) for short, info in files])


def _short(listed: str, within: str) -> str:
    """What is behind the folder in a name of the storage's; it may begin with a slash."""
    return _bare(listed).lstrip("/")[len(within) :].removeprefix("/")


def _plain(name: str) -> str:
    """A name of the storage's without slashes around it."""
    return _bare(name).strip("/")


def _bare(name: str) -> str:
    """A name of the storage's without the query of a web server's link: how a page is sorted."""
    return name.partition("?")[0] if urls.is_web(name) else name


def _plant(root: str, facts: Iterable[Fact]) -> None:
    """Know a folder, and those in it, by all the files below it."""
    folders: dict[str, dict[str, Fact]] = {root: {}}
    for fact in facts:
        at, entry = fact.path, fact
        while at != root:
            above = at.rpartition("/")[0].rstrip("/")  # "a//b" lies in "a": no folder has no name
            folders.setdefault(above, {})[at] = entry
            at, entry = above, Fact(above, is_folder=True)
        _remember(fact.path, fact)
    for folder, entries in folders.items():
        _folders[folder] = tuple(entries[one] for one in sorted(entries))


def known_of(path: str) -> tuple[Fact, ...]:
    """All that is known of an artifact: itself, and what lies in it where it is a folder. Asks for
    nothing.
    """
    if path in _folders:
        inner = (one for entry in _folders[path] for one in known_of(entry.path))
        return (Fact(path, is_folder=True), *inner)
    fact = _known.get(path)
    return () if fact is None or fact.is_folder else (fact,)


def learn(facts: Iterable[Fact]) -> None:
    """What `known_of` said in another process."""
    each = list(facts)
    for fact in each:
        if fact.is_folder:
            inside = [one for one in each if one.path.startswith(f"{fact.path}/")]
            _plant(fact.path, [one for one in inside if not one.is_folder])
        else:
            _remember(fact.path, fact)


def version_of(facts: Iterable[Fact]) -> str | None:
    """One version for several files: of one its own; None where one of them has none."""
    each = sorted((one.path, one.version, one.nbytes) for one in facts)
    if any(version is None for _, version, _ in each) or not each:
        return None
    if len(each) == 1:
        return each[0][1]
    base = urls.folder_of(each[0][0])
    text = "\n".join(
        f"{path.removeprefix(base)}\0{version}\0{size}" for path, version, size in each
    )
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
