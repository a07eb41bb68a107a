"""Bytes that no inference needs: copies, files that nothing reads, slack, tensors left over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from inspector.auditing.looks import agree, named
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.bytes_once import bytes_once
from inspector.limits import KIB
from inspector.model import Role, Severity, Tensor
from inspector.words import count, listing, percent, some

# Less than this share of an artifact, or than a page, is not worth a warning.
_SHARE, _PAGE = 0.1, 4 * KIB
# HDF5 and its libraries set aside a few KiB for what may still come.
_SLACK = 64 * KIB
# Labels of bytes that belong to nothing.
_EMPTY = ("slack", "gaps", "unused buffers", "unclaimed")
# Format -> what the names of the files begin with that loaders read.
_KERAS = ("config.json", "metadata.json", "model.weights.", "model_", "assets/")
_READ: Mapping[str, tuple[str, ...]] = {
    "keras-zip": _KERAS,
    "keras-dir": _KERAS,
    "saved-model": (
        *("saved_model.pb", "variables/variables.", "fingerprint.pb", "keras_metadata.pb"),
        *("assets/", "assets.extra/"),
    ),
}
_WHY = {"debug/": "debug info, which only error messages of the graph use"}
_DATA, _OF = ".data-", "-of-"  # in the name of a checkpoint's file of values
_SHARD = re.compile(r"[^/]+_\d{5}\.weights\.h5")  # of a weight map
# Folders that TensorFlow makes whether or not something goes into them.
_MAY_BE_EMPTY = frozenset({"assets", "assets.extra"})
_LORA = "lora_"
_LEARNED = frozenset({Role.WEIGHT, Role.STATISTIC})


def _severity(context: Context, nbytes: int) -> Severity:
    """Whether so many bytes are worth a warning in this artifact."""
    much = nbytes >= max(_PAGE, _SHARE * context.seen.artifact.nbytes)
    return Severity.WARNING if much else Severity.INFO


def _size(tensors: Sequence[Tensor]) -> str:
    elements = sum(one.elements for one in tensors)
    return f"{count(elements, 'element')}, {count(sum(one.nbytes for one in tensors), 'byte')}"


def _copies(context: Context) -> Iterator[Found]:
    seen = context.seen
    verdicts = seen.classified.verdicts
    taken = bytes_once(seen.artifact, verdicts)
    copies = [
        one
        for one in seen.artifact.tensors
        if verdicts[one.name].role is Role.ALIAS and taken[one.name]
    ]
    if not copies:
        return
    nbytes = sum(taken[one.name] for one in copies)
    originals = dict.fromkeys(verdicts[one.name].alias_of for one in copies)
    yield Found(
        f"{count(len(originals), 'variable')} {agree(len(originals), 'is', 'are')} stored again:"
        f" {count(sum(one.elements for one in copies), 'element')}, {count(nbytes, 'byte')}",
        evidence=f"{some([one.name for one in copies])};"
        f" {percent(nbytes, seen.artifact.nbytes)} of all bytes",
        severity=_severity(context, nbytes),
    )


def _files(context: Context) -> Iterator[Found]:
    seen = context.seen
    unread = dict(_unread_files(context))
    if unread:
        nbytes = sum(unread.values())
        why = [
            words for start, words in _WHY.items() if any(one.startswith(start) for one in unread)
        ]
        yield Found(
            f"{count(len(unread), 'file')} that no loader reads: {count(nbytes, 'byte')}",
            evidence="; ".join([some(list(unread), 8), *why]),
            severity=_severity(context, nbytes),
        )
    if empty := [one for one in context.contents.empty if one not in _MAY_BE_EMPTY]:
        yield Found(
            f"{count(len(empty), 'folder')} {agree(len(empty), 'is', 'are')} empty",
            evidence=some(empty, 8),
            severity=Severity.INFO,
        )
    for problem in seen.report.problems:
        if problem.code == "other-checkpoints":
            yield Found(problem.message, severity=Severity.INFO)


def _unread_files(context: Context) -> Iterator[tuple[str, int]]:
    """(name, bytes) of files in the artifact that nothing reads."""
    artifact = context.seen.artifact
    known = _READ.get(artifact.format)
    stale = _stale(context)
    around = None
    for item in context.contents.items:
        inside = around is not None and item.name.startswith(f"{around}/")  # of a zip in it
        strange = known is not None and not item.name.startswith(known)
        stray = _SHARD.fullmatch(item.name) and item.name not in context.contents.shards
        if item.name and not inside and (strange or stray or item.name in stale):
            around = item.name
            yield item.name, item.nbytes


def _stale(context: Context) -> frozenset[str]:
    """Files of a checkpoint's values that are of another number of shards than its index has."""
    artifact = context.seen.artifact
    used = {os.path.basename(one.file) for t in artifact.tensors for one in t.extents}
    data = [one.rpartition(_OF) for one in used if _DATA in one]
    stems = {stem.rpartition(_DATA)[0] for stem, _, _ in data}
    totals = {total for _, _, total in data}
    found = set()
    for item in context.contents.items:
        stem, _, total = os.path.basename(item.name).rpartition(_OF)
        if stem.rpartition(_DATA)[0] in stems and total not in totals:
            found.add(item.name)
    return frozenset(found)


def _slack(context: Context) -> Iterator[Found]:
    artifact = context.seen.artifact
    parts = {label: artifact.overhead.get(label, 0) for label in _EMPTY}
    nbytes = sum(parts.values())
    if nbytes >= max(_SLACK, _SHARE * artifact.nbytes):
        yield Found(
            f"{count(nbytes, 'byte')} of {artifact.nbytes:,} belong to nothing",
            evidence=listing([f"{label} {size:,}" for label, size in parts.items() if size]),
        )


