"""Odd but right: names, links, places, sizes and numbers that files may well have; and no files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import google_crc32c
import h5py
import numpy as np
import pytest

import inspector
from inspector import api
from inspector.wire.tflite_schema import TENSOR_TYPES
from tests.builders import bundles, saved_models, tflite
from tests.builders.hdf5 import (
    DENSE,
    DENSE_BIAS,
    DENSE_CONFIG,
    DENSE_KERNEL,
    sequential,
    v3_store,
    weights_file,
    whole_model,
)
from tests.builders.keras import h5_weights, keras_folder, keras_zip, members, npz_weights
from tests.builders.samples import path as sample
from tests.builders.terminal import call

GIB = 1 << 30

# --- names and places ---

NAMES = (
    unicodedata.normalize("NFC", "modèle é"), unicodedata.normalize("NFD", "modèle é"),
    "model 1 (copy)", "it's \"quoted\"", "two\nlines", os.fsdecode(b"no \xff utf-8"),
    "C:\\models\\m", "層🙂", "$HOME;`x`&|*?[a-z]", "-x", "m.index.h5", "~", "#", "a" * 240,
)  # fmt: skip


def model_file(path: Path) -> str:
    return str(shutil.copy(sample("k3.h5"), path))


def model_folder(path: Path) -> str:
    return str(shutil.copytree(sample("saved_adam"), path))


def model_prefix(path: Path) -> str:
    for ending in (".index", ".data-00000-of-00001"):
        shutil.copy(sample("ckpt_adam") + ending, f"{path}{ending}")
    return str(path)


def shown(path: str, *arguments: str):
    """What `show` says of an artifact that it reads without a complaint."""
    done = call("show", "--format", "json", *arguments, "--", path)
    assert (done.code, done.err) == (0, "")
    (artifact,) = json.loads(done.out)["artifacts"]
    return artifact


@pytest.mark.parametrize("make", [model_file, model_folder, model_prefix])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_of_a_file_will_do(make, name, tmp_path):
    name = name[: 250 - len(".data-00000-of-00001") - 2]
    path = make(tmp_path / name)
    plain = make(tmp_path / "plain")
    found, usual = shown(path), shown(plain)
    # JSON has no bytes: what is no UTF-8 is said as the escapes that Python knows it by.
    assert found["path"] == path
    assert found["tensors"] == usual["tensors"]
    assert call("diff", "--", path, plain).code == 0
    assert call("audit", "--no-isolate", "--no-policy", "--fail-on", "never", "--", path).code == 0


@pytest.mark.parametrize("make", [model_file, model_folder, model_prefix])
def test_links_to_what_is_meant_are_followed(make, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    path = make(tmp_path / "real" / "m")
    through = str(tmp_path / "folder" / "m")
    assert shown(through)["tensors"] == shown(path)["tensors"]
    if os.path.exists(path):
        (tmp_path / "link").symlink_to(path)
        assert shown(str(tmp_path / "link"))["tensors"] == shown(path)["tensors"]


@pytest.mark.parametrize("make", [model_file, model_folder, model_prefix])
def test_what_may_only_be_read_is_read_and_left_as_it_is(make, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = make(folder / "m")
    everything = [folder, *folder.rglob("*")]
    for one in everything:
        one.chmod(0o555 if one.is_dir() else 0o444)
    before = [(one, one.stat().st_mtime_ns) for one in everything]
    shown(path, "--digest")
    assert [(one, one.stat().st_mtime_ns) for one in [folder, *folder.rglob("*")]] == before
    folder.chmod(0o755)


# --- no files ---


@contextlib.contextmanager
def odd_path(kind: str, folder: Path):
    if kind == "pipe":
        os.mkfifo(folder / "pipe")
        yield str(folder / "pipe")
    elif kind == "socket":
        # A path of a socket has some hundred bytes at most.
        with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.join(short, "s"))
            yield os.path.join(short, "s")
    else:
        yield kind


@pytest.mark.parametrize("command", ["show", "explain", "reconcile", "diff", "audit"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", "/dev/tty", "/dev/full"])
def test_what_is_no_file_is_refused_in_one_line_and_not_waited_for(command, kind, tmp_path):
    start = time.monotonic()
    with odd_path(kind, tmp_path) as path:
        more = {"explain": ["x"], "diff": [sample("k3.h5")]}.get(command, [])
        done = call(command, path, *more, *["--no-isolate"] * (command == "audit"))
    said = done.out if command == "audit" else done.err
    assert done.code == (1 if command == "audit" else 2)
    assert "is a device, a pipe or a socket" in " ".join(said.split())
    assert command == "audit" or done.err.count("\n") == 1
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("name", ["/dev/stdin", "-", "/dev/fd/0"])
def test_standard_input_is_refused_when_it_is_a_pipe(name):
    command = [sys.executable, "-m", "inspector", name]
    # Nobody writes to the pipe, and nobody closes it, until it is over.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.wait(60) == 2
        assert running.stdout.read() == ""
        assert running.stderr.read().count("\n") == 1


def test_standard_input_is_read_when_it_is_a_file():
    with open(sample("k3.h5"), "rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "inspector", "/dev/stdin"],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


AS_NOBODY = """
import os, sys
from inspector.cli import run
run([sys.argv[1], "-o", os.devnull])
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("mode", [0o000, 0o600])
@pytest.mark.parametrize("inside", ["", "m.h5", "saved_model.pb"])
def test_what_may_not_be_read_is_one_line(mode, inside):
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent, "folder")
        folder.mkdir()
        shutil.copy(sample("k3.h5"), folder / "m.h5")
        (folder / "saved_model.pb").write_bytes(b"")
        folder.chmod(mode)
        command = [sys.executable, "-B", "-c", AS_NOBODY, sample("k3.h5"), str(folder / inside)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        folder.chmod(0o755)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "inspect: " in done.stderr


# --- large ---


def copy_sparse(source, target, at: int) -> None:
    """Copy a file behind `at`, holes as holes."""
    size, start = os.fstat(source.fileno()).st_size, 0
    while start < size:
        try:
            start = os.lseek(source.fileno(), start, os.SEEK_DATA)
        except OSError:
            break  # nothing but a hole is left
        stop = os.lseek(source.fileno(), start, os.SEEK_HOLE)
        os.pwrite(target.fileno(), os.pread(source.fileno(), stop - start, start), at + start)
        start = stop
    os.ftruncate(target.fileno(), at + size)


def assert_adds_up(artifact) -> None:
    """All bytes are a tensor's or have a label (no tensors share any here)."""
    values = sum(extent.length for one in artifact.tensors for extent in one.extents)
    assert values + sum(artifact.overhead.values()) == sum(one.nbytes for one in artifact.files)


LARGE = (5 << 18, 1 << 10)  # float32: 5 GiB


def large_h5(path: Path) -> str:
    """A kernel of 5 GiB of zeros, its last two values 1 and 2, and a bias behind it."""
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("layers/dense/vars")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple(LARGE)
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, plist)
        group["0"][-1, -2:] = [1, 2]
        group.create_dataset("1", data=np.arange(1 << 10, dtype="f4"))
        assert group["1"].id.get_offset() > 4 * GIB
    return str(path)


