"""Storage that fails: asked again, and in the end reported."""

from __future__ import annotations

import functools
import json
import os
import shutil
import time

import pytest

from inspector import worker
from inspector.filesystem import admit
from inspector.fleet.work import lasts
from inspector.limits import DEFAULT
from tests.builders import huge, samples
from tests.builders.far import FAULTS, FEW, FOR_EVER, inspect, serve
from tests.builders.servers import HttpServer, faults

SAMPLE = "pruned.h5"


@pytest.fixture
def server(every):
    """Every kind, in place of two."""
    return every


@pytest.fixture
def sound(server):
    """A sample that can be had, and what the tool says of it when nothing goes wrong."""
    url = serve(server, "failing/a.h5", samples.path(SAMPLE))
    text = inspect("show", url).out  # where lines break hangs on how long the path is
    here = inspect("show", samples.path(SAMPLE)).out
    assert text.replace(url, "").split() == here.replace(samples.path(SAMPLE), "").split()
    server.forget()
    return url, text


def each_fault(test):
    """All of the web server, some of the others: what differs is how a library tells of them."""
    pairs = [("web", name) for name in FAULTS]
    pairs += [(kind, name) for kind in ("s3", "gs", "az") for name in FEW]
    return pytest.mark.parametrize(("every", "name"), pairs, indirect=["every"])(test)


def error_line(result, url):
    """The one line that says what cannot be read; there is nothing else."""
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert "Traceback" not in result.err
    assert url in result.err
    assert len(lines) == 1, result.err
    return lines[0]


@each_fault
def test_what_fails_twice_is_asked_again(server, sound, name):
    url, text = sound
    server.fail(FAULTS[name], server.content("a.h5"), times=2)
    result = inspect("show", url)
    assert (result.code, result.err, result.out) == (0, "", text)
    assert len(server.requests("GET")) >= 3


@each_fault
def test_what_fails_for_ever_is_one_error(server, sound, name):
    url, _ = sound
    server.fail(FAULTS[name], server.content("a.h5"), **FOR_EVER)
    error_line(inspect("show", url), url)
    # Azure's library asks for a body three times by itself.
    by_itself = 3 if (name, server.url()[:3]) == ("reset", "az:") else 1
    assert 2 <= len(server.requests("GET")) <= 12 * by_itself


@pytest.mark.parametrize(
    ("every", "name"),
    [(kind, "503") for kind in ("web", "s3", "gs", "az")] + [("web", "reset"), ("s3", "reset")],
    indirect=["every"],
)
def test_what_fails_for_ever_is_one_finding(server, sound, name):
    url, _ = sound
    server.fail(FAULTS[name], server.content("a.h5"), **FOR_EVER)
    good = serve(server, "failing/good.h5", samples.path("stripped.h5"))
    result = inspect("audit", url, good, "--no-policy", "--no-isolate", "--format", "json")
    assert result.code == 1, result.err
    errors = [one for one in json.loads(result.out)["findings"] if one["severity"] == "error"]
    assert [(one["path"], one["code"]) for one in errors] == [(url, "integrity-unreadable")]


def test_what_is_refused_is_asked_once(server, sound):
    url, _ = sound
    server.fail(faults.status(403), "*a.h5", method="*", **FOR_EVER)
    assert "access is denied" in error_line(inspect("show", url), url)
    # Twice, whether it is there, by HEAD and by GET; never again after a pause.
    assert len([one for one in server.log if one.path.endswith("a.h5")]) <= 5


def test_what_is_not_there(server):
    url = server.url("failing/none.h5")
    assert "no such file" in error_line(inspect("show", url), url)


def test_a_bucket_that_is_not_there_is_said(s3):
    for url in ("s3://no-such-bucket/a.h5", "s3://no-such-bucket"):
        assert "there is no such bucket" in error_line(inspect("audit", url), url)


