"""Every limit there is: what exceeds it is told by the limit's name, the value, and the option."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector import api
from inspector.errors import LimitExceeded, UsageError
from inspector.limits import DEFAULT, MIB, Limits
from tests.builders import bundles, large, saved_models, tflite
from tests.builders.bundles import varint
from tests.builders.hdf5 import weights_file
from tests.builders.keras import h5_weights, keras_zip, members
from tests.builders.zips import Entry, build

TESTS = Path(__file__).parent


BASE = dataclasses.replace(DEFAULT, bomb_bytes=MIB)  # so that a small bomb will do


def limit(name: str, value: int) -> Limits:
    return dataclasses.replace(BASE, **{name: value})


# Each gives the path of an artifact; which limit it exceeds, and what that limit is, is in SHOWN.


def h5(folder: Path) -> str:
    """2 datasets and 3 groups; 5 attributes, with 5 values."""
    return weights_file(folder / "a.h5")


def keras(folder: Path) -> str:
    return keras_zip(folder / "a.keras", members(h5_weights(folder)))


def npz(folder: Path) -> Path:
    return large.keras_npz(folder, 8)


def deflated(folder: Path, **lie: int) -> Path:
    """A deflated config, and with `size` one that lies of it."""
    config = members(None)["config.json"]
    parts = [Entry(b"config.json", config, deflate=True, **lie), Entry(b"metadata.json", b"{}")]
    (folder / "a.keras").write_bytes(build(*parts))
    return folder / "a.keras"


def bomb(folder: Path) -> Path:
    """A member of 1 MiB of zeros and what cannot be deflated: some 500 to 1."""
    path = Path(keras(folder))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(MIB) + np.random.default_rng(0).bytes(1024))
    return path


def chunked(folder: Path) -> str:
    def make(group, name):
        group.create_dataset(name, data=np.arange(2000.0), chunks=(2000,), compression="gzip")

    return weights_file(folder / "a.h5", {"d": {"k": make}})


def checkpoint(folder: Path) -> Path:
    return large.checkpoint(folder, 9)


def sharded(folder: Path) -> Path:
    items = [saved_models.floats(f"w{at}", [1.0]) for at in range(3)]
    for name, content in bundles.bundle(*items, shards=3).items():
        (folder / name).write_bytes(content)
    return folder / "ckpt"


def sliced(folder: Path) -> Path:
    halves = tuple(bundles.slice_of((at, 1)) for at in range(2))
    return large.bundle_files(folder, [bundles.Item(b"w", sides=(2,), slices=halves)])


def compressed(folder: Path) -> Path:
    """A checkpoint with an index that Snappy made: its blocks are one literal each."""

    def pack(data: bytes) -> bytes:
        size = len(data) - 1
        return varint(len(data)) + bytes([61 << 2]) + size.to_bytes(2, "little") + data

    pytest.importorskip("cramjam")
    item = saved_models.floats("w" * 200, [1.0])
    (folder / "ckpt.data-00000-of-00001").write_bytes(item.data)
    entries = [(b"", bundles.header()), (item.key, item.record(0))]
    (folder / "ckpt.index").write_bytes(bundles.table(entries, pack=pack))
    return folder / "ckpt"


def graph(folder: Path) -> Path:
    return large.read_constants(folder, 5)


def text(folder: Path) -> Path:
    return large.text_graph(folder, 1000)


def lite(folder: Path) -> Path:
    path = folder / "a.tflite"
    scaled = tflite.tensor("t", (1, 2), scale=[1.0, 2.0], dtype="int8", axis=1, buffer=1)
    made = tflite.graph([scaled, tflite.tensor("u")], [tflite.op("ABS", [0], [1])], [0], [1])
    path.write_bytes(tflite.model(made, buffers=[b"ab"]))
    return path


# Name -> (what exceeds it, the limit).
SHOWN: dict[str, tuple[Callable[[Path], str | Path], int]] = {
    "config_bytes": (keras, 20),
    "config_values": (keras, 3),
    "attribute_bytes": (h5, 10),
    "attribute_values": (h5, 2),
    "tensors": (h5, 1),
    "objects": (h5, 3),
    "nodes": (graph, 5),
    "depth": (keras, 2),
    "chunk_bytes": (chunked, 4000),
    "bomb_ratio": (bomb, 100),
    "pickle_opcodes": (npz, 10),
    "member_bytes": (keras, 10),
    "inflated_bytes": (deflated, 10),
    "inflate_ratio": (deflated, 1),
    "npy_header_bytes": (npz, 10),
    "message_fields": (graph, 3),
    "parsed_fields": (checkpoint, 3),
    "key_bytes": (checkpoint, 10),
    "keys_bytes": (checkpoint, 100),
    "block_bytes": (compressed, 100),
    "text_bytes": (text, 500),
    "shards": (sharded, 2),
    "slices": (sliced, 1),
    "graph_steps": (graph, 1),
    "uses": (graph, 4),
    "vector_numbers": (lite, 3),
    "seconds": (h5, 0),
}
# Of those that have no artifact here: where they are held.
ELSEWHERE = {
    "slice_bytes": "test_measure.py::",  # nothing exceeds it: it is how much is taken at a time
    "bomb_bytes": "test_wire_archive.py::test_a_bomb_of_1000_to_1_is_named_and_bounded",
    "packed_bytes": "test_wire_protobuf.py::test_what_is_parsed_or_unpacked_whole_is_bounded",
    "blocks_bytes": "test_wire_saved_slices.py::test_what_snappy_inflates_to_is_bounded",
    "vector_passes": "test_read_tflite.py::"
    "test_a_table_of_scales_that_many_tensors_lead_to_is_not_gone_through_for_each",
    "fingerprints": "test_pairing_rearranged.py::"
    "test_axes_of_more_slices_than_may_be_told_apart_are_not_looked_through",
    "findings": "test_auditing_run.py::",
    "memory_bytes": "test_limits.py::test_memory_that_is_full_ends_the_reading_of_an_artifact",
    "gib_seconds": "test_limits.py::test_each_gib_of_an_artifact_has_its_own_time",
    "array_bytes": "test_notebook_api.py::test_a_large_array_has_to_be_wanted",
    "worker_bytes": "test_isolation.py::",
    "live_seconds": "test_live_runner.py::",
    "live_bytes": "test_live_runner.py::test_the_memory_limit_holds",
}
CALLED = {
    "report_bytes",
    "report_values",
    "policy_bytes",
}  # what is no artifact has a test of its own below


@pytest.mark.parametrize("name", SHOWN)
def test_what_exceeds_a_limit_is_told_by_its_name_the_value_and_the_option(tmp_path, name):
    make, most = SHOWN[name]
    path = make(tmp_path)
    assert not list(told(path, name, BASE))
    (value, allowed, offered), *_ = told(path, name, limit(name, most))
    assert value > most == allowed
    assert offered >= min(value, 2 * most)


def told(path: str | Path, name: str, limits: Limits) -> Iterator[tuple[int, int, int]]:
    """(value, limit, what is offered) of each message that tells of the limit."""
    over = rf"(?:limit {name}: ([\d,]+) is )?over (?:the limit {name} of )?([\d,]+)"
    pattern = rf"{over}.*--limit {name}=(\d+) allows"
    report = api.show(path, limits=limits)
    for problem in (one for artifact in report.artifacts for one in artifact.problems):
        for found in re.finditer(pattern, problem.message):
            value, allowed, offered = (int((one or "0").replace(",", "")) for one in found.groups())
            yield value or offered, allowed, offered


def test_a_saved_report_is_held_to_its_limit(tmp_path):
    saved = tmp_path / "a.json"
    saved.write_text(json.dumps({"schema_version": "1.0", "command": "show", "artifacts": []}))
    with pytest.raises(LimitExceeded, match="report_bytes: 61 is over 20; --limit"):
        api.diff(saved, h5(tmp_path), limits=limit("report_bytes", 20))


def test_the_values_of_a_saved_report_are_held_to_their_limit(tmp_path):
    saved = tmp_path / "a.json"
    saved.write_text(json.dumps({"schema_version": "1.0", "command": "show", "artifacts": [1, 2]}))
    # A brace and a bracket, two commas between the keys and one in the list.
    with pytest.raises(LimitExceeded, match="report_values: 5 is over 4; --limit report_values=5"):
        api.diff(saved, h5(tmp_path), limits=limit("report_values", 4))


def test_a_policy_is_held_to_its_limit(tmp_path):
    policy = tmp_path / "inspector.toml"
    policy.write_text("# " + "a" * 100)
    said = "limit policy_bytes: 102 is over 50; --limit policy_bytes=102 allows it"
    with pytest.raises(UsageError, match=said):
        api.audit(h5(tmp_path), policy=policy, limits=limit("policy_bytes", 50))


def test_every_limit_has_a_test_that_exceeds_it():
    every = [one.name for one in dataclasses.fields(Limits)]
    assert sorted([*SHOWN, *ELSEWHERE, *CALLED]) == sorted(every)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_tests_of_other_files_are_there(name):
    file, _, test = ELSEWHERE[name].partition("::")
    held = (TESTS / file).read_text(encoding="utf-8")
    assert f"def {test}" in held
    assert name in held or name.startswith("live")
