"""Results as Parquet: what is in them, what is left of a run that is ended, and what is done."""

import datetime as dt
import json
import os
import subprocess
import sys

import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from inspector.auditing.policy import Allowed, Policy
from inspector.auditing.session import Looked
from inspector.errors import UsageError
from inspector.fleet import results as module
from inspector.fleet.done import Done, Key, options_digest, policy_digest
from inspector.fleet.results import MARK, Results
from inspector.fleet.schema import TABLES, schema_of
from inspector.fleet.summary import summarize
from tests.builders import samples
from tests.builders.fleets import DAY, KEY, looked, write

PRUNED, SPARSE = samples.path("pruned.h5"), samples.path("lite_sparse.tflite")
README = os.path.join(samples.ROOT, "README.md")  # no model


@pytest.fixture(scope="module")
def one():
    return looked(PRUNED)


def rows(where, table):
    """All rows of a table, committed or not, in the order in which they were written."""
    found = []
    for folder, _, names in os.walk(os.path.join(where, table)):
        for name in sorted(names):
            found += pq.read_table(os.path.join(folder, name)).to_pylist()
    return found


def totals(where):
    (answer,) = summarize(where, names=["totals"])
    return {what: total for what, total, _ in answer.rows}


# --- what is written ----------------------------------------------------------------------------


def test_a_row_an_artifact_a_tensor_a_finding(tmp_path, one):
    """Counts are those of live TensorFlow; the file has 18 datasets of 5,347 elements."""
    where = str(tmp_path / "results")
    write(where, [PRUNED])
    (artifact,) = rows(where, "artifacts")
    expected = samples.expected("pruned.h5")
    names = ("count_params", "trainable", "non_trainable", "after_strip")
    assert {name: artifact[name] for name in names} == {name: expected[name] for name in names}
    assert artifact["nonzero"] == expected["nonzero_weights"]
    assert artifact["nbytes"] == os.path.getsize(PRUNED) == sum(dict(artifact["bytes"]).values())
    assert (artifact["path"], artifact["version"], artifact["seconds"]) == (PRUNED, "1", 0.5)
    assert (artifact["readable"], artifact["is_model"], artifact["error"]) == (True, True, None)
    assert (artifact["producer"], artifact["format"]) == ("tf_keras", "keras-h5")
    assert artifact["audited_at"].tzinfo is not None
    tensors = rows(where, "tensors")
    stored = expected["file"]
    assert len(tensors) == stored["h5_datasets"] == artifact["tensors"]
    assert sum(row["elements"] for row in tensors) == stored["elements"]
    kernel = next(row for row in tensors if row["name"].endswith("dense/dense/kernel:0"))
    live = next(row for row in expected["variables"] if row["path"].endswith("dense/kernel:0"))
    assert [kernel[name] for name in ("shape", "dtype", "zeros", "trainable")] == [
        live[name] for name in ("shape", "dtype", "zeros", "trainable")
    ]
    assert (kernel["min"], kernel["max"]) == (live["min"], live["max"])
    assert kernel["layer_class"] == "Dense"  # not the wrapper's
    assert kernel["digest"].startswith("sha256:")
    findings = rows(where, "findings")
    assert {row["code"] for row in findings} == {
        judged.finding.code for judged in one.audited.judged
    }
    assert artifact["errors"] == sum(row["severity"] == "error" for row in findings)
    assert artifact["failed"]
    assert {row["family"] for row in findings} == {"leftover"}


def test_what_is_not_known_is_null(tmp_path):
    where = str(tmp_path / "results")
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n")
    write(where, [SPARSE, str(broken), README])
    lite, unreadable, other = rows(where, "artifacts")
    assert lite["count_params"] is lite["after_strip"] is None  # TFLite has no Keras count
    assert lite["weight_zeros"] == samples.expected("lite_sparse.tflite")["weights"]["zeros"]
    assert (unreadable["is_model"], unreadable["readable"]) == (True, False)
    assert unreadable["error"]
    assert unreadable["tensors"] is unreadable["stored_elements"] is unreadable["bytes"] is None
    assert unreadable["errors"] == 1
    assert other["is_model"] is False
    assert other["readable"] is other["errors"] is other["failed"] is None
    activation = next(row for row in rows(where, "tensors") if row["role"] == "activation")
    assert activation["zeros"] is activation["min"] is activation["digest"] is None


