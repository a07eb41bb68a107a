"""Files that are written: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def write_whole(path: str, parts: Iterable[str]) -> None:
    """Write a file by way of a temporary one beside it, so that `path` is never half written.

    The newlines are those of the text; an existing file's permissions are kept. Raises OSError.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe, or /dev/stdout when it is one, whose real path is none: nothing to replace.
        with open(path, "w", encoding="utf-8", newline="", errors="backslashreplace") as out:
            out.writelines(parts)
        return
    # A link stays a link: what it points at is replaced.
    target = os.path.realpath(path)
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".inspect-")
    try:
        with open(handle, "w", encoding="utf-8", newline="", errors="backslashreplace") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def is_any_of(path: str | os.PathLike[str], files: Iterable[str]) -> bool:
    """Whether a path is one of these files, by whatever name."""
    return any(
        os.path.exists(path) and os.path.exists(file) and os.path.samefile(path, file)
        for file in files
    )


def _mode(target: str) -> int:
    try:
        return os.stat(target).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
