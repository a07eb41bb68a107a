"""The pickle reader against pickle and NumPy themselves, real Keras members, and attacks.

`golden/npz` holds one member of npz-format `.keras` files as Keras 3.15.1 wrote them, with what
live Keras said of each variable (`expected.json`).
"""

import collections
import functools
import io
import json
import os
import pickle
import struct
import time

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, InspectorError, LimitExceeded, Truncated, Unsupported
from inspector.limits import Limits
from inspector.payloads import RawPayload, numpy_dtype
from inspector.storage import MemorySource
from inspector.wire.pickle_machine import STEPS, Blob, Call, Global, scan_stream
from inspector.wire.pickled import (
    find_arrays,
    npz_member,
    npz_variables,
)

GOLDEN = os.path.join(os.path.dirname(__file__), "golden", "npz")
with open(os.path.join(GOLDEN, "expected.json"), encoding="utf-8") as _handle:
    EXPECTED = json.load(_handle)["variables"]


def golden(name):
    with open(os.path.join(GOLDEN, f"{name}.npy"), "rb") as handle:
        return handle.read()


def source_of(data):
    return MemorySource(data, "w.npy")


def scan(data, limits=None):
    return scan_stream(source_of(data), 0, limits or Limits())


def arrays_in(data):
    return find_arrays(scan(data).tree, source_of(data))


def member(value, protocol=4):
    """.npy data of a 0-d object array, as NpzIOStore's np.savez writes a dict."""
    target = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        target, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    box = np.empty((), dtype=object)
    box[()] = value
    return target.getvalue() + pickle.dumps(box, protocol)


def values_of(ref):
    """The array that a reference stands for, read as a reader reads it."""
    count = int(np.prod(ref.shape))
    blocks = RawPayload(ref.values, 0, count, ref.dtype).blocks(64)
    flat = np.frombuffer(b"".join(block.tobytes() for block in blocks), numpy_dtype(ref.dtype))
    return flat.reshape(ref.shape, order="F" if ref.fortran else "C")


def assert_same(ref, array):
    got = values_of(ref)
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_real_keras_variables_are_found_as_live_keras_says(name):
    found = {v.path: v for v in npz_variables(source_of(golden(name)))}
    assert sorted(found) == sorted(e["path"] for e in EXPECTED[name])
    for expected in EXPECTED[name]:
        variable = found[expected["path"]]
        assert variable.name == expected["name"]
        assert list(variable.shape) == expected["shape"]
        assert variable.trainable == expected["trainable"]
        assert numpy_dtype(variable.dtype).name == expected["dtype"]
        assert values_of(variable).ravel().astype("float64").tolist() == expected["values"]
    assert [v.key for v in npz_variables(source_of(golden(name)))] == [
        str(i) for i in range(len(found))
    ]


def test_real_keras_members_tell_what_loading_would_import():
    assert set(npz_member(source_of(golden("bfloat16"))).globals) == {
        "numpy._core.multiarray._reconstruct",
        "numpy.ndarray",
        "numpy.dtype",
        "keras.src.backend.Variable",
        "functools.partial",
        "tensorflow.python.ops.resource_variable_ops.ResourceVariable",
        "tensorflow.python.framework.dtypes.as_dtype",
        "ml_dtypes.bfloat16",
    }


def test_offsets_count_from_the_start_of_the_source():
    data = golden("float32")
    plain = npz_variables(source_of(data))
    moved = npz_variables(source_of(b"in front" + data), 8)
    assert [v.offset for v in moved] == [v.offset + 8 for v in plain]
    kernel = plain[0]
    raw = np.frombuffer(data[kernel.offset : kernel.offset + kernel.nbytes], "<f4")
    assert raw.tolist() == pytest.approx(EXPECTED["float32"][0]["values"], rel=1e-7)


