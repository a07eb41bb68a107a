"""Samples of Keras' own formats cut short, with a byte changed, or with a lie in them."""

import pytest

from tests.builders.samples import KERAS, path
from tests.fuzz.harmless import assert_harmless, groups


@pytest.mark.parametrize("group", groups(KERAS), ids=lambda group: group.names[0])
def test_a_changed_sample_is_read_soundly_or_refused(group):
    assert_harmless([path(name) for name in group.names], group.share)
