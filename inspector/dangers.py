"""What in a model reaches past its own values, told by names: modules, classes and operators.

Keras makes a model by calling what its config names, and a graph is a program: some of what either
names fetches, reads, writes or runs. Nothing here is looked up in Keras or TensorFlow: these are
tables. Sources: `deserialize_keras_object` and `NON_MODELING_APIS` of keras 3.15, the same of
tf_keras 2.21, `TFOpLambda` and `ClassMethod` in tf_keras' `tf_op_layer.py`, TensorFlow's
SECURITY.md and its operator registry (2.21).
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Mapping
from typing import Any

_KERAS = frozenset({"keras", "tf_keras", "keras_core"})
_TOOLKIT = "tensorflow_model_optimization"
# Parts of Keras whose classes and functions make models. Others fetch files, read them, start
# servers: `keras.utils.get_file` is a function that a config can name.
_PARTS = frozenset(
    {
        "activations",
        "constraints",
        "dtype_policies",
        "engine",
        "feature_column",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "premade_models",
        "quantizers",
        "random",
        "regularizers",
        "rnn",
    }
)
# Where TensorFlow kept Keras, and what is in front of the part.
_INSIDE = re.compile(r"^(?:tensorflow\.(?:python\.)?keras|(?:tf_)?keras(?:_core)?)(?:\.|$)")
# What Keras' layers make of TensorFlow's own functions: arithmetic alone.
_ARITHMETIC = re.compile(
    r"^tensorflow\.python\.ops\.(?:gen_)?"
    r"(?:array|bitwise|clip|image|init|linalg|math|nn|random|signal|special_math)_(?:ops|impl)"
    r"(?:_impl|_v2)?$"
)
_PREFIX = re.compile(r"^(?:src\.|api\.|_tf_keras\.|keras\.|v2\.|_v2\.|legacy\.)+")

# What the same parts have that loads, saves, fetches or changes how Keras loads.
_UTILITIES = re.compile(
    r"^(?:_?(?:load|save|export|write|read|open|import)_\w+|get_file|extract_archive"
    r"|model_from_\w+|\w*_from_directory|func_(?:load|dump)"
    r"|(?:de)?serialize(?:_\w+)?|enable_unsafe_deserialization|set_global_attribute"
    r"|register_keras_serializable|\w*custom_objects?|clear_session|plot_model|run_\w+"
    r"|attrgetter|methodcaller|get_symbol_from_name)$"
)
# Python's own functions that run code, open files or reach into objects.
_BUILTINS = frozenset(
    {
        "__build_class__",
        "__import__",
        "breakpoint",
        "classmethod",
        "compile",
        "delattr",
        "eval",
        "exec",
        "exit",
        "getattr",
        "globals",
        "help",
        "input",
        "locals",
        "memoryview",
        "open",
        "print",
        "quit",
        "setattr",
        "staticmethod",
        "type",
        "vars",
    }
)
# What runs, fetches and reads, and has no layers: in a config somebody put it there by hand.
_OTHERS = """
    IPython PIL absl aiohttp astunparse boto3 botocore celery click cloudpickle cv2 dask dill
    distributed django docker fabric flask flatbuffers fsspec gast git google grpc h5py httpx
    importlib_metadata invoke jax jinja2 joblib kubernetes lightgbm markdown markdown_it matplotlib
    mdurl ml_dtypes mlflow multiprocess namex nltk notebook numba numpy opt_einsum optree packaging
    pandas paramiko pathos pexpect pip pkg_resources plumbum psutil ptyprocess pygments pyspark
    pytest ray requests rich scipy setuptools sh six skimage sklearn sqlalchemy statsmodels sympy
    tensorboard tensorflow termcolor theano torch tornado twisted typing_extensions urllib3 wandb
    werkzeug wrapt xgboost yaml
"""
_PACKAGES = (sys.stdlib_module_names | set(_OTHERS.split())) - {"__main__", "builtins"}
# Packages of layers that others published for Keras, and that a program imports to use them.
_PUBLISHED = """
    HGQ akida autokeras classification_models cnn2snn efficientnet hgq kapre keras_applications
    keras_bert keras_contrib keras_cv keras_hub keras_nlp keras_rs keras_self_attention keras_tuner
    larq official qkeras quantizeml segmentation_models spektral tcn tensorflow_addons
    tensorflow_compression tensorflow_decision_forests tensorflow_graphics tensorflow_hub
    tensorflow_lattice tensorflow_probability tensorflow_ranking tensorflow_recommenders
    tensorflow_text tf_slim transformers vitis_quantizer
