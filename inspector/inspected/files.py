"""The files of an artifact that was read: open only while somebody reads values."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType

from inspector.limits import Limits
from inspector.model import Artifact
from inspector.read import read
from inspector.storage import noting


class Files:
    """An artifact, and the files that its values are in.

    They are closed again once the structure is read. Whoever reads values opens them meanwhile;
    threads may do so side by side. That they are still what was read is asked whenever they are
    opened and closed.

    Raises what `read` raises, and Changed where a file became another one while it was read.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        with noting() as noted:
            opened = read(path, limits)
        self._opened = opened  # what it holds would be closed with it
        self._files = [file for file in noted if not file.closed]
        self._lock = threading.Lock()
        self._readers = 1
        self._kept = False
        self.leave(None, None, None)

    @property
    def artifact(self) -> Artifact:
        """The artifact; its values can be read while the files are open."""
        return self._opened.artifact

    @contextlib.contextmanager
    def reading(self) -> Iterator[Artifact]:
        """Have the files open inside. Raises Changed where one is not what it was."""
        self.enter()
        with contextlib.ExitStack() as stack:
            stack.push(self.leave)
            yield self.artifact

    def enter(self) -> None:
        """Open the files, unless they are, until `leave`. Raises Changed."""
        with self._lock:
            self._open()
            self._readers += 1

    def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files if nobody else needs them. Raises Changed, in place of an ArtifactError
        too, for which that is the reason.
        """
        with self._lock:
            self._readers -= 1
            if self._readers or self._kept:
                if kind is None:
                    for file in self._files:
                        file.check()
                return
            with contextlib.ExitStack() as stack:
                for file in self._files:
                    stack.push(file)
                stack.__exit__(kind, error, trace)

    def leave_all(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The same at the end of a `with`, for which they need be kept no longer, either."""
        with self._lock:
            self._kept = False
        self.leave(kind, error, trace)

    def keep(self) -> None:
        """Have the files open until they are let go. Raises Changed."""
        with self._lock:
            self._open()
            self._kept = True

    def let_go(self) -> None:
        """Keep them open no longer than somebody reads."""
        with self._lock:
            self._kept = False
            if not self._readers:
                self._close()

    def _open(self) -> None:
        try:
            for file in self._files:
                file.reopen()
        except BaseException:
            if not self._readers and not self._kept:
                self._close()
            raise

    def _close(self) -> None:
        for file in self._files:
            file.close()
