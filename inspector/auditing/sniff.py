"""What a file is by its first bytes, as far as it matters to who unpacks a model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inspector.storage import ByteSource

HEAD = 512  # bytes that are looked at
_ZIP_END = (1 << 16) + 22  # bytes of the longest end record of a zip

# Kinds that are programs, by their first bytes -> for people.
PROGRAMS: Mapping[str, str] = {
    "elf": "a program or library (ELF)",
    "pe": "a program or library (Windows)",
    "mach-o": "a program or library (Mach-O)",
    "java": "a Java class",
    "wasm": "a WebAssembly module",
    "script": "a script",
    "bytecode": "compiled Python",
}
# Endings of names of programs and scripts.
PROGRAM_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("py", "pyw", "ipynb"), "Python code"),
    **dict.fromkeys(("pyc", "pyo"), "compiled Python"),
    **dict.fromkeys(("so", "dll", "dylib", "pyd", "exe", "com", "scr", "bin.exe"), "a program"),
    **dict.fromkeys(("sh", "bash", "zsh", "csh", "bat", "cmd", "ps1", "vbs"), "a script"),
    **dict.fromkeys(("jar", "class", "war"), "Java code"),
    **dict.fromkeys(("whl", "egg", "pth", "deb", "rpm", "msi"), "a package to install"),
    **dict.fromkeys(("js", "mjs", "rb", "pl", "lua", "php"), "a script"),
}
# Endings of names of files that are unpickled to be read.
PICKLE_NAMES = frozenset({"pkl", "pickle", "joblib", "dill", "cloudpickle", "pt", "p"})
_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x93NUMPY", "npy"),
    (b"\x7fELF", "elf"),
    (b"MZ", "pe"),
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"\xca\xfe\xba\xbe", "java"),
    (b"\0asm", "wasm"),
    (b"\x1f\x8b", "gzip"),
)
_PE_HEADER = 1 << 16  # bytes before it at most
_SCRIPT = re.compile(rb"#![ \t]*/[^\x00-\x08]*?\n")
# A pickle says its protocol first; from 4 on a frame's length follows, before it objects that
# nearly any pickle begins with.
_PICKLE = re.compile(
    rb"\x80(?:[\x04\x05](?:\x95|[\x8c\x8e\x8f(\]})cKGNX])|[\x02\x03][(\]})cKMJGNXUq\x8a\x88\x89C])"
)
# Of protocols 0 and 1: a call of something that is imported, or a list or dict of things.
_OLD_PICKLE = re.compile(
    rb"\(?c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n(?:p\d+\n|[()qI])|\([ld]p\d+\n|[}\]]q\x00"
)
# A code object as marshal has it, behind the header of a .pyc: a magic that ends so.
_PYC = re.compile(rb"..\r\n.{12}\xe3", re.DOTALL)


def sniff(head: bytes) -> str | None:
    """The kind of a file by its first HEAD bytes; None where they tell nothing."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            # "MZ" begins texts and values as well: behind it is where the header stands.
            if kind == "pe" and not 0 < int.from_bytes(head[60:64], "little") < _PE_HEADER:
                continue
            return kind
    if _SCRIPT.match(head):
        return "script"
    if _PICKLE.match(head) or _OLD_PICKLE.match(head):
        return "pickle"
    if _PYC.match(head):
        return "bytecode"
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[257:262] == b"ustar":
        return "tar"
    if head.lstrip()[:1] in {b"{", b"["}:
        return "json"
    return None


def ending(name: str) -> str:
    """What a file's name ends in, in small letters: "so" of "lib/a.SO" and of "a.so.1"."""
    # Windows drops dots and spaces at the end of a name.
    last = name.replace("\\", "/").rpartition("/")[2].lower().rstrip(". ")
    plain = re.sub(r"(?:\.\d++)++$", "", last)
    return plain.rpartition(".")[2] if "." in plain else ""


def ends_in_zip(source: ByteSource) -> bool:
    """Whether a zip's end record is among the last bytes, where readers of zips look for it."""
    size = min(source.size, _ZIP_END)
    return b"PK\x05\x06" in bytes(source.view(source.size - size, size))
