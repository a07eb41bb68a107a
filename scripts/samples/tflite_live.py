"""What the live LiteRT interpreter says of a .tflite file, and what its maker knows of the model.

Names, shapes, quantization, sparsity and values come from the interpreter; buffers, operators and
metadata from its generated schema; roles from the places where operators read; the counts and the
multiply-accumulates from the Keras model that was converted. Nothing here knows the inspector.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as litert
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from samples import tflite_roles
from samples.stored import digest

FEW = 4
"""A channel of no more scales than this is written out."""

TYPES = {number: word.lower() for number, word in tflite_roles.names(litert.TensorType).items()}


@dataclass
class Lite:
    """The writer of one .tflite file.

    scheme: how its numbers are kept, in words; None where it has no weights. variables: of the
    live model, by name. count: elements of the live model's own variables. differences: what the
    converter added to it and left out, so that the sum is the elements of the file's weights.
    macs: of one call with one example. learned: of custom operators, the inputs that take weights.
    """

    convert: Callable[[], bytes]
    scheme: str | None
    variables: Mapping[str, np.ndarray] = field(default_factory=dict)
    count: int | None = None
    differences: Mapping[str, int] = field(default_factory=dict)
    macs: int | None = None
    learned: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def __call__(self, path: str) -> None:
        with open(path, "wb") as file:
            file.write(self.convert())


class Live:
    """A file in the interpreter and in the objects of the generated schema."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            content = file.read()
        self.model = litert.ModelT.InitFromObj(litert.Model.GetRootAs(content, 0))
        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self.refusal: str | None = None
        try:
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as e:
            self.refusal = str(e).splitlines()[0]

    def tensors(self) -> Iterator[tuple[tflite_roles.Key, Any]]:
        """Every tensor's place, and the schema's object."""
        for number, subgraph in enumerate(self.model.subgraphs):
            for index, tensor in enumerate(subgraph.tensors):
                yield (number, index), tensor

    def details(self, key: tflite_roles.Key) -> dict[str, Any]:
        """What the interpreter says of a tensor."""
        subgraph, index = key
        # `get_tensor_details` leaves tensors of no known type out, so a list of them is no index.
        return self.interpreter._get_tensor_details(index, subgraph)  # noqa: SLF001

    def buffer_size(self, tensor: Any) -> int:
        """Bytes that the file holds of a tensor; 0 for what the model computes."""
        buffer = self.model.buffers[tensor.buffer]
        inside = 0 if buffer.data is None else len(buffer.data)
        return inside or (buffer.size if buffer.offset > 1 else 0)

    def values(self, key: tflite_roles.Key) -> np.ndarray:
        """A constant's values as the model sees them, sparse ones with their zeros."""
        held = np.asarray(self.interpreter.get_tensor(key[1], key[0]))
        details = self.details(key)
        if not details["sparsity_parameters"]:
            return held
        return densified(held, details["shape"], details["sparsity_parameters"])

    def run_densify(self) -> Iterator[tuple[tflite_roles.Key, np.ndarray]]:
        """Sparse tensors of the main subgraph, as the interpreter's own DENSIFY expands them."""
        main = self.model.subgraphs[0]
        steps = [
            one for one in main.operators if tflite_roles.operator(self.model, one) == "DENSIFY"
        ]
        if steps:
            for one in self.interpreter.get_input_details():
                self.interpreter.set_tensor(one["index"], np.zeros(one["shape"], one["dtype"]))
            self.interpreter.invoke()
        for one in steps:
            yield (0, one.inputs[0]), self.interpreter.get_tensor(one.outputs[0])


def densified(held: np.ndarray, shape: Any, sparsity: Mapping[str, Any]) -> np.ndarray:
    """A dense array, value by value: every stored one at the place that its indices give.

    The dimensions of `sparsity` are walked in the traversal order: those of the tensor, then the
    blocks' own, of which each lies inside the dimension that `block_map` says.
    """
    dense = np.zeros(shape, held.dtype)
    metadata, order = sparsity["dim_metadata"], sparsity["traversal_order"]
    block_map = sparsity["block_map"]
    rank, stored = len(shape), iter(held.ravel().tolist())
    blocks = {
        int(inside): int(metadata[list(order).index(rank + i)]["dense_size"])
        for i, inside in enumerate(block_map)
    }

    def place(indices: Mapping[int, int]) -> tuple[int, ...]:
        found = [indices[d] * blocks.get(d, 1) for d in range(rank)]
        for i, inside in enumerate(block_map):
            found[inside] += indices[rank + i]
        return tuple(found)

    def walk(level: int, parent: int, indices: dict[int, int]) -> None:
        if level == len(metadata):
            dense[place(indices)] = next(stored)
            return
        one, dimension = metadata[level], int(order[level])
        if one["format"] == litert.DimensionType.DENSE:
            for i in range(one["dense_size"]):
                walk(level + 1, parent * one["dense_size"] + i, {**indices, dimension: i})
        else:
            segments = one["array_segments"]
            for i in range(segments[parent], segments[parent + 1]):
                walk(level + 1, i, {**indices, dimension: int(one["array_indices"][i])})

    walk(0, 0, {})
    if next(stored, None) is not None:
        raise RuntimeError("a sparse tensor stores values that no index places")
    return dense


