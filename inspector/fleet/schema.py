"""The three tables of a data set of results: their columns, as data.

A cell is null where it is not known, never 0. Text that is no Unicode is written with escapes, and
a count past 64 bits, which only a file that lies declares, is null.

A row of `artifacts` is one look at one artifact; `run` and `number` name it, and the rows of
`tensors` and `findings` that are of it. An artifact that was looked at again has a newer row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from inspector.frames import arrow_kinds
from inspector.frames.tables import COUNT, FLAG, NUMBER, SIDES, TEXT, WORD

if TYPE_CHECKING:
    import pyarrow as pa

# A column is only ever added within 1.x; a newer first number is a data set of another kind.
VERSION = "1.0"

SIZES, MOMENT = "sizes", "moment"


class Column(NamedTuple):
    """A column: of which kind, and what is in it."""

    name: str
    kind: str
    about: str


_KEY = (
    Column("run", WORD, "the run of inspect that wrote the row"),
    Column("number", COUNT, "which look of that run it is of; with `run`, the key"),
)

ARTIFACTS = (
    *_KEY,
    Column("path", TEXT, "where it lies, without credentials"),
    Column("version", TEXT, "what stands for its content in storage: an etag, a size and time"),
    Column("is_model", FLAG, "false of a file that was looked at and is no model"),
    Column("readable", FLAG, "whether it could be read"),
    Column("error", TEXT, "why it could not"),
    Column("nbytes", COUNT, "bytes of all its files"),
    Column("format", WORD, "keras-h5, saved-model, tflite ..."),
    Column("producer", WORD, "what wrote it"),
    Column("producer_version", WORD, "the version of that"),
    Column("tensors", COUNT, "how many it has"),
    Column("stored_elements", COUNT, "all elements in its files"),
    Column("count_params", COUNT, "what Keras counts once it is loaded"),
    Column("trainable", COUNT, "of those, the trainable ones"),
    Column("non_trainable", COUNT, "of those, the others"),
    Column("after_strip", COUNT, "count_params once pruning and clustering are stripped"),
    Column("nonzero", COUNT, "elements of weights that are not zero"),
    Column("weight_elements", COUNT, "elements of weights, where they were measured"),
    Column("weight_zeros", COUNT, "of those, the zeros"),
    Column("bytes", SIZES, "bytes by label, that sum to nbytes"),
    Column("role_nbytes", SIZES, "bytes of tensors by role"),
    Column("role_elements", SIZES, "elements of tensors by role"),
    Column("errors", COUNT, "findings of that severity"),
    Column("warnings", COUNT, "findings of that severity"),
    Column("infos", COUNT, "findings of that severity"),
    Column("suppressed", COUNT, "findings that a baseline or the policy took out"),
    Column("failed", FLAG, "whether a finding fails the audit"),
    Column("tool_version", WORD, "of inspect"),
    Column("policy_digest", WORD, "of the policy that it was held to"),
    Column("options_digest", WORD, "of how it was looked at"),
    Column("audited_at", MOMENT, "when"),
    Column("seconds", NUMBER, "how long it took"),
)

TENSORS = (
    *_KEY,
    Column("path", TEXT, "of the artifact"),
    Column("name", TEXT, "the tensor's path in it"),
    Column("layer", TEXT, "path of its layer"),
    Column("layer_class", WORD, "class of that; inside a wrapper, of the layer that is wrapped"),
    Column("variable", TEXT, "the variable's own name"),
    Column("role", WORD, "weight, mask, optimizer_slot ..."),
    Column("rule", WORD, "which rule told"),
    Column("dtype", WORD, "float32, bfloat16, int4 ..."),
    Column("shape", SIDES, "its sides"),
    Column("elements", COUNT, "how many values it has"),
    Column("nbytes", COUNT, "bytes of the file that hold it"),
    Column("trainable", FLAG, "whether it is trained"),
    Column("zeros", COUNT, "values that are zero, where they were measured"),
    Column("sparsity", NUMBER, "zeros / elements"),
    Column("min", NUMBER, "the least value, NaN left out"),
    Column("max", NUMBER, "the largest"),
    Column("nan", COUNT, "values that are NaN"),
    Column("inf", COUNT, "values that are infinite"),
    Column("digest", TEXT, "of its values: sha256:..."),
    Column("alias_of", TEXT, "name of the tensor that it repeats"),
)

FINDINGS = (
    *_KEY,
    Column("artifact", TEXT, "its path"),
    Column("path", TEXT, "the file of it that is to blame"),
    Column("code", WORD, "the rule"),
    Column("severity", WORD, "error, warning or info"),
    Column("family", WORD, "the rule's family"),
    Column("message", TEXT, "what was found"),
    Column("evidence", TEXT, "what was seen"),
    Column("tensor", TEXT, "in which tensor"),
    Column("layer", TEXT, "in which layer"),
    Column("offset", COUNT, "bytes into the file"),
    Column("fix", TEXT, "what to do"),
    Column("fingerprint", TEXT, "the same for the same finding in another run"),
    Column("fails", FLAG, "whether it fails the audit"),
    Column("suppressed", TEXT, "why it does not count: a baseline, the policy; null where it does"),
)

TABLES: Mapping[str, tuple[Column, ...]] = {
    "artifacts": ARTIFACTS,
    "tensors": TENSORS,
    "findings": FINDINGS,
}


def schema_of(table: str) -> pa.Schema:
    """The Arrow schema of a table; what a column is about is in its metadata."""
    import pyarrow as pa

    kinds = {
        **arrow_kinds(),
        SIZES: pa.map_(pa.string(), pa.int64()),
        MOMENT: pa.timestamp("us", tz="UTC"),
    }
    return pa.schema(
        [
            pa.field(one.name, kinds[one.kind], metadata={"about": one.about})
            for one in TABLES[table]
        ],
        metadata={"inspect.schema_version": VERSION},
    )
