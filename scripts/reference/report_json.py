"""docs/reference/json.md: the report's schema, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reference.docstrings import split
from reference.fields import FIELDS
from reference.words import code, page, sentence, table

SCHEMA = Path(__file__).resolve().parents[2] / "inspector" / "schema" / "report-1.0.json"
_PYTHON = {"None": "null", "null": "null", "True": "true", "False": "false"}
_CONSTANT = re.compile(r"\b(" + "|".join(_PYTHON) + r")\b")
Definition = Mapping[str, Any]


def render() -> str:
    """The page."""
    return page("JSON report", _parts())


def _parts() -> Iterator[str]:
    types: Mapping[str, Definition] = json.loads(SCHEMA.read_text("utf-8"))["$defs"]
    yield (
        "`--format json` writes one `Report`. Its schema is"
        " [report-1.0.json](../../inspector/schema/report-1.0.json)"
        " (JSON Schema 2020-12), which is also installed with the package as"
        " `inspector/schema/report-1.0.json`. Within `schema_version` 1.x fields are only added."
    )
    yield (
        "Counts are elements and sizes are bytes, as integers. What is not known is `null`, never 0"
        " or -1. A field that is not required is left out where a command has nothing for it, or"
        " where it was not asked for. Infinite numbers are the texts `Infinity` and `-Infinity`."
    )
    yield (
        "Most questions are answered by `artifacts[].totals` ([TotalsReport](#totalsreport)),"
        " `artifacts[].bytes`, `artifacts[].tensors` ([TensorReport](#tensorreport)), `diff.same`"
        " ([Diff](#diff)), `reconciliation.residual` ([Reconciliation](#reconciliation)) and"
        " `audit.failed` ([AuditReport](#auditreport))."
    )
    for name, definition in types.items():
        yield f"## {name}"
        yield from _type(name, definition, types)


def _type(name: str, definition: Definition, types: Mapping[str, Definition]) -> Iterator[str]:
    lead, words = described(name, definition)
    yield _words(lead)
    if "enum" in definition:
        yield "One of " + ", ".join(map(code, definition["enum"])) + "."
    required = definition.get("required", ())
    rows = [
        (
            code(field),
            _spelled(schema),
            "yes" if field in required else "",
            _words(
                (words.get(field) or _of_type(schema, types) or FIELDS.get(field, "")).rstrip(".")
            ),
        )
        for field, schema in definition.get("properties", {}).items()
    ]
    if rows:
        yield table(("field", "type", "required", "what it is"), rows)


def described(name: str, definition: Definition) -> tuple[str, dict[str, str]]:
    """What the type's docstring says first, and what it says of each field ("field: words")."""
    text = " ".join(definition.get("description", "").split())
    fields = definition.get("properties", {})
    known = {field: FIELDS.get(f"{name}.{field}", "") for field in fields}
    lead, said = split(text, fields)
    return lead, {**said, **{field: words for field, words in known.items() if words}}


def _words(text: str) -> str:
    """Python's words as JSON's."""
    return sentence(_CONSTANT.sub(lambda match: f"`{_PYTHON[match[0]]}`", text))


def _of_type(schema: Definition, types: Mapping[str, Definition]) -> str:
    """Where the field is of a type of the report, what that is."""
    name = next(iter(_types_in(schema)), None)
    return _first(types[name]) if name else ""


def _types_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]
        for value in schema.values():
            yield from _types_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _types_in(value)


def _first(definition: Definition) -> str:
    """The first sentence of a type's description."""
    text = " ".join(definition.get("description", "").split())
    return re.split(r"(?<=[.!?]) ", text, maxsplit=1)[0]


def _link(name: str) -> str:
    return f"[{code(name)}](#{name.lower()})"


def _spelled(schema: Definition) -> str:
    """The type in words, with links to the report's own."""
    if "$ref" in schema:
        return _link(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        parts = [_spelled(one) for one in schema["anyOf"]]
        return " or ".join(sorted(dict.fromkeys(parts), key=lambda part: part == "`null`"))
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"array of {_spelled(schema['items'])}" if schema.get("items") else "array"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object: name to {_spelled(schema['additionalProperties'])}"
    return code(kind) if kind else "anything"
