"""An artifact on a server measured in parts: the same, and each value comes once."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from inspector import filesystem
from inspector.auditing.look import look
from inspector.auditing.policy import Policy
from inspector.errors import Changed
from inspector.parts import measure_part, survey
from inspector.typed_json import encode
from tests.builders.far import serve
from tests.test_parts import weights

MIB = 1 << 20


def model(path, seed=0):
    """12 kernels of 1 MiB, with a bias each."""
    random = np.random.default_rng(seed)
    shapes = [(512, 512), (512,)] * 12
    return weights(path, [random.standard_normal(one).astype("f4") for one in shapes])


def said(path, parts=()):
    how = {"policy": Policy(), "today": dt.date(2026, 1, 1)}
    return look(path, digest=True, measured=parts, **how)


@pytest.mark.parametrize("cached", [False, True])
def test_parts_are_the_whole_and_come_once(server, tmp_path, cached):
    path = model(tmp_path / "a.weights.h5")
    url = filesystem.admit(serve(server, "parts/a.weights.h5", path))

    def on_a_machine(name):
        filesystem.keep_copies(str(tmp_path / name) if cached else None)

    on_a_machine("first")
    names = [part.names for part in survey(url, part_bytes=4 * MIB).parts]
    assert len(names) == 4  # three kernels of 1 MiB leave no room for a fourth with the biases
    server.forget()
    parts = []
    for at, some in enumerate(names):
        on_a_machine(f"machine {at % 2}")
        parts.append(measure_part(url, some, digest=True))
    if not cached:  # its structure four times
        assert 12 * MIB < server.sent < 12 * MIB + 4 * MIB
    on_a_machine("last")
    server.forget()
    together = said(url, parts)
    assert cached or server.sent < MIB
    assert encode(together) == encode(said(url))


def test_a_part_of_another_version_is_refused(server, tmp_path):
    url = filesystem.admit(serve(server, "changes/a.weights.h5", model(tmp_path / "a.weights.h5")))
    names = [one for part in survey(url).parts for one in part.names]
    part = measure_part(url, names)
    other = model(tmp_path / "b.weights.h5", seed=1)
    filesystem.admit(serve(server, "changes/a.weights.h5", other))
    found = said(url, [part])
    assert not found.report.readable
    assert found.report.problems[0].code == Changed.__name__.lower()
