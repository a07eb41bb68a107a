"""A frozen object with some of its fields changed, as `dataclasses.replace` makes it."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from inspector.changed import changed
from inspector.model import Section, Tensor

TENSOR = Tensor("dense/kernel", "float32", (2, 3), 24, links=("a", "b"), payload=None)


@pytest.mark.parametrize("facts", [{}, {"name": "b"}, {"section": Section.OTHER, "shape": ()}])
def test_it_is_what_replace_makes(facts):
    found = changed(TENSOR, **facts)
    assert found == replace(TENSOR, **facts)
    for one in fields(Tensor):
        assert getattr(found, one.name) is facts.get(one.name, getattr(TENSOR, one.name))
    assert TENSOR.name == "dense/kernel"


def test_it_is_frozen_as_well():
    with pytest.raises(FrozenInstanceError):
        changed(TENSOR, name="b").name = "c"


def test_a_field_that_it_has_not_is_an_error():
    with pytest.raises(TypeError, match="colour"):
        changed(TENSOR, name="b", colour="red")
