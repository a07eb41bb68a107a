"""The .tflite reader on files built by hand, table by table."""

import io
import zipfile

import numpy as np
import pytest

from inspector import api
from inspector.errors import ArtifactError, Corrupt, LimitExceeded, Truncated, Unsupported
from inspector.limits import Limits
from inspector.model import Section
from inspector.read import read
from inspector.storage import MemorySource
from inspector.wire.tflite_conversion import CONVERSION_SCHEMA
from inspector.wire.tflite_model import read_model
from tests.builders.checks import assert_adds_up, codes, opened, refused
from tests.builders.checks import tensor as named
from tests.builders.flatbuffers import flatbuffer
from tests.builders.tflite import graph, model, op, tensor, texts, values

KERNEL = np.arange(6, dtype="f4").reshape(2, 3)
BIAS = np.array([0, 5], "f4")


def dense(*, buffers=(KERNEL, BIAS), **more):
    """FULLY_CONNECTED: x (1, 3), kernel (2, 3), bias (2) -> y (1, 2)."""
    tensors = [
        tensor("x", (1, 3)),
        tensor("kernel", (2, 3), buffer=1),
        tensor("bias", (2,), buffer=2),
        tensor("y", (1, 2)),
    ]
    return values(
        graph(tensors, [op("FULLY_CONNECTED", [0, 1, 2], [3])], [0], [3], "main"),
        buffers=buffers,
        **more,
    )


def saved(tmp_path, content, name="m.tflite"):
    raw = content if isinstance(content, bytes) else flatbuffer(content)
    (tmp_path / name).write_bytes(raw)
    return str(tmp_path / name)


def one(tmp_path, content):
    return opened(saved(tmp_path, content))


def shown(tmp_path, content):
    (report,) = api.show([saved(tmp_path, content)]).artifacts
    assert report.readable
    assert sum(report.bytes.values()) == report.nbytes
    return report


def held(tmp_path, content, name):
    """All values of a tensor."""
    with read(saved(tmp_path, content)) as result:
        found = named(result.artifact, name)
        return np.concatenate([np.array(block) for block in found.payload.blocks(64)])


# --- tensors ------------------------------------------------------------------------------------


def test_constants_have_their_bytes_their_readers_and_their_layer(tmp_path):
    path = saved(tmp_path, dense())
    artifact = opened(path)
    kernel = named(artifact, "kernel")
    assert (kernel.dtype, kernel.shape, kernel.nbytes) == ("float32", (2, 3), 24)
    (extent,) = kernel.extents
    with open(path, "rb") as file:
        raw = file.read()
    assert raw[extent.offset : extent.offset + extent.length] == KERNEL.tobytes()
    assert [(use.op, use.input, use.node) for use in kernel.uses] == [("FULLY_CONNECTED", 1, "y")]
    assert (kernel.layer, kernel.owner, kernel.position, kernel.variable) == ("y", "y", 1, "kernel")
    assert (named(artifact, "bias").variable, named(artifact, "bias").position) == ("bias", 2)
    assert {t.section for t in artifact.tensors} == {Section.GRAPH}
    assert held(tmp_path, dense(), "kernel").tolist() == [0, 1, 2, 3, 4, 5]


def test_what_has_no_values_takes_none_and_says_what_makes_it(tmp_path):
    artifact = one(tmp_path, dense())
    x, y = named(artifact, "x"), named(artifact, "y")
    assert (x.made, y.made) == ("an input of the model", "made by FULLY_CONNECTED y")
    for tensor_ in (x, y):
        assert (tensor_.storage, tensor_.nbytes, tensor_.extents) == ("no data", 0, ())
        assert (tensor_.payload, tensor_.stored_elements) == (None, 0)
    report = shown(tmp_path, dense())
    assert report.totals.stored_elements == 6 + 2
    assert report.roles["weight"].elements == 8
    assert report.roles["activation"].nbytes == 0


def test_names_are_made_unique(tmp_path):
    tensors = [tensor(""), tensor("a"), tensor("a"), tensor("b"), tensor("a#1")]
    inner = [tensor("a"), tensor("")]
    content = values(graph(tensors), graph(inner, name="body"), graph([tensor("a")]))
    artifact = one(tmp_path, content)
    assert [t.name for t in artifact.tensors] == [
        *("#0", "a#1", "a#2", "b", "a#1#"),
        *("body/a", "body/#1"),
        "#2/a",
    ]
    assert [t.stored_name for t in artifact.tensors][:3] == [None, "a", "a"]


