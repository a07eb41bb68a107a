"""Credentials let us in, and appear nowhere: no output, no log, no report."""

from __future__ import annotations

import logging

import pytest

from tests.builders import samples
from tests.builders.far import FOR_EVER, inspect, serve
from tests.builders.servers import HttpServer, faults
from tests.builders.storage import azure, bucket

SECRET = "s3cr3t-Pa+ss/word"
USER = "alice-of-example"
FORMATS = ["text", "json", "markdown", "csv", "html"]
AUDITS = ["text", "json", "sarif", "junit", "markdown", "html"]


@pytest.fixture
def guarded():
    """A web server that wants to know who asks."""
    with HttpServer(secret=SECRET) as server:
        server.put("models/a.h5", samples.path("pruned.h5"))
        server.put("models/b.h5", b"no model at all")
        yield server


@pytest.fixture
def logged():
    """Every record of our own loggers, from DEBUG on, as text."""
    texts = []

    class Kept(logging.Handler):
        def emit(self, record):
            texts.append(f"{record.getMessage()} {record.__dict__}")

    logger, kept = logging.getLogger("inspector"), Kept(logging.DEBUG)
    level = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    yield texts
    logger.removeHandler(kept)
    logger.setLevel(level)


def spellings(*secrets):
    """Each as it is, and as URLs, JSON and HTML would have it."""
    from html import escape
    from urllib.parse import quote, quote_plus

    for one in secrets:
        yield from {one, quote(one), quote(one, safe=""), quote_plus(one), escape(one)}


def assert_hidden(result, logged, *secrets):
    text = "\n".join([result.out, result.err, *logged])
    for one in spellings(*secrets):
        assert one not in text, one


def given(guarded, how, path):
    from urllib.parse import quote

    if how == "query":
        return guarded.url(path, signed=True)
    return guarded.url(path).replace("://", f"://{USER}:{quote(SECRET, safe='')}@")


@pytest.mark.parametrize("how", ["userinfo", "query"])
@pytest.mark.parametrize("kind", FORMATS)
def test_reports_of_what_can_be_read(guarded, logged, how, kind):
    result = inspect("show", given(guarded, how, "models/a.h5"), "--format", kind)
    assert result.code == 0, result.err
    assert "models/a.h5" in result.out
    assert_hidden(result, logged, SECRET, USER)


@pytest.mark.parametrize("how", ["userinfo", "query"])
@pytest.mark.parametrize("path", ["models/b.h5", "models/none.h5"])
def test_errors(guarded, logged, how, path):
    result = inspect("show", given(guarded, how, path))
    assert result.code == 2
    assert path in result.err
    assert_hidden(result, logged, SECRET, USER)


@pytest.mark.parametrize("how", ["userinfo", "query"])
@pytest.mark.parametrize("fault", [faults.status(503), faults.reset(), faults.status(403)])
def test_errors_of_the_storage(guarded, logged, how, fault):
    """The libraries' own messages quote the URL that they were given."""
    guarded.fail(fault, "*", method="*", **FOR_EVER)
    result = inspect("show", given(guarded, how, "models/a.h5"))
    assert result.code == 2
    assert_hidden(result, logged, SECRET, USER)


@pytest.mark.parametrize("how", ["userinfo", "query"])
@pytest.mark.parametrize("kind", AUDITS)
def test_audits(guarded, logged, how, kind):
    urls = [given(guarded, how, path) for path in ("models/a.h5", "models/b.h5")]
    result = inspect("audit", *urls, "--no-policy", "--no-isolate", "--format", kind)
    assert result.code == 1, result.err
    assert "b.h5" in result.out
    assert_hidden(result, logged, SECRET, USER)


@pytest.mark.parametrize("fault", [None, faults.status(403), faults.status(503)])
def test_a_redirect_to_a_signed_url(guarded, logged, fault):
    """As hubs of models do it. Nobody gave us that signature, so nobody told us of it either."""
    signed = guarded.url("models/a.h5", signed=True)
    with HttpServer() as hub:
        hub.fail(faults.redirect(signed), method="*", **FOR_EVER)
        if fault is not None:
            guarded.fail(fault, method="*", **FOR_EVER)
        result = inspect("show", hub.url("resolve/a.h5"))
    assert result.code == (0 if fault is None else 2), result.err
    assert hub.url("resolve/a.h5") in result.out + result.err
    assert_hidden(result, logged, SECRET)


def test_results_and_processes(guarded, tmp_path):
    """Workers are told the secret, and nobody else: no arguments, no results, no report."""
    dataset = pytest.importorskip("pyarrow.dataset")
    urls = [given(guarded, "query", "models/a.h5"), given(guarded, "userinfo", "models/b.h5")]
    result = inspect("audit", *urls, "--no-policy", "--jobs", "2", "--results", str(tmp_path))
    assert result.code == 1, result.err
    texts = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
    for path in tmp_path.rglob("*.parquet"):
        texts.append(str(dataset.dataset(path).to_table().to_pydict()))
    assert any("models/a.h5" in one for one in texts)
    assert_hidden(result, texts, SECRET, USER)


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "URL"),
        ("show", "URL", "--format", "nix"),
        ("explain", "URL", "nix"),
        ("show", "URL", "-o", "URL"),
        ("show", "URL", "--cache", "URL"),
        ("show", "TYPO"),
        ("audit", "URL", "--baseline", "URL"),
        ("audit", "URL", "--policy", "URL"),
        ("rules", "URL"),
    ],
)
@pytest.mark.parametrize("how", ["userinfo", "query"])
def test_wrong_usage(guarded, logged, tmp_path, monkeypatch, how, words):
    """A URL given where none is taken is quoted without what lets in."""
    monkeypatch.chdir(tmp_path)
    url = given(guarded, how, "models/a.h5")
    result = inspect(*({"URL": url, "TYPO": f"x{url}"}.get(one, one) for one in words))
    assert result.code == 2
    assert_hidden(result, logged, SECRET, USER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("no URL", "no URL"),
        ("s3://bucket/a.h5: no", "s3://bucket/a.h5: no"),
        ("http://me:pass@host/a?b=c: no", "http://***@host/a?b=c: no"),
        ("https://token@host/a", "https://***@host/a"),
        ("abfs://container@account/a", "abfs://container@account/a"),
        ("'https://h/a?X-Amz-Signature=1a2b&b=c'.", "'https://h/a?X-Amz-Signature=***&b=c'."),
        (
            "see https://h/a?sv=1&sig=a%2Fb, twice\nsig=c",
            "see https://h/a?sv=1&sig=***, twice\nsig=***",
        ),
    ],
)
def test_texts_that_quote_urls(text, hidden):
    from inspector.remote import doors

    assert doors.hidden(text) == hidden


@pytest.mark.parametrize("every", ["s3", "az"], indirect=True)
@pytest.mark.parametrize("fault", [None, faults.status(403), faults.status(503)])
def test_keys_of_the_environment(every, logged, fault):
    url = serve(every, "secrets/a.h5", samples.path("pruned.h5"))
    if fault is not None:
        every.fail(fault, method="*", **FOR_EVER)
    result = inspect("show", url, "--format", "json")
    assert result.code == (0 if fault is None else 2)
    assert_hidden(result, logged, bucket.KEY, bucket.KEY_ID, azure.KEY)
