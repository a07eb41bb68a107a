"""What could not be read as a model at all: a finding of its own, by why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.errors import (
    ArtifactError,
    Corrupt,
    Crashed,
    LimitExceeded,
    NotFound,
    OutOfMemory,
    TimedOut,
    Truncated,
    UnknownFormat,
    Unsupported,
)
from inspector.model import Severity


def _because(*kinds: type[ArtifactError]) -> Callable[[Context], Iterator[Found]]:
    """A check that finds an error of one of these kinds, and of no other that has a rule."""

    def check(context: Context) -> Iterator[Found]:
        error = context.error
        if error is not None and next(k for k in _KINDS if isinstance(error, k)) in kinds:
            yield Found(error.message, path=error.path, offset=error.offset)

    return check


# The first that fits: a more special error before what it derives from.
_KINDS = (
    NotFound,
    UnknownFormat,
    Truncated,
    Corrupt,
    Unsupported,
    LimitExceeded,
    Crashed,
    TimedOut,
    OutOfMemory,
    ArtifactError,
)


def _rule(
    code: str, kind: type[ArtifactError], summary: str, why: str, example: str, fix: str
) -> AuditRule:
    return AuditRule(
        code=code,
        severity=Severity.ERROR,
        summary=summary,
        explanation=f"{why} Nothing else is asked of an artifact that cannot be read, so it cannot"
        " pass: this rule is asked whatever is selected.",
        example=example,
        fix=fix,
        needs=Needs.FILE,
        check=_because(kind),
        always=True,
    )


RULES: tuple[AuditRule, ...] = (
    _rule(
        "integrity-missing-file",
        NotFound,
        "A file that the artifact is made of is not there.",
        "A checkpoint is an index and its shards, and in a folder a `checkpoint` file names it.",
        "A folder whose `checkpoint` file names ckpt-3, without ckpt-3.index.",
        "Copy all files of the artifact together.",
    ),
    _rule(
        "integrity-unknown-format",
        UnknownFormat,
        "The file is no model that is known here.",
        "Content decides, not the name: a web page, a Git LFS pointer or a pickle under a model's"
        " name is none.",
        "model.h5 that holds the 130 bytes of a Git LFS pointer.",
        "Fetch or export the model anew; leave files that are no models out of the audit.",
    ),
    _rule(
        "integrity-truncated",
        Truncated,
        "The file ends before its own header says it does.",
        "A copy or a download was cut off, or the program that wrote it was.",
        "The first half of an HDF5 file.",
        "Copy or export it anew, and compare digests.",
    ),
    _rule(
        "integrity-corrupt",
        Corrupt,
        "The file breaks the rules of its own format.",
        "Bytes were changed, or the file was made to break what reads it.",
        "A zip whose central directory leads outside the file.",
        "Copy or export it anew; where it came from somebody else, do not load it.",
    ),
    _rule(
        "integrity-unsupported",
        Unsupported,
        "The artifact is a model in a form that cannot be read here.",
        "What cannot be read cannot be vouched for.",
        "A SavedModel in chunks (saved_model.cpb).",
        "Save it in a form that is read here; `inspect formats` lists them.",
    ),
    _rule(
        "integrity-limit",
        LimitExceeded,
        "The file asks for more than any sound one does.",
        "Each limit is far above what real models need: a file past it was made to exhaust what"
        " reads it.",
        "A config.json that inflates to some gigabytes.",
        "Do not load it. Where it is your own and really that large, raise the limit named.",
    ),
    _rule(
        "integrity-crash",
        Crashed,
        "Reading the file ended the process that did.",
        "Libraries in C, HDF5's above all, can be made to crash; what does that may do worse to a"
        " program that loads the file.",
        "An HDF5 file whose B-tree leads outside the memory that it was read into.",
        "Do not load it. Where it is your own, copy or export it anew.",
    ),
    _rule(
        "integrity-timeout",
        TimedOut,
        "Reading the file takes longer than any sound one does.",
        "The time grows with the size, and is far above what real models need: a file past it"
        " leads what reads it in circles.",
        "An HDF5 heap whose free blocks are a ring.",
        "Do not load it. Where it is your own and the machine is slow, raise the limit `seconds`.",
    ),
    _rule(
        "integrity-memory",
        OutOfMemory,
        "Reading the file takes more memory than any sound one does.",
        "Reading needs little more than what the file is large; one past that asks for what it"
        " does not hold.",
        "An HDF5 attribute that declares more bytes than there are.",
        "Do not load it. Where it is your own and really that large, raise the limit"
        " `worker_bytes`.",
    ),
    _rule(
        "integrity-unreadable",
        ArtifactError,
        "The artifact, or what a rule had to see of it, cannot be read.",
        "The file may not be opened, is a device or a pipe, or a part that a rule looks at is"
        " broken.",
        "A file without read permission.",
        "See the message; make it readable, or export it anew.",
    ),
)
