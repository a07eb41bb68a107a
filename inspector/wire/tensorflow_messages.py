"""The messages of SavedModels, graphs and checkpoint states: their fields by name, as data.

Source: the .proto files of TensorFlow 2.21 that SavedModel and CheckpointState are made of, and
FunctionDef.Node as it was before TensorFlow 0.12. Names are without their package.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from inspector.wire.protobuf_schema import SCALARS

# A line a message: name number kind, with "*" for a repeated field and "key:value" for a map.
_MESSAGES = """
SavedModel: saved_model_schema_version 1 int64, meta_graphs 2 MetaGraphDef*
MetaGraphDef: meta_info_def 1 MetaGraphDef.MetaInfoDef, graph_def 2 GraphDef, saver_def 3 SaverDef,
    collection_def 4 string:CollectionDef, signature_def 5 string:SignatureDef,
    asset_file_def 6 AssetFileDef*, object_graph_def 7 SavedObjectGraph
MetaGraphDef.MetaInfoDef: meta_graph_version 1 string, stripped_op_list 2 OpList, any_info 3 Any,
    tags 4 string*, tensorflow_version 5 string, tensorflow_git_version 6 string,
    stripped_default_attrs 7 bool, function_aliases 8 string:string
OpList: op 1 OpDef*
OpDef: name 1 string, input_arg 2 OpDef.ArgDef*, output_arg 3 OpDef.ArgDef*,
    control_output 20 string*, attr 4 OpDef.AttrDef*, deprecation 8 OpDeprecation,
    summary 5 string, description 6 string, is_commutative 18 bool, is_aggregate 16 bool,
    is_stateful 17 bool, allows_uninitialized_input 19 bool, is_distributed_communication 21 bool
OpDef.ArgDef: name 1 string, description 2 string, type 3 DataType, type_attr 4 string,
    number_attr 5 string, type_list_attr 6 string,
    handle_data 7 ResourceHandleProto.DtypeAndShape*, is_ref 16 bool,
    experimental_full_type 17 FullTypeDef
ResourceHandleProto.DtypeAndShape: dtype 1 DataType, shape 2 TensorShapeProto
TensorShapeProto: dim 2 TensorShapeProto.Dim*, unknown_rank 3 bool
TensorShapeProto.Dim: size 1 int64, name 2 string
FullTypeDef: type_id 1 FullTypeId, args 2 FullTypeDef*, s 3 string, i 4 int64
OpDef.AttrDef: name 1 string, type 2 string, default_value 3 AttrValue, description 4 string,
    has_minimum 5 bool, minimum 6 int64, allowed_values 7 AttrValue
AttrValue: s 2 bytes, i 3 int64, f 4 float, b 5 bool, type 6 DataType, shape 7 TensorShapeProto,
    tensor 8 TensorProto, list 1 AttrValue.ListValue, func 10 NameAttrList, placeholder 9 string
TensorProto: dtype 1 DataType, tensor_shape 2 TensorShapeProto, version_number 3 int32,
    tensor_content 4 bytes, half_val 13 int32*, float_val 5 float*, double_val 6 double*,
    int_val 7 int32*, string_val 8 bytes*, scomplex_val 9 float*, int64_val 10 int64*,
    bool_val 11 bool*, dcomplex_val 12 double*, resource_handle_val 14 ResourceHandleProto*,
    variant_val 15 VariantTensorDataProto*, uint32_val 16 uint32*, uint64_val 17 uint64*,
    float8_val 18 bytes
ResourceHandleProto: device 1 string, container 2 string, name 3 string, hash_code 4 uint64,
    maybe_type_name 5 string, dtypes_and_shapes 6 ResourceHandleProto.DtypeAndShape*
VariantTensorDataProto: type_name 1 string, metadata 2 bytes, tensors 3 TensorProto*
AttrValue.ListValue: s 2 bytes*, i 3 int64*, f 4 float*, b 5 bool*, type 6 DataType*,
    shape 7 TensorShapeProto*, tensor 8 TensorProto*, func 9 NameAttrList*
NameAttrList: name 1 string, attr 2 string:AttrValue
OpDeprecation: version 1 int32, explanation 2 string
Any: type_url 1 string, value 2 bytes
GraphDef: node 1 NodeDef*, versions 4 VersionDef, version 3 int32, library 2 FunctionDefLibrary,
    debug_info 5 GraphDebugInfo
