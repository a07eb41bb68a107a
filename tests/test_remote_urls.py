"""URLs as paths: what of one is shown, what is a secret, what may be opened."""

import os
import posixpath

import pytest

from inspector import filesystem
from inspector.errors import UsageError
from inspector.remote import doors, urls

# given, shown, as fsspec takes it
SPELLINGS = [
    ("s3://bucket/a/m.h5", "s3://bucket/a/m.h5", "s3://bucket/a/m.h5"),
    ("s3://bucket/a/?.h5", "s3://bucket/a/?.h5", "s3://bucket/a/?.h5"),
    ("S3://bucket/a/", "s3://bucket/a", "s3://bucket/a/"),
    ("abfs://models@account/a.h5", "abfs://models@account/a.h5", "abfs://models@account/a.h5"),
    (
        "zip://in/a.h5::s3://bucket/x.zip",
        "s3://bucket/x.zip!zip/in/a.h5",
        "zip://in/a.h5::s3://bucket/x.zip",
    ),
    (
        "zip://in/a.h5::tar://deep/x.zip::https://host/y.tar",
        "https://host/y.tar!tar/deep/x.zip!zip/in/a.h5",
        "zip://in/a.h5::tar://deep/x.zip::https://host/y.tar",
    ),
]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3a://Bucket/A.h5", "s3://Bucket/A.h5"),
        ("gcs://bucket/a.h5", "gs://bucket/a.h5"),
        ("HTTP://Host:80/A.h5?v=1", "http://host/A.h5?v=1"),
        ("https://Joe:Word@HOST:443/a.h5", "https://host/a.h5"),
        ("http://host:8080/a.h5", "http://host:8080/a.h5"),
        ("memory:///a.h5", "memory://a.h5"),
        ("s3://bucket//a.h5", "s3://bucket//a.h5"),  # another object
    ],
)
def test_what_is_the_same_is_spelled_alike(given, shown):
    assert urls.parsed(given).shown == shown


@pytest.mark.parametrize(("given", "shown", "full"), SPELLINGS)
def test_a_url_is_a_path_and_back(given, shown, full):
    url = urls.parsed(given)
    assert url.shown == shown
    assert urls.chained(url.shown, url.outer) == full


SECRETS = [
    ("https://ann:hunter22@host/m.h5", "https://host/m.h5", ["hunter22"]),
    ("https://tok3n@host/m.h5", "https://host/m.h5", ["tok3n"]),
    (
        "https://host/m.h5?X-Amz-Signature=0a1b2c&X-Amz-Expires=60&part=2",
        "https://host/m.h5?part=2",
        ["0a1b2c"],
    ),
    (
        "https://host/m.h5?sv=2024-01-01&sr=b&sig=a%2Fb%3D",
        "https://host/m.h5",
        ["a/b=", "a%2Fb%3D"],
    ),
    ("https://host/m.h5?GoogleAccessId=me&Signature=s3cr3t", "https://host/m.h5", ["s3cr3t"]),
    (
        "https://host/get?file=m.h5&v=" + "k" * 40,
        "https://host/get?file=m.h5",
        ["k" * 40],
    ),
    ("ftp://ann:hunter22@host/m.h5", "ftp://host/m.h5", ["hunter22"]),
    ("s3://KEYID:SECRETKEY@bucket/m.h5", "s3://bucket/m.h5", ["SECRETKEY"]),
    (
        "zip://a.h5::https://host/x.zip?token=abcdef",
        "https://host/x.zip!zip/a.h5",
        ["abcdef"],
    ),
]


@pytest.mark.parametrize(("given", "shown", "secrets"), SECRETS)
def test_what_lets_in_is_in_no_path_and_in_no_message(given, shown, secrets):
    assert doors.admit(given) == shown
    assert doors.full(shown) == given
    for secret in secrets:
        assert secret not in doors.scrubbed(f"GET {given} failed: {secret}")
        assert secret not in repr(doors.doors_of([shown]))


def test_secrets_of_the_environment_are_in_no_message(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    said = doors.scrubbed(
        "signed with wJalrXUtnFEMI?X-Amz-Credential=AKIA/x&x-amz-security-token=q1"
    )
    assert said == "signed with ***?X-Amz-Credential=***&x-amz-security-token=***"


@pytest.mark.parametrize(
    "path", ["s3://bucket/a/b/m.h5", "s3://bucket/x.zip!zip/in/a.h5", "https://host:8080/a/m.h5"]
)
def test_the_last_part_is_the_name_and_the_rest_the_folder(path):
    assert urls.folder_of(path) == posixpath.dirname(path)


@pytest.mark.parametrize("root", ["s3://bucket", "https://host", "memory://a.h5"])
def test_a_storage_s_root_is_above_itself(root):
    assert urls.folder_of(root) == root


def test_paths_are_opened_where_somebody_named_a_url_and_nowhere_else():
    doors.admit("s3://mine/models/a.h5")
    for inside in ("s3://mine/models/a.h5", "s3://mine/models/b/c.h5", "s3://mine/models/"):
        assert filesystem.is_far(inside)
    for outside in (
        "s3://mine/other/a.h5", "s3://mine/modelsx/a.h5", "s3://mine", "s3://yours/models/a.h5",
        "gs://mine/models/a.h5", "http://169.254.169.254/latest",
    ):  # fmt: skip
        assert not filesystem.is_far(outside)


def test_a_name_from_a_file_makes_no_url():
    doors.admit("s3://mine/models/a.h5")
    for name in ("s3://mine/models/b.h5", "zip://x::s3://mine/models/b.zip"):
        assert not filesystem.is_far(filesystem.join("", name))
        assert not filesystem.is_far(filesystem.join("folder", name))


def test_a_glob_opens_the_folder_that_is_fixed():
    doors.admit("s3://globbed/models/*/v?/m.h5")
    assert filesystem.is_far("s3://globbed/models/x/v1/m.h5")
    assert not filesystem.is_far("s3://globbed/other/m.h5")


@pytest.mark.parametrize("scheme", ["simplecache", "filecache", "blockcache", "reference", "dask"])
def test_what_keeps_copies_or_leads_elsewhere_is_refused(scheme):
    with pytest.raises(UsageError, match=f"{scheme}"):
        doors.admit(f"{scheme}://bucket/a.h5")
    with pytest.raises(UsageError, match=f"{scheme}::"):
        doors.admit(f"{scheme}::s3://bucket/a.h5")


@pytest.mark.parametrize("given", ["s3://", "S3://", "gs:///a.h5", "zip://a.h5::az://", "https://"])
def test_what_names_no_bucket_or_server_is_said_so(given):
    with pytest.raises(UsageError, match=r"://: names no (bucket|container|server); write "):
        urls.parsed(given)


def test_a_storage_without_buckets_has_a_root():
    assert urls.parsed("memory://").shown == "memory://"


def test_what_nothing_speaks_is_said_at_once():
    with pytest.raises(UsageError, match=r"nothing speaks htpp://.*did you mean 'http'"):
        filesystem.admit("htpp://host/a.h5")


def test_a_file_url_is_a_path_of_this_machine(tmp_path):
    assert filesystem.admit(f"file://{tmp_path}/a.h5") == f"{tmp_path}/a.h5"


def test_a_file_that_is_named_like_a_url_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("s3:/bucket")
    (tmp_path / "s3:" / "bucket" / "a.h5").write_bytes(b"x")
    assert filesystem.admit("s3://bucket/a.h5") == "./s3://bucket/a.h5"
    assert not filesystem.is_far("./s3://bucket/a.h5")
