"""Operators of graphs, and of .tflite models, that read, write, run or need code of others.

Source: TensorFlow's operator registry and SECURITY.md, 2.21.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from inspector import words
from inspector.auditing.contents import Operation
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.dangers import (
    ATTRIBUTE_OPERATORS,
    OPERATORS,
    REACHING,
    SAVER_OPERATORS,
    TABLE_OPERATORS,
)
from inspector.graph.ops import is_core
from inspector.model import Severity
from inspector.tflite.custom_ops import CUSTOM

_FLEX = "Flex"
_OUTSIDE = re.compile(
    r"^(?:/|~|\\\\|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://)|(?:^|[\\/])\.\.(?:[\\/]|$)"
)
# Caches and snapshots are kept in memory where no file is named.
_IN_MEMORY = frozenset({"CacheDataset", "CacheDatasetV2"})


def _where(one: Operation) -> str:
    return f"{one.node} in the function {one.function}" if one.function else one.node


def _seen(one: Operation) -> str:
    """The operator's place, and what its inputs are made of."""
    parts = [f"node {_where(one)}"]
    if one.texts:
        parts.append("with " + ", ".join(map(repr, one.texts)))
    if one.given:
        parts.append("given by " + ", ".join(one.given[:4]))
    return "; ".join(parts)


def _outside(found: Iterable[str]) -> list[str]:
    return [text for text in found if _OUTSIDE.search(text)]


def _operators(context: Context) -> Iterator[Found]:
    for one in context.contents.operations:
        if one.op in ATTRIBUTE_OPERATORS:
            what = ATTRIBUTE_OPERATORS[one.op][2]
        elif one.op in OPERATORS and not (one.op in _IN_MEMORY and not any(one.texts)):
            what = OPERATORS[one.op]
        else:
            continue
        yield Found(f"the operator {one.op} {what}", evidence=_seen(one), path=one.path)


def _savers(context: Context) -> Iterator[Found]:
    for one in context.contents.operations:
        if one.op not in SAVER_OPERATORS:
            continue
        what = SAVER_OPERATORS[one.op][1]
        if _outside(one.texts):
            message = f"the operator {one.op} {what} at a path that the graph names"
        elif not one.saver:
            message = f"the operator {one.op} {what} outside the model's own saver"
        else:
            continue
        yield Found(message, evidence=_seen(one), path=one.path)


def _tables(context: Context) -> Iterator[Found]:
    for one in context.contents.operations:
        if one.op not in TABLE_OPERATORS or not one.texts:
            continue
        outside = bool(_outside(one.texts))
        message = "a table is filled from a file that is no asset of the model"
        severity = Severity.ERROR if outside else Severity.WARNING
        yield Found(message, evidence=_seen(one), path=one.path, severity=severity)


def _customs(context: Context) -> Iterator[Found]:
    tables = (OPERATORS, SAVER_OPERATORS, TABLE_OPERATORS, ATTRIBUTE_OPERATORS)
    found = [one for one in context.contents.operations if not any(one.op in of for of in tables)]
    counts = Counter(one.op for one in found)
    first = {one.op: one for one in reversed(found)}
    for op, count in counts.items():
        if not _allowed(context, op):
            place = _seen(first[op]).removeprefix("node ")
            yield Found(
                f"the operator {op} is not TensorFlow's own: a library must supply it",
                evidence=f"{words.count(count, 'node')}, the first: {place}",
                path=first[op].path,
            )
    for one in context.contents.customs:
        if not one.name.startswith(_FLEX) and not _allowed(context, one.name):
            known = CUSTOM.get(one.name)
            supplied = f"; its source is {known.source}" if known else ""
            yield Found(
                f"the custom operator {one.name} needs a library that supplies it",
                evidence=f"used {words.count(one.count, 'time')}{supplied}",
                severity=Severity.INFO if known or not one.count else None,
            )


