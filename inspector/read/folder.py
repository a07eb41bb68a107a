"""The files of an artifact that is a folder: listed within bounds, and no link followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspector import filesystem
from inspector.errors import ArtifactError, LimitExceeded
from inspector.limits import Limits
from inspector.model import Problem, Severity


@dataclass(frozen=True, slots=True)
class Folder:
    """sizes: bytes of each regular file by its path in the folder ("variables/variables.index").

    links: where each symbolic link leads, by its path in the folder. problems: links, and what
    is neither a file nor a folder: both are left alone. empty: folders in it that hold nothing.
    """

    path: str
    sizes: Mapping[str, int]
    links: Mapping[str, str]
    problems: tuple[Problem, ...]
    empty: tuple[str, ...] = ()

    def full(self, name: str) -> str:
        """The path of one of its files, as the folder's own path begins."""
        return filesystem.join(self.path, *name.split("/"))


def list_folder(path: str, limits: Limits) -> Folder:
    """All files under `path`, in the order of their names.

    Raises ArtifactError (a folder that cannot be listed), LimitExceeded (`nodes`, `depth`).
    """
    sizes: dict[str, int] = {}
    links: dict[str, str] = {}
    problems: list[Problem] = []
    empty: list[str] = []
    seen = 0
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        depth = inside.count("/")
        if depth > limits.depth:
            raise LimitExceeded("depth", depth, limits.depth, path)
        entries = _entries(filesystem.join(path, inside))
        if inside and not entries:
            empty.append(inside.rstrip("/"))
        for entry in entries:
            seen += 1
            if seen > limits.nodes:
                raise LimitExceeded("nodes", seen, limits.nodes, path)
            name = f"{inside}{entry.name}"
            if entry.is_symlink():
                links[name] = _target(entry.path)
                message = f"{name} is a symbolic link to {links[name]}; it is not followed"
                problems.append(Problem("symbolic-link", Severity.ERROR, message, path))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                sizes[name] = entry.stat(follow_symlinks=False).st_size
            else:
                message = f"{name} is a device, a pipe or a socket; it is not opened"
                problems.append(Problem("odd-file", Severity.ERROR, message, path))
    ordered = {name: sizes[name] for name in sorted(sizes)}
    return Folder(path, ordered, links, tuple(problems), tuple(sorted(empty)))


def _entries(folder: str) -> list[filesystem.Entry]:
    try:
        with filesystem.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise ArtifactError(f"cannot be listed: {error.strerror}", folder) from error


def _target(link: str) -> str:
    try:
        return filesystem.readlink(link)
    except OSError:
        return "what cannot be told"
