"""The program that the parent starts: harness.py REQUEST ANSWER, both paths of JSON files.

REQUEST: {"memory": bytes, "seconds": number, "jobs": [{"steps": [{"script", "path", "options"}]}]}.
ANSWER: {"python", "versions", "results": [one a job]}; a result is what its steps gave, put
together, with "error" where one of them failed, or {"missing": module, "error"} where that is
because this Python has not got what it takes, or {"memory": true, "error"} past the memory limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import signal
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))

# Address space past what a process may allocate: TensorFlow maps its libraries (2 GiB) and files.
MAPPED = 8 << 30

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# What a Python must have installed; whatever else cannot be imported is the artifact's own trouble.
NEEDED = (
    "tensorflow",
    "tf_keras",
    "keras",
    "tensorflow_model_optimization",
    "ai_edge_litert",
    "tflite_runtime",
    "numpy",
)
PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "tf_keras": ("tf_keras", "tf-keras"),
    "keras": ("keras",),
    "tensorflow_model_optimization": ("tensorflow-model-optimization",),
    "ai_edge_litert": ("ai-edge-litert",),
    "tflite_runtime": ("tflite-runtime",),
}
LONGEST = 600  # characters of an error
FRAMES = ("Graph execution error", "Detected at node", " ", "\t", "Original stack trace")


def restrain(memory: int, seconds: float) -> None:
    """Take limits on before anything is loaded: the file decides what is allocated from then on.

    RLIMIT_DATA is what this process allocates (on Linux, private mappings too); RLIMIT_AS counts
    what is mapped as well, and is all that some systems have. No core is dumped. The parent keeps
    the time; should it be no more, Linux ends this process with it, and elsewhere the alarm does,
    whose default action ends even a process that is busy in C.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(seconds) + 10)
    try:
        import resource
    except ImportError:  # not a Unix
        return
    for name, most in (
        ("RLIMIT_DATA", memory),
        ("RLIMIT_AS", memory + MAPPED),
        ("RLIMIT_CORE", 0),
    ):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(number, (least, least))


def load(name: str) -> Any:
    """One of the scripts beside this one, as a module."""
    path = os.path.join(HERE, name + ".py")
    spec = importlib.util.spec_from_file_location("inspect_live_" + name, path)
    if spec is None or spec.loader is None:
        raise ImportError("there is no script " + name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_line(error: BaseException) -> str:
    """An exception's own words in one line, behind the name of its class.

    TensorFlow puts the frames in front that made a graph's node, and the node behind.
    """
    message = getattr(error, "message", None)
    lines = (message if isinstance(message, str) else str(error)).splitlines()
    if lines and lines[0].startswith("Graph execution error"):
        lines = [line for line in lines if not line.startswith(FRAMES)] or lines
    text = " ".join(" ".join(lines).split())
    name = type(error).__name__
    said = (name + ": " + text) if text else name
    half = LONGEST // 2  # Keras quotes whole configs, and says at the end what was wrong
    return said if len(said) <= LONGEST else said[:half] + "…" + said[-half:]


def versions() -> dict[str, str]:
    """Of the packages that were used."""
    try:
        from importlib import metadata
    except ImportError:
        return {}
    found: dict[str, str] = {}
    for module, names in PACKAGES.items():
        for name in names if module in sys.modules else ():
            with contextlib.suppress(metadata.PackageNotFoundError):
                found.setdefault(module, metadata.version(name))
    return found


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """What the steps of one job gave, put together. What a later one gives counts."""
    result: dict[str, Any] = {}
    for step in job["steps"]:
        try:
            part = load(step["script"]).counts(step["path"], step["options"])
        except ModuleNotFoundError as error:
            module = (error.name or "").partition(".")[0]
            if module in NEEDED:
                return {"missing": module, "error": one_line(error)}
            return {**result, "error": one_line(error)}
        except MemoryError as error:
            return {"memory": True, "error": one_line(error)}
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            exhausted = type(error).__name__ == "ResourceExhaustedError"
            return {**result, "error": one_line(error), **({"memory": True} if exhausted else {})}
        for key, value in part.items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                result[key].update(value)
            elif key not in result or value is not None:
                result[key] = value
    return result


def main() -> None:
    """Answer every job of the request."""
    request_path, answer_path = sys.argv[1:3]
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    restrain(request["memory"], request["seconds"])
    # The scripts' own folder is no place to import from: their names are not packages' names.
    sys.path[:] = [one for one in sys.path if one and os.path.abspath(one) != HERE]
    results = [answer(job) for job in request["jobs"]]
    said = {"python": sys.version.split()[0], "versions": versions(), "results": results}
    with open(answer_path + ".part", "w", encoding="utf-8") as file:
        json.dump(said, file)
    os.replace(answer_path + ".part", answer_path)
    # What TensorFlow does when it is torn down is of no interest any more.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