def _unread(context: Context) -> Iterator[Found]:
    """Variables that no graph of the artifact reads, where its graphs read any."""
    seen = context.seen
    verdicts = seen.classified.verdicts
    roles = {"saved-model": _LEARNED, "tflite": _LEARNED | {Role.CONSTANT}}.get(
        seen.artifact.format
    )
    held = [one for one in seen.artifact.tensors if verdicts[one.name].role in (roles or ())]
    if not any(one.uses for one in held):
        return
    given = {
        port.tensor for one in seen.artifact.signatures for port in (*one.inputs, *one.outputs)
    }
    unread = [one for one in held if not one.uses and one.extents and one.name not in given]
    if unread:
        nbytes = sum(one.nbytes for one in unread)
        yield Found(
            f"{count(len(unread), 'tensor')} that no operator reads: {_size(unread)}",
            evidence=some([named(one) for one in unread]),
            tensor=unread[0].name if len(unread) == 1 else None,
            severity=_severity(context, nbytes),
        )


def _lora(context: Context) -> Iterator[Found]:
    seen = context.seen
    verdicts = seen.classified.verdicts
    stored = [
        one
        for one in seen.artifact.tensors
        if (one.variable or "").startswith(_LORA) and verdicts[one.name].role is Role.WEIGHT
    ]
    if stored:
        yield Found(
            f"{count(len(stored), 'LoRA matrix', 'LoRA matrices')}"
            f" {agree(len(stored), 'is', 'are')} not merged: {_size(stored)}",
            evidence=some([named(one) for one in stored]),
        )
    made = [one for one in seen.counted.extras if one.name.startswith(_LORA) and not one.referred]
    if made:
        layers = list(dict.fromkeys(one.layer for one in made))
        yield Found(
            f"loading makes {count(len(made), 'LoRA matrix', 'LoRA matrices')} of"
            f" {count(sum(one.elements for one in made), 'element')} anew",
            evidence=f"lora_rank in the config of {some(layers)};"
            " the kernels have what was learned merged in",
            severity=Severity.INFO,
        )


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="leftover-copy",
        severity=Severity.WARNING,
        summary="Variables are stored more than once.",
        explanation="Keras 3's export writes each variable under the layer and again in a list of"
        " all; wrappers of tf_keras write the kernel that they wrap again. Loading needs one of"
        " them. Only bytes that a copy takes itself count: what two names share costs nothing. It"
        " is a warning where copies take a tenth of the artifact and 4 KiB, else information. Equal"
        " values that are not known to be one variable are told by size-duplicate.",
        example="An exported model whose 4 variables of 43 elements are under layers and in"
        " _all_variables: 4 variables are stored again: 43 elements, 172 bytes.",
        fix="Strip wrappers before saving; of an export, save the functions with"
        " tf.saved_model.save from a module that holds each variable once.",
        needs=Needs.ARTIFACT,
        check=_copies,
    ),
    AuditRule(
        code="leftover-file",
        severity=Severity.WARNING,
        summary="Files ship that no loader reads.",
        explanation="Files in the folder or archive of a model that are none of its format: debug"
        " info of a SavedModel, logs, backups, notes; data files of a checkpoint that its index"
        " does not have; shards of weights that their map does not name; other checkpoints in the"
        " folder; empty folders. fingerprint.pb, assets and assets.extra"
        " are part of a SavedModel. It is a warning where they take a tenth of the artifact and"
        " 4 KiB, else information.",
        example="debug/saved_model_debug_info.pb: 1 file that no loader reads: 18,332 bytes.",
        fix="Delete them from what ships.",
        needs=Needs.ARTIFACT,
        check=_files,
    ),
    AuditRule(
        code="leftover-slack",
        severity=Severity.WARNING,
        summary="Many bytes of the files belong to nothing.",
        explanation="HDF5 keeps the space of what was deleted, with the old values in it; bytes"
        " between the tensors of a checkpoint, and buffers of a LiteRT model that no tensor has,"
        " are the same. A tenth of the artifact, and 64 KiB at least, are a finding.",
        example="A kernel of 400,000 bytes was deleted from an HDF5 file: 402,048 bytes of 812,345"
        " belong to nothing.",
        fix="Write the file anew (load and save, or h5repack).",
        needs=Needs.ARTIFACT,
        check=_slack,
    ),
    AuditRule(
        code="leftover-unread",
        severity=Severity.WARNING,
        summary="Weights are stored that no operator reads.",
        explanation="Variables of a SavedModel that none of its functions reads, and constants of a"
        " LiteRT model that are no operator's input. Nothing is said of a SavedModel whose graphs"
        " read no variable at all: it was saved without calling it. It is a warning where they take"
        " a tenth of the artifact and 4 KiB, else information.",
        example="A module that holds an auxiliary head: 2 tensors that no operator reads: 5,130"
        " elements, 20,520 bytes.",
        fix="Save a model or module that holds only what its functions use; convert it anew.",
        needs=Needs.ARTIFACT,
        check=_unread,
    ),
    AuditRule(
        code="leftover-lora",
        severity=Severity.WARNING,
        summary="LoRA matrices are stored beside the kernels, or made anew on loading.",
        explanation="enable_lora adds two matrices to a kernel. Keras merges them on saving. Where"
        " they are still apart, each call pays for them, and whoever loads the kernels alone"
        " gets the model without what was learned. A config that still names a lora_rank has them"
        " made anew on each load, which is information: count_params and memory grow by them.",
        example="lora_kernel_a (8, 2) and lora_kernel_b (2, 6): 2 LoRA matrices are not merged: 28"
        " elements, 112 bytes.",
        fix="Add alpha / rank * A @ B to the kernel, and take lora_rank out of the config.",
        needs=Needs.ARTIFACT,
        check=_lora,
    ),
)
