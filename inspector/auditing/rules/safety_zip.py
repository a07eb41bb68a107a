"""Zips that lead out of themselves, swell, or are not the same to all who read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.model import Severity

# What the reader of zips calls a problem -> the end of the rule's code.
_ZIP_RULES = {
    "zip-unsafe-name": "name",
    "zip-duplicate-name": "duplicate",
    "zip-bomb": "bomb",
    "zip-encrypted": "encrypted",
    "zip-headers-disagree": "headers",
    "zip-overlap": "headers",
    "zip-prepended-data": "around",
    "zip-trailing-data": "around",
}


def _problems(kind: str) -> Callable[[Context], Iterator[Found]]:
    """The check that gives the problems of one rule."""

    def check(context: Context) -> Iterator[Found]:
        for one in context.contents.zips:
            for problem in one.problems:
                if _ZIP_RULES.get(problem.code) == kind:
                    inside = f"{one.file}: " if one.file else ""
                    yield Found(inside + problem.message, path=problem.path, offset=problem.offset)

    return check


_ANEW = "Save the model anew with Keras or TensorFlow, from a source that you trust."
RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="safety-zip-name",
        severity=Severity.ERROR,
        summary="A zip member leads out of the folder that it is unpacked to.",
        explanation=(
            "A name that is absolute, has a drive letter, a backslash or '..' is written outside"
            " the folder by a careless unpacker (CVE-2025-12060, CVE-2025-12638)."
        ),
        example="model.keras: member '../evil.txt' leads out of its folder.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_problems("name"),
    ),
    AuditRule(
        code="safety-zip-duplicate",
        severity=Severity.ERROR,
        summary="Two zip members have one name.",
        explanation=(
            "Readers differ in which one they take, so one config can be looked at and another"
            " loaded. Python, and so Keras, takes the last entry of the central directory, and so"
            " does this report."
        ),
        example="model.keras: 2 members are named 'config.json'.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_problems("duplicate"),
    ),
    AuditRule(
        code="safety-zip-bomb",
        severity=Severity.ERROR,
        summary="A zip member inflates to far more than it is.",
        explanation="A member declares over 1,000 times the bytes that it has, and 64 MiB or more.",
        example=(
            "model.keras: member 'model.weights.h5' declares 1,073,741,824 bytes from 1,043,529."
        ),
        fix=_ANEW,
        needs=Needs.FILE,
        check=_problems("bomb"),
    ),
    AuditRule(
        code="safety-zip-headers",
        severity=Severity.ERROR,
        summary="A zip's two lists of its members disagree, or members overlap.",
        explanation=(
            "Each member has a header of its own and an entry in the central directory. Where they"
            " differ, two readers see two archives; members that share bytes make bombs."
        ),
        example="model.keras: member 'config.json': its local header gives another name.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_problems("headers"),
    ),
    AuditRule(
        code="safety-zip-encrypted",
        severity=Severity.WARNING,
        summary="A zip member is encrypted.",
        explanation="It cannot be looked at, and Keras cannot load it.",
        example="model.keras: member 'config.json' is encrypted and is not read.",
        fix="Decrypt the archive, and audit what is in it.",
        needs=Needs.FILE,
        check=_problems("encrypted"),
    ),
    AuditRule(
        code="safety-zip-around",
        severity=Severity.WARNING,
        summary="Bytes stand in front of a zip or behind it.",
        explanation="A file that is a zip and something else as well is read as either.",
        example="model.keras: 512 bytes stand in front of the archive.",
        fix=_ANEW,
        needs=Needs.FILE,
        check=_problems("around"),
    ),
)
