"""One script in another Python: started apart, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from inspector.errors import LiveUnavailable
from inspector.process import is_starved, reason, watched

VARIABLE = "INSPECT_LIVE_PYTHON"

_ANSWER_BYTES = 256 << 20  # some hundred bytes a tensor: millions of tensors

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
    with watched(process) as last_words:
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Died("its time was up", late=True) from None
    if os.path.isfile(answer) and os.path.getsize(answer) <= _ANSWER_BYTES:
        with open(answer, "rb") as answered, contextlib.suppress(ValueError, RecursionError):
            return json.loads(answered.read())
    said = last_words.text()
    raise Died(reason(code, said), starved=is_starved(said))