def zip64(path: Path, entries: dict[str, Path]) -> str:
    """A zip of stored files, each with zip64's sizes and offsets. Their crcs are not set."""
    central = b""
    with open(path, "wb") as out:
        for name, file in entries.items():
            at, size = out.seek(0, os.SEEK_END), file.stat().st_size
            raw, full = name.encode(), 0xFFFFFFFF
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            fields = (45, 0, 0, 0, 33, 0, full, full, len(raw), len(extra))
            out.write(b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + raw + extra)
            out.flush()
            with open(file, "rb") as source:
                copy_sparse(source, out, out.tell())
            extra = struct.pack("<HHQQQ", 1, 24, size, size, at)
            fields = (45, 45, 0, 0, 0, 33, 0, full, full, len(raw), len(extra), 0, 0, 0, 0, full)
            central += b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", *fields) + raw + extra
        at = out.seek(0, os.SEEK_END)
        out.write(central)
        count, size, end = len(entries), len(central), at + len(central)
        out.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, at))
        out.write(b"PK\6\7" + struct.pack("<IQI", 0, end, 1))
        out.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, full, full, 0))
    return str(path)


def tensors(path: str) -> dict:
    opened = inspector.open(path)
    return {one.name: one for one in opened.artifact.tensors}


def test_an_hdf5_file_of_more_than_4_gib(tmp_path):
    path = large_h5(tmp_path / "m.weights.h5")
    assert os.path.getsize(path) > 5 * GIB
    with inspector.open(path) as opened:
        assert_adds_up(opened.artifact)
        kernel, bias = opened.artifact.tensors
        assert (kernel.shape, kernel.nbytes) == (LARGE, 5 * GIB)
        assert kernel.payload.window(kernel.elements - 3, 3).tolist() == [0, 1, 2]
        assert bias.payload.window(1021, 3).tolist() == [1021, 1022, 1023]


