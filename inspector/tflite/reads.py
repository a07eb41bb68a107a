"""What any operator of a .tflite file takes at an input: builtin, custom, or TensorFlow's own."""

from __future__ import annotations

from inspector.graph import ops as tensorflow
from inspector.graph.passing import ARITHMETIC
from inspector.tflite.custom_ops import CUSTOM
from inspector.tflite.ops import OPERAND, Reading, signatures

FLEX = "Flex"  # before the name of a TensorFlow operator that the runtime takes from TensorFlow


def read_at(op: str, index: int) -> Reading | None:
    """What an operator takes at an input, by its word in `names.operator_word`.

    None for an operator that is not known, and for an input that it does not have.
    """
    if op.startswith(FLEX):
        return _of_tensorflow(op.removeprefix(FLEX), index)
    found = signatures().get(op) or CUSTOM.get(op)
    return None if found is None else found.reading(index)


def is_known(op: str) -> bool:
    """Whether there is a table of the operator's inputs."""
    flex = op.startswith(FLEX) and tensorflow.is_core(op.removeprefix(FLEX))
    return flex or op in signatures() or op in CUSTOM


def _of_tensorflow(op: str, index: int) -> Reading | None:
    if not tensorflow.is_core(op):
        return None
    if op in ARITHMETIC:
        return OPERAND
    found = tensorflow.reading(op, index)
    return Reading(found.what, found.role, found.variable)
