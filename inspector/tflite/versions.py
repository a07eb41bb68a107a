"""The first runtime that has a version of a LiteRT operator.

Source: tflite/converter/tools/versioning/runtime_version.cc of LiteRT, by which its converter
writes `min_runtime_version`. Only what came after 2.5, the first release of tflite-runtime, is
listed: whatever runtime is asked about has the rest. Versions are numbered as TensorFlow's are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

Release = tuple[int, ...]

# An operator, then version:release for each version of it that came after TensorFlow 2.5.
_LINES = """
ABS 4:2.6 5:2.12
ADD 4:2.6 5:2.13 6:2.23
ARG_MAX 3:2.9
ARG_MIN 3:2.9
ASSIGN_VARIABLE 1:2.6
ATAN2 1:2.10
BATCH_TO_SPACE_ND 4:2.12
BITCAST 1:2.13
BITWISE_XOR 1:2.13
BROADCAST_ARGS 1:2.6
BUCKETIZE 1:2.8
CAST 2:2.7 3:2.8 4:2.9 5:2.12 6:2.15 7:2.17 8:2.21
CONCATENATION 4:2.14 5:2.21 6:2.23
CONV_2D 6:2.9 7:2.11 8:2.15
CONV_3D_TRANSPOSE 1:2.6
COS 2:2.23
DEPTHWISE_CONV_2D 7:2.11
DEQUANTIZE 5:2.7 6:2.18 7:2.21 8:2.22
DILATE 1:2.15
DYNAMIC_UPDATE_SLICE 1:2.9 2:2.17 3:2.19 4:2.20 5:2.21 6:2.22
EMBEDDING_LOOKUP 4:2.18 5:2.21
EQUAL 4:2.13 5:2.21
EXP 2:2.12
FILL 4:2.12
FLOOR_DIV 3:2.13
FLOOR_MOD 2:2.13
FULLY_CONNECTED 10:2.11 11:2.15 12:2.17 13:2.18 14:2.21
GATHER 6:2.13 7:2.15
GATHER_ND 4:2.13 5:2.16
GELU 1:2.9
GREATER_EQUAL 3:2.13
LESS 3:2.13
LOG 2:2.15
MIRROR_PAD 3:2.12
MUL 5:2.6 6:2.11 7:2.13 8:2.23
MULTINOMIAL 1:2.8
NOT_EQUAL 4:2.21
PACK 4:2.13
PAD 4:2.6 5:2.20
PADV2 4:2.6 5:2.20
QUANTIZE 3:2.7 4:2.21
RANDOM_STANDARD_NORMAL 1:2.8
RANDOM_UNIFORM 1:2.8
RANGE 2:2.14
READ_VARIABLE 1:2.6
REDUCE_ALL 1:2.6
REDUCE_PROD 2:2.6
REDUCE_WINDOW 1:2.15
RELU_0_TO_1 1:2.10
RIGHT_SHIFT 1:2.13
RSQRT 3:2.15
SELECT 3:2.12
SELECT_V2 2:2.12
SIGN 1:2.11 2:2.12
SIN 2:2.23
SLICE 6:2.14 7:2.21 8:2.23
SOFTMAX 4:2.23
SPACE_TO_BATCH_ND 4:2.12
SQRT 2:2.21
STABLEHLO_ADD 1:2.16
STABLEHLO_AND 1:2.17
STABLEHLO_CASE 1:2.17
STABLEHLO_CBRT 1:2.17
STABLEHLO_COMPOSITE 1:2.17
STABLEHLO_GATHER 1:2.16
STABLEHLO_MAXIMUM 1:2.16
STABLEHLO_MINIMUM 1:2.16
STABLEHLO_MULTIPLY 1:2.16
STABLEHLO_PAD 1:2.16
STABLEHLO_REDUCE_WINDOW 1:2.16
STABLEHLO_RNG_BIT_GENERATOR 1:2.15
STABLEHLO_SCATTER 1:2.15
STABLEHLO_SHIFT_LEFT 1:2.17
STRIDED_SLICE 6:2.6 7:2.14
TILE 3:2.8
TOPK_V2 3:2.13
TRANSPOSE 6:2.12 7:2.14.4 8:2.22 9:2.23
TRANSPOSE_CONV 4:2.13 5:2.15
UNIDIRECTIONAL_SEQUENCE_LSTM 4:2.12
UNPACK 5:2.22
UNSORTED_SEGMENT_MAX 1:2.10
UNSORTED_SEGMENT_MIN 1:2.11
UNSORTED_SEGMENT_PROD 1:2.10
UNSORTED_SEGMENT_SUM 1:2.10
VAR_HANDLE 1:2.6
WHERE 2:2.8
"""


class _First(NamedTuple):
    version: int
    release: Release


def release_of(operator: str, version: int) -> Release | None:
    """The first release that has this version of a builtin operator.

    None where that is 2.5 or before, or not known. Of a version that is newer than the table the
    release of the newest before it: the runtime is at least that new.
    """
    known = [one.release for one in _releases().get(operator, ()) if one.version <= version]
    return known[-1] if known else None


@functools.cache
def _releases() -> Mapping[str, tuple[_First, ...]]:
    found = {}
    for line in _LINES.split("\n"):
        operator, *pairs = line.split() or [""]
        found[operator] = tuple(
            _First(int(version), tuple(map(int, release.split("."))))
            for version, release in (pair.split(":") for pair in pairs)
        )
    return found
