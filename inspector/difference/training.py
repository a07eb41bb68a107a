"""What changed in how the models were compiled: optimizer, loss, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from inspector.difference.config_values import (
    Writers,
    clause,
    differences,
    kept,
    normal,
    said,
    writers_of,
)
from inspector.difference.nouns import Subject
from inspector.keras.config import snake_case
from inspector.keras.optimizers import optimizer_of
from inspector.report import DiffFact

_PART = "training-config"
# Formats that have a training config where the model was compiled.
_FORMATS = frozenset({"keras-h5", "keras-zip", "keras-dir", "saved-model"})
_METRICS = ("metrics", "weighted_metrics")
# Not told by every format, with defaults that say the same: how fast training runs, not what it is.
_RUNNING = {"run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss"}
_LEFT_OUT = frozenset({"optimizer", "optimizer_config", *_RUNNING})

Compiled = tuple[str, Mapping[str, Any]] | None  # an optimizer's class and config


def training_facts(a: Subject, b: Subject) -> tuple[DiffFact, ...]:
    """The optimizer, each of its settings, the loss and the metrics that are not the same.

    `what` is "compiled", "optimizer", "optimizer.learning_rate", "loss", "metrics" ... What a
    format does not tell is no difference; nor is what a saved report was not asked for.
    """
    ours, theirs = a.artifact.training, b.artifact.training
    if ours is None and theirs is None:
        return ()
    if ours is None or theirs is None:
        return _one_compiled(a, b)
    writers = writers_of(a, b)
    if writers is Writers.SAME and a.artifact.format != b.artifact.format:
        writers = Writers.VERSIONS  # the formats tell different things of one compilation
    return (
        *_optimizers(optimizer_of(ours), optimizer_of(theirs), writers),
        *_facts(_settings(ours), _settings(theirs), writers),
    )


def _one_compiled(a: Subject, b: Subject) -> tuple[DiffFact, ...]:
    in_a = a.artifact.training is not None
    side, lacks = ("A", "B") if in_a else ("B", "A")
    one, other = (a, b) if in_a else (b, a)
    optimizer = optimizer_of(one.artifact.training)
    how = f"{side} is compiled{f' with {optimizer[0]}' if optimizer else ''}"
    if other.saved and other.report.training is UNSET:
        words = f"{how}; a saved report does not tell how its model was"
        ours, theirs = (True, None) if in_a else (None, True)
        return (DiffFact(_PART, "compiled", ours, theirs, words, counts=False),)
    if not _tells(other):
        return ()
    words = f"{how}, {lacks} is not"
    return (DiffFact(_PART, "compiled", in_a, not in_a, words, counts=True),)


def _tells(subject: Subject) -> bool:
    """Whether the file would say how the model was compiled, had it been."""
    return subject.artifact.format in _FORMATS and subject.artifact.model is not None


def _settings(training: Mapping[str, Any]) -> dict[str, Any]:
    """The training config in its normal form, without what says nothing."""
    found: dict[str, Any] = {}
    for key, value in normal(training).items():
        if value is not None and key not in _LEFT_OUT:
            found[key] = value
    for key in _METRICS:
        if key in found:
            found[key] = _flat(found[key])
    return {key: value for key, value in found.items() if value not in ([], {})}


def _flat(metrics: Any) -> Any:
    """Metrics of a model with one output stand in a list of their own in some files."""
    if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list):
        return metrics[0]
    return metrics


def _facts(ours: dict[str, Any], theirs: dict[str, Any], writers: Writers) -> Iterator[DiffFact]:
    for key in dict.fromkeys((*ours, *theirs)):
        a, b = ours.get(key), theirs.get(key)
        if writers is not Writers.SAME and (
            _names(a) == _names(b) if key in _METRICS else _word(a) == _word(b)
        ):
            continue
        for found in differences(a, b, writers, key):
            one, other = kept(found.a), kept(found.b)
            yield DiffFact(_PART, found.key, one, other, clause(found), found.counts)


def _optimizers(ours: Compiled, theirs: Compiled, writers: Writers) -> Iterator[DiffFact]:
    if ours is None or theirs is None:
        if ours is not theirs and writers is Writers.SAME:
            yield _optimizer(*(one and one[0] for one in (ours, theirs)))
        return
    if ours[0] != theirs[0]:
        yield _optimizer(ours[0], theirs[0])
        return
    a, b = (_unnamed(normal(one[1])) for one in (ours, theirs))
    if not a or not b:
        # One is only named: all settings are that version's defaults, which the file has not.
        if a != b and writers is Writers.SAME:
            yield _optimizer(*(said({"class_name": ours[0], "config": one}) for one in (a, b)))
        return
    for found in differences(a, b, writers):
        words = f"optimizer {ours[0]}: {clause(found)}"
        what = f"optimizer.{found.key}"
        yield DiffFact(_PART, what, kept(found.a), kept(found.b), words, found.counts)


def _optimizer(a: str | None, b: str | None) -> DiffFact:
    words = f"optimizer {said(a)} -> {said(b)}"
    return DiffFact(_PART, "optimizer", a, b, words, counts=True)


def _unnamed(value: Any) -> Any:
    """Settings without the names of objects, which each version makes up otherwise."""
    if isinstance(value, dict):
        return {key: _unnamed(one) for key, one in value.items() if key != "name"}
    return [_unnamed(one) for one in value] if isinstance(value, list) else value


def _word(value: Any) -> Any:
    """A loss or metric by its name alone."""
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        config = value.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        value = name if isinstance(name, str) else snake_case(value["class_name"])
    return value


def _names(metrics: Any) -> Any:
    return [_word(one) for one in metrics] if isinstance(metrics, list) else _word(metrics)
