"""A server of this machine that counts what it answers, and fails as it is told to."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.builders.storage import faults, ranges
from tests.builders.storage.faults import Fault, Plan, Rule
from tests.builders.storage.ranges import Body

PIECE = 64 * 1024
IDLE = 30  # seconds: no connection outlives a test for longer


@dataclass
class Request:
    """What was asked, and how it was answered.

    path: without its query, which may hold a secret. start, end: of the range that was asked for,
    None without one; start is negative where so many bytes at the end were. sent: bytes of the
    body that were given to the system, which may be a little more than arrived.
    """

    method: str
    path: str
    start: int | None = None
    end: int | None = None
    status: int = 0
    sent: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer before anything goes wrong with it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""


class Loopback:
    """The base of the servers: `answer` says what is right, the plan what goes wrong.

    A context manager; `stop` may be called twice. Safe to use while requests are answered.
    """

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.connections = 0
        self.plan = Plan()
        self._open: set[socket.socket] = set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    # --- what a test asks ---

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sent(self) -> int:
        """Bytes of all bodies since the last `forget`."""
        return sum(one.sent for one in list(self.log))

    def requests(self, method: str = "") -> list[Request]:
        """The requests since the last `forget`, those of one method or all."""
        return [one for one in list(self.log) if method in ("", one.method)]

    def forget(self) -> None:
        """Begin to count anew."""
        self.log.clear()
        self.connections = 0

    def fail(self, fault: Fault, path: str = "*", **which: Any) -> None:
        """Let something go wrong with some requests; see `Rule` for which (by default one GET)."""
        self.plan.rules.append(Rule(fault, path, **which))

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.plan.rules.clear()

    def content(self, name: str) -> str:
        """The paths, as a pattern, at which content of that name is asked for."""
        return f"*{name}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- what a kind of server says ---

    def answer(self, handler: BaseHTTPRequestHandler, path: str, whole: bool) -> Answer:
        """The right answer. whole: whether the range that is asked for is passed over."""
        raise NotImplementedError

    def failure(self, code: int, path: str) -> Answer:
        """An answer of this status, as such a server words it."""
        return Answer(code, {"Content-Type": "text/plain"}, f"{code}\n".encode())

    # --- how it is sent ---

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        path = urllib.parse.unquote(handler.path.partition("?")[0])
        asked = ranges.asked(handler.headers.get("Range") or handler.headers.get("x-ms-range"))
        request = Request(handler.command, path, *(asked or (None, None)))
        self.log.append(request)
        fault = self.plan.fault(request.method, path)
        fault.before()
        if fault.wait:
            time.sleep(fault.wait)
        if fault.status:
            drained(handler)
            answer = self.failure(fault.status, path)
            answer = Answer(answer.status, {**answer.headers, **dict(fault.headers)}, answer.body)
        else:
            answer = self.answer(handler, path, fault.whole)
        request.status = answer.status
        self._send(handler, request, answer, fault)

    def _send(
        self, handler: BaseHTTPRequestHandler, request: Request, answer: Answer, fault: Fault
    ) -> None:
        bodiless = request.method == "HEAD" or answer.status in (204, 304)
        full = ranges.length(answer.body)
        length = int(full * fault.share)
        cut = length < full and not bodiless
        claimed = length if cut and fault.end == faults.BELIEVED else full
        handler.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(claimed)}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if bodiless:
            return
        done = 0
        for piece in ranges.pieces(answer.body, length, PIECE):
            if fault.pause and done <= length // 2 < done + len(piece):
                time.sleep(fault.pause)
            request.sent += len(piece)  # before it goes: who has read it all finds it counted
            handler.wfile.write(piece)
            done += len(piece)
        if cut and fault.end != faults.BELIEVED:
            handler.close_connection = True
            if fault.end == faults.RESET:
                # What is still in the way is dropped, and the other side told so.
                option = struct.pack("ii", 1, 0)
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
                handler.rfile.close()  # it holds the socket, too
                handler.connection.close()


def drained(handler: BaseHTTPRequestHandler) -> bytes:
    """The body of a request."""
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _handler(owner: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE

        def setup(self) -> None:
            # Little more is counted than is read, where the reader goes in mid-body.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
            owner.connections += 1
            owner._open.add(self.request)
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client goes when it has what it wants
                super().handle()

        def finish(self) -> None:
            owner._open.discard(self.request)
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def one(self) -> None:
            owner.handle(self)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = one  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The environment with these variables, for this process and those that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