def test_a_keras_file_of_more_than_4_gib(tmp_path):
    large_h5(tmp_path / "weights")
    for name, value in (("config", DENSE_CONFIG), ("metadata", {"keras_version": "3.5.0"})):
        (tmp_path / name).write_text(json.dumps(value), encoding="ascii")
    path = zip64(
        tmp_path / "m.keras",
        {
            "model.weights.h5": tmp_path / "weights",
            "config.json": tmp_path / "config",
            "metadata.json": tmp_path / "metadata",
        },
    )
    # As the one member before them is larger than 4 GiB, the others begin past that. Their crcs
    # are asked for.
    with open(path, "r+b") as file:
        content = file.read(0)
        for name in ("config", "metadata"):
            crc = struct.pack("<I", zlib_crc((tmp_path / name).read_bytes()))
            patch_crc(file, f"{name}.json".encode(), crc)
        assert content == b""
    with inspector.open(path) as opened:
        assert_adds_up(opened.artifact)
        kernel = next(one for one in opened.artifact.tensors if one.shape == LARGE)
        assert kernel.payload.window(kernel.elements - 3, 3).tolist() == [0, 1, 2]
        assert opened.artifact.producer.version == "3.5.0"


def zlib_crc(content: bytes) -> int:
    import zlib

    return zlib.crc32(content)


def patch_crc(file, name: bytes, crc: bytes) -> None:
    """Set the crc of a member in its local header and its central record, at the file's end."""
    tail = 4096
    size = os.fstat(file.fileno()).st_size
    file.seek(size - tail)
    content = file.read(tail)
    at = content.index(name)
    while at >= 0:
        sign = {30: b"PK\3\4", 46: b"PK\1\2"}
        for back, field in ((30, 14), (46, 16)):
            if content[at - back : at - back + 4] == sign[back]:
                file.seek(size - tail + at - back + field)
                file.write(crc)
        at = content.find(name, at + 1)


def test_a_shard_of_more_than_4_gib(tmp_path):
    far = bundles.Item(b"far", np.arange(3, dtype="f4").tobytes(), 1, (3,), offset=5 * GIB)
    for name, content in bundles.bundle(far).items():
        (tmp_path / name).write_bytes(content)
    with open(tmp_path / "ckpt.data-00000-of-00001", "wb") as file:
        file.seek(5 * GIB)
        file.write(far.data)
    with inspector.open(tmp_path / "ckpt") as opened:
        assert_adds_up(opened.artifact)
        (tensor,) = opened.artifact.tensors
        assert tensor.payload.window(0, 3).tolist() == [0, 1, 2]
        assert tensor.check.holds()


def test_a_tflite_file_of_more_than_2_gib(tmp_path):
    path = tmp_path / "m.tflite"
    values = np.arange(3, dtype="f4")
    graph = tflite.graph([tflite.tensor("w", (3,), "float32", 1)])
    with open(path, "wb") as file:
        file.write(tflite.model(graph, buffers=[{"offset": 2 * GIB + 4096, "size": values.nbytes}]))
        file.seek(2 * GIB + 4096)
        file.write(values.tobytes())
    with inspector.open(path) as opened:
        assert_adds_up(opened.artifact)
        (tensor,) = opened.artifact.tensors
        assert tensor.payload.window(0, 3).tolist() == [0, 1, 2]


# --- none of them, and many ---

EMPTY = np.zeros((0, 4), "f4")


def empty_h5(folder: Path) -> str:
    return weights_file(folder / "m.h5", {"dense": {"dense/kernel:0": EMPTY}})


def empty_keras(folder: Path) -> str:
    content = h5_weights(folder, {"layers/dense": [EMPTY, DENSE_BIAS]})
    return keras_zip(folder / "m.keras", members(content))


