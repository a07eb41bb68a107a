import dataclasses
import importlib.resources
import json
from collections import Counter

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.assemble import build_unreadable, narrow
from inspector.errors import LimitExceeded, Truncated, UnknownFormat
from inspector.model import Extent, Role
from inspector.render import RENDERERS, RenderOptions
from inspector.report import Report, report, schema
from tests.builders import artifacts
from tests.builders.artifacts import CASES, Case


def stored_schema():
    folder = importlib.resources.files("inspector") / "schema"
    return json.loads((folder / "report-1.0.json").read_text(encoding="utf-8"))


def as_json(*built):
    return json.loads(RENDERERS["json"](report("show", built), RenderOptions()))


def test_the_schema_in_the_wheel_is_that_of_the_types(request):
    if request.config.getoption("--update-golden"):
        folder = importlib.resources.files("inspector") / "schema"
        text = json.dumps(schema(), indent=2) + "\n"
        (folder / "report-1.0.json").write_text(text, encoding="utf-8")
    assert stored_schema() == schema()


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(stored_schema())


@pytest.mark.parametrize("measure", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_reports_obey_the_schema(name, measure):
    jsonschema.validate(as_json(CASES[name]().build(measure)), stored_schema())


def test_an_unreadable_artifact_obeys_the_schema():
    built = build_unreadable("a.h5", Truncated("ends early", "a.h5", 96))
    jsonschema.validate(as_json(built), stored_schema())


def test_the_json_reads_back_as_the_same_report():
    made = report("show", (artifacts.pruned().build(),))
    text = RENDERERS["json"](made, RenderOptions())
    assert msgspec.json.decode(text, type=Report) == made


@pytest.mark.parametrize("name", CASES)
def test_bytes_sum_to_the_size(name):
    built = CASES[name]().build()
    assert sum(built.bytes.values()) == built.nbytes
    assert "unaccounted" not in built.bytes


def test_the_contract_of_the_first_version_keeps_its_names():
    (artifact,) = as_json(artifacts.pruned().build())["artifacts"]
    assert {
        "path",
        "format",
        "nbytes",
        "files",
        "producer",
        "totals",
        "roles",
        "bytes",
        "layers",
        "tensors",
        "problems",
    } <= set(artifact)
    assert set(artifact["totals"]) == {
        "stored_elements",
        "count_params",
        "trainable",
        "non_trainable",
        "after_strip",
        "nonzero",
    }
    assert {"name", "class_name", "wraps", "trainable", "count_params", "overhead"} <= set(
        artifact["layers"][0]
    )
    assert {
        "name",
        "variable",
        "layer",
        "role",
        "rule",
        "basis",
        "evidence",
        "dtype",
        "shape",
        "elements",
        "nbytes",
        "trainable",
        "quantization",
        "sparsity",
        "alias_of",
        "measure",
    } <= set(artifact["tensors"][0])
    assert {"zeros", "sparsity", "min", "max", "nan", "inf", "patterns"} <= set(
        artifact["tensors"][0]["measure"]
    )


def test_unknown_is_null_and_absent_sections_are_absent():
    whole = as_json(artifacts.weights_only().build())
    (artifact,) = whole["artifacts"]
    assert artifact["producer"] is None
    assert artifact["totals"]["count_params"] is None
    assert artifact["tensors"][0]["trainable"] is None
    assert not {"findings", "diff", "reconciliation", "explanation"} & set(whole)
    assert "shown" not in artifact


def test_a_report_without_measures_says_so_by_null():
    (artifact,) = as_json(artifacts.pruned().build(measure=False))["artifacts"]
    assert artifact["weights"] is None
    assert artifact["totals"]["nonzero"] is None
    assert {tensor["measure"] for tensor in artifact["tensors"]} == {None}


def test_nonzero_counts_weights_alone():
    # Both kernels are 640 with 320 zeros, biases 64 + 10 without: 1354 - 640. Masks do not count.
    assert artifacts.pruned().build().totals.nonzero == 714


def test_a_copy_adds_no_weight_and_no_zero():
    built = artifacts.copies().build()
    assert (built.weights.elements, built.weights.zeros, built.totals.nonzero) == (6, 3, 3)


def test_infinities_are_strings_since_json_has_none():
    (artifact,) = as_json(artifacts.hostile().build())["artifacts"]
    measure = artifact["tensors"][0]["measure"]
    assert (measure["min"], measure["max"]) == ("-Infinity", "Infinity")


def test_shared_bytes_belong_to_the_one_that_is_no_copy():
    case = Case()
    case.tensor("copy", Role.ALIAS, (3,), alias_of="own", layer="d", variable="kernel")
    case.tensor("own", Role.WEIGHT, (3,), extent_of="copy", layer="d", variable="kernel")
    case.row("d", "Dense", 3)
    built = case.build()
    assert built.roles["weight"].nbytes == 12
    assert built.roles["alias"].nbytes == 0
    assert sum(built.bytes.values()) == built.nbytes == 12 + 5096
    assert "stored twice: at the cost of no byte" in " ".join(built.answer)


def test_extents_that_overlap_in_part_are_counted_once():
    case = Case(overhead={})
    case.tensor("a", Role.WEIGHT, (4,), layer="d")
    case.tensor("b", Role.STATISTIC, (4,), layer="d")
    # b's 16 bytes lie over the last 8 of a's: 16 + 8 in all, and the file is said to have 32.
    first = case.tensors[0].extents[0]
    overlapping = Extent(first.file, first.offset + 8, first.length)
    case.tensors[1] = dataclasses.replace(case.tensors[1], extents=(overlapping,))
    built = case.build()
    assert built.bytes == {"weights": 16, "statistics": 8, "unaccounted": 8}
    assert sum(built.bytes.values()) == built.nbytes == 32


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=20))
def test_every_byte_goes_to_one_tensor(places):
    case = Case(overhead={}, offset=0)
    for at, (offset, length) in enumerate(places):
        case.tensor(f"t{at}", Role.WEIGHT, (1,))
        case.tensors[-1] = dataclasses.replace(
            case.tensors[-1], extents=(Extent(case.path, offset, length),)
        )
    built = case.build()
    covered = {byte for offset, length in places for byte in range(offset, offset + length)}
    assert built.bytes.get("weights", 0) == len(covered)


