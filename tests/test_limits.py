"""What a file may cost: each limit refuses what is just over it, by its name, and stays small."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from inspector import api, deadline
from inspector.allowance import in_time
from inspector.cli import run
from inspector.cli.exit import ExitCode
from inspector.cli.limits import limits_of
from inspector.errors import LimitExceeded, UsageError
from inspector.limits import CAPS, DEFAULT, GIB, KIB, MIB, Limits
from inspector.storage import spilled
from tests.builders import bundles, large, saved_models, tflite
from tests.builders.keras import h5_weights

# What DESIGN promises: MiB over what an idle process takes, with the artifact's report in it.
PROMISED = 256
# Imports all that reading may need, and says how much more than that the reading took at its peak.
CHILD = """
import json, re, sys
import h5py, ml_dtypes
import inspector.read, inspector.measure, inspector.assemble, inspector.ties
from inspector import api, deadline
from inspector.render import RenderOptions, pieces

def kib(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

before = kib("VmRSS")
with deadline.own_process():
    report = api.show(sys.argv[1])
written = sum(map(len, pieces("json", report, RenderOptions(100, False))))
said = [problem.message for one in report.artifacts for problem in one.problems]
print(json.dumps([(kib("VmHWM") - before) / 1024, said]))
"""


# Takes what it may, then more than that, and gives it back. (An interpreter alone has less memory
# than IDLE, which is what everything is held against.)
FILLING = """
import time
from inspector import deadline
from inspector.errors import LimitExceeded
from inspector.limits import MIB

with deadline.own_process(), deadline.within(100, "it", 90 * MIB):
    held = [b"x" * (deadline.IDLE + 60 * MIB)]
    deadline.check()
    print("held")
    held.append(b"x" * (60 * MIB))
    time.sleep(0.02)
    try:
        deadline.check()
    except LimitExceeded as error:
        print(error.name)
    held.clear()
    time.sleep(0.02)
    deadline.check()
    print("freed")
"""


def shown(path: str | Path) -> tuple[float, list[str]]:
    """(MiB that reading and writing took at its peak, messages of the report's problems)."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
    )
    peak, said = json.loads(done.stdout)
    return peak, said


def keras(path: Path, config: str, weights: bytes | None = None, method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        archive.writestr("config.json", config)
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
    return path


def config_of(value: str) -> str:
    inner = '{"class_name": "Dense", "config": {"name": "d", "x": ' + value + "}}"
    return '{"class_name": "Sequential", "config": {"name": "s", "layers": [' + inner + "]}}"


# Builders: make(folder, n) gives the path of an artifact that asks for n of what is limited.


def long_config(folder: Path, n: int) -> Path:
    text = config_of('"' + "\N{GRINNING FACE}" + "a" * (n - 200))
    return keras(
        folder / "a.keras", text + " " * (n - len(text.encode()) - 1) + "}", h5_weights(folder)
    )


def wide_config(folder: Path, n: int) -> Path:
    # "{" and "," a piece; the rest of the text has some of each, too.
    return keras(folder / "a.keras", config_of('[{"a":0}' + ',{"a":0}' * (n // 2 - 20) + "]"), b"")


def attributes(folder: Path, count: int, nbytes: int) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([], "S1")
        group.attrs["x"] = np.full(count, b"a" * (nbytes // count), f"S{nbytes // count}")
    return path


def datasets(folder: Path, n: int) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("model_weights/d")
        file["model_weights"].attrs["layer_names"] = np.array([b"d"])
        for index in range(n):
            group.create_dataset(f"w{index}", data=np.float32(index))
    return path


def checkpoint(folder: Path, n: int) -> Path:
    items = [saved_models.floats(f"w{index}", [index], ()) for index in range(n)]
    for name, content in bundles.bundle(*items).items():
        (folder / name).write_bytes(content)
    return folder / "ckpt"


def flatbuffer(folder: Path, n: int) -> Path:
    tensors = [tflite.tensor(f"t{index}", (1,)) for index in range(n)]
    path = folder / "a.tflite"
    path.write_bytes(tflite.model(tflite.graph(tensors)))
    return path


def frozen(folder: Path, *nodes: bytes) -> Path:
    path = folder / "a.pb"
    path.write_bytes(b"".join(bundles.chunk(1, node) for node in nodes))
    return path


def constants(folder: Path, n: int) -> Path:
    return frozen(folder, *(saved_models.const(f"c{index}", [1.0]) for index in range(n)))


def chain(folder: Path, n: int) -> Path:
    """A node and an input each."""
    nodes = (saved_models.node(f"n{at}", "Relu", f"n{at - 1}") for at in range(n // 2))
    return frozen(folder, *nodes)


def readers(folder: Path, n: int) -> Path:
    nodes = (saved_models.node(f"n{at}", "AddN", *["c"] * 100) for at in range(n // 100))
    return frozen(folder, saved_models.const("c", [1.0]), *nodes)


def deflated(folder: Path, n: int) -> Path:
    file = io.BytesIO()
    with h5py.File(file, "w") as store:
        store["layers/d/vars/0"] = (np.arange(n // 4 - 2048) % 251).astype("f4")
    return keras(folder / "a.keras", config_of("0"), file.getvalue(), zipfile.ZIP_DEFLATED)


def chunked(folder: Path, n: int) -> Path:
    path = folder / "a.h5"
    values = np.random.default_rng(0).integers(0, 9, n // 4).astype("f4")
    with h5py.File(path, "w") as file:
        file["model_weights/d/k"] = 0.0
        del file["model_weights/d/k"]
        file["model_weights"].attrs["layer_names"] = np.array([b"d"])
        file["model_weights/d"].create_dataset(
            "k", data=values, chunks=(n // 4,), compression=1, shuffle=True
        )
    return path


# Limit -> what asks for n of it, and so many as are made here. What costs memory and little time is
# made as large as the default allows (the rest in limits_long); the others are held against a lower
# limit, which saves the time.
LARGE = {
    "config_bytes": (long_config, DEFAULT.config_bytes),
    "attribute_values": (
        lambda folder, n: attributes(folder, n, 8 * n),
        DEFAULT.attribute_values,
    ),
    "chunk_bytes": (chunked, DEFAULT.chunk_bytes),
    "pickle_opcodes": (large.opcodes, DEFAULT.pickle_opcodes),
}
SMALL = {
    "config_bytes": (long_config, 1000),
    "config_values": (wide_config, 1000),
    "attribute_bytes": (lambda folder, n: attributes(folder, 10, n), 1000),
    "attribute_values": (lambda folder, n: attributes(folder, n, 8 * n), 1000),
    "tensors": (datasets, 50),
    "objects": (datasets, 50),
    "nodes": (chain, 100),
    "uses": (readers, 1000),
    "chunk_bytes": (chunked, 4000),
    "inflated_bytes": (deflated, 16 * MIB),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_a_limit_allows_stays_within_the_promised_memory(tmp_path, name):
    make, count = LARGE[name]
    path = make(tmp_path, count * 99 // 100)
    peak, said = shown(path)
    assert not [message for message in said if "limit" in message]
    assert peak < PROMISED


@pytest.mark.parametrize("name", LARGE)
def test_what_is_over_a_limit_is_told_of_within_the_promised_memory(tmp_path, name):
    make, count = LARGE[name]
    peak, said = shown(make(tmp_path, count * 11 // 10))
    assert any(f"--limit {name}=" in message for message in said), said
    assert peak < PROMISED


def told(path: Path, limits: Limits) -> list[str]:
    """Messages of all that is wrong with an artifact."""
    report = api.show(path, limits=limits)
    return [problem.message for one in report.artifacts for problem in one.problems]


@pytest.mark.parametrize("name", SMALL)
def test_a_limit_refuses_what_is_over_it_and_names_its_option(tmp_path, name):
    make, count = SMALL[name]
    path = make(tmp_path, count)
    assert any(f"--limit {name}=" in said for said in told(path, limit(name, count * 9 // 10)))


@pytest.mark.parametrize("name", SMALL)
def test_a_limit_lets_pass_what_is_under_it(tmp_path, name):
    make, count = SMALL[name]
    path = make(tmp_path, count)
    assert not any("--limit" in said for said in told(path, limit(name, count * 11 // 10)))


def limit(name: str, value: int) -> Limits:
    return dataclasses.replace(DEFAULT, **{name: value})


@pytest.mark.parametrize("make", [datasets, checkpoint, flatbuffer, constants])
def test_every_format_counts_its_tensors(tmp_path, make):
    path = make(tmp_path, 30)
    assert told(path, Limits(tensors=30)) == told(path, DEFAULT)
    with pytest.raises(LimitExceeded) as caught:
        api.open(path, limits=Limits(tensors=29))
    assert (caught.value.name, caught.value.value, caught.value.limit) == ("tensors", 30, 29)


def test_paths_of_hdf5_objects_are_held_to_a_limit_all_together(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["model_weights/d"] = 0.0
        group = file.create_group("n" * 1000)
        for index in range(20):
            group[f"{index}"] = 0.0
    # Twenty paths of 1,002 or 1,003 characters from one name of 1,000.
    with pytest.raises(LimitExceeded, match="keys_bytes"):
        api.open(path, limits=Limits(keys_bytes=20_000))
    api.open(path, limits=Limits(keys_bytes=22_000)).close()


def test_paths_of_layers_are_held_to_a_limit_all_together(tmp_path):
    inner = '{"class_name": "Dense", "config": {"name": "d"}}'
    for _ in range(9):  # 9 models in one another, each path with the names of all above
        name = '"name": "' + "n" * 1000 + '"'
        inner = '{"class_name": "Sequential", "config": {' + name + ', "layers": [' + inner + "]}}"
    path = keras(tmp_path / "a.keras", inner, h5_weights(tmp_path))
    # 1,000 + 2,000 ... + 8,000 = 36,000 characters below the root, and the slashes.
    assert any("--limit keys_bytes" in said for said in told(path, Limits(keys_bytes=36_000)))
    assert not any("--limit" in said for said in told(path, Limits(keys_bytes=60_000)))


def test_time_that_is_up_ends_the_reading_of_an_artifact(tmp_path, monkeypatch):
    path = datasets(tmp_path, 3)
    clock = iter(range(0, 10**6, 10))  # seconds: ten more each time that somebody looks
    monkeypatch.setattr(deadline.time, "monotonic", lambda: next(clock))
    (said,) = told(path, Limits(seconds=30))
    assert said.startswith("limit seconds: 40 is over 30; --limit seconds=60 allows twice as many")


def test_time_that_is_up_while_measuring_in_threads_ends_it(tmp_path):
    from inspector.measure import measure_all

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for index in range(4):
            file[f"model_weights/d/{index}"] = np.zeros(1000, "f4")
        file["model_weights"].attrs["layer_names"] = np.array([b"d"])
    with (
        api.open(path) as opened,
        deadline.within(0, "it"),
        pytest.raises(LimitExceeded, match="seconds"),
    ):
        measure_all(opened.artifact.tensors, threads=2)


def test_memory_that_is_full_ends_the_reading_of_an_artifact(tmp_path, monkeypatch):
    path = datasets(tmp_path, 3)
    taken = iter(range(100 * MIB, GIB, 30 * MIB))  # more each time that somebody looks
    monkeypatch.setattr(deadline, "resident", lambda *_: next(taken))
    monkeypatch.setattr(deadline, "_LOOK_SECONDS", 0)
    with deadline.own_process():
        (said,) = told(path, Limits(memory_bytes=50 * MIB))
    # 100 at first; then 130, and 160 is 60 more than the first.
    assert said == (
        f"limit memory_bytes: {60 * MIB:,} is over {50 * MIB:,};"
        f" --limit memory_bytes={100 * MIB} allows twice as many"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is taken now")
def test_memory_is_what_the_process_has_taken_since():
    done = subprocess.run(
        [sys.executable, "-c", FILLING], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["held", "memory_bytes", "freed"]


def test_two_artifacts_may_take_the_memory_of_two(tmp_path):
    with deadline.own_process(), in_time(Limits(memory_bytes=7 * MIB), "a", "b"):
        assert deadline.current().memory.allowed == 14 * MIB


def test_a_process_that_others_work_in_is_held_to_the_time_alone(tmp_path, monkeypatch):
    taken = iter(range(100 * MIB, GIB, 30 * MIB))
    monkeypatch.setattr(deadline, "resident", lambda *_: next(taken))
    monkeypatch.setattr(deadline, "_LOOK_SECONDS", 0)
    assert told(datasets(tmp_path, 3), Limits(memory_bytes=50 * MIB)) == []
    with in_time(Limits(memory_bytes=7 * MIB), "a"):
        assert deadline.current().memory is None


def test_the_command_line_is_held_to_the_memory(tmp_path, monkeypatch, capsys):
    path = datasets(tmp_path, 3)
    taken = iter(range(100 * MIB, 4 * GIB, 30 * MIB))
    monkeypatch.setattr(deadline, "resident", lambda *_: next(taken))
    monkeypatch.setattr(deadline, "_LOOK_SECONDS", 0)
    assert run(["show", str(path), "--limit", "memory_bytes=50MiB"]) == ExitCode.UNUSABLE
    assert f"limit memory_bytes: {60 * MIB:,} is over" in "".join(capsys.readouterr())


def test_without_a_deadline_there_is_time():
    deadline.check()
    assert deadline.current() is None


def test_each_gib_of_an_artifact_has_its_own_time():
    assert Limits(seconds=10, gib_seconds=4).seconds_for(GIB // 2) == 12


def test_a_refusal_names_what_allows_it():
    whole = LimitExceeded("config_bytes", 70_000_000, 64 * MIB, "a.keras")
    met = LimitExceeded("tensors", 70_001, 70_000, "a.keras")
    assert whole.message == (
        "limit config_bytes: 70,000,000 is over 67,108,864; --limit config_bytes=70000000 allows it"
    )
    assert met.message == (
        "limit tensors: 70,001 is over 70,000; --limit tensors=140000 allows twice as many"
    )


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("config_bytes=70000000", "config_bytes", 70_000_000),
        ("config_bytes=64MiB", "config_bytes", 64 * MIB),
        ("key_bytes = 4 kib", "key_bytes", 4 * KIB),
        ("inflated_bytes=2GiB", "inflated_bytes", 2 * GIB),
        ("tensors=1,000,000", "tensors", 1_000_000),
        ("seconds=1_000", "seconds", 1000),
    ],
)
def test_an_option_sets_one_limit(text, name, value):
    assert limits_of([text]) == limit(name, value)


def test_the_last_of_a_name_wins():
    assert limits_of(["depth=3", "nodes=4", "depth=5"]) == Limits(depth=5, nodes=4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config_byte=1", "did you mean 'config_bytes'?"),
        ("zzz=1", "no limit is called 'zzz' (inspect formats --limits"),
        ("tensors", "NAME=VALUE"),
        ("tensors=", "a whole number"),
        ("tensors=1KiB", "a whole number"),
        ("key_bytes=1KB", "KiB, MiB or GiB"),
        ("tensors=-1", "a whole number"),
        ("tensors=0", "more than 0"),
        (f"tensors={'9' * 5000}", "less than 2**63"),
        ("key_bytes=9223372036854775807GiB", "less than 2**63"),
    ],
)
def test_what_is_no_limit_is_said_in_plain_words(text, said):
    with pytest.raises(UsageError) as caught:
        limits_of([text])
    assert said in str(caught.value)


def test_every_limit_has_a_unit_and_a_reason():
    assert [cap.name for cap in CAPS] == [one.name for one in dataclasses.fields(Limits)]
    assert all(cap.unit in {"", "bytes", "times", "seconds"} for cap in CAPS)
    assert all(cap.reason and cap.default == getattr(DEFAULT, cap.name) for cap in CAPS)


def test_what_is_spilled_reads_as_it_was_written():
    source = spilled((b"abc", b"", b"defg"), "a/member")
    assert (source.size, bytes(source.view(2, 3))) == (7, b"cde")
    assert bytes(source.window(3, 4, "x").view(1, 2)) == b"ef"
