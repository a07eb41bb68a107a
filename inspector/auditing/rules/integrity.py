"""Damage that a reader saw in an artifact that can be read all the same.

What cannot be read at all is told by `unreadable`, versions by `integrity_versions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.auditing.rules.integrity_versions import RULES as VERSIONS
from inspector.model import Severity

# Rule -> the codes of problems (`Problem.code`) that are its findings.
PROBLEMS: Mapping[str, tuple[str, ...]] = {
    "integrity-checksum": ("checksum-mismatch", "table-checksum"),
    "integrity-bounds": (
        *("past-the-end", "broken-chunks", "zip-entry-count"),
        *("bundle-entry-place", "bundle-entry-size", "bundle-shape", "bundle-shard-number"),
        *("bundle-shard-short", "bundle-overlap", "bundle-slices", "bundle-stray-slice"),
        *("slices-differ", "slices-stray", "slices-tensor"),
        *("data-does-not-fit", "negative-shape", "huge-shape", "no-such-buffer", "no-such-code"),
        *("no-such-subgraph", "no-such-tensor"),
    ),
    "integrity-missing": (
        *("shard-missing", "bundle-shard-missing", "partial-shard", "variables-missing"),
        *("missing-layer", "missing-tensor", "missing-node", "no-weights", "asset-missing"),
        "checkpoint-state",
    ),
    "integrity-values": (
        *("unreadable-values", "unreadable-object", "member-unreadable", "member-too-large"),
        *("weights-unreadable", "shard-unreadable", "variables-unreadable", "constant-unreadable"),
        *("chunk-too-large", "filter-unavailable", "bundle-dtype", "variable-length"),
    ),
    "integrity-config": (
        *("config-unreadable", "layer-not-in-config", "metadata", "keras-metadata", "meta-graph"),
        *("object-graph", "attribute-unread", "unreadable-attribute"),
    ),
    "integrity-structure": (
        *("bundle-duplicate-key", "bundle-entry", "bundle-gaps", "table-footer", "table-gaps"),
        *("duplicate-node", "no-identifier", "schema-version", "no-subgraph", "read-before-made"),
        *("subgraph-runs-itself", "more-faults", "associated-files", "repeated-tags", "odd-name"),
        *("unlisted-tensor", "zip-descriptor"),
    ),
    "integrity-copies": ("copy-differs",),
    "integrity-size": ("total-size-differs",),
}
# Problems that rules of other families judge, by what they look at themselves.
ELSEWHERE = frozenset(
    {
        *("external-link", "external-storage", "virtual-dataset", "soft-link", "symbolic-link"),
        *("odd-file", "asset-outside", "declares-more-than-it-stores", "vocabulary-copy"),
        *("zip-bomb", "zip-duplicate-name", "zip-encrypted", "zip-headers-disagree"),
        *("zip-overlap", "zip-prepended-data", "zip-trailing-data", "zip-unsafe-name"),
        "mask-not-binary",
        "quantization-does-not-fit",
        "equal-tensors",
    }
)
# Facts that a reader of the report should know; nothing about them is wrong.
HARMLESS = frozenset(
    {
        *("made-on-load", "shared-layer", "not-a-keras-weight", "linked-tensor", "big-endian"),
        *("part-of-saved-model", "other-checkpoints", "trainable-differs"),
        *("unknown-fields", "variables-elsewhere", "values-elsewhere", "no-version"),
    }
)
_RULE_OF = {code: rule for rule, codes in PROBLEMS.items() for code in codes}
# Where an error goes that no list has: none may pass because it is new.
_REST = "integrity-structure"


def _told(rule: str) -> Callable[[Context], Iterator[Found]]:
    """A check that finds the problems of a rule, as severe as the reader said."""

    def check(context: Context) -> Iterator[Found]:
        for problem in context.seen.report.problems:
            known = problem.code in ELSEWHERE or problem.code in HARMLESS
            rest = _REST if problem.severity is Severity.ERROR and not known else None
            if _RULE_OF.get(problem.code, rest) == rule:
                yield Found(
                    problem.message,
                    evidence=f"problem {problem.code}",
                    path=None if problem.path == context.path else problem.path,
                    offset=problem.offset,
                    severity=problem.severity,
                )

    return check


def _rule(code: str, summary: str, why: str, example: str, fix: str) -> AuditRule:
    of = ", ".join(PROBLEMS[code])
    return AuditRule(
        code=code,
        severity=Severity.WARNING if code in _MILD else Severity.ERROR,
        summary=summary,
        explanation=f"{why} Problems of the report that count: {of}; each is as severe here as it"
        " is there.",
        example=example,
        fix=fix,
        needs=Needs.ARTIFACT,
        check=_told(code),
    )


_MILD = frozenset({"integrity-copies", "integrity-size"})

RULES: tuple[AuditRule, ...] = (
    _rule(
        "integrity-checksum",
        "Stored bytes do not have the checksum that the file gives.",
        "A checkpoint has a crc32c of each tensor and of each block of its index. Where one does"
        " not hold the bytes were changed after saving, by a bad disk or by hand, and TensorFlow"
        " refuses to load them. Checksums of tensors are held only where values are read (not"
        " with --no-measure).",
        "One bit of variables.data-00000-of-00001 is flipped: w was not measured: its bytes do not"
        " have the checksum that the file gives.",
        "Copy the files again from where they were saved, or save the model anew.",
    ),
    _rule(
        "integrity-bounds",
        "Something lies outside the file, overlaps, or has a size that does not fit.",
        "Offsets, sizes and indices in a file lead to other parts of it. One that leads past the"
        " end, into another tensor, or to an entry that is not there is damage or an attack:"
        " runtimes crash on it, or compute with bytes that are not the tensor's.",
        "A TFLite operator with input 9 of 4 tensors: operator 0 of subgraph 0 has inputs (9) of 4"
        " tensors.",
        "Copy the file again or save the model anew; do not load it where a crash matters.",
    ),
    _rule(
        "integrity-missing",
        "Parts that the artifact promises are not there.",
        "A config, an index or a list names layers, tensors, shards or assets that the artifact has"
        " not. What loads it fails, or goes on with weights as they were made.",
        "A checkpoint of two shards whose second file was not copied.",
        "Copy the missing files beside the others, or save the model anew.",
    ),
    _rule(
        "integrity-values",
        "Values of a tensor cannot be read.",
        "The rest of the artifact was read, and nothing can be said of these values: the audit did"
        " not see them.",
        "A gzip chunk of an HDF5 dataset that cannot be inflated.",
        "Copy the file again, or save the model anew without the filter.",
    ),
    _rule(
        "integrity-config",
        "What says which values are what cannot be read.",
        "Keras builds the model from its config, a SavedModel's variables are found by its object"
        " graph. Without them the weights are bytes with names.",
        "An HDF5 attribute model_config that is no JSON.",
        "Save the model anew; load the weights into a model that code has built.",
    ),
    _rule(
        "integrity-structure",
        "The file breaks the rules of its format.",
        "It can be read, but not everything that loads such files will take it, and two readers may"
        " see two different models. Errors of a reader that no other rule has are findings of this"
        " one.",
        "A graph with two nodes of one name.",
        "Save or convert the model anew, with a current version.",
    ),
    _rule(
        "integrity-copies",
        "Two stored copies of one variable differ.",
        "Keras loads copies in order, so the last one wins: the model that is loaded may be neither"
        " the one that was trained nor the one that was looked at.",
        "A wrapper's copy of a kernel that was left as it was when the kernel was edited.",
        "Load the model, check it, and save it anew.",
    ),
    _rule(
        "integrity-size",
        "A size that the artifact gives is not what it holds.",
        "The map of sharded weights says how many bytes they take in all. Where they take fewer or"
        " more, a shard was exchanged or cut.",
        "total_size 4,096 in model.weights.json, and shards that hold 2,048 bytes.",
        "Copy all shards and the map from one and the same save.",
    ),
    *VERSIONS,
)
