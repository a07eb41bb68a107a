"""What tflite-runtime 2.14.0, the last of its name, says of .tflite files; JSON on stdout.

Run by a Python of its own, which has NumPy below 2 and nothing else: for each path of stdin's JSON
{path: [indices of constants of the main subgraph]}, {path: {"refused": why} or {"tensors": [...]}}.
"""

import hashlib
import json
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def read(path, constants):
    try:
        interpreter = Interpreter(
            path,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as e:
        return {"refused": str(e).splitlines()[0]}
    tensors = {}
    for one in interpreter.get_tensor_details():
        said = one["quantization_parameters"]
        values = interpreter.get_tensor(one["index"]) if one["index"] in constants else None
        text = values is None or values.dtype.kind in "OSU"
        tensors[one["index"]] = {
            "name": one["name"],
            "shape": [int(side) for side in one["shape"]],
            "dtype": np.dtype(one["dtype"]).name,
            "scales": [float(scale) for scale in said["scales"]],
            "zero_points": [int(point) for point in said["zero_points"]],
            "axis": int(said["quantized_dimension"]),
            "sparse": bool(one["sparsity_parameters"]),
            "sha256": None if text else digest(values),
        }
    return {"tensors": tensors, "signatures": interpreter.get_signature_list()}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump({path: read(path, set(constants)) for path, constants in asked.items()}, sys.stdout)