ARRAYS = {
    "float32": np.arange(6, dtype="<f4").reshape(2, 3),
    "float16": np.array([1, -2], dtype="float16"),
    "big-endian": np.arange(4, dtype=">i8"),
    "int8": np.arange(-3, 3, dtype="int8"),
    "bool": np.array([True, False, True]),
    "complex": np.array([1 + 2j]),
    "fortran": np.asfortranarray(np.arange(6, dtype="<i4").reshape(2, 3)),
    "scalar": np.array(7, dtype="<i8"),
    "empty": np.zeros((0, 4), dtype="<f4"),
    "strings": np.array([b"ab", b"c"]),
    "text": np.array(["ä", "bc"]),
    "all-bytes": np.arange(256, dtype="uint8"),
    "bfloat16": np.array([[1.5, -2]], dtype=ml_dtypes.bfloat16),
    "float8": np.array([1, 2, 3], dtype=ml_dtypes.float8_e4m3fn),
    "int4": np.array([1, -2, 3], dtype=ml_dtypes.int4),
    "strided": np.arange(12, dtype="<f4").reshape(3, 4)[:, ::2],
    "long": np.arange(70_000, dtype="<f4"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_arrays_of_every_protocol_are_found(name, protocol):
    array = ARRAYS[name]
    part = array.ravel()[:1]
    data = member({"0": array, "b": part}, protocol)
    first, second = npz_variables(source_of(data))
    assert (first.key, second.key) == ("0", "b")
    assert_same(first, array)
    assert_same(second, part)
    if protocol >= 3 and array.size:
        assert first.codec is None
        order = "F" if first.fortran else "C"
        assert data[first.offset : first.offset + first.nbytes] == array.tobytes(order)


@pytest.mark.parametrize("protocol", range(6))
def test_text_protocols_say_that_bytes_are_encoded(protocol):
    (found,) = npz_variables(source_of(member({"0": ARRAYS["float16"]}, protocol)))
    assert found.codec == ("latin-1 as text" if protocol < 3 else None)


def test_protocol_5_buffers_in_band_are_found_in_both_orders():
    # ndarray.__reduce_ex__(5) gives PickleBuffers: BYTEARRAY8 when writable, else bytes.
    for array in (ARRAYS["float32"], ARRAYS["fortran"], ARRAYS["long"]):
        frozen = array.copy(order="K")
        frozen.flags.writeable = False
        data = pickle.dumps([array, frozen], 5)
        assert b"_frombuffer" in data
        for ref in arrays_in(data):
            assert_same(ref, array)


@pytest.mark.parametrize("axes", [(2, 1, 0), (0, 1, 2)])
def test_transposed_buffers_are_found(axes):
    array = np.arange(24, dtype="<i2").reshape(2, 3, 4).transpose(axes)
    (ref,) = arrays_in(pickle.dumps(array, 5))
    assert_same(ref, array)


def test_permuted_axes_are_found_or_refused():
    array = np.arange(24, dtype="<i2").reshape(2, 3, 4).transpose(1, 0, 2)
    data = pickle.dumps(array, 5)
    try:
        (ref,) = arrays_in(data)
    except Unsupported:
        assert b"K" in data
    else:
        assert_same(ref, array)


def test_out_of_band_buffers_are_unsupported():
    data = pickle.dumps(ARRAYS["float32"], 5, buffer_callback=lambda _: None)
    with pytest.raises(Unsupported, match="out-of-band"):
        scan(data)


def test_numpy_scalars_are_arrays_of_no_dimension():
    (ref,) = arrays_in(pickle.dumps({"step": np.int64(5)}))
    assert ref.path == ("step",)
    assert_same(ref, np.array(5, dtype="<i8"))


def test_a_memoized_array_is_found_under_each_key_in_one_place():
    array = ARRAYS["float32"]
    first, second = npz_variables(source_of(member({"0": array, "1": array})))
    assert (first.key, second.key) == ("0", "1")
    assert first.offset == second.offset


def test_paths_lead_to_nested_arrays():
    data = pickle.dumps({"a": [0, {"b": (ARRAYS["int8"],)}], 7: ARRAYS["bool"]})
    assert [ref.path for ref in arrays_in(data)] == [("a", 1, "b", 0), (7,)]


def test_an_object_array_of_arrays_gives_each():
    box = np.empty(2, dtype=object)
    box[:] = [ARRAYS["float32"], ARRAYS["int8"]]
    target = io.BytesIO()
    np.lib.format.write_array(target, box)
    first, second = npz_variables(source_of(target.getvalue()))
    assert_same(first, ARRAYS["float32"])
    assert_same(second, ARRAYS["int8"])


def test_a_plain_array_is_one_variable_without_a_key():
    target = io.BytesIO()
    np.save(target, ARRAYS["fortran"])
    found = npz_member(source_of(target.getvalue()))
    (variable,) = found.variables
    assert variable.key is None
    assert found.globals == ()
    assert_same(variable, ARRAYS["fortran"])


def test_an_empty_dict_has_no_variables():
    assert npz_variables(source_of(member({}))) == []


@pytest.mark.parametrize("dtype", ["<bfloat16", "int4", "float8_e5m2"])
def test_names_of_ml_dtypes_are_dtypes_to_whoever_reads_the_values(dtype):
    assert numpy_dtype(dtype).itemsize in (1, 2)


PLAIN = {
    "none": None,
    "yes": True,
    "no": False,
    "ints": [0, 255, 256, 65536, -1, 1 << 40, -(1 << 80), 1 << 3000],
    "floats": [0.5, -1e300],
    "text": ["", "a\nb", "größe", "x" * 300],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "nested": {"a": {"b": []}},
    5: "int key",
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_what_pickle_loads(protocol):
    assert scan(pickle.dumps(PLAIN, protocol)).tree == PLAIN


@pytest.mark.parametrize("protocol", range(4, 6))
def test_frames_and_large_strings_are_read(protocol):
    value = ["y" * 200_000, list(range(70_000))]
    result = scan(pickle.dumps(value, protocol) + b"behind")
    assert result.tree == value
    assert result.end == len(pickle.dumps(value, protocol))


def test_bytes_stay_in_the_file():
    data = pickle.dumps({"raw": b"q" * 100_000, "more": bytearray(b"zz")}, 5)
    tree = scan(data).tree
    assert isinstance(tree["raw"], Blob)
    assert data[tree["raw"].offset :][: tree["raw"].nbytes] == b"q" * 100_000
    assert data[tree["more"].offset :][:2] == b"zz"


def test_binbytes8_and_binunicode8_are_read():
    data = b"\x80\x04" + b"\x8e" + struct.pack("<Q", 3) + b"abc" + b"\x8d" + struct.pack("<Q", 2)
    tree = scan(data + b"hi\x86.").tree
    assert (tree[0].nbytes, tree[1]) == (3, "hi")


def test_containers_of_other_classes_are_calls_with_their_content():
    data = pickle.dumps(collections.OrderedDict(a=ARRAYS["int8"]))
    tree = scan(data).tree
    assert isinstance(tree, Call)
    assert tree.func == Global("collections", "OrderedDict")
    assert [ref.path for ref in arrays_in(data)] == [("a",)]
    queue = collections.deque([ARRAYS["int8"]])
    assert len(arrays_in(pickle.dumps(queue))) == 1
    assert scan(pickle.dumps({1, 2}, 4)).tree == [1, 2]
    assert scan(pickle.dumps(frozenset({3}), 4)).tree == (3,)


def test_a_partial_is_a_call_with_its_state():
    tree = scan(pickle.dumps(functools.partial(print, 1, sep="x"))).tree
    assert tree.func == Global("functools", "partial")
    assert tree.state == (Global("builtins", "print"), (1,), {"sep": "x"}, None)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("protocol", range(6))
def test_os_system_does_not_run_and_is_listed(tmp_path, protocol):
    target = tmp_path / "ran"
    data = member({"0": ARRAYS["int8"], "1": Evil(target)}, protocol)
    found = npz_member(source_of(data))
    assert not target.exists()
    assert f"{os.system.__module__}.system" in found.globals
    assert [v.key for v in found.variables] == ["0"]


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'id'\ntR.",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"\x80\x02cos\nsystem\nU\x02id\x85\x81.",
    ],
    ids=["reduce", "inst", "obj", "stack-global", "newobj"],
)
def test_every_way_to_call_is_listed_and_inert(data):
    result = scan(data)
    assert result.globals == ("os.system",)
    assert result.tree.func == Global("os", "system")
    assert result.tree.args == ("id",)


def test_a_computed_name_is_listed_as_such():
    # The module's name would be the result of a call.
    data = b"\x80\x04cbuiltins\nstr\n(X\x02\x00\x00\x00ostR\x8c\x06system\x93."
    assert scan(data).globals == ("builtins.str", "<computed>.system")


@pytest.mark.parametrize(
    "data",
    [b"P1\n.", b"K\x01Q.", b"\x82\x01.", b"\x83\x01\x00.", b"\x84\x01\x00\x00\x00.", b"\xff."],
)
def test_what_leads_outside_the_stream_is_unsupported(data):
    with pytest.raises(Unsupported):
        scan(data)


@pytest.mark.parametrize(
    "data",
    [b".", b"0.", b"t.", b"h\x05.", b"g1\n.", b"R.", b"]N(a.", b"N(Ne.", b"(Nd.", b"Ix\n.",
     b"S'a\n.", b"L" + b"9" * 5000 + b"\n.", b"X\x01\x00\x00\x00\xff.", b"K\x01K\x01s."],
)  # fmt: skip
def test_a_stream_that_does_not_work_out_is_corrupt(data):
    with pytest.raises((Corrupt, Truncated)):
        scan(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"N",
        b"B\xff\xff\xff\xffab",
        b"\x8e" + b"\xff" * 8,
        b"\x95" + struct.pack("<Q", 1 << 40) + b"N.",
        b"cos",
        b"X\xff\xff\xff\x7fa",
        b"T\xff\xff\xff\xffa",
        b"\x8b\xff\xff\xff\x7fa",
    ],
)
def test_a_stream_that_declares_more_than_there_is_is_truncated(data):
    with pytest.raises(Truncated):
        scan(data)


