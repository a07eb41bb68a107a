"""docs/reference/python.md: the public names, which mkdocstrings reads without importing them."""

from __future__ import annotations

from collections.abc import Iterator

import inspector
from reference.words import block, page

TITLES = {
    "inspector.api": "Functions",
    "inspector.inspected": "An artifact that is open",
    "inspector.report": "The report",
    "inspector.model": "What an artifact is made of",
    "inspector.limits": "Limits",
    "inspector.errors": "Errors",
}
_EXAMPLE = """import inspector

report = inspector.show("sample_models/pruned.h5")
totals = report.artifacts[0].totals
print(totals.count_params, totals.after_strip)  # 2638 1354"""


def render() -> str:
    """The page."""
    return page("Python API", _parts())


def _parts() -> Iterator[str]:
    yield (
        "`import inspector` takes milliseconds: what a name needs is imported when the name is"
        " first"
        " used. No name needs TensorFlow. Everything in `inspector.__all__` is below; other modules"
        " of the package may change between versions."
    )
    yield block(_EXAMPLE, "python")
    homes = inspector._HOME  # noqa: SLF001 - the one list of where each public name is
    for module in sorted(homes, key=lambda one: (*TITLES, one).index(one)):
        yield f"## {TITLES.get(module, module)}"
        for name in homes[module]:
            yield f"::: {module}.{name}\n    options:\n      heading: inspector.{name}"
            yield "Its fields: [JSON report](json.md#report)." if name == "Report" else ""
