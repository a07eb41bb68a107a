"""The files of an artifact as they are now: how many bytes, and what stands for their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from inspector import filesystem
from inspector.allowance import artifact_files
from inspector.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Listed:
    """nbytes: of all files. version: the same as long as none of them was written, made or taken
    away; None where nothing is there, or nobody says.
    """

    nbytes: int
    version: str | None


def listed(path: str) -> Listed:
    """The files of the artifact at a path. Reads none of them."""
    try:
        files = list(artifact_files(path))
        return Listed(
            sum(map(filesystem.getsize, files)), _short(filesystem.version_of(path, files))
        )
    except (OSError, ValueError, ArtifactError):
        return Listed(0, None)


def _short(version: str | None) -> str | None:
    if version is None or len(version) <= 64:
        return version
    kind = version.partition(":")[0]
    return f"{kind}:{hashlib.blake2b(version.encode(), digest_size=16).hexdigest()}"
