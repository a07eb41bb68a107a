"""What reading costs: bytes and requests, counted by the servers."""

from __future__ import annotations

import json
import os

import pytest

from tests.builders import huge, samples
from tests.builders.far import inspect, serve

MIB = 1 << 20
LAYERS = 8  # 64 MiB: what is measured
QUIETLY = ("--no-policy", "--no-isolate", "--fail-on", "never")

# Requests that the structure of 1 GiB takes at most, and bytes of all answers: what was measured,
# to be lowered with every request that is saved. A `.tflite` has a table before the data of each of
# its 256 buffers, a frozen graph a header before that of each of its 256 constants.
STRUCTURE = {
    "h5": (190, 2 * MIB),
    "pruned.h5": (200, 2 * MIB),
    "keras": (205, 2 * MIB),
    "saved_model": (16, MIB // 4),
    "tflite": (150, 2 * MIB),
    "pb": (315, 2 * MIB),
}
# The same of 64 MiB that are measured: structure, and a request for each 4 MiB of a tensor.
MEASURED = {"h5": 40, "keras": 50, "saved_model": 34, "tflite": 46}


def each(names, *of_s3):
    """All of the web server, some of S3: what is asked for is the same."""
    pairs = [*(("web", name) for name in names), *(("s3", name) for name in of_s3)]
    return pytest.mark.parametrize(("server", "name"), pairs, indirect=["server"])


def report(result):
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)["artifacts"][0]


@each(STRUCTURE, "h5", "saved_model")
def test_the_structure_of_a_gibibyte(server, huge_ones, name):
    url = serve(server, f"structure/{huge_ones(name).name}", huge_ones(name))
    found = report(inspect("show", url, "--no-measure", "--format", "json"))
    # 64 pruned layers take as much as 128 others.
    layers = 64 if name == "pruned.h5" else 128
    assert found["roles"]["weight"]["elements"] == huge.parameters(layers)
    assert found["nbytes"] > 1 << 30
    requests, nbytes = STRUCTURE[name]
    print(name, server.sent, len(server.log))
    assert server.sent < nbytes
    assert len(server.log) <= requests


@each(MEASURED, "h5")
def test_measuring_streams_once(server, tmp_path, name):
    path = huge.MAKERS[name](tmp_path, LAYERS)
    url = serve(server, f"measured/{name}", path)
    found = report(inspect("show", url, "--format", "json"))
    assert found["totals"]["nonzero"] == 0  # all of it was looked at
    size = found["nbytes"]
    print(name, server.sent / size, len(server.log))
    assert 64 * MIB < size < 65 * MIB
    assert size * 0.99 < server.sent <= size * 1.05
    assert len(server.log) <= MEASURED[name]


@pytest.mark.parametrize(("name", "layers"), [("h5", LAYERS), ("pruned.h5", LAYERS // 2)])
def test_an_audit_streams_once(web, tmp_path, name, layers):
    """All that rules ask besides, such as digests and odd bytes, is asked of the same stream."""
    url = serve(web, "audited/a.h5", huge.MAKERS[name](tmp_path, layers))
    result = inspect("audit", url, "--format", "json", *QUIETLY)
    assert result.code == 0, result.err
    print("audit", web.sent, len(web.log))
    assert 64 * MIB * 0.99 < web.sent <= 64 * MIB * 1.05


def test_of_a_folder_no_file_is_asked_what_it_is(web):
    """One of models whose names are of no folder that is a model: its listing tells."""
    for number in range(8):
        serve(web, f"many/{number}.tflite", samples.path("lite_float.tflite"))
    result = inspect("audit", web.url("many"), "--recursive", *QUIETLY)
    assert result.code == 0, result.err
    assert not [one.path for one in web.requests() if ".tflite/" in one.path]


@pytest.mark.parametrize("name", ["stripped.h5", "k3.keras", "lite_float.tflite"])
def test_an_audit_asks_for_a_small_file_once(web, name):
    """What it is, what is in it and what is amiss with it: each opens it anew."""
    url = serve(web, f"small/{name}", samples.path(name))
    result = inspect("audit", url, *QUIETLY)
    assert result.code == 0, result.err
    assert [one.sent for one in web.requests("GET")] == [os.path.getsize(samples.path(name))]
