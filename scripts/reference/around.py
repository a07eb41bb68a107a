"""docs/reference/limits.md, formats.md and environment.md."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.cli.exit import ExitCode
from inspector.cli.limits import spelled
from inspector.limits import CAPS
from inspector.read import READERS
from reference.words import block, code, page, said, table

EXITS = {
    ExitCode.CLEAN: "There is nothing to report: no finding, no difference, no residual.",
    ExitCode.FINDING: "A finding, a difference, a residual, or an artifact with an error in it."
    " [Commands](commands.md) says which.",
    ExitCode.UNUSABLE: "Bad usage, or an artifact that cannot be read. One line on stderr says"
    " which"
    " file, what is wrong and what to do. Of several artifacts the others are still done.",
    ExitCode.BUG: "A bug of `inspect`. The line on stderr says where.",
    ExitCode.INTERRUPTED: "Ctrl-C.",
}
VARIABLES = {
    "COLUMNS": "How wide text is, at least 40. `--width` comes first. Without either: the"
    " terminal's"
    " width, or 100 where stdout is no terminal.",
    "NO_COLOR": "Where it is set to anything, `--color auto` does not colour, whatever else is"
    " set.",
    "FORCE_COLOR": "Where it is set, and not to `0`, `--color auto` colours what is no terminal,"
    " too.",
    "CLICOLOR_FORCE": "The same.",
    "CLICOLOR": "Where it is `0`, `--color auto` does not colour.",
    "TERM": "Where it is `dumb`, `--color auto` does not colour.",
    "INSPECT_LIVE_PYTHON": "The Python that has TensorFlow, or the folder of its environment, for"
    " `reconcile --live`. `--live-python` comes first.",
    "INSPECT_DEBUG": "`1`: a bug shows its traceback.",
}
# What a path of each format may be, and what tells it.
TOLD = {
    "hdf5": "HDF5's signature, after a user block too",
    "zip": "a zip with `config.json` or weights of Keras in it",
    "keras-dir": "a folder with `config.json` and weights in it",
    "keras-shards": "JSON with a `weight_map`",
    "saved-model": "a folder with `saved_model.pb` or `saved_model.pbtxt`, or that file",
    "checkpoint": "a prefix, its `.index`, its folder, or any of its files",
    "graph-def": "a GraphDef in protobuf's binary form",
    "graph-text": "the same as text",
    "meta-graph": "a MetaGraphDef, as `.meta` files are",
    "tflite": "a flatbuffer with the identifier `TFL3`",
}


def render_limits() -> str:
    """The page on limits."""
    return page("Limits", _limits())


def _limits() -> Iterator[str]:
    yield (
        "What one artifact may cost. `--limit NAME=VALUE` changes one, and may be given again."
        " Sizes"
        " are bytes, or end in `KiB`, `MiB` or `GiB`; thousands may be separated by `,` or `_`."
        " What"
        " is past a limit is an error, or a problem in the report, that names the option. From"
        " Python:"
        " `inspector.Limits(tensors=100_000)`, given as `limits`."
    )
    yield block("inspect model.h5 --limit tensors=100_000 --limit config_bytes=64MiB")
    yield table(
        ("name", "default", "reason"),
        ((code(cap.name), _default(cap), said(cap.reason)) for cap in CAPS),
    )


def _default(cap: object) -> str:
    unit = getattr(cap, "unit", "")
    words = spelled(cap)  # type: ignore[arg-type]
    return words if unit in ("", "bytes") else f"{words} {unit}"


def render_formats() -> str:
    """The page on formats."""
    return page("Formats", _formats())


def _formats() -> Iterator[str]:
    yield (
        "The content of a file decides what it is, not its name. `inspect formats` prints this"
        " list;"
        " [Formats on disk](../explanation/formats.md) says what each looks like inside."
    )
    rows = []
    for reader in READERS:
        told = "; ".join(TOLD[one] for one in reader.containers)
        for one in reader.formats:
            rows.append((code(one.name), one.title, " ".join(map(code, one.suffixes)), told))
    yield table(("`format`", "what", "usual names", "told by"), rows)


def render_environment() -> str:
    """The page on exit codes and variables."""
    return page("Exit codes and environment", _environment())


def _environment() -> Iterator[str]:
    yield "## Exit codes"
    yield "They are the same for every command."
    yield table(("code", "meaning"), ((code(str(int(one))), EXITS[one]) for one in ExitCode))
    yield "## Environment variables"
    yield table(
        ("variable", "what it does"), ((code(name), words) for name, words in VARIABLES.items())
    )
    yield "## Streams"
    yield (
        "The report goes to stdout, or to the file of `-o`, which is written whole or not at all."
        " Errors"
        " and the progress bar go to stderr; the bar is shown where stderr is a terminal, unless"
        " `--quiet`"
        " is given. Where the reader of stdout goes away (`| head`), the command ends without a"
        " word."
    )
