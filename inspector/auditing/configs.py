"""What Keras would make of a config, found wherever it stands in the JSON."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from inspector import deadline
from inspector.auditing.contents import Document

_TEXTS = 2_000_000  # texts, lists and objects of one document that are looked at: vocabularies
_OBJECTS = 500_000  # lists and objects alone
_LAMBDA = "__lambda__"
# Arguments of a Lambda that may be code.
CODE_ARGUMENTS = ("function", "output_shape", "mask")


class _Place(NamedTuple):
    """A place in the JSON: the key in what is around it."""

    around: _Place | None
    key: str | int


@dataclass(frozen=True, slots=True)
class Node:
    """An object that Keras makes: a mapping with a `class_name`.

    name: its class, or that of the function. layer: name of the layer that it is, or is in.
    in_list: it stands in a model's `layers`.
    """

    name: str
    config: Any
    module: str | None
    registered: str | None
    layer: str | None
    function: bool
    in_list: bool
    document: Document
    at: _Place | None

    @property
    def place(self) -> str:
        """Where it stands: "config.json: $.config.layers[1]"."""
        return f"{self.document.place}: {_path(self.at)}"

    @property
    def legacy(self) -> bool:
        """Whether it is HDF5's."""
        return self.document.legacy

    @property
    def path(self) -> str:
        """The file on the disk."""
        return self.document.path


@dataclass(frozen=True, slots=True)
class Text:
    """A text in a config, and the key it has."""

    key: str
    value: str
    layer: str | None
    document: Document
    at: _Place

    @property
    def place(self) -> str:
        """Where it stands: "config.json: $.config.name"."""
        return f"{self.document.place}: {_path(self.at)}"


def nodes(document: Document) -> Iterator[Node]:
    """Every object of a document, in its order. Code that a Lambda keeps is the Lambda's."""
    taken: set[int] = set()
    for item, place, layer in _walk(document.value, _CONTAINERS, _OBJECTS):
        if not isinstance(item, Mapping) or id(item) in taken:
            continue
        name = item.get("class_name")
        if not isinstance(name, str):
            continue
        config = item.get("config")
        if name == "Lambda" and isinstance(config, Mapping):
            taken |= {id(config.get(key)) for key in CODE_ARGUMENTS if _is_code(config.get(key))}
        function = name == "function" and isinstance(config, str)
        module, name = _apart(_text(item.get("module")), str(config) if function else name)
        yield Node(
            name=name,
            config=config,
            module=module,
            registered=_text(item.get("registered_name")),
            layer=layer,
            function=function,
            in_list=_in_list(place),
            document=document,
            at=place,
        )


def is_too_large(value: Any, characters: int) -> bool:
    """Whether a document has more values than are looked at. characters: of its text."""
    if characters < _OBJECTS:  # a value takes more than one
        return False
    objects = sum(1 for _ in _walk(value, _CONTAINERS, _OBJECTS))
    return objects >= _OBJECTS or sum(1 for _ in _walk(value, _ALL, _TEXTS)) >= _TEXTS


def _apart(module: str | None, name: str) -> tuple[str | None, str]:
    """A module and a name in it. Keras joins the two: "layers.Lambda" of "keras" is found, too."""
    head, dot, last = name.rpartition(".")
    if module is None or not dot or ">" in name:
        return module, name
    return f"{module}.{head}", last


def texts(document: Document) -> Iterator[Text]:
    """Every text of a document."""
    for item, place, layer in _walk(document.value, _ALL, _TEXTS):
        if isinstance(item, str) and place is not None:
            named = place
            while isinstance(named.key, int) and named.around is not None:
                named = named.around
            yield Text(str(named.key), item, layer, document, place)


_CONTAINERS: tuple[type, ...] = (dict, list)
_ALL: tuple[type, ...] = (dict, list, str)


def _walk(
    value: Any, kinds: tuple[type, ...], most: int
) -> Iterator[tuple[Any, _Place | None, str | None]]:
    """(value, place, layer that it is in) of the first `most` values of some kinds in the JSON,
    depth first, in order.
    """
    stack: list[tuple[Any, _Place | None, str | None]] = [(value, None, None)]
    left = most
    while stack and left:
        item, place, layer = stack.pop()
        left -= 1
        if not left % deadline.EVERY:
            deadline.check()
        if isinstance(item, dict):
            layer = _name(item) or layer
            pairs = [
                (one, _Place(place, key), layer)
                for key, one in item.items()
                if isinstance(one, kinds)
            ]
        elif isinstance(item, list):
            pairs = [
                (one, _Place(place, at), layer)
                for at, one in enumerate(item)
                if isinstance(one, kinds)
            ]
        else:
            pairs = []
        yield item, place, layer
        stack.extend(reversed(pairs))


def _name(item: Mapping[str, Any]) -> str | None:
    config = item.get("config")
    named = isinstance(item.get("class_name"), str) and isinstance(config, Mapping)
    return _text(config.get("name")) if named and isinstance(config, Mapping) else None


def _in_list(place: _Place | None) -> bool:
    return (
        place is not None
        and isinstance(place.key, int)
        and place.around is not None
        and place.around.key == "layers"
    )


def _path(place: _Place | None) -> str:
    """A place as JSON path: "$.config.layers[1].config"."""
    parts: list[str] = []
    while place is not None:
        key = place.key
        if isinstance(key, int):
            parts.append(f"[{key}]")
        else:
            parts.append(f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]")
        place = place.around
    return "$" + "".join(reversed(parts))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# --- code ---


def _is_code(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == _LAMBDA


def _is_tuple(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__tuple__"


@dataclass(frozen=True, slots=True)
class Code:
    """Python code in a config: bytes once decoded, and their sha256. It is never unmarshalled."""

    argument: str
    nbytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.argument}: {self.nbytes:,} bytes of code, sha256 {self.sha256}"


def code_of(node: Node) -> list[Code]:
    """The code that a node keeps: a Lambda's, or that of a `__lambda__` anywhere."""
    if node.name == _LAMBDA:
        return [found for found in (_code("code", {"config": node.config}),) if found]
    if not isinstance(node.config, Mapping):
        return []
    said = node.config
    found = []
    for key in CODE_ARGUMENTS:
        value, kind = said.get(key), said.get(f"{key}_type")
        if kind == "lambda" or isinstance(value, list) or _is_code(value) or _is_tuple(value):
            # An output's shape may be a list of numbers.
            one = _code(key, value)
            if one is not None:
                found.append(one)
    return found


def _code(argument: str, value: Any) -> Code | None:
    """Keras 2 keeps a list of code, defaults and closure; Keras 3 a mapping of the same.

    In a SavedModel a list that was a tuple is a mapping with its items.
    """
    if _is_tuple(value):
        value = value.get("items")
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner.get("code") if isinstance(inner, Mapping) else None
    elif isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, str):
        return None
    try:
        raw = base64.b64decode(value.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raw = value.encode("utf-8", "surrogatepass")
    return Code(argument, len(raw), hashlib.sha256(raw).hexdigest())
