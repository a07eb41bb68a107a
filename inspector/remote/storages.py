"""Storage asked through fsspec: again where it fails for the moment, and told in our words."""

from __future__ import annotations

import contextvars
import functools
import os
import queue
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from inspector import deadline
from inspector.errors import ArtifactError, NotFound, UsageError
from inspector.remote import doors, urls
from inspector.remote.failures import (
    ATTEMPTS,
    LONGEST_WAIT,
    in_our_words,
    may_pass,
    told_to_wait,
)

T = TypeVar("T")

PATIENCE = 90.0  # seconds until no other one is begun
FIRST_WAIT = 0.25  # seconds at most before the second; each time twice as long, and by chance
_SILENCE = 60.0  # seconds without a byte
_CONNECT = 20.0
_LOOK = 0.5  # seconds between two looks at the clock meanwhile
_TOGETHER = 32  # requests at once
_KINDS = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az",
    "http": "http", "https": "http",
}  # fmt: skip
_LOGGERS = (
    "adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs",
)  # fmt: skip
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_RANGE_SENT = re.compile(r"bytes (\d+)-(\d+)/")


class _Asked:
    """How often requests had to be made again, and how many questions had no answer that lasts, in
    this process. Threads share it.
    """

    def __init__(self) -> None:
        self.again = self.unanswered = 0
        self._lock = threading.Lock()

    def fail(self, times: int = 1) -> None:
        """Count a question without an answer; -1 where it turns out that none was needed."""
        with self._lock:
            self.unanswered += times

    def count(self) -> None:
        with self._lock:
            self.again += 1


asked = _Asked()


class Short(Exception):
    """A body that is not the one asked for, as one that ended early. It is asked for again."""


class NoRanges(ArtifactError):
    """More than was asked for is sent: the whole file, with no regard to the range."""


def _no_ranges(path: str) -> NoRanges:
    return NoRanges("the storage gives files only as a whole; --cache DIR keeps a copy", path)


async def _held_to_range(answer: Any) -> None:
    """Let a connection go where a range was asked for and something else is sent: it may be
    gigabytes, what is compressed may become so, and bytes of another place are not those asked for.
    """
    asked_for = _RANGE.fullmatch(answer.request_info.headers.get("Range", ""))
    if asked_for is None or answer.status not in (200, 206):
        return
    start, end = map(int, asked_for.groups())
    if answer.headers.get("Content-Encoding", "identity") != "identity" or (
        answer.status == 200
        and (start or answer.content_length is None or answer.content_length > end + 1)
    ):
        answer.close()
        raise _no_ranges("")
    sent = _RANGE_SENT.match(answer.headers.get("Content-Range", ""))
    if sent is not None and (int(sent[1]) != start or int(sent[2]) > end):
        answer.close()
        raise Short(f"bytes {sent[1]} to {sent[2]} came in place of {start} to {end}")


def _hush() -> None:
    """Let what libraries log be said on stderr only where somebody has set up logging: what fails
    is an error of ours, in one line.
    """
    import logging

    for name in _LOGGERS:
        logging.getLogger(name).addHandler(logging.NullHandler())


_hush()


def storage(path: str) -> tuple[Any, str]:
    """Fsspec's file system for a path, and the path there.

    Raises UsageError where nothing is known that speaks to it, or what does is not installed;
    ArtifactError for a name that fsspec would take for a chain of URLs, and read another file.
    """
    if "::" in path:
        raise ArtifactError('its name has "::" in it: copy it to another name', path)
    scheme = urls.scheme_of(path)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(f'{path}: for URLs run: pip install "tf-inspector[remote]"') from None
    with in_our_words(path):
        fs, inner = url_to_fs(doors.full(path), **_options(scheme))
    _ask_once(fs)
    return fs, inner


def _ask_once(fs: Any) -> None:
    """Let a library ask once: it is we who ask again, with an eye on the clock. Where one has come
    to do it otherwise, asking takes longer, and no more than that.
    """
    if hasattr(fs, "retries"):
        fs.retries = 1  # s3fs
    once = getattr(getattr(type(fs), "_request", None), "__wrapped__", None)
    if once is not None:
        fs._request = functools.partial(once, fs)  # noqa: SLF001 - gcsfs has no option for it
    client = getattr(fs, "service_client", None)  # adlfs: Azure's, whose pauses are of a minute
    policy = getattr(getattr(client, "_config", None), "retry_policy", None)
    if policy is not None:
        policy.total_retries = 0