def test_every_table_has_its_columns(tmp_path):
    where = str(tmp_path / "results")
    write(where, [SPARSE])
    for table, columns in TABLES.items():
        (name,) = os.listdir(os.path.join(where, table))
        found = pq.read_schema(os.path.join(where, table, name))
        assert found.equals(schema_of(table))
        assert found.names == [column.name for column in columns]
        assert all(field.metadata[b"about"] for field in found)


def test_what_a_file_that_lies_declares_is_written_all_the_same(tmp_path, one):
    tensor = replace(
        one.report.tensors[0],
        name="k\udcff",
        elements=1 << 70,
        shape=(1 << 70,),
        digest=msgspec.UNSET,
    )
    report = replace(one.report, tensors=(tensor,))
    where = str(tmp_path / "results")
    with Results(where) as results:
        results.take("odd\udcff.h5", "1", 1 << 70, Looked(one.audited, report), None, KEY)
    (row,) = rows(where, "tensors")
    assert (row["path"], row["name"]) == ("odd\\udcff.h5", "k\\udcff")
    assert row["elements"] is row["shape"] is row["digest"] is None
    assert Done(where).knows("odd\udcff.h5", "1", KEY)


def test_batches_are_written_as_they_fill_up(tmp_path, one, monkeypatch):
    monkeypatch.setattr(module, "_ARTIFACTS", 2)
    where = str(tmp_path / "results")
    with Results(where) as results:
        for at in range(5):
            results.take(f"{at}.h5", "1", None, one, None, KEY)
            assert len(rows(where, "artifacts")) == (at + 1) // 2 * 2
    assert [row["path"] for row in rows(where, "artifacts")] == [f"{at}.h5" for at in range(5)]
    for table in TABLES:
        assert len(os.listdir(os.path.join(where, table))) == 3


def test_a_batch_is_written_when_it_has_waited(tmp_path, one, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    where = str(tmp_path / "results")
    with Results(where) as results:
        results.take("a.h5", "1", None, one, None, KEY)
        now[0] += 59
        results.tick()
        assert rows(where, "artifacts") == []
        now[0] += 1
        results.tick()
        assert len(rows(where, "artifacts")) == 1


def test_ctrl_c_loses_nothing(tmp_path, one):
    where = str(tmp_path / "results")

    def interrupted():
        with Results(where) as results:
            results.take("a.h5", "1", None, one, None, KEY)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert totals(where)["artifacts"] == 1


def test_what_could_not_be_written_is_written_once_it_can(tmp_path, one, monkeypatch):
    """The second of three parts fails, the first time: one batch, and nothing in it twice."""
    where = str(tmp_path / "results")
    with Results(where) as results:
        write_part, calls = results._place.write, []

        def full_once(name, data):
            calls.append(name)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            write_part(name, data)

        monkeypatch.setattr(results._place, "write", full_once)
        results.take("a.h5", "1", None, one, None, KEY)
        with pytest.raises(OSError, match="No space left"):
            results.flush()
        assert rows(where, "artifacts") == []
        results.take("b.h5", "1", None, one, None, KEY)
    found = totals(where)
    datasets = samples.expected("pruned.h5")["file"]["h5_datasets"]
    assert (found["artifacts"], found["tensors"]) == (2, 2 * datasets)
    assert len(rows(where, "tensors")) == 2 * datasets


def test_results_may_lie_in_storage(one):
    where = "memory://test-fleet-results/a"
    with Results(where) as results:
        results.take("a.h5", "1", None, one, None, KEY)
    with Results(where) as results:
        results.take("b.h5", "1", None, one, None, KEY)
    assert len(Done(where)) == totals(where)["artifacts"] == 2


# --- whose folder it is -------------------------------------------------------------------------


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for what in (Results, Done, summarize):
        with pytest.raises(UsageError, match="is not empty, and holds no results of inspect"):
            what(str(tmp_path))
    assert os.listdir(tmp_path) == ["notes.txt"]
    with pytest.raises(UsageError, match="is a file"):
        Results(str(tmp_path / "notes.txt"))


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ('{"schema_version": "2.0"}', "results of schema 2.0"),
        ('{"schema_version": 1}', "is not what inspect writes"),
        ("[]", "is not what inspect writes"),
        ("no JSON", "is not what inspect writes"),
    ],
)
def test_results_of_another_inspect_are_left_alone(tmp_path, mark, said):
    (tmp_path / MARK).write_text(mark)
    with pytest.raises(UsageError, match=said):
        Results(str(tmp_path))