def test_a_folder_that_may_not_be_listed_is_not_said_to_be_missing(s3):
    serve(s3, "failing/closed/a.h5", samples.path("stripped.h5"))
    url = s3.url("failing/closed")
    s3.fail(faults.status(403), f"/{s3.bucket}*", method="*", **FOR_EVER)
    assert "access is denied" in error_line(inspect("audit", url), url)


def test_pauses_grow(server, sound, monkeypatch):
    from inspector.remote import storages

    url, text = sound
    monkeypatch.setattr(storages, "FIRST_WAIT", 0.2)
    slept = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)  # everybody's
    server.fail(FAULTS["503"], server.content("a.h5"), times=4)
    assert inspect("show", url).out == text
    assert len(slept) == 4
    # By chance, so that a thousand workers do not come back at once; each at most twice the last.
    assert all(0 <= one <= 0.2 * 2**at for at, one in enumerate(slept))
    assert len(set(slept)) == 4


def test_a_pause_that_is_asked_for_is_made(server, sound, monkeypatch):
    url, text = sound
    if url.startswith("gs:"):
        pytest.skip("gcsfs does not keep what is asked for")
    slept = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    server.fail(faults.status(503, retry_after=7), server.content("a.h5"), times=2)
    assert inspect("show", url).out == text
    assert slept == [7, 7]


def test_a_server_that_is_gone():
    with HttpServer({"a.h5": b"a"}) as server:
        url = server.url("a.h5")
    error_line(inspect("show", url), url)


def test_a_server_without_ranges(tmp_path):
    """The whole of a file is taken where it is small enough to be held, and not piece by piece."""
    path = huge.MAKERS["h5"](tmp_path, 1)
    with HttpServer({"a.h5": path}, ranges=False) as server:
        result = inspect("show", server.url("a.h5"))
        assert (result.code, result.err) == (0, "")
        whole = [one for one in server.requests("GET") if one.sent == os.path.getsize(path)]
        assert len(whole) <= 3  # once each time that it is opened
        # The rest are answers that were turned away.
        assert server.sent - sum(one.sent for one in whole) < 5 << 20


def test_a_large_file_without_ranges(huge_ones):
    with HttpServer({"huge.h5": huge_ones("h5")}, ranges=False) as server:
        line = error_line(inspect("show", server.url("huge.h5")), server.url("huge.h5"))
        assert "--cache" in line
        assert server.sent < 16 << 20


def test_a_server_that_compresses_what_it_sends(tmp_path):
    with HttpServer({"a.h5": huge.MAKERS["h5"](tmp_path, 1)}, packed=True) as server:
        assert inspect("show", server.url("a.h5")).code == 0
        assert server.sent > 8 << 20  # which would be little, packed: all of it is zero


@pytest.mark.parametrize(
    "headers",
    [
        (("Content-Encoding", "gzip"),),  # what is small may become large
        (("Content-Range", "bytes 8192-8292/999999"),),  # bytes of another place
    ],
)
def test_an_answer_that_is_not_of_the_range_is_no_content(web, tmp_path, headers):
    url = serve(web, "failing/other.h5", huge.MAKERS["h5"](tmp_path, 1))
    web.fail(faults.Fault(status=206, headers=headers), "*other.h5", **FOR_EVER)
    line = error_line(inspect("show", url), url)
    assert "as a whole" in line or "in place of" in line


def test_a_storage_that_is_silent_takes_no_longer_than_an_artifact_may(server, sound):
    url, _ = sound
    server.fail(faults.slow(5), "*a.h5", method="*", **FOR_EVER)
    start = time.monotonic()
    assert "limit seconds" in error_line(inspect("show", url, "--limit", "seconds=1"), url)
    assert time.monotonic() - start < 3


