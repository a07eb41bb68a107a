"""Any kind of URL is a path: the same is said of an artifact wherever it lies."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.builders import samples
from tests.builders.far import inspect, serve

KINDS = ["pruned.h5", "k3.keras", "saved_pruned", "lite_int8.tflite"]


def said(result):
    """The report without where the artifact lies."""
    assert (result.code, result.err) == (0, "")
    [found] = json.loads(result.out)["artifacts"]
    names = ("roles", "totals", "bytes", "nbytes", "format", "layers", "tensors")
    return {name: found[name] for name in names}


@pytest.fixture(scope="module")
def here():
    """What is said of the samples on this machine."""
    return {name: said(inspect("show", samples.path(name), "--format", "json")) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_servers(every, here, name):
    url = serve(every, f"urls/{name}", samples.path(name))
    assert said(inspect("show", url, "--format", "json")) == here[name]


@pytest.mark.parametrize("name", KINDS)
def test_file(here, name):
    url = f"file://{samples.path(name)}"
    assert said(inspect("show", url, "--format", "json")) == here[name]


@pytest.mark.parametrize("name", KINDS)
def test_memory(here, name):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(samples.path(name), f"/urls/{name}", recursive=True)
    url = f"memory://urls/{name}"
    assert said(inspect("show", url, "--format", "json")) == here[name]


@pytest.mark.parametrize(
    ("where", "name"), [("file", "k3.keras"), ("web", "pruned.h5"), ("s3", "saved_pruned")]
)
def test_zip(servers, here, tmp_path, name, where):
    path = tmp_path / "packed.zip"
    source = samples.path(name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if os.path.isdir(source):
            for folder, _, names in os.walk(source):
                for one in names:
                    full = os.path.join(folder, one)
                    archive.write(full, f"in/{name}/{os.path.relpath(full, source)}")
        else:
            archive.write(source, f"in/{name}")
    outer = f"file://{path}" if where == "file" else serve(servers[where], f"{name}.zip", path)
    url = f"zip://in/{name}::{outer}"
    assert said(inspect("show", url, "--format", "json")) == here[name]


@pytest.mark.parametrize("name", ["my model 100%.h5", "a#1.h5", "ü [1].h5", "a?b.h5", "a*b.h5"])
@pytest.mark.parametrize("every", ["s3", "gs", "az"], indirect=True)
def test_names_with_odd_characters(every, name):
    url = serve(every, f"odd/{ord(name[1])}/{name}", samples.path("stripped.h5"))
    found = json.loads(inspect("show", url, "--format", "json").out)["artifacts"]
    assert [one["path"] for one in found] == [url]


@pytest.mark.parametrize("what", ["", "/**/*"])
def test_keys_that_are_no_paths(s3, what):
    """Two slashes in a row, an object that stands for a folder, one that is a folder's name too."""
    names = ("a.h5", "a.h5/b.h5", "deep//c.h5", "deep/d.h5")
    for name in names:
        serve(s3, f"keys/{name}", samples.path("stripped.h5"))
    for name in ("keys/", "keys/deep/", "keys/empty.h5/"):
        s3.put(name, b"")
    words = ("--no-policy", "--no-isolate", "--format", "json", "--recursive")
    found = json.loads(inspect("audit", s3.url("keys") + what, *words).out)
    paths = {one["path"] for one in found["artifacts"]}
    assert paths == {s3.url(f"keys/{name}") for name in names}
    assert [one for one in found["findings"] if one["severity"] == "error"] == []


def test_names_that_look_like_urls_spoil_nothing(s3):
    """Whoever may write to a bucket chooses its names."""
    for name in ("a::b.h5", "x!zip/y.h5", "file:/z.h5", "simplecache::s3:/z.h5", "good.h5"):
        serve(s3, f"hostile/{name}", samples.path("stripped.h5"))
    words = ("--no-policy", "--no-isolate", "--format", "json", "--recursive")
    result = inspect("audit", s3.url("hostile"), *words)
    report = json.loads(result.out)
    assert s3.url("hostile/good.h5") in [one["path"] for one in report["artifacts"]]
    assert len(report["artifacts"]) == 5
    errors = {one["path"] for one in report["findings"] if one["severity"] == "error"}
    assert s3.url("hostile/good.h5") not in errors


def test_a_name_with_colons_is_not_the_file_that_it_begins_with():
    """fsspec takes "a.h5::b.h5" for a chain of URLs, and would read a.h5; both are as long."""
    import fsspec

    content = Path(samples.path("stripped.h5")).read_bytes()
    memory = fsspec.filesystem("memory")
    memory.pipe({"/colons/a.h5": content, "/colons/a.h5::b.h5": bytes(len(content))})
    words = ("--no-policy", "--no-isolate", "--format", "json")
    report = json.loads(inspect("audit", "memory://colons/*", *words).out)
    readable = {one["path"]: one["readable"] for one in report["artifacts"]}
    assert readable == {"memory://colons/a.h5": True, "memory://colons/a.h5::b.h5": False}


def test_a_checkpoint_that_was_saved_again_is_not_what_it_was():
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("ckpt_adam", "ckpt_pruned"):
        for end in (".index", ".data-00000-of-00001"):
            memory.pipe(f"/again/c{end}", Path(samples.path(name + end)).read_bytes())
        here = json.loads(inspect("show", samples.path(name), "--format", "json").out)
        there = json.loads(inspect("show", "memory://again/c", "--format", "json").out)
        assert there["artifacts"][0]["totals"] == here["artifacts"][0]["totals"]


def test_globs(every):
    for name in ("pruned.h5", "stripped.h5", "k3.keras"):
        serve(every, f"globs/deep/{name}", samples.path(name))
    serve(every, "globs/saved", samples.path("saved_pruned"))
    root = every.url("globs")
    words = ("--no-policy", "--no-isolate", "--format", "json")
    many = json.loads(inspect("audit", f"{root}/**/*.h5", *words).out)["artifacts"]
    assert [one["path"] for one in many] == [f"{root}/deep/pruned.h5", f"{root}/deep/stripped.h5"]


def test_a_folder_of_artifacts(every):
    """They are found by content, and a SavedModel is one."""
    serve(every, "folder/deep/oddly.named", samples.path("pruned.h5"))
    serve(every, "folder/saved", samples.path("saved_pruned"))
    words = ("--no-policy", "--no-isolate", "--format", "json", "--recursive")
    found = json.loads(inspect("audit", every.url("folder"), *words).out)
    paths = sorted(one["path"] for one in found["artifacts"])
    assert paths == [every.url("folder/deep/oddly.named"), every.url("folder/saved")]


def test_a_scheme_may_be_in_capitals(s3):
    url = serve(s3, "urls/capitals/a.h5", samples.path("stripped.h5"))
    assert inspect("show", url.replace("s3", "S3", 1)).out == inspect("show", url).out
