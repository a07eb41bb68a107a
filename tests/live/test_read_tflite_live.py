"""The .tflite reader against LiteRT's interpreter: samples, and models from the wild.

What the interpreter says of each tensor (name, shape, dtype, quantization, the values of
constants) is what the artifact has, and signatures are called with what they ask for.
"""

import contextlib

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from inspector.classify import classify
from inspector.model import Role
from inspector.read import read
from tests.builders import samples
from tests.builders.checks import assert_adds_up, codes, opened
from tests.builders.samples import TFLITE
from tests.live.test_tflite_wire_live import NO_CORPUS, apart, interpreter_of, wild

SAMPLES = [pytest.param(samples.path(name), id=name) for name in TFLITE]
WILD = list(wild()) or [pytest.param("", id="none", marks=NO_CORPUS)]
# LiteRT calls so what it expands, whatever the file says.
DENSIFIED = "Densify_output"
# What its Python face has no type for, it gives as another of the same width.
WIDER = {"int4": "int8", "int2": "int8", "uint4": "uint8", "bfloat16": "uint16"}


def load(path):
    with open(path, "rb") as file:
        return file.read()


def by_place(artifact, counts):
    """Our tensors by (subgraph, index). counts: tensors of each subgraph."""
    ours = iter(artifact.tensors)
    return {
        (graph, index): next(ours) for graph, many in enumerate(counts) for index in range(many)
    }


def counts_of(path):
    from inspector.storage import LocalFile
    from inspector.wire.tflite_model import read_model

    with LocalFile(path) as source:
        return [len(graph.tensors) for graph in read_model(source, identifier=None).subgraphs]


def agree(path):
    """Compare all tensors; how many constants' values were compared."""
    content = load(path)
    # Kernels change shapes and types of what they make once they are prepared: what it has loaded
    # is asked before that, and constants' values after it.
    loaded = ready = None
    with contextlib.suppress(RuntimeError, ValueError):  # it does not know all operators
        loaded = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        ready = interpreter_of(content)
    compared = 0
    with read(path) as result:
        assert_adds_up(result.artifact)
        counts = counts_of(path)
        places = by_place(result.artifact, counts)
        for graph in range(len(counts)):
            try:
                details = loaded.get_tensor_details(graph) if loaded else []
            except (TypeError, ValueError):  # a type that its Python face does not know
                continue
            for detail in details:
                tensor = places[graph, detail["index"]]
                same(tensor, detail)
                compared += ready is not None and same_values(tensor, detail, ready, graph)
    return compared


def same(tensor, detail):
    """Hold a tensor against what is said of it."""
    assert detail["name"] in (tensor.stored_name or "", DENSIFIED)
    if tensor.dtype not in ("string", "resource", "variant"):
        wanted = WIDER.get(tensor.dtype, tensor.dtype)
        assert np.dtype(detail["dtype"]).name in (wanted, tensor.dtype)
    if tensor.shape is not None:
        assert list(tensor.shape) == detail["shape"].tolist()
    said, found = detail["quantization_parameters"], tensor.quantized
    if found is not None and found.scheme == "blockwise":
        assert found.tensors
    elif said["scales"].size:
        points = said["zero_points"]
        assert found.count == said["scales"].size
        assert found.scale == (float(said["scales"].min()), float(said["scales"].max()))
        assert found.zero_point == (int(points.min()), int(points.max()))
        assert found.axis == (said["quantized_dimension"] if found.count > 1 else None)
    else:
        assert found is None


def same_values(tensor, detail, interpreter, graph):
    """Hold a constant's values against the interpreter's; whether both have them."""
    if tensor.payload is None or tensor.sparse is not None:
        return False
    try:
        theirs = interpreter.get_tensor(detail["index"], graph)
    except ValueError:
        return False
    ours = np.concatenate([np.empty(0, theirs.dtype), *map(raw, tensor.payload.blocks(1 << 16))])
    assert ours.size == theirs.size == tensor.elements
    if ours.dtype.itemsize == theirs.dtype.itemsize:
        assert ours.tobytes() == theirs.tobytes()
    return True


def raw(block):
    """Values as the interpreter has them: those that NumPy has no type for as plain bits."""
    return block.view("u2") if block.dtype.name == "bfloat16" else block


@pytest.mark.parametrize("path", SAMPLES)
def test_tensors_of_samples_are_what_the_interpreter_loads(path):
    assert apart(lambda: agree(path))


def test_values_are_compared_at_all():
    assert agree(samples.path("lite_float.tflite")) == 7  # three kernels, three biases, a shape


@pytest.mark.parametrize("path", WILD)
def test_tensors_of_models_from_the_wild_are_what_the_interpreter_loads(path):
    assert apart(lambda: agree(path))


@pytest.mark.parametrize("path", WILD)
def test_nothing_in_models_from_the_wild_is_unknown(path):
    artifact = opened(path)
    roles = {name: one.role for name, one in classify(artifact).verdicts.items()}
    assert Role.UNKNOWN not in roles.values()
    assert all((one.made is None) == (roles[one.name] != "activation") for one in artifact.tensors)


@pytest.mark.parametrize("path", SAMPLES)
def test_signatures_are_called_as_they_say(path):
    interpreter = interpreter_of(load(path))
    if interpreter is None:
        return
    said = interpreter.get_signature_list()
    ours = {one.name: one for one in opened(path).signatures}
    if said:
        assert {
            key: {
                "inputs": sorted(p.name for p in one.inputs),
                "outputs": sorted(p.name for p in one.outputs),
            }
            for key, one in ours.items()
        } == {
            key: {"inputs": sorted(one["inputs"]), "outputs": sorted(one["outputs"])}
            for key, one in said.items()
        }
    for key, one in ours.items() if said else ():
        runner = interpreter.get_signature_runner(key)
        for ports, details in (
            (one.inputs, runner.get_input_details()),
            (one.outputs, runner.get_output_details()),
        ):
            for port in ports:
                sides = details[port.name]["shape_signature"].tolist()
                assert [-1 if side is None else side for side in port.shape] == sides


def refusal(raw_bytes):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its words are what is looked at
        Interpreter(model_content=raw_bytes)
    return str(caught.value)


def test_what_we_say_of_identifiers_and_versions_is_what_the_interpreter_does(tmp_path):
    content = bytearray(load(samples.path("lite_float.tflite")))
    content[4:8] = bytes(4)
    assert "not a valid Flatbuffer" in refusal(bytes(content))
    (tmp_path / "m.tflite").write_bytes(content)
    artifact = opened(tmp_path / "m.tflite")
    assert codes(artifact) == ["no-identifier"]
    sample = opened(samples.path("lite_float.tflite"))
    assert [(t.name, t.shape) for t in artifact.tensors] == [
        (t.name, t.shape) for t in sample.tensors
    ]


@pytest.mark.parametrize("path", [one for one in WILD if "/transpose.bin" in str(one.id)])
def test_a_model_of_schema_version_2_is_refused_by_the_interpreter(path):
    assert "schema version" in refusal(load(path))
    assert codes(opened(path)) == ["schema-version"]
