"""A storage server of somebody else's, behind one of our own that counts, and fails as told."""

from __future__ import annotations

import http.client
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.builders.storage import ranges
from tests.builders.storage.loopback import Answer, Loopback, drained

RANGES = {"range", "x-ms-range"}
# What is said of one hop alone, or is said anew.
PASSED = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class Fronted(Loopback):
    """The base of those. behind: host and port of what answers; there is one bucket to begin with.

    scheme: of its URLs. environment: what its clients need to find it.
    """

    scheme = ""

    def __init__(self, behind: tuple[str, int], bucket: str = "models") -> None:
        self.bucket = bucket
        self._behind = behind
        super().__init__()

    @property
    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def store(self, key: str, content: bytes) -> None:
        """Have an object, past our own counting and failing."""
        raise NotImplementedError

    def url(self, key: str = "") -> str:
        return f"{self.scheme}://{self.bucket}/{key}"

    def put(self, key: str, held: bytes | str | Path) -> str:
        """Store bytes, a file or a folder of files; the URL."""
        if isinstance(held, bytes):
            self.store(key, held)
        else:
            for name, path in files(key, str(held)):
                self.store(name, Path(path).read_bytes())
        return self.url(key)

    def answer(self, handler: BaseHTTPRequestHandler, path: str, whole: bool) -> Answer:
        headers = dict(handler.headers)
        if whole:
            headers = {k: v for k, v in headers.items() if k.lower() not in RANGES}
        behind = http.client.HTTPConnection(*self._behind, timeout=30)
        try:
            behind.request(handler.command, handler.path, drained(handler), headers)
            got = behind.getresponse()
            kept = {k: v for k, v in got.getheaders() if k.lower() not in PASSED}
            if handler.command == "HEAD":
                length = int(got.headers.get("Content-Length") or 0)
                return Answer(got.status, kept, ranges.Part("", 0, length))
            return Answer(got.status, kept, got.read())
        finally:
            behind.close()


def files(key: str, path: str) -> list[tuple[str, str]]:
    """(key, file) of a file, or of all that a folder holds."""
    if not os.path.isdir(path):
        return [(key, path)]
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            found.append((f"{key}/{os.path.relpath(file, path)}", file))
    return sorted(found)
