"""What changed in how the models are called and what they need: signatures, operators, files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inspector.difference.nouns import Subject
from inspector.report import ArtifactReport, DiffFact, OperatorReport, PortReport, SignatureReport
from inspector.words import count, listing, some

# Formats whose operators are one language.
_TENSORFLOW = frozenset({"saved-model", "frozen-graph"})
_LITE = "tflite"
# Operators that are each said by themselves; of more, how many there are.
_EACH = 8


def interface_facts(a: Subject, b: Subject) -> tuple[DiffFact, ...]:
    """Parts "signatures", "tags", "operators", "scheme", "runtime", "vocabulary" and "attached".

    All is told by the reports. What one of two formats cannot have is no difference.
    """
    ours, theirs = a.report, b.report
    same = ours.format == theirs.format
    return (
        *_signatures(ours, theirs, same=same),
        *_tags(ours, theirs, same=same),
        *_operators(ours, theirs, same=same),
        *_scheme(ours, theirs, same=same),
        *_runtime(ours, theirs),
        *_vocabulary(a, b, same=same),
        *_attached(ours, theirs, same=same),
    )


# --- signatures ------------------------------------------------------------------------------


def _signatures(a: ArtifactReport, b: ArtifactReport, *, same: bool) -> Iterator[DiffFact]:
    ours, theirs = _by_name(a.signatures), _by_name(b.signatures)
    if not same and (not ours or not theirs):
        return
    if not same and len(ours) == len(theirs) == 1 and ours.keys() != theirs.keys():
        # The only way to call each of them, whatever each format calls it.
        theirs = dict(zip(ours, theirs.values(), strict=True))
    for name in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(name), theirs.get(name)
        if one is not None and other is not None:
            yield from _ports(name, one, other, same=same)
            continue
        done, found = ("removed", one) if other is None else ("added", other)
        words = f"signature {done}: {name} {_call(found)}"
        a_call, b_call = (None if s is None else _call(s) for s in (one, other))
        yield DiffFact("signatures", name, a_call, b_call, words, counts=same)


def _by_name(signatures: Sequence[SignatureReport]) -> dict[str, SignatureReport]:
    """By name, with the tags of the meta graph where several have the name."""
    often = Counter(one.name for one in signatures)
    return {
        one.name if often[one.name] == 1 else f"{one.name} ({', '.join(one.tags)})": one
        for one in signatures
    }


def _call(signature: SignatureReport | None) -> str:
    if signature is None:
        return ""
    inputs, outputs = (
        ", ".join(f"{port.name}: {_form(port)}" for port in ports)
        for ports in (signature.inputs, signature.outputs)
    )
    return f"({inputs}) -> ({outputs})"


def _form(port: PortReport) -> str:
    """Its dtype and shape: "float32[?, 10]"."""
    shape = " of unknown shape" if port.shape is None else _shape(port.shape)
    return f"{port.dtype or 'unknown'}{shape}"


def _shape(sides: Sequence[int | None] | None) -> str:
    if sides is None:
        return "unknown"
    return f"[{', '.join('?' if side is None else str(side) for side in sides)}]"


def _ports(name: str, a: SignatureReport, b: SignatureReport, *, same: bool) -> Iterator[DiffFact]:
    for noun, ours, theirs in (("input", a.inputs, b.inputs), ("output", a.outputs, b.outputs)):
        yield from _each(name, noun, ours, theirs, same=same)
    if same and a.method != b.method:
        words = f"signature {name}: method {a.method or 'none'} -> {b.method or 'none'}"
        yield DiffFact("signatures", f"{name}.method", a.method, b.method, words, counts=True)


def _each(
    name: str, noun: str, ours: Sequence[PortReport], theirs: Sequence[PortReport], *, same: bool
) -> Iterator[DiffFact]:
    left, right = ({port.name: port for port in ports} for ports in (ours, theirs))
    known = [(port, right[port.name]) for port in ours if port.name in right]
    alone = [port for port in ours if port.name not in right]
    others = [port for port in theirs if port.name not in left]
    renamed = list(zip(alone, others, strict=True)) if _line_up(alone, others, same) else []
    for port, other in known:
        yield from _changed(
            f"{name}.{port.name}", f"signature {name}: {noun} {port.name}", port, other, same=same
        )
    for port, other in renamed:
        words = f"signature {name}: {noun} renamed: {port.name} -> {other.name}"
        what = f"{name}.{port.name}"
        yield DiffFact("signatures", f"{what}.name", port.name, other.name, words, counts=same)
        yield from _changed(what, f"signature {name}: {noun} {other.name}", port, other, same=same)
    if renamed:
        return
    for done, ports in (("removed", alone), ("added", others)):
        for port in ports:
            words = f"signature {name}: {noun} {done}: {port.name}: {_form(port)}"
            a, b = (_form(port), None) if done == "removed" else (None, _form(port))
            yield DiffFact("signatures", f"{name}.{port.name}", a, b, words, counts=True)


def _line_up(alone: Sequence[PortReport], others: Sequence[PortReport], same: bool) -> bool:
    """Whether ports of other names are the same ones: within a format their forms tell."""
    if len(alone) != len(others):
        return False
    return not same or [_form(one) for one in alone] == [_form(one) for one in others]


def _changed(
    what: str, called: str, a: PortReport, b: PortReport, *, same: bool
) -> Iterator[DiffFact]:
    if a.dtype != b.dtype and (same or (a.dtype and b.dtype)):
        words = f"{called}: dtype {a.dtype or 'unknown'} -> {b.dtype or 'unknown'}"
        yield DiffFact("signatures", f"{what}.dtype", a.dtype, b.dtype, words, counts=True)
    if a.shape != b.shape and (same or (a.shape is not None and b.shape is not None)):
        words = f"{called}: shape {_shape(a.shape)} -> {_shape(b.shape)}"
        fixed = not same and _only_fixed(a.shape, b.shape)
        if fixed:
            words += ", a side that the conversion fixed"
        ours, theirs = (None if s is None else list(s) for s in (a.shape, b.shape))
        yield DiffFact("signatures", f"{what}.shape", ours, theirs, words, counts=not fixed)


def _only_fixed(a: Sequence[int | None] | None, b: Sequence[int | None] | None) -> bool:
    """Whether they differ in sides only that one leaves open and the other has 1 of.

    That is what the TFLite converter makes of them, and what its runtime can resize again.
    """
    if a is None or b is None or len(a) != len(b):
        return False
    return all(one == other or {one, other} == {None, 1} for one, other in zip(a, b, strict=True))


# --- the rest --------------------------------------------------------------------------------


def _tags(a: ArtifactReport, b: ArtifactReport, *, same: bool) -> Iterator[DiffFact]:
    ours, theirs = (sorted(", ".join(sorted(tags)) for tags in one.tags) for one in (a, b))
    if same and ours != theirs:
        words = f"tags {_listed(ours)} -> {_listed(theirs)}"
        yield DiffFact("tags", "tags", ours, theirs, words, counts=True)


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words) or "none"


def _operators(a: ArtifactReport, b: ArtifactReport, *, same: bool) -> Iterator[DiffFact]:
    """Operators of one language; how one format is made of another tells them apart anyway."""
    if not same and not {a.format, b.format} <= _TENSORFLOW:
        return
    ours, theirs = ({one.name: one for one in each.operators} for each in (a, b))
    if not same and (not ours or not theirs):
        return
    changed = {
        name: (n, m)
        for name in dict.fromkeys((*ours, *theirs))
        if (n := _count(ours.get(name))) != (m := _count(theirs.get(name)))
    }
    if len(changed) > _EACH:
        said = [f"{name} {_times(n)} -> {_times(m)}" for name, (n, m) in changed.items()]
        words = f"{len(changed)} operators: {some(said)}"
        n_each, m_each = ({name: both[at] for name, both in changed.items()} for at in (0, 1))
        yield DiffFact("operators", "operators", n_each, m_each, words, counts=same)
        changed = {}
    for name, (n, m) in changed.items():
        words = f"operator {name}: {_times(n)} -> {_times(m)}"
        yield DiffFact("operators", name, n or None, m or None, words, counts=same)
    for name, one in ours.items():
        other = theirs.get(name)
        if other is not None and one.count == other.count and one.version != other.version:
            words = f"operator {name}: version {one.version} -> {other.version}"
            what = f"{name}.version"
            yield DiffFact("operators", what, one.version, other.version, words, counts=False)


def _count(operator: OperatorReport | None) -> int:
    return 0 if operator is None else operator.count


def _times(number: int) -> str:
    return count(number, "time") if number else "none"


def _scheme(a: ArtifactReport, b: ArtifactReport, *, same: bool) -> Iterator[DiffFact]:
    if a.scheme == b.scheme:
        return
    if same:
        words = f"quantization {a.scheme or 'none'} -> {b.scheme or 'none'}"
        yield DiffFact("scheme", "scheme", a.scheme, b.scheme, words, counts=True)
        return
    for side, scheme in (("A", a.scheme), ("B", b.scheme)):
        if scheme is not None:
            words = f"quantization of {side}: {scheme}"
            yield DiffFact("scheme", "scheme", a.scheme, b.scheme, words, counts=False)


def _runtime(a: ArtifactReport, b: ArtifactReport) -> Iterator[DiffFact]:
    ours, theirs = a.min_runtime_version, b.min_runtime_version
    if ours != theirs and a.format == b.format == _LITE:
        words = f"oldest runtime {ours or 'unknown'} -> {theirs or 'unknown'}"
        yield DiffFact("runtime", "min_runtime_version", ours, theirs, words, counts=False)


def _vocabulary(a: Subject, b: Subject, *, same: bool) -> Iterator[DiffFact]:
    """Numbers of entries; two formats have them under other names, so those are left out then."""
    if a.saved or b.saved:
        return
    ours, theirs = a.artifact.vocabulary, b.artifact.vocabulary
    if same:
        yield from _by_size("vocabulary", ours, theirs, ("entry", "entries"))
        return
    sizes = sorted(set(ours.values())), sorted(set(theirs.values()))
    if ours and theirs and sizes[0] != sizes[1]:
        said = [listing([count(n, "entry", "entries") for n in each]) for each in sizes]
        words = f"vocabularies of {said[0]} -> {said[1]}"
        yield DiffFact("vocabulary", "vocabulary", *sizes, words, counts=True)


def _attached(a: ArtifactReport, b: ArtifactReport, *, same: bool) -> Iterator[DiffFact]:
    if same:
        yield from _by_size("attached", a.attached, b.attached, ("byte", "bytes"))


def _by_size(
    part: str, ours: Mapping[str, int], theirs: Mapping[str, int], unit: tuple[str, str]
) -> Iterator[DiffFact]:
    noun = {"attached": "attached file"}.get(part, part)
    for name in dict.fromkeys((*ours, *theirs)):
        a: Any = ours.get(name)
        b: Any = theirs.get(name)
        if a == b:
            continue
        if a is None or b is None:
            done, size = ("added", b) if a is None else ("removed", a)
            words = f"{noun} {done}: {name} ({count(size, *unit)})"
        else:
            words = f"{noun} {name}: {count(a, *unit)} -> {count(b, *unit)}"
        yield DiffFact(part, name, a, b, words, counts=True)
