"""A report that was saved earlier, in the place of the artifact that it is of."""

from __future__ import annotations

import re

import msgspec

from inspector import filesystem
from inspector import report as r
from inspector.difference.nouns import Subject
from inspector.difference.rebuilt import rebuilt, verdicts_of
from inspector.errors import Corrupt, UsageError
from inspector.limits import DEFAULT, Limits
from inspector.saved_text import decoded, saved_text
from inspector.typed_json import decode

_HEAD_BYTES = 512
# What our JSON begins with; sorted by key, as other tools write it back, it is the artifacts.
_HEAD = re.compile(r'\s*\{\s*"(schema_version|artifacts)"\s*:')
_HOW = "inspect show MODEL --format json -o"


class _Head(msgspec.Struct):
    """What says whether the rest can be read."""

    schema_version: str
    tool: r.Tool
    command: str


def read_saved(path: str, limits: Limits = DEFAULT) -> Subject | None:
    """What a JSON report of `inspect show` says of its artifact; None for any other file.

    The first bytes decide. Raises UsageError for a report that cannot stand for one whole artifact
    (of another command, of several, narrowed to some rows, of one that could not be read, of a
    newer schema), Corrupt for one that is broken, LimitExceeded (`report_bytes`,
    `report_values`, `depth`).
    """
    if not filesystem.isfile(path):
        return None
    with filesystem.opened(path) as source:
        if _HEAD.match(decoded(bytes(source.view(0, min(_HEAD_BYTES, source.size))))) is None:
            return None
        saved = _report(saved_text(source, limits), path)
    if saved is None:
        return None
    one = _only(saved, path)
    return Subject(
        artifact=rebuilt(one, path, limits),
        verdicts=verdicts_of(one, path),
        report=one,
        digests={
            tensor.name: tensor.digest for tensor in one.tensors if isinstance(tensor.digest, str)
        },
        saved=True,
    )


def _report(text: bytes, path: str) -> r.Report | None:
    """The report; None where it is another program's."""
    try:
        head = decode(text, _Head)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"a saved report that is broken JSON ({error}): save it again with {_HOW} {path}"
        raise Corrupt(message, path) from None
    if head.tool.name != "inspect":
        return None
    _check(head, path)
    try:
        return decode(text, r.Report)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"no report of {_HOW}, or one that was changed: {error}"
        raise Corrupt(message, path) from None


def _check(head: _Head, path: str) -> None:
    """Raise UsageError for a report of another command, or of a newer schema."""
    major, ours = head.schema_version.split(".")[0], r.SCHEMA_VERSION.split(".")[0]
    if major != ours:
        raise UsageError(
            f"{path}: a report of schema {head.schema_version}, and this version reads {ours}.x: "
            f"use the inspect that wrote it ({head.tool.version}), or save it again with this one"
        )
    if head.command != "show":
        raise UsageError(
            f"{path}: a report of inspect {head.command}; a baseline is what {_HOW} {path} writes"
        )


def _only(saved: r.Report, path: str) -> r.ArtifactReport:
    """The report's one artifact. Raises UsageError where it is not all of one."""
    if len(saved.artifacts) != 1:
        raise UsageError(
            f"{path}: a report of {len(saved.artifacts)} artifacts; a baseline is of one: save "
            f"each of them alone, with {_HOW} FILE"
        )
    one = saved.artifacts[0]
    if not one.readable or one.format is None:
        raise UsageError(
            f"{path}: a report of {one.path}, which could not be read then; there is nothing to "
            "compare with"
        )
    if one.shown is not msgspec.UNSET:
        raise UsageError(
            f"{path}: a report narrowed to some layers or roles: save it again without --layer "
            "and --role"
        )
    return one
