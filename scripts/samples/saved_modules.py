"""SavedModels without Keras: tf.Module, TF1 meta graphs, constants in the place of variables."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from samples.catalog import Writer, family
from samples.parts import InSession, Part
from samples.saved_models import without_empty_folders
from samples.tensorflow_live import Built
from samples.training import noise

v1 = tf.compat.v1


VOCABULARY = "vocabulary.txt"


class Ranker(tf.Module):
    """Every kind of variable that is no float32, two lookup tables and two signatures."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()  # it goes with the module
        with open(os.path.join(self._folder.name, VOCABULARY), "w") as file:
            file.write("the\nquick\nbrown\nfox\njumps\nover\n")
        self.embedding = tf.Variable(noise(6, 4), dtype=tf.bfloat16, name="embedding")
        codes = np.random.default_rng(2).integers(-100, 100, (4, 3), "int8")
        self.kernel = tf.Variable(codes, trainable=False, name="kernel")
        self.scale = tf.Variable([0.5, 0.25, 0.125], name="scale")
        self.labels = tf.Variable(["low", "middle", "high"], trainable=False, name="labels")
        self.calls = tf.Variable(0, dtype=tf.int64, trainable=False, name="calls")
        with self.at_home():
            self.words = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    VOCABULARY,
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                default_value=0,
            )
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.seen.insert(*map(tf.constant, SEEN))  # stored with the variables; words are an asset

    def at_home(self) -> contextlib.AbstractContextManager[None]:
        """Work in the vocabulary's folder: its path becomes the table's name in the graph."""
        return contextlib.chdir(self._folder.name)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def rank(self, words: Any) -> Any:
        self.calls.assign_add(1)
        rows = tf.cast(tf.gather(self.embedding, self.words.lookup(words)), tf.float32)
        scores = tf.matmul(rows, tf.cast(self.kernel, tf.float32)) * self.scale
        return {"scores": scores, "labels": tf.gather(self.labels, tf.argmax(scores, axis=1))}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "word")])
    def times(self, word: Any) -> Any:
        return {"times": self.seen.lookup(word)}


SEEN = (np.array([b"yes", b"no"], object), np.array([41, 7], "int64"))


@family("saved_module")
def module() -> Mapping[str, Writer]:
    ranker = Ranker()

    def save(path: str) -> None:
        held = {"serving_default": ranker.rank, "times": ranker.times}
        path = os.path.abspath(path)
        with ranker.at_home():
            tf.saved_model.save(ranker, path, signatures=held)

    parts = [
        Part("weight", ranker.embedding, trainable=True),
        Part("weight", ranker.kernel, trainable=False),
        Part("weight", ranker.scale, trainable=True),
        Part("lookup", ranker.labels, trainable=False),
        Part("counter", ranker.calls, trainable=False),
        *(Part("lookup", content=content) for content in SEEN),
    ]
    return {"saved_module": Built("saved-model", save, parts, counts=counted(ranker))}


def counted(module: tf.Module) -> dict[str, int]:
    """Elements of all its variables, by the variable's own flag."""
    sums = {"trainable": 0, "non_trainable": 0}
    for variable in module.variables:
        sums["trainable" if variable.trainable else "non_trainable"] += int(
            np.prod(variable.shape, dtype=np.int64)
        )
    return sums