def test_the_mark_says_what_it_is(tmp_path):
    with Results(str(tmp_path / "deep" / "results")):
        pass
    mark = json.loads((tmp_path / "deep" / "results" / MARK).read_text())
    assert (mark["what"], mark["schema_version"]) == ("results of inspect", "1.0")


# --- runs that are ended, and runs side by side -------------------------------------------------

# Each child writes two batches of two artifacts, and kills itself at the k-th step of writing:
# within a file or after it. The last one is not killed.
STEPS = (1, 4, 6, 7, 8, 13, 14, 15)
KILLED = """
import os, signal, sys
import pyarrow.parquet  # once for all children
from inspector.fleet import results
from tests.builders.fleets import KEY, looked

root, path, *at_steps = sys.argv[1:]
one = looked(path)
results._ARTIFACTS = 2
replace, steps = os.replace, 0

def step(k):
    global steps
    steps += 1
    if steps == k:
        os.kill(os.getpid(), signal.SIGKILL)

for k in map(int, at_steps):
    child = os.fork()
    if not child:
        def replaced(a, b):
            step(k)          # a half that has no name yet
            replace(a, b)
            step(k)          # whole
        os.replace = replaced
        with results.Results(f"{root}/{k}") as found:
            for at in range(4):
                found.take(f"{at}.h5", "1", None, one, None, KEY)
        os._exit(0)
    os.waitpid(child, 0)
"""


def run(program, *arguments):
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=samples.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_run_that_is_killed_anywhere_leaves_what_it_had_finished(tmp_path, one):
    """14 steps: the mark, then tensors, findings and artifacts of each batch, two steps each. Of
    the first batch the artifacts have their name at step 2 + 3 * 2, of the second six later.
    """
    run(KILLED, str(tmp_path), PRUNED, *map(str, STEPS))
    expected = samples.expected("pruned.h5")["file"]
    for k in STEPS:
        where = str(tmp_path / str(k))
        whole = 2 * ((k >= 8) + (k >= 14))
        assert len(Done(where)) == whole, k
        with Results(where) as results:  # the next run goes on where it was
            results.take("next.h5", "1", None, one, None, KEY)
        answers = summarize(where, names=["totals", "sparsity"])
        found = {what: total for what, total, _ in answers[0].rows}
        assert found["artifacts"] == whole + 1, k
        assert found["tensors"] == (whole + 1) * expected["h5_datasets"]
        (dense,) = answers[1].rows
        assert dense[:4] == ("Dense", whole + 1, 4 * (whole + 1), 1354 * (whole + 1))


def test_what_a_killed_run_left_goes_once_it_is_old(tmp_path, one):
    where = tmp_path / "results"
    write(str(where), [SPARSE])
    left = [where / "tensors" / "part-x-000000.parquet", where / "findings" / ".inspect-half"]
    for path in left:
        path.write_bytes(b"")
    write(str(where), [])  # another run might mean to finish them
    assert all(path.exists() for path in left)
    for path in left:
        os.utime(path, (0, 0))
    for table in TABLES:
        for path in (where / table).iterdir():
            os.utime(path, (0, 0))  # what counts stays, however old
    write(str(where), [])
    assert not any(path.exists() for path in left)
    assert totals(str(where))["artifacts"] == 1


