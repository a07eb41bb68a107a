"""What makes two findings of different runs the same one, so that a baseline can know it again."""

from __future__ import annotations

import hashlib
import os
import re

from inspector.auditing.rule import Found

# Counts, sizes and shares change from build to build, and so do numbers in names (ckpt-1200).
_NUMBER = re.compile(r"\d[\d,.]*(?:e[+-]?\d+)?")


def fingerprint(code: str, path: str, found: Found) -> str:
    """SHA-256, in hex, over what a finding is: the same wherever the artifact lies.

    Of the code, the layer, the tensor, the message, the name of the artifact at `path` and that of
    the file to blame; every number in names of files and in the message is taken for the same.
    """
    parts = (
        code,
        _numberless(_name(path)),
        _numberless(_name(found.path or path)),
        found.layer or "",
        found.tensor or "",
        _numberless(_placeless(found.message, path)),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _name(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def _placeless(message: str, path: str) -> str:
    """The message without the folder of the artifact, where it names files of it."""
    folder = os.path.dirname(os.path.normpath(path))
    return message.replace(os.path.join(folder, ""), "") if folder.strip(os.sep) else message


def _numberless(text: str) -> str:
    return _NUMBER.sub("#", text)