def test_a_variable_keeps_its_state_outside_the_file(tmp_path):
    content = values(
        graph([tensor("state", (1, 4), is_variable=True), tensor("y")], [op("ABS", [0], [1])])
    )
    assert named(one(tmp_path, content), "state").made == "a variable, kept from call to call"


def test_what_an_operator_keeps_inside_is_made_by_it(tmp_path):
    tensors = [tensor("x"), tensor("inner", (0,)), tensor("y")]
    lstm = op("UNIDIRECTIONAL_SEQUENCE_LSTM", [0], [2], intermediates=[1])
    artifact = one(tmp_path, values(graph(tensors, [lstm], [0], [2])))
    assert named(artifact, "inner").made == "made by UNIDIRECTIONAL_SEQUENCE_LSTM y"


def test_a_constant_of_no_values_is_one_where_something_reads_it(tmp_path):
    tensors = [tensor("x"), tensor("shape", (0,), "int32"), tensor("y"), tensor("left", (0,))]
    artifact = one(tmp_path, values(graph(tensors, [op("RESHAPE", [0, 1], [2])], [0], [2])))
    assert named(artifact, "shape").made is None
    assert named(artifact, "left").made == "nothing makes it"


def reads(kind, given, shape, dtype, **more):
    """A constant of this type, read by an operator."""
    tensors = [tensor("x"), tensor("c", shape, dtype, 1, **more), tensor("y")]
    return values(graph(tensors, [op(kind, [0, 1], [2])], [0], [2]), buffers=[given])


@pytest.mark.parametrize(
    ("dtype", "raw", "expected"),
    [
        # The first value is in the lowest bits; the rest of the last byte is nobody's.
        ("int4", b"\x7f\x08", [-1, 7, -8]),
        ("uint4", b"\x7f\xf8", [15, 7, 8]),
        ("int2", b"\xe4", [0, 1, -2]),
    ],
)
def test_values_of_less_than_a_byte_are_unpacked(tmp_path, dtype, raw, expected):
    content = reads("FULLY_CONNECTED", raw, (3,), dtype)
    assert held(tmp_path, content, "c").tolist() == expected
    found = named(one(tmp_path, content), "c")
    assert (found.elements, found.nbytes, found.extents[0].codec) == (
        3,
        len(raw),
        f"{dtype} packed",
    )
    assert found.storage.startswith("packed, ")


def test_zeros_are_counted_at_the_zero_point(tmp_path):
    # 128 stands for 0, and 0 does not.
    raw = np.array([128, 0, 128, 5], "u1")
    content = reads("FULLY_CONNECTED", raw, (2, 2), "uint8", scale=[0.5], zero_point=[128])
    report = shown(tmp_path, content)
    found = next(t for t in report.tensors if t.name == "c")
    assert (found.measure.zeros, found.measure.min, found.measure.max) == (2, 0, 128)
    assert found.quantization["symmetric"] is True
    assert report.totals.nonzero == 2


def test_patterns_lie_along_the_inputs_of_a_kernel_whose_outputs_come_first(tmp_path):
    # Of each four consecutive inputs of an output two are zero; down the outputs none is.
    raw = np.tile(np.array([1, 2, 0, 0], "f4"), (8, 4))
    content = reads("FULLY_CONNECTED", raw, (8, 16), "float32")
    found = next(t for t in shown(tmp_path, content).tensors if t.name == "c")
    assert found.measure.patterns["2:4 input"].holds
    assert "2:4 output" not in found.measure.patterns


def test_each_channel_has_its_own_zero_point(tmp_path):
    # Side 1 has the scales: columns are less 1, 2 and 3, so that the first row is all zeros.
    raw = np.array([[1, 2, 3], [3, 2, 1]], "i1")
    content = reads(
        *("FULLY_CONNECTED", raw, (2, 3), "int8"),
        scale=[0.5, 0.25, 2.0],
        zero_point=[1, 2, 3],
        axis=1,
    )
    report = shown(tmp_path, content)
    found = next(t for t in report.tensors if t.name == "c")
    assert found.measure.zeros == 4
    said = found.quantization
    assert (said["scheme"], said["count"], said["axis"]) == ("per-channel", 3, 1)
    assert (said["scale"], said["zero_point"]) == ([0.25, 2.0], [1, 3])
    assert said["symmetric"] is False


