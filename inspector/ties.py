"""Variables that may be one variable, saved twice.

Keras saves a variable that two layers share under each of them. Where the classes are known the
config tells; where a class is not known, equal bytes are all there is, and they do not prove it. So
such pairs are named, and what depends on them is left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inspector.limits import DEFAULT, KIB, Limits
from inspector.model import Artifact, Measurement, Role, Section, Store, Tensor, Verdict

# Rules that gave a role without knowing the class.
_UNSURE = frozenset({"keras-name", "v3-shapes", "custom-layer"})
# An object graph has one key for a variable, however many layers hold it; a Saver one name.
_ONCE = frozenset({Store.OBJECTS, Store.NAMES})
_PROBE_BYTES = 4 * KIB


@dataclass(frozen=True, slots=True)
class Tie:
    """Two weights of different layers that hold the same values: `again` repeats `first`."""

    first: Tensor
    again: Tensor


def find_ties(
    artifact: Artifact,
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None = None,
    limits: Limits = DEFAULT,
) -> tuple[Tie, ...]:
    """Pairs of equal weights in different layers, one of them at least of an unknown class.

    measured: by tensor name; with it candidates are compared to the end, without it by their first
    bytes alone, so that the cost does not grow with the file. Tensors of one value throughout
    (zero-initialised biases) are left out. Raises ArtifactError when bytes cannot be read.
    """
    if artifact.store in _ONCE:
        return ()
    groups: dict[object, list[Tensor]] = {}
    for tensor in artifact.tensors:
        if tensor.section is Section.MODEL and verdicts[tensor.name].role is Role.WEIGHT:
            groups.setdefault((tensor.dtype, tensor.shape), []).append(tensor)
    found: list[Tie] = []
    for group in groups.values():
        if len(group) > 1 and any(verdicts[t.name].rule in _UNSURE for t in group):
            found += _equal(group, verdicts, measured, limits)
    return tuple(found)


def _equal(
    group: Iterable[Tensor],
    verdicts: Mapping[str, Verdict],
    measured: Mapping[str, Measurement] | None,
    limits: Limits,
) -> Iterator[Tie]:
    from inspector.measure import compare_known

    alike: dict[object, list[Tensor]] = {}
    for tensor in group:
        sign = _sign(tensor, measured)
        if sign is None:
            continue
        firsts = alike.setdefault(sign, [])
        first = next(
            (
                one
                for one in firsts
                if measured is None or compare_known(one, tensor, measured, limits)
            ),
            None,
        )
        if first is None:
            firsts.append(tensor)
        elif first.owner != tensor.owner and (
            verdicts[first.name].rule in _UNSURE or verdicts[tensor.name].rule in _UNSURE
        ):
            yield Tie(first, tensor)


def _sign(tensor: Tensor, measured: Mapping[str, Measurement] | None) -> object:
    """What equal tensors have in common; None for one that says nothing."""
    if tensor.payload is None or tensor.elements < 2:
        return None
    if measured is not None:
        seen = measured.get(tensor.name)
        if seen is None or seen.minimum == seen.maximum:
            return None
        return seen.zeros, seen.minimum, seen.maximum
    block = next(iter(tensor.payload.blocks(_PROBE_BYTES)), None)
    if block is None or (block == block[0]).all():
        return None
    return block.tobytes()