def array_member(**changes):
    """A pickled array whose parts are wrong where `changes` says so."""
    _, _, (version, shape, dtype, fortran, raw) = ARRAYS["float32"].__reduce__()
    parts = {"shape": shape, "dtype": dtype, "fortran": fortran, "raw": raw, **changes}

    class Fake:
        def __reduce__(self):
            make, args, _ = ARRAYS["float32"].__reduce__()
            return make, args, (version, *parts.values())

    return pickle.dumps(Fake())


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (2, 4)},
        {"shape": (-2, -3)},
        {"shape": (1 << 70,)},
        {"shape": [2, 3]},
        {"shape": "ab"},
        {"raw": b"x"},
        {"raw": None},
        {"raw": 5},
    ],
    ids=str,
)
def test_an_array_whose_bytes_do_not_fit_is_corrupt(changes):
    with pytest.raises(Corrupt):
        arrays_in(array_member(**changes))


@pytest.mark.parametrize("dtype", [None, 3, "f4", np.dtype([("a", "<f4")]), np.dtype("(2,)f4")])
def test_an_array_of_another_kind_of_dtype_is_unsupported(dtype):
    with pytest.raises(Unsupported):
        arrays_in(array_member(dtype=dtype))


def test_a_variable_without_an_array_is_unsupported_by_name():
    class Variable:
        pass

    variable = Variable()
    variable.__dict__.update(_path="dense/kernel", _value=None)
    Variable.__qualname__ = "Variable"
    globals()["Variable"] = Variable
    with pytest.raises(Unsupported, match="dense/kernel"):
        npz_variables(source_of(member({"0": variable})))


