"""What a summary asks of a data set: questions in SQL, as data.

Each is a SELECT over three views: `artifacts` has each model once, as it was when it was looked at
last, `tensors` and `findings` what is of those. `{top}` is the number of rows wanted; a column `of`
says how many there are without that, and `saved` what all of them would save; neither is shown as a
column. A sum leaves out what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

PATH, WORD, TEXT, SAID = "path", "word", "text", "said"
COUNT, SHARE, SIDES = "count", "share", "sides"
OF, SAVED = "of", "saved"
LEAST = 256  # elements of a tensor that is worth sharing between models


class Column(NamedTuple):
    """A column of the answer: its name in SQL, its head for people, and of which kind it is. keep:
    rank by which it stays where there is no room for all.
    """

    name: str
    head: str
    kind: str
    keep: int = 50


@dataclass(frozen=True, slots=True)
class Query:
    """A question. about: what its answer says; uses: the views that it looks at. note: what is said
    below of all rows together, where there are any, with {of} and {saved} in it. basis: SQL of two
    numbers, what the answer is of and what it would be of if all were known; basis_words: those in
    a sentence, as {known} and {all}.
    """

    name: str
    title: str
    about: str
    uses: tuple[str, ...]
    sql: str
    columns: tuple[Column, ...]
    note: str = ""
    basis: str = ""
    basis_words: str = ""


_WEIGHTS = "('weight', 'statistic')"
_TRAINING = "('optimizer_slot', 'optimizer_state', 'metric', 'counter')"
_STRIPPED = (
    "('mask', 'threshold', 'pruning_step', 'centroids', 'cluster_indices', 'cluster_original')"
)


def _bytes_of(roles: str) -> str:
    """The bytes of some roles together; 0 where there are none, null where nothing is known."""
    found = f"[e.value FOR e IN map_entries(role_nbytes) IF e.key IN {roles}]"
    return f"CASE WHEN role_nbytes IS NOT NULL THEN coalesce(list_sum({found}), 0) END"


_TOTALS = Query(
    "totals",
    "The fleet",
    "Sums over all models, each of those artifacts whose number is known.",
    ("artifacts",),
    """\
WITH one AS (
  SELECT count(*) AS n,
         count(*) FILTER (NOT readable) AS unreadable,
         count(*) FILTER (failed) AS failing,
         sum(nbytes) AS nbytes, count(nbytes) AS nbytes_of,
         sum(tensors) AS tensors, count(tensors) AS tensors_of,
         sum(stored_elements) AS stored, count(stored_elements) AS stored_of,
         sum(count_params) AS params, count(count_params) AS params_of,
         sum(after_strip) AS strip, count(after_strip) AS strip_of,
         sum(weight_elements) AS weights, count(weight_elements) AS weights_of,
         sum(weight_zeros) AS zeros, count(weight_zeros) AS zeros_of
  FROM artifacts
)
SELECT unnest(['artifacts', 'that cannot be read', 'that fail the audit', 'bytes', 'tensors',
               'elements stored', 'parameters as Keras counts them', 'of them once stripped',
               'elements of measured weights', 'zeros among them']) AS what,
       unnest([n, unreadable, failing, nbytes, tensors, stored, params, strip, weights,
               zeros]::HUGEINT[]) AS total,
       unnest([n, n, n, nbytes_of, tensors_of, stored_of, params_of, strip_of, weights_of,
               zeros_of]) AS artifacts
FROM one""",
    (
        Column("what", "", WORD, 100),
        Column("total", "total", COUNT, 90),
        Column("artifacts", "of artifacts", COUNT),
    ),
)

_FORMATS = Query(
    "formats",
    "By format",
    "How many models are of each format.",
    ("artifacts",),
    """\
SELECT format, count(*) AS artifacts, sum(nbytes) AS nbytes,
       sum(nbytes) / sum(sum(nbytes)) OVER () AS share, sum(count_params) AS count_params,
       count(*) FILTER (failed) AS failing
FROM artifacts
GROUP BY format
ORDER BY artifacts DESC, format""",
    (
        Column("format", "format", WORD, 100),
        Column("artifacts", "artifacts", COUNT, 90),
        Column("nbytes", "bytes", COUNT, 80),
        Column("share", "of all", SHARE, 40),
        Column("count_params", "params", COUNT, 50),
        Column("failing", "failing", COUNT, 60),
    ),
)

_LARGEST = Query(
    "largest",
    "Largest",
    "The artifacts with the most bytes, and their share of the whole fleet's.",
    ("artifacts",),
    """\
SELECT path, format, nbytes, nbytes / sum(nbytes) OVER () AS share, count_params,
       count(*) OVER () AS of
