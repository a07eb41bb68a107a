"""Checkpoints: of objects and by name, whole and cut up, in the formats of today and of TF1."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from samples import pruning
from samples.catalog import Writer, family
from samples.parts import InSession, Part, keras_parts
from samples.saved_models import normalized
from samples.saved_modules import v1_training
from samples.tensorflow_live import Built
from samples.training import noise, train

v1 = tf.compat.v1


def no_state_file(save: Callable[[str], Any]) -> Callable[[str], None]:
    """Saves, and takes the file `checkpoint` away, which would speak for the whole folder."""

    def save_alone(path: str) -> None:
        save(path)
        os.remove(os.path.join(os.path.dirname(path), "checkpoint"))

    return save_alone


@family("ckpt_adam", "ckpt_manager")
def adam() -> Mapping[str, Writer]:
    """A model, its optimizer and a step, written once, and twice by a CheckpointManager."""
    model = train(normalized(), noise(16, 4))
    step = tf.Variable(1200, dtype=tf.int64, name="step")
    once = tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=step)
    managed = tf.train.Checkpoint(model=model, step=step)
    parts = [*keras_parts(model, {"metric"}), Part("counter", step)]

    def manage(path: str) -> None:
        manager = tf.train.CheckpointManager(managed, path, max_to_keep=2)
        for _ in range(3):
            step.assign_add(100)
            manager.save()

    counted = [*parts, Part("counter", managed.save_counter)]
    return {
        "ckpt_adam": Built("checkpoint", once.write, parts, model=model),
        "ckpt_manager": Built("checkpoint", manage, counted, model=model, probe=managed.write),
    }


@family("ckpt_adam_legacy")
def adam_legacy() -> Mapping[str, Writer]:
    """Slots are stored under the variable that they belong to."""
    optimizer = tf_keras.optimizers.legacy.Adam()
    model = train(normalized(), noise(16, 4), optimizer=optimizer)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    parts = keras_parts(model, {"metric"})
    return {"ckpt_adam_legacy": Built("checkpoint", checkpoint.write, parts, model=model)}


@family("ckpt_pruned")
def keras_weights() -> Mapping[str, Writer]:
    """`save_weights` in TensorFlow's format; the model of pruned.h5."""
    schedule = pruning.schedules.PolynomialDecay(0.0, 0.5, begin_step=0, end_step=4, frequency=1)
    model = pruning.prune(pruning.dense_model(), pruning_schedule=schedule)
    pruning.train_pruned(model, noise(32, 10))
    save = no_state_file(lambda path: model.save_weights(path, save_format="tf"))
    return {"ckpt_pruned": Built("checkpoint", save, keras_parts(model, {"metric"}), model=model)}


@family("ckpt_v1", "ckpt_v1_format.ckpt")
def saver() -> Mapping[str, Writer]:
    """TF1's Saver: 8 parameters of 35 elements, with Adam, moving averages and the step."""
    session = v1.Session(graph=v1.Graph())
    with session.graph.as_default():
        w = v1.get_variable("w", initializer=tf.constant(noise(4, 2)))
        step = v1.train.get_or_create_global_step()
        optimizer = v1.train.AdamOptimizer()
        update = optimizer.minimize(tf.reduce_mean(tf.square(w)), step)
        averages = tf.train.ExponentialMovingAverage(0.9, step)
        with tf.control_dependencies([update]):
            update = averages.apply([w])
        session.run(v1.global_variables_initializer())
        session.run(update)
        savers = {
            version: v1.train.Saver(write_version=version)
            for version in (v1.train.SaverDef.V2, v1.train.SaverDef.V1)
        }
        weight = Part("weight", InSession(w, session), trainable=True)
        average = InSession(averages.average(w), session)
        parts = [
            weight,
            Part("optimizer_slot", average, of=weight.variable),
            *v1_training(optimizer, step, [weight], session),
        ]

    def save(path: str, version: int) -> None:
        with session.graph.as_default():
            meta = version == v1.train.SaverDef.V2
            savers[version].save(session, path, write_meta_graph=meta)

    return {
        "ckpt_v1": Built(
            "checkpoint",
            no_state_file(lambda path: save(path, v1.train.SaverDef.V2)),
            parts,
            counts={"trainable": 8, "non_trainable": 0},  # as the collections in its .meta say
        ),
        "ckpt_v1_format.ckpt": Built(
            "checkpoint", no_state_file(lambda path: save(path, v1.train.SaverDef.V1)), parts
        ),
    }


@family("ckpt_sharded")
def sharded() -> Mapping[str, Writer]:
    """`emb` [10, 4] is cut into 4 + 3 + 3 rows, over two devices and so two data files: 48."""
    session = v1.Session(
        graph=v1.Graph(), config=v1.ConfigProto(allow_soft_placement=True, device_count={"CPU": 2})
    )
    values = noise(10, 4)

    def rows(shape: Sequence[int], dtype: Any, partition_info: Any) -> Any:
        start = partition_info.var_offset[0]
        return tf.constant(values[start : start + shape[0]], dtype)

    with session.graph.as_default():
        with tf.device("/cpu:0"):
            emb = v1.get_variable(
                "emb",
                [10, 4],
                initializer=rows,
                partitioner=v1.fixed_size_partitioner(3),
            )
        with tf.device("/cpu:1"):
            w = v1.get_variable("w", initializer=tf.constant(noise(4, 2)))
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(sharded=True)

    def save(path: str) -> None:
        with session.graph.as_default():
            saver.save(session, path, write_meta_graph=False)

    parts = [
        Part("weight", tuple(InSession(one, session) for one in emb), trainable=True),
        Part("weight", InSession(w, session), trainable=True),
    ]
    return {"ckpt_sharded": Built("checkpoint", no_state_file(save), parts)}


FAMILIES = (adam, adam_legacy, keras_weights, saver, sharded)