def test_content_that_changes_while_it_is_read(server, tmp_path):
    made = huge.MAKERS["h5"](tmp_path, 2)
    url = serve(server, "failing/changing.h5", made)

    def change():
        (tmp_path / "other").mkdir()
        serve(server, "failing/changing.h5", huge.MAKERS["pruned.h5"](tmp_path / "other", 2))

    server.fail(faults.after(change), "*changing.h5", skip=2)
    line = error_line(inspect("show", url), url)
    assert "changed while it was read" in line


def test_content_that_changes_and_keeps_its_size(server, tmp_path):
    made = huge.MAKERS["h5"](tmp_path, 2)
    url = serve(server, "failing/same.h5", made)

    def change():
        with open(made, "r+b") as file:
            file.seek(1 << 20)
            file.write(b"another value")
        if not isinstance(server, HttpServer):  # which reads it where it is
            serve(server, "failing/same.h5", made)

    server.fail(faults.after(change), "*same.h5", skip=2)
    assert "changed while it was read" in error_line(inspect("show", url), url)


@pytest.mark.parametrize("code", [403, 503])
@pytest.mark.parametrize("name", ["saved_model.pb", "variables.index", "variables.data*"])
def test_what_a_storage_does_not_give_is_not_remembered(web, name, code):
    url = serve(web, "failing/parts", samples.path("saved_stripped"))
    look = functools.partial(
        worker.CALLS["look"], path=url, policy={}, today="2026-01-01", limits=DEFAULT
    )
    admit(url)
    assert lasts(url, look())
    web.fail(faults.status(code), f"*{name}", **FOR_EVER)
    admit(url)  # what is known of it is of one call
    assert not lasts(url, look())


def test_a_longer_file_in_place_of_the_listed_one_is_not_cut_short(s3):
    """All of what was listed comes in one answer; k3.h5 has fewer bytes than pruned.h5."""
    serve(s3, "listed/a.h5", samples.path("k3.h5"))
    s3.fail(faults.after(lambda: serve(s3, "listed/a.h5", samples.path("pruned.h5"))), "*a.h5")
    result = inspect("audit", s3.url("listed/*.h5"), "--no-policy", "--no-isolate")
    assert "changed while it was read" in result.out
    assert "missing" not in result.out


def test_a_file_that_goes_while_it_is_read(server, tmp_path):
    url = serve(server, "failing/going.h5", huge.MAKERS["h5"](tmp_path, 2))
    server.fail(faults.status(404), "*going.h5", skip=2, **FOR_EVER)
    server.fail(faults.status(404), "*going.h5", method="HEAD", skip=2, **FOR_EVER)
    assert "removed" in error_line(inspect("show", url), url)


def test_a_folder_that_cannot_be_listed_is_one_finding(server, tmp_path):
    url = serve(server, "failing/saved", samples.path("saved_pruned"))
    good = serve(server, "failing/good.h5", samples.path("stripped.h5"))
    listing = "/models" if server.url().startswith("s3:") else "/failing/saved/*"
    # What is found out about the other one first: on S3 all listings have the same path.
    server.fail(faults.status(503), listing, skip=1, **FOR_EVER)
    words = ("--no-policy", "--no-isolate", "--format", "json")
    result = inspect("audit", url, good, *words)
    assert result.code == 1, result.err
    errors = [one for one in json.loads(result.out)["findings"] if one["severity"] == "error"]
    assert errors
    assert all(one["path"].startswith(url) for one in errors)


def test_a_server_that_knows_no_head(web):
    """As a URL that is signed for GET alone."""
    url = serve(web, "failing/a.h5", samples.path(SAMPLE))
    web.fail(faults.status(403), method="HEAD", **FOR_EVER)
    assert inspect("show", url).code == 0


def test_one_of_several_fails(server, sound, tmp_path):
    url, _ = sound
    copy = shutil.copyfile(samples.path("stripped.h5"), tmp_path / "here.h5")
    server.fail(FAULTS["503"], server.content("a.h5"), **FOR_EVER)
    result = inspect("show", url, str(copy))
    assert result.code == 2
    assert "here.h5" in result.out
    assert url in result.out + result.err
