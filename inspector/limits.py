"""Every cap on what a file may cost, in one place, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one artifact. Sizes are bytes, counts are numbers, ratios have no unit."""

    # Keras writes a model's whole config into one string; the largest seen is under 4 MiB.
    config_bytes: int = 64 * MIB
    # layer_names of a huge model is a few MiB; HDF5 attributes past this are not lists of names.
    attribute_bytes: int = 64 * MIB
    # Tensors of one artifact: the largest language models have tens of thousands.
    tensors: int = 1_000_000
    # HDF5 groups, zip members, object paths.
    nodes: int = 2_000_000
    # Depth of nested HDF5 groups, layers and JSON: past it a file is built to exhaust the stack.
    depth: int = 128
    # One measured slice: fits the level-2 cache of common machines, so each pass over it is cheap.
    slice_bytes: int = 1 * MIB
    # A compressed chunk must be decompressed whole by HDF5; beyond this it is not measured.
    chunk_bytes: int = 256 * MIB
    # Keras refuses the same shape of bomb: a declared size this many times what is stored ...
    bomb_ratio: int = 1000
    # ... and at least this large.
    bomb_bytes: int = 64 * MIB
    # A pickled npz member is scanned, opcode by opcode, and never executed.
    pickle_opcodes: int = 1_000_000
    # A zip member that is not weights (config.json, metadata.json, vocabulary) is held in memory.
    member_bytes: int = 64 * MIB
    # A deflated member cannot be mapped: it is inflated whole, and must fit beside the report.
    inflated_bytes: int = 1 * GIB
    # Deflate codes 258 bytes in 2 bits at best, 1032 to 1: a size declared past that is a lie.
    inflate_ratio: int = 1032
    # NumPy's own default cap on the literal in an .npy header.
    npy_header_bytes: int = 10_000
    # Fields of one protobuf message: half a minute of scanning. Large SavedModels have millions.
    message_fields: int = 20_000_000
    # Fields of one message that is turned into Python values whole: each costs some 100 bytes.
    parsed_fields: int = 500_000
    # Packed varints become 8 bytes each; TensorFlow keeps large constants as raw bytes instead.
    packed_bytes: int = 16 * MIB
    # A key of a table: the longest paths of variables have some hundred bytes.
    key_bytes: int = 16 * KIB
    # Keys share prefixes in the file, and not in memory: all keys of a table, spelled out.
    keys_bytes: int = 128 * MIB
    # A block of a table is inflated whole; TensorFlow writes blocks of 256 KiB.
    block_bytes: int = 64 * MIB
    # Data files of one checkpoint: a shard a parameter server.
    shards: int = 10_000
    # Slices of one tensor: a slice a parameter server, or a cell of a grid of devices.
    slices: int = 10_000
    # Steps of following a graph's values to their readers, up to five a node in real ones. Each may
    # be a use that is kept.
    graph_steps: int = 5_000_000
    # Numbers of a flatbuffer's vectors that become Python's (shapes, operators' inputs): large
    # models have some hundred thousand, and each costs some 40 bytes.
    vector_numbers: int = 4_000_000
    # How often a flatbuffer's bytes may be looked through for scales, indices and texts: sound
    # files have them once each, and they are checked a few times; any number of tables may lead to
    # one vector.
    vector_passes: int = 16
    # A saved report is held whole: a tensor takes about a kilobyte of it.
    report_bytes: int = 256 * MIB
    # Findings of one audit rule in one artifact: nobody reads more, and a file may have millions.
    findings: int = 1000
    # A policy is written by hand; TOML is parsed whole.
    policy_bytes: int = 1 * MIB
    # Reading one artifact in a process of its own, and so much more for each GiB of it: a slow disk
    # and one core read and measure a GiB in ten seconds. libhdf5 can go on for ever.
    seconds: int = 300
    gib_seconds: int = 60
    # What that process may take over what it maps: an inflated member and its copy, and the
    # report of a million tensors.
    worker_bytes: int = 4 * GIB
    # Loading with live TensorFlow, in a process of its own: the imports take ten seconds on a busy
    # machine, the largest models minutes. Code in a file could go on for ever.
    live_seconds: int = 600
    # What that process may allocate: TensorFlow takes half a GiB, a model twice its own size.
    live_bytes: int = 16 * GIB


DEFAULT = Limits()
