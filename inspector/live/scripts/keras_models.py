"""Keras files and SavedModels of Keras models: counts of the model that Keras makes of them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

STRIPPED = ("PruneLowMagnitude", "ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA")


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """options: "keras": 2 or 3; "toolkit": whether the file has wrappers of tfmot's; "allow_code".

    Nothing is compiled: losses are no parameters.
    """
    keras = keras_of(options["keras"])
    said: dict[str, Any] = {"loader": keras.__name__ + " " + version_of(keras), "reasons": {}}
    if hasattr(keras.backend, "clear_session"):
        keras.backend.clear_session()
    load = keras.models.load_model
    arguments = {"compile": False}
    if options["allow_code"] and "safe_mode" in inspect.signature(load).parameters:
        arguments["safe_mode"] = False
    with contextlib.ExitStack() as scopes:
        toolkit = toolkit_of(keras, options["toolkit"]) if options["keras"] == 2 else None
        if toolkit is not None:
            scopes.enter_context(toolkit.sparsity.keras.prune_scope())
            scopes.enter_context(toolkit.clustering.keras.cluster_scope())
            scopes.enter_context(toolkit.quantization.keras.quantize_scope())
        model = load(path, **arguments)
        said.update(counted(model))
        said["layers"] = {
            name: {key: value for key, value in counted(layer).items() if key != "reasons"}
            for name, layer in layers_of(model, keras, "")
        }
        said["after_strip"] = None
        try:
            said["after_strip"] = after_strip(model, toolkit, said["count_params"])
        except Exception as error:  # noqa: BLE001 - the other counts stand
            said["reasons"]["after_strip"] = "stripping fails: " + " ".join(str(error).split())
    return said


def keras_of(line: int) -> Any:
    """Keras 3, or the Keras 2 that is there: tf_keras, keras itself, or TensorFlow's before 2.6."""
    tensorflow = importlib.import_module("tensorflow")  # first: Keras before 3 needs it so
    if line == 2:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module("tf_keras")
    try:
        keras = importlib.import_module("keras")
    except ModuleNotFoundError:
        keras = None
    if keras is not None and int(version_of(keras).split(".")[0]) == line:
        return keras
    if line == 2 and tuple(map(int, tensorflow.__version__.split(".")[:2])) < (2, 6):
        return tensorflow.keras
    raise ModuleNotFoundError("no Keras of that line", name="keras" if line == 3 else "tf_keras")


def version_of(keras: Any) -> str:
    """What it says of itself."""
    return str(getattr(keras, "__version__", "?"))


def toolkit_of(keras: Any, needed: bool) -> Any:
    """tensorflow-model-optimization; None where it cannot be imported and is not needed.

    Without tf_keras, importing it breaks TensorFlow's own Keras: then only where there is no way
    around it.
    """
    if keras.__name__ != "tf_keras" and not needed:
        return None
    try:
        return importlib.import_module("tensorflow_model_optimization")
    except ImportError:
        if needed:
            raise
        return None


def counted(layer: Any) -> dict[str, Any]:
    """The counts of a model or a layer; null, with the reason, where it has no variables yet."""
    try:
        total = int(layer.count_params())
    except ValueError as error:
        reason = " ".join(str(error).split())
        names = ("count_params", "trainable", "non_trainable")
        return {**dict.fromkeys(names), "reasons": dict.fromkeys(names, reason)}
    return {
        "count_params": total,
        "trainable": elements(layer.trainable_weights),
        "non_trainable": elements(layer.non_trainable_weights),
        "reasons": {},
    }


def elements(variables: Any) -> int:
    """Elements of all of them, each counted once."""
    total = 0
    for variable in {id(one): one for one in variables}.values():
        size = 1
        for side in variable.shape:
            size *= int(side)
        total += size
    return total


def layers_of(model: Any, keras: Any, above: str) -> Iterator[tuple[str, Any]]:
    """(path, layer) of the layers that some model holds directly, models themselves left out."""
    taken: dict[str, int] = {}
    for layer in model.layers:
        taken[layer.name] = taken.get(layer.name, 0) + 1
        path = above + layer.name
        if taken[layer.name] > 1:
            path += "#" + str(taken[layer.name])
        if isinstance(layer, keras.Model):
            yield from layers_of(layer, keras, path + "/")
        else:
            yield path, layer


def after_strip(model: Any, toolkit: Any, count: Any) -> Any:
    """count_params once strip_pruning and strip_clustering have run; as it is without wrappers."""
    inside = getattr(model, "submodules", ())
    if not any(type(one).__name__ in STRIPPED for one in inside):
        return count
    stripped = toolkit.sparsity.keras.strip_pruning(model)
    return int(toolkit.clustering.keras.strip_clustering(stripped).count_params())
