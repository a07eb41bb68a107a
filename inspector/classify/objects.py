"""Rules for variables whose place is known by an object graph.

FIRST comes before what classes say, OTHERS after it: for objects whose class nothing tells.
"""

from __future__ import annotations

import re

from inspector.classify.fallback import by_keras_name
from inspector.classify.rule import Context, Rule, each
from inspector.keras.objects_layers import METRIC_MODULE
from inspector.model import Flavor, Role, Section, Store, Tensor, Verdict

_TABLE = re.compile(r"/\.ATTRIBUTES/[^/]+-(?P<part>keys|values)$")
_SEED = re.compile(r"(?:^|/)(seed_generator_state|StateVar)(_\d+)?$")
_COUNTER = re.compile(
    r"^(global_)?(step|steps|counter|epoch|iter|iteration|iterations|save_counter)(_\d+)?$"
)
_STATISTIC = re.compile(
    r"(^|_)(moving|running|ema|renorm)_?(mean|var|variance|average|std|stddev)?(_\d+)?$|^(mean|variance)$"
)
# What Keras 3 adds to a variable that it quantizes, by the variable's own name.
_SCALES = re.compile(r"^(?P<of>.+)_(scale|zero|amax_history)$")
_FLOATS = ("float", "bfloat", "complex")
_INTEGERS = ("int", "uint")


def _is_here(context: Context, tensor: Tensor) -> bool:
    return context.artifact.store is Store.OBJECTS and tensor.section in {
        Section.MODEL,
        Section.OTHER,
    }


def _is_of_keras(context: Context, tensor: Tensor) -> bool:
    """Whether the name says more than the file's flag: one that Keras gives, in a Keras model."""
    return context.artifact.uncounted is None and by_keras_name(context, tensor) is not None


def _holder(context: Context, tensor: Tensor) -> str:
    """What holds the variable, in words."""
    if tensor.section is Section.OTHER:
        return "the checkpoint's root"
    layer = context.layers.get(tensor.layer or "")
    path = tensor.layer or "the root object"
    if layer is not None and layer.class_name:
        return f"{layer.class_name} {path}"
    return f"{path}, whose class the file does not tell"


def _copy(context: Context, tensor: Tensor) -> Verdict | None:
    # Constants of graphs repeat each other for other reasons.
    if context.artifact.store is not Store.OBJECTS or tensor.section is Section.GRAPH:
        return None
    if tensor.repeats is None:
        return None
    evidence = (
        f"{tensor.repeats}, stored once more: the export lists it a second time as a variable of"
        " the same name, dtype and shape"
    )
    return Verdict(
        Role.ALIAS,
        "export-copy",
        "structure",
        evidence,
        about=tensor.repeats,
        alias_of=tensor.repeats,
    )


def _table(context: Context, tensor: Tensor) -> Verdict | None:
    found = _TABLE.search(tensor.name)
    if context.artifact.store is not Store.OBJECTS or found is None:
        return None
    name = (tensor.variable or tensor.name).removesuffix(f"-{found['part']}")
    evidence = f"the {found['part']} of the lookup table {name!r} of {_holder(context, tensor)}"
    return Verdict(Role.LOOKUP, "lookup-table", "structure", evidence, trainable=False)


