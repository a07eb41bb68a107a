"""One script in another Python: started apart, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

from inspector.errors import LiveUnavailable

VARIABLE = "INSPECT_LIVE_PYTHON"

_ANSWER_BYTES = 256 << 20  # some hundred bytes a tensor: millions of tensors
_KEPT = 64 << 10  # of stderr: the last words of a process
_PATIENCE = 5.0  # seconds that a process gets to go once it is killed

# TensorFlow's own switches: quiet, no GPU, no thread pool a core (each reserves memory), Keras 3 on
# TensorFlow. faulthandler has a crash say what it was.
_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "KERAS_BACKEND": "tensorflow",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONWARNINGS": "ignore",
    "PYTHONIOENCODING": "utf-8",
}

_LAST_WORDS = re.compile(
    r"terminate called|what\(\):|Fatal Python error|Check failed|\w*(?:Error|Exception)\b|error:"
)
_STARVED = re.compile(
    r"bad_alloc|MemoryError|[Cc]annot allocate memory|[Mm]emory allocation|ResourceExhausted"
    r"|[Oo]ut of memory|can't start new thread|failed to map segment"
)


class Died(Exception):
    """The process gave no answer.

    late: it was stopped, for its time was up; starved: it ran out of memory; reason: in one line.
    """

    def __init__(self, reason: str, *, late: bool = False, starved: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.late = late
        self.starved = starved


def find_python(wanted: str | None = None, variables: Mapping[str, str] = os.environ) -> str:
    """The Python to ask: as wanted, else as $INSPECT_LIVE_PYTHON says, else the one that runs this.

    A folder stands for the environment in it. Raises LiveUnavailable where there is none.
    """
    named = wanted or variables.get(VARIABLE) or sys.executable
    if os.path.isdir(named):
        inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        named = os.path.join(named, *inside)
    found = shutil.which(named)
    if not found:
        raise LiveUnavailable(f"there is no Python at {named!r}; --live-python PATH names one")
    # Not its real path: an environment is told from the link that starts it.
    return os.path.abspath(found)


def run_script(
    python: str, script: str, request: Mapping[str, Any], folder: str, timeout: float
) -> object:
    """Run `python script REQUEST ANSWER` and return the JSON that it wrote to ANSWER.

    folder: an empty one of its own, where it is started and puts what it makes. timeout: seconds.
    Its stdout is closed and its stderr read for the last words only. It leads a session of its
    own, and whatever is still in that is killed in the end. Raises Died where there is no JSON,
    LiveUnavailable where it cannot be started.
    """
    asked, answer = os.path.join(folder, "request.json"), os.path.join(folder, "answer.json")
    with open(asked, "w", encoding="utf-8") as file:
        json.dump(request, file)
    try:
        process = subprocess.Popen(  # noqa: S603 - the Python that the user named
            [python, script, asked, answer],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **_SETTINGS, "TMPDIR": folder, "KERAS_HOME": folder},
            start_new_session=True,
        )
    except OSError as error:
        raise LiveUnavailable(f"{python} cannot be started: {error.strerror}") from error
    with _watched(process) as last_words:
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Died("its time was up", late=True) from None
    if os.path.isfile(answer) and os.path.getsize(answer) <= _ANSWER_BYTES:
        with open(answer, "rb") as answered, contextlib.suppress(ValueError, RecursionError):
            return json.loads(answered.read())
    said = last_words.text()
    raise Died(_reason(code, said), starved=bool(_STARVED.search(said)))


class _LastWords:
    """The end of a stream, read as it comes so that nobody waits for it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), _KEPT):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def text(self) -> str:
        """What was said last."""
        return self._kept.decode("utf-8", "replace")

    def finish(self) -> None:
        """Wait until all is read, for a while."""
        self._thread.join(_PATIENCE)
        if not self._thread.is_alive():
            self._stream.close()


@contextlib.contextmanager
def _watched(process: subprocess.Popen[bytes]) -> Iterator[_LastWords]:
    """The process, and whatever it started, are gone when this is left."""
    if process.stderr is None:
        raise ValueError("stderr must be a pipe")
    words = _LastWords(process.stderr)
    try:
        yield words
    finally:
        _end(process)
        words.finish()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the session that the process leads; it has no other members than what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)


def _reason(code: int, said: str) -> str:
    """In one line: how it ended, and the last thing it said that looks like an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _LAST_WORDS.search(line)]
    word = (telling or lines or [""])[-1]
    how = f"exit code {code}"
    if code < 0:
        try:
            how = signal.Signals(-code).name
        except ValueError:
            how = f"signal {-code}"
    return f"{how}: {word}" if word else how
