"""An artifact measured in parts is what it is measured at once."""

import datetime as dt
import shutil

import h5py
import ml_dtypes
import msgspec
import numpy as np
import pytest

from inspector import api
from inspector.auditing.look import look
from inspector.auditing.policy import Policy
from inspector.auditing.session import Looked
from inspector.digests import tensor_digest
from inspector.errors import Changed, UnknownFormat, UsageError
from inspector.isolation import Workers
from inspector.limits import DEFAULT
from inspector.measure import measure
from inspector.model import Tensor
from inspector.parts import MeasuredPart, MeasuredTensor, Survey, measure_part, survey
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import LocalFile, MemorySource
from inspector.typed_json import decode, encode
from tests.builders import samples

HOW = {"policy": Policy(), "today": dt.date(2026, 1, 1)}


def sent(answer, kind):
    """An answer as it is on the other side of a pipe."""
    return decode(encode(answer), kind)


def measured(path, part_bytes, digest=True):
    found = sent(survey(path, part_bytes=part_bytes), Survey)
    return [
        sent(measure_part(path, part.names, digest=digest), MeasuredPart) for part in found.parts
    ]


def whole_and_parts(path, parts, digest=True):
    """What is said of it measured at once, and of its parts, as JSON."""
    return [encode(look(path, digest=digest, measured=known, **HOW)) for known in ((), parts)]


def weights(path, arrays, **storage):
    with h5py.File(path, "w") as out:
        for at, values in enumerate(arrays):
            name = f"layers/dense_{at}/vars/0"
            out.create_dataset(name, data=values, **(storage if values.ndim > 1 else {}))
    return str(path)


