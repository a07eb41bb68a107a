"""A fleet on a Dask cluster: one task an artifact, so many at once, and what comes of each once.

Dask knows which workers there are, hands tasks out, and begins those of a lost worker again. A file
that takes its worker down each time is an error of that file. The scheduler and the workers run
what they are sent, and so does this process: they are trusted like the code that is installed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing.resource_tracker
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from inspector import filesystem
from inspector._version import __version__
from inspector.auditing.session import Looked
from inspector.errors import Crashed, NotFound, UsageError
from inspector.exchange import Raised, rebuilt
from inspector.fleet import pools, tasks
from inspector.fleet.listed import listed
from inspector.fleet.progress import Watch
from inspector.fleet.secret import Secret
from inspector.fleet.work import Came, ClusterLost, How, Item, largest_first, lasts
from inspector.isolation import judged, look_task
from inspector.limits import GIB
from inspector.process import processors
from inspector.typed_json import decode, encode

if TYPE_CHECKING:
    from distributed import Client, Future, as_completed

LOCAL = "local"
_LOOKED: Any = Looked | None
_LOGGERS = ("distributed", "tornado", "asyncio")
_CONNECT_SECONDS = 10.0
_TASKS = 3  # in flight for each thread of a worker: one at work, others at hand
_BYTES = 16 * GIB  # in flight for each thread, beyond one artifact
_COUNT_SECONDS = 2.0  # between two looks how many threads there are
_UNFIT = 3  # workers that may be unable to read in processes of their own


class Cluster:
    """What looks at artifacts on a cluster. A context manager, which ends all that it started.

    address: "tcp://...", "tls://...", or "local" for processes of this machine. jobs: how many of
    these, None for one a processor. Raises UsageError where there is no such cluster, or where its
    workers have another version of inspect.
    """

    def __init__(self, address: str, jobs: int | None, watch: Watch) -> None:
        self._address = address
        self._jobs = jobs or processors()
        self._watch = watch
        self._run = secrets.token_hex(8)
        self._stack = contextlib.ExitStack()
        self._seen: set[str] = set()
        self._is_lost = False
        self.retried = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_quiet())
            self._client = stack.enter_context(_connected(self._address, self._jobs))
            stack.callback(self._let_go)
            self._check()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """How many had a part so far."""
        return len(self._seen)

    def _let_go(self) -> None:
        """Leave no process on the workers."""
        with contextlib.suppress(Exception):
            if not self._is_lost:
                self._client.run(pools.close, self._run, on_error="ignore")

    def _check(self) -> None:
        """Raise UsageError where a worker has another version. Of one that comes later, its first
        task says so.
        """
        found = self._client.run(tasks.version, on_error="return")
        odd = {
            at: one if isinstance(one, str) else None
            for at, one in found.items()
            if one != __version__
        }
        if odd:
            raise UsageError(tasks.mismatch(__version__, odd))
        if not found:
            self._watch.say("the cluster has no worker yet: waiting for one")
        self._client.subscribe_topic("all", self._heard)

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """What the scheduler tells all: that a worker is gone, and with it some of our tasks."""
        about = event[1]
        if about.get("action") != "remove-worker":
            return
        lost = [*about.get("processing-tasks", ()), *about.get("lost-computed-tasks", ())]
        again = sum(isinstance(key, tuple) and key[0] == self._name for key in lost)
        self.retried += again
        if again:
            self._watch.say(f"lost worker {about.get('worker')}: {again} begun again")

    @property
    def _name(self) -> str:
        return f"inspect-{self._run}"

    def each(self, items: Iterable[Item], how: How) -> Generator[Came, None, None]:
        """What came of each, as it is done. Raises ClusterLost, UsageError, and what is of the
        original, or a bug.
        """
        from distributed import as_completed

        coming = largest_first(items)
        flight = _Flight(self._client)
        completed = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        try:
            while True:
                while flight.has_room:
                    item = next(coming, None)
                    if item is None:
                        break
                    self._submit(flight, completed, item, how)
                if not flight:
                    return
                for future, found in completed.next_batch():
                    item, tries = flight.landed(future)
                    came = self._came(item, found, how)
                    if came is not None:
                        yield came
                    elif tries < _UNFIT:
                        self._submit(flight, completed, item, how, tries + 1)
                    else:
                        raise UsageError(f"{found[3]}: {found[1].decode()}")
        finally:
            if flight and not self._is_lost:
                self._client.cancel(list(flight), force=True)

    def _submit(
        self, flight: _Flight, completed: as_completed, item: Item, how: How, tries: int = 1
    ) -> None:
        task = look_task(item.wanted, how.arguments)
        look = tasks.Look(
            run=self._run,
            tool=__version__,
            folder=os.getcwd(),
            paths=task.paths,
            arguments=task.arguments,
            limits=dataclasses.asdict(how.limits),
            nbytes=item.listed.nbytes,
        )
        future = self._client.submit(
            tasks.look_at,
            encode(look),
            Secret(filesystem.doors_of(task.paths)),
            key=(self._name, item.wanted.number, tries),
            pure=False,
        )
        flight.flies(future, item, tries)
        completed.add(future)

    def _came(self, item: Item, found: Any, how: How) -> Came | None:
        """None where that worker cannot look at anything. found: what the task gave, or raised."""
        if not isinstance(found, tuple) or len(found) != len(tasks.Answer._fields):
            return self._failed(item, found, how)
        answer = tasks.Answer._make(found)
        self._seen.add(answer.where)
        if answer.kind == "unfit":
            return None
        if answer.kind == "unseen" and listed(item.wanted.path).version is not None:
            raise UsageError(
                f"{answer.where} does not see {item.wanted.path}: local paths must lie on all"
                " workers alike; a URL can be read from anywhere"
            )
        error = _told(answer, item.wanted.path)
        looked = judged(item.wanted, error, how.limits, how.arguments["against"])
        return Came(item, looked, answer.seconds, lasts(looked))

    def _failed(self, item: Item, found: Any, how: How) -> Came:
        """What Dask says where there is no answer. Raises ClusterLost, or what is our bug."""
        from distributed import CancelledError, KilledWorker

        if isinstance(found, CancelledError):
            self._is_lost = self._client.status != "running"
            raise ClusterLost(
                f"{self._address}: the scheduler is gone"
                if self._is_lost
                else f"{self._address}: the scheduler took tasks back"
            )
        error = found[1] if isinstance(found, tuple) else found
        if not isinstance(error, KilledWorker):
            raise error
        many = error.allowed_failures + 1
        crash = Crashed(f"it ended {many} workers of the cluster in turn", item.wanted.path)
        return Came(item, judged(item.wanted, crash, how.limits), 0.0, lasts=False)


class _Flight:
    """The tasks that are somewhere on the cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._items: dict[Future[Any], tuple[Item, int]] = {}
        self._nbytes = 0
        self._threads = 1
        self._counted = float("-inf")

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Future[Any]]:
        return iter(self._items)

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        threads = self._count()
        some = len(self) < threads * _TASKS and self._nbytes < threads * _BYTES
        return some or len(self) < threads

    def _count(self) -> int:
        """Threads of all workers: they come and go."""
        now = time.monotonic()
        if now > self._counted + _COUNT_SECONDS:
            self._counted = now
            self._threads = max(sum(self._client.nthreads().values()), 1)
        return self._threads

    def flies(self, future: Future[Any], item: Item, tries: int) -> None:
        """It is on its way. tries: how often it was sent."""
        self._items[future] = item, tries
        self._nbytes += item.listed.nbytes

    def landed(self, future: Future[Any]) -> tuple[Item, int]:
        """It is back, and how often it was sent; the cluster need keep nothing of it."""
        item, tries = self._items.pop(future)
        self._nbytes -= item.listed.nbytes
        return item, tries


