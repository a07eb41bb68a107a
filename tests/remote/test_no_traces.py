"""Nothing is written to disk, unless copies are wanted."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import huge, samples
from tests.builders.far import FOR_EVER, inspect, serve
from tests.builders.servers import faults

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watching: list[list[str]] = []


def _heard(event, arguments):
    if _watching and event == "open":
        path, _, flags = arguments
        if flags & WRITING and path != os.devnull:
            _watching[-1].append(str(path))


@contextlib.contextmanager
def written():
    """Paths that this process opens to write."""
    if not hasattr(sys, "_heard_by_tests"):  # a hook is never taken away
        sys._heard_by_tests = True
        sys.addaudithook(_heard)
    found = []
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.pop()


def test_what_is_written_is_seen(tmp_path):
    with written() as paths:
        (tmp_path / "a").write_text("a")
        (tmp_path / "a").read_text()
    assert paths == [str(tmp_path / "a")]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("h5", "show"),
        ("keras", "show"),
        ("saved_model", "show"),
        ("tflite", "show"),
        ("h5", "diff"),
    ],
)
def test_nothing_is_written(web, tmp_path, monkeypatch, name, command):
    url = serve(web, f"traces/{name}", huge.MAKERS[name](tmp_path, 1))
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    words = (command, url, url) if command == "diff" else (command, url)
    with written() as paths:
        assert inspect(*words).code == 0
    assert paths == []
    assert sorted(os.listdir(tmp_path)) == before


def test_nothing_is_left_by_workers(s3, tmp_path):
    """An audit's are processes of their own."""
    url = serve(s3, "traces/a.keras", samples.path("k3.keras"))
    folders = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for one in (*folders.values(), tmp_path / "current"):
        one.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "audit", url, "--no-policy", "--fail-on", "never"],
        cwd=tmp_path / "current",
        env={**os.environ, **{name: str(one) for name, one in folders.items()}},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_copies_are_kept_where_wanted(server, tmp_path):
    url = serve(server, "kept/a.h5", samples.path("pruned.h5"))
    first = inspect("show", url, "--cache", str(tmp_path / "copies"), "--format", "json")
    assert first.code == 0, first.err
    assert server.sent >= os.path.getsize(samples.path("pruned.h5"))
    kept = os.listdir(tmp_path / "copies")
    assert len(kept) == 1
    server.forget()
    second = inspect("show", url, "--cache", str(tmp_path / "copies"), "--format", "json")
    assert second.out == first.out
    assert [one for one in server.log if one.method == "GET" and one.path.endswith("a.h5")] == []
    assert os.listdir(tmp_path / "copies") == kept


def test_copies_of_a_folder(web, tmp_path):
    url = serve(web, "kept/saved", samples.path("saved_pruned"))
    words = ("show", url, "--cache", str(tmp_path / "copies"), "--format", "json")
    first = inspect(*words)
    assert first.code == 0, first.err
    web.forget()
    assert inspect(*words).out == first.out
    # Pages of links, by which it is known what there is.
    assert all(
        one.path.endswith(("saved", "/", "variables", "assets")) for one in web.requests("GET")
    )


def test_no_part_of_a_copy_is_left(server, tmp_path):
    url = serve(server, "kept/c.h5", samples.path("pruned.h5"))
    server.fail(faults.short(), "*c.h5", times=2)
    folder = tmp_path / "copies"
    assert inspect("show", url, "--cache", str(folder)).code == 0
    assert len(list(folder.iterdir())) == 1
    serve(server, "kept/c.h5", samples.path("stripped.h5"))
    server.fail(faults.short(), "*c.h5", **FOR_EVER)
    result = inspect("show", url, "--cache", str(folder))
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert len(list(folder.iterdir())) == 1


def test_another_version_is_another_copy(server, tmp_path):
    copy = shutil.copyfile(samples.path("pruned.h5"), tmp_path / "a.h5")
    url = serve(server, "kept/b.h5", copy)
    folder = str(tmp_path / "copies")
    assert "pruning" in inspect("show", url, "--cache", folder).out
    serve(server, "kept/b.h5", samples.path("stripped.h5"))
    assert "pruning" not in inspect("show", url, "--cache", folder).out
    assert len(os.listdir(folder)) == 2


def test_no_copy_is_kept_of_what_was_written_meanwhile(web, tmp_path):
    """It would go by the version that was there before."""
    before = Path(samples.path("stripped.h5")).read_bytes()
    url = web.put("kept/d.h5", before)
    web.fail(faults.after(lambda: web.put("kept/d.h5", bytes(len(before)))), "*d.h5")
    folder = tmp_path / "copies"
    assert "changed while it was read" in inspect("show", url, "--cache", str(folder)).err
    assert list(folder.iterdir()) == []