def _flex(context: Context) -> Iterator[Found]:
    for one in context.contents.customs:
        if not one.name.startswith(_FLEX):
            continue
        op = one.name.removeprefix(_FLEX)
        what = REACHING.get(op)
        if what is not None:
            message, severity = f"the Flex operator {op} {what}", Severity.ERROR
        elif _allowed(context, one.name):
            continue
        elif is_core(op):
            message, severity = f"the Flex operator {op} needs TensorFlow's kernels", Severity.INFO
        else:
            message = f"the Flex operator {op} needs a library that supplies it to TensorFlow"
            severity = Severity.WARNING
        yield Found(message, evidence=f"used {words.count(one.count, 'time')}", severity=severity)


def _allowed(context: Context, op: str) -> bool:
    return any(fnmatchcase(op, pattern) for pattern in context.policy.allow_custom)


def _assets(context: Context) -> Iterator[Found]:
    for asset in context.contents.assets:
        if _OUTSIDE.search(asset.filename):
            yield Found(
                "an asset of the model lies outside its folder",
                evidence=repr(asset.filename[:200]),
                path=asset.path,
            )


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="safety-operator",
        severity=Severity.ERROR,
        summary="An operator that reads or writes files, runs code or speaks with other machines.",
        explanation=(
            "A graph is a program: ReadFile, WriteFile, PyFunc, DebugIdentity, RpcCall and the like"
            " act on the machine that runs it, not on tensors alone. Looked at is every node of"
            " the graph and of all its functions, used or not. The paths and addresses that the"
            " graph gives them are told."
        ),
        example="saved/: the operator WriteFile writes files that the graph names.",
        fix="Remove it: do input and output outside the model.",
        needs=Needs.FILE,
        check=_operators,
    ),
    AuditRule(
        code="safety-saver",
        severity=Severity.ERROR,
        summary="Checkpoints are read or written outside the model's own saver.",
        explanation=(
            "Every SavedModel has SaveV2, RestoreV2 and MergeV2Checkpoints, which are given the"
            " checkpoint's name by who loads or saves it. Elsewhere they read or write files when"
            " the model runs, and MergeV2Checkpoints deletes some. The name is followed back"
            " through the graph: it must come from the saver's tensor alone, and no absolute path"
            " or address may be part of it."
        ),
        example="saved/: the operator SaveV2 writes a checkpoint outside the model's own saver.",
        fix="Remove it: save checkpoints from the program that trains.",
        needs=Needs.FILE,
        check=_savers,
    ),
    AuditRule(
        code="safety-table",
        severity=Severity.ERROR,
        summary="A lookup table is filled from a file that is no asset.",
        explanation=(
            "A table's words belong among the assets of a SavedModel, whose paths the loader gives."
            " A path that the graph itself names is opened on the machine that runs it: an"
            " absolute one or an address is an error, a relative one a warning."
        ),
        example="saved/: a table is filled from a file that is no asset of the model.",
        fix="Save the model with the vocabulary as an asset (tf.saved_model.Asset).",
        needs=Needs.FILE,
        check=_tables,
    ),
    AuditRule(
        code="safety-asset",
        severity=Severity.ERROR,
        summary="An asset lies outside the model's folder.",
        explanation="The graph names a file of its assets that leads out of the folder.",
        example="saved/: an asset of the model lies outside its folder.",
        fix="Save the model anew, with the file in its folder.",
        needs=Needs.FILE,
        check=_assets,
    ),
    AuditRule(
        code="safety-custom-operator",
        severity=Severity.WARNING,
        summary="An operator that a library must supply.",
        explanation=(
            "The operator is none of TensorFlow's or LiteRT's own: a shared library that is loaded"
            " beforehand runs in the same process. It is a note where the library's source is"
            " public and known here. Globs in allow-custom take away those that you expect."
        ),
        example="model.tflite: the custom operator MyOp needs a library that supplies it.",
        fix="See where the library comes from, then name the operator in allow-custom.",
        needs=Needs.FILE,
        check=_customs,
    ),
    AuditRule(
        code="safety-flex",
        severity=Severity.INFO,
        summary="An operator of TensorFlow's in a .tflite model.",
        explanation=(
            "Flex operators need TensorFlow's kernels in the runtime. Most compute and nothing"
            " else; those that read, write or run are errors, as in a graph."
        ),
        example="model.tflite: the Flex operator ReadFile reads files that the graph names.",
        fix="Convert without SELECT_TF_OPS, or link the operators that you expect alone.",
        needs=Needs.FILE,
        check=_flex,
    ),
)
