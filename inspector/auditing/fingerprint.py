"""What makes two findings of different runs the same one, so that a baseline can know it again."""

from __future__ import annotations

import hashlib
import os
import re

from inspector import filesystem
from inspector.auditing.rule import Found

# Counts, sizes and shares change from build to build, and so do numbers in names (ckpt-1200).
_NUMBER = re.compile(r"\d[\d,.]*(?:e[+-]?\d+)?")
# And with a count the words about it: "1 mask is", "2 masks are".
_PLURAL = re.compile(r"\b(\w{3,})s\b")
_VERBS = re.compile(r"\b(?:is|are|has|have|was|were)\b")


def fingerprint(code: str, path: str, found: Found) -> str:
    """SHA-256, in hex, over what a finding is: the same wherever the artifact lies.

    Of the code, the layer, the tensor, the message, the name of the artifact at `path` and that of
    the file to blame; every number in names of files and in the message is taken for the same, and
    so are one thing and several.
    """
    parts = (
        code,
        _numberless(_name(path)),
        _numberless(_name(found.path or path)),
        found.layer or "",
        found.tensor or "",
        _countless(_placeless(found.message, path)),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _name(path: str) -> str:
    return os.path.basename(filesystem.normpath(path))


def _placeless(message: str, path: str) -> str:
    """The message without the folder of the artifact, where it names files of it."""
    folder = os.path.dirname(filesystem.normpath(path))
    return message.replace(filesystem.join(folder, ""), "") if folder.strip(os.sep) else message


def _countless(message: str) -> str:
    return _PLURAL.sub(r"\1", _VERBS.sub("is", _numberless(message)))


def _numberless(text: str) -> str:
    return _NUMBER.sub("#", text)