def test_scales_of_blocks_are_another_tensor(tmp_path):
    blocks = ("BlockwiseQuantization", {"scales": 3, "zero_points": -1, "block_size": 2})
    tensors = [
        tensor("x", (1, 4)),
        tensor("k", (2, 4), "int8", 1, quantization={"details": blocks}),
        tensor("y", (1, 2)),
        tensor("s", (2, 2), "float16", 2),
    ]
    content = values(
        graph(tensors, [op("FULLY_CONNECTED", [0, 1], [2])], [0], [2]),
        buffers=[np.ones((2, 4), "i1"), np.ones((2, 2), "f2")],
    )
    artifact = one(tmp_path, content)
    kernel, scales = named(artifact, "k"), named(artifact, "s")
    assert (kernel.quantized.scheme, kernel.quantized.block) == ("blockwise", 2)
    assert kernel.quantized.tensors == {"scales": "s"}
    assert (scales.serves, scales.variable) == ("k", "scales")
    report = shown(tmp_path, content)
    assert report.roles["quant_param"].elements == 4


def test_a_sparse_tensor_gives_its_zeros_too(tmp_path):
    # [[0, 0, 7], [0, 0, 0], [8, 9, 0]]: CSR has one value in row 0, none in row 1, two in row 2.
    sparsity = {
        "traversal_order": [0, 1],
        "dim_metadata": [
            {"format": 0, "dense_size": 3},
            {
                "format": 1,
                "array_segments": ("Uint8Vector", {"values": [0, 1, 1, 3]}),
                "array_indices": ("Uint8Vector", {"values": [2, 0, 1]}),
            },
        ],
    }
    tensors = [
        tensor("x", (1, 3)),
        tensor("c", (3, 3), buffer=1, sparsity=sparsity),
        tensor("dense", (3, 3)),
        tensor("y", (1, 3)),
    ]
    operators = [op("DENSIFY", [1], [2]), op("FULLY_CONNECTED", [0, 2], [3])]
    content = values(graph(tensors, operators, [0], [3]), buffers=[np.array([7, 8, 9], "f4")])
    assert held(tmp_path, content, "c").tolist() == [0, 0, 7, 0, 0, 0, 8, 9, 0]
    artifact = one(tmp_path, content)
    found = named(artifact, "c")
    # 36 bytes dense, 12 of values and 7 of indices.
    assert (found.sparse.stored, found.sparse.dense, found.sparse.saved) == (3, 9, 36 - 12 - 7)
    assert (found.sparse.format, found.sparse.block) == ("CSR", None)
    assert found.storage == "CSR, 3 of 9 values"
    assert [(use.op, use.through) for use in found.uses] == [("FULLY_CONNECTED", ("DENSIFY",))]
    assert artifact.overhead["sparse indices"] >= 7
    report = shown(tmp_path, content)
    assert (report.weights.elements, report.weights.zeros) == (9, 6)
    assert report.totals.stored_elements == 9


def table(keys, shape):
    tensors = [
        tensor("table", (), "resource"),
        tensor("keys", shape, "string", 1),
        tensor("values", (2,), "int64", 2),
    ]
    operators = [op("HASHTABLE", [], [0]), op("HASHTABLE_IMPORT", [0, 1, 2], [])]
    return values(graph(tensors, operators), buffers=[keys, np.array([1, 2], "<i8")])


def test_texts_are_counted(tmp_path):
    artifact = one(tmp_path, table(texts("a", "bcd"), (2,)))
    keys = named(artifact, "keys")
    assert (keys.elements, keys.storage, keys.payload) == (2, "text", None)
    assert artifact.vocabulary == {"keys": 2}
    assert artifact.problems == ()
    report = shown(tmp_path, table(texts("a", "bcd"), (2,)))
    assert report.roles["lookup"].elements == 4


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (texts("a", "bcd", "e"), "its texts are 3"),
        (texts("a", "bcd")[:-1], "its texts are cut off"),
        (b"\xff\xff\xff\x7f", "cut off"),
        (b"\x02\0\0\0" + b"\x90\0\0\0" * 3, "cut off"),
    ],
)
def test_texts_that_do_not_fit_are_a_problem(tmp_path, raw, words):
    (problem,) = one(tmp_path, table(raw, (2,))).problems
    assert problem.code == "data-does-not-fit"
    assert words in problem.message


