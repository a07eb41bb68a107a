"""The storage that other tests stand on: what it sends, what it counts, how it fails."""

from __future__ import annotations

import http.client
import os
import zipfile
import zlib
from pathlib import Path

import h5py
import pytest

import inspector
from inspector import api
from tests.builders import huge, huge_pieces
from tests.builders.servers import HttpServer, S3Server, environment, faults

TEN = b"0123456789"


@pytest.fixture
def server():
    with HttpServer({"ten": TEN, "in/a.h5": b"a", "in/deep/b.h5": b"bb"}) as running:
        yield running


def ask(server, path="/ten", method="GET", **headers):
    """(status, headers, body) as the standard library's client sees them."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        client.close()


# --- what is right ---


@pytest.mark.parametrize(
    ("header", "status", "body", "place"),
    [
        (None, 200, TEN, None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, TEN, "bytes 0-9/10"),
        ("bytes=10-12", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, TEN, None),
        ("bytes=0-1,3-4", 200, TEN, None),  # RFC 9110: a server may pass over several
        ("lines=0-1", 200, TEN, None),
    ],
)
def test_ranges(server, header, status, body, place):
    got, headers, content = ask(server, **({"Range": header} if header else {}))
    assert (got, content, headers["Content-Range"]) == (status, body, place)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(body))


def test_ranges_of_a_file(tmp_path):
    (tmp_path / "file").write_bytes(TEN * 20_000)
    with HttpServer({"file": tmp_path / "file"}) as server:
        assert ask(server, "/file", Range="bytes=99995-100004")[2] == b"5678901234"
        assert ask(server, "/file")[2] == TEN * 20_000
        assert server.sent == 200_010
        assert int(ask(server, "/file", "HEAD")[1]["Content-Length"]) == 200_000
        assert server.sent == 200_010


def test_conditions(server):
    headers = ask(server)[1]
    etag, modified = headers["ETag"], headers["Last-Modified"]
    assert ask(server, If_Match=etag, Range="bytes=0-0")[0] == 206
    assert ask(server, If_Match='"other"', Range="bytes=0-0")[0] == 412
    assert ask(server, If_Range=etag, Range="bytes=0-0")[0] == 206
    assert ask(server, If_Range=modified, Range="bytes=0-0")[0] == 206
    assert ask(server, If_Range='"other"', Range="bytes=0-0")[::2] == (200, TEN)
    assert ask(server, If_None_Match=etag)[::2] == (304, b"")
    assert ask(server, If_Modified_Since=modified)[0] == 304
    server.put("ten", b"changed")
    assert ask(server, If_Match=etag)[0] == 412
    assert ask(server)[1]["ETag"] != etag


def test_pages(server):
    assert ask(server, "/in")[:2][0] == 301
    page = ask(server, "/in/")[2].decode()
    assert '<a href="a.h5">' in page
    assert '<a href="deep/">' in page
    assert ask(server, "/nothing/")[0] == ask(server, "/other")[0] == 404
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    web = fsspec.filesystem("http", skip_instance_cache=True)
    found = web.glob(server.url("in/**/*.h5"))
    assert found == [server.url("in/a.h5"), server.url("in/deep/b.h5")]


def test_secrets():
    with HttpServer({"ten": TEN}, secret="hidden & all") as server:
        assert ask(server)[0] == 403
        assert ask(server, "/ten?sig=other")[0] == 403
        assert ask(server, "/ten?sig=hidden%20%26%20all")[0] == 200
        assert ask(server, Authorization="Basic YTpiCg==")[0] == 403
        # base64 of "me:hidden & all"
        assert ask(server, Authorization="Basic bWU6aGlkZGVuICYgYWxs")[0] == 200
        assert server.url("ten", signed=True).endswith("/ten?sig=hidden%20%26%20all")
        assert all("sig" not in one.path for one in server.log)


def test_counts(server):
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for header in ("bytes=1-3", "bytes=-2"):
        client.request("GET", "/ten", headers={"Range": header})
        client.getresponse().read()
    client.close()
    seen = [(one.method, one.path, one.start, one.end, one.status, one.sent) for one in server.log]
    assert seen == [("GET", "/ten", 1, 3, 206, 3), ("GET", "/ten", -2, None, 206, 2)]
    assert (server.sent, server.connections) == (5, 1)
    server.forget()
    assert (server.sent, server.requests()) == (0, [])


# --- what goes wrong ---


def test_a_status_some_times_and_then_none(server):
    server.fail(faults.status(503, retry_after=2), "/ten", times=2)
    server.fail(faults.status(429), "/in/*")
    assert [ask(server)[0] for _ in range(3)] == [503, 503, 200]
    status, headers, _ = ask(server, "/in/a.h5")
    assert (status, headers["Retry-After"]) == (429, None)
    server.fail(faults.status(503, retry_after=2))
    assert ask(server)[1]["Retry-After"] == "2"


def test_which_requests_fail(server):
    server.fail(faults.status(500), skip=1, every=2, times=2)
    assert [ask(server)[0] for _ in range(6)] == [200, 500, 200, 500, 200, 200]
    server.fail(faults.status(405), method="HEAD", times=None)
    assert [ask(server, method="HEAD")[0] for _ in range(3)] == [405] * 3
    assert ask(server)[0] == 200
    server.heal()
    assert ask(server, method="HEAD")[0] == 200


def test_bodies_that_end_early(server):
    server.put("ten", TEN * 10_000)
    server.fail(faults.reset())
    with pytest.raises(ConnectionResetError):
        ask(server)
    server.fail(faults.short())
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(server)
    assert len(caught.value.partial) == 50_000
    server.fail(faults.clipped())
    status, headers, body = ask(server, Range="bytes=0-999")
    assert (status, len(body), headers["Content-Length"]) == (206, 500, "500")
    assert headers["Content-Range"] == "bytes 0-999/100000"
    assert len(ask(server)[2]) == 100_000


def test_a_server_without_ranges(server):
    server.fail(faults.whole())
    status, headers, body = ask(server, Range="bytes=0-1")
    assert (status, body, headers["Accept-Ranges"]) == (200, TEN, None)
    with HttpServer({"ten": TEN}, ranges=False) as other:
        assert ask(other, Range="bytes=0-1")[::2] == (200, TEN)


def test_content_that_changes_between_requests(server):
    server.fail(faults.after(lambda: server.put("ten", b"now another")), skip=1)
    first, second = ask(server), ask(server)
    assert (first[2], second[2]) == (TEN, b"now another")
    assert first[1]["ETag"] != second[1]["ETag"]


def test_stop_ends_connections_that_are_kept(server):
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.request("GET", "/ten")
    client.getresponse().read()
    server.stop()
    server.stop()
    assert client.sock.recv(1) == b""  # closed by the other side
    client.close()


# --- S3 ---


@pytest.fixture(scope="module")
def bucket():
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with S3Server() as running, environment(running.environment):
        yield running


@pytest.fixture
def s3(bucket):
    import s3fs

    bucket.heal()
    bucket.forget()
    return s3fs.S3FileSystem(skip_instance_cache=True)


def test_objects(bucket, s3, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(b"bb")
    assert bucket.put("ten", TEN) == "s3://models/ten"
    bucket.put("folder", tmp_path)
    assert bucket.get("folder/deep/b") == b"bb"
    assert s3.cat_file("models/ten", start=2, end=5) == b"234"
    assert s3.find("models/folder") == ["models/folder/deep/b"]
    [read] = [one for one in bucket.log if one.path == "/models/ten"]
    assert (read.method, read.start, read.end, read.status, read.sent) == ("GET", 2, 4, 206, 3)


def test_a_file_that_is_lent(bucket, s3, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(TEN)
    bucket.lend("lent/large", tmp_path / "large")
    assert s3.info("models/lent/large")["size"] == 1 << 30
    assert s3.ls("models/lent", detail=True)[0]["size"] == 1 << 30
    assert s3.cat_file("models/lent/large", start=(1 << 29) + 2, end=(1 << 29) + 5) == b"234"
    [read] = [one for one in bucket.log if one.path == "/models/lent/large" and one.sent]
    assert read.sent == 3


def test_s3_fails_in_its_own_words(bucket):
    # Of what everybody may read, no signature is asked.
    bucket.client.put_object(Bucket=bucket.bucket, Key="ten", Body=TEN, ACL="public-read")
    bucket.fail(faults.status(503), "/models/ten")
    status, _, body = ask(bucket, "/models/ten")
    assert status == 503
    assert b"<Code>SlowDown</Code>" in body
    bucket.fail(faults.clipped(), "/models/ten")
    assert ask(bucket, "/models/ten", Range="bytes=0-9")[::2] == (206, b"01234")
    bucket.fail(faults.whole(), "/models/ten")
    assert ask(bucket, "/models/ten", Range="bytes=0-1")[::2] == (200, TEN)
    assert ask(bucket, "/models/ten", "HEAD")[1]["Content-Length"] == "10"


# --- huge artifacts ---

COUNT = 2  # layers of the small ones


def opened(path):
    with inspector.open(path) as found:
        return found.artifact


def test_checksum_of_pieces():
    pieces = [b"abc", 5_000_001, b"x" * 1000, 1, b"", 64]
    whole = b"".join(bytes(one) if isinstance(one, int) else one for one in pieces)
    assert huge_pieces.crc32(pieces) == zlib.crc32(whole)
    assert huge_pieces.size(pieces) == len(whole)


@pytest.mark.parametrize("name", huge.MAKERS)
def test_huge_ones_take_no_room(tmp_path, name):
    path = Path(huge.MAKERS[name](tmp_path))
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    assert sum(one.stat().st_size for one in files) > 1 << 30
    assert sum(one.stat().st_blocks * 512 for one in files) < 4 << 20


@pytest.mark.parametrize("name", huge.MAKERS)
def test_huge_ones_hold_what_they_say(tmp_path, name):
    # Two layers: 2 x 1024 x 2048 + 2048 + 1024 = 4,197,376.
    assert huge.parameters(COUNT) == 4_197_376
    path = huge.MAKERS[name](tmp_path, COUNT)
    report = api.show(path, measure=True).artifacts[0]
    assert report.roles["weight"].elements == 4_197_376
    # Two masks as large as the kernels.
    masks = 2 * 1024 * 2048 if name == "pruned.h5" else None
    assert masks == (report.roles["mask"].elements if masks else None)
    assert report.totals.nonzero == 0


def test_the_library_reads_huge_hdf5(tmp_path):
    with h5py.File(huge.pruned(tmp_path)) as file:
        layer = file["model_weights/prune_low_magnitude_dense_63"]
        kernel = layer["dense_63/kernel:0"]
        assert (kernel.shape, kernel.chunks, kernel.dtype) == ((2048, 1024), None, "float32")
        assert not kernel[-1].any()
        step = layer["prune_low_magnitude_dense_63/pruning_step:0"]
        assert (step.shape, step.dtype) == ((), "int64")
        assert len(file["model_weights"].attrs["layer_names"]) == 64


def test_the_library_reads_huge_zips(tmp_path):
    with zipfile.ZipFile(huge.keras(tmp_path, COUNT)) as archive:
        assert archive.testzip() is None  # checksums are right
        names = ["metadata.json", "config.json", "model.weights.h5"]
        assert archive.namelist() == names
        with archive.open(names[2]) as member, h5py.File(member) as file:
            assert file["layers/dense_1/vars/0"].shape == (2048, 1024)
    assert not os.path.exists(tmp_path / "model.weights.h5")
