"""Every cap on what a file may cost, in one place, each with its reason.

They are chosen so that the process takes no more than 256 MiB of memory for an artifact, whatever
is in it, over what an idle one takes. Where a sound and large file needs more, `LimitExceeded`
says which option allows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


def _cap(default: int, unit: str, reason: str, *, so_far: bool = False, how: str = "") -> int:
    """A limit. so_far: it is counted as it is met, and what was met is not all there is. how: what
    allows a value that it refuses, where that is no option of the command line.
    """
    about = {"unit": unit, "reason": reason, "so_far": so_far, "how": how}
    return field(default=default, metadata=about)


def _bytes(default: int, reason: str, *, so_far: bool = False) -> int:
    return _cap(default, "bytes", reason, so_far=so_far)


def _number(default: int, reason: str, *, so_far: bool = True) -> int:
    return _cap(default, "", reason, so_far=so_far)


def _times(default: int, reason: str) -> int:
    return _cap(default, "times", reason)


def _seconds(default: int, reason: str) -> int:
    return _cap(default, "seconds", reason, so_far=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one artifact. Sizes are bytes, counts are numbers, ratios have no unit."""

    config_bytes: int = _bytes(
        16 * MIB,
        "Keras writes a model's whole config into one string; the largest seen is under 4 MiB.",
    )
    config_values: int = _number(
        1_000_000,
        "Values of a JSON text, by its commas and brackets: 2,000 layers have 200,000. Each takes"
        " up to 130 bytes as Python's.",
        so_far=False,
    )
    attribute_bytes: int = _bytes(
        32 * MIB,
        "All attributes of an HDF5 file: names of layers and weights of a huge model are a few"
        " MiB.",
        so_far=True,
    )
    attribute_values: int = _number(
        300_000,
        "Values of all those attributes, each some 200 bytes as Python's: a name a tensor.",
    )
    tensors: int = _number(
        66_000,
        "Tensors of one artifact: the largest language models have tens of thousands. Each takes"
        " some 3.5 KiB until it is reported.",
    )
    objects: int = _number(
        150_000, "HDF5 groups and datasets: libhdf5 takes a kilobyte for each, beside our own."
    )
    nodes: int = _number(
        500_000,
        "Links of HDF5 groups, zip members, files of a folder, nodes of a graph and their inputs,"
        " objects of an object graph: some 400 bytes each.",
    )
    depth: int = _number(
        128,
        "Nested HDF5 groups, layers, JSON, folders: past it a file is built to exhaust the stack.",
    )
    slice_bytes: int = _bytes(
        1 * MIB,
        "One measured slice: fits the level-2 cache of common machines, so each pass is cheap.",
    )
    chunk_bytes: int = _bytes(
        32 * MIB,
        "A compressed chunk must be decompressed whole by HDF5; beyond this it is not measured.",
    )
    bomb_ratio: int = _times(
        1000, "A declared size so many times what is stored, as Keras refuses it too, is a bomb ..."
    )
    bomb_bytes: int = _bytes(64 * MIB, "... where it is at least so large.")
    pickle_opcodes: int = _number(
        500_000, "A pickled npz member is scanned, opcode by opcode, and never executed."
    )
    member_bytes: int = _bytes(
        16 * MIB,
        "A zip member that is no weights (config.json, metadata.json, a vocabulary), a text, a"
        " string tensor's bytes: held in memory.",
    )
    inflated_bytes: int = _bytes(
        1 * GIB,
        "A deflated member cannot be read in places: it is inflated whole, to a temporary file"
        " where it is large.",
    )
    inflate_ratio: int = _times(
        1032,
        "Deflate codes 258 bytes in 2 bits at best, 1032 to 1: a size declared past that is a lie.",
    )
    npy_header_bytes: int = _bytes(
        10_000, "NumPy's own default cap on the literal in an .npy header."
    )
    message_fields: int = _number(
        20_000_000,
        "Fields of one protobuf message: half a minute of scanning. Large SavedModels have"
        " millions.",
    )
    parsed_fields: int = _number(
        300_000,
        "Fields of one message that is turned into Python values whole: some 100 bytes each.",
    )
    packed_bytes: int = _bytes(
        4 * MIB,
        "Packed varints become 8 bytes each; TensorFlow keeps large constants as raw bytes.",
    )
    key_bytes: int = _bytes(
        16 * KIB, "A key of a table: the longest paths of variables have some hundred bytes."
    )
    keys_bytes: int = _bytes(
        16 * MIB,
        "Names share prefixes in a file, and not in memory: all keys of a table, paths of HDF5"
        " objects or layers, texts of a flatbuffer, spelled out.",
        so_far=True,
    )
    block_bytes: int = _bytes(
        16 * MIB, "A block of a table is inflated whole; TensorFlow writes blocks of 256 KiB."
    )
    blocks_bytes: int = _bytes(
        128 * MIB,
        "Inflated blocks of a checkpoint of TensorFlow 1, which are held: they have the values.",
        so_far=True,
    )
    text_bytes: int = _bytes(
        48 * MIB,
        "A graph as text is held whole, and its binary form, which is smaller, beside it.",
    )
    shards: int = _number(
        10_000, "Data files of one checkpoint: a shard a parameter server.", so_far=False
    )
    slices: int = _number(
        10_000,
        "Slices of one tensor: a slice a parameter server, or a cell of a grid of devices.",
        so_far=False,
    )
    graph_steps: int = _number(
        5_000_000,
        "Steps of following a graph's values to their readers, up to five a node in real ones.",
    )
    uses: int = _number(
        200_000,
        "Uses of a graph's constants and variables, a few each: each kept, and reported.",
    )
    vector_numbers: int = _number(
        2_000_000,
        "Numbers of a flatbuffer's vectors that become Python's (shapes, operators' inputs): large"
        " models have some hundred thousand, and each costs some 40 bytes.",
    )
    vector_passes: int = _cap(
        16,
        "times",
        "How often a flatbuffer's bytes may be looked through for scales, indices and texts: sound"
        " files have them once each, and they are checked a few times; any number of tables may"
        " lead to one vector.",
        so_far=True,
    )
    fingerprints: int = _number(
        1_000_000,
        "Slices that are told apart by a number each where weights may have been reordered, split"
        " or fused: some 100 bytes each while they are sorted. More are not looked through.",
    )
    report_bytes: int = _bytes(
        96 * MIB, "A saved report is held whole: a tensor takes about a kilobyte of it."
    )
    report_values: int = _number(
        3_000_000,
        "Values of a saved report, by its commas and brackets: a tensor has 40. Each takes up to 60"
        " bytes as Python's.",
        so_far=False,
    )
    findings: int = _number(
        1000,
        "Findings of one audit rule in one artifact: nobody reads more, a file may have millions.",
    )
    policy_bytes: int = _bytes(1 * MIB, "A policy is written by hand; TOML is parsed whole.")
    array_bytes: int = _cap(
        256 * MIB,
        "bytes",
        "One NumPy array of a tensor's values, from Python: who wants more says how much.",
        how="numpy(max_bytes={value}) allows it",
    )
    seconds: int = _seconds(
        300,
        "Reading one artifact. A slow disk and one core read and measure a GiB in ten seconds;"
        " libhdf5 can go on for ever.",
    )
    gib_seconds: int = _seconds(60, "So many more for each GiB of the artifact.")
    memory_bytes: int = _bytes(
        240 * MIB,
        "What the process may grow by while it works on one artifact, looked at as it goes (on"
        " Linux; of the command line and its workers, not of a program that calls the API): what"
        " is under every other limit may be too much all together. The rest of 256 MiB is for what"
        " comes between two looks, and for the report's text.",
        so_far=True,
    )
    worker_bytes: int = _bytes(
        4 * GIB,
        "What a process of its own may take over the artifact's size (addresses, not memory): an"
        " inflated member and its copy, and the report.",
    )
    live_seconds: int = _seconds(
        600,
        "Loading with live TensorFlow, in a process of its own: the imports take ten seconds on a"
        " busy machine, the largest models minutes. Code in a file could go on for ever.",
    )
    live_bytes: int = _bytes(
        16 * GIB,
        "What that process may allocate: TensorFlow takes half a GiB, a model twice its size.",
    )

    def seconds_for(self, nbytes: int) -> float:
        """How long an artifact of so many bytes may take."""
        return self.seconds + self.gib_seconds * nbytes / GIB


DEFAULT = Limits()


class Cap(NamedTuple):
    """One limit, for people. unit: "bytes", "seconds", "times", or "" of a number."""

    name: str
    unit: str
    default: int
    reason: str


CAPS = tuple(
    Cap(one.name, one.metadata["unit"], getattr(DEFAULT, one.name), one.metadata["reason"])
    for one in fields(Limits)
)
_HOW: dict[str, str] = {
    one.name: one.metadata["how"] for one in fields(Limits) if one.metadata["how"]
}
_SO_FAR = frozenset(one.name for one in fields(Limits) if one.metadata["so_far"])


def remedy(name: str, value: int, limit: int) -> str:
    """How to allow what a limit refuses, as the end of a sentence.

    What was counted as it was met may have any number more behind it: twice the limit is offered.
    """
    if name in _HOW:
        return _HOW[name].format(value=value)
    if name in _SO_FAR:
        return f"--limit {name}={max(2 * limit, 1)} allows twice as many"
    return f"--limit {name}={value} allows it"