# --- buffers ------------------------------------------------------------------------------------


def sharing(*tensors, operators=None):
    """Tensors of buffer 1, which holds six floats, each the kernel of an operator of its own."""
    listed = [tensor("x", (1, 3)), *tensors, *(tensor(f"y{i}") for i in range(len(tensors)))]
    many = len(tensors)
    operators = operators or [
        op("FULLY_CONNECTED", [0, 1 + i], [1 + many + i]) for i in range(many)
    ]
    return values(graph(listed, operators, [0], []), buffers=[KERNEL])


def test_tensors_of_one_buffer_are_stored_once(tmp_path):
    content = sharing(tensor("a", (2, 3), buffer=1), tensor("b", (2, 3), buffer=1))
    artifact = one(tmp_path, content)
    first, second = named(artifact, "a"), named(artifact, "b")
    assert first.extents == second.extents
    assert (first.repeats, second.repeats) == (None, "a")
    assert (first.stored_elements, second.stored_elements) == (6, 0)
    report = shown(tmp_path, content)
    assert report.totals.stored_elements == 6
    assert report.roles["weight"].nbytes == 24


def test_the_same_bytes_in_another_shape_or_type_are_no_copy(tmp_path):
    content = sharing(
        tensor("a", (2, 3), buffer=1),
        tensor("b", (3, 2), buffer=1),
        tensor("c", (2, 3), "int32", buffer=1),
        tensor("d", (2, 3), buffer=1, scale=[0.5]),
    )
    artifact = one(tmp_path, content)
    assert [named(artifact, name).repeats for name in "abcd"] == [None] * 4
    assert [named(artifact, name).stored_elements for name in "abcd"] == [6, 0, 0, 0]


def test_buffers_behind_the_flatbuffer_are_tensors_too(tmp_path):
    places = [{"offset": 1, "size": 24}, {"offset": 1, "size": 8}]
    size = len(flatbuffer(dense(buffers=places)))
    start = size + -size % 16
    places = [{"offset": start, "size": 24}, {"offset": start + 24, "size": 8}]
    raw = flatbuffer(dense(buffers=places))
    content = raw + bytes(start - len(raw)) + KERNEL.tobytes() + BIAS.tobytes()
    artifact = one(tmp_path, content)
    assert named(artifact, "kernel").extents[0].offset == start
    assert named(artifact, "bias").storage == "contiguous, behind the flatbuffer"
    assert held(tmp_path, content, "bias").tolist() == [0, 5]
    assert "appended data" not in artifact.overhead
    assert refused(saved(tmp_path, content[:-1]), Truncated).startswith("buffer data takes bytes")


def test_values_in_another_file_are_said_to_be_there(tmp_path):
    tensors = [tensor("x"), tensor("k", (2, 2), external_buffer=7), tensor("y")]
    content = values(
        graph(tensors, [op("FULLY_CONNECTED", [0, 1], [2])], [0], [2]),
        external_buffer_groups=[{"name": "weights.bin"}],
        external_buffers=[{"id": 7, "group": 0, "offset": 0}],
    )
    artifact = one(tmp_path, content)
    kernel = named(artifact, "k")
    assert kernel.storage == "in another file: weights.bin"
    assert (kernel.made, kernel.payload, kernel.stored_elements) == (None, None, 0)
    assert not artifact.complete
    (problem,) = artifact.problems
    assert problem.message == "1 tensor in another file (weights.bin)"
    report = shown(tmp_path, content)
    assert report.roles["weight"].nbytes == 0
    assert report.totals.nonzero is None


def test_every_byte_has_a_label(tmp_path):
    content = dense(
        buffers=[KERNEL, BIAS, b"1.5.0\0\0\0", b"nobody's"],
        metadata=[{"name": "min_runtime_version", "buffer": 3}],
    )
    overhead = one(tmp_path, content).overhead
    assert overhead["metadata"] == 8
    assert overhead["unused buffers"] == 8
    assert set(overhead) <= {"metadata", "unused buffers", "tables", "padding"}


def test_a_buffer_of_a_tensor_and_of_metadata_is_the_tensors(tmp_path):
    overhead = one(tmp_path, dense(metadata=[{"name": "m", "buffer": 1}])).overhead
    assert "metadata" not in overhead


