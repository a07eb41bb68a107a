import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.render.printable import safe, shape, shorten, value


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("dense/kernel:0", "dense/kernel:0"),
        ("größe 层", "größe 层"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc\0", r"a\x0d\x0ab\x09c\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_is_no_glyph_is_written_out(raw, shown):
    assert safe(raw) == shown


@given(st.text())
def test_safe_text_holds_no_control_and_no_format_character(text):
    assert not {unicodedata.category(char) for char in safe(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(), st.integers(0, 50))
def test_shortened_text_fits_and_keeps_both_ends(text, width):
    short = shorten(text, width)
    assert len(short) <= width or short == text
    if len(text) > width >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]
        assert "…" in short


def test_shapes():
    assert [shape(s) for s in ((10, 64), (3,), (), None, (0, 4))] == [
        "10×64",
        "3",
        "scalar",
        "none",
        "0×4",
    ]


def test_values():
    assert [value(v) for v in (None, "Infinity", "-Infinity", 1234567, 0.1 + 0.2, -0.0)] == [
        "-",
        "inf",
        "-inf",
        "1,234,567",
        "0.3",
        "-0",
    ]
