"""Processes to read artifacts in, kept between the tasks of a cluster's worker.

Each thread of the worker has its own for each run. They end with the run (`close`), and with the
worker however it goes: what they are forked from reads the end of a pipe that it holds.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from inspector.isolation import Workers
from inspector.limits import Limits


@dataclass(slots=True)
class _Pool:
    """is_closing: nobody takes it any more; whoever is at work in it closes it."""

    workers: Workers
    is_busy: bool = False
    is_closing: bool = False

    def close(self) -> None:
        self.workers.__exit__()


_lock = threading.Lock()
_pools: dict[tuple[str, int], _Pool] = {}


@contextlib.contextmanager
def mine(run: str, limits: Limits) -> Iterator[Workers]:
    """This thread's workers for a run, whose limits are these. What fails in them ends them."""
    key = run, threading.get_ident()
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = _Pool(Workers(limits).__enter__())
        pool.is_busy = True
    try:
        yield pool.workers
    except BaseException:
        pool.is_closing = True
        raise
    finally:
        with _lock:
            pool.is_busy = False
            if pool.is_closing:
                _pools.pop(key, None)
        if pool.is_closing:
            pool.close()


def close(run: str) -> None:
    """End those of a run, and what is at work in them now."""
    with _lock:
        ours = [key for key in _pools if key[0] == run]
        busy = [_pools[key] for key in ours if _pools[key].is_busy]
        idle = [_pools.pop(key) for key in ours if not _pools[key].is_busy]
        for pool in busy:
            pool.is_closing = True  # by the thread that is at work in it
            pool.workers.stop()
    for pool in idle:
        pool.close()
