"""Pages as the command writes them, each made once in a process."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np

from tests.builders import samples
from tests.builders.hdf5 import sequential, whole_model
from tests.builders.terminal import call

# What the tests look at: name of the page -> command and artifacts.
PAGES = {
    "pruned": ("show", "pruned.h5"),
    "convnet": ("show", "pruned_convnet.h5"),
    "keras": ("show", "pruned.keras"),
    "saved model": ("show", "saved_adam"),
    "tflite": ("show", "lite_int8.tflite"),
    "checkpoint": ("show", "ckpt_adam"),
    "several": ("show", "pruned.h5", "stripped.h5"),
    "diff": ("diff", "pruned.h5", "stripped.h5"),
    "diff converted": ("diff", "lite_float.tflite", "lite_int8.tflite"),
    "reconcile": ("reconcile", "pruned.h5", "stripped.h5"),
    "reconcile alone": ("reconcile", "pruned.h5"),
    "audit": ("audit", "pruned.h5"),
    "audit clean": ("audit", "stripped.h5"),
}
SHOWN = [name for name, (command, *_) in PAGES.items() if command == "show"]


@functools.cache
def page(name: str) -> str:
    """The page of that name in PAGES."""
    command, *artifacts = PAGES[name]
    # As somebody writes it who stands in the checkout: a page shows what it was asked for.
    return written(command, *(os.path.relpath(samples.path(one)) for one in artifacts))


def written(command: str, *artifacts: str | Path) -> str:
    """What `inspect COMMAND ... --format html` writes."""
    here = ("--no-isolate",) if command == "audit" else ()
    result = call(command, *map(os.fspath, artifacts), *here, "--format", "html")
    assert result.out.startswith("<!doctype html>"), result.err
    return result.out


HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "--><svg onload=alert(1)>",
    "\u202egnp.exe\u2066\u200f",
    "\x1b[31mred\x07",
    "n" * 10_000,
)


def hostile(folder: Path) -> Path:
    """A model whose layers, and whose own name, are made to run on a page."""
    layers = {
        name: {f"{name}/kernel:0": np.ones((2, 3), "f4"), f"{name}/bias:0": np.zeros(3, "f4")}
        for name in HOSTILE
    }
    config = sequential(*(("Dense", name, {"units": 3}) for name in HOSTILE))
    return Path(
        whole_model(folder / "<img src=x onerror=alert(1)>.h5", layers, config, libver="latest")
    )


def wide(folder: Path, tensors: int) -> tuple[Path, dict[str, int]]:
    """A model of so many tensors, and each one's name and elements, in the model's order."""
    widths = {f"dense_{at}": 1 + at * 7 % 211 for at in range(tensors // 2)}
    layers = {
        name: {
            f"{name}/kernel:0": np.resize(np.float32([0] * (width % 5) + [1, -2]), (3, width)),
            f"{name}/bias:0": np.zeros(width, "f4"),
        }
        for name, width in widths.items()
    }
    config = sequential(*(("Dense", name, {"units": width}) for name, width in widths.items()))
    path = Path(whole_model(folder / "wide.h5", layers, config, libver="latest"))
    sizes = {
        f"model_weights/{name}/{stored}": value.size
        for name, variables in layers.items()
        for stored, value in variables.items()
    }
    return path, sizes
