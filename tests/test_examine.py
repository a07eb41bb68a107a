import dataclasses

import pytest

from inspector import examine
from inspector.model import Measurement, Role
from inspector.payloads import RawPayload
from inspector.storage import MemorySource
from tests.builders import artifacts


def with_values(case, **values):
    """The case's artifact, the named tensors holding float32 values."""
    import numpy as np

    def given(tensor):
        numbers = values.get(tensor.name.rsplit("/", 1)[-1])
        if numbers is None:
            return tensor
        data = np.asarray(numbers, "<f4").tobytes()
        payload = RawPayload(MemorySource(data, "m"), 0, len(numbers), "float32")
        return dataclasses.replace(tensor, payload=payload)

    artifact = case.artifact()
    return dataclasses.replace(artifact, tensors=tuple(map(given, artifact.tensors)))


def copies_case():
    case = artifacts.Case()
    case.tensor("a/first", Role.WEIGHT, (3,), layer="d", variable="kernel")
    case.tensor("a/second", Role.ALIAS, (3,), layer="d", variable="kernel", alias_of="a/first")
    return case


def test_a_copy_that_differs_is_a_problem():
    case = copies_case()
    artifact = with_values(case, first=[1, 2, 3], second=[1, 2, 4])
    confirmed, problems = examine.confirm(artifact, case.classified(), {})
    assert [problem.code for problem in problems] == ["copy-differs"]
    assert "a/first" in problems[0].message
    assert "a/second" in problems[0].message
    assert confirmed.verdicts["a/second"] == case.verdicts["a/second"]


def test_copies_differ_by_bits_not_by_value():
    case = copies_case()
    same = with_values(case, first=[0.0, float("nan"), 3], second=[0.0, float("nan"), 3])
    assert examine.confirm(same, case.classified(), {})[1] == []


@pytest.mark.parametrize(
    ("found", "binary"),
    [
        (Measurement(3, 0.0, 1.0, 0, 0, 2), True),
        (Measurement(0, 1.0, 1.0, 0, 0, 1), True),
        (Measurement(4, 0.0, 0.0, 0, 0, 1), True),
        (Measurement(0, None, None, 0, 0, 0), True),
        (Measurement(3, 0.0, 1.0, 0, 0, 3), False),
        (Measurement(3, 0.0, 0.5, 0, 0, 2), False),
        (Measurement(3, 0.0, 1.0, 1, 0, 2), False),
        (Measurement(3, 0.0, 1.0, 0, 0, None), False),
    ],
)
def test_a_mask_is_binary_when_it_holds_nothing_but_zero_and_one(found, binary):
    assert examine.is_binary(found) is binary


def test_a_mask_of_other_values_is_a_problem():
    case = artifacts.copies()
    mask = next(t for t in case.tensors if case.verdicts[t.name].role is Role.MASK)
    found = {mask.name: Measurement(1, 0.0, 0.5, 0, 0, 3)}
    _, problems = examine.confirm(case.artifact(), case.classified(), found)
    assert [problem.code for problem in problems] == ["mask-not-binary"]
    assert problems[0].message.startswith(mask.name)
