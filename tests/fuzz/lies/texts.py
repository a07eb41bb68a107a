"""Protobuf's text form: words doubled, cut out, nested, or made too large."""

from __future__ import annotations

import random
import re

from tests.fuzz.lies import raw

_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[{}<>:\[\],;]')
_STARTS = re.compile(rb"\s*[a-z_]\w*\s*[:{<]")
WORDS = (
    b"{", b"}", b"<", b">", b":", b"[", b"]", b'"', b"'", b"-", b"0x", b"nan", b"1e999", b"true",
    b"18446744073709551616", b"9" * 5000, b'"\\x1b[31m"', b'"\\777"', b'"\\', b"# ", b"node {" * 3,
    b"a { " * 3000, b"dim { size: 99999999999 } ", b"\0", b"\xff", b"[type.googleapis.com/x]",
)  # fmt: skip


def is_one(content: bytes) -> bool:
    return _STARTS.match(content) is not None


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    tokens = list(_TOKEN.finditer(content))
    if not tokens:
        return raw.lie(content, rng)
    one, other = rng.choice(tokens), rng.choice(tokens)
    new = rng.choice((rng.choice(WORDS), other[0], b"", one[0] + b" " + one[0], one[0] + other[0]))
    return content[: one.start()] + new + content[one.end() :]
