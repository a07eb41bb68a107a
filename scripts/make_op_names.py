"""Writes inspector/graph/core_ops.txt: the operators of an installed TensorFlow, with their inputs.

python scripts/make_op_names.py            write the file
python scripts/make_op_names.py --check    exit 1 where it would change

Needs TensorFlow. One line an operator: its name, then its inputs' names in order; a "*" behind a
name is an input that stands for a list of tensors.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FILE = Path(__file__).resolve().parents[1] / "inspector" / "graph" / "core_ops.txt"

# Operators of earlier releases' own library that the present one has no more. What tf.contrib
# brought in libraries of its own is not among them: those always had to be loaded.
GONE = """
BigQueryReader
GcsConfigureBlockCache json
GcsConfigureCredentials json
GenerateBigQueryReaderPartitions
TensorForestCreateTreeVariable tree_handle tree_config
TensorForestTreeDeserialize tree_handle tree_config
TensorForestTreeIsInitializedOp tree_handle
TensorForestTreePredict tree_handle dense_features
TensorForestTreeResourceHandleOp
TensorForestTreeSerialize tree_handle
TensorForestTreeSize tree_handle
"""


def registered() -> dict[str, str]:
    """A line for every operator that this process has."""
    import tensorflow  # noqa: F401, ICN001 - registers them
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return {op.name: " ".join([op.name, *map(argument, op.input_arg)]) for op in ops.op}


def argument(arg) -> str:
    """An input's name, with its "*"."""
    return f"{arg.name}*" if arg.number_attr or arg.type_list_attr else arg.name


def rendered() -> str:
    """The file's text."""
    gone = {line.split()[0]: line for line in GONE.split("\n") if line}
    return "".join(f"{line}\n" for _, line in sorted({**gone, **registered()}.items()))


def main() -> int:
    """Write, or check."""
    text = rendered()
    if "--check" in sys.argv[1:]:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
