"""What is made of the values of some tensors: measurements, digests, and why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.errors import ArtifactError, ChecksumMismatch, LimitExceeded
from inspector.limits import Limits
from inspector.model import Measurement, Problem, Severity, Tensor
from inspector.payloads import numpy_dtype


@dataclass(frozen=True, slots=True)
class Measured:
    """By the names of the tensors that were looked at, all of which are `names`.

    found: measurements; problems: why there is none, or no digest; digests: None of what has no
    values, or none that can be read. Empty where they were not asked for.
    """

    names: frozenset[str] = frozenset()
    found: Mapping[str, Measurement] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    digests: Mapping[str, str | None] = field(default_factory=dict)

    def beside(self, other: Measured) -> Measured:
        """What is known of the tensors of both."""
        return Measured(
            self.names | other.names,
            {**self.found, **other.found},
            {**self.problems, **other.problems},
            {**self.digests, **other.digests},
        )


def read_values(
    tensors: Sequence[Tensor],
    limits: Limits,
    threads: int | None,
    on_bytes: Callable[[int], None],
    *,
    measure: bool = True,
    thorough: bool = False,
    digests: bool = False,
    masks: Mapping[str, str] | None = None,
) -> Measured:
    """What is made of the tensors' values, which are read once for all of it.

    threads, on_bytes, thorough, masks: as for `measure_all`. Raises LimitExceeded where there is no
    time for the rest.
    """
    from inspector.measure import measure_all

    found: dict[str, Measurement] = {}
    failed: dict[str, ArtifactError] = {}
    if measure:
        found, failed = measure_all(
            tensors,
            limits,
            threads,
            on_bytes,
            thorough=thorough,
            digests=digests,
            masks=masks or {},
        )
    problems = {name: not_measured(name, error) for name, error in failed.items()}
    taken: dict[str, str | None] = {}
    for tensor in tensors if digests else ():
        name = tensor.name
        try:
            taken[name] = _digest(tensor, found.get(name), failed.get(name), limits)
        except ArtifactError as error:
            if isinstance(error, LimitExceeded) and error.name == "seconds":
                raise
            taken[name] = None
            problems.setdefault(name, unreadable(f"{name} has no digest", error))
        if not measure:
            on_bytes(value_bytes(tensor))
    return Measured(frozenset(tensor.name for tensor in tensors), found, problems, taken)


def _digest(
    tensor: Tensor, found: Measurement | None, failed: ArtifactError | None, limits: Limits
) -> str | None:
    """The digest that was taken in passing; where there is none, that of values read for it."""
    from inspector.digests import tensor_digest

    if found is not None and found.digest is not None:
        return found.digest
    # What cannot be read is not tried again; bytes that were changed are there.
    is_lost = failed is not None and not isinstance(failed, ChecksumMismatch)
    return None if is_lost else tensor_digest(tensor, limits)


def not_measured(name: str, error: ArtifactError) -> Problem:
    """Why a tensor has no measurement."""
    return unreadable(f"{name} was not measured", error)


def unreadable(what: str, error: ArtifactError) -> Problem:
    """What comes of it that values cannot be read."""
    message = f"{what}: {error.message}"
    wrong = isinstance(error, ChecksumMismatch)
    code = "checksum-mismatch" if wrong else "unreadable-values"
    return Problem(code, Severity.ERROR, message, error.path, error.offset)


def value_bytes(tensor: Tensor) -> int:
    """Bytes of the values once decoded: what measuring counts its progress in."""
    if tensor.payload is None:
        return 0
    try:
        return tensor.elements * numpy_dtype(tensor.dtype).itemsize
    except (AttributeError, SyntaxError, TypeError, ValueError):
        return 0
