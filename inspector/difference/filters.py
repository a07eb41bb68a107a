"""What is left out of a comparison, as asked for: by role, by kind of change, by part, by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inspector import report as r
from inspector.difference.nouns import Subject, Wanted
from inspector.difference.tensors import KINDS, Kind
from inspector.difference.told import is_renaming
from inspector.errors import UsageError
from inspector.lookup import spoken
from inspector.meant import did_you_mean
from inspector.model import GROUP_OF, Group, Role, Tensor

# Words for several roles; a group's own name is another for its roles.
_ROLES: Mapping[str, frozenset[Role]] = {
    **{group.value: frozenset(r for r in Role if GROUP_OF[r] is group) for group in Group},
    # A role of the same name is that role alone.
    **{role.value: frozenset({role}) for role in Role},
    "weights": frozenset(role for role in Role if GROUP_OF[role] is Group.WEIGHT),
    "tensors": frozenset(Role),
}
# Parts of the facts beside the tensors, by the word that a person gives.
_PARTS: Mapping[str, frozenset[str]] = {
    "config": frozenset({"config", "layers"}),
    **{
        part: frozenset({part})
        for part in (
            "layers",
            "training-config",
            "signatures",
            "operators",
            "tags",
            "scheme",
            "runtime",
            "vocabulary",
            "attached",
            "totals",
            "roles",
            "bytes",
            "sparsity",
            "patterns",
            "producer",
            "format",
            "complete",
        )
    },
}
_KINDS = frozenset(kind.name for kind in KINDS)
WORDS = tuple(dict.fromkeys((*_ROLES, *_PARTS, *sorted(_KINDS))))  # all but names and globs
_RENAMED, _VALUES = "renamed", "values"
_OF_VALUES = (_VALUES, "sparsity")  # what nothing but values makes


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of two artifacts is compared.

    kinds_alone: nothing but kinds of change is asked for, of whatever tensors both have.
    """

    ignore: tuple[str, ...]
    only: tuple[str, ...]
    kinds_alone: bool = False

    def takes(self, *sides: tuple[Tensor, Role]) -> bool:
        """Whether a tensor, or a pair, is looked at. A pair is left out with either of its two."""
        if any(_is_of(word, one) for word in self.ignore for one in sides):
            return False
        if not self.only or self.kinds_alone:
            return True
        return any(_is_of(word, one) for word in self.only for one in sides)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of change that count."""
        asked = [word for word in self.only if _is_kind(word)]
        left_out = {*self.ignore, *(() if self.values else _OF_VALUES)}
        return tuple(
            kind
            for kind in KINDS
            if kind.name not in left_out and (not asked or kind.name in asked)
        )

    @property
    def values(self) -> bool:
        """Whether values are compared."""
        return _VALUES not in self.ignore

    def keeps(self, fact: r.DiffFact) -> bool:
        """Whether a fact is told."""
        if any(_is_in(word, fact) for word in self.ignore):
            return False
        return not self.only or any(_is_in(word, fact) for word in self.only)


def chosen(wanted: Wanted, a: Subject, b: Subject) -> Chosen:
    """The filter. Raises UsageError for a word that is nothing that could be left out."""
    for word in (*wanted.ignore, *wanted.only):
        if not _is_known(word, a, b):
            raise UsageError(_unknown(word, a, b))
    only = wanted.only
    return Chosen(wanted.ignore, only, bool(only) and all(map(_is_kind, only)))


def _is_kind(word: str) -> bool:
    """Whether it means a kind of change, and nothing else that tensors have."""
    return word in _KINDS and word not in _ROLES


def _is_known(word: str, a: Subject, b: Subject) -> bool:
    if word in _ROLES or word in _PARTS or word in _KINDS:
        return True
    return any(
        _matches(word, tensor) for subject in (a, b) for tensor in subject.artifact.tensors
    ) or any(fnmatch.fnmatchcase(path, word) for path in _layers(a, b))


def _layers(a: Subject, b: Subject) -> Iterable[str]:
    for subject in (a, b):
        yield from (layer.name for layer in subject.report.layers)
        model = subject.artifact.model
        yield from () if model is None else (layer.path for layer in model.walk())


def _unknown(word: str, a: Subject, b: Subject) -> str:
    known = [*_ROLES, *_PARTS, *_KINDS, *_layers(a, b)]
    return (
        f"{word!r} is no role, no group of roles and no part of a comparison, and matches no"
        f" tensor and no layer{did_you_mean(word, known)}"
    )


def _is_of(word: str, side: tuple[Tensor, Role]) -> bool:
    """Whether a word means a tensor: by its role, else by its name or its layer's."""
    tensor, role = side
    if word in _ROLES:
        return role in _ROLES[word]
    return word not in _PARTS and word not in _KINDS and _matches(word, tensor)


def _matches(word: str, tensor: Tensor) -> bool:
    names = spoken(tensor) if tensor.layer is None else (*spoken(tensor), *_around(tensor.layer))
    return any(fnmatch.fnmatchcase(name, word) for name in names)


def _around(path: str) -> Iterable[str]:
    """A layer and those that it is in, each by its path, and by its own name."""
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        yield "/".join(parts[:depth])
    yield from parts[1:]


def _is_in(word: str, fact: r.DiffFact) -> bool:
    """Whether a word means a fact: by its part, else by the layer that it is about."""
    if word == _RENAMED:
        return is_renaming(fact)
    if word in _PARTS:
        return fact.part in _PARTS[word]
    if word in _ROLES or word in _KINDS or fact.part not in _PARTS["config"]:
        return False
    return any(fnmatch.fnmatchcase(fact.what, f"{word}{rest}") for rest in ("", ".*", " *"))
