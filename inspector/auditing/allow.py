"""The allow-list: findings of one artifact, by its digest, that somebody looked at and took."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from inspector import filesystem
from inspector.auditing.policy import Allowed
from inspector.auditing.rule import Context, matches
from inspector.auditing.run import Audited
from inspector.digests import file_digest
from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.read.folder import list_folder
from inspector.report import Suppressed

_SHA256 = "sha256:"


def allow(audited: Audited, context: Context, today: dt.date) -> Audited:
    """Take out what the policy's allow-list has of this artifact.

    An entry whose last day is before `today` takes nothing out any more, and a note says so.
    """
    if not context.policy.allow or not audited.judged:
        return audited
    examined = context.examined
    files = None if examined is None else [one.path for one in examined.artifact.files]
    digest = artifact_digest(context.path, files, context.limits)
    entries = [one for one in context.policy.allow if one.digest == digest]
    over = [one for one in entries if one.until is not None and one.until < today]
    valid = [one for one in entries if one not in over]
    kept, suppressed = [], []
    for judged in audited.judged:
        entry = _entry(valid, judged.finding.code)
        if entry is None:
            kept.append(judged)
        else:
            suppressed.append(Suppressed(judged.finding, f"allowed: {entry.reason}"))
    notes = [
        f"{context.path}: was allowed until {one.until}, and is not any more ({one.reason})"
        for one in over
        if any(_entry([one], judged.finding.code) for judged in kept)
    ]
    return replace(
        audited,
        judged=tuple(kept),
        suppressed=(*audited.suppressed, *suppressed),
        notes=(*audited.notes, *notes),
    )


def _entry(entries: Sequence[Allowed], code: str) -> Allowed | None:
    """The first entry that takes a finding of this code."""
    for one in entries:
        if not one.codes or any(matches(code, prefix) for prefix in one.codes):
            return one
    return None


def artifact_digest(
    path: str, files: Sequence[str] | None = None, limits: Limits = DEFAULT
) -> str | None:
    """The artifact at `path` by its bytes: "sha256:..."; None where its files cannot be read.

    files: the paths of all its files; None where it could not be read: then all that lies there.
    Of one file it is that of its bytes, as sha256sum prints it. Of several it is the SHA-256 of a
    line for each, in the order of their names: the name in the artifact's folder, a NUL, the file's
    own SHA-256 in hex. A link in the folder has a line too, with what it leads to after the NUL.
    """
    try:
        folder = list_folder(path, limits) if filesystem.isdir(path) else None
        if files is None:
            files = [path] if folder is None else [folder.full(name) for name in folder.sizes]
        digests = {one: file_digest(one) for one in files}
    except ArtifactError:
        return None
    links = folder.links if folder is not None else {}
    if len(digests) == 1 and not links:
        return next(iter(digests.values()))
    home = path if folder is not None else os.path.dirname(path) or os.curdir
    of = {filesystem.relpath(one, home): digest for one, digest in digests.items()}
    lines = [f"{name}\0{digest.removeprefix(_SHA256)}\n" for name, digest in of.items()]
    lines += [f"{name}\0-> {target}\n" for name, target in links.items()]
    whole = "".join(sorted(lines)).replace(os.sep, "/").encode("utf-8", "surrogateescape")
    return f"{_SHA256}{hashlib.sha256(whole).hexdigest()}"
