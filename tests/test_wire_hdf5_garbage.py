"""A thread that is waited for with h5py's lock in hand collects no garbage of h5py."""

from __future__ import annotations

import gc
import threading
import time

import h5py
import numpy as np
import pytest

from inspector.limits import DEFAULT
from inspector.storage import MemorySource
from inspector.wire.hdf5 import Hdf5File
from inspector.wire.hdf5_garbage import put_off

WAIT = 5  # seconds until a thread is held to be stuck


def garbage():
    """What only a collection can let go of, with an object of h5py in it."""
    ring = [h5py.h5s.create_simple((1,))]
    ring.append(ring)


class Served(MemorySource):
    """Bytes that come through a thread, which leaves rings of its own, as an event loop does."""

    stuck = False

    def view(self, offset, length):
        garbage()
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        thread.join(WAIT)
        self.stuck = self.stuck or thread.is_alive()
        return super().view(offset, length)

    def _serve(self):
        for _ in range(2 * gc.get_threshold()[0]):
            ring = []
            ring.append(ring)


@pytest.fixture
def served(tmp_path):
    """A file that libhdf5 reads."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("a/b", data=np.arange(4096.0), chunks=(64,), compression="lzf")
    return Served(path.read_bytes(), str(path))


def test_a_thread_that_brings_bytes_is_not_stuck(served):
    with Hdf5File(served, DEFAULT) as file:
        [dataset] = [one for one in file.nodes() if one.path.endswith("b")]
        values = np.concatenate(list(dataset.payload.blocks(1 << 20)))
    assert not served.stuck
    assert values.tolist() == list(range(4096))
    assert gc.isenabled()


def test_a_collection_that_has_begun_is_waited_for():
    """Here one that lets go of something slow."""
    begun, ended = threading.Event(), threading.Event()

    class Slow:
        def __init__(self):
            self.ring = self

        def __del__(self):
            begun.set()
            time.sleep(0.2)
            ended.set()

    Slow()
    thread = threading.Thread(target=gc.collect)
    thread.start()
    begun.wait(WAIT)
    with put_off():
        assert ended.is_set()
    thread.join()


def test_what_is_put_off_twice_is_put_off_until_both_are_done():
    with put_off():
        with put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_does_without_collections_still_does():
    gc.disable()
    try:
        with put_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
