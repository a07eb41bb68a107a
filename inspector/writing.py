"""Files that are written: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

# What the files of a checkpoint are called behind its prefix, at which itself there is none.
_OF_PREFIX = (".index", ".data-", ".meta")
TEMPORARY = ".inspect-"  # what a file is called until it is whole


def write_whole(path: str, parts: Iterable[str]) -> None:
    """Write a file by way of a temporary one beside it, so that `path` is never half written.

    The newlines are those of the text; an existing file's permissions are kept. Raises OSError.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe, or /dev/stdout when it is one, whose real path is none: nothing to replace.
        with open(path, "w", encoding="utf-8", newline="", errors="backslashreplace") as out:
            out.writelines(parts)
        return
    with _replacing(path, "w", encoding="utf-8", newline="", errors="backslashreplace") as out:
        out.writelines(parts)


def write_bytes(path: str, data: bytes | memoryview) -> None:
    """The same of a file that is no text, and is not there yet. Raises OSError."""
    with _replacing(path, "wb") as out:
        out.write(data)


@contextlib.contextmanager
def _replacing(path: str, mode: str, **text: Any) -> Iterator[IO[Any]]:
    """A temporary file beside `path`, which takes its place once it is written, or goes."""
    # A link stays a link: what it points at is replaced.
    target = os.path.realpath(path)
    import tempfile

    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=TEMPORARY)
    except OSError as wrong:
        wrong.filename = path  # rather than a name that nobody gave
        raise
    try:
        with os.fdopen(handle, mode, **text) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def is_of(path: str | os.PathLike[str], artifact: str) -> bool:
    """Whether the file at `path` is the artifact, by whatever name, or lies in its folder, or is
    of the checkpoint that is named by its prefix.
    """
    try:
        if os.path.exists(artifact):
            return os.path.samefile(path, artifact) or (
                os.path.isdir(artifact) and _begins(path, (os.path.join(artifact, ""),))
            )
        return os.path.exists(path) and _begins(path, [f"{artifact}{one}" for one in _OF_PREFIX])
    except (OSError, ValueError):  # a name with a NUL in it
        return False


def _begins(path: str | os.PathLike[str], beginnings: Iterable[str]) -> bool:
    """Whether the path begins so, whatever links lead to either."""
    at = os.path.realpath(path)
    return any(
        at.startswith(os.path.join(os.path.realpath(folder), name))
        for folder, name in map(os.path.split, beginnings)
    )


def _mode(target: str) -> int:
    try:
        return os.stat(target).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
