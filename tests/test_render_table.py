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


def test_characters_of_two_columns_keep_the_columns_in_line():
    # 数 and 据 take two columns each: "数据" four, as "long" does.
    lines, _ = layout([NAMES, PARAMS], [("数据", "1"), ("long", "2"), ("🤖 r", "3")], 100)
    assert lines[2:] == ["数据        1", "long        2", "🤖 r        3"]


def test_a_cut_through_wide_characters_keeps_the_width():
    for width in range(20, 30):
        lines, _ = layout([NAMES, PARAMS], [("数据" * 12, "1"), ("x" + "数据" * 12, "2")], width)
        columns = [sum(2 if char in "数据" else 1 for char in line) for line in lines]
        assert len(set(columns[1:])) == 1


def test_names_that_differ_at_their_ends_are_cut_to_stay_apart():
    # 18 characters: with the beginning kept, both would read "mobile…epthwise_bn".
    rows = [("mobilenet/block_1_depthwise_bn", "1"), ("mobilenet/block_2_depthwise_bn", "2")]
    lines, _ = layout([NAMES, PARAMS], rows, 26)
    assert [line.split()[0] for line in lines[2:]] == ["…ck_1_depthwise_bn", "…ck_2_depthwise_bn"]


def test_a_sentence_keeps_its_beginning_and_a_quarter_of_the_width():
    columns = (
        Column("change", keep=9, words=True, least=5, said=True),
        Column("name", keep=8, words=True, least=5),
    )
    (_, _, row), dropped = layout(columns, [["0123456789" * 5, "abcdefghij" * 10]], 40)
    assert row.startswith("0123456789")
    assert row.split("  ")[0].endswith("…")
    assert not dropped
    # 5 columns for the name, 10 for the sentence, 2 between them, which leaves none for a number.
    (head, *_), dropped = layout(
        (*columns, Column("number", keep=1)), [["s" * 50, "n" * 50, "9" * 24]], 40
    )
    assert head.split() == ["change", "name"]
    assert dropped == ["number"]


@given(
    rows=st.lists(
        st.tuples(*[st.text(st.sampled_from("aé 模0…,\u00a0"), max_size=8)] * 3),
        min_size=1,
        max_size=4,
    )
)
def test_rows_of_a_long_table_look_as_they_do_in_a_short_one(rows):
    columns = (Column("name", words=True), Column("n"), Column("said", words=True))
    short, _ = layout(columns, rows, 60)
    long, _ = layout(columns, rows * 250, 60)

    # Not list against list: what pytest would say of a thousand rows that differ takes hours.
    assert long[:2] == short[:2]
    assert all(one == short[2 + at % len(rows)] for at, one in enumerate(long[2:]))
    assert len(long) == 2 + len(rows) * 250
