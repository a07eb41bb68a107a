"""A policy as it was read from TOML, held against its types: all that is wrong, with its path."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct

from inspector.auditing.policy import Policy
from inspector.auditing.rule import matches
from inspector.auditing.toml_places import Path
from inspector.meant import did_you_mean

# msgspec speaks of JSON.
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "date": "a date",
    "array": "a list",
    "object": "a table",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. path: of keys and indices, from the policy's table down."""

    path: Path
    message: str


def faults(content: Any, codes: Collection[str]) -> list[Fault]:
    """All that is wrong with a policy. codes: of the rules that there are."""
    found = list(_of(content, Policy, ()))
    return found or list(unknown_codes(content, codes))


def _of(value: Any, kind: Any, path: Path) -> Iterator[Fault]:
    """Faults of a value that should be of a type."""
    shape = _shape(kind)
    if isinstance(shape, type) and issubclass(shape, Struct):
        yield from _of_table(value, shape, path)
    elif get_origin(shape) is dict and isinstance(value, Mapping):
        for key, one in value.items():
            yield from _of(one, get_args(shape)[1], (*path, key))
    elif get_origin(shape) is tuple and isinstance(value, list):
        if value:
            for index, one in enumerate(value):
                yield from _of(one, get_args(shape)[0], (*path, index))
        else:
            yield from _leaf(value, kind, path)
    else:
        yield from _leaf(value, kind, path)


def _shape(kind: Any) -> Any:
    """The type without its bounds, and without None, which TOML has not."""
    if get_origin(kind) is Annotated:
        return _shape(get_args(kind)[0])
    inside = get_args(kind)
    if type(None) in inside:
        return _shape(next(one for one in inside if one is not type(None)))
    return kind


def _of_table(value: Any, table: type[Struct], path: Path) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(path, f"{_name(path)} must be a table, not {_what(value)}")
        return
    fields = {one.encode_name: one for one in msgspec.structs.fields(table)}
    for key, one in value.items():
        if key in fields:
            yield from _of(one, fields[key].type, (*path, key))
        else:
            yield Fault((*path, key), _unknown_key(key, tuple(fields), path))
    for key, one in fields.items():
        if one.required and key not in value:
            yield Fault(path, f"{_name(path)} lacks {key}")


def _unknown_key(key: str, known: Collection[str], path: Path) -> str:
    """What to say of a key that there is not."""
    message = f"unknown key {key!r}" + (f" in {_name(path)}" if path else "")
    kebab = key.replace("_", "-")
    elsewhere = [table for table, keys in _tables().items() if kebab in keys]
    if elsewhere and kebab not in known:
        return f"{message}; it belongs in {elsewhere[0]}"
    return message + (did_you_mean(kebab, known) or f"; known are {', '.join(known)}")


@functools.cache
def _tables() -> dict[str, frozenset[str]]:
    """The keys of the tables of a policy."""
    return {
        f"[{one.encode_name}]": frozenset(f.encode_name for f in msgspec.structs.fields(one.type))
        for one in msgspec.structs.fields(Policy)
        if isinstance(one.type, type) and issubclass(one.type, Struct)
    }


def _leaf(value: Any, kind: Any, path: Path) -> Iterator[Fault]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield Fault(path, _worded(str(error), value, path))


def _worded(error: str, value: Any, path: Path) -> str:
    """A message of msgspec in TOML's words."""
    name = _name(path)
    bound = re.match(r"Expected `(?:int|float)(?: \| null)?` (>=|<=|>|<) ([\d.]+)", error)
    if bound:
        words = {">=": "at least", "<=": "at most", ">": "over", "<": "under"}[bound[1]]
        share = bound[1] == "<=" and bound[2] == "1.0" and 1 < value <= 100
        hint = f"; it is a share; did you mean {value / 100:g}?" if share else ""
        return f"{name} must be {words} {float(bound[2]):g}, not {value!r}{hint}"
    if error.startswith("Expected `str` matching regex"):
        return f"{name} must be {_example(path)}, not {value!r}"
    if " of length >= 1" in error:
        return f"{name} must not be empty"
    if error.startswith("Invalid enum value"):
        known = ("info", "warning", "error", "never") if path[-1] == "fail-on" else _LEVELS
        hint = did_you_mean(value, known)
        return f"{name} must be one of {', '.join(known)}, not {value!r}{hint}"
    if "date" in error and isinstance(value, str):
        return f"{name} must be a date like 2026-12-31, not {value!r}"
    wanted = re.match(r"Expected `(\w+)", error)
    if wanted is None:
        return f"{name}: {error}"
    said = _WORDS.get(wanted[1], wanted[1])
    return f"{name} must be {said}, not {_what(value)}"


_LEVELS = ("info", "warning", "error")
_EXAMPLES = {
    "digest": '"sha256:" and 64 hexadecimal digits',
    "patterns": 'like "2:4" or "4x4"',
    "runtime": 'a version like "2.21.0"',
}


def _example(path: Path) -> str:
    """What a text at this place looks like."""
    return next((_EXAMPLES[str(key)] for key in reversed(path) if key in _EXAMPLES), "another text")


def _name(path: Path) -> str:
    """A place in words: "overrides[0].budgets.nbytes"."""
    name = ""
    for key in path:
        if isinstance(key, int):
            name += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            name += ("." if name else "") + (key if bare else f'"{key}"')
    return name or "the policy"


def _what(value: Any) -> str:
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        (str, "a string"),
        (int, "an integer"),
        (float, "a number"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((words for kind, words in names if isinstance(value, kind)), "a date or time")


def unknown_codes(content: Mapping[str, Any], codes: Collection[str]) -> Iterator[Fault]:
    """Codes, and beginnings of codes, that no rule has, in a policy whose types are right."""
    for path, code in _codes(content):
        fault = unknown_code(code, codes)
        if fault:
            yield Fault(path, fault)


def unknown_code(code: str, codes: Collection[str]) -> str | None:
    """What is wrong with a code or a beginning of codes; None where a rule has it."""
    if any(matches(one, code) for one in codes) or code == "all":
        return None
    families = {one.partition("-")[0] for one in codes}
    hint = did_you_mean(code, sorted({*codes, *families})) or "; `inspect rules` lists them"
    return f"no audit rule is called {code!r}, nor begins so{hint}"


def _codes(content: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every code in a policy whose types are right, and where."""
    tables: list[tuple[Path, Mapping[str, Any]]] = [((), content)]
    for name in ("overrides", "allow"):
        tables += [((name, index), one) for index, one in enumerate(content.get(name, ()))]
    for path, table in tables:
        for key in ("select", "ignore", "codes", "severity"):
            for index, code in enumerate(table.get(key) or ()):
                yield (*path, key, code if key == "severity" else index), code
