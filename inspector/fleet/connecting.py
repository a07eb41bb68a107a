"""A client of a Dask cluster, or a cluster of this machine, gone in the end; Dask kept silent."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.resource_tracker
import signal
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inspector.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
_LOGGERS = ("distributed", "tornado", "asyncio")
_CONNECT_SECONDS = 10.0
_START_SECONDS = 60.0  # that workers of this machine get, on a busy one


@contextlib.contextmanager
def connected(address: str | Client, jobs: int) -> Iterator[Client]:
    """A client of the cluster, which is closed in the end. One that is given is taken as it is, and
    left open. Raises UsageError.
    """
    from distributed import Client

    if isinstance(address, Client):
        yield address
        return
    with contextlib.ExitStack() as stack:
        _check(address)
        where = stack.enter_context(_local(jobs)) if address == LOCAL else address
        try:
            client = Client(where, timeout=_CONNECT_SECONDS, set_as_default=False, name="inspect")
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise UsageError(f"--cluster {address}: {_first_line(error)}") from None
        stack.enter_context(client)
        if address == LOCAL:
            _wait(client, jobs)
        yield client


def _wait(client: Client, jobs: int) -> None:
    try:
        client.wait_for_workers(jobs, timeout=_START_SECONDS)
    except TimeoutError:
        raise UsageError(
            f"--cluster {LOCAL}: its workers do not start within {_START_SECONDS:.0f} seconds; a"
            " program that starts them does so below `if __name__ == '__main__':`"
        ) from None


def _check(address: str) -> None:
    """Raise UsageError for what a client of Dask's would try in vain, and long."""
    from distributed import Security
    from distributed.comm.addressing import get_address_host_port

    scheme = address.partition("://")[0]
    if scheme == "gateway":
        raise UsageError(
            f"--cluster {address}: a gateway takes its own clients alone: from Python,"
            " inspector.fleet.run.audit(..., cluster=cluster.get_client())"
        )
    try:
        if address != LOCAL:
            get_address_host_port(address)
    except ValueError as error:
        raise UsageError(
            f"--cluster {address}: {_first_line(error)}; it is tcp://HOST:PORT or local"
        ) from None
    if scheme == "tls" and Security().get_connection_args("client")["ssl_context"] is None:
        names = ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
        raise UsageError(
            f"--cluster {address}: TLS needs certificates, which Dask takes from its configuration"
            f" or from {', '.join(f'DASK_DISTRIBUTED__COMM__TLS__{name}' for name in names)}"
        )


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
def quiet() -> Iterator[None]:
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