SIDE_BY_SIDE = """
import os, sys
import pyarrow.parquet  # once for all children
from inspector.fleet import results
from tests.builders.fleets import KEY, looked

where, path = sys.argv[1:]
one = looked(path)
results._ARTIFACTS = 3
children = []
for run in range(4):
    child = os.fork()
    if not child:
        with results.Results(where) as found:
            for at in range(20):
                found.take(f"{at}-{run % 2}.h5", "1", None, one, None, KEY)
        os._exit(0)
    children.append(child)
assert not any(os.waitpid(child, 0)[1] for child in children)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_runs_may_write_into_one_folder_at_once(tmp_path):
    """Four runs of 20 artifacts, of which two each have the same."""
    where = str(tmp_path / "results")
    run(SIDE_BY_SIDE, where, PRUNED)
    assert len(rows(where, "artifacts")) == 80
    assert len({row["run"] for row in rows(where, "artifacts")}) == 4
    assert totals(where)["artifacts"] == len(Done(where)) == 40
    expected = samples.expected("pruned.h5")["file"]
    assert totals(where)["tensors"] == 40 * expected["h5_datasets"]


# --- what is done -------------------------------------------------------------------------------


def test_what_an_earlier_run_did_is_known_with_its_verdict(tmp_path):
    where = str(tmp_path / "results")
    assert Done(where).knows(PRUNED, "1", KEY) is None
    write(where, [PRUNED, SPARSE, README])
    done = Done(where)
    pruned = done.knows(PRUNED, "1", KEY)
    counts = [row["severity"] for row in rows(where, "findings") if row["artifact"] == PRUNED]
    assert (pruned.failed, pruned.errors) == (True, counts.count("error"))
    assert (pruned.readable, pruned.is_model) == (True, True)
    sparse = done.knows(SPARSE, "1", KEY)
    assert (sparse.failed, sparse.errors, sparse.readable) == (False, 0, True)
    assert done.knows(README, "1", KEY) == (False, False, False, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("path", "version", "key"),
    [
        ("other.h5", "1", KEY),
        (PRUNED, "2", KEY),
        (PRUNED, None, KEY),
        (PRUNED, "1", Key("other", KEY.options)),
        (PRUNED, "1", Key(KEY.policy, "other")),
        (PRUNED, "1", Key(KEY.policy, KEY.options, "0.0.1")),
    ],
)
def test_whatever_is_another_is_looked_at_anew(tmp_path, path, version, key):
    where = str(tmp_path / "results")
    write(where, [PRUNED])
    assert Done(where).knows(PRUNED, "1", KEY)
    assert Done(where).knows(path, version, key) is None


def test_without_a_version_nothing_is_known(tmp_path, one):
    where = str(tmp_path / "results")
    with Results(where) as results:
        results.take(PRUNED, None, None, one, None, KEY)
    assert len(Done(where)) == 1
    assert Done(where).knows(PRUNED, None, KEY) is None
    assert Done(where).knows(PRUNED, "", KEY) is None


def test_the_newest_look_counts(tmp_path, one):
    """A model that was changed and changed back is looked at again."""
    where = str(tmp_path / "results")
    for version in ("1", "2"):
        with Results(where) as results:
            results.take("a.h5", version, None, one, None, KEY)
    assert Done(where).knows("a.h5", "1", KEY) is None
    assert Done(where).knows("a.h5", "2", KEY)
    with Results(where) as results:
        for version in ("1", "3"):  # in one batch, too
            results.take("a.h5", version, None, one, None, KEY)
    assert Done(where).knows("a.h5", "3", KEY)
    assert len(Done(where)) == 1


def test_a_part_that_is_damaged_is_named(tmp_path):
    where = str(tmp_path / "results")
    write(where, [SPARSE])
    (name,) = os.listdir(os.path.join(where, "artifacts"))
    with open(os.path.join(where, "artifacts", name), "r+b") as file:
        file.truncate(100)
    for what in (Done, summarize):
        with pytest.raises(UsageError, match=name):
            what(where)


def test_the_digest_of_a_policy_is_of_all_it_says():
    same = policy_digest(Policy(), DAY)
    assert policy_digest(Policy(), DAY + dt.timedelta(1)) == same
    assert policy_digest(Policy(ignore=("size",)), DAY) != same
    assert policy_digest(Policy(fail_on="warning"), DAY) != same
    assert policy_digest(Policy(severity={"a": "info", "b": "error"}), DAY) == policy_digest(
        Policy(severity={"b": "error", "a": "info"}), DAY
    )


def test_an_entry_that_is_over_makes_another_digest_of_the_policy():
    """Its last day is the 26th: on the 27th it takes nothing out any more."""
    entry = Allowed(digest="sha256:" + "0" * 64, reason="looked at", until=DAY)
    for_ever = Allowed(digest="sha256:" + "1" * 64, reason="looked at")
    policy = Policy(allow=(for_ever, entry))
    before, then, after, later = (
        policy_digest(policy, DAY + dt.timedelta(days)) for days in (-1, 0, 1, 2)
    )
    assert before == then != after == later


def test_the_digest_of_options_is_of_what_they_are():
    from inspector.limits import DEFAULT, Limits

    assert options_digest(measure=True, limits=DEFAULT) == options_digest(
        limits=Limits(), measure=True
    )
    assert options_digest(limits=Limits(tensors=1)) != options_digest(limits=Limits())
    assert options_digest(measure=True) != options_digest(measure=False)
    assert options_digest() != options_digest(against=None)