FROM artifacts
ORDER BY nbytes DESC NULLS LAST, path
LIMIT {top}""",
    (
        Column("path", "path", PATH, 100),
        Column("format", "format", WORD, 30),
        Column("nbytes", "bytes", COUNT, 90),
        Column("share", "of all", SHARE, 50),
        Column("count_params", "params", COUNT, 40),
    ),
)

_OVERHEAD = Query(
    "overhead",
    "Most overhead",
    "Bytes that hold no weight and no statistic; of those, training state (optimizer, metrics,"
    " counters) and what pruning and clustering keep beside the weights; parameters that stripping"
    " would remove.",
    ("artifacts",),
    f"""\
WITH parts AS (
  SELECT path, nbytes, count_params - after_strip AS strippable,
         nbytes - {_bytes_of(_WEIGHTS)} AS other,
         {_bytes_of(_TRAINING)} AS training,
         {_bytes_of(_STRIPPED)} AS pruning
  FROM artifacts
)
SELECT path, nbytes, other, other / nullif(nbytes, 0) AS share, training, pruning, strippable,
       count(*) OVER () AS of
FROM parts
WHERE other >= 0
ORDER BY other DESC, path
LIMIT {{top}}""",
    (
        Column("path", "path", PATH, 100),
        Column("nbytes", "bytes", COUNT, 30),
        Column("other", "no weight", COUNT, 90),
        Column("share", "share", SHARE, 80),
        Column("training", "training", COUNT, 70),
        Column("pruning", "pruning", COUNT, 60),
        Column("strippable", "strip removes", COUNT, 40),
    ),
)

_DUPLICATES = Query(
    "duplicates",
    "Tensors in several models",
    f"Tensors of at least {LEAST:,} elements, not all of one value, whose values another model"
    " has, too; wasted is what all copies but the largest take.",
    ("tensors",),
    f"""\
WITH each AS (
  SELECT digest, dtype, path, min(name) AS name, min(shape) AS shape, max(elements) AS elements,
         max(nbytes) AS nbytes
  FROM tensors
  WHERE digest IS NOT NULL AND elements >= {LEAST} AND (min IS NULL OR max IS NULL OR min < max)
  GROUP BY digest, dtype, path
), shared AS (
  SELECT digest, dtype, min(shape) AS shape, max(elements) AS elements, count(*) AS models,
         sum(nbytes) - max(nbytes) AS wasted, arg_min(name, path) AS tensor,
         min(path) AS example, max(path) AS another
  FROM each
  GROUP BY digest, dtype
  HAVING count(*) > 1
)
SELECT models, wasted, tensor, shape, dtype, elements, example, another, digest,
       count(*) OVER () AS of, sum(wasted) OVER () AS saved
FROM shared
ORDER BY wasted DESC, models DESC, digest, dtype
LIMIT {{top}}""",
    (
        Column("models", "models", COUNT, 100),
        Column("wasted", "wasted bytes", COUNT, 90),
        Column("tensor", "tensor", TEXT, 80),
        Column("shape", "shape", SIDES, 40),
        Column("dtype", "dtype", WORD, 30),
        Column("example", "in", PATH, 70),
        Column("another", "also in", PATH, 60),
    ),
    "Kept once each, all {of} would save {saved} bytes.",
    f"SELECT count(digest), count(*) FROM tensors WHERE elements >= {LEAST}",
    f"{{known}} of the {{all}} tensors of at least {LEAST:,} elements have a digest.",
)

_SPARSITY = Query(
    "sparsity",
    "Sparsity by layer class",
    "Zeros among the weights that were measured, by the class of their layer; inside a wrapper, of"
    " the layer that is wrapped. Files of weights alone often do not tell the class.",
    ("tensors",),
    """\
SELECT layer_class, count(DISTINCT path) AS models, count(*) AS weights, sum(elements) AS elements,
       sum(zeros) AS zeros, sum(zeros) / nullif(sum(elements), 0) AS sparsity,
       count(*) OVER () AS of
FROM tensors
WHERE role = 'weight' AND zeros IS NOT NULL
GROUP BY layer_class
ORDER BY sum(elements) DESC, layer_class
LIMIT {top}""",
    (
        Column("layer_class", "layer class", TEXT, 100),
        Column("models", "models", COUNT, 60),
        Column("weights", "weights", COUNT, 50),
        Column("elements", "elements", COUNT, 80),
        Column("zeros", "zeros", COUNT, 70),
        Column("sparsity", "sparsity", SHARE, 90),
    ),
    basis="SELECT count(zeros), count(*) FROM tensors WHERE role = 'weight'",
    basis_words="{known} of the {all} weights were measured.",
)

_BY_SEVERITY = "CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END"

_SEVERITIES = Query(
    "severities",
    "Findings by severity",
    "Findings that count, the artifacts that have them, and those that fail by them; and findings"
    " that a baseline or a policy's allow-list took out.",
    ("findings",),
    f"""\
