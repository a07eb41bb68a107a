"""Ctrl-C while results are written: taken where nothing can be cut in two.

The first one ends the wait for what is being done, and no more. The second ends whatever goes on.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Whether Ctrl-C was pressed. A context manager that takes it over while it lasts, in the main
    thread; in others KeyboardInterrupt never comes.
    """

    def __init__(self) -> None:
        self.asked = False
        self._is_waiting = False

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take Ctrl-C over."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Let Ctrl-C raise KeyboardInterrupt inside, and one that came before it now."""
        self._is_waiting = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_waiting = False

    def _ask(self, *_: int | FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or self._is_waiting:
            raise KeyboardInterrupt