def _told(answer: tasks.Answer, path: str) -> Any:
    """What an answer says: Looked, None, or an exception."""
    if answer.kind == "unseen":
        return NotFound("there is nothing here any more", path)
    try:
        if answer.kind == "raised":
            return rebuilt(decode(answer.body, Raised), path)
        return decode(answer.body, _LOOKED)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        return Crashed("what read it sent an answer that cannot be read", path)


@contextlib.contextmanager
def _connected(address: str, jobs: int) -> Iterator[Client]:
    """A client of the cluster, which is closed in the end. Raises UsageError."""
    from distributed import Client

    with contextlib.ExitStack() as stack:
        where = stack.enter_context(_local(jobs)) if address == LOCAL else address
        try:
            client = Client(where, timeout=_CONNECT_SECONDS, set_as_default=False, name="inspect")
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise UsageError(f"--cluster {address}: {_first_line(error)}") from None
        stack.enter_context(client)
        if address == LOCAL:
            client.wait_for_workers(jobs)
        yield client


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def _local(jobs: int) -> Iterator[Any]:
    """A cluster of so many processes, that nobody else can reach but who is on this machine."""
    from distributed import LocalCluster

    # Ctrl-C is for this process: others of the terminal's group would each say what they think of
    # it. Threads that are started while it is blocked never take it, nor does what they start.
    multiprocessing.resource_tracker.ensure_running()  # unblocks it, otherwise
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="inspect-"))
            cluster = LocalCluster(
                n_workers=0,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                local_directory=folder,
                memory_limit=0,  # what reads has limits of its own
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        cluster.scale(jobs)
        yield cluster


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let what Dask logs here not come between our lines: what matters of it is said by us.

    Raises UsageError where it is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError(
            'distributed is not installed: pip install "tf-inspector[cluster]"'
        ) from None
    known = [name for name in logging.root.manager.loggerDict if name.startswith(_LOGGERS)]
    before = {name: logging.getLogger(name).level for name in known}
    for name in known:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
