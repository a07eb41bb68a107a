"""Files cut short, with a byte changed, or with a lie in them: none does any harm.

Each input ends in a report whose bytes add up, or is refused in a line, in bounds of time and
memory. Each sample is tried in 200 cuts and 500 changes (some large ones in a quarter), and in some
lies, in the files of tests beside this one (`fuzz.harmless`); `make fuzz-samples` has more lies,
and does more with each input. Each group has a process of its own, since libhdf5 may crash or hang
where Python cannot reach.
"""

import contextlib
import random
import struct

import h5py
import numpy as np
import pytest

from tests.builders.bundles import masked
from tests.builders.hdf5 import DENSE_BIAS, whole_model
from tests.builders.keras import keras_zip, members, npz_weights
from tests.builders.samples import KERAS, NAMES, TENSORFLOW, TFLITE, path
from tests.corrupt.hdf5 import content_of
from tests.fuzz.batch import run
from tests.fuzz.changes import Share, changes
from tests.fuzz.copies import copied, files_of
from tests.fuzz.harmless import SECONDS, assert_harmless, groups
from tests.fuzz.lies import hdf5, lie, tables
from tests.fuzz.lies.protobuf import scan

OF_HAND_MADE = Share(cuts=20, bytes=100, lies=150)


def filtered(group: h5py.Group, name: str) -> None:
    values = np.arange(200, dtype="f4").reshape(20, 10)
    group.create_dataset(
        name, data=values, chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True
    )


def chunked(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, data=np.arange(200, dtype="f4").reshape(20, 10), chunks=(4, 4))


LAYERS = {
    "dense": {"dense/kernel:0": filtered, "dense/bias:0": DENSE_BIAS, "dense/other:0": chunked}
}
HAND_MADE = {
    "earliest.h5": lambda path: whole_model(path, LAYERS),
    "latest.h5": lambda path: whole_model(path, LAYERS, libver="latest"),
    "block.h5": lambda path: whole_model(path, userblock_size=512),
    "npz.keras": lambda path: keras_zip(path, members(npz_weights(), "model.weights.npz")),
}


def test_every_sample_is_tried_once():
    tried = [group for family in (KERAS, TENSORFLOW, TFLITE) for group in groups(family)]
    assert sorted(name for group in tried for name in group.names) == NAMES


def test_lies_about_what_no_sample_has_are_refused(tmp_path):
    assert_harmless([str(make(tmp_path / name)) for name, make in HAND_MADE.items()], OF_HAND_MADE)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_a_sample_is_changed(name):
    """Else a share would be less than it says."""
    with copied(path(name)) as copy:
        made = list(changes(copy, Share(40, 60, 20)))
        assert len(made) == 120
        assert {one.file for one in made} == {file for file, held in copy.contents.items() if held}
        assert len(copy.contents) == len(files_of(path(name)))
        for one in made[39::40]:
            again = next(new for new in changes(copy, Share(40, 60, 20)) if new == one)
            assert again.content(copy) == one.content(copy)


def test_a_fault_is_seen_and_the_rest_goes_on(tmp_path, monkeypatch):
    """Without this, an exercise that finds nothing would say nothing."""
    script = tmp_path / "sitecustomize.py"
    script.write_text(
        "import sys\n"
        "import inspector.api as api\n"
        "show, seen = api.show, [0]\n"
        "def broken(*args, **options):\n"
        "    seen[0] += 1\n"
        "    if seen[0] == 2 and sys.argv[5] == '0':\n"  # behind the look at the sound one
        "        raise KeyError('ours')\n"
        "    return show(*args, **options)\n"
        "api.show = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = run([path("lite_float.tflite")], Share(2, 4, 0), SECONDS)
    (fault,) = outcome.faults  # the command of the first input, whose process was the first
    assert fault.number == 0
    assert "exit code 3" in fault.told
    assert "KeyError" in fault.told


def test_a_hang_is_ended_in_c_too(tmp_path, monkeypatch):
    script = tmp_path / "sitecustomize.py"
    script.write_text(
        "import tests.fuzz.exercise as exercise\n"
        "exercise.SECONDS = 1\n"
        "show = exercise.JOBS['show']\n"
        "def slow(path, original):\n"
        "    if len(open(path, 'rb').read()) < 3000:\n"
        "        sum(range(10 ** 11))\n"  # one call in C
        "    show(path, original)\n"
        "exercise.JOBS['show'] = exercise.JOBS['command'] = slow\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:.")
    outcome = run([path("lite_float.tflite")], Share(2, 2, 0), SECONDS)
    assert [fault.number for fault in outcome.faults] == [0, 1]
    assert all("over" in fault.told and "in slow" in fault.told for fault in outcome.faults)


# --- the lies ---


def test_a_checksum_of_hdf5_is_that_of_libhdf5(tmp_path):
    """Its own files hold each behind the structure: superblock 44 bytes, then 4 of checksum."""
    content = content_of(whole_model(tmp_path / "latest.h5", LAYERS, libver="latest"))
    assert hdf5.lookup3(content[:44]) == int.from_bytes(content[44:48], "little")
    assert hdf5.checked(content, 0) == 44
    header = content.index(b"OHDR")
    length = hdf5.checked(content, header)
    end = header + length
    assert hdf5.lookup3(content[header:end]) == int.from_bytes(content[end : end + 4], "little")


def test_lies_in_hdf5_mostly_open_still(tmp_path):
    """Else they would all be caught by the first check, and nothing behind it be tried."""
    content = content_of(whole_model(tmp_path / "a.h5", LAYERS, libver="latest"))
    opened = 0
    for seed in range(60):
        (tmp_path / "b.h5").write_bytes(lie(content, random.Random(seed)))
        try:
            with h5py.File(tmp_path / "b.h5"):
                opened += 1
        except OSError:
            pass
    assert opened > 30


def test_lies_in_a_table_keep_its_checksums():
    content = content_of(f"{path('ckpt_adam')}.index")
    sound = 0
    for seed in range(60):
        changed = lie(content, random.Random(seed))
        with contextlib.suppress(IndexError, struct.error):  # some lie about the index itself
            start, size = tables.handles(changed)[-1]
            end = start + size + 1
            crc = int.from_bytes(changed[end : end + 4], "little")
            sound += masked(changed[start:end]) == crc
    assert sound > 40


def test_lies_in_a_graph_are_messages_still():
    content = content_of(path("frozen_tiny.pb"))
    assert sum(bool(scan(lie(content, random.Random(seed)))) for seed in range(60)) > 40


@pytest.mark.parametrize("name", ["stripped.keras", "lite_float.tflite", "stripped.h5"])
def test_a_lie_is_the_same_for_the_same_seed(name):
    content = content_of(path(name))
    first = [lie(content, random.Random(seed)) for seed in range(20)]
    assert len(set(first)) > 10
    assert first == [lie(content, random.Random(seed)) for seed in range(20)]