def empty_folder(folder: Path) -> str:
    content = h5_weights(folder, {"layers/dense": [EMPTY, DENSE_BIAS]})
    return keras_folder(folder / "m", members(content))


def empty_npz(folder: Path) -> str:
    content = npz_weights({"layers/dense": [EMPTY, DENSE_BIAS]})
    return keras_zip(folder / "m.keras", members(content, "model.weights.npz"))


def empty_checkpoint(folder: Path) -> str:
    for name, content in bundles.bundle(bundles.Item(b"w", b"", 1, (0, 4))).items():
        (folder / name).write_bytes(content)
    return str(folder / "ckpt")


def empty_graph(folder: Path) -> str:
    path = folder / "m.pb"
    path.write_bytes(saved_models.graph([saved_models.const("w", [], (0, 4))]))
    return str(path)


def empty_saved(folder: Path) -> str:
    item = bundles.Item(b"w", b"", 1, (0, 4))
    return saved_models.write(folder / "m", saved_models.meta_graph(), items=[item])


def empty_lite(folder: Path) -> str:
    path = folder / "m.tflite"
    kind = TENSOR_TYPES.index("float32")
    graph = tflite.graph([tflite.tensor("w", (0, 4), kind, 1)])
    path.write_bytes(tflite.model(graph, buffers=[b""]))
    return str(path)


@pytest.mark.parametrize(
    "make",
    [
        empty_h5, empty_keras, empty_folder, empty_npz, empty_checkpoint, empty_graph, empty_saved,
        empty_lite,
    ],
)  # fmt: skip
def test_a_tensor_of_no_values_is_one(make, tmp_path):
    path = make(tmp_path)
    (artifact,) = api.show(path, digest=True).artifacts
    assert artifact.readable
    (tensor,) = [one for one in artifact.tensors if one.shape == (0, 4)]
    assert (tensor.elements, tensor.nbytes) == (0, 0)
    assert call("diff", path, path).code == 0
    for command in ("reconcile", "audit --no-isolate"):
        assert call(*command.split(), path).code in (0, 1)


def many_keys(folder: Path) -> str:
    items = [
        bundles.Item(b"layer%05d/w/.ATTRIBUTES/VARIABLE_VALUE" % at, b"\0\0\x80?", 1, ())
        for at in range(65_000)
    ]
    for name, content in bundles.bundle(*items).items():
        (folder / name).write_bytes(content)
    return str(folder / "ckpt")


def many_constants(folder: Path) -> str:
    nodes = [saved_models.const(f"w{at}", [1.0], ()) for at in range(65_000)]
    path = folder / "m.pb"
    path.write_bytes(saved_models.graph(nodes))
    return str(path)


@pytest.mark.parametrize("make", [many_keys, many_constants])
def test_65_000_tensors(make, tmp_path, monkeypatch):
    # The builder's own crc is bit by bit.
    monkeypatch.setattr(bundles, "crc32c", google_crc32c.value)
    path = make(tmp_path)
    start = time.process_time()
    (artifact,) = api.show(path).artifacts
    assert time.process_time() - start < 60
    assert len(artifact.tensors) == 65_000
    assert artifact.totals.stored_elements == 65_000
    assert all(one.measure and one.measure.min == 1 for one in artifact.tensors)


def many_layers(folder: Path) -> str:
    names = [f"dense_{at}" for at in range(2000)]
    layers = {name: {f"{name}/kernel:0": np.ones((1, 1), "f4")} for name in names}
    config = sequential(*(("Dense", name, {"units": 1, "use_bias": False}) for name in names))
    return whole_model(folder / "m.h5", layers, config)


def nested_layers(folder: Path) -> str:
    """20 models of 100 layers each, in one."""
    inner = [
        ("Sequential", f"model_{outer}", sequential(
            *(("Dense", f"dense_{at}", {"units": 1, "use_bias": False}) for at in range(100))
        )["config"])
        for outer in range(20)
    ]  # fmt: skip
    store = {
        "layers/sequential" + f"_{outer}" * (outer > 0)
        + "/layers/dense" + f"_{at}" * (at > 0): [np.ones((1, 1), "f4")]
        for outer in range(20)
        for at in range(100)
    }  # fmt: skip
    content = {**members(h5_weights(folder, store))}
    content["config.json"] = json.dumps(sequential(*inner)).encode()
    return keras_zip(folder / "m.keras", content)


