"""The summary of a fleet, held against live TensorFlow's numbers, and against h5py's bytes."""

import collections
import hashlib
import os

import duckdb
import h5py
import pytest
from msgspec.structs import replace

from inspector.auditing.policy import Policy
from inspector.auditing.session import Looked
from inspector.errors import UsageError
from inspector.fleet import results as module
from inspector.fleet import summary
from inspector.fleet.queries import LEAST, QUERIES
from inspector.fleet.rendered import RENDERERS
from inspector.fleet.results import Results
from inspector.fleet.summary import statement, summarize
from inspector.render.options import RenderOptions
from tests.builders import samples
from tests.builders.fleets import KEY, looked, write

KERAS = ("pruned.h5", "stripped.h5", "pruned_rnn.keras", "stripped_weights.h5")
SPARSE = "lite_sparse.tflite"
PATHS = {name: samples.path(name) for name in (*KERAS, SPARSE)}
KINDS = {  # by the name of a weight that only one class of layer has
    "embeddings": "Embedding", "lstm_cell/kernel": "LSTM", "lstm_cell/recurrent_kernel": "LSTM",
    "lstm_cell/bias": "LSTM", "kernel": "Dense", "bias": "Dense",
}  # fmt: skip


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Five sound models and a broken one, in two batches."""
    folder = tmp_path_factory.mktemp("fleet")
    broken = folder / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 90)
    where = str(folder / "it's [a] fleet*")
    write(where, [*PATHS.values(), str(broken)])
    return where


def answered(where, name, **how):
    """The rows of one answer, as dicts."""
    (answer,) = summarize(where, names=[name], **how)
    heads = [column.name for column in answer.query.columns]
    return [dict(zip(heads, row, strict=True)) for row in answer.rows]


def totals(where):
    return {row["what"]: (row["total"], row["artifacts"]) for row in answered(where, "totals")}


def live(name, what):
    return samples.expected(name)[what]


# --- numbers ------------------------------------------------------------------------------------


def test_totals_are_sums_of_what_is_known(fleet):
    """TensorFlow counts four of the six; LiteRT tells the zeros of the fifth; one is broken."""
    found = totals(fleet)
    sizes = [os.path.getsize(path) for path in PATHS.values()]
    nbytes, of = found["bytes"]
    assert of in {5, 6}  # what is known of a file that cannot be read, its size, is known
    assert nbytes == sum(sizes) + (98 if of == 6 else 0)  # 8 bytes of signature and 90 zeros
    assert found["artifacts"] == (6, 6)
    assert found["that cannot be read"] == (1, 6)
    params = sum(live(name, "count_params") for name in KERAS)
    assert found["parameters as Keras counts them"] == (params, 4)
    strip = [live(name, "after_strip") for name in KERAS]
    assert found["of them once stripped"] == (sum(strip), 4)
    weights = sum(strip) + live(SPARSE, "weights")["elements"]
    nonzero = sum(live(name, "nonzero_weights") for name in KERAS)
    zeros = sum(strip) - nonzero + live(SPARSE, "weights")["zeros"]
    assert found["elements of measured weights"] == (weights, 5)
    assert found["zeros among them"] == (zeros, 5)


def test_the_largest_come_first_with_their_share(fleet):
    found = answered(fleet, "largest", top=3)
    sizes = sorted(((os.path.getsize(path), path) for path in PATHS.values()), reverse=True)
    assert [(row["nbytes"], row["path"]) for row in found] == sizes[:3]
    whole = totals(fleet)["bytes"][0]
    assert [row["share"] for row in found] == [size / whole for size, _ in sizes[:3]]


def test_overhead_is_whatever_holds_no_weight(fleet):
    """pruned.h5: kernels of 640 and 640, biases of 64 and 10 are 1,354 floats. Two masks of 640
    floats, two float thresholds, two int64 steps; Adam has m and v of each weight, and an int64.
    """
    row = next(row for row in answered(fleet, "overhead") if row["path"] == PATHS["pruned.h5"])
    size = os.path.getsize(PATHS["pruned.h5"])
    assert row["nbytes"] == size
    assert row["other"] == size - 4 * 1354
    assert row["share"] == (size - 4 * 1354) / size
    assert row["pruning"] == 4 * 1280 + 4 * 2 + 8 * 2
    assert row["training"] == 2 * 4 * 1354 + 8
    assert row["strippable"] == live("pruned.h5", "count_params") - live("pruned.h5", "after_strip")
    lite = next(row for row in answered(fleet, "overhead") if row["path"] == PATHS[SPARSE])
    assert lite["strippable"] is None


def test_sparsity_is_of_the_class_that_a_wrapper_wraps(fleet):
    """Every weight that TensorFlow lists as trainable, by what its name says of its layer."""
    expected = collections.defaultdict(lambda: [0, 0])
    for name in KERAS:
        for variable in live(name, "variables"):
            if not variable["trainable"]:
                continue
            size = 1
            for side in variable["shape"]:
                size *= side
            path = variable["path"].partition(":")[0]
            kind = next(kind for end, kind in KINDS.items() if path.endswith(end))
            if name.endswith("weights.h5"):
                kind = None  # a file of weights says no class
            expected[kind][0] += size
            expected[kind][1] += variable["zeros"]
    lite = live(SPARSE, "weights")
    expected["FULLY_CONNECTED"] = [lite["elements"], lite["zeros"]]
    found = answered(fleet, "sparsity")
    assert {row["layer_class"]: [row["elements"], row["zeros"]] for row in found} == expected
    for row in found:
        assert row["sparsity"] == row["zeros"] / row["elements"]
    assert [row["elements"] for row in found] == sorted(
        (elements for elements, _ in expected.values()), reverse=True
    )


def test_duplicates_are_tensors_with_the_same_bytes_in_several_models(fleet):
    """h5py reads the values; those of one model count once."""
    copies = collections.defaultdict(dict)
    for name in KERAS:
        if not name.endswith(".h5"):
            continue
        with h5py.File(PATHS[name]) as file:
            found = []
            file.visititems(lambda _, one, to=found: to.append(one))
            for one in found:
                if isinstance(one, h5py.Dataset) and one.size >= LEAST:
                    values = one[()]
                    if values.min() < values.max():
                        digest = hashlib.sha256(values.tobytes()).hexdigest()
                        copies[f"sha256:{digest}", str(one.dtype)][name] = one.nbytes
    expected = {
        digest: (len(of), sum(of.values()) - max(of.values()))
        for (digest, _), of in copies.items()
        if len(of) > 1
    }
    assert expected  # two kernels of 640 floats, at least
    (answer,) = summarize(fleet, names=["duplicates"])
    with duckdb.connect() as database:
        rows = database.sql(statement(fleet, "duplicates", 100)).fetchall()
        digests = [one[0] for one in database.sql(statement(fleet, "duplicates")).description]
    at = digests.index("digest")
    assert {row[at]: (row[0], row[1]) for row in rows} == expected
    assert answer.of == len(expected)
    assert answer.saved == sum(wasted for _, wasted in expected.values())
    assert answer.basis[0] <= answer.basis[1]


def test_findings_are_counted_by_rule_and_severity(fleet):
    expected, hit = collections.Counter(), collections.defaultdict(set)
    for path in PATHS.values():
        for judged in looked(path).audited.judged:
            key = judged.finding.severity.value, judged.finding.code
            expected[key] += 1
            hit[key].add(path)
    found = {(row["severity"], row["code"]): row for row in answered(fleet, "rules", top=99)}
    (of_broken,) = set(found) - set(expected)
    assert of_broken[0] == "error"
    assert found.pop(of_broken)["artifacts"] == 1
    assert {key: row["findings"] for key, row in found.items()} == expected
    assert {key: row["artifacts"] for key, row in found.items()} == {
        key: len(paths) for key, paths in hit.items()
    }
    errors = next(row for row in answered(fleet, "severities") if row["severity"] == "error")
    assert errors["findings"] == 1 + sum(
        number for (severity, _), number in expected.items() if severity == "error"
    )
    assert errors["failing"] == errors["artifacts"] == totals(fleet)["that fail the audit"][0]


def test_what_cannot_be_read_is_there_with_its_reason(fleet):
    (row,) = answered(fleet, "unreadable")
    assert os.path.basename(row["path"]) == "broken.h5"
    assert row["error"]


# --- which rows count ---------------------------------------------------------------------------


def test_a_model_that_is_audited_again_counts_once(tmp_path):
    """The second look finds another file at the path, and then none that is a model."""
    where = str(tmp_path / "results")
    first, second = looked(PATHS["pruned.h5"]), looked(PATHS["stripped.h5"])
    for version, found in (("1", first), ("2", second)):
        with Results(where) as results:
            results.take("model.h5", version, None, found, None, KEY)
    params = live("stripped.h5", "count_params")
    assert totals(where)["parameters as Keras counts them"] == (params, 1)
    assert totals(where)["tensors"] == (live("stripped.h5", "file")["h5_datasets"], 1)
    assert totals(where)["that fail the audit"] == (0, 1)
    with Results(where) as results:
        results.take("model.h5", "3", None, None, None, KEY)
    assert totals(where)["artifacts"] == (0, 0)
    assert totals(where)["bytes"] == (None, 0)  # of nothing no sum is known


def test_what_was_suppressed_does_not_count(tmp_path):
    from dataclasses import replace as changed

    from inspector.report import Suppressed

    found = looked(PATHS["pruned.h5"])
    taken = tuple(Suppressed(one.finding, "baseline") for one in found.audited.judged)
    audited = changed(found.audited, judged=(), suppressed=taken)
    where = str(tmp_path / "results")
    with Results(where) as results:
        results.take("model.h5", "1", None, Looked(audited, found.report), None, KEY)
    for row in answered(where, "severities"):
        assert (row["findings"], row["artifacts"], row["failing"]) == (0, 0, 0)
        assert row["suppressed"] > 0
    assert answered(where, "failing") == []


def test_a_batch_that_is_not_finished_does_not_count(tmp_path, monkeypatch):
    """Its tensors are there, and its artifacts are not."""
    where = str(tmp_path / "results")
    write(where, [PATHS[SPARSE]])
    before = [answer.rows for answer in summarize(where)]

    class Full(OSError):
        pass

    results = Results(where)
    results.take("model.h5", "1", None, looked(PATHS["pruned.h5"]), None, KEY)
    written = results._place.write

    def write_part(name, data):
        if name.startswith("artifacts/"):
            raise Full
        written(name, data)

    monkeypatch.setattr(results._place, "write", write_part)
    with pytest.raises(Full):
        results.flush()
    assert len(os.listdir(os.path.join(where, "tensors"))) == 2
    assert [answer.rows for answer in summarize(where)] == before
    # Nor to those who take the SQL to a DuckDB of their own.
    with duckdb.connect() as database:
        for name, rows in zip(QUERIES, before, strict=True):
            found = database.sql(statement(where, name)).fetchall()
            assert len(found) == len(rows), name


def test_of_nothing_there_is_nothing_to_say(tmp_path):
    where = str(tmp_path / "results")
    write(where, [])
    assert all(answer.rows == () for answer in summarize(where))
    assert RENDERERS["text"](where, summarize(where), RenderOptions()).count("None.") == len(
        QUERIES
    )


def test_results_that_lack_a_later_column_are_asked_all_the_same(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    where = str(tmp_path / "results")
    write(where, [PATHS[SPARSE]])
    (name,) = os.listdir(os.path.join(where, "artifacts"))
    old = pq.read_table(os.path.join(where, "artifacts", name)).drop_columns(["after_strip"])
    pq.write_table(old, os.path.join(where, "artifacts", name))
    write(where, [PATHS["pruned.h5"]])
    strip = live("pruned.h5", "after_strip")
    assert totals(where)["of them once stripped"] == (strip, 1)


# --- the database -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUERIES)
def test_the_sql_runs_by_itself_and_says_the_same(fleet, name):
    (answer,) = summarize(fleet, names=[name])
    with duckdb.connect() as database:
        found = database.sql(statement(fleet, name))
        heads = [column[0] for column in found.description]
        rows = [dict(zip(heads, row, strict=True)) for row in found.fetchall()]
    columns = [column.name for column in answer.query.columns]
    assert [tuple(row[column] for column in columns) for row in rows] == list(answer.rows)


def test_the_database_reads_the_results_and_nothing_else(fleet, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    at = module.known_place(fleet)
    with summary._database(at) as database:
        for sql in (
            f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            "SELECT * FROM read_parquet('http://127.0.0.1:9/a.parquet')",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '100GB'",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(sql).fetchall()
    assert os.listdir(tmp_path) == ["secret.csv"]


def test_without_duckdb_it_says_what_to_install(fleet, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(UsageError, match=r'pip install "tf-inspector\[results\]"'):
        summarize(fleet)


# --- how it looks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    """Artifacts with long, odd and hostile paths, and numbers of many digits."""
    where = str(tmp_path_factory.mktemp("long") / "results")
    found = looked(PATHS["pruned.h5"], Policy())
    with Results(where) as results:
        for at in range(12):
            report = replace(
                found.report,
                nbytes=9_007_199_254_740_993 + at,  # no float has it
                tensors=tuple(
                    replace(one, nbytes=10**12, elements=10**12, name=f"{'深い層/' * 20}{one.name}")
                    for one in found.report.tensors
                ),
            )
            path = f"s3://bucket/{'a-long-folder/' * 12}run-{at:02}/\x1b[31m<b>|=model.h5"
            results.take(path, "1", None, Looked(found.audited, report), None, KEY)
    return where


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_width_and_cuts_no_number(long_names, width):
    text = RENDERERS["text"](long_names, summarize(long_names), RenderOptions(width))
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert "9,007,199,254,741,004" in text  # the largest, 993 + 11
    assert "10 of 12 rows" in text
    assert "11/" in text  # what tells one path from another


def test_numbers_stand_to_the_right(fleet):
    text = RENDERERS["text"](fleet, summarize(fleet, names=["formats"]), RenderOptions(80))
    _, _, _, head, _, *rows = text.splitlines()
    ends = [head.index(word) + len(word) for word in ("artifacts", "bytes", "of all", "params")]
    for row in rows:
        assert all(row[end - 1] != " " and row[end : end + 1] in {" ", ""} for end in ends)


def test_names_mean_nothing_in_markdown_and_start_no_formula(long_names):
    answers = summarize(long_names, names=["largest"])
    page = RENDERERS["markdown"](long_names, answers, RenderOptions())
    assert "\x1b" not in page
    row = next(line for line in page.splitlines() if "run-11" in line)
    assert row.replace("\\|", "").count("|") == 6  # five cells
    table = RENDERERS["csv"](long_names, answers, RenderOptions())
    assert table.splitlines()[0] == "path,format,nbytes,share,count_params"
    assert "\x1b" not in table
    assert "9007199254741004" in table