def measure(path: str, lite: Lite) -> dict[str, Any]:
    """Everything a sample's `.expected.json` holds."""
    live = Live(path)
    said = described(path, live)
    seen: set[int] = set()
    roles: Counter[str] = Counter()
    weights: Counter[str] = Counter(elements=0, zeros=0)
    for row, (key, tensor) in zip(said["tensors"], live.tensors(), strict=True):
        row["role"] = "activation"
        if "sha256" not in row:
            continue
        row["role"] = tflite_roles.role(live.model, key, lite.learned)
        variable = variable_of(live.values(key), row, lite.variables)
        if variable is not None:
            row["variable"] = variable
            if row["role"] != "weight":
                raise RuntimeError(f"{path}: {row['name']} holds the values of {variable}")
        if tensor.buffer in seen:
            continue
        seen.add(tensor.buffer)
        elements = int(np.prod(row["shape"], dtype=np.int64))
        roles[row["role"]] += elements
        if row["role"] == "weight":
            weights.update(elements=elements, zeros=row["zeros"])
    if lite.count is not None:
        expected = lite.count + sum(lite.differences.values())
        if expected != weights["elements"]:
            raise RuntimeError(f"{path}: {weights['elements']} weights, {expected} were converted")
    made = {
        "scheme": lite.scheme,
        "macs": lite.macs,
        "live_elements": lite.count,
        "differences": dict(lite.differences),
        "weights": dict(weights),
        "roles": dict(sorted(roles.items())),  # elements; a buffer of several tensors counts once
    }
    tensors = said.pop("tensors")
    return {**said, **made, "tensors": tensors}


def described(path: str, live: Live) -> dict[str, Any]:
    """What interpreter and schema say of a file, without what only its maker knows."""
    import ai_edge_litert

    model = live.model
    for key, dense in live.run_densify():
        if digest(dense) != digest(live.values(key)):
            raise RuntimeError(f"{path}: the interpreter densifies tensor {key} another way")
    signatures = live.interpreter._get_full_signature_list()  # noqa: SLF001 (tells the tensors)
    return {
        "loader": f"ai-edge-litert {_version(ai_edge_litert)}",
        "format": "tflite",
        "loads": live.refusal is None,
        "nbytes": os.path.getsize(path),
        "version": model.version,
        "description": model.description.decode(),
        "buffers": len(model.buffers),
        "metadata": [one.name.decode() for one in model.metadata or ()],
        "min_runtime_version": _min_runtime_version(model),
        "associated_files": associated_files(path),
        "operator_codes": sorted(_code(one) for one in model.operatorCodes),
        "subgraphs": [
            {
                "name": subgraph.name.decode(),
                "inputs": [int(i) for i in subgraph.inputs],
                "outputs": [int(i) for i in subgraph.outputs],
                "operators": dict(
                    sorted(
                        Counter(tflite_roles.operator(model, o) for o in subgraph.operators).items()
                    )
                ),
            }
            for subgraph in model.subgraphs
        ],
        "signatures": [
            {"name": name, "inputs": one["inputs"], "outputs": one["outputs"]}
            for name, one in sorted(signatures.items())
        ],
        "tensors": [_row(live, key, tensor) for key, tensor in live.tensors()],
    }


def _version(package: Any) -> str:
    from importlib import metadata

    return metadata.version(package.__name__.replace("_", "-"))


def _min_runtime_version(model: Any) -> str | None:
    for one in model.metadata or ():
        if one.name == b"min_runtime_version":
            return bytes(model.buffers[one.buffer].data).rstrip(b"\0").decode()
    return None


