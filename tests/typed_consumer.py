"""What users write, for mypy to read: it is never run. A wrong type here fails the tests."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, assert_type

import numpy as np

import inspector

m = inspector.open(pathlib.Path("model.h5"), limits=inspector.Limits(array_bytes=1 << 30))
assert_type(m, inspector.Inspected)
assert_type(m.report, inspector.ArtifactReport)
assert_type(m.answer, tuple[str, ...])
assert_type(m.totals.count_params, int | None)
assert_type(m.tensors, inspector.Tensors)
assert_type(len(m), int)
by_name: Mapping[str, inspector.InspectedTensor] = m.tensors
kernel = m.tensors["dense/kernel"]
assert_type(kernel, inspector.InspectedTensor)
assert_type(kernel.role, inspector.Role)
assert_type(kernel.shape, tuple[int, ...] | None)
assert_type(kernel.measure, inspector.MeasureReport | None)
assert_type(kernel.numpy(), np.ndarray[Any, Any])
assert_type(kernel.explain(), inspector.Explanation)
values = np.asarray(kernel)
zeros = int(np.count_nonzero(values == 0))
for tensor in m:
    assert_type(tensor, inspector.InspectedTensor)
for layer in m.layers:
    assert_type(layer, inspector.LayerReport)
frame = m.to_frame("layers")
frame.groupby("class_name").sum()
with inspector.open("model.h5") as opened:
    assert_type(opened.artifact, inspector.Artifact)
    for one in opened.artifact.tensors:
        assert_type(one, inspector.Tensor)
report = inspector.diff("a.h5", "b.h5")
assert_type(report, inspector.Report)
assert_type(report.html(), str)
found = inspector.audit(["a.h5"]).findings
try:
    m.tensors["nothing"]
except inspector.NoSuchTensor as error:
    assert_type(str(error), str)