class Scorer(tf.Module):
    """A kernel that is no variable: its function captured a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = tf.Variable(noise(4), name="bias")
        kernel = tf.constant(noise(6, 4))

        @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x")])
        def score(x: Any) -> Any:
            return {"score": tf.matmul(x, kernel) + self.bias}

        self.score = score


@family("saved_captured")
def captured() -> Mapping[str, Writer]:
    """24 weights in the graph, 4 in a variable."""
    scorer = Scorer()

    def save(path: str) -> None:
        tf.saved_model.save(scorer, path, signatures={"serving_default": scorer.score})
        without_empty_folders(path)

    parts = [Part("weight", scorer.bias, trainable=True), Part("weight", content=noise(6, 4))]
    return {"saved_captured": Built("saved-model", save, parts, counts=counted(scorer))}


@family("saved_v1")
def two_meta_graphs() -> Mapping[str, Writer]:
    """TF1: a graph to train and one to serve, over the same variables; no object graph."""
    train, serve = v1.Graph(), v1.Graph()
    session = v1.Session(graph=train)
    with train.as_default():
        inputs, outputs = v1_network()
        network, trained = v1.global_variables(), v1.trainable_variables()
        loss = tf.reduce_mean(tf.square(outputs - 1.0))
        step = v1.train.get_or_create_global_step()
        optimizer = v1.train.AdamOptimizer()
        update = optimizer.minimize(loss, step)
        v1.add_to_collection("losses", loss)
        session.run(v1.global_variables_initializer())
        session.run(update, {inputs: noise(5, 4)})
    serving = v1.Session(graph=serve)
    with serve.as_default():
        serve_inputs, serve_outputs = v1_network()
        serving.run(v1.global_variables_initializer())

    def save(path: str) -> None:
        signature = v1.saved_model.predict_signature_def
        builder = v1.saved_model.Builder(path)
        with train.as_default():
            ports = signature({"x": inputs}, {"loss": loss})
            builder.add_meta_graph_and_variables(
                session, [v1.saved_model.tag_constants.TRAINING], {"train": ports}
            )
        with serve.as_default():
            ports = signature({"x": serve_inputs}, {"y": serve_outputs})
            builder.add_meta_graph(
                [v1.saved_model.tag_constants.SERVING], {"serving_default": ports}
            )
        builder.save()

    parts = []
    for variable in network:  # what is not trained here is BatchNormalization's
        trainable = any(variable is one for one in trained)
        role = "weight" if trainable else "statistic"
        parts.append(Part(role, InSession(variable, session), trainable=trainable))
    with train.as_default():
        parts += v1_training(optimizer, step, parts, session)
    counts = {"trainable": 0, "non_trainable": 0}
    for part in parts:
        if part.trainable is not None:
            counts["trainable" if part.trainable else "non_trainable"] += part.variable.numpy().size
    return {"saved_v1": Built("saved-model", save, parts, counts=counts)}


def v1_network() -> tuple[Any, Any]:
    """A convolution-free network with BatchNormalization, as TF1 code wrote it."""
    x = v1.placeholder(tf.float32, [None, 4], name="x")
    with v1.variable_scope("net", use_resource=False):
        kernel = v1.get_variable("dense/kernel", [4, 3], initializer=v1.constant_initializer(0.2))
        bias = v1.get_variable("dense/bias", [3], initializer=v1.zeros_initializer())
        y = tf.nn.bias_add(tf.matmul(x, kernel), bias)
        gamma = v1.get_variable("bn/gamma", [3], initializer=v1.ones_initializer())
        beta = v1.get_variable("bn/beta", [3], initializer=v1.zeros_initializer())
        mean = v1.get_variable(
            "bn/moving_mean", [3], initializer=v1.zeros_initializer(), trainable=False
        )
        variance = v1.get_variable(
            "bn/moving_variance", [3], initializer=v1.ones_initializer(), trainable=False
        )
        y = tf.nn.batch_normalization(y, mean, variance, beta, gamma, 1e-3)
    return x, tf.nn.relu(y, name="y")


def v1_training(optimizer: Any, step: Any, weights: list[Part], session: Any) -> list[Part]:
    """Adam's slots and powers, and the global step; within the graph that they are in."""
    slots = [
        Part("optimizer_slot", InSession(slot, session), of=part.variable)
        for part in weights
        for name in optimizer.get_slot_names()
        if (slot := optimizer.get_slot(part.variable.variable, name)) is not None
    ]
    powers = [
        Part("optimizer_state", InSession(power, session))
        for power in optimizer._get_beta_accumulators()  # noqa: SLF001 (nothing public)
    ]
    return [*slots, *powers, Part("counter", InSession(step, session))]


FAMILIES = (module, captured, two_meta_graphs)