def test_jax_arrays_are_found_inside_their_own_reduction():
    # jax._src.array.ArrayImpl.__reduce__: (_reconstruct_array, (fun, args, state, aval state)),
    # the first three being those of the NumPy array itself.
    array = ARRAYS["float32"]
    body = pickle.dumps((*array.__reduce__(), {"weak_type": False}), 3)[2:-1]
    data = b"\x80\x03cjax._src.array\n_reconstruct_array\n" + body + b"R."
    (ref,) = arrays_in(data)
    assert_same(ref, array)


def test_too_many_opcodes_exceed_the_limit():
    with pytest.raises(LimitExceeded, match="pickle_opcodes"):
        scan(b"N0" * 600 + b"N.", Limits(pickle_opcodes=1000))


def test_cycles_end():
    loop = []
    loop.append(loop)
    assert arrays_in(pickle.dumps(loop)) == []


def test_ten_to_the_twentieth_shared_lists_are_visited_once():
    node = [ARRAYS["int8"]]
    for _ in range(20):
        node = [node] * 10
    start = time.perf_counter()
    assert len(arrays_in(pickle.dumps(node))) == 1
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize(
    "wrap", [b"\x85", b"]\x94h\x00", b"(t", b"cos\nsystem\n\x85R"], ids=["tuple", "list", "x", "y"]
)
def test_deep_nesting_neither_crashes_nor_hangs(wrap):
    deep = b"\x80\x04N" + wrap * 200_000
    try:
        find_arrays(scan(deep + b".").tree, source_of(deep))
    except InspectorError:
        pass