"""
_LIBRARIES = frozenset(_PUBLISHED.split())

# Layers that load other things than their config: what they do.
LOADERS: Mapping[str, str] = {
    "KerasLayer": "loads a module of TensorFlow Hub, from wherever its config says",
    "TFSMLayer": "loads another SavedModel, from wherever its config says",
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "JaxLayer": "calls a Python function",
    "FlaxLayer": "calls a Python function",
}

# Namespaces of TensorFlow's API whose functions compute, and do nothing else, when a TFOpLambda
# calls them; of the functions outside any, those that do more.
_PURE = frozenset(
    {
        "__operators__",
        "audio",
        "bitwise",
        "dtypes",
        "image",
        "linalg",
        "math",
        "nest",
        "nn",
        "quantization",
        "ragged",
        "random",
        "sets",
        "signal",
        "sparse",
        "strings",
    }
)
_IMPURE = frozenset(
    {
        "function",
        "import_graph_def",
        "load_library",
        "load_op_library",
        "numpy_function",
        "print",
        "py_function",
        "recompute_grad",
    }
)
_CLASSES = frozenset({"RaggedTensor", "SparseTensor", "Tensor", "TensorShape", "IndexedSlices"})

_RUNS: Mapping[str, str] = {
    "DebugIdentity": "sends values to files or addresses that the graph names",
    "DebugIdentityV2": "sends values to files or addresses that the graph names",
    "DebugIdentityV3": "sends values to files or addresses that the graph names",
    "EagerPyFunc": "calls Python code",
    "PyFunc": "calls Python code",
    "PyFuncStateless": "calls Python code",
    "RemoteFusedGraphExecute": "hands a graph to a program outside",
    "WriteFile": "writes files that the graph names",
}
_READS, _WRITES = "reads files that the graph names", "writes files that the graph names"
_SENDS = "sends values to files or addresses that the graph names"
_NETWORK = "speaks with other machines"
_ROWS: tuple[tuple[str, str], ...] = (
    (
        "ReadFile MatchingFiles ImmutableConst LoadAndRemapMatrix GenerateVocabRemapping"
        " WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader"
        " TFRecordReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 LMDBReader"
        " TextLineDataset TextLineDatasetV2 TFRecordDataset TFRecordDatasetV2"
        " FixedLengthRecordDataset FixedLengthRecordDatasetV2 CSVDataset CSVDatasetV2"
        " ExperimentalCSVDataset SqlDataset ExperimentalSqlDataset LMDBDataset"
        " ExperimentalLMDBDataset MatchingFilesDataset ExperimentalMatchingFilesDataset"
        " LoadDataset SnapshotDatasetReader SnapshotNestedDatasetReader SnapshotChunkDataset"
        " ListSnapshotChunksDataset DTensorRestoreV2",
        _READS,
    ),
    (
        "DatasetToTFRecord ExperimentalDatasetToTFRecord SaveDataset SaveDatasetV2 DistributedSave"
        " SnapshotDataset SnapshotDatasetV2 CacheDataset CacheDatasetV2"
        " CreateSummaryFileWriter CreateSummaryDbWriter DumpTensor CalibrationStatisticsSaver",
        _WRITES,
    ),
    ("DebugNanCount DebugNumericSummary", _SENDS),
    ("DatasetFromGraph", "runs a graph that is kept in a text, and not looked at"),
    (
        "Rpc TryRpc RpcCall RpcClient RpcServer RpcServerRegister RpcServerStart"
        " DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4"
        " RegisterDataset RegisterDatasetV2 BigQueryReader GenerateBigQueryReaderPartitions",
        _NETWORK,
    ),
    (
        "FileSystemSetConfiguration GcsConfigureBlockCache GcsConfigureCredentials",
        "changes how files are reached",
    ),
)

# TensorFlow's operators that reach past the graph -> what each does.
OPERATORS: Mapping[str, str] = {
    **{op: what for ops, what in _ROWS for op in ops.split()},
    **_RUNS,
}
# What runs when the graph does, without a word from the caller: with live TensorFlow too.
RUNNING: Mapping[str, str] = _RUNS
# Operators of checkpoints: which of their inputs name files, and what is done with them. Every
# SavedModel has them, to load and save its own variables.
SAVER_OPERATORS: Mapping[str, tuple[tuple[int, ...], str]] = {
    "MergeV2Checkpoints": ((0, 1), "joins checkpoints, and deletes what they were made of"),
    "Restore": ((0,), "reads a checkpoint"),
    "RestoreSlice": ((0,), "reads a checkpoint"),
    "RestoreV2": ((0,), "reads a checkpoint"),
    "Save": ((0,), "writes a checkpoint"),
    "SaveSlices": ((0,), "writes a checkpoint"),
    "SaveV2": ((0,), "writes a checkpoint"),
}
# Operators that fill a table from a file: the input that names it.
TABLE_OPERATORS: Mapping[str, int] = {
    "InitializeTableFromTextFile": 1,
    "InitializeTableFromTextFileV2": 1,
}
# Operators that reach files only where an attribute says so: which one, and how it reads then.
ATTRIBUTE_OPERATORS: Mapping[str, tuple[str, re.Pattern[str], str]] = {
    "DecodeProtoV2": ("descriptor_source", re.compile(r"(?!local://|bytes://)."), _READS),
    "EncodeProto": ("descriptor_source", re.compile(r"(?!local://|bytes://)."), _READS),
    "PrintV2": ("output_stream", re.compile(r"file://"), _WRITES),
}
# All operators that reach past the graph wherever they stand alone -> what each does.
REACHING: Mapping[str, str] = {
    **OPERATORS,
    **{op: what for op, (_, what) in SAVER_OPERATORS.items()},
    **dict.fromkeys(TABLE_OPERATORS, _READS),
}
_RISKY_OPERATOR = re.compile(rf"\b(?:{'|'.join(REACHING)})\b")


class Origin(enum.StrEnum):
    """Where what a config names comes from."""

    MODEL = "model"  # of Keras, and makes models
    CUSTOM = "custom"  # code that somebody must supply first: no module is imported for it
    OUTSIDE = "outside"  # a module that loading may import, to call what it has


def origin_of(name: str, module: str | None, registered: str | None, *, function: bool) -> Origin:
    """Where an object of a config comes from: `name` of `module`, as the config says.

    registered: its `registered_name`; function: whether it is one, and no class. Objects that are
    registered with Keras are found by that name before any module is imported; a module that any
    Python has is imported where they are not.
    """
    top = (module or "").partition(".")[0]
    if function and _UTILITIES.match(name):
        return Origin.OUTSIDE if module else Origin.CUSTOM
    if module is None or top == "__main__":
        return Origin.CUSTOM
    if module == "builtins":
        return Origin.OUTSIDE if name in _BUILTINS else Origin.MODEL
    if is_modelling(module):
        return Origin.OUTSIDE if _UTILITIES.match(name) else Origin.MODEL
    if top in _KERAS or top in _PACKAGES:
        return Origin.OUTSIDE
    supplied = top in _LIBRARIES or (registered is not None and ">" in registered)
    return Origin.CUSTOM if supplied else Origin.OUTSIDE


def is_modelling(module: str) -> bool:
    """Whether what is in a module makes models and does nothing else."""
    if module in ("builtins", *_KERAS) or module.partition(".")[0] == _TOOLKIT:
        return True  # "builtins" stands for functions that Keras knows by name
    if _ARITHMETIC.match(module):
        return True
    inside = _INSIDE.match(module)
    if inside is None:
        return False
    rest = _PREFIX.sub("", module[inside.end() :])
    return rest.partition(".")[0] in _PARTS


def keeps_code(config: Any) -> bool:
    """Whether a Lambda's config has Python code in it, and not the name of a function alone."""
    said: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    function = said.get("function")
    kept = isinstance(function, list) or (
        isinstance(function, Mapping) and function.get("class_name") in {"__lambda__", "__tuple__"}
    )
    return kept or "lambda" in (said.get("function_type"), said.get("output_shape_type"))


