"""Damaged SavedModels, checkpoints and graphs: each is refused, or says what is wrong with it."""

import functools
import os
import random
import shutil

import pytest

from inspector.api import show
from inspector.errors import ArtifactError
from inspector.storage import MemorySource
from inspector.wire.protobuf import Wire, fields

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
_SAID = ".expected.json"
NAMES = sorted(
    name.removesuffix(_SAID)
    for name in os.listdir(SAMPLES)
    if name.startswith(("saved_", "ckpt_", "frozen_")) and name.endswith(_SAID)
)
# Of a large sample fewer changes are tried: so many bytes are read for each sample in all.
READ = 2_500_000
FEWEST, MOST = 12, 80
# Nobody misses these.
OPTIONAL = {"checkpoint", "fingerprint.pb"}


def files_of(name: str) -> list[str]:
    """The files of a sample, below the folder of all samples."""
    whole = os.path.join(SAMPLES, name)
    if os.path.isdir(whole):
        return sorted(
            os.path.relpath(os.path.join(folder, file), SAMPLES)
            for folder, _, files in os.walk(whole)
            for file in files
        )
    if os.path.isfile(whole):
        return [name]
    return sorted(
        file
        for file in os.listdir(SAMPLES)
        if file.startswith(f"{name}.") and not file.endswith(_SAID)
    )


class Copy:
    """A copy of a sample, of which one file at a time is damaged.

    contents: of each file that is read.
    """

    def __init__(self, name: str, folder: str) -> None:
        self.path = os.path.join(folder, name)
        for file in files_of(name):
            target = os.path.join(folder, file)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.join(SAMPLES, file), target)
        self.contents: dict[str, bytes] = {}
        for entry in show([self.path], measure=False).artifacts[0].files:
            with open(entry.path, "rb") as opened:
                self.contents[entry.path] = opened.read()
        self.said = said(self.path)
        size = sum(map(len, self.contents.values()))
        self.changes = min(max(READ // size, FEWEST), MOST)

    def damaged(self, file: str, content: bytes) -> set[str]:
        """What is said of the sample with other content in a file, and not of it as it was."""
        write(file, content)
        found = said(self.path)
        write(file, self.contents[file])
        return found - self.said


def write(file: str, content: bytes) -> None:
    # A new file each time: what maps the old one keeps what it had.
    if os.path.lexists(file):
        os.remove(file)
    with open(file, "wb") as opened:
        opened.write(content)


def said(path: str) -> set[str]:
    """Codes of the problems, of which a refusal is one. The bytes of what is read add up."""
    (report,) = show([path], threads=1).artifacts
    assert all(one.message and "\n" not in one.message for one in report.problems)
    assert sum(report.bytes.values()) == report.nbytes if report.readable else report.problems
    return {one.code for one in report.problems}


@pytest.fixture(scope="module", params=NAMES)
def copy(request, tmp_path_factory):
    return Copy(request.param, str(tmp_path_factory.mktemp("damaged")))


def boundaries(content: bytes, depth: int, offset: int = 0, length: int | None = None) -> set[int]:
    """Where fields of a message, and of messages in it, begin and end."""
    source, found = MemorySource(content, ""), set()
    try:
        for field in fields(source, offset, length):
            found |= {field.offset, field.offset + field.length}
            if depth and field.wire == Wire.BYTES:
                found |= boundaries(content, depth - 1, field.offset, field.length)
    except ArtifactError:
        pass  # text, or values
    return found


def strewn(places: list[int], count: int) -> list[int]:
    """Places at equal strides, `count` of them where there are as many; the first is one."""
    return places[:: -(-len(places) // count)]


def whole_without(file: str, content: bytes) -> bool:
    """Whether a file that ends here may be one that was written so.

    Nothing says how long an asset is, records of the fingerprint may all be absent, and so may the
    lines of a folder's state. A `.meta` and a SavedModel may end behind a graph: what follows is
    optional, or another graph.
    """
    name = os.path.basename(file)
    if os.path.basename(os.path.dirname(file)) == "assets" or name in OPTIONAL:
        return True
    if name.endswith(".meta"):
        return content in ends(file, of=2)
    return name == "saved_model.pb" and content in ends(file, of=2)


@functools.cache
def ends(file: str, of: int) -> set[bytes]:
    with open(file, "rb") as opened:
        content = opened.read()
    found = fields(MemorySource(content, ""))
    return {content[: one.offset + one.length] for one in found if one.number >= of}


def test_a_file_that_is_cut_at_any_boundary_is_told(copy):
    for file, content in copy.contents.items():
        share = max(copy.changes * len(content) // sum(map(len, copy.contents.values())), 5)
        places = boundaries(content, 3) if file.endswith((".pb", ".meta")) else set()
        places |= set(range(0, len(content), max(len(content) // 16, 1)))
        for place in strewn(sorted(places - {len(content)}), share):
            cut = content[:place]
            assert copy.damaged(file, cut) or whole_without(file, cut), (file, place)


def test_flipped_bits_are_told_or_harmless(copy):
    rng = random.Random(1)
    for file, content in copy.contents.items():
        for _ in range(max(copy.changes // len(copy.contents), 4)):
            changed = bytearray(content)
            changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            found = copy.damaged(file, bytes(changed))
            # Values of a checkpoint have checksums, and so do the blocks of its index.
            assert found or not (".data-" in file or file.endswith((".index", ".ckpt"))), file


def test_a_file_that_is_gone_a_folder_or_a_link_is_told_or_optional(copy, tmp_path):
    for file, content in copy.contents.items():
        base = os.path.basename(file)
        for make in (lambda _: None, os.mkdir, lambda file: os.symlink(tmp_path / "none", file)):
            os.remove(file)
            make(file)
            found = said(copy.path) - copy.said
            if os.path.isdir(file):
                os.rmdir(file)
            write(file, content)
            assert found or base in OPTIONAL or base.endswith(".meta"), file


def test_a_file_that_is_there_twice_over_is_told_or_the_same(copy):
    same = {*OPTIONAL, "keras_metadata.pb", "vocabulary.txt"}
    for file, content in copy.contents.items():
        found = copy.damaged(file, content + content)
        assert found or os.path.basename(file) in same or file.endswith(".meta"), file


@pytest.mark.parametrize("name", ["saved_adam", "saved_pruned"])
def test_missing_records_of_keras_metadata_are_counted(tmp_path, name):
    copy = Copy(name, str(tmp_path))
    (file,) = (one for one in copy.contents if one.endswith("keras_metadata.pb"))
    content = copy.contents[file]
    nodes = [one for one in fields(MemorySource(content, "")) if one.number == 1]
    write(file, content[: nodes[-2].offset + nodes[-2].length])
    (report,) = show([copy.path], threads=1).artifacts
    (message,) = (one.message for one in report.problems if one.code == "keras-metadata")
    assert f"1 of {len(nodes)} Keras objects" in message
