from hypothesis import given
from hypothesis import strategies as st

from inspector.render.table import Column, layout

NAMES = Column("layer", keep=100, words=True, least=18)
CLASSES = Column("class", keep=60, words=True, least=14)
PARAMS = Column("params", keep=99)
STEPS = Column("steps", keep=10)


def test_a_table_that_fits_is_left_alone():
    lines, dropped = layout([NAMES, PARAMS], [("dense", "1,354")], 100)
    assert lines == ["layer  params", "-----  ------", "dense   1,354"]
    assert dropped == []


def test_names_are_shortened_before_a_column_goes():
    rows = [("prune_low_magnitude_dense", "1,354", "1")]
    lines, dropped = layout([NAMES, PARAMS, STEPS], rows, 34)
    assert dropped == []
    assert "…" in lines[2]
    assert lines[2].endswith("1,354      1")


def test_the_least_useful_column_goes_first():
    rows = [("prune_low_magnitude_dense", "1,354", "1")]
    lines, dropped = layout([NAMES, PARAMS, STEPS], rows, 30)
    assert dropped == ["steps"]
    assert max(map(len, lines)) <= 30


@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=60)] * 4
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(40, 200),
)
def test_no_line_is_wider_than_the_width(rows, width):
    lines, _ = layout([NAMES, CLASSES, PARAMS, STEPS], rows, width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 2 + len(rows)
