"""Which tensor a person means by a name."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Callable, Iterator

from inspector.errors import UsageError, one_line
from inspector.meant import did_you_mean
from inspector.model import Artifact, Section, Tensor
from inspector.words import keyless

_CANDIDATES = 20  # an ambiguous name lists this many of the tensors it could mean
_NEAR = 3  # and an unknown one as many that are like it


def find(artifact: Artifact, wanted: str) -> Tensor:
    """The tensor that `wanted` names. Raises UsageError, with candidates where there are some."""
    for matches in _MATCHES:
        hits = [tensor for tensor in artifact.tensors if matches(tensor, wanted)]
        # A variable's slots and copies have its name in theirs.
        hits = [one for one in hits if _is_model_s_own(one)] or hits
        if len(hits) == 1:
            return hits[0]
        if hits:
            names = "".join(f"\n  {one_line(_candidate(tensor))}" for tensor in hits[:_CANDIDATES])
            more = len(hits) - _CANDIDATES
            rest = f"\n  and {more:,} more" if more > 0 else ""
            raise UsageError(f"{wanted!r} names {len(hits):,} tensors; say which:{names}{rest}")
    slot, of, served = wanted.partition(" of ")
    if of:
        known = spoken(find(artifact, served))
        for tensor in artifact.tensors:
            if tensor.variable == slot and tensor.slot_of in known:
                return tensor
    raise UsageError(
        f"{wanted!r} names no tensor of {one_line(artifact.path)}"
        f"{did_you_mean(wanted, _endings(artifact, wanted), _NEAR) or ';'} "
        f"`inspect {one_line(shlex.quote(artifact.path))} --tensors` lists them"
    )


def _endings(artifact: Artifact, wanted: str) -> Iterator[str]:
    """Names that tensors could be called by, as long as that one; the model's own first."""
    parts = wanted.count("/") + 1
    for tensor in sorted(artifact.tensors, key=_is_model_s_own, reverse=True):
        names = {"/".join(name.rsplit("/", parts)[-parts:]) for name in spoken(tensor)}
        short = {name for name in names if ":" not in name}
        yield from sorted(names if ":" in wanted else short or names)


def _is_model_s_own(tensor: Tensor) -> bool:
    return tensor.section is not Section.OPTIMIZER and tensor.repeats is None


def _candidate(tensor: Tensor) -> str:
    """How to name it, and what it is of where that does not say it."""
    name = keyless(tensor.name)
    of = "/".join(filter(None, (tensor.layer, tensor.variable)))
    told = not tensor.variable or name.partition(":")[0].endswith(of)
    return name if told else f"{name}  ({of})"


def spoken(tensor: Tensor) -> tuple[str, ...]:
    """The names that people know a tensor by, its path in the artifact first."""
    names = [tensor.name, keyless(tensor.name), *tensor.links]
    if tensor.stored_name:
        names.append(tensor.stored_name)
    if tensor.variable:
        names.append(f"{tensor.layer}/{tensor.variable}" if tensor.layer else tensor.variable)
    return tuple(names)


def _ends_with(tensor: Tensor, wanted: str) -> bool:
    return any(name.endswith(f"/{wanted}") for name in spoken(tensor))


def _lies_within(tensor: Tensor, wanted: str) -> bool:
    """Whether it is called so by a layer around its own: a wrapper, as the table of layers has."""
    layer, _, variable = wanted.rpartition("/")
    same = tensor.variable is not None and tensor.variable == variable.removesuffix(":0")
    return same and bool(layer) and _of_layer(tensor, layer)


def _of_layer(tensor: Tensor, wanted: str) -> bool:
    return tensor.layer is not None and f"/{wanted}/" in f"/{tensor.layer}/"


def _globs(tensor: Tensor, wanted: str) -> bool:
    return any(fnmatch.fnmatchcase(name, wanted) for name in spoken(tensor))


# How a tensor may be named; the first way that matches any decides.
_MATCHES: tuple[Callable[[Tensor, str], bool], ...] = (
    lambda tensor, wanted: tensor.name == wanted,
    lambda tensor, wanted: wanted in spoken(tensor),
    _ends_with,
    _lies_within,
    _globs,
    _of_layer,
)
