"""A copy of an artifact in memory's file system, one file of which at a time is another."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from tests.builders.samples import SUFFIX

# Files there cost no disk; where there is no such folder, the usual one will do.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def files_of(path: str) -> list[str]:
    """The files of an artifact, below the folder that it is in."""
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        return sorted(
            os.path.relpath(os.path.join(at, file), folder)
            for at, _, files in os.walk(path)
            for file in files
        )
    # A checkpoint's name is what its files begin with; shards of a store lie beside their list.
    shards = f"{name.removesuffix('.weights.json')}_0" if name.endswith(".weights.json") else None
    return sorted(
        file
        for file in os.listdir(folder)
        if not file.endswith(SUFFIX)
        and (
            file == name
            or (file.startswith(f"{name}.") and not os.path.exists(path))
            or (shards is not None and file.startswith(shards))
        )
    )


class Copy:
    """A copy of an artifact. path: where it is; contents: of each of its files, by path."""

    def __init__(self, original: str, folder: str) -> None:
        beside, name = os.path.split(original)
        self.path = os.path.join(folder, name)
        self.original = original
        self.contents: dict[str, bytes] = {}
        for file in files_of(original):
            target = os.path.join(folder, file)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.join(beside, file), target)
            with open(target, "rb") as opened:
                self.contents[target] = opened.read()

    def write(self, file: str, content: bytes) -> None:
        """Put other content in a file: a new one, since who maps the old one keeps what it had."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(file)
        with open(file, "wb") as opened:
            opened.write(content)

    def restore(self, file: str) -> None:
        self.write(file, self.contents[file])


@contextlib.contextmanager
def room() -> Iterator[dict[str, str]]:
    """The variables of a process that may die, whose folders are then taken away all the same."""
    with tempfile.TemporaryDirectory(prefix="inspect-fuzz-", dir=MEMORY) as folder:
        yield {**os.environ, "TMPDIR": folder}


@contextlib.contextmanager
def copied(original: str) -> Iterator[Copy]:
    with tempfile.TemporaryDirectory(prefix="inspect-fuzz-") as folder:
        yield Copy(original, folder)
