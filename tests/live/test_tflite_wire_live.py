"""What we read of .tflite files, against LiteRT's own schema in Python and its interpreter."""

import contextlib
import faulthandler
import inspect
import os
import re
import traceback

import flatbuffers
import ml_dtypes
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as litert
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.payloads import numpy_dtype
from inspector.storage import MemorySource
from inspector.wire.flatbuffer import Flatbuffer
from inspector.wire.flatbuffer_schema import Record
from inspector.wire.tflite_bytes import ranges
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_operators import OPERATORS
from inspector.wire.tflite_options import OPTIONS, OPTIONS_2
from inspector.wire.tflite_schema import ENUMS, SCHEMA, TENSOR_TYPES, TYPE_BITS
from inspector.wire.tflite_values import payload_of, strings
from tests.live.tflite_models import MAKE, made, mlp

CORPUS = os.environ.get("INSPECT_CORPUS", "")
NO_CORPUS = pytest.mark.skip(reason="INSPECT_CORPUS names no folder of artifacts")

# --- the schema ---

CLASSES = dict(inspect.getmembers(litert, inspect.isclass))
TABLES = {name: one for name, one in CLASSES.items() if hasattr(one, "Init")}
# In the schema, but no longer in what is generated from it.
DEPRECATED = {("SignatureDef", "deprecatedtag")}


def bare(name):
    return name.replace("_", "").lower()


