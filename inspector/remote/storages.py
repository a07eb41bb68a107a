"""Storage asked through fsspec: again where it fails for the moment, and told in our words."""

from __future__ import annotations

import contextlib
import contextvars
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from inspector import deadline
from inspector.errors import ArtifactError, InspectorError, NotFound, UsageError
from inspector.meant import did_you_mean
from inspector.remote import doors, urls

T = TypeVar("T")

ATTEMPTS = 6  # of one request
PATIENCE = 90.0  # seconds until no other one is begun
FIRST_WAIT = 0.25  # seconds at most before the second; each time twice as long, and by chance
LONGEST_WAIT = 15.0
_SILENCE = 60.0  # seconds without a byte
_CONNECT = 20.0
_LOOK = 0.5  # seconds between two looks at the clock meanwhile
_TOGETHER = 32  # requests at once
# HTTP's: what another try may change.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSING = frozenset({401, 403, 407})
_GONE = frozenset({404, 410})
_KINDS = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az",
    "http": "http", "https": "http",
}  # fmt: skip
# By name, for whoever raises them may not be installed.
_HOPELESS = frozenset({
    "BadZipFile", "ClientConnectorCertificateError", "NoCredentialsError",
    "SSLCertVerificationError",
})  # fmt: skip
_PERMANENT = (
    FileNotFoundError, IsADirectoryError, NotADirectoryError, NotImplementedError, PermissionError,
    TypeError, ValueError,
)  # fmt: skip


# In the words of S3 and of Google.
_NO_BUCKET = re.compile(r"bucket does not exist|calling the HeadBucket operation: Not Found")
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


class Denied(ArtifactError):
    """The storage does not let us in."""


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
    with _in_our_words(path):
        fs, inner = url_to_fs(doors.full(path), **_options(scheme))
    if hasattr(fs, "retries"):
        fs.retries = 1  # s3fs: it is we who ask again
    return fs, inner


def _options(scheme: str) -> dict[str, Any]:
    """Of each kind: no listing is kept (what lies there may change), nobody waits for ever."""
    kind = _KINDS.get(scheme)
    if kind == "http":
        import aiohttp

        waiting = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)
        client = {
            "timeout": waiting,
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
    return {scheme: {"use_listings_cache": False}} if kind else {}


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
        return max(by_chance(state), 0.0 if error is None else _told_to_wait(error))

    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(PATIENCE),
        wait=pause,
        retry=retry_if_exception(_may_pass),
        before_sleep=lambda _: asked.count(),
        reraise=True,
    )
    try:
        with _in_our_words(path):
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
            raise next((one for one in failures if not _may_pass(one)), failures[0])

    try:
        ask(path, missing)
    except NoRanges:
        raise _no_ranges(path) from None
    return [done[number] for number in range(len(ranges))]


def _batch(fs: Any) -> dict[str, int]:
    return {"batch_size": _TOGETHER} if getattr(fs, "async_impl", False) else {}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came of: the innermost one says what happened."""
    one: BaseException | None = error
    seen = 0
    while one is not None and seen < 10:
        yield one
        one, seen = one.__cause__ or one.__context__, seen + 1


def _status(error: BaseException) -> int | None:
    """HTTP's, wherever a library keeps it."""
    for one in _causes(error):
        if type(one).__module__ == "aiohttp.http_exceptions":
            continue  # 400, says aiohttp itself, of a body that ended early
        for name in ("status", "status_code", "code"):
            status = getattr(one, name, None)
            if status is not None:
                break
        else:
            status = _meta(one).get("HTTPStatusCode")
        with contextlib.suppress(TypeError, ValueError):
            if status is not None and 400 <= int(status) < 600:
                return int(status)
    return None


def _meta(error: BaseException) -> dict[str, Any]:
    """What botocore keeps of an answer."""
    answer = getattr(error, "response", None)
    return answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}


def _told_to_wait(error: BaseException) -> float:
    """Seconds of Retry-After, as far as we are patient; 0 where there is none."""
    for one in _causes(error):
        headers = getattr(one, "headers", None) or _meta(one).get("HTTPHeaders") or {}
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            for name in ("Retry-After", "retry-after"):
                if headers.get(name) is not None:
                    return min(max(float(headers[name]), 0.0), LONGEST_WAIT)
    return 0.0


def _may_pass(error: BaseException) -> bool:
    """Whether another try may go better."""
    if isinstance(error, InspectorError) or not isinstance(error, Exception):
        return False
    if any(type(one).__name__ in _HOPELESS for one in _causes(error)):
        return False
    status = _status(error)
    if status is not None:
        return status in PASSING
    # fsspec says of a web server that it cannot reach that there is no such file.
    causes = list(_causes(error))
    if isinstance(error, FileNotFoundError) and len(causes) > 1:
        return not isinstance(causes[-1], _PERMANENT)
    return not isinstance(error, _PERMANENT)


@contextlib.contextmanager
def _in_our_words(path: str) -> Iterator[None]:
    """Errors of the libraries, as those of an artifact. They quote URLs, secrets and all."""
    try:
        yield
    except InspectorError:
        raise
    except ImportError as error:
        extra = 'pip install "tf-inspector[remote]"'
        raise UsageError(f"{path}: {doors.scrubbed(str(error))}; run: {extra}") from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise ArtifactError(_said(error).removeprefix("ValueError: "), path) from None
        from fsspec.registry import known_implementations

        scheme = urls.scheme_of(path)
        meant = did_you_mean(scheme, known_implementations)
        raise UsageError(f"{path}: nothing speaks {scheme}:// here{meant}") from None
    except Exception as error:  # noqa: BLE001 - whatever a library of any storage raises
        raise _error(error, path) from None


def _error(error: Exception, path: str) -> ArtifactError:
    status = _status(error)
    gone = isinstance(error, FileNotFoundError) and not _may_pass(error)
    if any(_NO_BUCKET.search(str(one)) for one in _causes(error)):
        return ArtifactError("there is no such bucket", path)
    if status in _GONE or (gone and status not in REFUSING):
        return NotFound("no such file", path)
    if status in REFUSING or isinstance(error, PermissionError):
        return Denied(
            "access is denied: give credentials as fsspec takes them, from the environment or its"
            f" own configuration ({_said(error)})",
            path,
        )
    if type(error).__name__ == "NoCredentialsError":
        return ArtifactError(
            "there are no credentials for it: give them in the environment, or FSSPEC_S3_ANON=true"
            " for what anybody may read",
            path,
        )
    again = f", asked {ATTEMPTS} times at most" if _may_pass(error) else ""
    return ArtifactError(f"the storage does not give it: {_said(error)}{again}", path)


def _said(error: BaseException) -> str:
    """The first line of the innermost error that has a message, without secrets."""
    status = _status(error)
    texts = [f"{type(one).__name__}: {one}" for one in _causes(error) if str(one)]
    text = texts[-1] if texts else type(error).__name__
    said = doors.scrubbed(" ".join(text.split()))[:300]
    return said if status is None or str(status) in said else f"{said} (status {status})"
