"""Digests, each held against hashlib over an array that NumPy or h5py has."""

import dataclasses
import hashlib
import json
import os
import shutil
import time
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest

from inspector import api
from inspector.auditing.policy import Policy
from inspector.classify import classify
from inspector.digests import config_digest, content_digest, file_digest, own_config, tensor_digest
from inspector.errors import ArtifactError, NotFound
from inspector.limits import DEFAULT, MIB, Limits
from inspector.measure import measure_all
from inspector.measured import read_values
from inspector.model import Artifact, Layer, Role, Tensor, Verdict
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import LocalFile, MemorySource
from inspector.wire.tflite_values import Steps
from tests.builders.samples import path

SMALL = Limits(slice_bytes=64)
FEW = Limits(slice_bytes=1024)


def sha(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def of(array):
    return sha(np.ascontiguousarray(array).tobytes())


def tensor(array, name="t", **more):
    source = MemorySource(np.ascontiguousarray(array).tobytes(), "memory")
    payload = RawPayload(source, 0, array.size, array.dtype.name)
    return Tensor(name, array.dtype.name, array.shape, array.nbytes, payload=payload, **more)


class Blocks:
    def __init__(self, *blocks):
        self._blocks = blocks

    def blocks(self, max_bytes):
        yield from self._blocks


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["float32", "float64", "float16", "int8", "uint8", "int64", "bool", "complex64", "bfloat16",
     "float8_e4m3fn", "int4", "uint4"],
)  # fmt: skip
def test_a_digest_is_that_of_the_arrays_bytes(name):
    values = np.arange(-3, 120).clip(-3, 5).astype(getattr(ml_dtypes, name, name)).reshape(3, 41)
    assert tensor_digest(tensor(values), SMALL) == of(values)


def test_the_order_of_bytes_in_the_file_does_not_matter():
    values = np.arange(100, dtype="f4")
    big = Tensor("t", "float32", (100,), 400, payload=Blocks(values.astype(">f4")))
    assert tensor_digest(big) == of(values)


def test_what_stands_in_the_upper_bits_of_narrow_integers_does_not_matter():
    values = np.array([-1, 7, -8], ml_dtypes.int4)
    packed = Tensor("t", "int4", (3,), 2, payload=Blocks(values.astype("i1")))
    spread = Tensor("t", "int4", (3,), 2, payload=Blocks(values.astype("i1").view(ml_dtypes.int4)))
    assert tensor_digest(packed) == tensor_digest(spread) == of(values)


def test_texts_have_their_lengths_before_them():
    texts = np.array([b"ab", "c\u00e9", b""], object)
    expected = b""
    for text in (b"ab", b"c\xc3\xa9", b""):
        expected += len(text).to_bytes(8, "little") + text
    held = Tensor("t", "string", (3,), 6, payload=Blocks(texts[:1], texts[1:]))
    assert tensor_digest(held) == sha(expected)


def test_without_values_there_is_none():
    assert tensor_digest(Tensor("t", "float32", (2,), 8)) is None


def test_values_that_are_nowhere_have_one_up_to_the_limit():
    few = Tensor("t", "float32", (1000,), 0, payload=FilledPayload(1000, 1.5, "float32"))
    assert tensor_digest(few) == of(np.full(1000, 1.5, "f4"))
    many = Tensor("t", "float32", (1 << 40,), 0, payload=FilledPayload(1 << 40, 0.0, "float32"))
    assert tensor_digest(many) is None


def test_arrays_written_by_h5py_have_the_digests_of_the_arrays(tmp_path):
    made = np.random.default_rng(0)
    arrays = {
        "plain": made.normal(size=(50, 70)).astype("f4"),
        "chunked": made.normal(size=(50, 70)).astype("f4"),
        "big_endian": made.integers(0, 99, (30,)).astype(">i4"),
        "half": made.normal(size=(9, 9)).astype("f2"),
    }
    file = str(tmp_path / "a.weights.h5")
    with h5py.File(file, "w") as out:
        group = out.create_group("layers/dense/vars")
        for at, (name, array) in enumerate(arrays.items()):
            how = {"chunks": (7, 7), "compression": "gzip"} if name == "chunked" else {}
            group.create_dataset(str(at), data=array, **how)
    with api.open(file) as opened:
        found = [tensor_digest(one) for one in opened.artifact.tensors]
    little = [one.astype(one.dtype.newbyteorder("<")) for one in arrays.values()]
    assert found == [of(one) for one in little]