def test_deep_nesting_of_tuples_exceeds_the_depth():
    deep = b"\x80\x04N" + b"\x85" * 300_000 + b"."
    with pytest.raises(LimitExceeded, match="depth"):
        arrays_in(deep)


def test_a_deep_tuple_as_a_key_is_never_hashed():
    # Hashing it would recurse 300,000 levels in C.
    data = b"\x80\x04}N" + b"\x85" * 300_000 + b"K\x01s."
    assert list(scan(data).tree.values()) == [1]


def test_integer_keys_that_collide_stay_fast():
    # hash(k * (2**61 - 1)) is 0 for every k.
    keys = {k * ((1 << 61) - 1) + (1 << 200) * ((1 << 61) - 1): None for k in range(3)}
    assert len({hash(key) for key in keys}) == 1
    stream = b"\x80\x04}("
    for k in range(20_000):
        value = (k + (1 << 200)) * ((1 << 61) - 1)
        raw = value.to_bytes(40, "little", signed=True)
        stream += b"\x8a" + bytes([len(raw)]) + raw + b"N"
    start = time.perf_counter()
    assert len(scan(stream + b"u.").tree) == 20_000
    assert time.perf_counter() - start < 30


def test_many_short_lines_stay_fast():
    start = time.perf_counter()
    scan(b"I1\n0" * 20_000 + b"N.")
    assert time.perf_counter() - start < 30


SEEDS = [
    golden("float32"),
    golden("bfloat16"),
    *(member({"0": ARRAYS["float32"], "1": ARRAYS["bfloat16"]}, p) for p in range(6)),
    member({"0": ARRAYS["fortran"], "o": collections.OrderedDict(a=1)}, 5),
]


def exercise(data):
    limits = Limits(pickle_opcodes=20_000)
    try:
        for variable in npz_variables(source_of(data), 0, limits):
            assert variable.offset + variable.nbytes <= len(data)
            values_of(variable)
    except InspectorError:
        pass


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(128, 2000), st.integers(0, 255)), max_size=5),
    st.integers(0, 2000),
)
def test_mutated_members_end_in_a_result_or_a_typed_error(data, flips, keep):
    mutated = bytearray(data)
    for place, value in flips:
        mutated[place % len(mutated)] = value
    exercise(bytes(mutated[: keep if keep > 1000 else None]))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([*STEPS, ord("."), 0, 1, 10]), max_size=60), st.binary(max_size=9))
def test_random_opcodes_end_in_a_result_or_a_typed_error(codes, start):
    data = b"\x80\x04" + start + bytes(codes) + b"."
    try:
        find_arrays(scan(data).tree, source_of(data))
    except InspectorError:
        pass