def arrays(count=12, side=64, seed=0):
    """Kernels, half of whose values are zero, with a bias behind each."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        values = random.standard_normal((side, side)).astype("f4")
        yield values * (random.random(values.shape) < 0.5)
        yield random.standard_normal(side).astype("f4")


# --- equality ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", samples.NAMES)
def test_every_sample_is_the_same_in_parts_with_the_digests_of_its_values(name):
    path = samples.path(name)
    with api.open(path) as opened:
        digests = {one.name: tensor_digest(one) for one in opened.artifact.tensors}
    most = sum(part.nbytes for part in survey(path).parts) // 2
    parts = measured(path, max(most, 1))
    whole, together = whole_and_parts(path, parts)
    assert whole == together
    shown = decode(whole, Looked).report
    assert {one.name: one.digest for one in shown.tensors} == digests
    assert sorted(name for part in parts for name in part.names) == sorted(digests)
    assert all(one.digest is msgspec.UNSET for one in shown.files)


@pytest.mark.parametrize("storage", [{}, {"compression": "gzip", "chunks": (64, 64)}])
def test_many_parts_of_one_file_are_the_same_and_are_not_read_again(tmp_path, storage, monkeypatch):
    path = weights(tmp_path / "a.weights.h5", arrays(side=128), **storage)
    parts = measured(path, 100_000)
    assert len(parts) > 5
    read = []
    for name in ("_read", "readinto"):
        monkeypatch.setattr(LocalFile, name, counting(read, getattr(LocalFile, name)))
    found = look(path, digest=True, measured=parts, **HOW)
    much = sum(read)
    read.clear()
    look(path, measure=False, **HOW)
    assert much <= sum(read)  # its structure, and the beginnings of values
    assert encode(found) == whole_and_parts(path, parts)[0]


def counting(read, real):
    def noted(self, offset, what):
        read.append(what if isinstance(what, int) else what.nbytes)
        return real(self, offset, what)

    return noted


def test_what_no_part_has_is_measured_with_the_whole(tmp_path):
    path = weights(tmp_path / "a.weights.h5", arrays())
    parts = measured(path, 20_000)
    whole, together = whole_and_parts(path, parts[1::2])
    assert whole == together


def test_without_digests_there_are_none(tmp_path):
    path = weights(tmp_path / "a.weights.h5", arrays())
    parts = measured(path, 20_000, digest=False)
    assert all(part.digests == {} for part in parts)
    whole, together = whole_and_parts(path, parts, digest=False)
    assert whole == together


def test_what_cannot_be_read_is_told_in_the_order_of_the_tensors(tmp_path):
    path = weights(tmp_path / "a.weights.h5", arrays(), compression="gzip", chunks=(64, 64))
    with api.open(path) as opened:
        broken = [one.extents[0] for one in opened.artifact.tensors if one.extents][4::6]
    with open(path, "r+b") as file:
        for extent in broken:
            file.seek(extent.offset)
            file.write(b"\xff" * 8)
    whole, together = whole_and_parts(path, measured(path, 20_000))
    assert whole == together
    problems = decode(whole, Looked).report.problems
    assert [one.code for one in problems].count("unreadable-values") == len(broken)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", [2**63 - 1, 2**53 + 1, 0]),
        ("uint64", [2**64 - 1, 2**53 + 1]),
        ("int64", [-(2**63), -(2**53) - 1]),
        ("float64", [np.inf, 5e-324, 1.7976931348623157e308]),
        ("float64", [-np.inf, np.nan, 0.1]),
        ("float64", [1e22, 3.0, -0.0]),
        ("float32", [np.nan]),
        ("complex64", [1j, 0]),
        ("float8_e4m3fn", [448, -0.5, 0]),
        ("int4", [-8, 7]),
    ],
)
def test_numbers_are_carried_exactly(dtype, values):
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    held = np.array([np.array(one).astype(kind) for one in values]).reshape(-1, 1)
    payload = RawPayload(MemorySource(held.tobytes(), "m"), 0, held.size, dtype)
    tensor = Tensor("t", dtype, held.shape, held.nbytes, payload=payload)
    found = measure(tensor, thorough=True)
    again = sent(MeasuredTensor.of(found), MeasuredTensor).measurement(None)
    assert again == found
    assert [type(one) for one in (again.minimum, again.maximum)] == [
        type(one) for one in (found.minimum, found.maximum)
    ]


def test_more_values_than_64_bits_can_count_are_carried_exactly():
    payload = FilledPayload(1 << 80, 0.0, "float32")
    found = measure(Tensor("t", "float32", (1 << 40, 1 << 40), 0, payload=payload), thorough=True)
    assert found.zeros == 1 << 80
    assert sent(MeasuredTensor.of(found), MeasuredTensor).measurement(None) == found


# --- parts ---------------------------------------------------------------------------------------


def test_parts_hold_small_tensors_together_and_a_large_one_alone(tmp_path):
    sizes = [10, 3000, 10, 400, 500, 10]  # values of 4 bytes
    path = weights(tmp_path / "a.weights.h5", [np.ones(n, "f4") for n in sizes])
    found = survey(path, part_bytes=4000)
    held = [
        (sorted(int(name.split("/")[1][6:]) for name in part.names), part.nbytes)
        for part in found.parts
    ]
    # The 3,000 are alone; 10 + 10 + 400 + 500 + 10 values are 3,720 bytes.
    assert sorted(held) == [([0, 2, 3, 4, 5], 3720), ([1], 12000)]
    assert len(survey(path).parts) == 1
    with pytest.raises(UsageError):
        survey(path, part_bytes=0)


def test_what_must_be_inflated_is_one_part(tmp_path):
    import zipfile

    path = str(tmp_path / "a.keras")
    with zipfile.ZipFile(samples.path("k3.keras")) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_DEFLATED)
    assert len(survey(samples.path("k3.keras"), part_bytes=100).parts) > 3
    assert len(survey(path, part_bytes=100).parts) == 1


def test_what_is_no_model_has_no_parts(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(UnknownFormat):
        survey(str(tmp_path / "a.txt"))


def test_a_weight_goes_with_its_mask():
    path = samples.path("pruned_convnet.h5")
    (shown,) = api.show(path).artifacts
    served = {one.name: one.about for one in shown.tensors if one.role == "mask"}
    assert len(served) > 1
    parts = [set(part.names) for part in survey(path, part_bytes=10).parts]
    assert all(any({mask, weight} == part for part in parts) for mask, weight in served.items())


# --- what is refused -----------------------------------------------------------------------------


def refused(path, parts):
    """What is said where parts are not taken: one finding, and why."""
    found = look(path, measured=parts, **HOW)
    assert not found.report.readable
    return found.report.problems[0].code


def test_a_part_of_another_state_is_refused(tmp_path):
    path = weights(tmp_path / "a.weights.h5", arrays(2))
    parts = measured(path, 20_000)
    shutil.copy(path, tmp_path / "b.weights.h5")  # another path is another artifact
    assert refused(str(tmp_path / "b.weights.h5"), parts) == "changed"
    with h5py.File(path, "r+") as file:
        file["layers/dense_0/vars/0"][0, 0] += 1
    assert refused(path, parts) == "changed"
    with pytest.raises(Changed):
        measure_part(path, ["layers/dense_9/vars/0"])


IMPOSSIBLE = {
    "zeros": 10**6,
    "distinct": 10**6,
    "nan": 10**9,
    "detail": {"denormals": 10**6},
    "ends": {"detail": {"ends": [10**6, 0]}},
    "sides": {"detail": {"zero_slices": [0, 0, 0]}},
    "spans": {"detail": {"spans": [[0, 1]]}},
    "patterns": [{"name": "2:4", "axis": "input", "held": 3, "groups": 2, "holds": True}],
    "axis": {"patterns": [{"name": "2:4", "axis": "x", "held": 1, "groups": 2, "holds": True}]},
}


@pytest.mark.parametrize("field", IMPOSSIBLE)
def test_a_part_that_says_what_cannot_be_is_refused(tmp_path, field):
    path = weights(tmp_path / "a.weights.h5", arrays(1))
    (part,) = measured(path, 10**6)
    said = msgspec.to_builtins(part)
    lie = IMPOSSIBLE[field]
    told = lie if isinstance(lie, dict) and field != "detail" else {field: lie}
    said["found"]["layers/dense_0/vars/0"] |= told
    assert refused(path, [msgspec.convert(said, MeasuredPart)]) == "crashed"


@pytest.mark.parametrize("table", ["names", "found", "problems", "digests"])
def test_a_part_that_speaks_of_other_tensors_is_refused(tmp_path, table):
    path = weights(tmp_path / "a.weights.h5", arrays(1))
    part = measured(path, 10**6)[0]
    said = msgspec.to_builtins(part)
    first = part.names[0]
    problem = {"code": "c", "severity": "error", "message": "m", "path": "p", "offset": None}
    if table == "names":
        said["names"] = [*part.names, "other"]
    else:
        said[table]["other"] = said[table].get(first, problem)
    assert refused(path, [msgspec.convert(said, MeasuredPart)]) == "crashed"


@pytest.mark.parametrize(
    "change",
    [
        {"digests": {"layers/dense_0/vars/0": "sha256:123"}},
        {"digests": {"layers/dense_0/vars/0": "sha256:" + "0" * 64 + "\n"}},
        {"found": {"layers/dense_0/vars/0": {"zeros": -1}}},
        {"found": {"layers/dense_0/vars/0": 3}},
        {"names": [3]},
        {"state": None},
    ],
)
def test_an_answer_of_other_types_is_none(tmp_path, change):
    path = weights(tmp_path / "a.weights.h5", arrays(1))
    said = msgspec.to_builtins(measured(path, 10**6)[0])
    for field, value in change.items():
        nested = isinstance(value, dict)
        said[field] = {**said[field], **value} if nested else value
    with pytest.raises(msgspec.ValidationError):
        decode(encode(said), MeasuredPart)


# --- in workers ----------------------------------------------------------------------------------


def test_workers_survey_and_measure_and_look(tmp_path):
    path = weights(tmp_path / "a.weights.h5", arrays())
    asked = {"path": path, "policy": msgspec.to_builtins(Policy()), "today": "2026-01-01"}
    asked["digest"] = True
    with Workers(DEFAULT) as workers:

        def call(name, kind, **arguments):
            return workers.call(name, kind, (path,), {"path": path, **arguments})

        found = call("survey", Survey, part_bytes=20_000)
        parts = [
            call("measure_part", MeasuredPart, names=part.names, digest=True)
            for part in found.parts
        ]
        whole = call("look", Looked, **asked)
        together = call("look", Looked, measured=parts, **asked)
        with pytest.raises(Changed):
            call("measure_part", MeasuredPart, names=["none"])
    assert len(parts) > 5
    assert whole == together == look(path, digest=True, **HOW)
