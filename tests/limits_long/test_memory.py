"""The worst case of each format and command just under the limits: what it takes at its peak.

Files of some ten MiB each, made and read in about a quarter of an hour: `make test-limits-long`.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.limits import DEFAULT, MIB
from tests.builders import large
from tests.test_limits import attributes, deflated, wide_config

# MiB over what an idle process takes that has imported the same; of a comparison, for each side.
PROMISED = 256
TENSORS = DEFAULT.tensors * 99 // 100 // 4 * 4
# Imports everything, runs a command, and says how much more than that it took at its peak.
CHILD = """
import contextlib, gc, importlib, json, os, pkgutil, re, sys
import h5py, ml_dtypes
import inspector
from inspector.cli import run

for module in pkgutil.walk_packages(inspector.__path__, "inspector."):
    if "live.scripts" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)

def kib(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

gc.set_threshold(200_000)  # as the command does
before, out = kib("VmRSS"), os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
code = run(sys.argv[1:])
sys.stdout.flush()
os.write(out, json.dumps([(kib("VmHWM") - before) / 1024, code]).encode())
"""


def peak(*arguments: str) -> tuple[float, int, str]:
    """(MiB at the peak, exit code, what was said on stderr) of a command."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True
    )
    taken, code = json.loads(done.stdout)
    return taken, code, done.stderr


Maker = Callable[[Path], Path]


def of(make: Callable[..., Path], *how: int) -> Maker:
    return lambda folder: make(folder, *how)


MAKERS: dict[str, Maker] = {
    ".weights.h5": of(large.v3_weights, TENSORS),
    ".weights.h5, long names": of(large.v3_weights, TENSORS, 100),
    ".h5 with config": of(large.legacy, TENSORS),
    ".keras": of(large.keras, TENSORS),
    ".keras with npz": of(large.keras_npz, 24_000),
    "config of small values": of(wide_config, DEFAULT.config_values * 99 // 100),
    "attributes of HDF5": lambda folder: attributes(folder, 500, DEFAULT.attribute_bytes * 9 // 10),
    "deflated weights": of(deflated, 300 * MIB),
    "pickle opcodes": of(large.opcodes, DEFAULT.pickle_opcodes - 10),
    "texts in a pickle": of(large.objects_npz, DEFAULT.pickle_opcodes // 4 - 1000),
    "vocabulary in a config": of(large.vocabulary_config, DEFAULT.config_values - 1000),
    "vocabulary in a member": of(large.vocabulary_member, 1_400_000),
    "vocabulary as an asset": of(large.vocabulary_asset, 1_000_000),
    "vocabulary of strings": of(large.vocabulary_strings, 1_000_000),
    "checkpoint": of(large.checkpoint, TENSORS),
    "checkpoint, long names": of(large.checkpoint, TENSORS, 150),
    "checkpoint without objects": of(large.plain_checkpoint, TENSORS, 200),
    "slots": of(large.slots, DEFAULT.nodes),
    "children": of(large.children, DEFAULT.nodes),
    "objects": of(large.many_objects, DEFAULT.nodes),
    "SavedModel": of(large.saved_model, TENSORS),
    "SavedModel, long names": of(large.saved_model, TENSORS, 90),
    "constants": of(large.constants, TENSORS, 200),
    "constants that are read": of(large.read_constants, TENSORS, 200),
    "nodes": of(large.chain, DEFAULT.nodes - 1000),
    "too many nodes": of(large.chain, DEFAULT.nodes * 11 // 10),
    "attributes": of(large.attributed, DEFAULT.nodes - 1000),
    "functions": of(large.functions, 120_000),
    "uses": of(large.uses, DEFAULT.uses - 1000),
    "graph as text": of(large.text_graph, DEFAULT.text_bytes - MIB),
    "numbers as text": of(large.text_constant, DEFAULT.text_bytes - MIB),
    "bytes as text": of(large.text_content, DEFAULT.text_bytes - MIB),
    "LiteRT": of(large.flatbuffer, TENSORS, 200),
    "LiteRT operators": of(large.operators, 240_000),
}
# Each is read, or refused by a limit; in either case it keeps to the memory.
READ = 0, 1
REFUSED = 2


@functools.cache
def _made(root: Path, name: str) -> Path:
    folder = root / "made"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return MAKERS[name](folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("large")


@pytest.mark.parametrize("name", MAKERS)
def test_whatever_a_file_is_made_of_reading_it_keeps_to_the_memory(root, name, record_property):
    taken, code, said = peak("show", str(_made(root, name)), "--format", "json")
    record_property("MiB", round(taken))
    print(f"{name}: {taken:.0f} MiB, exit code {code} {said.strip()}")
    assert code in READ or (code == REFUSED and "--limit " in said)
    assert taken < PROMISED


COMMANDS = {
    "a row a tensor": ("show", "{0}", "--tensors"),
    "Markdown": ("show", "{0}", "--tensors", "--format", "markdown"),
    "CSV": ("show", "{0}", "--tensors", "--format", "csv"),
    "one tensor": ("explain", "{0}", "layer_00005/gamma"),
    "audit": ("audit", "{0}", "--no-isolate"),
    "audit as JSON": ("audit", "{0}", "--no-isolate", "--format", "json"),
    "nothing changed": ("diff", "{0}", "{0}"),
    "a saved report": ("diff", "{1}", "{0}"),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of 65,000 tensors, and a report of it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    path = large.plain_checkpoint(folder, 65_000)
    report = folder / "saved.json"
    subprocess.run(
        [sys.executable, "-m", "inspector", "show", path, "--digest", "--format", "json"],
        stdout=report.open("wb"),
        check=True,
    )
    return str(path), str(report)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_keeps_to_the_memory_with_65000_tensors(checkpoint, name):
    arguments = [one.format(*checkpoint) for one in COMMANDS[name]]
    taken, code, said = peak(*arguments)
    print(f"{name}: {taken:.0f} MiB, exit code {code} {said.strip()}")
    assert code in READ
    assert taken < PROMISED * (2 if arguments[0] == "diff" else 1)