def _options(scheme: str) -> dict[str, Any]:
    """Of each kind: no listing is kept (what lies there may change), nobody waits for ever."""
    kind = _KINDS.get(scheme)
    if kind == "http":
        client = {
            "timeout": _waiting(),
            "raise_for_status": _held_to_range,
            "headers": {"Accept-Encoding": "identity"},  # there are no places in what is compressed
        }
        return {scheme: {"use_listings_cache": False, "client_kwargs": client}}
    if kind == "s3":
        config = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": _CONNECT,
            "read_timeout": _SILENCE,
            "max_pool_connections": _TOGETHER,
        }
        return {scheme: {"use_listings_cache": False, "config_kwargs": config}}
    if kind == "gs":
        # gcsfs asks by gRPC what kind of bucket it is, again before each range where it gets no
        # answer, and waits a minute for it. Only a zonal bucket needs that.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        return {scheme: {"use_listings_cache": False, "requests_timeout": _waiting()}}
    if kind == "az":
        waiting = {"connection_timeout": _CONNECT, "read_timeout": _SILENCE}
        return {scheme: {"use_listings_cache": False, **waiting}}
    return {}


def _waiting() -> Any:
    """How long aiohttp waits: never for ever, and for a large body as long as it comes."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)


def is_read_only(path: str) -> bool:
    """Whether it is of a web server, or in an archive."""
    return _KINDS.get(urls.scheme_of(path)) == "http" or urls.is_inside(path)


def ask(path: str, question: Callable[[], T]) -> T:
    """What the storage answers, asked again with growing pauses where it may do better.

    Raises NotFound, ArtifactError where it refuses or goes on failing; LimitExceeded (`seconds`).
    """
    from tenacity import (
        RetryCallState,
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        stop_after_delay,
        wait_random_exponential,
    )

    by_chance = wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        return max(by_chance(state), 0.0 if error is None else told_to_wait(error))

    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(PATIENCE),
        wait=pause,
        retry=retry_if_exception(may_pass),
        before_sleep=lambda _: asked.count(),
        reraise=True,
    )
    try:
        with in_our_words(path):
            for attempt in tries:
                with attempt:
                    deadline.check()
                    answer = _in_time(question)
    except NotFound:
        raise
    except ArtifactError:
        asked.fail()
        raise
    return answer


def _in_time(question: Callable[[], T]) -> T:
    """Its answer, waited for no longer than the artifact may take: libraries wait a minute for a
    storage that is silent. Raises LimitExceeded (`seconds`).
    """
    if deadline.current() is None:
        return question()
    came: queue.SimpleQueue[tuple[list[T], BaseException | None]] = queue.SimpleQueue()

    def wait() -> None:
        try:
            came.put(([question()], None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
            came.put(([], error))

    threading.Thread(target=contextvars.copy_context().run, args=(wait,), daemon=True).start()
    while True:
        try:
            found, error = came.get(timeout=_LOOK)
        except queue.Empty:
            deadline.check()
            continue
        if error is not None:
            raise error
        return found[0]


def fetch(path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Bytes of a file, of each (offset, length), in as many requests made at once.

    Those that fail are made again, the others not. Raises as `ask`.
    """
    fs, inner = storage(path)
    done: dict[int, bytes] = {}

    def missing() -> None:
        todo = [number for number in range(len(ranges)) if number not in done]
        starts = [ranges[number][0] for number in todo]
        ends = [sum(ranges[number]) for number in todo]
        if len(todo) == 1:
            answers = [fs.cat_file(inner, start=starts[0], end=ends[0])]
        else:
            answers = fs.cat_ranges(
                [inner] * len(todo), starts, ends, on_error="return", **_batch(fs)
            )
        failures = []
        for number, answer in zip(todo, answers, strict=True):
            if isinstance(answer, BaseException):
                failures.append(answer)
            elif len(answer) > ranges[number][1]:
                failures.append(_no_ranges(path))
            elif len(answer) < ranges[number][1]:
                failures.append(Short(f"{len(answer):,} bytes of {ranges[number][1]:,} came"))
            else:
                done[number] = bytes(answer)
        if failures:
            raise next((one for one in failures if not may_pass(one)), failures[0])

    try:
        ask(path, missing)
    except NoRanges:
        raise _no_ranges(path) from None
    return [done[number] for number in range(len(ranges))]


def _batch(fs: Any) -> dict[str, int]:
    return {"batch_size": _TOGETHER} if getattr(fs, "async_impl", False) else {}
