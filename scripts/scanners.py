"""Scanners of model files, called as a person calls them, and what they say of each artifact."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders.attacks_common import Attack

SECONDS = 120  # that a scanner may take for one artifact
_ALARMS = ("warning", "error")
# What the other scanners are kept from: sending reports of their use, and looking models up.
_QUIET = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Said:
    """What a scanner said of an artifact: alarms at warning or above, the worst first.

    failed: why there is no answer, "" where there is one.
    """

    alarms: tuple[str, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Made:
    """An artifact: its row in a table of tests/builders, and where it was written."""

    of: Attack
    folder: str
    path: str

    @property
    def given(self) -> str:
        """What a scanner is given: a checkpoint's prefix is no file, so its folder is."""
        return self.path if os.path.exists(self.path) else self.folder


@dataclass(frozen=True)
class Scanner:
    """A scanner. command: how it is called for some paths, `report` being a file that it may write;
    read: what its JSON says of one of them; told_in_file: it writes the JSON there. batch: for how
    many it is called at once.
    """

    name: str
    command: Callable[[Sequence[str], str], Sequence[str]]
    read: Callable[[Any, Made], Said]
    told_in_file: bool = False
    batch: int = 40


def scan(scanner: Scanner, artifacts: Sequence[Made]) -> list[Said]:
    """What a scanner says of each of some artifacts.

    It is run for many at once; where that gives no answer, for each alone, to see which it was.
    """
    starts = range(0, len(artifacts), scanner.batch)
    batches = [artifacts[at : at + scanner.batch] for at in starts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda one: _scan_batch(scanner, one), batches)
        return [said for batch in found for said in batch]


def _scan_batch(scanner: Scanner, artifacts: Sequence[Made]) -> list[Said]:
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        command = scanner.command([one.given for one in artifacts], report)
        failed, told = "", None
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **_QUIET},
                capture_output=True,
                text=True,
                timeout=SECONDS * len(artifacts),
                check=False,
            )
            failed = f"crashed (exit code {done.returncode})"
            text = Path(report).read_text("utf-8") if scanner.told_in_file else done.stdout
            told = json.loads(text)
        except subprocess.TimeoutExpired:
            failed = f"no answer in {SECONDS} s"
        except (OSError, ValueError):
            pass
    if told is not None:
        return [scanner.read(told, one) for one in artifacts]
    if len(artifacts) == 1:
        return [Said(failed=failed)]
    return [said for one in artifacts for said in _scan_batch(scanner, [one])]


def _within(path: str, made: Made) -> bool:
    return path.startswith((made.folder + os.sep, made.folder + ":")) or path == made.folder


def _inspect(paths: Sequence[str], _: str) -> Sequence[str]:
    return (sys.executable, "-m", "inspector", "audit", "--format", "json", *paths)


def _read_inspect(report: Any, made: Made) -> Said:
    about = [one for one in report["findings"] if _within(one["path"], made)]
    found = [one["code"] for one in about if one["severity"] in _ALARMS]
    return Said(tuple(dict.fromkeys(found)))


_MODELAUDIT = ("debug", "info", "warning", "critical")


def _read_modelaudit(report: Any, made: Made) -> Said:
    issues = [
        one
        for one in report["issues"]
        if _MODELAUDIT.index(one["severity"]) >= _MODELAUDIT.index("warning")
        and _within(str(one["location"]), made)
    ]
    issues.sort(key=lambda one: -_MODELAUDIT.index(one["severity"]))
    alarms = tuple(_plain(f"{one['severity']}: {one['message']}", made) for one in issues)
    files = report["file_metadata"].items()
    unsure = any(_within(path, made) and one.get("scan_outcome") for path, one in files)
    return Said(alarms, "inconclusive" if unsure and not alarms else "")


_MODELSCAN = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


def _read_modelscan(report: Any, made: Made) -> Said:
    above = report["summary"]["absolute_path"]

    def about(one: Any) -> bool:
        return _within(os.path.join(above, str(one.get("source", ""))), made)

    issues = [one for one in report["issues"] if about(one) and one["severity"] != "LOW"]
    issues.sort(key=lambda one: -_MODELSCAN.index(one["severity"]))
    alarms = tuple(_plain(f"{one['severity']}: {one['description']}", made) for one in issues)
    failed = next((str(one["category"]) for one in report["errors"] if about(one)), "")
    return Said(alarms, "" if alarms or not failed else f"error {failed}")


def scanners(folder: str) -> tuple[Scanner, ...]:
    audit = os.path.join(folder, "modelaudit", "bin", "modelaudit")
    scan_ = os.path.join(folder, "modelscan", "bin", "modelscan")
    return (
        Scanner("this audit", _inspect, _read_inspect),
        Scanner(
            "modelaudit",
            lambda paths, _: (audit, "scan", "--format", "json", "--no-cache", *paths),
            _read_modelaudit,
        ),
        Scanner(
            "modelscan",
            # It takes one path, and looks at each file of a folder by itself: one of a group.
            lambda paths, report: (scan_, "-p", _above(paths), "-r", "json", "-o", report),
            _read_modelscan,
            told_in_file=True,
            batch=1_000_000,
        ),
    )


def _above(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else os.path.commonpath(paths)


def _plain(message: str, made: Made) -> str:
    """A message in one line, without the folder of the artifact."""
    text = message.replace(made.folder + os.sep, "").replace(made.folder, "")
    return re.sub(r"\s+", " ", text).strip()
