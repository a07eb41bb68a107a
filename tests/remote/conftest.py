"""Servers, and 1 GiB artifacts on them, for the tests of storage that is elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import huge
from tests.builders.servers import HttpServer, Loopback, S3Server, environment

NEEDED = ("aiohttp", "flask", "fsspec", "moto", "s3fs", "tenacity")
STORAGES = ["web", "s3"]


@pytest.fixture(scope="session", autouse=True)
def installed():
    """What these tests need; each is skipped where it is not there."""
    for name in NEEDED:
        pytest.importorskip(name)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Storage that failed is asked again at once: how long that takes is of one test alone."""
    from inspector.remote import doors, storages

    monkeypatch.setattr(storages, "FIRST_WAIT", 0.01)
    yield
    doors.keep_copies(None)


@pytest.fixture(scope="module")
def servers():
    """A web server and an S3 server, which this process' environment leads to."""
    import s3fs

    with HttpServer() as web, S3Server() as s3, environment(s3.environment):
        s3fs.S3FileSystem.clear_instance_cache()
        yield {"web": web, "s3": s3}
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=STORAGES)
def server(request, servers) -> Loopback:
    """Each of them, sound, and with nothing counted."""
    return sound(servers[request.param])


@pytest.fixture
def web(servers) -> Loopback:
    """The web server, sound, and with nothing counted."""
    return sound(servers["web"])


@pytest.fixture
def s3(servers) -> Loopback:
    """The S3 server, sound, and with nothing counted."""
    return sound(servers["s3"])


def sound(server: Loopback) -> Loopback:
    server.heal()
    server.forget()
    return server


@pytest.fixture(scope="session")
def huge_ones(tmp_path_factory) -> Callable[[str], Path]:
    """A path by the name of what makes it; each is made once."""
    made: dict[str, Path] = {}

    def path(name: str) -> Path:
        if name not in made:
            made[name] = Path(huge.MAKERS[name](tmp_path_factory.mktemp("huge")))
        return made[name]

    return path