def called(name: str, config: Any) -> str | None:
    """What a layer that tf_keras makes of a call does, where it may do more than compute.

    name: the layer's class. None for all other classes, and for what only computes.
    """
    said: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    if name in {"TFOpLambda", "SlicingOpLambda"}:
        function = str(said.get("function", "?"))
        space, dot, _ = function.partition(".")
        if space not in _PURE if dot else function in _IMPURE:
            return f"calls tf.{function}, which may do more than compute"
    elif name == "ClassMethod":
        owner = str(said.get("cls_symbol", "?"))
        if owner.rpartition(".")[2] not in _CLASSES:
            return f"calls a method of {owner}, which may do more than compute"
    elif name == "TensorFlowOpLayer":
        found = _RISKY_OPERATOR.search(str(said.get("node_def", "?")))
        if found:
            return f"is the operator {found[0]}, which {REACHING[found[0]]}"
    return None


# Classes that tf_keras makes of calls.
CALLED = frozenset(
    {
        "ClassMethod",
        "InstanceMethod",
        "InstanceProperty",
        "SlicingOpLambda",
        "TFOpLambda",
        "TensorFlowOpLayer",
    }
)

# What unpickling arrays calls, and what makes no more than values.
_HARMLESS = re.compile(
    r"_codecs\.encode|collections\.OrderedDict|ml_dtypes\.\w+"
    r"|(?:builtins|__builtin__)\.(?:bytearray|bytes|complex|frozenset|list|range|set|slice)"
    r"|numpy(?:\._?core)?\.(?:multiarray|numeric)\.(?:_reconstruct|scalar|_frombuffer)"
    r"|numpy\.(?:dtype|ndarray)|numpy\.dtypes\.\w+"
    r"|jax\._src\.array\._reconstruct_array"
)

# What Keras itself pickled into model.weights.npz: variables, which TensorFlow makes.
_VARIABLES = re.compile(
    r"functools\.partial|keras\.src\.backend\.(?:\w++\.)*+(?:Keras)?Variable"
    r"|tensorflow\.python\.framework\.dtypes\.as_dtype"
    r"|tensorflow\.python\.ops\.resource_variable_ops\.ResourceVariable"
    r"|tensorflow\.python\.framework\.ops\.convert_to_tensor"
)


def is_variable(imported: str) -> bool:
    """Whether a pickle that imports this makes variables of Keras, as Keras itself writes them."""
    return _VARIABLES.fullmatch(imported) is not None


def is_harmless(imported: str) -> bool:
    """Whether a pickle that imports this ("numpy.ndarray") makes no more than values of it."""
    return _HARMLESS.fullmatch(imported) is not None