@pytest.mark.parametrize("make", [many_layers, nested_layers])
def test_2_000_layers(make, tmp_path):
    path = make(tmp_path)
    start = time.process_time()
    (artifact,) = api.show(path).artifacts
    assert time.process_time() - start < 30
    assert artifact.totals.count_params == 2000
    assert {one.role for one in artifact.tensors} == {"weight"}
    assert len({(one.layer, one.variable) for one in artifact.tensors}) == 2000


def test_a_slash_in_the_name_of_a_layer(tmp_path):
    layers = {
        "block/conv": {"block/conv/kernel:0": DENSE_KERNEL, "block/conv/bias:0": DENSE_BIAS},
        "block": {"block/kernel:0": DENSE_KERNEL.T, "block/bias:0": DENSE_KERNEL[:, 0]},
    }
    config = sequential(
        ("Dense", "block/conv", {"units": 3, "use_bias": True}),
        ("Dense", "block", {"units": 4, "use_bias": True}),
    )
    (artifact,) = api.show(whole_model(tmp_path / "m.h5", layers, config)).artifacts
    assert artifact.readable
    assert artifact.totals.count_params == 12 + 3 + 12 + 4
    assert [(one.layer, one.variable) for one in artifact.tensors] == [
        ("block/conv", "kernel"),
        ("block/conv", "bias"),
        ("block", "kernel"),
        ("block", "bias"),
    ]


def test_layers_and_tensors_of_one_name(tmp_path):
    # Two layers of a name in a config, of which Keras would load neither; two tensors of a name.
    twice = sequential(*[("Dense", "dense", {"units": 3, "use_bias": True})] * 2)
    (artifact,) = api.show(whole_model(tmp_path / "m.h5", DENSE, twice)).artifacts
    assert artifact.readable
    assert len(artifact.tensors) == 2
    path = tmp_path / "m.tflite"
    graph = tflite.graph([tflite.tensor("w", (3,), "float32", at) for at in (1, 2)])
    path.write_bytes(tflite.model(graph, buffers=[DENSE_BIAS, DENSE_BIAS]))
    (artifact,) = api.show(path).artifacts
    assert len({one.name for one in artifact.tensors}) == len(artifact.tensors) == 2


# --- HDF5 ---


@pytest.mark.parametrize("block", [0, 512, 4096])
@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "v112", "v114", "latest"])
def test_hdf5_of_every_version_with_and_without_a_user_block(version, block, tmp_path):
    bounds = (version, version if version not in ("earliest", "latest") else "latest")
    path = whole_model(tmp_path / "m.h5", userblock_size=block, libver=bounds)
    with inspector.open(path) as opened:
        assert_adds_up(opened.artifact)
        kernel, bias = opened.artifact.tensors
        assert np.array_equal(np.concatenate([*kernel.payload.blocks(16)]), DENSE_KERNEL.ravel())
        assert np.array_equal(np.concatenate([*bias.payload.blocks(16)]), DENSE_BIAS)
        assert opened.artifact.overhead.get("user block", 0) == block


@pytest.mark.parametrize("swmr", [False, True])
def test_a_file_that_its_writer_has_open_is_said_to_be_so(swmr, tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w", libver="latest") as file:
        v3 = file.create_group("layers/dense/vars")
        v3.create_dataset("0", data=DENSE_KERNEL)
        if swmr:
            file.swmr_mode = True
        file.flush()
        while_open = call(str(path))
        shutil.copy(path, tmp_path / "copy.weights.h5")
    for done in (while_open, call(str(tmp_path / "copy.weights.h5"))):
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        assert "left open for writing" in done.err
        assert "h5clear -s" in done.err
    assert call(str(path)).code == 0


def test_an_unfinished_file_of_the_older_layout_is_no_riddle(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_group("layers/dense/vars").create_dataset("0", data=DENSE_KERNEL)
        done = call(str(path))  # nothing is flushed
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
    assert call(str(path)).code == 0


def test_a_store_within_a_store(tmp_path):
    # Names of the one layout in the other: groups called "vars" and "layers" at every level.
    path = v3_store(tmp_path / "m.weights.h5", {"layers/vars/layers/layers": [DENSE_BIAS]})
    (artifact,) = api.show(path).artifacts
    assert [one.elements for one in artifact.tensors] == [3]
