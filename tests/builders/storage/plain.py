"""A web server of files, as people put models on one."""

from __future__ import annotations

import base64
import gzip
import os
import time
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.builders.storage import ranges
from tests.builders.storage.loopback import Answer, Loopback, drained

HTML = {"Content-Type": "text/html; charset=utf-8"}
BINARY = {"Content-Type": "application/octet-stream"}


class HttpServer(Loopback):
    """Files by path, with ranges, conditions, and a page of links for each folder.

    files: path -> its bytes, or where they are (a file, or a folder of files). secret: asked of
    every request, as `?sig=` or as the password of Basic authorization; 403 without. index:
    whether folders have pages; 404 for them else. ranges: whether any are served. packed: whether
    all of a file is sent, and compressed, to whoever takes that, as some servers do on their way.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | str | Path] | None = None,
        *,
        secret: str = "",
        index: bool = True,
        ranges: bool = True,
        packed: bool = False,
    ) -> None:
        self._held: dict[str, tuple[bytes | str, int]] = {}
        self._secret, self._index, self._ranges, self._packed = secret, index, ranges, packed
        super().__init__()
        for path, held in (files or {}).items():
            self.put(path, held)

    def put(self, path: str, held: bytes | str | Path) -> str:
        """Serve this at a path from now on; its URL."""
        if not isinstance(held, bytes) and os.path.isdir(held):
            for folder, _, names in os.walk(held):
                for name in names:
                    file = os.path.join(folder, name)
                    self.put(f"{path}/{os.path.relpath(file, held)}", file)
        else:
            held = held if isinstance(held, bytes) else str(held)
            self._held["/" + path.lstrip("/")] = held, int(time.time())
        return self.url(path)

    def remove(self, path: str) -> None:
        del self._held["/" + path.lstrip("/")]

    def url(self, path: str = "", *, user: str = "", signed: bool = False) -> str:
        """Where a path is. user: with this name and the secret in the URL; signed: in its query."""
        who = f"{user}:{self._secret}@" if user else ""
        query = f"?sig={urllib.parse.quote(self._secret)}" if signed else ""
        place = urllib.parse.quote(path.lstrip("/"), safe="/*[]")
        return f"http://{who}127.0.0.1:{self.port}/{place}{query}"

    def answer(self, handler: BaseHTTPRequestHandler, path: str, whole: bool) -> Answer:
        drained(handler)
        if handler.command not in ("GET", "HEAD"):
            return self.failure(405, path)
        if self._secret and not self._admitted(handler):
            return self.failure(403, path)
        found = self._held.get(path)
        if found is not None:
            asked = dict(handler.headers)
            packed = self._packed and "gzip" in (handler.headers.get("Accept-Encoding") or "")
            passed_over = whole or packed or not self._ranges
            status, headers, body = ranges.answered(ranges.content(*found), asked, passed_over)
            if packed:
                content = b"".join(ranges.pieces(body, ranges.length(body), 1 << 20))
                headers, body = {**headers, "Content-Encoding": "gzip"}, gzip.compress(content)
            return Answer(status, {**BINARY, **headers}, body)
        inside = path if path.endswith("/") else f"{path}/"
        if not self._index or not any(one.startswith(inside) for one in list(self._held)):
            return self.failure(404, path)
        if inside != path:
            return Answer(301, {"Location": urllib.parse.quote(inside)})
        return Answer(200, HTML, self._page(path))

    def _admitted(self, handler: BaseHTTPRequestHandler) -> bool:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        kind, _, given = (handler.headers.get("Authorization") or "").partition(" ")
        password = ""
        if kind == "Basic":
            password = base64.b64decode(given).decode().partition(":")[2]
        return self._secret in (*query.get("sig", ()), password)

    def _page(self, folder: str) -> bytes:
        behind = (one.removeprefix(folder) for one in list(self._held) if one.startswith(folder))
        # What is inside of a folder is one link, which ends as folders' do.
        names = sorted({one.partition("/")[0] + "/" * ("/" in one) for one in behind})
        links = "".join(f'<li><a href="{urllib.parse.quote(one)}">{one}</a>\n' for one in names)
        return f"<!doctype html><title>{folder}</title><ul>\n{links}</ul>\n".encode()
