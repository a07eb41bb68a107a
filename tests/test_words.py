import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.model import Role
from inspector.words import ROLE_LABELS, ROLE_WORDS, count, listing, number, percent, some


def test_every_role_has_its_words():
    assert set(ROLE_WORDS) == set(ROLE_LABELS) == {role.value for role in Role}


def test_labels_are_different_so_that_bytes_of_two_roles_never_merge():
    assert len(set(ROLE_LABELS.values())) == len(ROLE_LABELS)


def test_numbers_have_thousands():
    assert number(51276) == "51,276"


def test_one_is_singular_and_all_else_plural():
    assert [count(n, "byte") for n in (0, 1, 2, 1280)] == [
        "0 bytes",
        "1 byte",
        "2 bytes",
        "1,280 bytes",
    ]
    assert count(2, "entry", "entries") == "2 entries"


def test_listings_read_like_english():
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b"]) == "a and b"
    assert listing(["a", "b", "c"]) == "a, b and c"


def test_percentages_are_whole_only_when_exact():
    assert percent(80, 100) == "80 %"
    # 86 / 108 = 0.796296...: a layer pruned "to 80 %" by rounding
    assert percent(86, 108) == "79.63 %"
    # 640 / 1354 = 0.472673...
    assert percent(640, 1354) == "47.27 %"
    assert percent(1, 8) == "12.5 %"
    assert percent(0, 5) == "0 %"
    assert percent(5, 5) == "100 %"


def test_percentages_never_round_to_all_or_nothing():
    # 20,279 / 20,280 = 0.99995069...
    assert percent(20279, 20280) == "99.995 %"
    assert percent(1, 100_000) == "0.001 %"
    assert percent(1, 10**12) == "under 0.000001 %"
    assert percent(10**12 - 1, 10**12) == "over 99.999999 %"


def test_a_share_of_nothing_is_no_number():
    assert percent(0, 0) == "-"


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([], 3, ""),
        (["a"], 3, "a"),
        (list("abc"), 3, "a, b, c"),
        (list("abcd"), 2, "a, b and 2 more"),
    ],
)
def test_of_many_names_the_first_are_given_and_the_others_counted(names, most, text):
    assert some(names, most) == text


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_percent_is_within_its_digits(part, whole):
    part = min(part, whole)
    text = percent(part, whole)
    if text.startswith(("under", "over")):
        assert 0 < part < whole
        return
    shown = float(text.removesuffix(" %"))
    assert (shown in (0, 100)) == (part in (0, whole))
    assert abs(shown - 100 * part / whole) <= 0.005 + 1e-9
