"""The tables of a .tflite file, field by field, and the words for its numbers.

Source: schema.fbs of LiteRT (ai-edge-litert 2.3), which only ever adds fields and numbers. Options
of operators are in tflite_options. What a later schema adds is passed over, or shown by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.wire.flatbuffer_schema import Schema
from inspector.wire.tflite_options import OPTION_FIELDS, OPTIONS, OPTIONS_2

IDENTIFIER = b"TFL3"

_TABLES = {
    "Model": (
        "version:uint32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string "
        "buffers:[Buffer] metadata_buffer:[int32] metadata:[Metadata] "
        "signature_defs:[SignatureDef] external_buffer_groups:[ExternalBufferGroup] "
        "external_buffers:[ExternalBuffer]"
    ),
    "OperatorCode": (
        "deprecated_builtin_code:int8 custom_code:string version:int32=1 builtin_code:int32"
    ),
    "SubGraph": (
        "tensors:[Tensor] inputs:[int32] outputs:[int32] operators:[Operator] name:string "
        "debug_metadata_index:int32=-1"
    ),
    "Tensor": (
        "shape:[int32] type:int8 buffer:uint32 name:string "
        "quantization:QuantizationParameters is_variable:bool sparsity:SparsityParameters "
        "shape_signature:[int32] has_rank:bool variant_tensors:[VariantSubType] "
        "external_buffer:uint32"
    ),
    "QuantizationParameters": (
        "min:[float32] max:[float32] scale:[float32] zero_point:[int64] "
        "details:QuantizationDetails quantized_dimension:int32"
    ),
    "CustomQuantization": "custom:[uint8]",
    "BlockwiseQuantization": "scales:int32 zero_points:int32 block_size:int32 block_shape:[int32]",
    "MultiAxisQuantization": (
        "scales:int32 zero_points:int32 block_size:int32 quantized_dimensions:[int32]"
    ),
    "SparsityParameters": (
        "traversal_order:[int32] block_map:[int32] dim_metadata:[DimensionMetadata]"
    ),
    "DimensionMetadata": (
        "format:int8 dense_size:int32 array_segments:SparseIndexVector "
        "array_indices:SparseIndexVector"
    ),
    "Int32Vector": "values:[int32]",
    "Uint16Vector": "values:[uint16]",
    "Uint8Vector": "values:[uint8]",
    "VariantSubType": "shape:[int32] type:int8 has_rank:bool",
    "Operator": (
        "opcode_index:uint32 inputs:[int32] outputs:[int32] builtin_options:BuiltinOptions "
        "custom_options:[uint8] custom_options_format:int8 mutating_variable_inputs:[bool] "
        "intermediates:[int32] large_custom_options_offset:uint64 "
        "large_custom_options_size:uint64 builtin_options2:BuiltinOptions2 "
        "debug_metadata_index:int32=-1"
    ),
    "Buffer": "data:[uint8] offset:uint64 size:uint64",
    "Metadata": "name:string buffer:uint32",
    "SignatureDef": (
        "inputs:[TensorMap] outputs:[TensorMap] signature_key:string deprecated_tag:string "
        "subgraph_index:uint32"
    ),
    "TensorMap": "name:string tensor_index:uint32",
    "ExternalBufferGroup": "name:string",
    "ExternalBuffer": "id:uint32 group:uint32 offset:uint64 - packing:string",
}

SCHEMA = Schema(
    tables={**_TABLES, **dict.fromkeys(OPTIONS + OPTIONS_2, ""), **OPTION_FIELDS},
    unions={
        "QuantizationDetails": (
            "CustomQuantization",
            "BlockwiseQuantization",
            "MultiAxisQuantization",
        ),
        "SparseIndexVector": ("Int32Vector", "Uint16Vector", "Uint8Vector"),
        "BuiltinOptions": OPTIONS,
        "BuiltinOptions2": OPTIONS_2,
    },
)

# The words of an enumeration, from number 0 on.
ENUMS: Mapping[str, Sequence[str]] = {
    "DimensionType": ("DENSE", "SPARSE_CSR"),
    "Padding": ("SAME", "VALID"),
    "ActivationFunctionType": ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"),
    "LSHProjectionType": ("UNKNOWN", "SPARSE", "DENSE"),
    "FullyConnectedOptionsWeightsFormat": ("DEFAULT", "SHUFFLED4x16INT8"),
    "LSTMKernelType": ("FULL", "BASIC"),
    "CombinerType": ("SUM", "MEAN", "SQRTN"),
    "MirrorPadMode": ("REFLECT", "SYMMETRIC"),
    "CustomOptionsFormat": ("FLEXBUFFERS",),
}

# Types of tensors from number 0 on, by their names in NumPy and ml_dtypes where those have them.
TENSOR_TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64"),
    *("int8", "float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16"),
    *("int4", "bfloat16", "int2", "uint4", "float8_e4m3fn", "float8_e5m2"),
)

# Bits that one value takes in a buffer; of those that are missing here, no fixed number.
TYPE_BITS: Mapping[str, int] = {
    **dict.fromkeys(("int2",), 2),
    **dict.fromkeys(("int4", "uint4"), 4),
    **dict.fromkeys(("bool", "int8", "uint8", "float8_e4m3fn", "float8_e5m2"), 8),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 16),
    **dict.fromkeys(("int32", "uint32", "float32"), 32),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 64),
    "complex128": 128,
}


def word(enum: str, number: int) -> str:
    """The word for a number of an enumeration; an unknown one is shown as "Padding 7"."""
    words = ENUMS[enum]
    return words[number] if 0 <= number < len(words) else f"{enum} {number}"


def type_name(number: int) -> str:
    """The type of a tensor; an unknown one is shown as "type 99"."""
    return TENSOR_TYPES[number] if 0 <= number < len(TENSOR_TYPES) else f"type {number}"