NodeDef: name 1 string, op 2 string, input 3 string*, device 4 string, attr 5 string:AttrValue,
    experimental_debug_info 6 NodeDef.ExperimentalDebugInfo, experimental_type 7 FullTypeDef
NodeDef.ExperimentalDebugInfo: original_node_names 1 string*, original_func_names 2 string*
VersionDef: producer 1 int32, min_consumer 2 int32, bad_consumers 3 int32*
FunctionDefLibrary: function 1 FunctionDef*, gradient 2 GradientDef*,
    registered_gradients 3 RegisteredGradient*
FunctionDef: signature 1 OpDef, node 2 FunctionDef.Node*, attr 5 string:AttrValue,
    arg_attr 7 uint32:FunctionDef.ArgAttrs, resource_arg_unique_id 8 uint32:uint32,
    node_def 3 NodeDef*, ret 4 string:string, control_ret 6 string:string
FunctionDef.Node: ret 1 string*, op 2 string, arg 3 string*, dep 4 string*, attr 5 string:AttrValue
FunctionDef.ArgAttrs: attr 1 string:AttrValue
GradientDef: function_name 1 string, gradient_func 2 string
RegisteredGradient: gradient_func 1 string, registered_op_type 2 string
GraphDebugInfo: files 1 string*, frames_by_id 4 fixed64:GraphDebugInfo.FileLineCol,
    traces_by_id 6 fixed64:GraphDebugInfo.StackTrace, traces 2 string:GraphDebugInfo.StackTrace,
    name_to_trace_id 5 string:fixed64
GraphDebugInfo.FileLineCol: file_index 1 int32, line 2 int32, col 3 int32, func 4 string,
    code 5 string
GraphDebugInfo.StackTrace: file_line_cols 1 GraphDebugInfo.FileLineCol*, frame_id 2 fixed64*
SaverDef: filename_tensor_name 1 string, save_tensor_name 2 string, restore_op_name 3 string,
    max_to_keep 4 int32, sharded 5 bool, keep_checkpoint_every_n_hours 6 float,
    version 7 SaverDef.CheckpointFormatVersion
CollectionDef: node_list 1 CollectionDef.NodeList, bytes_list 2 CollectionDef.BytesList,
    int64_list 3 CollectionDef.Int64List, float_list 4 CollectionDef.FloatList,
    any_list 5 CollectionDef.AnyList
CollectionDef.NodeList: value 1 string*
CollectionDef.BytesList: value 1 bytes*
CollectionDef.Int64List: value 1 int64*
CollectionDef.FloatList: value 1 float*
CollectionDef.AnyList: value 1 Any*
SignatureDef: inputs 1 string:TensorInfo, outputs 2 string:TensorInfo, method_name 3 string,
    defaults 4 string:TensorProto
TensorInfo: name 1 string, coo_sparse 4 TensorInfo.CooSparse,
    composite_tensor 5 TensorInfo.CompositeTensor, dtype 2 DataType,
    tensor_shape 3 TensorShapeProto
TensorInfo.CooSparse: values_tensor_name 1 string, indices_tensor_name 2 string,
    dense_shape_tensor_name 3 string
TensorInfo.CompositeTensor: type_spec 1 TypeSpecProto, components 2 TensorInfo*
TypeSpecProto: type_spec_class 1 TypeSpecProto.TypeSpecClass, type_state 2 StructuredValue,
    type_spec_class_name 3 string, num_flat_components 4 int32
StructuredValue: none_value 1 NoneValue, float64_value 11 double, int64_value 12 sint64,
    string_value 13 string, bool_value 14 bool, tensor_shape_value 31 TensorShapeProto,
    tensor_dtype_value 32 DataType, tensor_spec_value 33 TensorSpecProto,
    type_spec_value 34 TypeSpecProto, bounded_tensor_spec_value 35 BoundedTensorSpecProto,
    list_value 51 ListValue, tuple_value 52 TupleValue, dict_value 53 DictValue,
    named_tuple_value 54 NamedTupleValue, tensor_value 55 TensorProto, numpy_value 56 TensorProto
NoneValue:
TensorSpecProto: name 1 string, shape 2 TensorShapeProto, dtype 3 DataType
BoundedTensorSpecProto: name 1 string, shape 2 TensorShapeProto, dtype 3 DataType,
    minimum 4 TensorProto, maximum 5 TensorProto