SELECT severity, count(*) FILTER (suppressed IS NULL) AS findings,
       count(DISTINCT artifact) FILTER (suppressed IS NULL) AS artifacts,
       count(DISTINCT artifact) FILTER (fails) AS failing,
       count(*) FILTER (suppressed IS NOT NULL) AS suppressed
FROM findings
GROUP BY severity
ORDER BY {_BY_SEVERITY}""",
    (
        Column("severity", "severity", WORD, 100),
        Column("findings", "findings", COUNT, 90),
        Column("artifacts", "artifacts", COUNT, 80),
        Column("failing", "failing", COUNT, 70),
        Column("suppressed", "suppressed", COUNT, 60),
    ),
)

_RULES = Query(
    "rules",
    "Findings by rule",
    "The same by rule. A policy may make one rule's findings more severe in some models.",
    ("findings",),
    f"""\
SELECT severity, code, count(*) FILTER (suppressed IS NULL) AS findings,
       count(DISTINCT artifact) FILTER (suppressed IS NULL) AS artifacts,
       count(DISTINCT artifact) FILTER (fails) AS failing,
       count(*) FILTER (suppressed IS NOT NULL) AS suppressed, count(*) OVER () AS of
FROM findings
GROUP BY severity, code
ORDER BY {_BY_SEVERITY}, artifacts DESC, code
LIMIT {{top}}""",
    (
        Column("severity", "severity", WORD, 80),
        Column("code", "rule", WORD, 100),
        Column("findings", "findings", COUNT, 60),
        Column("artifacts", "artifacts", COUNT, 90),
        Column("failing", "failing", COUNT, 70),
        Column("suppressed", "suppressed", COUNT, 50),
    ),
)

_FAILING = Query(
    "failing",
    "Artifacts that fail",
    "Those with a finding that fails the audit, the most errors first.",
    ("artifacts",),
    """\
SELECT path, errors, warnings, infos, audited_at, count(*) OVER () AS of
FROM artifacts
WHERE failed
ORDER BY errors DESC, warnings DESC, path
LIMIT {top}""",
    (
        Column("path", "path", PATH, 100),
        Column("errors", "errors", COUNT, 90),
        Column("warnings", "warnings", COUNT, 80),
        Column("infos", "infos", COUNT, 70),
    ),
)

_UNREADABLE = Query(
    "unreadable",
    "Artifacts that cannot be read",
    "And why; nothing else is known of them.",
    ("artifacts",),
    """\
SELECT path, nbytes, error, count(*) OVER () AS of
FROM artifacts
WHERE NOT readable
ORDER BY path
LIMIT {top}""",
    (
        Column("path", "path", PATH, 100),
        Column("nbytes", "bytes", COUNT, 60),
        Column("error", "why", SAID, 90),
    ),
)

QUERIES: Mapping[str, Query] = {
    one.name: one
    for one in (
        _TOTALS,
        _FORMATS,
        _LARGEST,
        _OVERHEAD,
        _DUPLICATES,
        _SPARSITY,
        _SEVERITIES,
        _RULES,
        _FAILING,
        _UNREADABLE,
    )
}

# The newest look at each path; that of a file that has become no model hides the older ones.
_VIEWS: Mapping[str, str] = {
    "artifacts": """\
artifacts AS (
  SELECT * FROM {artifacts}
  WHERE is_model AND (run, number) IN (
    SELECT (run, number) FROM {artifacts}
    QUALIFY 1 = row_number() OVER (
      PARTITION BY path ORDER BY audited_at DESC, run DESC, number DESC
    )
  )
)""",
    "tensors": """\
tensors AS (
  SELECT * FROM {tensors}
  WHERE (run, number) IN (SELECT (run, number) FROM artifacts)
)""",
    "findings": """\
findings AS (
  SELECT * FROM {findings}
  WHERE (run, number) IN (SELECT (run, number) FROM artifacts)
)""",
}


def sql_of(query: Query, sources: Mapping[str, str], top: int) -> str:
    """The question as one statement that runs by itself. sources: what each table is read from."""
    return over_views(query.sql.format(top=top), query.uses, sources)


def over_views(body: str, uses: Iterable[str], sources: Mapping[str, str]) -> str:
    """A SELECT over some of the views, with these before it."""
    used = [_VIEWS[name].format(**sources) for name in dict.fromkeys(("artifacts", *uses))]
    joined = ",\n".join(used)
    # A question with parts of its own goes on where the views end.
    if body.startswith("WITH "):
        return f"WITH {joined},\n{body.removeprefix('WITH ')}"
    return f"WITH {joined}\n{body}"
