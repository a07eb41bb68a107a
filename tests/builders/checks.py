"""What must hold of every artifact that opens, and of every refusal."""

import os

import pytest

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT
from inspector.model import Artifact
from inspector.read import read


def claimed(artifact: Artifact) -> int:
    """Bytes of the files under at least one extent, found by marking each byte."""
    marks = {entry.path: bytearray(entry.nbytes) for entry in artifact.files}
    for tensor in artifact.tensors:
        for extent in tensor.extents:
            part = marks[extent.file][extent.offset : extent.offset + extent.length]
            assert len(part) == extent.length, f"{tensor.name} lies outside {extent.file}"
            marks[extent.file][extent.offset : extent.offset + extent.length] = b"\1" * len(part)
    return sum(map(sum, marks.values()))


def assert_adds_up(artifact: Artifact) -> None:
    """Every byte of every file is a tensor's or has a label, and no byte is both."""
    assert all(size > 0 for size in artifact.overhead.values()), artifact.overhead
    for entry in artifact.files:
        assert os.path.getsize(entry.path) == entry.nbytes
    assert claimed(artifact) + sum(artifact.overhead.values()) == artifact.nbytes


def opened(path, limits=DEFAULT) -> Artifact:
    """The artifact at `path`, its bytes checked. Its payloads are closed: see `read` for those."""
    with read(str(path), limits) as result:
        assert_adds_up(result.artifact)
        return result.artifact


def refused(path, kind: type[ArtifactError] = ArtifactError) -> str:
    """The message that `path` is refused with: one line, and short."""
    with pytest.raises(kind) as caught:
        read(str(path))
    assert type(caught.value) is kind or kind is ArtifactError
    message = caught.value.message
    assert message
    assert "\n" not in message
    assert len(message) < 300
    return message


def codes(artifact: Artifact) -> list[str]:
    return [problem.code for problem in artifact.problems]


def tensor(artifact: Artifact, name: str):
    """The tensor of that name; its path's end will do."""
    found = [one for one in artifact.tensors if one.name == name or one.name.endswith(f"/{name}")]
    assert len(found) == 1, [one.name for one in artifact.tensors]
    return found[0]
