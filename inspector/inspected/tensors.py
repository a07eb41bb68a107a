"""Tensors of an artifact that was opened, by name; each can become an array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from inspector.allowance import in_time
from inspector.errors import ArtifactError, NoSuchTensor, UsageError
from inspector.inspected.knowledge import GLANCE, Knowledge
from inspector.lookup import find, spoken
from inspector.model import Role, Tensor
from inspector.render.printable import named
from inspector.words import count

if TYPE_CHECKING:
    import numpy as np

    from inspector.measure import Histogram
    from inspector.report import Explanation, MeasureReport, TensorReport


class InspectedTensor:
    """One tensor: what it is, why, and its values, which are read when they are asked for.

    `np.asarray(tensor)` is `tensor.numpy()`.
    """

    def __init__(self, knowledge: Knowledge, tensor: Tensor) -> None:
        self._knowledge, self._tensor = knowledge, tensor

    @property
    def name(self) -> str:
        """Its path in the artifact, unique."""
        return self._tensor.name

    @property
    def layer(self) -> str | None:
        """Path of the layer that owns it, None where unknown."""
        return self._tensor.layer

    @property
    def variable(self) -> str | None:
        """The variable's own name ("kernel"), None where unknown."""
        return self._tensor.variable

    @property
    def role(self) -> Role:
        """What it is for: `Role.WEIGHT`, which equals "weight", and so on."""
        return Role(self.report.role)

    @property
    def evidence(self) -> str:
        """One sentence that says how the role is known."""
        return self.report.evidence

    @property
    def dtype(self) -> str:
        """NumPy's or ml_dtypes' name of the dtype: "float32", "bfloat16", "int4"."""
        return self._tensor.dtype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Its sides, () of a scalar, None where the file declares none."""
        return self._tensor.shape

    @property
    def elements(self) -> int:
        """Number of values: 1 of a scalar."""
        return self._tensor.elements

    @property
    def nbytes(self) -> int:
        """Bytes of the file that hold its values, after any compression."""
        return self._tensor.nbytes

    @property
    def report(self) -> TensorReport:
        """All of the above, as the report has it. `measure` is in it once all values were read."""
        return self._knowledge.entry(self.name)

    @property
    def measure(self) -> MeasureReport | None:
        """Zeros, range, patterns: read the first time. None where there are no numbers.

        Raises Changed and other ArtifactErrors when the values cannot be read.
        """
        return self._knowledge.measure(self._tensor)

    def numpy(self, max_bytes: int | None = None) -> np.ndarray[Any, Any]:
        """All values as they are stored: an array of `shape`, dtype kept (ml_dtypes' ones too).

        It is a copy of the caller's own, and can be written to. Quantized integers stay integers;
        zeros that a sparse tensor leaves out are there. max_bytes: what the array may take, None
        for `limits.array_bytes` (256 MiB).

        Raises UsageError where there are no values (activations, strings), LimitExceeded where the
        array would be larger, Changed where the file is no longer what was opened, ChecksumMismatch
        and other ArtifactErrors.
        """
        from inspector.inspected.values import array_of

        known = self._knowledge
        with in_time(known.limits, known.path), known.files.reading():
            return array_of(self._tensor, known.path, known.limits, self._most(max_bytes))

    def dequantized(self, max_bytes: int | None = None) -> np.ndarray[Any, Any]:
        """The real values of a quantized tensor, `(value - zero point) * scale`, as float32.

        Raises UsageError where the file does not say what its integers stand for; else as `numpy`.
        """
        from inspector.inspected.values import array_of, real_of

        known, most = self._knowledge, self._most(max_bytes)
        with in_time(known.limits, known.path), known.files.reading():
            stored = array_of(self._tensor, known.path, known.limits, most)
            return real_of(self._tensor, stored, known.path, known.limits, most)

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        """For `np.asarray`. Raises ValueError for copy=False: the values are in a file."""
        if copy is False:
            raise ValueError("the values are in a file: they cannot be had without a copy")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def histogram(self, bins: int = 20) -> Histogram:
        """How the finite values spread over equal steps, from the least to the largest.

        `edges` has one more entry than `counts`; both are empty where there are no numbers. Raises
        UsageError for less than one bin, ArtifactError.
        """
        from inspector.measure import histogram

        known = self._knowledge
        with in_time(known.limits, known.path), known.files.reading():
            return histogram(self._tensor, bins, None, known.limits)

    def explain(self, *, measure: bool = True) -> Explanation:
        """All that is known of it: the rule, where its bytes are, its mask. Shows itself.

        measure: read the values. Raises Changed.
        """
        return self._knowledge.explain(self._tensor, measure=measure)

    def _most(self, max_bytes: int | None) -> int:
        return self._knowledge.limits.array_bytes if max_bytes is None else max_bytes

    def __repr__(self) -> str:
        shape = "no shape" if self.shape is None else str(self.shape)
        return (
            f"<{self.role.value} {named(self.name)}: {self.dtype} {shape}, "
            f"{count(self.nbytes, 'byte')}>"
        )

    def _repr_html_(self) -> str:
        from inspector.measured import value_bytes
        from inspector.render.card import card

        try:
            return card(self.explain(measure=value_bytes(self._tensor) <= GLANCE))
        except ArtifactError as error:
            return card(self.report, f"Its values cannot be read. {error}")


class Tensors(Mapping[str, InspectedTensor]):
    """Tensors by name, in the artifact's order.

    A key may also be "layer/variable", "m of layer/variable" for a slot, an ending of a name that
    only one tensor has, or a glob. Raises NoSuchTensor, which is a KeyError, where a key names none
    or several: it says which there are.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def __getitem__(self, key: str) -> InspectedTensor:
        known = self._knowledge
        exact = known.tensors.get(key)
        if exact is not None:
            return InspectedTensor(known, exact)
        if not isinstance(key, str):
            raise NoSuchTensor(f"tensors are found by name, not by {type(key).__name__}")
        try:
            return InspectedTensor(known, find(known.files.artifact, key))
        except UsageError as error:
            raise NoSuchTensor(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._knowledge.tensors)

    def __len__(self) -> int:
        return len(self._knowledge.tensors)

    def _ipython_key_completions_(self) -> list[str]:
        short = dict.fromkeys(map(_short, self._knowledge.tensors.values()))
        return [*short, *(name for name in self if name not in short)]

    def __repr__(self) -> str:
        return f"<{count(len(self), 'tensor')} of {named(self._knowledge.path)}>"

    def _repr_html_(self) -> str:
        from inspector.render.card import tensors_card

        return tensors_card(self._knowledge.best())


def _short(tensor: Tensor) -> str:
    """Layer and variable, as people say it; the path where they are not known."""
    return spoken(tensor)[-1] if tensor.variable else tensor.name
