"""Where interpreters, tools and inputs are, and a command's words with them in their places."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.nouns import Input, Row

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Counted up when `inputs.py` or `inputs_live.py` make something else by the same name.
VERSION = 1
_CALLED = {"live": "TensorFlow", "netron": "Netron"}
_DEBIAN = ("h5ls", "h5dump", "h5diff", "node")
# What TensorFlow logs before it can be told not to.
_LOGGED = re.compile(r"[IWEF]\d{4} |WARNING: All log messages|To enable the following")
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}


class NotHere(Exception):
    """What a command needs is not installed, or could not be made. Its text says what."""


@dataclass(frozen=True)
class Places:
    """known: name -> words that call a tool; inputs: the folder of inputs."""

    known: Mapping[str, Sequence[str]]
    inputs: str
    failed: dict[Input, str] = field(default_factory=dict)

    def command(self, row: Row, of: Sequence[Input]) -> list[str]:
        """The words of a command. Raises NotHere."""
        chosen = of if row.inputs is None else row.inputs
        words: list[str] = []
        for word in row.command:
            if word.startswith("@"):
                for one in chosen:
                    self.make(one)
                    words += _given(self._path(one), word[1:])
            elif word.startswith("{"):
                name = word.strip("{}")
                if name not in self.known:
                    raise NotHere(f"{_CALLED.get(name, name)} is not installed")
                words += self.known[name]
            else:
                words.append(word)
        return words

    def files(self, of: Iterable[Input]) -> list[str]:
        """All files of some inputs that were made."""
        return [
            file
            for one in of
            if one not in self.failed
            for file in _given(self._path(one), "files")
        ]

    def make(self, one: Input) -> None:
        """Have an input made where it is not there yet. Raises NotHere."""
        if one in self.failed:
            raise NotHere(self.failed[one])
        folder = self._folder(one)
        if os.path.isdir(folder):
            return
        name = "live" if one.live else "python"
        if name not in self.known:
            raise NotHere("its input is made with TensorFlow, which is not installed")
        unfinished = f"{folder}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        os.makedirs(unfinished)
        script = HERE / ("inputs_live.py" if one.live else "inputs.py")
        words = [*self.known[name], str(script), one.maker, str(one.size), unfinished]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            self.failed[one] = f"its input could not be made: {reason(done.stderr)}"
            raise NotHere(self.failed[one])
        os.rename(unfinished, folder)
        os.sync()  # so that nothing is still being written while it is measured

    def _folder(self, one: Input) -> str:
        return os.path.join(self.inputs, f"{one.name}-v{VERSION}")

    def _path(self, one: Input) -> str:
        return os.path.join(self._folder(one), one.maker)


def _given(path: str, how: str) -> list[str]:
    """The words for an input: `path`, `main` or `files`. A pair is two of each."""
    files = _files(path)
    if os.path.basename(path).startswith("pair-"):
        return files
    if how == "files":
        return files
    if how == "path":
        return [path]
    main = [one for one in files if one.endswith(("saved_model.pb", ".index"))]
    return main or files


def _files(path: str) -> list[str]:
    """The files of an artifact that is a file, a folder, or the prefix of a checkpoint."""
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return sorted(str(one) for one in Path(path).rglob("*") if one.is_file())
    return sorted(str(one) for one in Path(path).parent.glob(f"{Path(path).name}.*"))


def environment() -> dict[str, str]:
    """The environment of every command: no terminal, few words, modules compiled once."""
    return {**os.environ, **_QUIET, "PYTHONDONTWRITEBYTECODE": ""}


def reason(stderr: str) -> str:
    """What a failed program said, in one short line without a path of this machine."""
    lines = [one.strip() for one in stderr.splitlines() if one.strip()]
    lines = [one for one in lines if not _LOGGED.match(one)]
    errors = [one for one in lines if re.match(r"[\w.]*(?:Error|Exception)\b", one)]
    said = (errors or lines or ["nothing on stderr"])[-1]
    said = re.sub(r"(?:/[^\s/'\":]+)+/", "", said)
    return said if len(said) <= 120 else said[:119] + "…"


def find(inputs: str, live: str, scanners: str) -> Places:
    """Look where things are. inputs: folder of inputs; live, scanners: folders of environments."""
    known: dict[str, list[str]] = {
        "python": [sys.executable],
        "inspect": [sys.executable, "-m", "inspector"],
        "rivals": [str(HERE / "rivals.py")],
        "sample": [str(ROOT / "sample_models" / "pruned.h5")],
        "netron_script": [str(HERE / "netron.mjs")],
    }
    wanted = {
        "inspect": Path(sys.executable).parent / "inspect",
        "live": Path(live, "bin", "python"),
        "saved_model_cli": Path(live, "bin", "saved_model_cli"),
        "modelscan": Path(scanners, "modelscan", "bin", "modelscan"),
        **{name: Path(shutil.which(name) or "") for name in _DEBIAN},
    }
    known |= {name: [os.path.abspath(one)] for name, one in wanted.items() if one.is_file()}
    netron = sorted(Path(scanners, "netron").glob("lib/python3*/site-packages/netron"))
    known |= [("netron", [str(one.resolve())]) for one in netron]
    return Places(known, os.path.abspath(inputs))
