"""The options of .tflite operators: which table has each number of the unions, and its fields.

Source: schema.fbs of LiteRT (ai-edge-litert 2.3). The notation is flatbuffer_schema's. Options that
have no fields are named in the unions alone.
"""

from __future__ import annotations

from collections.abc import Mapping

# Number 1 of the union comes first; 0 is none.
_OPTIONS = """
Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions LSHProjectionOptions
Pool2DOptions SVDFOptions RNNOptions FullyConnectedOptions SoftmaxOptions
ConcatenationOptions AddOptions L2NormOptions LocalResponseNormalizationOptions LSTMOptions
ResizeBilinearOptions CallOptions ReshapeOptions SkipGramOptions SpaceToDepthOptions
EmbeddingLookupSparseOptions MulOptions PadOptions GatherOptions BatchToSpaceNDOptions
SpaceToBatchNDOptions TransposeOptions ReducerOptions SubOptions DivOptions SqueezeOptions
SequenceRNNOptions StridedSliceOptions ExpOptions TopKV2Options SplitOptions
LogSoftmaxOptions CastOptions DequantizeOptions MaximumMinimumOptions ArgMaxOptions
LessOptions NegOptions PadV2Options GreaterOptions GreaterEqualOptions LessEqualOptions
SelectOptions SliceOptions TransposeConvOptions SparseToDenseOptions TileOptions
ExpandDimsOptions EqualOptions NotEqualOptions ShapeOptions PowOptions ArgMinOptions
FakeQuantOptions PackOptions LogicalOrOptions OneHotOptions LogicalAndOptions
LogicalNotOptions UnpackOptions FloorDivOptions SquareOptions ZerosLikeOptions FillOptions
BidirectionalSequenceLSTMOptions BidirectionalSequenceRNNOptions
UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions ResizeNearestNeighborOptions
LeakyReluOptions SquaredDifferenceOptions MirrorPadOptions AbsOptions SplitVOptions
UniqueOptions ReverseV2Options AddNOptions GatherNdOptions CosOptions WhereOptions
RankOptions ReverseSequenceOptions MatrixDiagOptions QuantizeOptions MatrixSetDiagOptions
HardSwishOptions IfOptions WhileOptions DepthToSpaceOptions NonMaxSuppressionV4Options
NonMaxSuppressionV5Options ScatterNdOptions SelectV2Options DensifyOptions SegmentSumOptions
BatchMatMulOptions CumsumOptions CallOnceOptions BroadcastToOptions Rfft2dOptions
Conv3DOptions HashtableOptions HashtableFindOptions HashtableImportOptions
HashtableSizeOptions VarHandleOptions ReadVariableOptions AssignVariableOptions
RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions
UnsortedSegmentProdOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions
UnsortedSegmentSumOptions ATan2Options SignOptions BitcastOptions BitwiseXorOptions
RightShiftOptions
"""
OPTIONS: tuple[str, ...] = tuple(_OPTIONS.split())

_OPTIONS_2 = """
StablehloConcatenateOptions StablehloBroadcastInDimOptions StablehloSliceOptions
StablehloConvolutionOptions StablehloCustomCallOptions StablehloReduceOptions
StablehloScatterOptions StablehloCompareOptions StablehloDynamicSliceOptions
StablehloPadOptions StablehloIotaOptions StablehloDotGeneralOptions
StablehloReduceWindowOptions StablehloSortOptions StablehloWhileOptions
StablehloGatherOptions StablehloTransposeOptions DilateOptions
StablehloRngBitGeneratorOptions ReduceWindowOptions StableHLOCompositeOptions
StablehloShiftLeftOptions StablehloCaseOptions
"""
OPTIONS_2: tuple[str, ...] = tuple(_OPTIONS_2.split())

