"""What people use instead, each as a program of its own: python rivals.py NAME PATH...

Every program does the work it is named for and prints one line of it: how many values are zero, how
many tensors there are. What it needs beyond h5py and NumPy is in the environment that runs it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any


def _zeros(arrays: Iterable[Any]) -> str:
    import numpy as np

    values = zeros = 0
    for one in arrays:
        array = np.asarray(one)
        values += array.size
        zeros += array.size - int(np.count_nonzero(array))
    return f"{zeros} of {values} values are zero"


def h5_visit(path: str) -> str:
    """h5py's own visit: name, shape and dtype of every dataset."""
    import h5py

    found = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item.shape, item.dtype))

    with h5py.File(path) as file:
        file.visititems(note)
    return f"{len(found)} datasets"


def h5_read(*paths: str) -> str:
    """h5py, dataset by dataset: every value is read, and what is zero is counted."""
    import h5py

    def arrays() -> Iterable[Any]:
        for path in paths:
            with h5py.File(path) as file:
                found: list[Any] = []
                file.visititems(
                    lambda _, item, into=found: (
                        into.append(item) if isinstance(item, h5py.Dataset) else None
                    )
                )
                for one in found:
                    yield one[()]

    return _zeros(arrays())


def h5_inflate(path: str) -> str:
    """zlib alone: every compressed chunk is read and inflated, in as many threads as cores."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    import h5py

    chunks: list[tuple[int, int]] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks is not None:
            item.id.chunk_iter(lambda one: chunks.append((one.byte_offset, one.size)))

    with h5py.File(path) as file:
        file.visititems(note)
    descriptor = os.open(path, os.O_RDONLY)

    def inflate(chunk: tuple[int, int]) -> int:
        return len(zlib.decompress(os.pread(descriptor, chunk[1], chunk[0])))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return f"{sum(pool.map(inflate, chunks))} bytes"


def load_model(path: str) -> str:
    """TensorFlow's `load_model`, and `count_nonzero` of every variable."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    with tfmot.sparsity.keras.prune_scope():
        model = tf_keras.models.load_model(path, compile=False)
    return _zeros(one.numpy() for one in model.weights)


def load_checkpoint(prefix: str) -> str:
    """`tf.train.load_checkpoint`, and `count_nonzero` of every value."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    return _zeros(reader.get_tensor(name) for name in reader.get_variable_to_shape_map())


def file_editor(path: str) -> str:
    """`keras.saving.KerasFileEditor`, and its summary."""
    import keras

    keras.saving.KerasFileEditor(path).summary()
    return "the summary above"


def litert(path: str) -> str:
    """The LiteRT interpreter: tensors allocated, every constant read, zeros counted."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    constants = [one["index"] for one in details if "kernel" in one["name"]]
    return _zeros(interpreter.get_tensor(index) for index in constants)


def analyzer(path: str) -> str:
    """`tf.lite.experimental.Analyzer`, which prints operators and tensors."""
    import tensorflow as tf

    tf.lite.experimental.Analyzer.analyze(model_path=path)
    return "the analysis above"


def tensorflow_import() -> str:
    """`import tensorflow`, and nothing else."""
    import tensorflow as tf

    return str(tf.__version__)


PROGRAMS: dict[str, Callable[..., str]] = {
    one.__name__: one
    for one in (
        h5_visit,
        h5_read,
        h5_inflate,
        load_model,
        load_checkpoint,
        file_editor,
        litert,
        analyzer,
        tensorflow_import,
    )
}


if __name__ == "__main__":
    print(PROGRAMS[sys.argv[1]](*sys.argv[2:]))
