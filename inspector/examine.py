"""What is known of an artifact while it is open: roles, counts and measures held together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from inspector.errors import ArtifactError, UsageError
from inspector.limits import DEFAULT, Limits
from inspector.measured import Measured, not_measured, read_values, unreadable, value_bytes
from inspector.model import Artifact, Measurement, Problem, Role, Severity, Tensor, Verdict

if TYPE_CHECKING:
    from inspector.classify import Classified
    from inspector.count import Counted
    from inspector.digests import Digests
    from inspector.measure import Histogram, MaskReport
    from inspector.ties import Tie

_BARS = 20  # of a histogram at most
NOTHING_YET = Measured()


class Progress(Protocol):
    """Told how far the measuring of each artifact is; sizes are bytes."""

    def start(self, nbytes: int) -> None: ...

    def advance(self, nbytes: int) -> None: ...

    def finish(self) -> None: ...


class Silent:
    """The progress that nobody watches."""

    def start(self, nbytes: int) -> None:
        """Nothing to show."""

    def advance(self, nbytes: int) -> None:
        """Nothing to show."""

    def finish(self) -> None:
        """Nothing to show."""


class Known(NamedTuple):
    """All that the steps found out about an artifact.

    measured: None where no value was measured; digests: where they were asked for.
    """

    artifact: Artifact
    classified: Classified
    counted: Counted
    measured: dict[str, Measurement] | None
    problems: list[Problem]
    digests: Digests | None = None


def examine(
    artifact: Artifact,
    measure: bool,
    limits: Limits,
    threads: int | None,
    progress: Progress,
    *,
    thorough: bool = False,
    digest: bool = False,
    known: Measured = NOTHING_YET,
) -> Known:
    """All that is known of an artifact, while it is open.

    digest: take the digests of values, in the pass that measures them. known: what was measured of
    some of its tensors already, as thoroughly; their values are not read again.
    """
    from inspector.classify import classify
    from inspector.digests import values_digests
    from inspector.masked import masks_of

    classified = classify(artifact)
    if not (measure or digest):
        return conclude(artifact, classified, None, [], limits)
    seen = measure_tensors(
        artifact.tensors,
        limits,
        threads,
        progress,
        measure=measure,
        thorough=thorough,
        digests=digest,
        masks=masks_of(artifact.tensors, classified.verdicts) if thorough else None,
        known=known,
    )
    names = [tensor.name for tensor in artifact.tensors]
    found = {name: seen.found[name] for name in names if name in seen.found}
    problems = [seen.problems[name] for name in names if name in seen.problems]
    concluded = conclude(artifact, classified, found if measure else None, problems, limits)
    if not digest:
        return concluded
    digests = values_digests(artifact, classified.verdicts, seen.digests)
    return concluded._replace(digests=digests)


def conclude(
    artifact: Artifact,
    classified: Classified,
    measured: dict[str, Measurement] | None,
    problems: list[Problem],
    limits: Limits,
) -> Known:
    """What roles and measures say, held against each other.

    measured: by name, None where no value was read; problems: why others were not measured.
    """
    from inspector.count import count
    from inspector.ties import find_ties

    if measured is not None:
        classified, more = confirm(artifact, classified, measured, limits)
        problems = [*problems, *more]
    ties: tuple[Tie, ...] = ()
    try:
        ties = find_ties(artifact, classified.verdicts, measured, limits)
    except ArtifactError as error:
        problems = [*problems, unreadable("equal tensors were not looked for", error)]
    counted = count(artifact, classified.verdicts, measured, ties, classified.specs)
    return Known(artifact, classified, counted, measured, problems)


def measure_tensors(
    tensors: Sequence[Tensor],
    limits: Limits,
    threads: int | None,
    progress: Progress,
    *,
    measure: bool = True,
    thorough: bool = False,
    digests: bool = False,
    masks: Mapping[str, str] | None = None,
    known: Measured = NOTHING_YET,
) -> Measured:
    """What is made of the values of all tensors. known: of some, whose values are not read."""
    rest = [tensor for tensor in tensors if tensor.name not in known.names]
    left, whole = sum(map(value_bytes, rest)), sum(map(value_bytes, tensors))
    progress.start(whole)
    try:
        progress.advance(whole - left)
        seen = read_values(
            rest,
            limits,
            threads,
            progress.advance,
            measure=measure,
            thorough=thorough,
            digests=digests,
            masks=masks,
        )
    finally:
        progress.finish()
    return known.beside(seen)


def confirm(
    artifact: Artifact,
    classified: Classified,
    measured: Mapping[str, Measurement],
    limits: Limits = DEFAULT,
    only: frozenset[str] | None = None,
) -> tuple[Classified, list[Problem]]:
    """Hold what the rules said against the values: copies repeat, masks are binary.

    only: names of the tensors to look at, None for all. Roles stay as they are; what the values
    say is added to the evidence, or is a Problem ("copy-differs", "mask-not-binary").
    """
    from inspector.measure import compare_known

    by_name = {tensor.name: tensor for tensor in artifact.tensors}
    verdicts = dict(classified.verdicts)
    problems: list[Problem] = []
    for tensor in artifact.tensors:
        verdict = verdicts[tensor.name]
        if only is not None and tensor.name not in only:
            continue
        original = by_name.get(verdict.alias_of or "")
        if verdict.role is Role.ALIAS and original is not None:
            try:
                same = compare_known(tensor, original, measured, limits)
            except ArtifactError as error:
                problems.append(not_measured(tensor.name, error))
                continue
            if same:
                evidence = f"{verdict.evidence.rstrip('.')}; byte-identical to it"
                verdicts[tensor.name] = dataclasses.replace(verdict, evidence=evidence)
            elif same is not None:
                problems.append(_differs(tensor, original, artifact.path))
        found = measured.get(tensor.name)
        if verdict.role is Role.MASK and found is not None and not is_binary(found):
            problems.append(_not_binary(tensor, found, artifact.path))
    return dataclasses.replace(classified, verdicts=verdicts), problems


def is_binary(found: Measurement) -> bool:
    """Whether the values measured are all 0 or 1."""
    if found.nan or found.distinct is None:
        return False
    ends = {found.minimum, found.maximum} - {None}
    return ends <= {0, 1} and found.distinct == len(ends)


def bars_of(tensor: Tensor, found: Measurement, limits: Limits) -> Histogram | None:
    """A histogram with no more bars than there are values; None where there is but one."""
    from inspector.measure import histogram

    bars = _BARS if found.distinct is None else min(_BARS, found.distinct)
    return histogram(tensor, bars, found, limits) if bars > 1 else None


def mask_check(
    artifact: Artifact, found: Tensor, verdicts: Mapping[str, Verdict], limits: Limits
) -> tuple[Tensor, Tensor, MaskReport] | None:
    """The mask, the weight and how they agree, where `found` is either."""
    from inspector.measure import mask_against_weight

    by_name = {tensor.name: tensor for tensor in artifact.tensors}
    pairs = (
        (by_name[name], by_name[verdict.about])
        for name, verdict in verdicts.items()
        if verdict.role is Role.MASK and verdict.about in by_name
    )
    for mask, weight in pairs:
        if found.name in (mask.name, weight.name):
            try:
                return mask, weight, mask_against_weight(mask, weight, limits)
            except (ArtifactError, UsageError):
                return None
    return None


def _differs(copy: Tensor, original: Tensor, path: str) -> Problem:
    return Problem(
        "copy-differs",
        Severity.WARNING,
        f"{copy.name} and {original.name} are the same variable and hold different values; "
        "Keras loads them in order, so the last one loaded wins",
        path,
    )


def _not_binary(mask: Tensor, found: Measurement, path: str) -> Problem:
    values = "more than 256" if found.distinct is None else f"{found.distinct:,}"
    return Problem(
        "mask-not-binary",
        Severity.WARNING,
        f"{mask.name} is a mask by its place and holds {values} different values "
        f"from {found.minimum} to {found.maximum}, not 0 and 1 alone",
        path,
    )