# --- the model around them ----------------------------------------------------------------------


def test_there_is_a_layer_for_each_operator_in_order(tmp_path):
    tensors = [
        tensor("x", (1, 3)),
        tensor("k", (2, 3), buffer=1),
        tensor("h", (1, 2)),
        tensor("y", (1, 2)),
    ]
    operators = [
        op("FULLY_CONNECTED", [0, 1], [2]),
        op("CALL_ONCE", [], []),
        op("custom:Mine", [2], [3]),
        op("RELU", [2], [3]),
    ]
    artifact = one(tmp_path, values(graph(tensors, operators, [0], [3]), buffers=[KERNEL]))
    assert [(layer.path, layer.class_name, layer.macs) for layer in artifact.model.children] == [
        ("h", "FULLY_CONNECTED", 6),
        ("CALL_ONCE#1", "CALL_ONCE", None),
        ("y", "Mine", None),
        ("y#3", "RELU", None),
    ]
    # 6 of FULLY_CONNECTED; what the custom operator does, nobody knows. h and y live at once.
    assert (artifact.cost.macs, artifact.cost.uncounted, artifact.cost.peak) == (6, 1, 20)


def test_an_unknown_shape_leaves_the_macs_open(tmp_path):
    tensors = [tensor("x", (1, 3)), tensor("k", (2, 3), buffer=1), tensor("y", (-1, 2))]
    operators = [op("FULLY_CONNECTED", [0, 1], [2])]
    artifact = one(tmp_path, values(graph(tensors, operators, [0], [2]), buffers=[KERNEL]))
    assert (artifact.cost.macs, artifact.cost.uncounted) == (None, 1)


def test_operators_are_counted_with_their_versions(tmp_path):
    operators = [
        op("ADD", [0, 0], [0]),
        op("ADD", [0, 0], [0], version=2),
        op("ADD", [0, 0], [0]),
        op("custom:FlexAddV2", [0, 0], [0]),
        op("custom:Mine", [0], [0], version=3),
    ]
    artifact = one(tmp_path, values(graph([tensor("x")], operators)))
    assert [(o.name, o.count, o.custom, o.version) for o in artifact.operators] == [
        ("ADD", 2, False, 1),
        ("ADD", 1, False, 2),
        ("FlexAddV2", 1, True, 1),
        ("Mine", 1, True, 3),
    ]


def test_signatures_have_open_sides(tmp_path):
    tensors = [tensor("x", (1, 3), shape_signature=[-1, 3]), tensor("y", (1, 3))]
    signature = {
        "signature_key": "serve",
        "inputs": [{"name": "image", "tensor_index": 0}],
        "outputs": [{"name": "score", "tensor_index": 1}],
    }
    operators = [op("RELU", [0], [1])]
    (found,) = one(
        tmp_path, values(graph(tensors, operators, [0], [1]), signature_defs=[signature])
    ).signatures
    assert found.name == "serve"
    (image,) = found.inputs
    assert (image.name, image.tensor, image.shape) == ("image", "x", (None, 3))
    # Without signatures the first subgraph's ends are told.
    (found,) = one(tmp_path, values(graph(tensors, operators, [0], [1]))).signatures
    assert (found.name, found.inputs[0].name, found.outputs[0].tensor) == ("main", "x", "y")


def conversion(version):
    """What a converter writes, by its own schema."""
    content = {"environment": {"tensorflow_version": version}}
    return flatbuffer(content, "ConversionMetadata", CONVERSION_SCHEMA, b"CONV")


@pytest.mark.parametrize(
    ("description", "producer"),
    [
        ("MLIR Converted.", ("TensorFlow Lite converter (MLIR)", "2.21.0")),
        ("TOCO Converted.", ("TensorFlow Lite converter (TOCO)", "2.21.0")),
        ("Exported by Somebody v1.", ("Exported by Somebody v1", "2.21.0")),
        ("", ("TensorFlow Lite converter", "2.21.0")),
    ],
)
def test_what_wrote_it_is_said(tmp_path, description, producer):
    content = dense(
        buffers=[KERNEL, BIAS, conversion("2.21.0")],
        metadata=[{"name": "CONVERSION_METADATA", "buffer": 3}],
    )
    found = one(tmp_path, {**content, "description": description}).producer
    assert (found.name, found.version) == producer


