import pytest

from inspector.storage import MemorySource
from inspector.tflite.faults import faults
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_operators import OPERATORS
from tests.builders.flatbuffers import flatbuffer

ADD, WHILE, COMPOSITE = (OPERATORS.index(one) for one in ("ADD", "WHILE", "STABLEHLO_COMPOSITE"))


def sound():
    """A model in which all fits together."""
    return {
        "operator_codes": [{"builtin_code": ADD}, {"builtin_code": WHILE}],
        "subgraphs": [
            {
                "tensors": [
                    {"shape": [2], "buffer": 0},
                    {"shape": [2], "buffer": 1},
                    {"shape": [2], "buffer": 2},
                ],
                "inputs": [0],
                "outputs": [2],
                "operators": [{"opcode_index": 0, "inputs": [0, 1, -1], "outputs": [2]}],
            },
            {"tensors": [{"shape": [2], "buffer": 0}], "inputs": [0], "outputs": [0]},
        ],
        "buffers": [{}, {"data": b"\0" * 8}, {}],
        "metadata": [{"name": "m", "buffer": 1}],
        "signature_defs": [
            {
                "signature_key": "s",
                "inputs": [{"tensor_index": 0}],
                "outputs": [{"tensor_index": 2}],
            }
        ],
        "external_buffer_groups": [{"name": "w.bin"}],
        "external_buffers": [{"id": 4, "group": 0}],
    }


def found(values):
    model = read_model(MemorySource(flatbuffer(values), "m"))
    listed = list(faults(model))
    assert all(0 < one.offset < model.source.size for one in listed)
    return [(one.code, one.message) for one in listed]


def codes(values):
    return [code for code, _ in found(values)]


def test_a_sound_model_has_no_fault():
    assert found(sound()) == []


def tensor(**fields):
    return lambda values: values["subgraphs"][0]["tensors"][1].update(fields)


def operator(**fields):
    return lambda values: values["subgraphs"][0]["operators"][0].update(fields)


def graph(**fields):
    return lambda values: values["subgraphs"][0].update(fields)


def quantized(**fields):
    return tensor(type=9, shape=[8], quantization=fields)


WHILES = {"cond_subgraph_index": 1, "body_subgraph_index": 9}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda values: values.update(subgraphs=[], signature_defs=[]), "no-subgraph", "no sub"),
        (tensor(buffer=7), "no-such-buffer", "buffer 7 of 3"),
        (tensor(external_buffer=5, buffer=0), "no-such-buffer", "external buffer 5"),
        (tensor(shape=[-3], buffer=0, is_variable=True), "negative-shape", "-3"),
        (tensor(shape=[3]), "data-does-not-fit", "takes 12 bytes, its buffer has 8"),
        (tensor(shape=[1]), "data-does-not-fit", "takes 4 bytes, its buffer has 8"),
        (tensor(sparsity={}), "data-does-not-fit", "traversal order"),
        (quantized(scale=[1.0], zero_point=[0, 0]), "quantization-does-not-fit", "2 zero points"),
        (quantized(scale=[1.0] * 3), "quantization-does-not-fit", "3 scales on side 0 of [8]"),
        (
            quantized(scale=[1.0] * 8, quantized_dimension=1),
            "quantization-does-not-fit",
            "side 1 of [8]",
        ),
        (quantized(scale=[float("nan")]), "quantization-does-not-fit", "no positive number"),
        (quantized(scale=[-1.0]), "quantization-does-not-fit", "no positive number"),
        (
            quantized(details=("BlockwiseQuantization", {"scales": 9, "zero_points": -1})),
            "quantization-does-not-fit",
            "scales in tensor 9",
        ),
        (operator(opcode_index=5), "no-such-code", "code 5 of 2"),
        (operator(inputs=[0, 40]), "no-such-tensor", "(0, 40) of 3"),
        (operator(inputs=[0, -2]), "no-such-tensor", "(0, -2) of 3"),
        (operator(outputs=[2, 3]), "no-such-tensor", "outputs (2, 3)"),
        (operator(intermediates=[9]), "no-such-tensor", "intermediates (9)"),
        (operator(inputs=[0, 2]), "read-before-made", "reads tensors (2)"),
        (graph(inputs=[0, 5]), "no-such-tensor", "subgraph 0 has inputs (0, 5)"),
        # A subgraph cannot leave out any of its own.
        (graph(outputs=[2, -1]), "no-such-tensor", "subgraph 0 has outputs (2, -1)"),
        (
            operator(opcode_index=1, builtin_options=("WhileOptions", WHILES)),
            "no-such-subgraph",
            "runs subgraphs (1, 9) of 2",
        ),
        (
            lambda values: values["metadata"][0].update(buffer=3),
            "no-such-buffer",
            "metadata 'm' is in buffer 3 of 3",
        ),
        (
            lambda values: values["signature_defs"][0].update(subgraph_index=2),
            "no-such-subgraph",
            "signature 's' is of subgraph 2 of 2",
        ),
        (
            lambda values: values["signature_defs"][0].update(outputs=[{"tensor_index": 3}]),
            "no-such-tensor",
            "signature 's' has tensors (0, 3) of 3",
        ),
        (
            lambda values: values["external_buffers"][0].update(group=1),
            "no-such-buffer",
            "in group 1",
        ),
    ],
)
def test_what_does_not_fit_is_told_once(change, code, words):
    values = sound()
    change(values)
    listed = found(values)
    assert [one for one, _ in listed] == [code]
    assert words in listed[0][1]


@pytest.mark.parametrize(
    "change",
    [
        tensor(is_variable=True, buffer=0),
        tensor(external_buffer=4, buffer=0),
        tensor(shape=[0], buffer=1),  # with a buffer of no bytes, below
        quantized(scale=[0.5] * 8, zero_point=[1] * 8),
        quantized(scale=[0.5]),
        quantized(),
    ],
)
def test_what_is_unusual_is_no_fault(change):
    values = sound()
    change(values)
    if values["subgraphs"][0]["tensors"][1]["shape"] == [0]:
        values["buffers"][1] = {"data": b""}
    assert found(values) == []


def test_a_composite_need_not_say_what_it_is_made_of():
    values = sound()
    values["operator_codes"].append({"builtin_code": COMPOSITE})
    options = ("StableHLOCompositeOptions", {"decomposition_subgraph_index": -1})
    operator(opcode_index=2, builtin_options2=options)(values)
    assert found(values) == []


def runs(*indices):
    """Subgraphs, each with one WHILE whose condition and body are these subgraphs."""
    values = {"operator_codes": [{"builtin_code": WHILE}], "subgraphs": []}
    for one in indices:
        options = {"cond_subgraph_index": one, "body_subgraph_index": one}
        operators = [] if one is None else [{"builtin_options": ("WhileOptions", options)}]
        values["subgraphs"].append({"operators": operators})
    return values


def test_subgraphs_that_run_themselves_are_told():
    assert codes(runs(0)) == ["subgraph-runs-itself"]
    assert codes(runs(1, 2, 1, None)) == ["subgraph-runs-itself"] * 3
    assert codes(runs(1, 2, None)) == []


def test_a_long_chain_of_subgraphs_is_no_circle():
    assert codes(runs(*range(1, 3000), None)) == []
