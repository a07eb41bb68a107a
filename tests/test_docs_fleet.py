"""docs/fleet.md: its tables are of its figures, its YAML and SQL are what they are taken for."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from inspector.cli.audit import command as audit
from tests.builders import fleets, samples

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmark import fleet_model, fleet_page, page  # noqa: E402 - only there once the path is

TEXT = (ROOT / "docs" / "fleet.md").read_text("utf-8")
NAMES = ("pruned.h5", "k3.keras", "lite_float.tflite")


def blocks(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)


# --- figures ------------------------------------------------------------------------------------


def test_the_tables_are_made_of_the_figures():
    told = json.loads((ROOT / "docs" / "fleet.json").read_text("utf-8"))
    assert page.merged(TEXT, fleet_page.generated(told), fleet_page.MARKS) == TEXT


def point(copies, mib, tensors, gets, latency, start=0.7):
    """By hand: 0.7 s (0.3 s from disk), and for each artifact 2 ms, 3 ms a MiB, 0.1 ms a tensor,
    1 ms a request, each of which is waited for.
    """
    each = 0.002 + 0.003 * mib + 0.0001 * tensors + gets * (0.001 + latency)
    known = {"format": ".h5", "from": "s3" if gets else "disk", "measured": True, "others": 0.0}
    return {**known, "copies": copies, "mib": mib, "tensors": tensors, "gets": gets,
            "latency": latency, "seconds": start + copies * each}  # fmt: skip


POINTS = [
    *(
        point(copies, mib, tensors, gets, latency)
        for copies, mib, tensors, gets in (
            (200, 0.1, 10, 1), (20, 0.1, 900, 4), (8, 16, 40, 9), (2, 256, 80, 70),
        )
        for latency in (0.0, 0.02)
    ),
    point(200, 1, 10, 0, 0.0, 0.3),
    point(2, 100, 40, 0, 0.0, 0.3),
]  # fmt: skip


def test_a_fit_finds_what_the_points_were_made_of():
    found = fleet_model.fit(POINTS, "seconds", measured=True)
    wanted = {
        "start, disk": 0.3,
        "start, S3": 0.7,
        "fixed": 0.002,
        "per MiB": 0.003,
        "per tensor": 0.0001,
        "per request": 0.001,
        "waited": 1.0,
    }
    assert found.coefficients == pytest.approx(wanted)
    assert found.spread < 1e-9
    # 2 + 3 * 100 + 0.1 * 50 + 30 * (1 + 20) = 937 ms.
    assert found.of(100, 50, 30, 0.02) == pytest.approx(0.937)


def test_no_coefficient_is_negative():
    odd = [{**one, "seconds": 0.5 - 0.001 * one["mib"]} for one in POINTS]
    found = fleet_model.fit(odd, "seconds", measured=True)
    assert min(found.coefficients.values()) == 0
    assert found.spread > 0


def test_memory_and_processor_time_are_of_the_difference_of_two_runs():
    rows = [
        {"artifacts": 1000, "parent": 101.0, "parent_cpu_each": 0.003},  # 3 s
        {"artifacts": 3000, "parent": 103.0, "parent_cpu_each": 0.0015},  # 4.5 s
    ]
    base, slope = fleet_model.parent_memory(rows)
    assert slope == pytest.approx(1024 * 1024 / 1000)  # 2 MiB for 2,000
    assert base == pytest.approx(100 * 1.048576)
    assert fleet_model.parent_seconds(rows) == pytest.approx(1.5 / 2000)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.012345, "0.0123"), (1.5, "1.50"), (12.34, "12.3"), (99.96, "100"),
     (1234.5, "1,230"), (2_345_678, "2,350,000")],
)  # fmt: skip
def test_numbers_have_three_digits(value, said):
    assert fleet_page.number(value) == said


# --- what is shown ------------------------------------------------------------------------------


def test_its_yaml_is_sound():
    yaml = pytest.importorskip("yaml")
    found = [yaml.safe_load(one) for one in blocks("yaml")]
    assert [one.get("kind") for one in found] == ["Job", "DaskCluster", None]
    job, cluster, chart = found
    pod = job["spec"]["template"]["spec"]
    words = [*pod["containers"][0]["command"], *pod["containers"][0]["args"]]
    assert words[:2] == ["inspect", "audit"]
    audit.make_context("audit", words[2:])  # each is an option of ours
    assert all(isinstance(one, str) for one in words)
    worker = cluster["spec"]["worker"]["spec"]["containers"][0]
    assert all(isinstance(one, str) for one in worker["args"])
    selector = cluster["spec"]["scheduler"]["service"]["selector"]
    assert selector["dask.org/cluster-name"] == cluster["metadata"]["name"]
    images = {pod["containers"][0]["image"], worker["image"]}
    assert images == {"{repository}:{tag}".format(**chart["worker"]["image"])}


def test_its_commands_have_options_of_ours():
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    audits = [line.strip() for line in lines if line.strip().startswith("inspect audit")]
    assert len(audits) == 3
    for line in audits:
        audit.make_context("audit", shlex.split(line)[2:])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two data sets side by side, and a folder with the parts of both."""
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    root = tmp_path_factory.mktemp("side-by-side")
    fleets.write(str(root / "a"), [samples.path(name) for name in NAMES[:2]])
    fleets.write(str(root / "b"), [samples.path(name) for name in NAMES[2:]])
    for name in ("a", "b"):
        shutil.copytree(root / name, root / "results", dirs_exist_ok=True)
    return root


def test_its_sql_runs(results, monkeypatch):
    import duckdb

    monkeypatch.chdir(results)
    slots, teams = (duckdb.sql(one).fetchall() for one in blocks("sql"))
    assert slots == []  # none of the three has so much of it
    assert {code for _, code, _ in teams} >= {"leftover-pruning"}


def test_data_sets_side_by_side_are_one_by_a_glob_or_by_a_copy(results):
    import duckdb

    from inspector.fleet.summary import statement, summarize

    (together,) = summarize(str(results / "results"), names=["largest"])
    sql = statement(str(results / "a"), "largest").replace("/a/", "/[ab]/")
    found = duckdb.sql(sql).fetchall()
    assert [row[0] for row in together.rows] == [row[0] for row in found]
    assert {os.path.basename(row[0]) for row in found} == set(NAMES)