def test_metadata_that_is_no_flatbuffer_says_nothing(tmp_path):
    content = dense(
        buffers=[KERNEL, BIAS, b"\xff" * 20],
        metadata=[{"name": "CONVERSION_METADATA", "buffer": 3}],
    )
    found = one(tmp_path, content).producer
    assert (found.name, found.version) == ("made by hand", None)


@pytest.mark.parametrize(
    ("raw", "runtime"),
    [(b"1.14.0" + bytes(10), "1.14.0"), (b"2.3.0", "2.3.0"), (bytes(16), None), (b"", None)],
)
def test_the_oldest_runtime_is_said(tmp_path, raw, runtime):
    content = dense(
        buffers=[KERNEL, BIAS, raw], metadata=[{"name": "min_runtime_version", "buffer": 3}]
    )
    assert one(tmp_path, content).runtime == runtime


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_files_appended_to_the_model_are_named(tmp_path):
    path = saved(tmp_path, dense())
    size = len(flatbuffer(dense()))
    # As the metadata writer does: the zip's offsets count from the file's beginning.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    artifact = opened(path)
    assert artifact.attached == {"labels.txt": 8}
    assert artifact.overhead["associated files"] == artifact.nbytes - size
    assert artifact.problems == ()
    # As `cat` does: they count from the zip's own, and there may be zeros in front.
    artifact = one(tmp_path, flatbuffer(dense()) + bytes(3) + zipped(a=b"1", b=b"22"))
    assert artifact.attached == {"a": 1, "b": 2}
    assert artifact.problems == ()


def test_a_broken_zip_behind_the_model_is_a_problem(tmp_path):
    artifact = one(tmp_path, flatbuffer(dense()) + zipped(a=b"1" * 99)[:60])
    (problem,) = artifact.problems
    assert problem.code == "associated-files"
    assert artifact.overhead["associated files"] == 60


@pytest.mark.parametrize(("raw", "label"), [(b"\xd0\x0fDGC0", "appended data"), (b"\0\0", None)])
def test_what_else_follows_the_model_is_told(tmp_path, raw, label):
    artifact = one(tmp_path, flatbuffer(dense()) + raw)
    if label:
        assert artifact.overhead[label] == len(raw)
    else:
        assert set(artifact.overhead) == {"tables", "padding"}


def test_nothing_is_counted_for_keras(tmp_path):
    report = shown(tmp_path, dense())
    assert report.totals.count_params is None
    assert report.totals.after_strip is None
    assert "operators" in report.totals_reasons["count_params"]


# --- what is not as it should be ----------------------------------------------------------------