OPTION_FIELDS: Mapping[str, str] = {
    "AddOptions": "fused_activation_function:int8 pot_scale_int16:bool=true",
    "ArgMaxOptions": "output_type:int8",
    "ArgMinOptions": "output_type:int8",
    "BatchMatMulOptions": "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool",
    "BidirectionalSequenceLSTMOptions": (
        "fused_activation_function:int8 cell_clip:float32 proj_clip:float32 "
        "merge_outputs:bool time_major:bool=true asymmetric_quantize_inputs:bool"
    ),
    "BidirectionalSequenceRNNOptions": (
        "time_major:bool fused_activation_function:int8 merge_outputs:bool "
        "asymmetric_quantize_inputs:bool"
    ),
    "BucketizeOptions": "boundaries:[float32]",
    "CallOnceOptions": "init_subgraph_index:int32",
    "CallOptions": "subgraph:uint32",
    "CastOptions": "in_data_type:int8 out_data_type:int8",
    "ConcatEmbeddingsOptions": (
        "num_channels:int32 num_columns_per_channel:[int32] embedding_dim_per_channel:[int32]"
    ),
    "ConcatenationOptions": "axis:int32 fused_activation_function:int8",
    "Conv2DOptions": (
        "padding:int8 stride_w:int32 stride_h:int32 fused_activation_function:int8 "
        "dilation_w_factor:int32=1 dilation_h_factor:int32=1 quantized_bias_type:int8"
    ),
    "Conv3DOptions": (
        "padding:int8 stride_d:int32 stride_w:int32 stride_h:int32 "
        "fused_activation_function:int8 dilation_d_factor:int32=1 dilation_w_factor:int32=1 "
        "dilation_h_factor:int32=1"
    ),
    "CumsumOptions": "exclusive:bool reverse:bool",
    "DepthToSpaceOptions": "block_size:int32",
    "DepthwiseConv2DOptions": (
        "padding:int8 stride_w:int32 stride_h:int32 depth_multiplier:int32 "
        "fused_activation_function:int8 dilation_w_factor:int32=1 dilation_h_factor:int32=1"
    ),
    "DivOptions": "fused_activation_function:int8",
    "EmbeddingLookupSparseOptions": "combiner:int8",
    "FakeQuantOptions": "min:float32 max:float32 num_bits:int32 narrow_range:bool",
    "FullyConnectedOptions": (
        "fused_activation_function:int8 weights_format:int8 keep_num_dims:bool "
        "asymmetric_quantize_inputs:bool quantized_bias_type:int8 quant_spec:[uint8]"
    ),
    "GatherOptions": "axis:int32 batch_dims:int32",
    "GeluOptions": "approximate:bool",
    "HashtableOptions": "table_id:int32 key_dtype:int8 value_dtype:int8",
    "IfOptions": "then_subgraph_index:int32 else_subgraph_index:int32",
    "L2NormOptions": "fused_activation_function:int8",
    "LSHProjectionOptions": "type:int8",
    "LSTMOptions": (
        "fused_activation_function:int8 cell_clip:float32 proj_clip:float32 kernel_type:int8 "
        "asymmetric_quantize_inputs:bool"
    ),
    "LeakyReluOptions": "alpha:float32",
    "LocalResponseNormalizationOptions": "radius:int32 bias:float32 alpha:float32 beta:float32",
    "MirrorPadOptions": "mode:int8",
    "MulOptions": "fused_activation_function:int8",
    "OneHotOptions": "axis:int32",
    "PackOptions": "values_count:int32 axis:int32",
    "Pool2DOptions": (
        "padding:int8 stride_w:int32 stride_h:int32 filter_width:int32 filter_height:int32 "
        "fused_activation_function:int8"
    ),
    "RNNOptions": "fused_activation_function:int8 asymmetric_quantize_inputs:bool",
    "RandomOptions": "seed:int64 seed2:int64",
    "ReduceWindowOptions": "reduce_function:int32",
    "ReducerOptions": "keep_dims:bool",
    "ReshapeOptions": "new_shape:[int32]",
    "ResizeBilinearOptions": "- - align_corners:bool half_pixel_centers:bool",
    "ResizeNearestNeighborOptions": "align_corners:bool half_pixel_centers:bool",
    "ReverseSequenceOptions": "seq_dim:int32 batch_dim:int32",
    "SVDFOptions": "rank:int32 fused_activation_function:int8 asymmetric_quantize_inputs:bool",
    "SequenceRNNOptions": (
        "time_major:bool fused_activation_function:int8 asymmetric_quantize_inputs:bool"
    ),
    "ShapeOptions": "out_type:int8",
    "SkipGramOptions": "ngram_size:int32 max_skip_size:int32 include_all_ngrams:bool",
    "SoftmaxOptions": "beta:float32",
    "SpaceToDepthOptions": "block_size:int32",
    "SparseToDenseOptions": "validate_indices:bool",
    "SplitOptions": "num_splits:int32",
    "SplitVOptions": "num_splits:int32",
    "SqueezeOptions": "squeeze_dims:[int32]",
    "StableHLOCompositeOptions": (
        "name:string decomposition_subgraph_index:int32 composite_attributes:[uint8] "
        "composite_attributes_format:int8 version:int32"
    ),
    "StablehloBroadcastInDimOptions": "broadcast_dimensions:[int64]",
    "StablehloCaseOptions": "branch_subgraph_indices:[int32]",
    "StablehloCompareOptions": "comparison_direction:uint32 compare_type:uint32",
    "StablehloConcatenateOptions": "dimension:int64",
    "StablehloConvolutionOptions": (
        "window_strides:[int64] padding:[int64] lhs_dilation:[int64] rhs_dilation:[int64] "
        "window_reversal:[bool] input_batch_dimension:int64 input_feature_dimension:int64 "
        "input_spatial_dimensions:[int64] kernel_input_feature_dimension:int64 "
        "kernel_output_feature_dimension:int64 kernel_spatial_dimensions:[int64] "
        "output_batch_dimension:int64 output_feature_dimension:int64 "
        "output_spatial_dimensions:[int64] feature_group_count:int64 batch_group_count:int64 "
        "precision_config:[uint32]"
    ),
    "StablehloCustomCallOptions": (
        "call_target_name:string has_side_effect:bool backend_config:string api_version:int32 "
        "called_computations:[int32] custom_attributes:[uint8]"
    ),
    "StablehloDotGeneralOptions": (
        "lhs_batching_dimensions:[int64] rhs_batching_dimensions:[int64] "
        "lhs_contracting_dimensions:[int64] rhs_contracting_dimensions:[int64] "
        "precision_config:[uint32]"
    ),
    "StablehloDynamicSliceOptions": "slice_sizes:[int64]",
    "StablehloGatherOptions": (
        "offset_dims:[int64] collapsed_slice_dims:[int64] start_index_map:[int64] "
        "index_vector_dim:int64 slice_sizes:[int64] indices_are_sorted:bool"
    ),
    "StablehloIotaOptions": "iota_dimension:int64",
    "StablehloPadOptions": (
        "edge_padding_low:[int64] edge_padding_high:[int64] interior_padding:[int64]"
    ),
    "StablehloReduceOptions": "dimensions:[int64] body_subgraph_index:int32",
    "StablehloReduceWindowOptions": (
        "window_dimensions:[int64] window_strides:[int64] base_dilations:[int64] "
        "window_dilations:[int64] padding:[int64] body_subgraph_index:int32"
    ),
    "StablehloRngBitGeneratorOptions": "algorithm:int8",
    "StablehloScatterOptions": (
        "indices_are_sorted:bool update_window_dims:[int64] inserted_window_dims:[int64] "
        "scatter_dims_to_operand_dims:[int64] index_vector_dim:int64 unique_indices:bool "
        "update_computation_subgraph_index:int32"
    ),
    "StablehloSliceOptions": "start_indices:[int64] limit_indices:[int64] strides:[int64]",
    "StablehloSortOptions": "dimension:int64 is_stable:bool comparator_subgraph_index:int32",
    "StablehloTransposeOptions": "permutation:[int64]",
    "StablehloWhileOptions": "cond_subgraph_index:int32 body_subgraph_index:int32",
    "StridedSliceOptions": (
        "begin_mask:int32 end_mask:int32 ellipsis_mask:int32 new_axis_mask:int32 "
        "shrink_axis_mask:int32 offset:bool"
    ),
    "SubOptions": "fused_activation_function:int8 pot_scale_int16:bool=true",
    "TransposeConvOptions": (
        "padding:int8 stride_w:int32 stride_h:int32 fused_activation_function:int8 "
        "quantized_bias_type:int8"
    ),
    "UnidirectionalSequenceLSTMOptions": (
        "fused_activation_function:int8 cell_clip:float32 proj_clip:float32 time_major:bool "
        "asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool"
    ),
    "UniqueOptions": "idx_out_type:int8=2",
    "UnpackOptions": "num:int32 axis:int32",
    "VarHandleOptions": "container:string shared_name:string",
    "WhileOptions": "cond_subgraph_index:int32 body_subgraph_index:int32",
}
