"""Where files are: the same answers of a storage as of this machine."""

import os
import sys

import msgspec
import pytest

import inspector
from inspector import filesystem
from inspector.errors import ArtifactError, LimitExceeded
from inspector.remote import listing
from tests.builders import samples

fsspec = pytest.importorskip("fsspec")
ROOT = "memory://samples/all"


@pytest.fixture(scope="module", autouse=True)
def storage():
    """All samples, in memory."""
    memory = fsspec.filesystem("memory")
    folder = samples.SAMPLES
    for at, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(at, name)
            with open(full, "rb") as file:
                memory.pipe(f"/samples/all/{os.path.relpath(full, folder)}", file.read())
    yield memory
    memory.rm("/samples", recursive=True)


def report_of(path, folder):
    text = msgspec.json.encode(inspector.show(path).artifacts[0]).decode()
    return text.replace(folder, "FOLDER")


@pytest.mark.parametrize("name", samples.NAMES)
def test_a_sample_in_a_storage_has_the_report_of_the_file(name):
    here, there = samples.SAMPLES, ROOT
    assert report_of(f"{there}/{name}", there) == report_of(os.path.join(here, name), here)


@pytest.fixture
def both(tmp_path, storage):
    """The same tree here and there: (folder here, folder there)."""
    for name in ("a.h5", "b.txt", "inner/c.h5", "inner/deep/d.h5"):
        os.makedirs(tmp_path / os.path.dirname(name), exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        storage.pipe(f"/samples/tree/{name}", name.encode())
    return str(tmp_path), filesystem.admit("memory://samples/tree/a.h5").removesuffix("/a.h5")


ASKED = [
    "", "/", "/a.h5", "/inner", "/inner/", "/inner/deep", "/inner/deep/d.h5", "/nothing",
    "/inner/nothing", "/a.h5/below",
]  # fmt: skip


@pytest.mark.parametrize("function", ["exists", "lexists", "isdir", "isfile", "islink"])
def test_what_is_there_is_there(both, function):
    ask = getattr(filesystem, function)
    assert [ask(both[1] + one) for one in ASKED] == [ask(both[0] + one) for one in ASKED]


def test_folders_hold_the_same(both):
    here, there = both
    assert sorted(filesystem.listdir(here)) == filesystem.listdir(there)
    assert filesystem.listdir(there, "a") == ["a.h5"]
    walked = [
        sorted((at[len(root) :], sorted(inner), sorted(names)) for at, inner, names in found)
        for root, found in ((one, filesystem.walk(one)) for one in both)
    ]
    assert walked[0] == walked[1]
    with filesystem.scandir(there) as entries:
        seen = [(one.name, one.is_dir(), one.is_file(), one.is_symlink()) for one in entries]
    assert seen == [
        ("a.h5", False, True, False),
        ("b.txt", False, True, False),
        ("inner", True, False, False),
    ]


def test_sizes_are_those_of_the_files(both):
    for root in both:
        assert filesystem.getsize(f"{root}/inner/deep/d.h5") == len("inner/deep/d.h5")
        for missing in ("/nothing", "/inner/nothing"):
            with pytest.raises(OSError, match="No such file"):
                filesystem.getsize(root + missing)


def test_a_file_that_is_opened_gives_its_bytes(both):
    for root in both:
        with filesystem.opened(f"{root}/inner/c.h5") as file:
            assert bytes(file.view(0, file.size)) == b"inner/c.h5"
        with pytest.raises(ArtifactError, match=r"(?i)folder|directory"):
            filesystem.opened(f"{root}/inner")


def test_paths_are_seen_from_each_other(both):
    for root in both:
        assert filesystem.relpath(f"{root}/inner/c.h5", root) == "inner/c.h5"
    assert filesystem.relpath(f"{both[1]}/a.h5", both[0]) == f"{both[1]}/a.h5"


def test_a_tree_is_asked_for_at_once_and_within_bounds(both, storage, monkeypatch):
    filesystem.prime(both[1], 4)
    monkeypatch.setattr(type(storage), "ls", None)  # nothing more is asked
    assert [names for _, _, names in filesystem.walk(both[1])] == [
        ["a.h5", "b.txt"], ["c.h5"], ["d.h5"],
    ]  # fmt: skip
    monkeypatch.undo()
    with pytest.raises(LimitExceeded, match="nodes"):
        filesystem.prime(both[1], 3)


def test_what_is_known_goes_to_another_process(both, storage, monkeypatch):
    filesystem.prime(both[1], 10)
    known = filesystem.known_of([f"{both[1]}/inner", f"{both[1]}/a.h5", both[0]])
    doors = filesystem.doors_of([f"{both[1]}/inner", f"{both[1]}/a.h5", both[0]])
    filesystem.open_doors(doors, known)
    monkeypatch.setattr(type(storage), "info", None)
    monkeypatch.setattr(type(storage), "ls", None)
    assert filesystem.listdir(f"{both[1]}/inner") == ["c.h5", "deep"]
    assert filesystem.getsize(f"{both[1]}/a.h5") == 4
    assert filesystem.isfile(f"{both[1]}/inner/deep/d.h5")
    monkeypatch.undo()
    filesystem.close_doors(doors, known)
    assert filesystem.known_of([f"{both[1]}/inner", f"{both[1]}/a.h5"]) == ()
    assert not [one for one in listing._known if one.startswith(f"{both[1]}/inner")]


def test_a_version_is_another_one_once_the_bytes_are(both, storage):
    path = f"{both[1]}/inner"
    files = [f"{path}/c.h5", f"{path}/deep/d.h5"]
    before = filesystem.version_of(path, files)
    assert before == filesystem.version_of(path, files) is not None
    storage.pipe("/samples/tree/inner/deep/d.h5", b"another")
    listing.forget(files[1])
    listing.forget(path)
    assert filesystem.version_of(path, files) != before


def test_a_local_path_asks_nothing_of_fsspec():
    code = (
        "import sys, inspector; inspector.show(sys.argv[1]);"
        "assert not [one for one in sys.modules if one.startswith(('fsspec', 'inspector.remote'))]"
    )
    import subprocess

    subprocess.run(
        [sys.executable, "-c", code, os.path.join(samples.SAMPLES, "pruned.h5")], check=True
    )