def test_tensors_of_no_layer_are_counted_apart():
    built = artifacts.pruned().build()
    rows = Counter()
    for layer in built.layers:
        rows.update(layer.roles)
    rows.update(built.in_no_layer)
    assert rows == {role: row.elements for role, row in built.roles.items()}
    # Adam keeps m and v of every weight and one step.
    assert built.in_no_layer == {"optimizer_slot": 2 * 1354, "optimizer_state": 1}


def test_narrowing_filters_rows_and_says_what_it_left():
    built = artifacts.pruned().build()
    narrowed = narrow(built, layers=("*_1",), roles=("mask",))
    assert [row.name for row in narrowed.layers] == ["prune_low_magnitude_dense_1"]
    assert [tensor.name for tensor in narrowed.tensors] == [
        "model_weights/prune_low_magnitude_dense_1/mask:0"
    ]
    assert (narrowed.shown.layers, narrowed.shown.of_layers) == (1, 2)
    assert (narrowed.shown.tensors, narrowed.shown.of_tensors) == (1, 19)
    assert (narrowed.totals, narrowed.bytes) == (built.totals, built.bytes)


def test_narrowing_by_nothing_changes_nothing():
    built = artifacts.pruned().build()
    assert narrow(built) is built


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Truncated("x", "a"), "truncated"),
        (UnknownFormat("x", "a"), "unknown-format"),
        (LimitExceeded("nodes", 3, 2, "a"), "limit-exceeded"),
    ],
)
def test_an_unreadable_artifact_keeps_its_place_and_its_reason(error, code):
    built = build_unreadable("a", error)
    assert not built.readable
    assert built.nbytes is None
    assert [(p.code, p.severity, p.message) for p in built.problems] == [
        (code, "error", error.message)
    ]


def test_a_layer_brings_those_inside_it():
    case = Case(counts=(2, 2, 0))
    case.tensor("a", Role.WEIGHT, (1,), layer="inner/wrapper/dense")
    case.tensor("b", Role.WEIGHT, (1,), layer="inner_2")
    case.row("inner/wrapper", "PruneLowMagnitude", 1)
    case.row("inner_2", "Dense", 1)
    for glob in ("inner", "inner/wrapper", "*/wrapper"):
        narrowed = narrow(case.build(), layers=(glob,))
        assert [tensor.name for tensor in narrowed.tensors] == ["a"]
        assert [row.name for row in narrowed.layers] == ["inner/wrapper"]


def test_a_layer_is_found_by_its_name_inside_a_wrapper_or_a_model():
    case = Case(counts=(8, 8, 0))
    case.tensor("a", Role.WEIGHT, (4,), layer="prune_dense/dense")
    case.tensor("b", Role.WEIGHT, (4,), layer="backbone/conv")
    case.row("prune_dense", "PruneLowMagnitude", 4)
    case.row("backbone/conv", "Conv2D", 4)
    for glob, row, tensor in (("dense", "prune_dense", "a"), ("conv", "backbone/conv", "b")):
        narrowed = narrow(case.build(), layers=(glob,))
        assert [one.name for one in narrowed.layers] == [row]
        assert [one.name for one in narrowed.tensors] == [tensor]
