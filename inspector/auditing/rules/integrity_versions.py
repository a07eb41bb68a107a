"""What the runtime that the policy names is too old, or too new, to load.

Nothing is said where the artifact, or the policy, gives no version. What Keras loads of which
version was tried with tf_keras 2.21 and Keras 3.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.keras.tfmot import is_tfmot
from inspector.model import Artifact, Flavor, Layer, Severity
from inspector.tflite.versions import Release, release_of
from inspector.words import listing, some

_VERSION = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?")
_KERAS3 = (3,)
# Formats that hold a Keras model with its config.
_WHOLE = frozenset({"keras-h5", "keras-zip", "keras-dir"})
_ARCHIVES = frozenset({"keras-zip", "keras-dir"})
# The first Keras that reads .keras files, and maps of sharded weights, and packed int4 kernels.
_ARCHIVE, _SHARDS, _INT4 = (2, 12), (3, 10), (3, 11)
# tflite-runtime is numbered as TensorFlow from its first release on; below that a number is one of
# LiteRT's own. 1.x came out beside TensorFlow 2.17 to 2.21.
_TENSORFLOWS = (2, 5)
_OWN: Mapping[int, Release] = {1: (2, 21)}
# What a config names -> the first tfmot that has it (its release notes).
_TFMOT: Mapping[str, Release] = {
    **dict.fromkeys(("ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA"), (0, 4)),
    "AllValuesQuantizer": (0, 5),
}
_SHOWN = 4


def parse(version: str | None) -> Release | None:
    """The three numbers that a version begins with: "2.16-tf" -> (2, 16, 0); None without any."""
    found = None if version is None else _VERSION.match(version)
    return None if found is None else tuple(int(one or 0) for one in found.groups())


def in_words(release: Release) -> str:
    """(2, 9) -> "2.9"."""
    return ".".join(map(str, release))


def _keras(context: Context) -> Iterator[Found]:
    artifact, named = context.seen.artifact, context.policy.runtime.keras
    runtime = parse(named)
    if runtime is None:
        return
    loads = f"the policy's runtime is Keras {named}"
    for what, first in _needs(artifact):
        if runtime < first:
            yield Found(f"{what}, which Keras reads from {in_words(first)} on; {loads}")
    if artifact.format == "saved-model" and runtime >= _KERAS3:
        yield Found(
            f"a SavedModel, which Keras 3 does not load; {loads}",
            evidence="keras.models.load_model refuses the format; keras.layers.TFSMLayer runs a"
            " signature of it",
            severity=Severity.WARNING,
        )
    if artifact.format in _WHOLE:
        yield from _written(artifact, runtime, loads)


def _needs(artifact: Artifact) -> Iterator[tuple[str, Release]]:
    """(what is in the artifact, the first Keras that reads it)."""
    if artifact.format in _ARCHIVES:
        yield "a .keras archive", _ARCHIVE
    if artifact.format == "keras-weights-h5" and artifact.path.endswith(".json"):
        yield "a map of sharded weights", _SHARDS
    keras = artifact.format in _WHOLE or artifact.format == "keras-weights-h5"
    if keras and any(tensor.keras_elements is not None for tensor in artifact.tensors):
        yield "packed int4 kernels", _INT4


def _written(artifact: Artifact, runtime: Release, loads: str) -> Iterator[Found]:
    """What wrote a whole model, held against what is to load it."""
    producer = artifact.producer
    writer = None if producer is None else parse(producer.version)
    if producer is None or writer is None:
        return
    said = f"written by {producer.name} {producer.version}; {loads}"
    ours, theirs = _major(writer, producer.flavor), _major(runtime, None)
    if ours == 3 > theirs:
        yield Found(said, evidence="Keras 2 does not know the classes and options in its config")
    elif ours < 3 <= theirs and artifact.format in _ARCHIVES:
        yield Found(
            said, evidence="Keras 3 does not take the config of Keras 2 in a .keras archive"
        )
    elif ours < 3 <= theirs:
        yield Found(
            said,
            evidence="Keras 3 loads HDF5 files of Keras 2 unless a layer has an option that was"
            " taken away (groups of DepthwiseConv2D, time_major of LSTM)",
            severity=Severity.WARNING,
        )
    elif runtime[:2] < writer[:2]:
        yield Found(
            said,
            evidence="a config may name what came with the newer version",
            severity=Severity.WARNING,
        )


def _major(version: Release, flavor: Flavor | None) -> int:
    return 3 if flavor is Flavor.KERAS3 else version[0]


def _tensorflow(context: Context) -> Iterator[Found]:
    artifact, named = context.seen.artifact, context.policy.runtime.tensorflow
    runtime, producer = parse(named), artifact.producer
    if runtime is None or producer is None or producer.name != "tensorflow":
        return
    writer = parse(producer.version)
    if writer is not None and runtime[:2] < writer[:2]:
        yield Found(
            f"written by TensorFlow {producer.version}; the policy's runtime is TensorFlow {named}",
            evidence="TensorFlow loads graphs of older versions, and promises nothing of newer",
        )


def _litert(context: Context) -> Iterator[Found]:
    artifact, named = context.seen.artifact, context.policy.runtime.litert
    runtime = _as_tensorflow(parse(named))
    if artifact.format != "tflite" or runtime is None:
        return
    newer = {
        f"{one.name} version {one.version} ({in_words(first)})": first
        for one in artifact.operators
        if not one.custom and one.version is not None
        if (first := release_of(one.name, one.version)) is not None and first > runtime
    }
    said = parse(artifact.runtime)
    if not newer and (said is None or said <= runtime or said < _TENSORFLOWS):
        return
    needed = max([*newer.values(), *([said] if said is not None else [])])
    yield Found(
        f"needs LiteRT of TensorFlow {in_words(needed)}; the policy's runtime is {named}",
        evidence=some(list(newer), _SHOWN)
        if newer
        else f"min_runtime_version {artifact.runtime} in its metadata",
    )


def _as_tensorflow(runtime: Release | None) -> Release | None:
    """The newest TensorFlow whose operators a runtime can have; None where that is not known."""
    if runtime is None or runtime >= _TENSORFLOWS:
        return runtime
    return _OWN.get(runtime[0])


def _tfmot(context: Context) -> Iterator[Found]:
    artifact, runtime = context.seen.artifact, context.policy.runtime
    if artifact.model is None or artifact.format not in _WHOLE:
        return
    wrapped = [one for one in artifact.model.walk() if is_tfmot(one)]
    keras = parse(runtime.keras)
    if wrapped and keras is not None and keras >= _KERAS3:
        classes = sorted({one.class_name for one in wrapped})
        yield Found(
            f"{listing(classes)} of tfmot; the policy's runtime is Keras {runtime.keras}",
            evidence="tfmot's wrappers are layers of tf_keras, which Keras 3 does not load",
        )
    tfmot = parse(runtime.tfmot)
    for name in sorted(_named(wrapped)) if tfmot is not None else ():
        if tfmot is not None and tfmot < _TFMOT[name]:
            yield Found(
                f"{name}, which tfmot has from {in_words(_TFMOT[name])} on; the policy's runtime is"
                f" tfmot {runtime.tfmot}"
            )


def _named(wrapped: Sequence[Layer]) -> set[str]:
    """The classes among wrappers, and those of their quantizers, that not every tfmot has."""
    quantizers = [one.config.get("quantizer") for one in wrapped]
    inner = [one.get("class_name") for one in quantizers if isinstance(one, Mapping)]
    return {*(one.class_name for one in wrapped), *map(str, inner)} & _TFMOT.keys()


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="integrity-keras-version",
        severity=Severity.ERROR,
        summary="The Keras that the policy names does not load the artifact.",
        explanation="Asked only where the policy has runtime.keras. Keras 2 loads nothing of Keras"
        " 3's; Keras 3 does not take .keras archives of Keras 2, HDF5 files only without options"
        " that it took away (a warning), and no SavedModel (a warning). .keras archives need 2.12,"
        " maps of sharded weights 3.10, packed int4 kernels 3.11. A newer version of the same"
        " Keras is a warning: its config may name what the runtime has not.",
        example='keras = "2.15" and a .keras archive written by Keras 3.15.1: written by keras'
        " 3.15.1; the policy's runtime is Keras 2.15.",
        fix="Save the model with the runtime's Keras, or raise runtime.keras to what loads it.",
        needs=Needs.ARTIFACT,
        check=_keras,
    ),
    AuditRule(
        code="integrity-tensorflow-version",
        severity=Severity.WARNING,
        summary="The artifact was written by a newer TensorFlow than the policy names.",
        explanation="Asked only where the policy has runtime.tensorflow, and where the artifact"
        " says which TensorFlow wrote it (SavedModels, meta graphs). TensorFlow loads what older"
        " versions wrote; of newer ones a graph may use operators or attributes that it has not."
        " The first two numbers are compared.",
        example='tensorflow = "2.15" and a SavedModel written by 2.21.0: written by TensorFlow'
        " 2.21.0; the policy's runtime is TensorFlow 2.15.",
        fix="Export with the runtime's TensorFlow, or raise runtime.tensorflow.",
        needs=Needs.ARTIFACT,
        check=_tensorflow,
    ),
    AuditRule(
        code="integrity-litert-version",
        severity=Severity.ERROR,
        summary="The LiteRT that the policy names lacks a version of an operator.",
        explanation="Asked only where the policy has runtime.litert. Each operator's version is"
        " held against the first release that has it, by the table that LiteRT's converter uses,"
        " and the file's own min_runtime_version with it. Releases are numbered as TensorFlow's and"
        " tflite-runtime's are (2.5 and later). Of LiteRT's own numbers 1.x is taken as TensorFlow"
        " 2.21 at most, and nothing is said of 2.0 to 2.4. Custom operators are not asked about.",
        example='litert = "2.14.0" and a FULLY_CONNECTED of version 12: needs LiteRT of TensorFlow'
        " 2.17; the policy's runtime is 2.14.0.",
        fix="Update the runtime, or convert with the TensorFlow that the runtime belongs to.",
        needs=Needs.ARTIFACT,
        check=_litert,
    ),
    AuditRule(
        code="integrity-tfmot-version",
        severity=Severity.ERROR,
        summary="The tfmot or the Keras that the policy names cannot load the wrappers.",
        explanation="Asked only where the policy has runtime.tfmot or runtime.keras. tfmot's"
        " wrappers are layers of tf_keras: Keras 3 does not load them. Clustering needs tfmot 0.4,"
        " the quantizer AllValuesQuantizer 0.5. What is stripped needs no tfmot.",
        example='keras = "3.10" and a pruned model: PruneLowMagnitude of tfmot; the policy\'s'
        " runtime is Keras 3.10.",
        fix="Strip the wrappers (strip_pruning, strip_clustering) before the model ships.",
        needs=Needs.ARTIFACT,
        check=_tfmot,
    ),
)
