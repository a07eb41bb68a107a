"""What goes wrong with a server's answers, and with which of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

CLOSED, RESET, BELIEVED = "closed", "reset", "believed"


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. The default is that nothing does.

    status, headers: answered in place of what was asked for. share: how much of the body is sent,
    and `end` is what follows where that is not all: the connection is closed, is reset, or the
    headers said this length from the start, so that the client believes it has everything.
    wait: seconds before the answer begins. pause: seconds between the halves of its body.
    whole: as if no range was asked for. before: called before the answer is made.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    share: float = 1.0
    end: str = CLOSED
    wait: float = 0.0
    pause: float = 0.0
    whole: bool = False
    before: Callable[[], object] = _nothing


NONE = Fault()


def status(code: int, retry_after: float | None = None) -> Fault:
    """An answer of that status, such as 503, 429, 404, with or without Retry-After (seconds)."""
    return Fault(
        status=code,
        headers=() if retry_after is None else (("Retry-After", f"{retry_after:g}"),),
    )


def redirect(url: str) -> Fault:
    """What is asked for is elsewhere."""
    return Fault(status=302, headers=(("Location", url),))


def reset(share: float = 0.5) -> Fault:
    """The connection is reset once that share of the body is sent."""
    return Fault(share=share, end=RESET)


def short(share: float = 0.5) -> Fault:
    """The connection is closed before the body is as long as its Content-Length."""
    return Fault(share=share)


def clipped(share: float = 0.5) -> Fault:
    """Fewer bytes than were asked for, and a Content-Length to match."""
    return Fault(share=share, end=BELIEVED)


def slow(seconds: float) -> Fault:
    """An answer that begins late."""
    return Fault(wait=seconds)


def stalled(seconds: float) -> Fault:
    """An answer that stops in the middle of its body for some time."""
    return Fault(pause=seconds)


def whole() -> Fault:
    """The whole content with status 200, whatever range was asked for."""
    return Fault(whole=True)


def after(call: Callable[[], object]) -> Fault:
    """A right answer, made after this call: what changes the content between two requests."""
    return Fault(before=call)


@dataclass
class Rule:
    """Which requests a fault meets: of those that match, each `every`-th from number `skip` on,
    `times` in all (None: for ever).
    """

    fault: Fault
    path: str = "*"
    method: str = "GET"
    skip: int = 0
    every: int = 1
    times: int | None = 1
    seen: int = 0

    def meets(self, method: str, path: str) -> bool:
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        at = self.seen - self.skip
        self.seen += 1
        turn, between = divmod(at, self.every)
        return at >= 0 and not between and (self.times is None or turn < self.times)


@dataclass
class Plan:
    """The rules of a server. Of those that a request meets, the first counts."""

    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> Fault:
        with self._lock:
            met = [rule.fault for rule in self.rules if rule.meets(method, path)]
        return met[0] if met else NONE