def _generator(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_here(context, tensor) or not tensor.dtype.startswith(_INTEGERS):
        return None
    if len(tensor.shape or ()) != 1 or not _SEED.search(tensor.stored_name or ""):
        return None
    evidence = f"{tensor.stored_name!r}: the state of a random generator, no parameter"
    return Verdict(Role.COUNTER, "generator-state", "name", evidence, trainable=False)


def _quantized(context: Context, tensor: Tensor) -> Verdict | None:
    """Told before the graph speaks, which looks scales up and multiplies as it does with weights.

    g_idx tells of each row of a kernel which of the scales is its own.
    """
    if not _is_here(context, tensor) or context.artifact.flavor is not Flavor.KERAS3:
        return None
    name = (tensor.variable or "").rpartition("/")[2]
    told = _SCALES.match(name)
    base = told["of"] if told is not None else "kernel" if name == "g_idx" else None
    if base is None or tensor.owner is None or (tensor.layer, base) not in context.by_variable:
        return None
    evidence = (
        f"called {name!r}, beside {base!r} of {_holder(context, tensor)}: what Keras 3 reads a"
        " quantized variable with"
    )
    # Those of float8 are trained, in a way: the gradient is written over them.
    return Verdict(Role.QUANT_PARAM, "object-quant-param", "name", evidence)


def _vector(context: Context, tensor: Tensor) -> Verdict | None:
    """Told before the graph speaks, which multiplies it as it does a weight."""
    name = (tensor.variable or "").rpartition("/")[2]
    if not _is_here(context, tensor) or name != "vector_u" or tensor.trainable:
        return None
    if len(tensor.shape or ()) != 2 or not _is_of_keras(context, tensor):
        return None
    evidence = (
        f"called {name!r}, of {_holder(context, tensor)}: the vector that SpectralNormalization"
        " keeps between steps"
    )
    return Verdict(Role.STATISTIC, "object-vector", "name", evidence, trainable=False)


def _metric(context: Context, tensor: Tensor) -> Verdict | None:
    layer = context.layers.get(tensor.layer or "")
    if not _is_here(context, tensor) or layer is None or layer.module != METRIC_MODULE:
        return None
    evidence = (
        f"the running state of the metric {layer.path}, an attribute of the model: tf_keras counts"
        " it as one of its layers"
    )
    return Verdict(Role.METRIC, "object-metric", "structure", evidence, trainable=False)


def _counter(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_here(context, tensor) or tensor.shape != ():
        return None
    if tensor.trainable or not tensor.dtype.startswith(_INTEGERS):
        return None
    name = (tensor.variable or "").rpartition("/")[2]
    if name == "save_counter":
        said = "how often tf.train.Checkpoint has saved"
    elif _COUNTER.match(name):
        said = f"one integer called {name!r} of {_holder(context, tensor)}: a count"
    else:
        return None
    return Verdict(Role.COUNTER, "object-counter", "name", said, trainable=False)


def _setting(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_here(context, tensor) or tensor.trainable:
        return None
    what = tensor.variable or "a variable"
    if tensor.dtype == "string":
        said = "text"
    elif tensor.dtype == "bool":
        said = "true or false"
    elif tensor.shape == () and tensor.dtype.startswith(_INTEGERS):
        said = "one integer"
    else:
        return None
    if _is_of_keras(context, tensor):
        return None
    evidence = f"{what} of {_holder(context, tensor)}: {said}, which is no weight"
    return Verdict(Role.CONSTANT, "object-setting", "structure", evidence, trainable=False)


def _statistic(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_here(context, tensor) or tensor.trainable is not False:
        return None
    name = (tensor.variable or "").rpartition("/")[2]
    if not tensor.dtype.startswith(_FLOATS) or not _STATISTIC.search(name):
        return None
    if _is_of_keras(context, tensor):
        return None
    evidence = (
        f"called {name!r}, and the file marks it as not trained: a statistic of"
        f" {_holder(context, tensor)}"
    )
    return Verdict(Role.STATISTIC, "object-statistic", "name", evidence, trainable=False)


def _variable(context: Context, tensor: Tensor) -> Verdict | None:
    if not _is_here(context, tensor) or tensor.shape is None or _is_of_keras(context, tensor):
        return None
    what = f"{tensor.variable or 'a variable'} of {_holder(context, tensor)}"
    if tensor.trainable:
        said = "a variable that the file marks as trainable"
    elif tensor.dtype.startswith(_INTEGERS):
        said = "an array of integers, which no optimizer trains; what it is for is not told"
        return Verdict(Role.WEIGHT, "object-variable", "structure", f"{what}: {said}", False)
    elif tensor.trainable is False:
        said = "a variable that the file marks as not trained; what it is for is not told"
    else:
        return None
    return Verdict(
        Role.WEIGHT, "object-variable", "structure", f"{what}: {said}", trainable=tensor.trainable
    )


def _beside(context: Context, tensor: Tensor) -> Verdict | None:
    """A variable of a checkpoint, with nothing that says whether it is trained."""
    if not _is_here(context, tensor) or tensor.section is not Section.OTHER:
        return None
    if tensor.variable is None or not tensor.dtype.startswith(_FLOATS):
        return None
    evidence = (
        f"{tensor.variable} of {_holder(context, tensor)}, beside the model: a variable, and the"
        " file does not say what it is for"
    )
    return Verdict(Role.WEIGHT, "object-beside", "structure", evidence)


FIRST: tuple[Rule, ...] = (
    Rule(
        "export-copy",
        "a variable that an export stores twice",
        "Keras 3's export writes the model's variables under `variables`, and again, as variables "
        "of their own, under `_all_variables`. Name, dtype and shape pair them.",
        "_all_variables/0/.ATTRIBUTES/VARIABLE_VALUE",
        each(_copy),
    ),
    Rule(
        "lookup-table",
        "the keys or values of a lookup table",
        "A table that can change (of a lookup layer that counts, or of the program's own) is "
        "stored as two tensors, its keys and its values. They are no parameters.",
        "table/.ATTRIBUTES/table-keys",
        each(_table),
    ),
    Rule(
        "generator-state",
        "the state of a random generator",
        "Dropout, noise and augmentation layers and tf.random.Generator keep a few integers, known "
        "by their name, dtype and rank. count_params leaves them out.",
        "seed_generator/seed_generator_state",
        each(_generator),
    ),
    Rule(
        "object-quant-param",
        "the scales and zero points of a variable that Keras 3 quantized",
        "kernel_scale, kernel_zero, g_idx and the amax histories of float8, beside the variable "
        "that they are of. An export has no class of its layers.",
        "dense/kernel_scale, beside dense/kernel",
        each(_quantized),
    ),
    Rule(
        "object-vector",
        "the vector that SpectralNormalization keeps",
        "vector_u of Keras 3, not trained. An export has no class of its layers, and its graph "
        "multiplies the vector with the kernel.",
        "spectral_normalization/vector_u",
        each(_vector),
    ),
)

OTHERS: tuple[Rule, ...] = (
    Rule(
        "object-metric",
        "the state of a metric that is a model's own attribute",
        "Known by the SavedModel's word, or by the variables that metrics have (total and count, "
        "true_positives ...). model.count_params() counts it.",
        "tracker/total/.ATTRIBUTES/VARIABLE_VALUE",
        each(_metric),
    ),
    Rule(
        "object-counter",
        "a count that a program saves with its model",
        "An integer scalar that is called step, counter, epoch or the like, and the counter of "
        "saves of tf.train.Checkpoint.",
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
        each(_counter),
    ),
    Rule(
        "object-setting",
        "a text, a flag or a number that is no weight",
        "Variables of strings and of booleans, and single integers, of an object of unknown class.",
        "_is_trained/.ATTRIBUTES/VARIABLE_VALUE",
        each(_setting),
    ),
    Rule(
        "object-statistic",
        "a variable that is not trained, and is called as a statistic is",
        "The file says that it is not trained, and its name (moving_mean, running_var, ema ...) "
        "says why. Only for objects of unknown class.",
        "blocks/0/moving_mean",
        each(_statistic),
    ),
    Rule(
        "object-variable",
        "a variable of an object whose class the file does not tell",
        "A tf.Module's or a custom layer's variable: whether it is trained is the file's own word. "
        "Variables of integers cannot be trained.",
        "blocks/0/w/.ATTRIBUTES/VARIABLE_VALUE",
        each(_variable),
    ),
    Rule(
        "object-beside",
        "a variable that a checkpoint keeps beside its model",
        "tf.train.Checkpoint saves whatever it is given: floating-point variables directly in its "
        "root belong to no layer.",
        "temperature/.ATTRIBUTES/VARIABLE_VALUE",
        each(_beside),
    ),
)
