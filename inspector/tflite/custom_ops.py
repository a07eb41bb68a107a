"""What custom operators that come with LiteRT and MediaPipe take at each of their inputs.

A custom operator is told by its name alone, so only those are here whose kernels are public. All
others are not known: what they read is told by its type and shape, and said to be so.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.model import Role
from inspector.tflite.ops import READINGS, Reading, Signature

_DATA = READINGS["data"]
_ANCHORS = Reading("anchors, which boxes are measured from", Role.CONSTANT)

CUSTOM: Mapping[str, Signature] = {
    "TFLite_Detection_PostProcess": Signature(
        "tflite/kernels/detection_postprocess.cc", (_DATA, _DATA, _ANCHORS)
    ),
    "AudioSpectrogram": Signature("tflite/kernels/audio_spectrogram.cc", (_DATA,)),
    "Mfcc": Signature("tflite/kernels/mfcc.cc", (_DATA, Reading("sample rate", Role.CONSTANT))),
    "Convolution2DTransposeBias": Signature(
        "mediapipe/util/tflite/operations/transpose_conv_bias.cc",
        (_DATA, READINGS["kernel"], READINGS["bias"]),
    ),
    "UNIDIRECTIONAL_SEQUENCE_GRU": Signature(
        "tflite/kernels/unidirectional_sequence_gru.cc",
        (
            *(_DATA, READINGS["state"]),
            *(READINGS["kernel"], READINGS["bias"]),  # of the gates
            *(READINGS["kernel"], READINGS["bias"]),  # of the candidate
        ),
    ),
}