def generated_fields(table):
    """Name -> (slot, type, whether it is a vector, default), as the accessors have them."""
    found = {}
    for name, method in inspect.getmembers(table, inspect.isfunction):
        text = inspect.getsource(method)
        offset = re.search(r"_tab\.Offset\((\d+)\)", text)
        if offset is None or name.endswith(("AsNumpy", "Length", "IsNone")):
            continue
        flags = re.search(r"Get\(flatbuffers\.number_types\.(\w+)Flags", text)
        inner = re.search(r"obj = (\w+)\(\)", text)
        kind = inner.group(1) if inner else flags.group(1).lower() if flags else "string"
        kind = "union" if "Union(" in text else kind
        default = text.rsplit("return ", 1)[1].strip()
        found[bare(name)] = ((int(offset.group(1)) - 4) // 2, kind, ".Vector(" in text, default)
    return found


def our_fields(name):
    found = {}
    for field in SCHEMA.fields(name).values():
        slot, kind, default = field.slot, field.kind, field.default
        if kind in SCHEMA.unions:
            found[bare(field.name) + "type"] = (slot, "uint8", False, "0")
            slot, kind = slot + 1, "union"
        elif field.many:
            default = 0 if kind not in SCHEMA.tables and kind != "string" else None
        found[bare(field.name)] = (slot, kind, field.many, str(default))
    return found


def test_every_table_is_there():
    assert set(TABLES) == set(SCHEMA.tables)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_fields_have_their_slots_types_and_defaults(name):
    ours = our_fields(name)
    assert {key: ours[key] for key in ours if (name, key) not in DEPRECATED} == generated_fields(
        TABLES[name]
    )


def numbers(name):
    return {key: value for key, value in vars(CLASSES[name]).items() if not key.startswith("_")}


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_enumerations_have_their_words(name):
    assert numbers(name) == {word: number for number, word in enumerate(ENUMS[name])}


def test_operators_have_their_numbers():
    assert numbers("BuiltinOperator") == {name: code for code, name in enumerate(OPERATORS)}


def test_tensor_types_have_their_numbers_and_sizes():
    assert {key.lower(): value for key, value in numbers("TensorType").items()} == {
        name: code for code, name in enumerate(TENSOR_TYPES)
    }
    for name, bits in TYPE_BITS.items():
        # ml_dtypes keeps its narrow integers in a byte each; iinfo knows their bits.
        narrow = bits < 8
        assert (ml_dtypes.iinfo(name).bits if narrow else numpy_dtype(name).itemsize * 8) == bits


@pytest.mark.parametrize(
    ("union", "tables"),
    [
        ("BuiltinOptions", OPTIONS),
        ("BuiltinOptions2", OPTIONS_2),
        ("QuantizationDetails", SCHEMA.unions["QuantizationDetails"]),
        ("SparseIndexVector", SCHEMA.unions["SparseIndexVector"]),
    ],
)
def test_unions_have_their_numbers(union, tables):
    assert numbers(union) == {name: number for number, name in enumerate(("NONE", *tables))}


# --- models, table by table ---


def wild():
    """Paths of the .tflite files of the folder that INSPECT_CORPUS names."""
    for folder, inner, files in os.walk(CORPUS or os.devnull):
        inner.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                if file.read(8)[4:] == b"TFL3":
                    yield pytest.param(path, id=os.path.relpath(path, CORPUS))


EVERY = [*(pytest.param(name, id=name) for name in MAKE), *wild()]


def load(which):
    if which in MAKE:
        return made(which)
    with open(which, "rb") as file:
        return file.read()


def assert_record(found, official):
    """A record holds what the official object of the same table does."""
    for name, field in SCHEMA.fields(found.kind).items():
        if (found.kind, bare(name)) in DEPRECATED:
            continue
        there = next(value for key, value in vars(official).items() if bare(key) == bare(name))
        value = found[name]
        if field.kind in SCHEMA.unions:
            assert (value is None) == (there is None), name
            if value is not None:
                assert type(there).__name__ == value.kind + "T"
        if isinstance(value, Record):
            assert_record(value, there)
        elif field.many and field.kind in SCHEMA.tables:
            assert len(value) == len(there if there is not None else [])
            for one, other in zip(value, there or [], strict=True):
                assert_record(one, other)
        elif field.many:
            expected = [] if there is None else there
            assert np.asarray(value).tobytes() == np.asarray(expected, value.dtype).tobytes(), name
        elif field.kind == "string":
            assert value == (None if there is None else there.decode()), name
        elif field.kind not in SCHEMA.unions and field.kind not in SCHEMA.tables:
            assert value == there or (value != value and there != there), name


@pytest.mark.parametrize("which", EVERY)
def test_every_field_of_every_table_is_what_the_schema_s_own_reader_says(which):
    raw = load(which)
    model = read_model(MemorySource(raw, which))
    assert_record(model.root, litert.ModelT.InitFromPackedBuf(raw, 0))


@pytest.mark.parametrize("which", EVERY)
def test_every_byte_is_in_one_range(which):
    raw = load(which)
    model = read_model(MemorySource(raw, which))
    reached = 0
    data = {one.index: b"" for one in model.buffers}
    for one in ranges(model):
        assert one.offset == reached
        reached += one.length
        if one.buffer is not None:
            data[one.buffer] += raw[one.offset : reached]
    assert reached == len(raw)
    official = litert.ModelT.InitFromPackedBuf(raw, 0)
    for number, buffer in enumerate(official.buffers or []):
        if buffer.data is not None:
            assert data[number] == np.asarray(buffer.data, "u1").tobytes()
        elif buffer.offset > 1:
            assert data[number] == raw[buffer.offset : buffer.offset + buffer.size]


# --- models, as the interpreter loads them ---


def interpreter_of(raw):
    found = Interpreter(
        model_content=raw,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    try:
        found.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    return found


def values_of(model, tensor):
    payload = payload_of(model, tensor)
    if payload is None:
        return None
    return np.concatenate([np.zeros(0, numpy_dtype(tensor.dtype)), *payload.blocks(100)])


@pytest.mark.parametrize("which", MAKE)
def test_tensors_are_what_the_interpreter_loads(which):
    raw = made(which)
    interpreter = interpreter_of(raw)
    model = read_model(MemorySource(raw, which))
    stored = [
        one
        for graph in model.subgraphs
        for one in graph.tensors
        if model.data(one) is not None and one.sparsity is None
    ]
    assert assert_tensors(model, interpreter) == len(stored)


@pytest.mark.parametrize("which", list(wild()) or [pytest.param("", marks=NO_CORPUS)])
def test_tensors_of_models_from_the_wild_are_what_the_interpreter_loads(which):
    raw = load(which)

    def compare():
        interpreter = None
        with contextlib.suppress(RuntimeError, ValueError):  # it does not know all operators
            interpreter = interpreter_of(raw)
        assert_tensors(read_model(MemorySource(raw, which)), interpreter)

    assert apart(compare)


def apart(step):
    """Whether a step did not fail, in a process of its own: some models abort the interpreter."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    faulthandler.disable()  # its traces of such an abort say nothing
    try:
        step()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, pytest must not go on in the child
        traceback.print_exc()
        os._exit(1)


def assert_tensors(model, interpreter):
    """How many tensors' values were compared."""
    compared = 0
    for graph in model.subgraphs:
        # The kernel gives what it makes a name of its own.
        renamed = {
            one.outputs[0]: "Densify_output"
            for one in graph.operators
            if model.code(one).name == "DENSIFY"
        }
        try:
            details = interpreter.get_tensor_details(graph.index) if interpreter else []
        except (TypeError, ValueError):  # a type that its Python face does not know
            continue
        for detail in details:
            if detail["index"] >= len(graph.tensors):
                continue  # the interpreter's own scratch
            tensor = graph.tensors[detail["index"]]
            assert detail["name"] in (tensor.name, renamed.get(tensor.index))
            if model.data(tensor) is not None:
                assert list(tensor.shape or ()) == detail["shape"].tolist()
            if tensor.signature is not None:
                assert list(tensor.signature) == detail["shape_signature"].tolist()
            assert_quantized(model, graph, tensor, detail)
            compared += assert_values(model, graph, tensor, detail, interpreter)
    return compared


def assert_quantized(model, graph, tensor, detail):
    said, ours = detail["quantization_parameters"], tensor.quantization
    if ours is not None and ours.blocks is not None:
        # The scales are another tensor's values.
        scales = values_of(model, graph.tensors[ours.blocks.scales])
        assert said["scales"].tobytes() == scales.tobytes()
    elif said["scales"].size:
        assert ours.scale.tobytes() == said["scales"].tobytes()
        assert ours.zero_point.tolist() == said["zero_points"].tolist()
        assert ours.axis == said["quantized_dimension"]


def assert_values(model, graph, tensor, detail, interpreter):
    if model.data(tensor) is None or tensor.sparsity is not None or tensor.variable:
        return False
    try:
        theirs = interpreter.get_tensor(detail["index"], graph.index)
    except ValueError:
        return False
    if tensor.dtype == "string":
        ours = [bytes(one) for one in strings(model, tensor)]
        assert ours == np.asarray(theirs).reshape(-1).tolist()
        return True
    ours = values_of(model, tensor)
    if ours is None or theirs.dtype.itemsize != ours.dtype.itemsize:
        return False
    assert ours.astype(theirs.dtype).tobytes() == theirs.tobytes()
    return True


@pytest.mark.parametrize("which", ["sparse", "sparse_block", "sparse_float16", "sparse_int8"])
def test_sparse_tensors_are_what_the_layers_held(which):
    model = read_model(MemorySource(made(which), which))
    found = {}
    for tensor in model.subgraphs[0].tensors:
        if tensor.sparsity is not None:
            values = values_of(model, tensor).reshape(tensor.shape)
            if tensor.quantization is not None and tensor.quantization.scale.size:
                values = values * tensor.quantization.scale[:, None]
            found[tensor.shape] = values
    layers = mlp(block=which in ("sparse_block", "sparse_float16")).layers
    assert len(found) == len(layers)
    for layer in layers:
        kernel = layer.get_weights()[0].T
        values = found[kernel.shape]
        if which == "sparse_int8":
            step = np.abs(kernel).max(axis=1, keepdims=True) / 127
            assert np.all(np.abs(values - kernel) <= step * 0.5001)
        else:
            dtype = np.float16 if which == "sparse_float16" else np.float32
            assert np.array_equal(values, kernel.astype(dtype))


@pytest.mark.parametrize("which", [one for one in EVERY if "sparse" in str(one.id)])
def test_sparse_tensors_are_what_densify_makes_of_them(which):
    raw = load(which)
    model = read_model(MemorySource(raw, which))
    interpreter = interpreter_of(raw)
    graph = model.subgraphs[0]
    expanded = [one for one in graph.operators if model.code(one).name == "DENSIFY"]
    if interpreter is None or not expanded:
        return
    interpreter.invoke()
    for one in expanded:
        tensor = graph.tensors[one.inputs[0]]
        dense = interpreter.get_tensor(one.outputs[0])
        assert values_of(model, tensor).tobytes() == dense.tobytes()


# --- what the official builder writes ---


def bounded(kind):
    if kind == "bool":
        return st.booleans()
    if kind.startswith("float"):
        return st.floats(width=int(kind[5:]), allow_nan=False)
    bits = int(kind.lstrip("uint"))
    low, high = (0, 1 << bits) if kind.startswith("u") else (-1 << bits - 1, 1 << bits - 1)
    return st.integers(low, high - 1)


@st.composite
def objects(draw, name, depth=3):
    """An object of the official API of this table, any of its fields filled with anything."""
    made_of = CLASSES[name + "T"]()
    for field in SCHEMA.fields(name).values():
        if (name, bare(field.name)) in DEPRECATED or not draw(st.booleans()):
            continue
        key = next(key for key in vars(made_of) if bare(key) == bare(field.name))
        if field.kind in SCHEMA.unions:
            if depth:
                number = draw(st.integers(1, len(SCHEMA.unions[field.kind])))
                inner = SCHEMA.unions[field.kind][number - 1]
                setattr(made_of, key + "Type", number)
                setattr(made_of, key, draw(objects(inner, depth - 1)))
        elif field.kind in SCHEMA.tables:
            inner = (
                objects(field.kind, depth - 1) if depth else st.just(CLASSES[field.kind + "T"]())
            )
            setattr(made_of, key, draw(st.lists(inner, max_size=2) if field.many else inner))
        elif field.kind == "string":
            # The official reader gives bytes, and takes texts.
            setattr(made_of, key, draw(st.text(max_size=6)))
        else:
            value = st.lists(bounded(field.kind), max_size=3) if field.many else bounded(field.kind)
            setattr(made_of, key, draw(value))
    return made_of


@settings(max_examples=60, deadline=None)
@given(objects("Model"))
def test_what_the_official_builder_writes_is_read(model):
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    raw = bytes(builder.Output())
    official = litert.ModelT.InitFromPackedBuf(raw, 0)
    source = MemorySource(raw, "f")
    # Its structure alone: where buffers and options behind it should be is drawn at random.
    root = Record(Flatbuffer(source).root(b"TFL3"), "Model", SCHEMA)
    assert_record(root, official)
