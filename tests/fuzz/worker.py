"""libFuzzer in a process of its own, forked from one that has instrumented the package once."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pkgutil
import random
import sys
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

import atheris

# It names each module on stderr.
with (
    contextlib.redirect_stderr(io.StringIO()),
    atheris.instrument_imports(include=["inspector"]),
):
    import inspector

    # Programs of their own, and what needs TensorFlow or a terminal.
    LEFT_OUT = ("inspector.live.scripts", "inspector.__main__", "inspector.browse")
    for module in pkgutil.walk_packages(inspector.__path__, "inspector."):
        if not module.name.startswith(LEFT_OUT):
            importlib.import_module(module.name)

# Behind the above, for these import what is to be instrumented.
from tests.fuzz.clock import bounded
from tests.fuzz.exercise import SECONDS, Fault
from tests.fuzz.lies import lie
from tests.fuzz.replay import signature
from tests.fuzz.targets import Case, case

SLOW = 2 * SECONDS  # of the processor: what is instrumented takes twice as long


def mutate(data: bytes, largest: int, seed: int) -> bytes:
    """Half of all inputs are lies, the other half is left to libFuzzer."""
    rng = random.Random(seed)
    if data and rng.randrange(2):
        changed = lie(data, rng, trusted=False)
        if 0 < len(changed) <= largest:
            return changed
    changed: bytes = atheris.Mutate(data, largest)
    return changed


def fuzz(target: str, known: set[str], log: str, arguments: Sequence[str]) -> int:
    """Fuzz a target until libFuzzer ends; the exit code, negative for a signal.

    known: faults that do not stop it; log: the file that takes what it says; arguments: its own.
    """
    # libFuzzer leaves without a word: what is to be taken away is ours.
    with case(target) as held:
        child = os.fork()
        if not child:
            _child(held, known, log, [target, *arguments])
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _child(held: Case, known: set[str], log: str, arguments: Sequence[str]) -> NoReturn:
    with open(log, "wb", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    bounded()

    def once(data: bytes) -> None:
        began = time.process_time()
        try:
            held.attempt(data)
            if time.process_time() - began > SLOW:
                raise Fault("took longer than it may")
        except Exception:
            if signature(traceback.format_exc(), 3) not in known:
                raise

    atheris.Setup([*arguments], once, custom_mutator=mutate)
    atheris.Fuzz()
    sys.stdout.flush()
    os._exit(0)