def test_a_model_without_an_identifier_opens_and_says_so(tmp_path):
    artifact = one(tmp_path, flatbuffer(dense(), identifier=b"\0\0\0\0"))
    assert codes(artifact) == ["no-identifier"]
    assert named(artifact, "kernel").elements == 6
    # Tables that lead nowhere are no model.
    raw = flatbuffer(dense(), identifier=b"\0\0\0\0")
    assert "not HDF5" in refused(saved(tmp_path, raw[: len(raw) // 2]))


def test_another_version_of_the_schema_is_told(tmp_path):
    assert codes(one(tmp_path, {**dense(), "version": 2})) == ["schema-version"]
    old = {**dense(), "version": 2}
    del old["buffers"]
    assert "schema version 2" in refused(saved(tmp_path, old), Unsupported)


def change(**fields):
    """Other fields of the kernel's tensor."""
    content = dense()
    content["subgraphs"][0]["tensors"][1].update(fields)
    return content


PROBLEMS = {
    "a buffer that is not there": (change(buffer=9), "no-such-buffer"),
    "a negative side": (change(shape=[-2, 3]), "negative-shape"),
    "a shape too large for its data": (change(shape=[4, 3]), "data-does-not-fit"),
    "a shape too small for its data": (change(shape=[1, 3]), "data-does-not-fit"),
    "a type of nobody knows what": (change(type=77), None),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_does_not_fit_is_a_problem_with_its_place(tmp_path, kind):
    content, code = PROBLEMS[kind]
    artifact = one(tmp_path, content)
    kernel = named(artifact, "kernel")
    assert kernel.payload is None
    assert kernel.stored_elements <= 6
    if code is not None:
        found = [problem for problem in artifact.problems if problem.code == code]
        assert len(found) == 1
        assert 0 < found[0].offset < artifact.nbytes
    assert shown(tmp_path, content).nbytes == artifact.nbytes


def test_many_faults_are_told_in_a_line(tmp_path):
    tensors = [tensor(f"t{index}", (1,), buffer=9) for index in range(30)]
    artifact = one(tmp_path, values(graph(tensors)))
    assert codes(artifact) == ["no-such-buffer"] * 20 + ["more-faults"]
    assert artifact.problems[-1].message == "10 more such faults"


def test_a_shape_that_no_machine_holds_is_none(tmp_path):
    content = values(graph([tensor("x", [2**31 - 1] * 3), tensor("y", (3,))], inputs=[0]))
    artifact = one(tmp_path, content)
    assert named(artifact, "x").shape is None
    assert codes(artifact) == ["huge-shape"]
    assert shown(tmp_path, content).roles["activation"].elements == 3


def test_operators_without_a_code_are_told_and_passed_over(tmp_path):
    content = dense()
    content["subgraphs"][0]["operators"][0]["opcode_index"] = 5
    artifact = one(tmp_path, content)
    assert codes(artifact) == ["no-such-code"]
    assert artifact.operators == ()
    assert artifact.cost.peak is None
    assert [layer.class_name for layer in artifact.model.children] == ["code 5"]


def test_tables_that_lead_out_of_the_file_are_refused_with_the_place(tmp_path):
    raw = bytearray(flatbuffer(dense()))
    raw[0:4] = (len(raw) + 8).to_bytes(4, "little")
    with pytest.raises(Truncated) as caught:
        read(saved(tmp_path, bytes(raw)))
    assert caught.value.offset is not None
    raw[0:4] = bytes(4)
    assert "leads to itself" in refused(saved(tmp_path, bytes(raw)), Corrupt)


def test_a_vector_longer_than_the_file_is_refused(tmp_path):
    raw = bytearray(flatbuffer(dense()))
    at = raw.index(KERNEL.tobytes()) - 4
    raw[at : at + 4] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(Truncated) as caught:
        read(saved(tmp_path, bytes(raw)))
    assert caught.value.offset == at + 4


def test_a_file_cut_anywhere_is_refused_or_adds_up(tmp_path):
    raw = flatbuffer(dense())
    for size in range(1, len(raw)):
        path = saved(tmp_path, raw[:size])
        try:
            with read(path) as result:
                assert_adds_up(result.artifact)
        except ArtifactError:
            continue


def test_a_table_of_scales_that_many_tensors_lead_to_is_not_gone_through_for_each(tmp_path):
    raw = bytearray(model(graph([tensor("t", (20,), scale=[1.0] * 4000)] + [tensor("u")] * 500)))
    subgraph = read_model(MemorySource(bytes(raw), "m")).root.records("subgraphs")[0]
    first, places = subgraph.records("tensors")[0].offset, subgraph.vector("tensors")
    for at in range(places.offset, places.offset + places.nbytes, 4):
        raw[at : at + 4] = (first - at).to_bytes(4, "little")
    with pytest.raises(LimitExceeded, match="vector_passes"):
        read(saved(tmp_path, bytes(raw)))


def test_operators_that_all_make_one_tensor_have_names_of_their_own(tmp_path):
    many = [op("ABS", [0], [0])] * 5000
    artifact = one(tmp_path, values(graph([tensor("x")], many)))
    assert len({layer.path for layer in artifact.model.children}) == 5000


def test_limits_hold(tmp_path):
    path = saved(tmp_path, dense())
    for limits in (Limits(tensors=3), Limits(nodes=3), Limits(graph_steps=1)):
        with pytest.raises(LimitExceeded):
            read(path, limits)


def test_owners_are_the_operators_that_compute(tmp_path):
    """A setting is in its operator's layer too, but not among its weights."""
    tensors = [tensor("x"), tensor("shape", (2,), "int32", 1), tensor("y")]
    content = values(
        graph(tensors, [op("RESHAPE", [0, 1], [2])], [0], [2]), buffers=[np.array([1, 1], "<i4")]
    )
    shape = named(one(tmp_path, content), "shape")
    assert (shape.layer, shape.owner) == ("y", None)
    report = shown(tmp_path, content)
    assert report.in_no_layer["constant"] == 2
