"""A report saved from an earlier audit: what it has is not new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec
from msgspec import UNSET

from inspector.auditing.run import Audited
from inspector.errors import ArtifactError, NotFound, UsageError
from inspector.limits import DEFAULT, Limits
from inspector.meant import did_you_mean_file
from inspector.report import AuditReport, Finding, Suppressed
from inspector.saved_text import saved_text
from inspector.storage import LocalFile
from inspector.typed_json import decode
from inspector.words import count

_WHY = "baseline"
_HOW = "save one with `inspect audit PATH... --format json -o FILE`"


class _Saved(msgspec.Struct):
    """Of a report only what a baseline is: the artifacts in it may be large."""

    command: str
    findings: tuple[Finding, ...] | msgspec.UnsetType = UNSET
    audit: AuditReport | msgspec.UnsetType = UNSET


def read_baseline(path: str, limits: Limits = DEFAULT) -> tuple[Finding, ...]:
    """The findings of the report at `path`, those among them that its own baseline had too.

    Raises UsageError where it is no JSON report of an audit.
    """
    try:
        with LocalFile(path) as source:
            saved = decode(saved_text(source, limits), _Saved)
    except ArtifactError as error:
        hint = did_you_mean_file(path) if isinstance(error, NotFound) else ""
        raise UsageError(f"--baseline {error}{hint}") from error
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise UsageError(f"{path}: no saved report: {error}; {_HOW}") from error
    if saved.findings is UNSET or saved.audit is UNSET:
        raise UsageError(f"{path}: a report of `inspect {saved.command}`, not of an audit; {_HOW}")
    known = (one.finding for one in saved.audit.suppressed if one.why == _WHY)
    return (*saved.findings, *known)


def only_new(
    audited: Sequence[Audited], baseline: Iterable[Finding]
) -> tuple[list[Audited], list[str]]:
    """What of the findings the baseline does not have, and notes on what it has and is gone.

    Findings are the same by their fingerprint; of equal ones as many are known as it has.
    """
    baseline = tuple(baseline)
    left = Counter(one.fingerprint for one in baseline)
    allowed = (one.finding.fingerprint for each in audited for one in each.suppressed)
    left -= Counter(allowed)  # they are there, only not reported
    result = [_only_new(one, left) for one in audited]
    return result, _gone(baseline, left)


def _only_new(audited: Audited, left: Counter[str | None]) -> Audited:
    kept, known = [], []
    for judged in audited.judged:
        if left[judged.finding.fingerprint] > 0:
            left[judged.finding.fingerprint] -= 1
            known.append(Suppressed(judged.finding, _WHY))
        else:
            kept.append(judged)
    return replace(audited, judged=tuple(kept), suppressed=(*audited.suppressed, *known))


def _gone(baseline: Iterable[Finding], left: Mapping[str | None, int]) -> list[str]:
    codes = {one.fingerprint: one.code for one in baseline}
    gone: Counter[str] = Counter()
    for fingerprint, number in left.items():
        if number:
            gone[codes[fingerprint]] += number
    if not gone:
        return []
    said = ", ".join(f"{code} ×{number}" for code, number in sorted(gone.items()))
    return [f"{count(gone.total(), 'finding')} of the baseline not found any more: {said}"]
