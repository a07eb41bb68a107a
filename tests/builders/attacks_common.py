"""What the makers of attacks share: what an attack is, and payloads that do nothing."""

from __future__ import annotations

import marshal
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

NOWHERE = "/nowhere/that/is"  # a folder that is not there
ADDRESS = "http://nowhere.invalid"  # a name that never resolves (RFC 6761)
CODE = marshal.dumps((lambda x: x * 2).__code__)
PICKLE = b"cmath\nsqrt\n(F4.0\ntR."  # math.sqrt(4.0), in protocol 0


@dataclass(frozen=True)
class Attack:
    """name: unique; cve: what it is like, "" where it has no number; make: writes it into an empty
    folder and gives its path; codes: of the findings that it must have, and no other at warning or
    above (of a twin: none). says: texts that the findings name.
    """

    name: str
    cve: str
    make: Callable[[str], str]
    codes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


def file(name: str, data: bytes) -> Callable[[str], str]:
    """A maker of a file with these bytes."""

    def make(folder: str) -> str:
        path = os.path.join(folder, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    return make


def zip_of(**members: bytes) -> bytes:
    """A zip; "_" in a name stands for its dot."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()
