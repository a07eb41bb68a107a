"""Garbage is not collected while h5py may wait for bytes, or it might wait for ever.

h5py holds a lock while it is in libhdf5, also while libhdf5 asks our file object for bytes, and it
takes the same lock to let go of an object. Bytes from a storage come through threads of its
library. Where such a thread comes to collect garbage, and an object of h5py is in it, it waits for
the lock, and who holds the lock waits for the thread.
Source: h5py's documentation, "File Objects", on service threads behind a file-like object.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

_MOST = 5.0  # seconds that a collection which has begun is waited for
_LOOK = 0.001


class _Collecting:
    """Which thread collects now, and how many are in `put_off`."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self._users = 0
        self._was_on = False
        self._lock = threading.RLock()  # whoever is inside may come to collect, and so come again
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _: Any) -> None:
        self.thread = threading.get_ident() if phase == "start" else None

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                self._was_on = gc.isenabled()
                gc.disable()
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._was_on:
                gc.enable()


_collecting = _Collecting()


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Within it nothing is collected by itself, in any thread. To be begun without h5py's lock."""
    _collecting.begin()
    try:
        until = time.monotonic() + _MOST
        while _collecting.thread not in (None, threading.get_ident()) and time.monotonic() < until:
            time.sleep(_LOOK)
        yield
    finally:
        _collecting.end()