def associated_files(path: str) -> list[str]:
    """The names in the zip behind the flatbuffer."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _code(code: Any) -> list[Any]:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    custom = code.customCode.decode() if code.customCode else None
    return [tflite_roles.OPERATORS[number], code.version, custom]


def _row(live: Live, key: tflite_roles.Key, tensor: Any) -> dict[str, Any]:
    details = live.details(key)
    row: dict[str, Any] = {
        "subgraph": key[0],
        "index": key[1],
        "name": tensor.name.decode(),  # the interpreter gives DENSIFY's outputs one of its own
        "role": None,
        "dtype": TYPES[tensor.type],
        "shape": _shape(tensor.shape),
        "buffer": tensor.buffer,
        "nbytes": live.buffer_size(tensor),
        "is_variable": bool(tensor.isVariable),
        "quantization": _quantization(details["quantization_parameters"]),
        "sparsity": _sparsity(details["sparsity_parameters"], tensor),
    }
    if row["nbytes"]:
        row |= numbers(live.values(key), row["quantization"], details["quantization_parameters"])
    return row


def _shape(sides: Any) -> list[int]:
    return [] if sides is None else [int(side) for side in sides]


def _quantization(said: Mapping[str, Any]) -> dict[str, Any] | None:
    scales, points, block = said["scales"], said["zero_points"], int(said["block_size"])
    if not len(scales):
        return None
    return {
        "axis": int(said["quantized_dimension"]) if len(scales) > 1 and not block else None,
        "block": block or None,
        "count": len(scales),
        "scales": [float(one) for one in scales[:FEW]],
        "min_scale": float(scales.min()),
        "max_scale": float(scales.max()),
        "scales_sha256": hashlib.sha256(scales.astype("<f4").tobytes()).hexdigest(),
        "zero_points": sorted({int(one) for one in points}),
    }


FORMATS = {0: "dense", 1: "csr"}


WIDTHS = {"Int32VectorT": 4, "Uint16VectorT": 2, "Uint8VectorT": 1}


def _index_bytes(tensor: Any) -> int:
    """Bytes of the numbers that place a sparse tensor's values."""
    vectors = [
        vector
        for dimension in tensor.sparsity.dimMetadata
        for vector in (dimension.arraySegments, dimension.arrayIndices)
        if vector is not None
    ]
    return sum(len(one.values) * WIDTHS[type(one).__name__] for one in vectors)


def _sparsity(said: Mapping[str, Any], tensor: Any) -> dict[str, Any] | None:
    if not said:
        return None
    return {
        "index_bytes": _index_bytes(tensor),
        "traversal_order": [int(one) for one in said["traversal_order"]],
        "block_map": [int(one) for one in said["block_map"]],
        "dimensions": [
            {
                "format": FORMATS[one["format"]],
                "size": int(one["dense_size"]) if "array_segments" not in one else None,
                "segments": len(one["array_segments"]) if "array_segments" in one else None,
                "indices": len(one["array_indices"]) if "array_indices" in one else None,
            }
            for one in said["dim_metadata"]
        ],
    }


def numbers(
    values: np.ndarray, quantization: Mapping[str, Any] | None, said: Mapping[str, Any]
) -> dict[str, Any]:
    """How many values stand for zero, their range as stored, their digest."""
    if values.dtype.kind in "OSU":
        return {"zeros": None, "min": None, "max": None, "sha256": digest(values)}
    centred = centre(values, said) if quantization else values.astype(np.float64)
    return {
        "zeros": int(values.size - np.count_nonzero(centred)),
        "min": float(values.min()),
        "max": float(values.max()),
        "sha256": digest(values),
    }


def _along(axis: int, rank: int, numbers: np.ndarray) -> np.ndarray:
    """Numbers of the channels, shaped to be broadcast along their axis; one is for all."""
    if len(numbers) == 1:
        return numbers.astype(np.float64).reshape(())
    return numbers.astype(np.float64).reshape([-1 if i == axis else 1 for i in range(rank)])


def centre(values: np.ndarray, said: Mapping[str, Any]) -> np.ndarray:
    """Values less their zero points."""
    axis = int(said["quantized_dimension"])
    if not len(said["zero_points"]):
        return values.astype(np.float64)
    return values.astype(np.float64) - _along(axis, values.ndim, said["zero_points"])


def variable_of(
    values: np.ndarray, row: Mapping[str, Any], variables: Mapping[str, np.ndarray]
) -> str | None:
    """The one live variable that a float constant has the values of, turned as LiteRT has them."""
    if values.dtype not in (np.float32, np.float16):
        return None
    tolerance = 1e-3 if values.dtype == np.float16 else 0.0
    found = {
        name
        for name, live in variables.items()
        for layout in layouts(np.asarray(live))
        if layout.shape == values.shape
        and layout.size > 1
        and np.allclose(layout, values, rtol=tolerance, atol=tolerance)
    }
    return found.pop() if len(found) == 1 else None


def layouts(live: np.ndarray) -> Iterator[np.ndarray]:
    """The forms in which the converter stores a variable of a layer."""
    yield live
    if live.ndim == 2:
        yield live.T  # (inputs, outputs) -> (outputs, inputs)
        if live.shape[1] % 4 == 0:
            yield from (gate.T for gate in np.split(live, 4, axis=1))  # of an LSTM
    elif live.ndim == 1 and live.size % 4 == 0:
        yield from np.split(live, 4)
    elif live.ndim == 4:
        yield live.transpose(3, 0, 1, 2)  # HWIO -> OHWI
        yield live.transpose(2, 0, 1, 3)  # HWOI of a transposed convolution -> OHWI
        yield live.reshape(1, *live.shape[:2], -1)  # of a depthwise one -> 1HWC
