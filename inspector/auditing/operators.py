"""Which operators of a LiteRT model compute with floats, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inspector.model import Artifact, Tensor

_FLOATS = ("float", "bfloat")
_DEQUANTIZE, _QUANTIZE = "DEQUANTIZE", "QUANTIZE"


@dataclass(frozen=True, slots=True)
class Operators:
    """The operators of all subgraphs by name.

    words: name -> what it does ("CONV_2D"); floating: those that make floats, in the order of what
    they make, but for DEQUANTIZE; custom: those that are no builtins. after: floating operator ->
    those that read its floats; entered: floating operators that read what a DEQUANTIZE made of an
    activation; left: those whose floats a QUANTIZE reads.
    """

    words: Mapping[str, str]
    floating: tuple[str, ...]
    custom: frozenset[str]
    after: Mapping[str, tuple[str, ...]]
    entered: frozenset[str]
    left: frozenset[str]

    @classmethod
    def of(cls, artifact: Artifact) -> Operators:
        """Those of an artifact; none where it is no LiteRT model."""
        layers = artifact.model.children if artifact.format == "tflite" and artifact.model else ()
        words = {layer.path: layer.class_name for layer in layers}
        customs = {one.name for one in artifact.operators if one.custom}
        # What nothing reads is an operator's own (the intermediates of an LSTM).
        floats = [
            one
            for one in artifact.tensors
            if one.made is not None and one.layer in words and one.uses
            if one.dtype.startswith(_FLOATS)
        ]
        turned = frozenset(
            use.node
            for one in artifact.tensors
            if one.made is not None and not one.dtype.startswith(_FLOATS)
            for use in one.uses
            if use.op == _DEQUANTIZE
        )
        floating = tuple(
            dict.fromkeys(str(one.layer) for one in floats if words[str(one.layer)] != _DEQUANTIZE)
        )
        return cls(
            words,
            floating,
            frozenset(name for name, word in words.items() if word in customs),
            _after(floats, frozenset(floating)),
            frozenset(use.node for one in floats if one.layer in turned for use in one.uses),
            frozenset(
                str(one.layer) for one in floats if any(use.op == _QUANTIZE for use in one.uses)
            ),
        )

    def islands(self) -> Iterator[tuple[str, ...]]:
        """Groups of floating operators that integers lead into and come out of again."""
        beside: dict[str, list[str]] = {one: [] for one in self.floating}
        for one, readers in self.after.items():
            for reader in readers:
                beside[one].append(reader)
                beside[reader].append(one)
        seen: set[str] = set()
        for first in self.floating:
            if first in seen:
                continue
            group, waiting = {first}, [first]
            while waiting:
                for other in beside[waiting.pop()]:
                    if other not in group:
                        group.add(other)
                        waiting.append(other)
            seen |= group
            if group & self.entered and group & self.left:
                yield tuple(one for one in self.floating if one in group)


def _after(floats: list[Tensor], floating: frozenset[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for one in floats:
        if one.layer in floating:
            readers = (use.node for use in one.uses if use.node in floating)
            found.setdefault(str(one.layer), {}).update(dict.fromkeys(readers))
    return {name: tuple(readers) for name, readers in found.items()}
