"""Files as Keras writes them, read without libhdf5: held to what libhdf5 says of the same bytes."""

import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from inspector.errors import InspectorError
from inspector.limits import DEFAULT
from inspector.storage import MemorySource
from inspector.wire import hdf5
from inspector.wire.hdf5 import Dataset, Hdf5File
from inspector.wire.hdf5_plain import read_plain
from inspector.wire.hdf5_plain_heaps import Unusual
from inspector.wire.hdf5_superblock import read_superblock
from tests.builders.samples import SAMPLES

STORES = sorted(Path(SAMPLES).glob("*.h5"))


def facts(nodes):
    """All that is known of the objects of a file, in their order."""
    return [
        (type(one).__name__, one.path, address, list(one.attributes.items()), _held(one))
        for address, one in nodes.items()
    ]


def _held(one):
    if not isinstance(one, Dataset):
        return [(link.name, link.kind, link.target.address) for link in one.links.values()]
    payload = (one.payload.offset, one.payload.count, one.payload.dtype)
    return one.dtype, one.size, one.shape, one.stored, one.storage, one.extents, one.links, payload


def plain(content):
    """(objects, bytes of structure); None where the file is left to libhdf5."""
    source = MemorySource(content, "a.h5")
    try:
        found = read_plain(source, DEFAULT, read_superblock(source))
    except Unusual:
        return None
    return facts(found.nodes), found.structure_bytes


def by_libhdf5(content, monkeypatch):
    """The same of libhdf5; the error or the problems where it is not content."""

    def refuse(*_):
        raise Unusual

    with monkeypatch.context() as patched:
        patched.setattr(hdf5, "read_plain", refuse)
        try:
            with Hdf5File(MemorySource(content, "a.h5")) as file:
                return file.problems or (facts(file.objects), file.structure_bytes)
        except InspectorError as error:
            return error


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.name)
def test_samples_of_keras_are_read_as_libhdf5_reads_them(path, monkeypatch):
    content = path.read_bytes()
    found = plain(content)
    assert found is not None
    assert found == by_libhdf5(content, monkeypatch)


def written(tmp_path, fill, **options):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return path.read_bytes()


def test_every_type_of_number_has_numpys_name(tmp_path, monkeypatch):
    names = ["|i1", "|u1", *(f"{o}{k}{n}" for o in "<>" for k in "iu" for n in (2, 4, 8))]
    names += [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)]

    def fill(file):
        for name in names:
            file[f"{name[1:]}{'<>|'.index(name[0])}"] = np.ones((2, 3), name)
        file["scalar"] = np.float32(1)

    content = written(tmp_path, fill)
    found = plain(content)
    assert found is not None
    assert found == by_libhdf5(content, monkeypatch)
    assert sorted(one[4][0] for one in found[0] if one[0] == "Dataset") == sorted([*names, "<f4"])


def test_attributes_of_text_are_read(tmp_path, monkeypatch):
    def fill(file):
        file.attrs["one"] = "Gewicht ä"
        file.attrs["some"] = ["a", "bb", "c" * 5000]
        file.attrs["bytes"] = np.array([b"kernel", b"bias"])
        file.attrs["single"] = np.bytes_(b"2.15")
        file.attrs["none"] = []
        file["w"] = np.ones(2, "<f4")
        file["w"].attrs["dtype"] = "bfloat16"

    content = written(tmp_path, fill)
    found = plain(content)
    assert found is not None
    assert found == by_libhdf5(content, monkeypatch)
    values = {name: one.value for name, one in found[0][0][3]}
    assert values == {
        "one": "Gewicht ä",
        "some": ("a", "bb", "c" * 5000),
        "bytes": ("kernel", "bias"),
        "single": "2.15",
        "none": (),
    }


def test_groups_of_any_size_are_read(tmp_path, monkeypatch):
    def fill(file):
        file["0"] = np.ones(3)
        for size in (0, 1, 8, 9, 300, 3000):  # trees of one level and of two
            group = file.create_group(f"layers/{size}")
            for index in random.Random(size).sample(range(size), size):
                group[f"dense_{index}"] = file["0"]

    content = written(tmp_path, fill)
    found = plain(content)
    assert found is not None
    assert found == by_libhdf5(content, monkeypatch)


UNUSUAL = {
    "chunked": lambda file: file.create_dataset("d", data=np.ones(9), chunks=(4,)),
    "compressed": lambda file: file.create_dataset("d", data=np.ones(9), compression="gzip"),
    "never written": lambda file: file.create_dataset("d", (9,), "f4"),
    "text": lambda file: file.create_dataset("d", data="text"),
    "compound": lambda file: file.create_dataset("d", data=np.ones(2, "i4,f4")),
    "truth": lambda file: file.create_dataset("d", data=np.ones(2, bool)),
    "nothing": lambda file: file.create_dataset("d", data=h5py.Empty("f4")),
    "soft link": lambda file: file.update(d=h5py.SoftLink("/e")),
    "external link": lambda file: file.update(d=h5py.ExternalLink("b.h5", "/e")),
    "type": lambda file: file.update(d=np.dtype("f4")),
    "numbers in an attribute": lambda file: file.attrs.update(d=np.arange(3)),
    "order of creation": lambda file: file.create_group("d", track_order=True),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_unusual_is_left_to_libhdf5(what, tmp_path):
    assert plain(written(tmp_path, UNUSUAL[what])) is None


@pytest.mark.parametrize("options", [{"libver": "latest"}, {"userblock_size": 512}], ids=str)
def test_other_layouts_are_left_to_libhdf5(options, tmp_path):
    assert plain(written(tmp_path, lambda file: file.update(d=np.ones(3)), **options)) is None


def test_a_damaged_file_is_read_as_libhdf5_reads_it_or_not_at_all(monkeypatch):
    """One to three bytes of its structure are others: nothing is read that libhdf5 would refuse."""
    content = Path(SAMPLES, "pruned.weights.h5").read_bytes()
    with Hdf5File(MemorySource(content, "a.h5")) as file:
        values = {at for d in file.datasets() for e in d.extents for at in range(*_range(e))}
    structure = [at for at, byte in enumerate(content) if byte and at not in values]
    chance, read = random.Random(3), 0
    for _ in range(150):
        damaged = bytearray(content)
        for at in chance.sample(structure, chance.choice((1, 1, 2, 3))):
            damaged[at] = chance.choice((0, 1, 255, damaged[at] ^ 1 << chance.randrange(8)))
        found = plain(bytes(damaged))
        if found is not None:
            read += 1
            assert found == by_libhdf5(bytes(damaged), monkeypatch)
    assert read  # a name that is another name is as good


def _range(extent):
    return extent.offset, extent.offset + extent.length
