"""What is said of signatures, operators and attached files, on reports with one thing changed."""

from contextlib import ExitStack, contextmanager
from dataclasses import replace

import msgspec
import pytest

from inspector.difference.interface import interface_facts
from tests.builders.edits import subject
from tests.builders.samples import NAMES, path


@contextmanager
def opened(name):
    with ExitStack() as stack:
        yield subject(stack, path(name))


def changed(one, **fields):
    """The subject with fields of its report replaced."""
    return replace(one, report=msgspec.structs.replace(one.report, **fields))


def call(one, **fields):
    """The subject with fields of its first signature replaced."""
    first, *rest = one.report.signatures
    return changed(one, signatures=(msgspec.structs.replace(first, **fields), *rest))


def port(found, **fields):
    return msgspec.structs.replace(found, **fields)


def words(facts):
    return [(fact.counts, fact.words) for fact in facts]


@pytest.mark.parametrize("name", [n for n in NAMES if "." not in n or n.endswith("lite")])
def test_an_artifact_is_called_as_itself(name):
    with opened(name) as one:
        assert interface_facts(one, one) == ()


def test_a_file_without_signatures_lacks_none():
    with opened("stripped.h5") as a, opened("saved_stripped") as b:
        assert interface_facts(a, b) == interface_facts(b, a) == ()


def test_a_signature_less_is_removed():
    with opened("lite_signatures.tflite") as a:
        b = changed(a, signatures=a.report.signatures[1:])
        (found,) = interface_facts(a, b)
        assert found.words == (
            "signature removed: decode (code: float32[1, 3]) -> (x: float32[1, 4])"
        )
        assert found.counts
        assert interface_facts(b, a)[0].words.startswith("signature added: decode ")


def test_an_input_of_another_dtype_shape_or_name_is_found_alone():
    with opened("saved_stripped") as a:
        (given,) = a.report.signatures[0].inputs
        for fields, said in (
            ({"dtype": "float16"}, "input dense_input: dtype float32 -> float16"),
            ({"shape": (None, 12)}, "input dense_input: shape [?, 10] -> [?, 12]"),
            ({"shape": (1, 10)}, "input dense_input: shape [?, 10] -> [1, 10]"),
            ({"shape": None}, "input dense_input: shape [?, 10] -> unknown"),
            ({"name": "x"}, "input renamed: dense_input -> x"),
        ):
            b = call(a, inputs=(port(given, **fields),))
            assert words(interface_facts(a, b)) == [(True, f"signature serving_default: {said}")]


def test_an_input_more_is_added():
    with opened("saved_stripped") as a:
        (given,) = a.report.signatures[0].inputs
        b = call(a, inputs=(given, port(given, name="mask", dtype="bool")))
        assert words(interface_facts(a, b)) == [
            (True, "signature serving_default: input added: mask: bool[?, 10]")
        ]


def test_the_name_of_a_tensor_in_the_graph_is_no_difference():
    with opened("saved_stripped") as a:
        (given,) = a.report.signatures[0].inputs
        assert interface_facts(a, call(a, inputs=(port(given, tensor="other:0"),))) == ()


def test_a_side_that_only_the_converter_fixed_does_not_count():
    """[?, 10] of the SavedModel is [1, 10] in the TFLite file that is made of it."""
    with opened("saved_stripped") as a, opened("lite_float.tflite") as lite:
        (given,) = lite.report.signatures[0].inputs
        b = call(lite, inputs=(port(given, name="dense_input", shape=(1, 10)),))
        said = {
            fact.what: (fact.counts, fact.words)
            for fact in interface_facts(a, b)
            if fact.part == "signatures"
        }
        assert said["serving_default.dense_input.shape"] == (
            False,
            "signature serving_default: input dense_input: shape [?, 10] -> [1, 10],"
            " a side that the conversion fixed",
        )
        assert not any(counts for counts, _ in said.values())
        b = call(lite, inputs=(port(given, name="dense_input", shape=(1, 11)),))
        (counted,) = [fact for fact in interface_facts(a, b) if fact.counts]
        assert counted.words.endswith("shape [?, 10] -> [1, 11]")


def test_a_method_and_tags_are_told():
    with opened("saved_stripped") as a:
        b = changed(call(a, method="other"), tags=(("serve",), ("train", "gpu")))
        assert words(interface_facts(a, b)) == [
            (True, "signature serving_default: method tensorflow/serving/predict -> other"),
            (True, "tags serve -> gpu, train; serve"),
        ]


def test_operators_are_counted_within_a_format():
    with opened("lite_float.tflite") as a:
        first, second, *rest = a.report.operators
        more = msgspec.structs.replace(first, count=first.count + 1)
        b = changed(a, operators=(more, *rest))
        assert [(fact.part, fact.what, fact.a, fact.b) for fact in interface_facts(a, b)] == [
            ("operators", first.name, first.count, first.count + 1),
            ("operators", second.name, second.count, None),
        ]


def test_an_operators_version_does_not_count():
    with opened("lite_float.tflite") as a:
        first, *rest = a.report.operators
        b = changed(a, operators=(msgspec.structs.replace(first, version=9), *rest))
        (found,) = interface_facts(a, b)
        assert not found.counts


def test_many_operators_are_one_fact():
    with opened("saved_stripped") as a, opened("saved_pruned") as b:
        (found,) = [fact for fact in interface_facts(a, b) if fact.part == "operators"]
        assert found.a["MatMul"] < found.b["MatMul"]
        assert found.counts


def test_operators_of_two_languages_are_not_compared():
    with opened("saved_stripped") as a, opened("lite_float.tflite") as b:
        assert not [fact for fact in interface_facts(a, b) if fact.part == "operators"]


def test_the_quantization_scheme_counts_within_a_format():
    with opened("lite_float.tflite") as a:
        b = changed(a, scheme="dynamic range", min_runtime_version="9.9.9")
        assert words(interface_facts(a, b)) == [
            (True, "quantization float32 -> dynamic range"),
            (False, "oldest runtime 1.5.0 -> 9.9.9"),
        ]


def test_an_attached_file_is_added_removed_or_of_another_size():
    with opened("lite_metadata.tflite") as a:
        b = changed(a, attached={"labels.txt": 14, "new.txt": 1})
        assert words(interface_facts(a, b)) == [
            (True, "attached file labels.txt: 13 bytes -> 14 bytes"),
            (True, "attached file removed: notes/about.txt (5 bytes)"),
            (True, "attached file added: new.txt (1 byte)"),
        ]


def test_entries_of_a_vocabulary_are_counted():
    with opened("saved_module") as a:
        artifact = replace(a.artifact, vocabulary={**a.artifact.vocabulary, "seen": 3})
        (found,) = interface_facts(a, replace(a, artifact=artifact))
        assert found.words == "vocabulary seen: 2 entries -> 3 entries"