# --- files ---------------------------------------------------------------------------------------


def test_a_file_is_read_in_parts(tmp_path):
    data = os.urandom(3 * MIB + 17)
    (tmp_path / "a").write_bytes(data)
    assert file_digest(str(tmp_path / "a")) == sha(data)
    (tmp_path / "empty").write_bytes(b"")
    assert file_digest(str(tmp_path / "empty")) == sha(b"")
    with pytest.raises(NotFound):
        file_digest(str(tmp_path / "none"))


# --- all of an artifact --------------------------------------------------------------------------


def rewritten(source, target, **how):
    """Every dataset and attribute of an HDF5 file, written anew in another way."""
    with (
        h5py.File(source) as old,
        h5py.File(target, "w", track_order=how.pop("track", False)) as new,
    ):

        def copy(name, node):
            if isinstance(node, h5py.Group):
                made = new.require_group(name)
            else:
                plain = {} if node.shape == () else how
                made = new.create_dataset(name, data=node[()], track_times=True, **plain)
            for key in node.attrs:
                made.attrs[key] = node.attrs[key]

        for key in reversed(list(old.attrs)):
            new.attrs[key] = old.attrs[key]
        old.visititems(copy)


def shown(file, **more):
    return api.show(str(file), digest=True, **more).artifacts[0]


def test_the_same_array_written_twice_at_two_times_is_the_same_content(tmp_path):
    """A data set's times are whole seconds: the files differ, what is in them does not."""
    for name in "ab":
        with h5py.File(tmp_path / f"{name}.weights.h5", "w") as out:
            values = np.arange(12, dtype="f4").reshape(3, 4)
            out.create_dataset("layers/dense/vars/0", data=values, track_times=True)
        time.sleep(1.1)
    a, b = (shown(tmp_path / f"{name}.weights.h5") for name in "ab")
    assert a.files[0].digest != b.files[0].digest
    assert a.content_digest == b.content_digest
    assert a.tensors[0].digest == of(np.arange(12, dtype="f4"))


@pytest.mark.parametrize("how", [{}, {"chunks": True}, {"compression": "gzip", "shuffle": True}])
def test_storage_does_not_matter(tmp_path, how):
    target = tmp_path / "again.h5"
    rewritten(path("pruned.h5"), target, **how)
    a, b = shown(path("pruned.h5")), shown(target)
    assert a.files[0].digest != b.files[0].digest
    assert a.content_digest == b.content_digest
    assert {one.digest for one in a.tensors} == {one.digest for one in b.tensors}


def test_the_date_and_the_order_of_a_zips_members_do_not_matter(tmp_path):
    target = tmp_path / "again.keras"
    with zipfile.ZipFile(path("k3.keras")) as old, zipfile.ZipFile(target, "w") as new:
        for info in reversed(old.infolist()):
            again = zipfile.ZipInfo(info.filename, (1999, 1, 2, 3, 4, 6))
            new.writestr(again, old.read(info), zipfile.ZIP_DEFLATED)
    assert shown(target).content_digest == shown(path("k3.keras")).content_digest


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("stripped.h5", "stripped.keras"),
        ("stripped.h5", "saved_stripped"),
        ("stripped.h5", "stripped_weights.h5"),
        ("k3.h5", "k3.keras"),
        ("frozen_tiny.pb", "frozen_tiny.pbtxt"),
    ],
)
def test_one_model_in_two_formats_is_the_same_content_where_names_are_the_same(a, b):
    assert shown(path(a)).content_digest == shown(path(b)).content_digest


