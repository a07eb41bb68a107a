"""Attacks by zips: names, links, two of one name, bombs, and what lies in them."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable

from tests.builders import keras as k
from tests.builders import zips
from tests.builders.attacks_common import NOWHERE, PICKLE, Attack, file
from tests.builders.attacks_keras import TWICE

# --- zips -----------------------------------------------------------------------------------------


def _zipped(*more: zips.Entry) -> Callable[[str], str]:
    def make(folder: str) -> str:
        members = k.members(k.h5_weights(folder))
        entries = [zips.Entry(name.encode(), data) for name, data in members.items()]
        path = os.path.join(folder, "model.keras")
        with open(path, "wb") as file:
            file.write(zips.build(*entries, *more))
        return path

    return make


def _around(front: bytes = b"", behind: bytes = b"") -> Callable[[str], str]:
    def make(folder: str) -> str:
        path = _zipped()(folder)
        with open(path, "rb") as made:
            content = made.read()
        return file("model.keras", front + content + behind)(folder)

    return make


def _hdf5_and_zip(folder: str) -> str:
    """HDF5 to who looks at the first bytes, a zip to who looks at the last ones."""
    members = {**k.members(k.h5_weights(folder)), "config.json": json.dumps(TWICE).encode()}
    zipped = zips.build(*(zips.Entry(name.encode(), data) for name, data in members.items()))
    return file("model.keras", k.h5_weights(folder) + zipped)(folder)


def _zip_link(folder: str, target: str = f"{NOWHERE}/secret") -> str:
    path = os.path.join(folder, "model.keras")
    with zipfile.ZipFile(path, "w") as out:
        for name, data in k.members(k.h5_weights(folder)).items():
            out.writestr(name, data)
        link = zipfile.ZipInfo("assets/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        out.writestr(link, target)
    return path


def _two_configs(folder: str) -> str:
    """A config that looks sound, and behind it the one that Python takes."""
    evil = json.dumps(TWICE).encode()
    return _zipped(zips.Entry(b"config.json", evil))(folder)


def _config(text: bytes) -> Callable[[str], str]:
    def make(folder: str) -> str:
        members = {**k.members(k.h5_weights(folder)), "config.json": text}
        return k.keras_zip(os.path.join(folder, "model.keras"), members)

    return make


def _with(name: str, data: bytes) -> Callable[[str], str]:
    return _zipped(zips.Entry(name.encode(), data))


_ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 57
_ZIPS = (
    *(
        Attack(f"zip-{kind}", cve, _with(name, b"harmless"), ("safety-zip-name", *more), (why,))
        for kind, cve, name, why, more in (
            ("traversal", "CVE-2025-12060", "../evil.txt", "leads out of its folder", ()),
            ("deep-traversal", "CVE-2025-12638", "assets/../../e.txt", "leads out", ()),
            ("absolute", "CVE-2025-12060", "/nowhere/evil.txt", "absolute", ()),
            ("drive", "CVE-2025-12060", "C:/evil.txt", "drive", ()),
            ("backslash", "CVE-2025-12060", "..\\evil.txt", "leads out", ()),
        )
    ),
    Attack(
        "zip-link",
        "CVE-2025-12060",
        _zip_link,
        ("safety-symlink",),
        ("assets/link", f"{NOWHERE}/secret"),
    ),
    Attack(
        "zip-duplicate",
        "",
        _two_configs,
        ("safety-zip-duplicate", "safety-lambda"),
        ("the last one listed", "'twice'"),
    ),
    *(
        Attack(
            f"config-{kind}",
            "CVE-2024-3660",
            _config(encode(json.dumps(TWICE))),
            ("safety-lambda",),
            ("'twice'",),
        )
        for kind, encode in (
            ("utf-16", lambda text: text.encode("utf-16-be")),
            ("utf-32", lambda text: text.encode("utf-32")),
            ("marked", lambda text: text.encode("utf-8-sig")),
            ("behind-blanks", lambda text: b" " * 5000 + text.encode()),
        )
    ),
    Attack(
        "zip-bomb",
        "CVE-2026-0897",
        _zipped(zips.Entry(b"assets/zeros.txt", bytes(80 << 20), deflate=True)),
        ("safety-zip-bomb",),
        ("83,886,080",),
    ),
    Attack(
        "zip-encrypted",
        "",
        _zipped(zips.Entry(b"assets/locked.txt", b"x" * 20, flags=1)),
        ("safety-zip-encrypted",),
    ),
    Attack(
        "zip-in-front",
        "",
        _around(front=b"GIF89a" * 8),
        ("safety-zip-around",),
        ("stand in front",),
    ),
    Attack("zip-behind", "", _around(behind=bytes(64)), ("safety-zip-around",), ("stand behind",)),
    Attack(
        "zip-headers",
        "",
        _zipped(zips.Entry(b"assets/a.txt", b"x", local_name=b"assets/b.txt")),
        ("safety-zip-headers",),
    ),
    Attack(
        "zip-python",
        "",
        _with("assets/setup.py", b"x = 1\n"),
        ("safety-foreign",),
        ("Python code",),
    ),
    Attack("zip-library", "", _with("assets/custom.so", _ELF), ("safety-foreign",), ("ELF",)),
    Attack("zip-program", "", _with("assets/words.txt", _ELF), ("safety-foreign",), ("ELF",)),
    Attack(
        "zip-script",
        "",
        _with("assets/words.txt", b"#!/bin/sh\ntrue\n"),
        ("safety-foreign",),
        ("script",),
    ),
    Attack(
        "zip-broken-hdf5",
        "",
        _with("assets/more.h5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("safety-unread",),
        ("assets/more.h5",),
    ),
    Attack("zip-strange", "", _with("blob.dat", b"\1\2\3"), ("safety-foreign",)),
    Attack(
        "zip-pickle", "", _with("assets/scaler.pkl", PICKLE), ("safety-pickle",), ("math.sqrt",)
    ),
    Attack(
        "zip-hidden-pickle",
        "",
        _with("assets/words.txt", PICKLE),
        ("safety-pickle",),
        ("math.sqrt",),
    ),
)
_ZIP_TWINS = (
    Attack("zip-asset", "", _with("assets/words.txt", b"a\nb\n")),
    Attack("zip-words-like-a-pickle", "", _with("assets/words.txt", b"cat\ndog\nbird\n")),
    Attack("zip-dots", "", _with("assets/a..b.txt", b"a\n")),
    Attack(
        "zip-deflated",
        "",
        lambda folder: k.keras_zip(
            os.path.join(folder, "model.keras"),
            k.members(k.h5_weights(folder)),
            zipfile.ZIP_DEFLATED,
        ),
    ),
    Attack("zip-readme", "", _with("README.md", b"a model\n")),
)

ATTACKS = _ZIPS
TWINS = _ZIP_TWINS