ListValue: values 1 StructuredValue*
TupleValue: values 1 StructuredValue*
DictValue: fields 1 string:StructuredValue
NamedTupleValue: name 1 string, values 2 PairValue*
PairValue: key 1 string, value 2 StructuredValue
AssetFileDef: tensor_info 1 TensorInfo, filename 2 string
SavedObjectGraph: nodes 1 SavedObject*, concrete_functions 2 string:SavedConcreteFunction
SavedObject: children 1 TrackableObjectGraph.TrackableObject.ObjectReference*,
    dependencies 15 TrackableObjectGraph.TrackableObject.ObjectReference*,
    slot_variables 3 TrackableObjectGraph.TrackableObject.SlotVariableReference*,
    user_object 4 SavedUserObject, asset 5 SavedAsset, function 6 SavedFunction,
    variable 7 SavedVariable, bare_concrete_function 8 SavedBareConcreteFunction,
    constant 9 SavedConstant, resource 10 SavedResource, captured_tensor 12 CapturedTensor,
    saveable_objects 11 string:SaveableObject, registered_name 13 string,
    serialized_user_proto 14 Any, registered_saver 16 string
TrackableObjectGraph.TrackableObject.ObjectReference: node_id 1 int32, local_name 2 string
TrackableObjectGraph.TrackableObject.SlotVariableReference: original_variable_node_id 1 int32,
    slot_name 2 string, slot_variable_node_id 3 int32
SavedUserObject: identifier 1 string, version 2 VersionDef, metadata 3 string
SavedAsset: asset_file_def_index 1 int32
SavedFunction: concrete_functions 1 string*, function_spec 2 FunctionSpec
FunctionSpec: fullargspec 1 StructuredValue, is_method 2 bool, input_signature 5 StructuredValue,
    jit_compile 6 FunctionSpec.JitCompile
SavedVariable: dtype 1 DataType, shape 2 TensorShapeProto, trainable 3 bool,
    synchronization 4 VariableSynchronization, aggregation 5 VariableAggregation, name 6 string,
    device 7 string, experimental_distributed_variable_components 8 SavedVariable*
SavedBareConcreteFunction: concrete_function_name 1 string, argument_keywords 2 string*,
    allowed_positional_arguments 3 int64, function_spec 4 FunctionSpec
SavedConstant: operation 1 string
SavedResource: device 1 string
CapturedTensor: name 1 string, concrete_function 2 string
SaveableObject: save_function 2 int32, restore_function 3 int32
SavedConcreteFunction: bound_inputs 2 int32*, canonicalized_input_signature 3 StructuredValue,
    output_signature 4 StructuredValue
CheckpointState: model_checkpoint_path 1 string, all_model_checkpoint_paths 2 string*,
    all_model_checkpoint_timestamps 3 double*, last_preserved_timestamp 4 double
"""
# A line an enumeration: name number.
_ENUMERATIONS = """
DataType: DT_INVALID 0, DT_FLOAT 1, DT_DOUBLE 2, DT_INT32 3, DT_UINT8 4, DT_INT16 5, DT_INT8 6,
    DT_STRING 7, DT_COMPLEX64 8, DT_INT64 9, DT_BOOL 10, DT_QINT8 11, DT_QUINT8 12, DT_QINT32 13,
    DT_BFLOAT16 14, DT_QINT16 15, DT_QUINT16 16, DT_UINT16 17, DT_COMPLEX128 18, DT_HALF 19,
    DT_RESOURCE 20, DT_VARIANT 21, DT_UINT32 22, DT_UINT64 23, DT_FLOAT8_E5M2 24,
    DT_FLOAT8_E4M3FN 25, DT_FLOAT8_E4M3FNUZ 26, DT_FLOAT8_E4M3B11FNUZ 27, DT_FLOAT8_E5M2FNUZ 28,
    DT_INT4 29, DT_UINT4 30, DT_INT2 31, DT_UINT2 32, DT_FLOAT4_E2M1FN 33