def test_one_value_makes_other_content(tmp_path):
    shutil.copy(path("stripped.h5"), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["model_weights/dense/dense/kernel:0"][3, 4] += 1
    before, after = shown(path("stripped.h5")), shown(tmp_path / "a.h5")
    assert before.content_digest != after.content_digest
    changed = [
        one.name for one, other in zip(before.tensors, after.tensors, strict=True)
        if one.digest != other.digest
    ]  # fmt: skip
    assert changed == ["model_weights/dense/dense/kernel:0"]


def artifact(*tensors):
    return Artifact("a", "keras-h5", "made by hand", (), tensors, {})


def content(*tensors, roles=None, **verdicts):
    digests = {one.name: tensor_digest(one) for one in tensors}
    found = {
        one.name: verdicts.get(
            one.name, Verdict((roles or {}).get(one.name, Role.WEIGHT), "", "", "")
        )
        for one in tensors
    }
    return content_digest(artifact(*tensors), found, digests)


KERNEL = tensor(np.arange(4, dtype="f4"), "a", layer="dense", variable="kernel")


def test_where_a_tensor_stands_does_not_matter_and_what_it_is_does():
    moved = dataclasses.replace(KERNEL, name="elsewhere")
    assert content(KERNEL) == content(moved)
    assert content(KERNEL) != content(dataclasses.replace(KERNEL, variable="bias"))
    assert content(KERNEL) != content(KERNEL, roles={"a": Role.STATISTIC})
    flat = dataclasses.replace(KERNEL, shape=(2, 2))
    assert content(KERNEL) != content(flat)


def test_a_copy_counts_only_where_it_differs():
    same = tensor(np.arange(4, dtype="f4"), "copy")
    other = tensor(np.arange(4, 8).astype("f4"), "copy")
    alias = Verdict(Role.ALIAS, "", "", "", alias_of="a")
    assert content(KERNEL, same, copy=alias) == content(KERNEL)
    assert content(KERNEL, other, copy=alias) != content(KERNEL)


def test_slots_are_told_apart_by_what_they_serve():
    bias = tensor(np.ones(4, "f4"), "b", layer="dense", variable="bias")
    slots = [tensor(np.full(4, x, "f4"), f"s{x}", variable="m") for x in (1, 2)]

    def served(*by):
        return {
            f"s{x}": Verdict(Role.OPTIMIZER_SLOT, "", "", "", about=name)
            for x, name in zip((1, 2), by, strict=True)
        }

    assert content(KERNEL, bias, *slots, **served("a", "b")) != content(
        KERNEL, bias, *slots, **served("b", "a")
    )


def test_scales_are_a_part_of_the_content():
    def scaled(scale):
        real = Steps((4,), np.full(1, scale), np.zeros(1), (-127, 127))
        return content(dataclasses.replace(tensor(np.arange(4, dtype="i1"), "a"), real=real))

    assert scaled(0.5) == scaled(0.5)
    assert scaled(0.5) != scaled(0.25)


def test_there_is_none_where_values_are_missing():
    assert content(dataclasses.replace(KERNEL, payload=None)) is None


def test_what_cannot_be_read_has_no_digest_and_is_told(tmp_path):
    folder = tmp_path / "ckpt"
    folder.mkdir()
    shutil.copy(path("ckpt_sharded.index"), folder / "c.index")
    shutil.copy(path("ckpt_sharded.data-00000-of-00002"), folder / "c.data-00000-of-00002")
    found = shown(folder / "c", measure=False)
    assert found.content_digest is None
    assert any(one.digest is None for one in found.tensors)


# --- configs -------------------------------------------------------------------------------------


def test_a_config_digest_is_that_of_its_json():
    config = {"name": "dense", "units": 3, "activation": "relu", "shared_object_id": 7}
    layer = Layer("dense", "dense", "Dense", config=config)
    expected = json.dumps({"activation": "relu", "units": 3}, separators=(",", ":"))
    assert config_digest(layer) == sha(expected.encode())


def test_layers_inside_are_left_out_of_a_config():
    inner = Layer(
        "wrap/dense", "dense", "Dense", attr="layer", config={"name": "dense", "units": 3}
    )
    node = {"class_name": "Dense", "config": inner.config, "module": "keras.layers"}
    wrapper = Layer(
        "wrap",
        "wrap",
        "TimeDistributed",
        config={"name": "wrap", "layer": node, "dtype": "float32"},
        children=(inner,),
    )
    assert own_config(wrapper) == {"layer": {"class_name": "Dense"}, "dtype": "float32"}


def test_a_wrappers_row_has_the_config_of_what_it_wraps(tmp_path):
    """A changed activation inside a wrapper is seen in the one row that both share."""
    shutil.copy(path("pruned.h5"), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        text = file.attrs["model_config"]
        assert '"activation": "relu"' in text
        file.attrs["model_config"] = text.replace('"activation": "relu"', '"activation": "tanh"', 1)
    before, after = shown(path("pruned.h5")), shown(tmp_path / "a.h5")
    changed = [
        one.name for one, other in zip(before.layers, after.layers, strict=True)
        if one.config_digest != other.config_digest
    ]  # fmt: skip
    assert changed == ["prune_low_magnitude_dense"]
    assert before.content_digest == after.content_digest


def test_digests_are_made_only_when_asked_for():
    found = json.loads(json.dumps(report_of("stripped.h5")))
    assert "content_digest" not in found
    assert all("digest" not in one for one in found["tensors"] + found["files"])


def report_of(name):
    import msgspec

    return msgspec.to_builtins(api.show(path(name))).get("artifacts")[0]


def test_content_goes_by_the_verdicts_of_the_artifact():
    with api.open(path("stripped.h5")) as opened:
        held = opened.artifact
        digests = {one.name: tensor_digest(one, DEFAULT) for one in held.tensors}
        found = content_digest(held, classify(held).verdicts, digests)
    assert found == shown(path("stripped.h5")).content_digest


def test_a_checksum_that_fails_is_no_reason_to_stop(tmp_path):
    """Values that are not those written have a digest of what is there, and a problem says so."""
    for name in ("ckpt_adam.index", "ckpt_adam.data-00000-of-00001"):
        shutil.copy(path(name), tmp_path / name)
    with open(tmp_path / "ckpt_adam.data-00000-of-00001", "r+b") as file:
        file.seek(0)
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    found = shown(tmp_path / "ckpt_adam")
    assert found.content_digest not in (None, shown(path("ckpt_adam")).content_digest)
    assert any(one.code == "checksum-mismatch" for one in found.problems)


def test_unreadable_values_raise_from_the_tensor_alone():
    class Broken:
        def blocks(self, max_bytes):
            raise ArtifactError("no more", "a")
            yield

    with pytest.raises(ArtifactError):
        tensor_digest(Tensor("t", "float32", (2,), 8, payload=Broken()))


# --- in the pass that measures -------------------------------------------------------------------


class Filled(Blocks):
    """Blocks that are one value over and over, as a chunk that was never written is."""

    def __init__(self, value, size):
        super().__init__(np.broadcast_to(value, (size,)), np.broadcast_to(value, (3,)))


DTYPES = [
    "float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "int8", "uint8", "int16",
    "int64", "uint64", "bool", "complex64", "longdouble", "int4", "uint4", ">f4", ">i2",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_digest_taken_while_measuring_is_that_of_the_bytes(dtype):
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    random = np.random.default_rng(7)
    tensors, arrays = [], {}
    for shape in [(), (1,), (0,), (5,), (33, 65), (3, 4, 5, 6), (7, 999)]:
        values = (random.standard_normal(shape) * 3).clip(0 if kind.kind in "ub" else -3, 3)
        values = np.asarray(values).astype("i1" if "int4" in dtype else "f8").astype(kind)
        if kind.kind == "f" and values.size > 100:
            values.reshape(-1)[:3] = [np.nan, np.inf, -0.0]  # no small one, in another pass
        one = tensor(values, str(shape))
        if not kind.isnative:
            swapped = RawPayload(MemorySource(values.tobytes(), "m"), 0, values.size, dtype)
            one = dataclasses.replace(one, dtype=kind.newbyteorder("=").name, payload=swapped)
        tensors.append(one)
        arrays[one.name] = values.astype(kind.newbyteorder("<"))
    for threads, thorough in ((1, False), (2, True)):
        found, failed = measure_all(tensors, FEW, threads, thorough=thorough, digests=True)
        assert not failed
        assert {name: one.digest for name, one in found.items()} == {
            name: of(values) for name, values in arrays.items()
        }
    assert all(one.digest is None for one in measure_all(tensors, FEW)[0].values())


def test_the_digest_of_one_value_over_and_over_is_of_all_of_them():
    block = Tensor("t", "float32", (4_000_003,), 0, payload=Filled(np.float32(1.5), 4_000_000))
    fill = Tensor("f", "int64", (1000,), 0, payload=FilledPayload(1000, 7, "int64"))
    many = Tensor("m", "float32", (1 << 40,), 0, payload=FilledPayload(1 << 40, 0.0, "float32"))
    found = read_values([block, fill, many], DEFAULT, 1, lambda _: None, digests=True)
    assert found.digests == {
        "t": of(np.full(4_000_003, 1.5, "f4")),
        "f": of(np.full(1000, 7, "i8")),
        "m": None,
    }
    assert found.digests == {one.name: tensor_digest(one) for one in (block, fill, many)}


def test_values_that_are_no_numbers_are_read_for_their_digest_alone():
    texts = Tensor("s", "string", (2,), 2, payload=Blocks(np.array([b"a", b"bc"], object)))
    void = Tensor("v", "float32", (2,), 2, payload=Blocks(np.array([b"a", b"b"], "S1")))
    nothing = Tensor("n", "float32", (2,), 8)
    found = read_values([texts, void, nothing], DEFAULT, 1, lambda _: None, digests=True)
    assert found.found == {}
    assert found.digests == {
        "s": tensor_digest(texts), "v": tensor_digest(void), "n": None
    }  # fmt: skip
    assert None not in (found.digests["s"], found.digests["v"])


def test_bytes_that_were_changed_have_a_digest_and_bytes_that_are_missing_have_none(tmp_path):
    ckpt = tmp_path / "c"
    for name in ("index", "data-00000-of-00001"):
        shutil.copy(f"{path('ckpt_adam')}.{name}", f"{ckpt}.{name}")
    data = f"{ckpt}.data-00000-of-00001"
    with open(data, "r+b") as file:
        file.write(b"\x01\x02\x03\x04")
    damaged = shown(ckpt)
    assert "checksum-mismatch" in [one.code for one in damaged.problems]
    with api.open(str(ckpt)) as opened:
        expected = {one.name: tensor_digest(one) for one in opened.artifact.tensors}
    assert {one.name: one.digest for one in damaged.tensors} == expected
    source = MemorySource(bytes(8), "m")
    short = Tensor("t", "float32", (9,), 36, payload=RawPayload(source, 0, 9, "float32"))
    found = read_values([short], DEFAULT, 1, lambda _: None, digests=True)
    assert found.digests == {"t": None}
    assert [one.message.partition(":")[0] for one in found.problems.values()] == [
        "t was not measured"
    ]


def counting(read, real):
    def noted(self, offset, what):
        read.append(what if isinstance(what, int) else what.nbytes)
        return real(self, offset, what)

    return noted


def counted(monkeypatch):
    """Counts bytes that are read of files."""
    read = []
    for name in ("_read", "readinto"):
        monkeypatch.setattr(LocalFile, name, counting(read, getattr(LocalFile, name)))
    return read


def test_a_large_file_is_read_once_for_its_measures_and_digests(tmp_path, monkeypatch):
    file = str(tmp_path / "a.weights.h5")
    values = np.random.default_rng(1).standard_normal((8, 1 << 18)).astype("f4")
    with h5py.File(file, "w") as out:
        for at in range(3):  # the last two are equal: by their digests, not by reading them again
            out.create_dataset(f"layers/dense_{at}/vars/0", data=values + (at > 0))
    size = os.path.getsize(file)
    read = counted(monkeypatch)
    (audited,) = api.audit(file, digest=True, policy=Policy()).artifacts
    assert [one.digest for one in audited.tensors] == [
        of(values), of(values + 1), of(values + 1)
    ]  # fmt: skip
    assert size <= sum(read) < size + 2 * MIB
    read.clear()
    api.show(file, digest=True)  # and once more for the file's own
    assert sum(read) < 2 * size + 2 * MIB
