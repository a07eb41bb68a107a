"""Servers, and 1 GiB artifacts on them, for the tests of storage that is elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import huge
from tests.builders.servers import (
    AzureServer,
    GoogleServer,
    HttpServer,
    Loopback,
    S3Server,
    environment,
)
from tests.builders.storage import azure
from tests.builders.storage.fronted import Fronted

NEEDED = ("aiohttp", "flask", "fsspec", "gcp_storage_emulator", "moto", "s3fs", "tenacity")
KINDS = {"web": HttpServer, "s3": S3Server, "gs": GoogleServer, "az": AzureServer}


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


class Servers:
    """A server of each kind, started when it is first asked for, which this process' environment
    leads to.
    """

    def __init__(self, started: contextlib.ExitStack) -> None:
        self._started = started
        self._known: dict[str, Loopback] = {}

    def __getitem__(self, kind: str) -> Loopback:
        if kind not in self._known:
            if kind == "az" and azure.program() is None and "INSPECT_NEED_AZURE" not in os.environ:
                pytest.skip("azurite-blob is not here: make test-azure")
            server = self._started.enter_context(KINDS[kind]())
            if isinstance(server, Fronted):
                self._lead_to(server)
            self._known[kind] = server
        return self._known[kind]

    def _lead_to(self, server: Fronted) -> None:
        from inspector.remote.storages import storage

        self._started.enter_context(environment(server.environment))
        forget = storage(server.url())[0].clear_instance_cache  # they know where one was
        forget()
        self._started.callback(forget)


@pytest.fixture(scope="module")
def servers():
    """See `Servers`."""
    with contextlib.ExitStack() as started:
        yield Servers(started)


@pytest.fixture(params=["web", "s3"])
def server(request, servers) -> Loopback:
    """Each of two, sound, and with nothing counted."""
    return in_order(servers[request.param])


@pytest.fixture(params=KINDS)
def every(request, servers) -> Loopback:
    """Each of all, sound, and with nothing counted."""
    return in_order(servers[request.param])


@pytest.fixture
def web(servers) -> Loopback:
    """The web server, sound, and with nothing counted."""
    return in_order(servers["web"])


@pytest.fixture
def s3(servers) -> Loopback:
    """The S3 server, sound, and with nothing counted."""
    return in_order(servers["s3"])


def in_order(server: Loopback) -> Loopback:
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