FullTypeId: TFT_UNSET 0, TFT_VAR 1, TFT_ANY 2, TFT_PRODUCT 3, TFT_NAMED 4, TFT_FOR_EACH 20,
    TFT_CALLABLE 100, TFT_TENSOR 1000, TFT_ARRAY 1001, TFT_OPTIONAL 1002, TFT_LITERAL 1003,
    TFT_ENCODED 1004, TFT_SHAPE_TENSOR 1005, TFT_BOOL 200, TFT_UINT8 201, TFT_UINT16 202,
    TFT_UINT32 203, TFT_UINT64 204, TFT_INT8 205, TFT_INT16 206, TFT_INT32 207, TFT_INT64 208,
    TFT_HALF 209, TFT_FLOAT 210, TFT_DOUBLE 211, TFT_BFLOAT16 215, TFT_COMPLEX64 212,
    TFT_COMPLEX128 213, TFT_STRING 214, TFT_DATASET 10102, TFT_RAGGED 10103, TFT_ITERATOR 10104,
    TFT_MUTEX_LOCK 10202, TFT_LEGACY_VARIANT 10203
SaverDef.CheckpointFormatVersion: LEGACY 0, V1 1, V2 2
TypeSpecProto.TypeSpecClass: UNKNOWN 0, SPARSE_TENSOR_SPEC 1, INDEXED_SLICES_SPEC 2,
    RAGGED_TENSOR_SPEC 3, TENSOR_ARRAY_SPEC 4, DATA_DATASET_SPEC 5, DATA_ITERATOR_SPEC 6,
    OPTIONAL_SPEC 7, PER_REPLICA_SPEC 8, VARIABLE_SPEC 9, ROW_PARTITION_SPEC 10,
    REGISTERED_TYPE_SPEC 12, EXTENSION_TYPE_SPEC 13
FunctionSpec.JitCompile: DEFAULT 0, ON 1, OFF 2
VariableSynchronization: VARIABLE_SYNCHRONIZATION_AUTO 0, VARIABLE_SYNCHRONIZATION_NONE 1,
    VARIABLE_SYNCHRONIZATION_ON_WRITE 2, VARIABLE_SYNCHRONIZATION_ON_READ 3
VariableAggregation: VARIABLE_AGGREGATION_NONE 0, VARIABLE_AGGREGATION_SUM 1,
    VARIABLE_AGGREGATION_MEAN 2, VARIABLE_AGGREGATION_ONLY_FIRST_REPLICA 3
"""
REFERENCE = 100  # a reference to a dtype: DT_FLOAT_REF is 101


class Known(NamedTuple):
    """A field of a message.

    kind: a word of `protobuf_schema.SCALARS` (an enumeration is "enum"), "string", "bytes", or
    the name of a message; repeated: whether it may come more than once (a map's entries do);
    values: an enumeration's numbers by name.
    """

    name: str
    number: int
    kind: str
    repeated: bool
    values: Mapping[str, int] | None = None

    @property
    def is_message(self) -> bool:
        return self.kind not in SCALARS and self.kind not in ("string", "bytes")


def _rows(table: str) -> dict[str, list[list[str]]]:
    """By name of each row, its cells: "one: a 1 x, b 2 y" gives [["a", "1", "x"], ...]."""
    rows: dict[str, list[list[str]]] = {}
    for line in table.replace("\n    ", " ").strip().splitlines():
        name, _, rest = line.partition(":")
        rows[name] = [cell.split() for cell in rest.split(",") if cell.strip()]
    return rows


@functools.cache
def _tables() -> tuple[dict[str, list[list[str]]], dict[str, dict[str, int]]]:
    numbers = {
        name: {value: int(number) for value, number in cells}
        for name, cells in _rows(_ENUMERATIONS).items()
    }
    plain = [one for one in numbers["DataType"].items() if one[1]]
    numbers["DataType"] |= {f"{name}_REF": number + REFERENCE for name, number in plain}
    return _rows(_MESSAGES), numbers


@functools.cache
def known(message: str) -> Mapping[str, Known]:
    """The fields of a message by name. "string:AttrValue" is the entry of such a map."""
    messages, enumerations = _tables()
    key, _, value = message.partition(":")
    cells = [["key", "1", key], ["value", "2", value]] if value else messages[message]
    found = {}
    for name, number, word in cells:
        kind = word.removesuffix("*")
        repeated = word != kind or ":" in kind
        values = enumerations.get(kind)
        found[name] = Known(name, int(number), "enum" if values else kind, repeated, values)
    return found
