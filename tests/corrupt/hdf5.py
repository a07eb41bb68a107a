"""HDF5 files that break the format's rules in one place. Each function writes one at `path`."""

import struct

import h5py
import numpy as np

from tests.builders.hdf5 import (
    DENSE,
    heap_references,
    legacy_weights,
    move_dataset,
    patch,
    weights_file,
    whole_model,
)


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def heap_that_never_ends(path):
    """The last free space of a global heap has length 0: who walks the heap walks for ever."""
    content = content_of(whole_model(path))
    heap = content.index(b"GCOL")
    at, size = heap + 16, int.from_bytes(content[heap + 8 : heap + 16], "little")
    while content[at : at + 2] != b"\0\0":
        length = int.from_bytes(content[at + 8 : at + 16], "little")
        at += 16 + length + -length % 8
    assert at < heap + size
    return patch(path, (at + 8, bytes(8)))


def local_heap_of_a_terabyte(path):
    """A group's heap of names claims to be as large as a disk."""
    content = content_of(weights_file(path))
    return patch(path, (content.rindex(b"HEAP") + 8, struct.pack("<Q", 1 << 40)))


def header_of_four_gigabytes(path):
    """A dataset's object header claims 4 GiB of messages."""
    weights_file(path)
    with h5py.File(path) as file:
        address = h5py.h5o.get_info(file["dense/dense/bias:0"].id).addr
    return patch(path, (address + 8, struct.pack("<I", 0xFFFF_FFF8)))


def text_of_four_gigabytes(path):
    """An attribute's text claims 4 GiB of a heap that holds a few bytes."""
    whole_model(path)
    (place,) = heap_references(content_of(path), len("tensorflow"))[:1]
    return patch(path, (place, struct.pack("<I", 0xFFFF_FFF0)))


def text_in_one_byte(path):
    """The type of the config's text says that a reference to it has one byte, not sixteen."""
    whole_model(path)
    content = content_of(path)
    # The type's size, behind its version and class (variable length), and its kind (a text).
    kind = content.index(b"\x19\x01", content.index(b"model_config\0"))
    assert content[kind + 4 : kind + 8] == struct.pack("<I", 16)
    return patch(path, (kind + 4, struct.pack("<I", 1)))


def chunk_of_no_bytes(path):
    """The index of chunks gives one the size 0, which libhdf5 does not expect."""

    def chunked(group, name):
        group.create_dataset(name, data=np.ones((6, 10), "<f4"), chunks=(3, 10))

    weights_file(path, {"dense": {"dense/kernel:0": chunked}})
    key = struct.pack("<IIQQQ", 120, 0, 3, 0, 0)
    return patch(path, (content_of(path).index(key), bytes(4)))


def values_past_the_end(path):
    """A kernel claims bytes behind the end of the file."""
    weights_file(path)
    return move_dataset(path, "dense/dense/kernel:0", len(content_of(path)) - 4)


def values_over_the_superblock(path):
    """A bias claims the first bytes of the file."""
    return move_dataset(weights_file(path), "dense/dense/bias:0", 8)


def shape_of_four_terabytes(path):
    """Four thousand bytes that declare 4 TiB."""

    def bomb(group, name):
        group.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(64, 64), compression="gzip")

    return weights_file(path, {"dense": {"dense/kernel:0": bomb}})


def group_inside_itself(path):
    """A layer's group is also a member of its own."""
    with h5py.File(path, "w") as file:
        legacy_weights(file, DENSE)
        file["dense/dense/dense"] = file["dense"]
    return str(path)


def end_before_the_start(path):
    """The superblock's end of file lies inside the superblock."""
    return patch(whole_model(path), (40, struct.pack("<Q", 10)))


def names_that_are_a_number(path):
    """A layer's list of weights is one number."""
    weights_file(path)
    with h5py.File(path, "r+") as file:
        file["dense"].attrs["weight_names"] = np.float64(0.5)
    return str(path)


def layers_that_are_a_number(path):
    """The list of layers is one number."""
    weights_file(path)
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = 7
    return str(path)


# Function -> what is said: a problem's code, an error's class, or nothing where it is no harm.
SAID = {
    heap_that_never_ends: "unreadable-attribute",
    local_heap_of_a_terabyte: "unreadable-object",
    header_of_four_gigabytes: "unreadable-object",
    text_in_one_byte: "attribute-unread",
    text_of_four_gigabytes: "attribute-unread",
    chunk_of_no_bytes: "broken-chunks",
    values_past_the_end: "unreadable-object",
    values_over_the_superblock: None,
    shape_of_four_terabytes: "declares-more-than-it-stores",
    group_inside_itself: None,
    end_before_the_start: "Corrupt",
    names_that_are_a_number: "missing-tensor",
    layers_that_are_a_number: "missing-layer",
}
