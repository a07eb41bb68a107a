"""Copies of Keras files with one thing changed in their configs."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import h5py

import inspector
from inspector import api
from inspector.classify import classify
from inspector.difference.nouns import Subject


def edited_h5(
    source: str, target: object, edit: Callable[[Any], object], key: str = "model_config"
) -> str:
    """A copy of an HDF5 file, an attribute of JSON changed in place by `edit`."""
    shutil.copy(source, str(target))
    with h5py.File(str(target), "r+") as file:
        content = json.loads(file.attrs[key])
        edit(content)
        file.attrs[key] = json.dumps(content)
    return str(target)


def edited_keras(
    source: str, target: object, edit: Callable[[Any], object], name: str = "config.json"
) -> str:
    """A copy of a `.keras` zip, a member of JSON changed in place by `edit`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(str(target), "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == name:
                parsed = json.loads(content)
                edit(parsed)
                content = json.dumps(parsed).encode()
            new.writestr(member, content)
    return str(target)


def nodes(config: Any) -> Iterator[Any]:
    """Every layer's node in a model's config, with those inside of models."""
    for node in config["config"]["layers"]:
        yield node
        if isinstance(node["config"].get("layers"), list):
            yield from nodes(node)


def node(config: Any, name: str) -> Any:
    """The node of the layer of that name."""
    return next(one for one in nodes(config) if one["config"]["name"] == name)


def renamed(config: Any, old: str, new: str) -> Any:
    """The config with a layer renamed wherever its name stands."""
    text = json.dumps(config).replace(f'"{old}"', f'"{new}"')
    config.clear()
    config.update(json.loads(text))


def subject(stack: ExitStack, path: str) -> Subject:
    """An artifact held open until the stack is closed, with its report."""
    opened = stack.enter_context(inspector.open(path))
    report = api.show(path, measure=False).artifacts[0]
    return Subject(opened.artifact, classify(opened.artifact).verdicts, report)
